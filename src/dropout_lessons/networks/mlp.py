"""The multilayer perceptron."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dropout_lessons.arguments import check_count, check_keep_prob, checked_counts
from dropout_lessons.layers import Dropout


class HiddenLayer(nn.Linear):
    r"""A dense layer of ReLU units, :math:`h = \max(0, Wx + b)`, with He's initial weights and zero biases.

    Args:
        in_features: Number of inputs.
        out_features: Number of units.
        batch_norm: Whether :math:`Wx + b` is normalized before the ReLU, by ``nn.BatchNorm1d`` under the name ``norm``.
        generator: Source of the initial weights; PyTorch's global generator when None.

    Shape:
        Input ``(..., in_features)``, output ``(..., out_features)``; with ``batch_norm`` two axes.

    Example:
        >>> bool((HiddenLayer(3, 5)(torch.randn(10, 3)) >= 0).all())
        True

    Source: He et al. 2015 for the initialization; Ioffe and Szegedy 2015 for the normalization.
    """

    norm: nn.BatchNorm1d | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        batch_norm: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        check_count("in_features", in_features, at_least=1)
        check_count("out_features", out_features, at_least=1)
        with torch.random.fork_rng(devices=[]):  # nn.Linear draws weights of its own, which are not used
            super().__init__(in_features, out_features)
        initialize(self, generator)
        self.norm = nn.BatchNorm1d(out_features) if batch_norm else None

    def forward(self, x: Float[Tensor, "*batch in_features"]) -> Float[Tensor, "*batch out_features"]:
        """Compute the units' outputs."""
        h = super().forward(x)
        return (h if self.norm is None else self.norm(h)).relu()


def bare_linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer whose weights are still to be drawn; ``nn.utils.skip_init`` imports SymPy for it, for 0.4 s."""
    layer = nn.Linear(inputs, outputs, device="meta")
    layer.weight, layer.bias = nn.Parameter(torch.empty(outputs, inputs)), nn.Parameter(torch.empty(outputs))
    return layer


def initialize(layer: nn.Linear | nn.Conv2d, generator: torch.Generator | None) -> None:
    """Draw He's initial weights, and set the biases to zero."""
    assert layer.bias is not None
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
    nn.init.zeros_(layer.bias)


def one_each(name: str, keep_prob: float | Sequence[float], number: int, layers: str) -> list[float]:
    """Return a keep probability for each layer, or say what is wrong with the argument of that name."""
    if not isinstance(keep_prob, Sequence):
        return [check_keep_prob(keep_prob, name=name)] * number
    keep_probs = list(keep_prob)
    if len(keep_probs) != number:
        raise ValueError(f"{name} must be one number or one for each of the {number} {layers}, got {keep_prob!r}")
    return [check_keep_prob(value, name=name) for value in keep_probs]


def check_makes_layer(name: str, dropout: Any) -> None:
    """Say what is wrong with what makes no dropout layer from its keep probability."""
    if not callable(dropout):
        raise ValueError(f"{name} must make a layer from its keep probability, such as layers.Dropout, got {dropout!r}")


class MLP(nn.Module):
    r"""A multilayer perceptron of ReLU units with dropout on its input and on each hidden layer.

    .. math:: h^{(l)} = \max(0, W^{(l)} \tilde h^{(l-1)} + b^{(l)}), \qquad
              \tilde h^{(l)} = m^{(l)} \odot h^{(l)} / p_l, \qquad \tilde h^{(0)} = m^{(0)} \odot x / p_0

    The modules are named ``input_dropout``, ``hidden1``, ``hidden1_dropout``, ``hidden2``, ..., ``output``.

    Args:
        sizes: Number of inputs, of units in each hidden layer, and of outputs, such as ``[784, 256, 256, 10]``.
        keep_prob: :math:`p` of the hidden layers, one for all or one for each.
        input_keep_prob: :math:`p_0` of the input.
        dropout: Makes a dropout layer from its ``keep_prob``; :class:`~dropout_lessons.layers.Dropout` by default.
        batch_norm: Whether hidden layers normalize before their ReLUs. What is dropped in one hidden layer then reaches the
            normalization of the next; dropout on the last hidden layer comes after all normalization.
        generator: Source of the initial weights; PyTorch's global generator when None.

    Shape:
        Input ``(batch, sizes[0])``, output ``(batch, sizes[-1])``: logits.

    Raises:
        ValueError: If the sizes or keep probabilities are out of range, or do not fit each other.

    Example:
        >>> network = MLP([784, 256, 256, 10], keep_prob=0.5, input_keep_prob=0.8)
        >>> network(torch.rand(32, 784)).shape
        torch.Size([32, 10])
        >>> only_even_units = torch.arange(256) % 2 == 0
        >>> network(torch.rand(32, 784), masks={"hidden1": only_even_units}).shape
        torch.Size([32, 10])

    Source: Srivastava et al. 2014, Section 4.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        keep_prob: float | Sequence[float] = 1.0,
        input_keep_prob: float = 1.0,
        dropout: Callable[[float], nn.Module] = Dropout,
        batch_norm: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        sizes = checked_counts("sizes", sizes, "two or more positive integers, such as [784, 256, 10]", fewest=2)
        n_hidden = len(sizes) - 2
        keep_probs = one_each("keep_prob", keep_prob, n_hidden, f"hidden layers of {sizes}")
        # Checked here so that the error names the right argument, also where `dropout` makes other layers.
        check_keep_prob(input_keep_prob, name="input_keep_prob")
        check_makes_layer("dropout", dropout)
        self.sizes = tuple(sizes)
        self.hidden_names = tuple(f"hidden{i + 1}" for i in range(n_hidden))
        self.input_dropout = dropout(input_keep_prob)
        for i, name in enumerate(self.hidden_names):
            self.add_module(name, HiddenLayer(sizes[i], sizes[i + 1], batch_norm=batch_norm, generator=generator))
            self.add_module(f"{name}_dropout", dropout(keep_probs[i]))
        self.output = bare_linear(sizes[-2], sizes[-1])
        initialize(self.output, generator)

    def forward(
        self, x: Float[Tensor, "batch inputs"], masks: Mapping[str, Bool[Tensor, " ..."]] | None = None
    ) -> Float[Tensor, "batch outputs"]:
        """Compute logits; ``masks``, by ``"input"`` or hidden layer's name, run one named subnetwork in either mode."""
        if x.dim() != 2 or x.shape[1] != self.sizes[0]:
            raise ValueError(
                f"x must be (batch, {self.sizes[0]}), got shape {tuple(x.shape)}; images need x.flatten(1)"
            )
        masks = {} if masks is None else masks
        unknown = set(masks) - {"input", *self.hidden_names}
        if unknown:
            raise ValueError(f"masks names {sorted(unknown)}, but the layers are {['input', *self.hidden_names]}")
        h = self._drop("input", x, masks)
        for name in self.hidden_names:
            h = self._drop(name, self.get_submodule(name)(h), masks)
        logits: Tensor = self.output(h)
        return logits

    def _drop(self, name: str, h: Tensor, masks: Mapping[str, Tensor]) -> Tensor:
        layer = self.get_submodule(f"{name}_dropout")
        if name in masks and not isinstance(layer, Dropout):
            raise ValueError(f"masks names {name!r}, whose {type(layer).__name__} takes no mask; leave it out")
        dropped: Tensor = layer(h, masks[name]) if name in masks else layer(h)
        return dropped
