"""Ways to say how sure a network is, on networks of one shape: what each predicts, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dropout_lessons import runtime
from dropout_lessons.arguments import check_keep_prob
from dropout_lessons.calibration import fit_temperature, nll
from dropout_lessons.datasets import Dataset, Split
from dropout_lessons.experiments.arms import Unit
from dropout_lessons.experiments.tuning import logits_of
from dropout_lessons.layers import ConcreteDropout
from dropout_lessons.networks import MLP, evaluating, modes_restored
from dropout_lessons.training.run import seeded

__all__ = [
    "MAKERS",
    "TUNED_BY",
    "WAYS",
    "FixedMasks",
    "LastLayerLaplace",
    "Way",
    "concrete_loss",
    "features",
    "halves",
    "learned_keep_probs",
    "masksembles",
    "subnetworks",
    "with_learned",
]

#: The ways, in the order of the table, with the arm whose networks they use.
WAYS = {
    "one network": "plain",
    "one network, temperature": "plain",
    "last-layer Laplace": "plain",
    "dropout, weight scaling": "dropout",
    "MC dropout": "dropout",
    "concrete dropout": "concrete",
    "Masksembles": "masksembles",
    "ensemble": "plain",
    "ensemble with dropout": "dropout",
}
_PRIOR_PRECISIONS: list[float] = torch.logspace(-2, 3, 16, dtype=torch.float64).tolist()


@dataclass(frozen=True)
class Way:
    """A way to predict: the probabilities that its members give, and what it costs.

    Attributes:
        members: From inputs to probabilities, shape (members, examples, classes).
        trained: Networks that are trained.
        passes: Forward passes for one prediction.
        numbers: Numbers that are kept.
    """

    members: Callable[[Tensor], Float[Tensor, "members examples classes"]]
    trained: int
    passes: int
    numbers: int


@torch.no_grad()
def subnetworks(
    network: nn.Module, x: Float[Tensor, "examples inputs"], draws: int, seed: int
) -> Float[Tensor, "draws examples classes"]:
    """Probabilities of subnetworks that are drawn anew for each example: a network with dropout on, called so many times."""
    with modes_restored(network), torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
        seeded(seed, x.device)
        network.train()
        return torch.stack([network(x).double().softmax(1) for _ in range(draws)])


class FixedMasks(nn.Module):
    """A few masks, drawn once, that training and test share: row i of a batch has mask i modulo their number.

    Each mask keeps the same number of units, which are multiplied by the width over that number.

    Args:
        width: Number of units.
        masks: Number of masks.
        keep_prob: Fraction of the units that a mask keeps.
        generator: Draws the masks.

    Shape:
        Input and output: (batch, width).

    Example:
        >>> layer = FixedMasks(8, masks=2, keep_prob=0.5, generator=runtime.generator(0))
        >>> (layer(torch.ones(4, 8)) == 2).sum(1).tolist()
        [4, 4, 4, 4]

    Source: Durasov et al. 2021, "Masksembles for uncertainty estimation", Section 3.
    """

    masks: Tensor

    def __init__(self, width: int, *, masks: int, keep_prob: float, generator: torch.Generator) -> None:
        super().__init__()
        kept = max(1, round(width * check_keep_prob(keep_prob)))
        ranks = torch.rand(masks, width, generator=generator).argsort(1).argsort(1)
        self.register_buffer("masks", (ranks < kept).float() * width / kept)

    def forward(self, x: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
        """Multiply each row by its mask."""
        return x * self.masks.to(x.dtype)[torch.arange(len(x), device=x.device) % len(self.masks)]


def masksembles(sizes: Sequence[int], *, masks: int, keep_prob: float, generator: torch.Generator) -> MLP:
    """An MLP with fixed masks on its hidden units; each row of a batch runs the network of one mask."""
    network = MLP(sizes, generator=generator)
    for name, width in zip(network.hidden_names, sizes[1:-1], strict=True):
        network.add_module(f"{name}_dropout", FixedMasks(width, masks=masks, keep_prob=keep_prob, generator=generator))
    return network


def concrete_loss(network: MLP, examples: int, length: float = 0.01) -> Callable[[Tensor, Tensor], Tensor]:
    r"""The loss under which an MLP of :class:`ConcreteDropout` learns its keep probabilities, a function of logits and labels.

    .. math:: \text{cross-entropy} + \frac{1}{N} \sum_l \Big(\frac{\ell^2}{2 p_l} \lVert W_l \rVert^2 - K_l H(p_l)\Big)

    over layers :math:`l` with :math:`K_l` inputs, whose units are kept with probability :math:`p_l`.

    Args:
        network: An MLP of ``ConcreteDropout``.
        examples: :math:`N`, the number of training examples.
        length: :math:`\ell`, the prior's length scale.

    Source: Gal, Hron and Kendall 2017, equations 3 and 4.
    """
    layers = list(_layers(network))

    def loss(logits: Tensor, y: Tensor) -> Tensor:
        total = F.cross_entropy(logits, y)
        for dropout, weight in layers:
            size = length**2 / 2 * weight.square().sum() / dropout.keep_logit.sigmoid()
            total = total + (size - weight.shape[1] * dropout.entropy()) / examples
        return total

    return loss


def _layers(network: MLP) -> Iterator[tuple[ConcreteDropout, Tensor]]:
    """Each dropout layer with the weights that read it."""
    dropouts = ["input_dropout", *(f"{name}_dropout" for name in network.hidden_names)]
    readers = [*network.hidden_names, "output"]
    for dropout, reader in zip(dropouts, readers, strict=True):
        layer, linear = network.get_submodule(dropout), network.get_submodule(reader)
        assert isinstance(layer, ConcreteDropout)
        assert isinstance(linear, nn.Linear)
        yield layer, linear.weight


def learned_keep_probs(network: MLP) -> list[float]:
    """Keep probabilities of an MLP of ``ConcreteDropout``, the inputs' first."""
    return [dropout.keep_prob for dropout, _ in _layers(network)]


