"""How much of what units do is theirs alone, and how much depends on which others are present."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dropout_lessons.arguments import check_count, check_keep_prob, own_generator
from dropout_lessons.coadaptation.damage import keep_prob_for_damage
from dropout_lessons.coadaptation.estimate import Estimate
from dropout_lessons.coadaptation.pairs import difference, toggled_in_contexts, without
from dropout_lessons.coadaptation.units import LayerUnits, check_asked
from dropout_lessons.masks import enumerate_masks, mask_log_prob, sample_mask
from dropout_lessons.runtime import progress_bar

# All sets of so many units are enumerated.
_ENUMERABLE = 15
_CONTEXTS = 32
_GROUPS = 16  # of masks, each left out once for the standard error


def interaction_share(
    units: LayerUnits,
    keep_prob: float = 0.5,
    *,
    samples: int | None = None,
    generator: torch.Generator | None = None,
    progress: bool = True,
) -> Estimate:
    r"""Share of the variance under random masks that no sum of the units' own effects explains.

    .. math:: 1 - \frac{\sum_x \sum_i \operatorname{Var}_z \mathbb E[v \mid z_i]}{\sum_x \operatorname{Var}_z v}
              = \frac{\sum_x \min_{a, b} \mathbb E_z \big(v(z) - a - \sum_i b_i z_i\big)^2}{\sum_x \operatorname{Var}_z v},
              \qquad z_i \sim \mathrm{Bernoulli}(p)

    with :math:`v(z)` the log-probability of the label: 1 minus the sum of the first-order Sobol indices of the units. 0 if
    units add up, each doing the same whichever others are present; 0 too where the masks change nothing. With masks drawn, it
    is the residual variance of a least-squares fit, adjusted for the :math:`n + 1` coefficients; a jackknife over groups of
    masks takes off what bias is left, and gives the error.

    Args:
        units: The units, on their examples.
        keep_prob: Probability :math:`p` that a unit is present.
        samples: Number of masks drawn, which the examples share: more than units. When None, all :math:`2^n` for up to
            15 units, else 4 for each unit and at least 1024.
        generator: Source of the masks. When None, a copy of PyTorch's global generator, which stays as it is.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> from dropout_lessons.networks import MLP
        >>> units = LayerUnits(MLP([4, 8, 3]), "hidden1", torch.randn(20, 4))
        >>> 0 <= interaction_share(units).value < 1
        True

    Source: Sobol 1993 for the indices; to ask them of hidden units under dropout's masks is this course's proposal.
    """
    check_asked(units, generator)
    check_keep_prob(keep_prob)
    n = units.n_units
    fewest = math.ceil((n + 2) * _GROUPS / (_GROUPS - 1))
    check_count("samples", samples, at_least=max(fewest, _GROUPS), optional=True)
    if keep_prob == 1:
        return Estimate(0.0)
    if samples is None and n <= _ENUMERABLE:
        degrees = sum(degree_variances(part.table(), keep_prob) for part in units.parts)
        assert isinstance(degrees, Tensor)
        has_variance = degrees[1:].sum() > units.n_examples * units.rounding**2
        return Estimate(1 - (degrees[1] / degrees[1:].sum()).item() if has_variance else 0.0)
    samples = samples or max(4 * n, 1024)
    masks = sample_mask((samples, n), keep_prob, generator=own_generator(generator)).to(units.device)
    groups: list[_Moments] = []
    for group in progress_bar(masks.tensor_split(_GROUPS), "masks", unit="group", show=progress):
        values = units.values(group)
        if not groups:
            center = values.mean(0)  # roughly, so that no digits cancel
        groups.append(_Moments.of(group, values - center, keep_prob))
    return _unexplained(groups, units, samples)


def share_at_equal_damage(units: LayerUnits, generator: torch.Generator | None = None, damage: float = 0.2) -> float:
    """The interaction share at the keep probability at which absent units cost a given amount.

    The same masks hurt one network more than another, and what hurts more is less of a sum of its parts; so networks are compared
    where they are hurt alike.

    Args:
        units: The units, on their examples.
        generator: Source of the masks, the same for finding the keep probability and for the share. When None, a copy of
            PyTorch's global generator, which stays as it is.
        damage: In nats (for regression in squared units).

    Raises:
        ValueError: If an argument is out of range, or the layer's absence costs less than ``damage``.

    Example:
        >>> from dropout_lessons.networks import MLP
        >>> network = MLP([4, 8, 3], generator=torch.Generator().manual_seed(0))
        >>> 0 <= share_at_equal_damage(LayerUnits(network, "hidden1", torch.eye(4)), damage=0.01) < 1
        True
    """
    check_asked(units, generator)
    generator = own_generator(generator)
    state = generator.get_state()
    keep_prob = keep_prob_for_damage(units, damage, samples=64, generator=generator)
    generator.set_state(state)
    return interaction_share(units, keep_prob, generator=generator, progress=False).value


def degree_variances(table: Float[Tensor, "sets examples"], keep_prob: float) -> Float[Tensor, " degrees"]:
    r"""Variance of each degree in the units, :math:`W_0` (the squared mean) to :math:`W_n`, summed over the examples.

    The value is a sum of products of :math:`\phi(z_i) = (z_i - p) / \sqrt{p (1 - p)}`, which are orthonormal; :math:`W_k` is
    the sum of the squared coefficients of the products of :math:`k` of them.

    Args:
        table: Values of all sets of units, in the order of ``enumerate_masks``.
        keep_prob: :math:`p`.
    """
    n = len(table).bit_length() - 1
    spread = math.sqrt(keep_prob * (1 - keep_prob))
    for i in range(n):
        absent, present = table.unflatten(0, (-1, 2, 2**i)).unbind(1)
        mean = keep_prob * present + (1 - keep_prob) * absent
        table = torch.stack([mean, spread * (present - absent)], dim=1).flatten(0, 2)
    degree = enumerate_masks(n).sum(1).to(table.device)
    return table.new_zeros(n + 1).index_add_(0, degree, table.square().sum(1))


@dataclass(frozen=True, eq=False)
class _Moments:
    """Sums over some masks: of products of regressors, of these with values, and of squared values."""

    gram: Float[Tensor, "coefficients coefficients"]
    cross: Float[Tensor, "coefficients examples"]
    squares: Float[Tensor, " examples"]
    count: int

    @classmethod
    def of(cls, masks: Bool[Tensor, "masks units"], values: Float[Tensor, "masks examples"], keep: float) -> _Moments:
        centered = (masks.double() - keep) / math.sqrt(keep * (1 - keep))
        x = torch.cat([torch.ones_like(centered[:, :1]), centered], dim=1)
        return cls(x.T @ x, x.T @ values, values.square().sum(0), len(masks))

    def __add__(self, other: _Moments) -> _Moments:
        return _Moments(
            self.gram + other.gram, self.cross + other.cross, self.squares + other.squares, self.count + other.count
        )

    def __sub__(self, other: _Moments) -> _Moments:
        return _Moments(
            self.gram - other.gram, self.cross - other.cross, self.squares - other.squares, self.count - other.count
        )

    def variances(self) -> tuple[float, float]:
        """Residual and total variance, summed over the examples."""
        factor, failed = torch.linalg.cholesky_ex(self.gram)
        if not failed and factor.diagonal().square().min() > 1e-6 * self.count:  # a fifth of the time
            rank = len(factor)
            explained = torch.linalg.solve_triangular(factor, self.cross, upper=False).square().sum(0)
        else:
            values, vectors = torch.linalg.eigh(self.gram)
            held = values > 1e-9 * values[-1]  # a unit that is present in all masks is no regressor
            rank = int(held.sum())
            explained = ((vectors.T @ self.cross)[held].square() / values[held, None]).sum(0)
        residual = (self.squares - explained).sum().clamp(min=0) / (self.count - rank)
        total = (self.squares - self.cross[0].square() / self.count).sum() / (self.count - 1)
        return residual.item(), total.item()


def _unexplained(groups: list[_Moments], units: LayerUnits, samples: int) -> Estimate:
    everything = groups[0]
    for group in groups[1:]:
        everything = everything + group

    def share(moments: _Moments) -> float:
        residual, total = moments.variances()
        return residual / total if total > units.n_examples * units.rounding**2 else 0.0

    without_one = torch.tensor([share(everything - group) for group in groups], dtype=torch.float64)
    # The jackknife also takes off what is left of the bias where large residuals meet rare masks, as they do for p other
    # than 1/2.
    value = len(groups) * share(everything) - (len(groups) - 1) * without_one.mean().item()
    return Estimate(value, _jackknife(without_one), samples)


def _jackknife(without_one: Float[Tensor, " parts"]) -> float:
    """Standard error of a statistic from its values when each part of the draws is left out."""
    left = without_one - without_one.mean()
    return math.sqrt((len(left) - 1) * left.square().mean().item())


@dataclass(frozen=True, eq=False, repr=False)
class Reliance:
    r"""How much the units' effects depend on which other units are present.

    Attributes:
        units: For each unit :math:`\operatorname{Var}_S D_i / \mathbb E_S D_i^2`, sums over examples: 0 for a unit that does
            the same in every context, near 1 for one whose effect has either sign. 0 for a unit without effect.
        overall: The same with sums over units too.
    """

    units: Float[Tensor, " units"]
    overall: Estimate

    def __repr__(self) -> str:
        return f"Reliance({len(self.units)} units: overall {self.overall})"


def reliance(
    units: LayerUnits,
    keep_prob: float = 0.5,
    *,
    contexts: int | None = None,
    generator: torch.Generator | None = None,
    progress: bool = True,
) -> Reliance:
    r"""Share of what a unit does that depends on which other units are present.

    .. math:: \frac{\sum_x \operatorname{Var}_S D_i(S)}{\sum_x \mathbb E_S D_i(S)^2}, \qquad D_i(S) = v(S \cup i) - v(S)

    with :math:`v(S)` the log-probability of the label when only the units in :math:`S` are present; :math:`S` has each other
    unit with probability ``keep_prob``, independently for each example. With :math:`W_k` the variance of degree :math:`k` in
    the units, ``overall`` is :math:`1 - W_1 / \sum_k k W_k` where ``interaction_share`` is :math:`1 - W_1 / \sum_k W_k`.
    Numerator and denominator are unbiased for any number of contexts; the error is a jackknife over contexts.

    Args:
        units: The units, on their examples.
        keep_prob: Probability that a unit is in the context; with 1 there is one context, and nothing to depend on.
        contexts: Number of contexts drawn for each example, at least 3. When None, all of them for up to 15 units, else 32.
        generator: Source of the contexts. When None, a copy of PyTorch's global generator, which stays as it is.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> from dropout_lessons.networks import MLP
        >>> found = reliance(LayerUnits(MLP([4, 8, 3]), "hidden1", torch.randn(20, 4)))
        >>> found.units.shape, 0 < found.overall.value < 1
        (torch.Size([8]), True)

    Source: Hinton et al. 2012, "Improving neural networks by preventing co-adaptation of feature detectors", speak of
    detectors that are "only helpful in the context of several other specific feature detectors"; the measure is this course's.
    """
    check_asked(units, generator)
    check_keep_prob(keep_prob)
    check_count("contexts", contexts, at_least=3, optional=True)
    if keep_prob == 1:
        return Reliance(torch.zeros(units.n_units, dtype=torch.float64, device=units.device), Estimate(0.0))
    if contexts is None and units.n_units <= _ENUMERABLE:
        variance, square = _enumerated(units, keep_prob)
        return _ratios(variance.unsqueeze(0), square.unsqueeze(0), units, None)
    contexts = contexts or _CONTEXTS
    variance, square = torch.zeros(2, contexts + 1, units.n_units, dtype=torch.float64, device=units.device)
    effects: list[Tensor] = []
    generator = own_generator(generator)
    for _, toggled in toggled_in_contexts(units, keep_prob, contexts, generator, pairs=False, progress=progress):
        effects.extend(toggled.effects)
        if len(effects) == contexts:
            sums = _left_out(torch.stack(effects))
            variance += sums[0]
            square += sums[1]
            effects = []
    return _ratios(variance, square, units, contexts)


def _enumerated(units: LayerUnits, keep_prob: float) -> Float[Tensor, "2 units"]:
    """Variance over all contexts, and mean square, of each unit's effect, summed over the examples."""
    weight = mask_log_prob(enumerate_masks(units.n_units), keep_prob).exp().to(units.device)
    sums = weight.new_zeros(2, units.n_units)
    for part in units.parts:
        table = part.table()
        for i in range(units.n_units):
            effect, own = difference(table, i), without(weight, i)
            sums[0, i] += own @ (effect - own @ effect).square().sum(1)
            sums[1, i] += own @ effect.square().sum(1)
    return sums


