"""Evidence: an effect with its interval over seeds or independent draws, or the largest deviation of an identity."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import stdtrit
from torch import Tensor

from dropout_lessons.arguments import check_number

__all__ = ["FEWEST_SEEDS", "LOG_RATIO", "Evidence", "counted", "exact", "paired", "ranked", "sampled"]

#: With fewer seeds or draws no claim is made.
FEWEST_SEEDS = 5
CONFIDENCE = 0.95
#: Said of Student's interval where it cannot be trusted.
EQUAL = "All values are equal, so that the interval has no width: it does not tell how far chance goes."
TIED = "Most of the values are equal: the interval may miss the mean more often than it says."
BEYOND = "The interval is cut off at 100%, beyond which nothing can lie: it does not fit values so close to that."
MANY = 20  # values that differ from the commonest are enough, however many these are
PERCENT_UNITS = ("%", "points", "percentage points")
#: What looks like one, and would be shown as it is: 0.01 of it for a hundredth.
LIKE_PERCENT = (
    "percent",
    "percents",
    "percentage",
    "per cent",
    "pct",
    "pp",
    "ppt",
    "point",
    "percentage point",
    "% points",
)
#: Unit of natural logarithms of ratios: a page shows them as factors.
LOG_RATIO = "log ratio"


@dataclass(frozen=True)
class Evidence:
    """What was measured, how sure it is, and how many values it rests on.

    Made by ``paired``, ``sampled``, ``ranked``, ``counted`` or ``exact``.

    Attributes:
        effect: Mean of the values or of the paired differences, median of ranked values, share of counted cases; for an
            identity, the largest deviation.
        interval: 95% confidence interval of the effect; for an identity, the deviation twice.
        n: Number of values.
        noun: What was counted: ``"seeds"``, ``"draws"``, ``"values"`` or the like.
        unit: Unit of the effect. Percent units hold fractions, and are shown times 100; ``"log ratio"`` holds
            logarithms of ratios.
        atol: Largest deviation allowed, for an identity; else None.
        arms: Of a paired difference, the means of treatment and control; else None.
        note: What a reader must know of the values, besides.
        recorded: Whether the values are results of an experiment that were stored.
        center: What the effect is of the values: their ``"mean"``, ``"median"`` or ``"share"``.
    """

    effect: float
    interval: tuple[float, float]
    n: int
    noun: str
    unit: str = ""
    atol: float | None = None
    arms: tuple[float, float] | None = field(default=None, compare=False)
    note: str = field(default="", compare=False)
    recorded: bool = field(default=False, compare=False)
    center: str = field(default="mean", compare=False)

    @property
    def relative(self) -> float | None:
        """Of a paired difference, the effect as a fraction of the control's mean, where that is above 0 and no logarithm."""
        return self.effect / self.arms[1] if self.arms and self.arms[1] > 0 and self.unit != LOG_RATIO else None


