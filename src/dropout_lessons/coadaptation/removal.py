"""What a network loses when units are removed: one by one in a random order, and together against one at a time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dropout_lessons.arguments import check_count, checked_counts, own_generator
from dropout_lessons.coadaptation.estimate import Estimate, standard_error
from dropout_lessons.coadaptation.units import LayerUnits, check_asked
from dropout_lessons.masks import enumerate_masks
from dropout_lessons.runtime import progress_bar

Perturbation = Literal["zero clamp", "mean clamp", "activation noise", "weight noise", "input corruption"]

# Sets of so many units are all enumerated.
ENUMERABLE = 12


@dataclass(frozen=True, eq=False)
class Curve:
    r"""How well a network does while it is perturbed more and more.

    Attributes:
        perturbation: What is done to the network.
        level: How much: the share of the units removed, the noise's standard deviation in units of what it is added to,
            or the share of the features replaced. The first is 0, the intact network.
        score: Accuracy, a fraction; for regression :math:`R^2`. One row for each draw, or one row of exact means.
        chance: What needs no network: the share of the most frequent label; for regression 0, the score of the mean.
        metric: ``"accuracy"`` or ``"R²"``.
        exact: Whether the score is the mean over all possible draws.

    Example:
        >>> level, score = torch.tensor([0.0, 0.5, 1.0]), torch.tensor([[0.9, 0.5, 0.1]])
        >>> print(Curve("zero clamp", level, score, chance=0.1, exact=True).area)
        0.500 (exact)
    """

    perturbation: Perturbation
    level: Float[Tensor, " levels"]
    score: Float[Tensor, "draws levels"]
    chance: float
    metric: str = "accuracy"
    exact: bool = False

    @property
    def mean(self) -> Float[Tensor, " levels"]:
        """Mean score over the draws."""
        return self.score.double().mean(dim=0)

    @property
    def area(self) -> Estimate:
        r"""Share of its lead over chance that the network keeps, mean over the levels.

        .. math:: \frac{1}{\ell_{\max}} \int_0^{\ell_{\max}} \frac{s(\ell) - s_{\text{chance}}}{s(0) - s_{\text{chance}}}\,d\ell

        by the trapezoid rule: 1 for a score that never falls, near 0 for one that falls to chance at once, below 0 where the
        network becomes worse than chance. A network that is no better than chance has nothing to lose: 0 by definition.
        """
        draws = None if self.exact else len(self.score)
        score, level = self.score.double(), self.level.double()
        lead = (score[:, :1] - self.chance).mean()
        if lead < 1e-6:  # up to rounding; one right answer more is a larger lead
            return Estimate(0.0, 0.0, draws)
        areas = torch.trapezoid((score - self.chance) / lead, level, dim=1) / (level[-1] - level[0])
        return Estimate(areas.mean().item(), 0.0 if self.exact else standard_error(areas), draws)


def ablation_curve(
    units: LayerUnits,
    *,
    orders: int | None = None,
    points: int | None = None,
    generator: torch.Generator | None = None,
    progress: bool = True,
) -> Curve:
    r"""Remove a layer's units in a random order, and score the network on the way.

    .. math:: s(k) = \mathbb E_{\lvert T \rvert = k} \big[\text{accuracy without the units in } T\big]

    All examples share an order. A network trained with dropout has met this perturbation in training, up to the share that it
    dropped: that it stands it better is what it was trained for, and says little about anything else.

    Args:
        units: The units, on their examples, with what a removed one sends on.
        orders: Number of random orders. When None, 20, and for up to 12 units all sets of each size: the exact mean.
        points: How many numbers of removed units, evenly spaced from none to all; when None, every number.
        generator: Source of the orders. When None, a copy of PyTorch's global generator, which stays as it is.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> from dropout_lessons import MLP
        >>> units = LayerUnits(MLP([4, 8, 3]), "hidden1", torch.randn(20, 4), torch.arange(20) % 3)
        >>> curve = ablation_curve(units)
        >>> curve.level.tolist()
        [0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0]
        >>> curve.area.exact
        True

    Source: Morcos et al. 2018, "On the importance of single directions for generalization", Figures 1 and 2.
    """
    check_asked(units, generator)
    check_count("orders", orders, at_least=1, optional=True)
    check_count("points", points, at_least=2, optional=True)
    n = units.n_units
    exact = orders is None and n <= ENUMERABLE
    removed = torch.linspace(0, n, n + 1 if points is None else min(points, n + 1), dtype=torch.float64).round().long()
    if exact:
        present = enumerate_masks(n)
        scores, missing = units.score(present), n - present.sum(dim=1)
        rows = torch.stack([scores[missing == k].mean() for k in removed.tolist()]).unsqueeze(0)
    else:
        ranks = _random_ranks(orders or 20, n, generator).unbind()
        bar = progress_bar(ranks, "ablation", unit="order", show=progress)
        rows = torch.stack([units.score_without(rank, removed) for rank in bar])
    perturbation: Perturbation = "zero clamp" if units.clamp == "zero" else "mean clamp"
    return Curve(perturbation, removed.double() / n, rows, units.chance, units.metric, exact)


@dataclass(frozen=True, eq=False)
class Compensation:
    r"""What sets of units cost together, against the sum of what their units cost one at a time.

    Attributes:
        sizes: Numbers of units removed together.
        ratio: ``set_damage / summed_damage``. 1: the damages add up. Above 1: others make up for a missing unit, and no
            longer do when they are missing too. 1 where both damages are 0, infinite where only the summed one is.
        stderr: Standard error of the ratio from drawing the sets; 0 where all sets of the size were taken.
        set_damage: What removing a set costs, mean over sets and examples: nats of the label's log-probability; for
            regression squared error.
        summed_damage: What removing its units one at a time costs in sum, mean over the same sets and examples.
        single_damage: What removing each unit alone costs, mean over examples.
    """

    sizes: Int[Tensor, " sizes"]
    ratio: Float[Tensor, " sizes"]
    stderr: Float[Tensor, " sizes"]
    set_damage: Float[Tensor, " sizes"]
    summed_damage: Float[Tensor, " sizes"]
    single_damage: Float[Tensor, " units"]


def compensation(
    units: LayerUnits,
    sizes: Sequence[int] | None = None,
    *,
    sets: int = 50,
    generator: torch.Generator | None = None,
    progress: bool = True,
) -> Compensation:
    r"""Compare the damage of removing a set of units with the sum of the damages of removing them one at a time.

    .. math:: \frac{\mathbb E_T \big[v(\text{all}) - v(\text{all} \setminus T)\big]}
                   {\mathbb E_T \big[\sum_{i \in T} v(\text{all}) - v(\text{all} \setminus i)\big]},
              \qquad \lvert T \rvert = k

    with :math:`v` the label's log-probability. The ratio is 1 if the units' effects add up, and large if the units cover for each
    other, or if the network is so sure that little less evidence costs nothing: compare networks at one scale of the logits.

    Use examples that the network gets right, such as its training examples, or ``units.judged_by_predictions()``. On new
    examples many units do harm when the network is too sure, and where it is calibrated single damages cancel, since a
    slightly smaller scale of the logits then costs nothing: the ratio means nothing, as a ``summed_damage`` near or below 0
    shows. Sets are drawn from all units, those without any effect too: more of these make a set of one size do less.

    Args:
        units: The units, on their examples, with what a removed one sends on.
        sizes: Numbers of units to remove; when None, 1, 2, 4, ... and all.
        sets: Sets drawn for each size, the smaller inside the larger; where there are no more than that, all are taken.
        generator: Source of the sets. When None, a copy of PyTorch's global generator, which stays as it is.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> from dropout_lessons import MLP
        >>> units = LayerUnits(MLP([4, 8, 3]), "hidden1", torch.randn(20, 4), torch.arange(20) % 3)
        >>> result = compensation(units)
        >>> result.sizes.tolist(), result.ratio[0].item()
        ([1, 2, 4, 8], 1.0)

    Source: McGrath et al. 2023, "The Hydra effect", ask it of attention layers; for units it is this course's.
    """
    check_asked(units, generator)
    check_count("sets", sets, at_least=2)
    n = units.n_units
    if sizes is None:
        sizes = sorted({*(2**i for i in range(n.bit_length())), n})
    sizes = checked_counts(
        "sizes", sizes, f"whole numbers from 1 to {n}, the units of {units.layer.name!r}", fewest=1, at_most=n
    )

    def damage(present: Tensor) -> Tensor:
        return (intact - units.values(present).mean(dim=1)).cpu()

    intact = units.intact_values().mean(dim=1)
    single = damage(~torch.eye(n, dtype=torch.bool))
    ranks = _random_ranks(sets, n, generator)
    columns: list[tuple[float, float, float, float]] = []
    for size in progress_bar(list(sizes), "compensation", unit="size", show=progress):
        exact = math.comb(n, size) <= max(sets, n if size == 1 else 0)
        missing = _all_sets(n, size) if exact else ranks < size
        together = single if size == 1 and exact else damage(~missing)
        columns.append(_ratio(together, missing.double() @ single, exact, size * units.rounding))
    ratio, stderr, set_damage, summed_damage = torch.tensor(columns, dtype=torch.float64).unbind(1)
    return Compensation(torch.tensor(list(sizes)), ratio, stderr, set_damage, summed_damage, single)


def _all_sets(n_units: int, size: int) -> Bool[Tensor, "sets units"]:
    members = torch.tensor(list(itertools.combinations(range(n_units), size)))
    return torch.zeros(len(members), n_units, dtype=torch.bool).scatter_(1, members, True)


def _ratio(
    together: Float[Tensor, " sets"], summed: Float[Tensor, " sets"], exact: bool, rounding: float
) -> tuple[float, float, float, float]:
    """Ratio of means with its standard error by the delta method, and the two means."""
    above, below = together.mean().item(), summed.mean().item()
    if abs(below) <= rounding:
        return (1.0 if abs(above) <= rounding else math.copysign(math.inf, above)), 0.0, above, below
    ratio = above / below
    stderr = 0.0 if exact else standard_error(together - ratio * summed) / abs(below)
    return ratio, stderr, above, below


def _random_ranks(orders: int, n_units: int, generator: torch.Generator | None) -> Int[Tensor, "orders units"]:
    """The place of each unit in some random orders."""
    generator = own_generator(generator)
    keys = torch.rand(orders, n_units, generator=generator, device=generator.device, dtype=torch.float64).cpu()
    return keys.argsort(dim=1).argsort(dim=1)
