"""Evidence: an effect with its interval over seeds or independent draws, or the largest deviation of an identity."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit
from torch import Tensor

__all__ = ["FEWEST_SEEDS", "LOG_RATIO", "Evidence", "exact", "paired", "sampled"]

#: With fewer seeds or draws no claim is made.
FEWEST_SEEDS = 5
CONFIDENCE = 0.95
PERCENT_UNITS = ("%", "points", "percentage points")
#: Unit of natural logarithms of ratios: a page shows them as factors.
LOG_RATIO = "log ratio"


@dataclass(frozen=True)
class Evidence:
    """What was measured, how sure it is, and how many values it rests on.

    Made by ``paired``, ``sampled`` or ``exact``.

    Attributes:
        effect: Mean of the values or of the paired differences; for an identity, the largest deviation.
        interval: 95% confidence interval of the effect; for an identity, the deviation twice.
        n: Number of values.
        noun: What was counted: ``"seeds"``, ``"draws"``, ``"values"`` or the like.
        unit: Unit of the effect. Percent units hold fractions, and are shown times 100; ``"log ratio"`` holds
            logarithms of ratios.
        atol: Largest deviation allowed, for an identity; else None.
        arms: Of a paired difference, the means of treatment and control; else None.
        note: What a reader must know of the values, besides.
        recorded: Whether the values are results of an experiment that were stored.
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

    @property
    def relative(self) -> float | None:
        """Of a paired difference, the effect as a fraction of the control's mean; None where there is none."""
        return self.effect / abs(self.arms[1]) if self.arms and self.arms[1] else None


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

    which is right for few seeds if the differences are close to normal. Pairing removes what the two arms share
    at a seed: the initial weights, the order of the examples, the draw of the data.

    Args:
        treatment: One value per seed.
        control: One value per seed, in the same order of seeds.
        unit: Unit of the values. With ``"percentage points"``, ``"points"`` or ``"%"`` they are fractions, as
            errors are everywhere in this package, and are shown times 100. With ``"log ratio"`` they are natural
            logarithms, and a page shows their difference as a factor.

    Returns:
        The evidence, to be given to ``check``.

    Raises:
        ValueError: If the arms differ in length, have fewer than five seeds or hold a value that is not finite.

    Example:
        >>> dropout = [0.061, 0.058, 0.064, 0.060, 0.059]
        >>> baseline = [0.074, 0.071, 0.081, 0.072, 0.076]
        >>> evidence = paired(dropout, baseline, unit="percentage points")
        >>> round(evidence.effect, 4), evidence.n
        (-0.0144, 5)

    Source: Student 1908, "The probable error of a mean".
    """
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

    The interval is :math:`\bar x \pm t_{0.975,\,n-1} \, s / \sqrt{n}`, Student's, as in ``paired``.

    Args:
        values: Independent draws. Values that share a trained network or a data set are independent only for a
            statement about that network or data set; the statement must say so.
        unit: Unit of the values; percent units hold fractions, as in ``paired``.
        over: What each value comes from, in the plural: ``"draws"``, or ``"seeds"`` with a network or data set each.

    Returns:
        The evidence, to be given to ``check``.

    Raises:
        ValueError: If there are fewer than five values, one of them is not finite, or ``over`` is no plural.

    Example:
        >>> evidence = sampled([0.9, 1.1, 1.0, 0.8, 1.2], unit="nats")
        >>> evidence.effect, [round(end, 2) for end in evidence.interval]
        (1.0, [0.8, 1.2])

    Source: Student 1908, "The probable error of a mean".
    """
    if len(over) < 2 or not over.endswith("s"):
        raise ValueError(f'over must name in the plural what the values come from, such as "seeds", got {over!r}')
    array = _read("values", values)
    _check_values("values", array, over.removesuffix("s"), unit)
    return _student(array, over, unit)


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

    Returns:
        The evidence, to be given to ``check``.

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
    if not 0 <= atol < math.inf:
        raise ValueError(f"atol must be finite and at least 0, got {atol}")
    for name, values in (("actual", left), ("expected", right)):
        _check_fractions(name, values, unit)
    with np.errstate(invalid="ignore", over="ignore"):
        deviation = float(np.where(left == right, 0.0, np.abs(left - right)).max())
    return Evidence(deviation, (deviation, deviation), left.size, "values", unit, atol=atol)


def _read(name: str, values: float | Sequence[float] | NDArray[Any] | Tensor) -> NDArray[np.float64]:
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = (values.double() if values.is_floating_point() else values).numpy()
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold real numbers, got {array.dtype}")
    doubles = array.astype(np.float64)
    if array.dtype.kind in "iu" and (np.abs(doubles) >= 2.0**53).any():
        raise ValueError(f"{name} holds integers of 2^53 or more, which doubles round; pass floats if that will do")
    return doubles


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
    return Evidence(mean, (mean - margin, mean + margin), n, noun, unit)
