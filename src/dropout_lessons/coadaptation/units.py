"""The units of one layer of a network, on given examples, with any of them present."""

from __future__ import annotations

import copy
import dataclasses
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dropout_lessons.arguments import check_choice, check_generator, check_kind
from dropout_lessons.coadaptation.additivity import agrees, look_above
from dropout_lessons.coadaptation.parts import Above, Part
from dropout_lessons.coadaptation.readout import Readout
from dropout_lessons.running import MaskedNetwork, Site
from dropout_lessons.running.discovery import discover
from dropout_lessons.running.layer import Layer
from dropout_lessons.running.layer_passes import LayerPasses
from dropout_lessons.running.masked import as_masked
from dropout_lessons.running.outputs import Examples

Clamp = Literal["zero", "mean"]

_BLOCK = 128  # examples that run together, at most


def check_asked(units: LayerUnits, generator: torch.Generator | None) -> None:
    """Say what is wrong with whom a measure asks, or with its source of random numbers."""
    check_kind("units", units, LayerUnits, "LayerUnits(network, layer, x, y) makes them, and measure() takes a network")
    check_generator(generator)


class LayerUnits:
    r"""The units of a layer on given examples; every measure is a question to it.

    Unit :math:`j` sends on :math:`z_j h_j + (1 - z_j)\, c_j`: its output where present, else its clamp. The network is in
    evaluation mode, dropout is inactive, and what lies below the layer runs once, for all questions. An example is worth
    :math:`v`, the log-probability of its label in nats, mean over positions where the network predicts at several; in a
    regression minus the squared error.

    Args:
        network: Any module; a :class:`~dropout_lessons.running.MaskedNetwork` where there is more to say: how it is called, what
            it returns (``outputs``), and the work space (``memory``).
        layer: Name of a module that a forward pass calls once, or a :class:`Layer`.
        x: What the network is given: a tensor, a tuple or mapping of tensors, or a DataLoader.
        y: Class of each example (and position), or real targets, other than zeros and ones, which make it a regression; the
            network's own predictions when None.
        clamp: ``"zero"`` for :math:`c_j = 0`, ``"mean"`` for the unit's mean over ``x`` and positions.
        temperature: Divides the logits. Compare networks at their best temperatures: a surer one has more to lose.

    Attributes:
        given: The network, and its examples.
        n_units: Number of units :math:`n`.
        y: Classes, or targets ``(examples, outputs)``.
        output: What the intact network predicts, as its ``Outputs`` arranges it.
        axis: Axis of ``h`` that holds the units.

    Raises:
        ValueError: If an argument is not what it should be; the message says what would be.

    Example:
        Attention heads and hidden units of a transformer, and how much they rely on each other:

        >>> from dropout_lessons.coadaptation import compensation, interaction
        >>> from dropout_lessons.networks import SmallTransformer
        >>> from dropout_lessons.running import Outputs
        >>> network = MaskedNetwork(SmallTransformer(symbols=8, context=16, heads=4), outputs=Outputs(class_axis=-1))
        >>> text = torch.arange(48).view(6, 8) % 7
        >>> heads = Layer("block1.attention.output", at="input", unit_axis=-1, groups=4)
        >>> hidden = Layer("block1.hidden", unit_axis=-1)
        >>> for layer in (heads, hidden):
        ...     units = LayerUnits(network, layer, text)
        ...     pairs, sets = interaction(units, contexts=1), compensation(units, sizes=[2], progress=False)
        ...     print(layer.name, tuple(pairs.pairwise.shape), tuple(sets.ratio.shape))
        block1.attention.output (4, 4) (1,)
        block1.hidden (128, 128) (1,)

        A HuggingFace model takes ``dict(tokenizer(...))`` for ``x`` and ``Layer("encoder.layer.0.attention.output.dense", ...)``
        for its heads, a model of timm ``Layer("blocks.0.attn.proj", ...)``.

    Source: this course; McGrath et al. 2023, "The Hydra effect", remove layers of attention in the same way.
    """

    def __init__(
        self,
        network: nn.Module | MaskedNetwork,
        layer: str | Layer,
        x: Examples,
        y: Tensor | None = None,
        *,
        clamp: Clamp = "zero",
        temperature: float = 1.0,
    ) -> None:
        check_choice("clamp", clamp, get_args(Clamp))
        masked = as_masked(network)
        self.memory = masked.memory
        if isinstance(layer, str):
            layer = Layer(layer)
        check_kind("layer", layer, Layer, "give the name of a module, as in network.named_modules()")
        self.layer = layer
        self.clamp = clamp
        self.given, y = masked.measured(x, y)
        self._blocks = self._passes(_BLOCK)
        self.axis, self.n_units = self._blocks[0].axis, self._blocks[0].n_units
        self.readout = Readout(self.given.outputs, temperature)
        bad = int((~self.h.isfinite()).sum())
        if bad:
            raise ValueError(
                f"the output of layer {self.layer.name!r} must be finite, got {bad} NaN or infinite values"
            )
        if clamp == "mean":
            self._check_means()
        self.output = self.given.outputs.checked(torch.cat([block.output for block in self._blocks]), self.n_examples)
        self._check_each_by_itself()
        self.y = self.readout.targets(y, self.output)

    def _check_each_by_itself(self) -> None:
        """Refuse a network that predicts otherwise for an example where others are around it."""
        if self.n_examples < 3:
            return
        try:
            two = self._blocks[0].first(2).output  # with what was recorded below the layer
        except Exception:  # it takes so many examples and no fewer
            return
        if two.shape[1:] != self.output.shape[1:]:
            return
        numbers = self.output[self.output.isfinite()].double()
        spread = numbers.std().item()
        # A tenth, since quantized layers may round by the largest number of all examples.
        if not torch.allclose(two, self.output[:2], rtol=0.1, atol=0.1 * spread + 1e-6, equal_nan=True):
            raise ValueError(
                "network must predict for an example by that example alone, got something else for the first 2 of "
                f"{self.n_examples} in a forward pass of their own; let it normalize by numbers found in training, not by those "
                "of the batch, keep no count of its passes, and write into copies of what it is given"
            )

    def _passes(self, size: int) -> list[LayerPasses]:
        """Forward passes of at most so many examples each, of nearly the same number."""
        size = -(-self.n_examples // -(-self.n_examples // size))
        functional, passes = True, []
        for block in self.given.split(size):
            passes.append(LayerPasses(block, self.layer, functional=functional))
            functional = passes[0].has_functional_dropout
        return passes

    @cached_property
    def _above(self) -> Above:
        """What lies above the layer; after it, blocks are small enough for it."""
        self._looked_at = self._blocks[0]
        above = look_above(Part(self._looked_at, self.readout), self.memory)
        if above.examples_at_once < max(len(block.activations) for block in self._blocks):
            self._blocks = self._passes(above.examples_at_once)
        return above

    @cached_property
    def parts(self) -> list[Part]:
        """The examples, in parts that run together."""
        above = self._above
        parts = [Part(block, self.readout) for block in self._blocks]
        clamps = self._means if self.clamp == "mean" else None
        for part, y in zip(parts, self.y.split([part.n_examples for part in parts]), strict=True):
            part.clamps, part.y, part.above = clamps, y, dataclasses.replace(above)
        # What was found of the first block, clamped to zero, must be so of all examples, and with these clamps.
        if not all(agrees(part, above) for part in parts if part.passes is not self._looked_at or clamps is not None):
            for part in parts:
                part.above = dataclasses.replace(above, cut=None, additive=False)
        if isinstance(self.network.get_submodule(self.layer.name), nn.RNNBase):
            self._warn_if_unread(parts)
        return parts

    def _warn_if_unread(self, parts: list[Part]) -> None:
        """Say so where the network reads only the last states of a recurrent layer, which are not what is toggled."""
        none_and_all = torch.tensor([[0.0], [1.0]], device=self.device).expand(2, self.n_units)
        if all(torch.equal(*part.predictions(none_and_all)) for part in parts):
            warnings.warn(
                f"layer {self.layer.name!r} returns several tensors, and its units, those of the first, change no prediction: "
                "the network may read another, such as h_n; let it read the first, output[:, -1]",
                stacklevel=3,
            )

    @cached_property
    def h(self) -> Float[Tensor, "examples ..."]:
        """What the layer sends on by itself, examples first."""
        return torch.cat([block.activations for block in self._blocks])

    @cached_property
    def _means(self) -> Tensor:
        rows = [axis for axis in range(self.h.dim()) if axis != self.axis]
        return self.h.double().mean(rows, keepdim=True).to(self.h.dtype)

    def _check_means(self) -> None:
        if self.n_examples < 2:
            raise ValueError('clamp="mean" needs the mean over two or more examples, got 1; give more, or clamp="zero"')

    def clamped(self, clamp: Clamp) -> LayerUnits:
        """The same units with another clamp; what was computed below the layer is shared."""
        check_choice("clamp", clamp, get_args(Clamp))
        if clamp == self.clamp:
            return self
        if clamp == "mean":
            self._check_means()
        assert self._above is not None  # found once, for both
        other = copy.copy(self)
        other.clamp = clamp
        other.__dict__.pop("parts", None)
        return other

    def first(self, examples: int) -> LayerUnits:
        """The same units on the first examples only; what was computed below the layer, and means over ``x``, are shared."""
        if examples >= self.n_examples:
            return self
        assert self._above is not None
        if self.clamp == "mean":
            assert self._means is not None
        other = copy.copy(self)
        other._blocks, left = [], examples
        for block in self._blocks:
            here = min(left, len(block.activations))
            if here:
                other._blocks.append(block if here == len(block.activations) else block.first(here))
            left -= here
        other.given = self.given.take(slice(examples))
        other.y, other.output = self.y[:examples], self.output[:examples]
        for name in ("parts", "h", "activations", "rounding"):
            other.__dict__.pop(name, None)
        return other

    def judged_by_predictions(self) -> LayerUnits:
        """The same units, judged by what the intact network predicts; all that was computed is shared."""
        other = copy.copy(self)
        other.y = self.readout.targets(None, self.output)
        pieces = other.y.split([part.n_examples for part in self.parts])
        other.__dict__["parts"] = [part.judged_by(y) for part, y in zip(self.parts, pieces, strict=True)]
        return other

    @property
    def network(self) -> nn.Module:
        return self.given.network

    @property
    def x(self) -> Examples:
        """What the network is given."""
        return self.given.x

    @property
    def n_examples(self) -> int:
        return len(self.given)

    @property
    def device(self) -> torch.device:
        return self.output.device

    @property
    def sites(self) -> tuple[Site, ...]:
        """The places where the network drops in training mode, in the order of a forward pass."""
        return discover(self.given).sites

    @property
    def is_regression(self) -> bool:
        """Whether values are squared errors."""
        return self.readout.is_regression

    @property
    def is_additive(self) -> bool:
        """Whether units add to the logits, or to the values of a regression."""
        return self.parts[0].above.additive

    @cached_property
    def activations(self) -> Float[Tensor, "rows entries"]:
        """What the layer sends on by itself: a row for each example and position, a column for each entry of the unit axis."""
        return self.h.movedim(self.axis, -1).flatten(0, -2)

    @cached_property
    def rounding(self) -> float:
        """Differences of values that may be rounding: a unit whose effects are all this small has none."""
        dtype = max((self.h.dtype, self.output.dtype), key=lambda own: torch.finfo(own).eps)
        eps = torch.finfo(dtype).eps
        if eps > 1e-5:
            raise ValueError(
                f"network computes in {dtype}, whose rounding hides what single units do; give network.float(), x.float()"
            )
        return self.readout.rounding(self.output, self.y, eps)

    def predictions(self, presence: Tensor) -> Float[Tensor, "members examples ..."]:
        """What the network predicts, as its ``Outputs`` arranges it.

        Args:
            presence: How far each unit is present, 0 to 1 or bool: ``(members, units)``, or ``(members, examples, units)``.
        """
        return self._joined(presence, Part.predictions)

    def values(self, presence: Tensor) -> Float[Tensor, "members examples"]:
        r"""Value :math:`v` of each example: log-probability of the label in nats, or :math:`-\sum_k (y_k - f_k)^2`."""
        return self._joined(presence, Part.values)

    def scores(self, presence: Tensor) -> Float[Tensor, "members examples"]:
        """1 where the prediction is right, else 0, mean over positions; the squared error of a regression."""
        return self._joined(presence, Part.scores)

    def intact_values(self) -> Float[Tensor, "1 examples"]:
        """Values with all units present."""
        return self.values(torch.ones(1, self.n_units, dtype=torch.bool, device=self.device))

    def score(self, presence: Tensor) -> Float[Tensor, " members"]:
        """Accuracy, or the share of the variance that a regression explains."""
        return self.readout.total(self.scores(presence), self.y).cpu()

    def score_of(self, predictions: Float[Tensor, "members examples ..."]) -> Float[Tensor, " members"]:
        """The score of what perturbed networks predict."""
        return self.readout.total(self.readout.scores(self.readout.logits(predictions), self.y), self.y).cpu()

    def score_without(self, rank: Int[Tensor, " units"], counts: Int[Tensor, " counts"]) -> Float[Tensor, " counts"]:
        """The score without so many units, those of the lowest ranks."""
        rank, counts = rank.to(self.device), counts.to(self.device)
        scores = torch.cat([part.scores_without(rank, counts) for part in self.parts], dim=1)
        return self.readout.total(scores, self.y).cpu()

    @property
    def chance(self) -> float:
        """The score that needs no network: the share of the most frequent class, or 0, that of the mean of the targets."""
        return self.readout.chance(self.y)

    @property
    def metric(self) -> str:
        """What the score is."""
        return "R²" if self.is_regression else "accuracy"

    def _joined(self, presence: Tensor, of: Callable[[Part, Tensor], Tensor]) -> Tensor:
        return torch.cat([of(part, own) for part, own in self._split(presence)], dim=1)

    def _split(self, presence: Tensor) -> Iterator[tuple[Part, Tensor]]:
        if presence.shape[-1] != self.n_units or presence.shape[1:-1] not in ((), (self.n_examples,)):
            raise ValueError(
                f"presence must be (members, {self.n_units}) or (members, {self.n_examples}, {self.n_units}), got "
                f"{tuple(presence.shape)}"
            )
        presence = presence.to(self.device)
        sizes = [part.n_examples for part in self.parts]
        pieces: Sequence[Tensor] = presence.split(sizes, dim=1) if presence.dim() == 3 else [presence] * len(sizes)
        yield from zip(self.parts, pieces, strict=True)

    def __repr__(self) -> str:
        return f"LayerUnits({self.layer.name}: {self.n_units} units, {self.n_examples} examples, clamp {self.clamp})"