def paired(
    treatment: Sequence[float] | NDArray[Any] | Tensor,
    control: Sequence[float] | NDArray[Any] | Tensor,
    *,
    unit: str = "",
) -> Evidence:
    r"""Mean difference between two arms that share their seeds, with its 95% interval.

    With :math:`d_i` the difference treatment minus control at seed :math:`i`, :math:`\bar d` their mean and
    :math:`s` their standard deviation, the interval is Student's,

    .. math:: \bar d \pm t_{0.975,\,n-1} \, s / \sqrt{n},

    which is right for few seeds if the differences are close to normal. Where most of them are equal, the note says
    that it cannot be trusted. Pairing removes what the two arms share at a seed: the initial weights, the order of
    the examples, the draw of the data.

    Args:
        treatment: One value per seed.
        control: One value per seed, in the same order of seeds.
        unit: Unit of the values. With ``"percentage points"``, ``"points"`` or ``"%"`` they are fractions, as
            errors are everywhere in this package, and are shown times 100. With ``"log ratio"`` they are natural
            logarithms, and a page shows their difference as a factor.

    Raises:
        ValueError: If the arms differ in length, have fewer than five seeds, or hold a value that is not finite or no number;
            if they are series of pandas whose labels say that they pair other seeds.

    Example:
        >>> dropout = [0.061, 0.058, 0.064, 0.060, 0.059]
        >>> baseline = [0.074, 0.071, 0.081, 0.072, 0.076]
        >>> evidence = paired(dropout, baseline, unit="percentage points")
        >>> round(evidence.effect, 4), evidence.n
        (-0.0144, 5)

    Source: Student 1908, "The probable error of a mean".
    """
    _check_pairs(treatment, control)
    arms = _read("treatment", treatment), _read("control", control)
    if arms[0].shape != arms[1].shape:
        raise ValueError(
            f"treatment and control must hold one value for each shared seed, "
            f"got {arms[0].size} and {arms[1].size} values"
        )
    for name, arm in zip(("treatment", "control"), arms, strict=True):
        _check_values(name, arm, "seed", unit)
    means = statistics.mean(arms[0].tolist()), statistics.mean(arms[1].tolist())
    return replace(_student(arms[0] - arms[1], "seeds", unit), arms=means)


def sampled(values: Sequence[float] | NDArray[Any] | Tensor, *, unit: str = "", over: str = "draws") -> Evidence:
    r"""Mean of independent draws of one quantity, with its 95% interval.

    The interval is :math:`\bar x \pm t_{0.975,\,n-1} \, s / \sqrt{n}`, Student's, as in ``paired``; in percent units it is cut
    off at 100%. Of values with a long tail it misses the mean too often: of exponential ones in 12% of cases with 5 values and
    in 7% with 20, nearly always because it ends below. See ``ranked`` for them, and for shares of cases ``counted``. Where most
    of the values are equal, the note says that it cannot be trusted.

    Args:
        values: Independent draws. Values that share a trained network or a data set are independent only for a
            statement about that network or data set; the statement must say so.
        unit: Unit of the values; percent units hold fractions, as in ``paired``.
        over: What each value comes from, in the plural: ``"draws"``, or ``"seeds"`` with a network or data set each.

    Raises:
        ValueError: If there are fewer than five values, one of them is not finite or no number, or ``over`` is no plural.

    Example:
        >>> evidence = sampled([0.9, 1.1, 1.0, 0.8, 1.2], unit="nats")
        >>> evidence.effect, [round(end, 2) for end in evidence.interval]
        (1.0, [0.8, 1.2])

    Source: Student 1908, "The probable error of a mean".
    """
    return _student(_checked(values, unit, over), over, unit)


def ranked(values: Sequence[float] | NDArray[Any] | Tensor, *, unit: str = "", over: str = "draws") -> Evidence:
    r"""Median of independent draws of one quantity, with its 95% interval by ranks.

    The interval is the sign test's, :math:`[x_{(k)}, x_{(n+1-k)}]` of the sorted values, with the largest :math:`k` for which
    :math:`P(\mathrm{Bin}(n, 1/2) < k) \le 0.025`. It covers the median at least as often as it says, whatever the distribution:
    for divergences, ratios and other values with a long tail, of which ``sampled``'s interval misses the mean too often.

    Args:
        values: Independent draws, as in ``sampled``.
        unit: Unit of the values; percent units hold fractions, as in ``paired``.
        over: What each value comes from, in the plural.

    Returns:
        The evidence. A statement on it must speak of the median: of half of the networks, or of a typical one.

    Raises:
        ValueError: As in ``sampled``; or if there are five values, whose smallest and largest do not make a 95% interval.

    Example:
        >>> evidence = ranked([0.1, 0.2, 0.2, 0.3, 0.4, 9.0], unit="nats", over="networks")
        >>> evidence.effect, evidence.interval
        (0.25, (0.1, 9.0))

    Source: Thompson 1936, "On confidence ranges for the median and other expectation distributions".
    """
    from scipy.stats import quantile_test  # a quarter of a second, which no other evidence needs

    array = _checked(values, unit, over)
    low, high = quantile_test(array, p=0.5).confidence_interval(CONFIDENCE)
    if not math.isfinite(low):
        raise ValueError(f"values must hold at least 6 {over} for a 95% interval of their median, got {array.size}")
    return Evidence(
        statistics.median(array.tolist()), (float(low), float(high)), array.size, over, unit, center="median"
    )


