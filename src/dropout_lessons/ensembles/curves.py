"""Many small networks that each fit a curve in one dimension, side by side: where one can see what they do."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from dropout_lessons import runtime
from dropout_lessons.arguments import check_count, check_keep_prob, check_number

_WIDTH = 64


def curve_points(seed: int, n: int = 20, *, gap: float = 0.0) -> tuple[Float[Tensor, "n 1"], Float[Tensor, "n 1"]]:
    r"""Draw noisy points of a curve, :math:`y = 0.8 \sin 3x + \varepsilon` with :math:`\varepsilon \sim N(0, 1/16)`.

    Args:
        seed: Decides the points.
        n: Number of points.
        gap: No point has :math:`|x|` below this; the others fill the rest of [-1, 1].

    Example:
        >>> x, y = curve_points(0, n=5, gap=0.4)
        >>> x.shape, bool((x.abs() >= 0.4).all())
        (torch.Size([5, 1]), True)
    """
    check_count("seed", seed, at_least=0)
    check_count("n", n, at_least=0)
    check_number("gap", gap, "in [0, 1)", at_least=0, below=1)
    generator = runtime.generator(seed)
    x = 2 * torch.rand(n, 1, generator=generator) - 1
    if gap:
        x = x.sign() * (gap + (1 - gap) * x.abs())
    return x, 0.8 * torch.sin(3 * x) + 0.25 * torch.randn(n, 1, generator=generator)


class CurveNetworks:
    """Networks of two layers of 64 ReLU units, one input and one output, as one stack.

    Wide first weights let a network bend anywhere between -1 and 1.

    Args:
        layers: Weights and biases of the three layers in turn, networks first.

    Example:
        >>> networks = CurveNetworks.drawn([0, 1])
        >>> networks(torch.zeros(2, 5, 1)).shape
        torch.Size([2, 5])
    """

    def __init__(self, layers: Sequence[Tensor]) -> None:
        self.layers = list(layers)

    @classmethod
    def drawn(cls, seeds: Sequence[int]) -> CurveNetworks:
        """Untrained networks, with initial weights of one seed each."""
        draws = [runtime.generator(seed, stream="weights") for seed in seeds]

        def normal(*shape: int) -> Tensor:
            return torch.stack([torch.randn(*shape, generator=draw) for draw in draws])

        he = (2 / _WIDTH) ** 0.5
        first = 3 * normal(1, _WIDTH)
        kinks = 6 * torch.stack([torch.rand(1, _WIDTH, generator=draw) for draw in draws]) - 3
        second = he * normal(_WIDTH, _WIDTH)
        biases = torch.zeros(len(draws), 1, _WIDTH)
        return cls([first, kinks, second, biases, he * normal(_WIDTH, 1), torch.zeros(len(draws), 1, 1)])

    def of(self, rows: Sequence[int]) -> CurveNetworks:
        """Some of the networks."""
        return CurveNetworks([layer[list(rows)] for layer in self.layers])

    @property
    def weights(self) -> list[Tensor]:
        """The weights of the three layers, networks first."""
        return self.layers[::2]

    def hidden(
        self, x: Float[Tensor, "networks points 1"], masks: tuple[Tensor, Tensor] | None = None
    ) -> Float[Tensor, "networks points units"]:
        """What the units of the second layer send; masks are factors of the units of both layers."""
        first, second = (1.0, 1.0) if masks is None else masks
        w1, b1, w2, b2, *_ = self.layers
        h: Tensor = torch.relu((torch.relu(x @ w1 + b1) * first) @ w2 + b2) * second
        return h

    def terms(
        self, x: Float[Tensor, "networks points 1"], masks: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Float[Tensor, "networks points units"], Float[Tensor, "networks 1 1"]]:
        """What each unit of the second layer adds to the output, and the bias."""
        *_, w3, b3 = self.layers
        return self.hidden(x, masks) * w3.transpose(1, 2), b3

    def __call__(
        self, x: Float[Tensor, "networks points 1"], masks: tuple[Tensor, Tensor] | None = None
    ) -> Float[Tensor, "networks points"]:
        """The curves."""
        terms, bias = self.terms(x, masks)
        return terms.sum(2) + bias[:, :, 0]

    def thinned(
        self, x: Float[Tensor, "networks points 1"], keep_prob: float, draws: int, generator: torch.Generator
    ) -> Float[Tensor, "draws networks points"]:
        """Curves of thinned networks, each with one mask for the whole curve."""
        p = check_keep_prob(keep_prob)
        shape = (draws, 2, len(self.layers[0]), 1, _WIDTH)
        masks = (torch.rand(shape, generator=generator) < p) / p
        return torch.stack([self(x, (first, second)) for first, second in masks])


def train_curves(
    x: Float[Tensor, "networks points 1"],
    y: Float[Tensor, "networks points 1"],
    *,
    seeds: Sequence[int],
    keep_prob: Sequence[float] | float = 1.0,
    weight_decay: Sequence[float] | float = 0.0,
    steps: int = 2000,
) -> CurveNetworks:
    r"""Train a stack of curve networks: all points in each step, by Adam with a rate that falls to zero.

    Args:
        x: Inputs of each network.
        y: Targets of each network.
        seeds: Of the initial weights, one for each network.
        keep_prob: Of hidden units: one, or one for each network. Each point has its own mask.
        weight_decay: :math:`\lambda` of an L2 penalty: one, or one for each network.
        steps: Number of steps.

    Example:
        >>> x, y = curve_points(0)
        >>> networks = train_curves(x[None], y[None], seeds=[0], steps=200)
        >>> bool((networks(x[None]) - y.T).square().mean() < y.var())
        True
    """
    networks = CurveNetworks.drawn(seeds)
    layers = [layer.requires_grad_() for layer in networks.layers]
    keep, decay = (_one_each(value, len(seeds)) for value in (keep_prob, weight_decay))
    optimizer = torch.optim.Adam(layers, lr=5e-3)
    rate = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    generator = runtime.generator(0, stream="masks")
    for _ in itertools.repeat(None, steps):
        first, second = (torch.rand(2, *x.shape[:2], _WIDTH, generator=generator) < keep) / keep
        fit = (networks(x, (first, second)) - y[:, :, 0]).square().mean(1)
        size = sum((decay / 2 * weight.square()).sum() for weight in networks.weights)
        optimizer.zero_grad()
        (fit.sum() + size).backward()
        optimizer.step()
        rate.step()
    return CurveNetworks([layer.detach() for layer in layers])


def _one_each(values: Sequence[float] | float, n: int) -> Float[Tensor, "n 1 1"]:
    several = [float(values)] * n if isinstance(values, (int, float)) else list(values)
    if len(several) != n:
        raise ValueError(f"keep_prob and weight_decay must be one number, or one for each of {n} seeds, got {several}")
    return torch.tensor(several)[:, None, None]