def with_learned(network: MLP) -> MLP:
    """The same weights with hard masks, at the keep probabilities that an MLP of ``ConcreteDropout`` learned."""
    first, *others = learned_keep_probs(network)
    hard = MLP(network.sizes, input_keep_prob=first, keep_prob=others)
    state = {name: value for name, value in network.state_dict().items() if not name.endswith("keep_logit")}
    hard.load_state_dict(state)
    return hard.to(next(network.parameters()).device).eval()


@torch.no_grad()
def features(network: MLP, x: Float[Tensor, "examples inputs"]) -> Float[Tensor, "examples units_and_one"]:
    """What the last layer of a plain MLP reads, with a one for its bias, in double precision."""
    h = x
    with evaluating(network):
        for name in network.hidden_names:
            h = network.get_submodule(name)(h)
    return torch.cat([h, torch.ones_like(h[:, :1])], dim=1).double()


class LastLayerLaplace:
    r"""A Gaussian over the weights of the last layer, around those that were trained.

    Its precision is :math:`N A \otimes G + \tau I`, with :math:`A` the mean of :math:`h h^\top` over the :math:`N` training
    examples and :math:`G` that of :math:`\mathrm{diag}(q) - q q^\top`. So the logits of an input are Gaussian, too.

    Args:
        network: A plain MLP.
        x: Its training inputs.

    Source: Ritter et al. 2018; Daxberger et al. 2021, Sections 2 and 3.
    """

    def __init__(self, network: MLP, x: Float[Tensor, "examples inputs"]) -> None:
        self.network, self.examples = network, len(x)
        last = network.output
        assert isinstance(last, nn.Linear)
        self.weights = torch.cat([last.weight, last.bias[:, None]], dim=1).detach().double()
        h = features(network, x)
        q = (h @ self.weights.T).softmax(1)
        self.a, self.a_axes = torch.linalg.eigh(h.T @ h / len(x))
        self.g, self.g_axes = torch.linalg.eigh(torch.diag(q.mean(0)) - q.T @ q / len(x))

    @property
    def numbers(self) -> int:
        """Numbers that are kept beside the network's."""
        return sum(len(each.flatten()) for each in (self.a, self.a_axes, self.g, self.g_axes))

    def logits(
        self, x: Float[Tensor, "examples inputs"], precision: float, draws: int, generator: torch.Generator
    ) -> Float[Tensor, "draws examples classes"]:
        r"""Draw logits of each input, with :math:`\tau` as given."""
        h = features(self.network, x)
        spread = 1 / (self.examples * self.a.clamp(min=0)[:, None] * self.g.clamp(min=0) + precision)
        std = ((h @ self.a_axes).square() @ spread).sqrt()  # in the axes of G, where the logits are independent
        noise = torch.randn(draws, *std.shape, generator=generator, dtype=std.dtype).to(std.device)
        logits: Tensor = h @ self.weights.T + (noise * std) @ self.g_axes.T
        return logits

    def fitted(self, tuning: Split, draws: int, seed: int) -> float:
        r"""The :math:`\tau` with the smallest loss on examples that were not trained on."""
        losses: dict[float, float] = {}
        for precision in _PRIOR_PRECISIONS:
            drawn = self.logits(tuning.x, precision, draws, runtime.generator(seed))
            losses[precision] = nll(drawn.softmax(2).mean(0).log(), tuning.y)
        return min(losses, key=losses.__getitem__)