def counted(outcomes: Sequence[bool] | NDArray[Any] | Tensor, *, over: str = "draws") -> Evidence:
    r"""Share of independent cases in which something was so, with its 95% interval by Clopper and Pearson.

    It covers the share at least as often as it says, and has a width also where all cases agree: with none of :math:`n` its upper
    end is :math:`1 - 0.025^{1/n}`, about :math:`3.7 / n`, where ``sampled``'s interval would be a point.

    Args:
        outcomes: Of each case, whether it was so.
        over: What each case comes from, in the plural.

    Returns:
        The evidence, a fraction with the unit ``"%"``.

    Raises:
        ValueError: As in ``sampled``; or if an outcome is neither true nor false.

    Example:
        >>> evidence = counted([False] * 20, over="networks")
        >>> evidence.effect, [round(end, 3) for end in evidence.interval]
        (0.0, [0.0, 0.168])

    Source: Clopper and Pearson 1934, "The use of confidence or fiducial limits illustrated in the case of the binomial".
    """
    from scipy.stats import binomtest  # as above

    array = _checked(outcomes, "", over, name="outcomes")
    if not np.isin(array, (0, 1)).all():
        raise ValueError(f"outcomes must be true or false, got {array[~np.isin(array, (0, 1))][0]:g}")
    found = binomtest(int(array.sum()), array.size)
    low, high = found.proportion_ci(CONFIDENCE, method="exact")
    return Evidence(float(found.statistic), (float(low), float(high)), array.size, over, "%", center="share")


def exact(
    actual: float | Sequence[float] | NDArray[Any] | Tensor,
    expected: float | Sequence[float] | NDArray[Any] | Tensor,
    *,
    atol: float,
    unit: str = "",
) -> Evidence:
    r"""Largest absolute deviation of an identity, :math:`\max_j |a_j - e_j|`, to be at most ``atol``.

    Infinities agree with themselves. A NaN agrees with nothing, not even with NaN.

    Args:
        actual: What was computed; a number, or any shape.
        expected: What it must equal, of the same shape.
        atol: Largest absolute deviation allowed.
        unit: Unit of both; percent units hold fractions, as in ``paired``.

    Raises:
        ValueError: If the shapes differ, nothing is compared, ``atol`` is negative, or an integer is too large
            to be compared in double precision.

    Example:
        >>> import torch
        >>> from dropout_lessons.claims import check
        >>> x = torch.linspace(-1, 1, 100, dtype=torch.float64)
        >>> check("The tangent is sine over cosine", exact(x.tan(), x.sin() / x.cos(), atol=1e-12)).n
        100
    """
    left, right = _read("actual", actual), _read("expected", expected)
    if left.shape != right.shape:
        raise ValueError(f"actual and expected must have the same shape, got {left.shape} and {right.shape}")
    if left.size == 0:
        raise ValueError(f"actual and expected must hold at least one value, got shape {left.shape}")
    check_number("atol", atol, "finite and at least 0", at_least=0)
    for name, values in (("actual", left), ("expected", right), ("atol", np.asarray(atol, dtype=np.float64))):
        _check_fractions(name, values, unit)
    with np.errstate(invalid="ignore", over="ignore"):
        deviation = float(np.where(left == right, 0.0, np.abs(left - right)).max())
    return Evidence(deviation, (deviation, deviation), left.size, "values", unit, atol=atol)