def _left_out(effects: Float[Tensor, "contexts examples units"]) -> Float[Tensor, "2 one_and_contexts units"]:
    """Unbiased variance and mean square, summed over the examples: of all contexts first, then without each of them."""
    count = len(effects)
    center = effects.mean(0)
    # Around the mean of all, so that no digits cancel.
    around = effects - center
    squared = around.square().sum(0)
    variances = [squared.sum(0) / (count - 1)]
    squares = [effects.square().sum((0, 1)) / count]
    whole = effects.square().sum((0, 1))
    for own, one in zip(around, effects, strict=True):
        # Without one of them the others' deviations sum to -own.
        left = squared - own.square() * (1 + 1 / (count - 1))
        variances.append(left.sum(0) / (count - 2))
        squares.append((whole - one.square().sum(0)) / (count - 1))
    return torch.stack([torch.stack(variances), torch.stack(squares)])


def _ratios(variance: Tensor, square: Tensor, units: LayerUnits, draws: int | None) -> Reliance:
    """The first row is of all contexts; each further one leaves a context out."""
    smallest = units.n_examples * units.rounding**2
    has_effect = square[0] > smallest
    each = torch.where(has_effect, variance[0] / square[0].clamp(min=smallest), 0.0)
    total = square.sum(1)
    overall = torch.where(total > units.n_units * smallest, variance.sum(1) / total, 0.0)
    error = 0.0 if draws is None else _jackknife(overall[1:])
    return Reliance(each, Estimate(overall[0].item(), error, draws))