def _size(networks: list[MLP]) -> int:
    return sum(len(parameter.flatten()) for network in networks for parameter in network.parameters())


def _scaled(networks: list[MLP], count: int) -> Way:
    """Networks with nothing dropped, averaged."""
    used = networks[:count]
    return Way(lambda x: logits_of(used, x).softmax(2), len(used), len(used), _size(used))


def _tempered(networks: list[MLP], data: Dataset, unit: Unit) -> Way:
    own, held_out = networks[:1], halves(data)[0]
    temperature = fit_temperature(logits_of(own, held_out.x)[0], held_out.y)
    return Way(lambda x: (logits_of(own, x) / temperature).softmax(2), 1, 1, _size(own) + 1)


def _laplace(networks: list[MLP], data: Dataset, unit: Unit) -> Way:
    laplace, draws = LastLayerLaplace(networks[0], data.train.x), unit["draws"]
    precision = laplace.fitted(halves(data)[0], draws, unit.seed)

    def members(x: Tensor) -> Tensor:
        return laplace.logits(x, precision, draws, runtime.generator(unit.seed)).softmax(2)

    return Way(members, 1, 1, _size(networks[:1]) + laplace.numbers)


def _monte_carlo(networks: list[MLP], data: Dataset, unit: Unit) -> Way:
    own, draws = networks[0], unit["draws"]
    return Way(lambda x: subnetworks(own, x, draws, unit.seed), 1, draws, _size([own]))


def _concrete(networks: list[MLP], data: Dataset, unit: Unit) -> Way:
    return _monte_carlo([with_learned(networks[0])], data, unit)


def _masksembles(networks: list[MLP], data: Dataset, unit: Unit) -> Way:
    [own], masks = networks, unit["members"]

    def members(x: Tensor) -> Tensor:
        return logits_of([own], x.repeat_interleave(masks, 0))[0].softmax(1).view(len(x), masks, -1).movedim(1, 0)

    bits = sum(buffer.numel() for buffer in own.buffers())
    return Way(members, 1, masks, _size([own]) + bits)


_Make = Callable[[list[MLP], Dataset, Unit], Way]
MAKERS: dict[str, _Make] = {
    "one network": lambda networks, data, unit: _scaled(networks, 1),
    "one network, temperature": _tempered,
    "last-layer Laplace": _laplace,
    "dropout, weight scaling": lambda networks, data, unit: _scaled(networks, 1),
    "MC dropout": _monte_carlo,
    "concrete dropout": _concrete,
    "Masksembles": _masksembles,
    "ensemble": lambda networks, data, unit: _scaled(networks, len(networks)),
    "ensemble with dropout": lambda networks, data, unit: _scaled(networks, len(networks)),
}
#: By which way the candidates of each arm are judged.
TUNED_BY = {
    "plain": MAKERS["one network"],
    "dropout": _monte_carlo,
    "concrete": _concrete,
    "masksembles": _masksembles,
}


def halves(data: Dataset) -> tuple[Split, Split]:
    """Held-out examples for what a way fits after training, and others for the threshold of conformal sets."""
    x, y = data.validation
    half = len(y) // 2
    return Split(x[:half], y[:half]), Split(x[half:], y[half:])