def _read(name: str, values: float | Sequence[float] | NDArray[Any] | Tensor) -> NDArray[np.float64]:
    if isinstance(values, (list, tuple)) and any(isinstance(value, Tensor) for value in values):
        values = torch.stack([torch.as_tensor(value).detach().cpu() for value in values])
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = (values.double() if values.is_floating_point() else values).numpy()
    if isinstance(values, np.ma.MaskedArray) and values.mask.any():
        raise ValueError(f"{name} must not be masked; leaving values out would bias the result")
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        fix = "; pass a list of numbers" if array.dtype == object else ""
        raise ValueError(f"{name} must hold real numbers, got {array.dtype}{fix}")
    doubles = array.astype(np.float64)
    if array.dtype.kind in "iu" and (np.abs(doubles) >= 2.0**53).any():
        raise ValueError(f"{name} holds integers of 2^53 or more, which doubles round; pass floats if that will do")
    return doubles


def _checked(
    values: Sequence[float] | NDArray[Any] | Tensor, unit: str, over: str, name: str = "values"
) -> NDArray[np.float64]:
    if len(over) < 2 or not over.endswith("s"):
        raise ValueError(f'over must name in the plural what the values come from, such as "seeds", got {over!r}')
    array = _read(name, values)
    _check_values(name, array, over.removesuffix("s"), unit)
    return array


def _check_pairs(treatment: Any, control: Any) -> None:
    """Refuse series that pair other seeds than their labels do: the same labels in another order, or others of one name."""
    left: Any = getattr(treatment, "index", None)
    right: Any = getattr(control, "index", None)
    if not (hasattr(left, "equals") and hasattr(right, "equals")) or left.equals(right):
        return
    if set(left) == set(right) or (left.name is not None and left.name == right.name):
        raise ValueError(
            f"treatment and control must have the same seeds in the same order, got the labels {list(left)} and {list(right)}; "
            "sort both by them, or pass .to_numpy() if the labels mean nothing"
        )


def _check_values(name: str, values: NDArray[np.float64], noun: str, unit: str) -> None:
    if values.ndim != 1:
        raise ValueError(f"{name} must be a sequence of one value for each {noun}, got shape {values.shape}")
    if values.size < FEWEST_SEEDS:
        raise ValueError(
            f"{name} must hold at least {FEWEST_SEEDS} {noun}s, got {values.size}: "
            f"fewer do not tell an effect from luck; run more {noun}s"
        )
    for i, value in enumerate(values.tolist()):
        if not math.isfinite(value):
            raise ValueError(
                f"{name} must be finite, got {value} for {noun} {i}, counted from 0; "
                f"find the cause and run it again, since leaving it out would bias the result"
            )
    _check_fractions(name, values, unit)


def _check_fractions(name: str, values: NDArray[np.float64], unit: str) -> None:
    if not isinstance(unit, str) or unit.casefold() in LIKE_PERCENT:
        raise ValueError(
            f'unit must be "%", "points" or "percentage points" for fractions, which are shown times 100, or name '
            f"another unit, got {unit!r}"
        )
    if unit in PERCENT_UNITS and np.abs(values).max() > 1:
        raise ValueError(
            f"{name} must hold fractions in [-1, 1] when the unit is {unit!r}, got "
            f"{values.flat[np.abs(values).argmax()]}; divide percents by 100: they are shown times 100"
        )


def _student(values: NDArray[np.float64], noun: str, unit: str) -> Evidence:
    # The statistics module sums exactly: the order of the seeds never matters, and equal values have no spread.
    draws = values.tolist()
    n, mean = len(draws), statistics.mean(draws)
    margin = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * statistics.stdev(draws) / math.sqrt(n)
    others = n - Counter(draws).most_common(1)[0][1]
    tied = "" if others >= min(n / 2, MANY) else TIED if others else EQUAL
    low, high = mean - margin, mean + margin
    beyond = unit in PERCENT_UNITS and max(-low, high) > 1
    if beyond:  # no mean lies there, so that the interval misses it no more often
        low, high = max(low, -1.0), min(high, 1.0)
    return Evidence(mean, (low, high), n, noun, unit, note=" ".join(filter(None, (tied, BEYOND if beyond else ""))))
