"""Claims that are checked: a statement, its evidence, and an error when the evidence does not support it.

Evidence is an effect with its 95% interval over seeds (``paired``), over independent draws (``sampled``), or the
largest deviation of an identity (``exact``). ``check`` compares it with what the statement requires.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit
from torch import Tensor

__all__ = ["Claim", "ClaimError", "Evidence", "check", "exact", "paired", "sampled"]

_MIN_VALUES = 5
_CONFIDENCE = 0.95
_PERCENT_UNITS = ("%", "points", "percentage points")


class ClaimError(AssertionError):
    """The evidence does not support the statement."""


@dataclass(frozen=True)
class Evidence:
    """What was measured, how sure it is, and how many values it rests on.

    Made by ``paired``, ``sampled`` or ``exact``.

    Attributes:
        effect: Mean of the values or of the paired differences; for an identity, the largest deviation.
        interval: 95% confidence interval of the effect; for an identity, the deviation twice.
        n: Number of values.
        noun: What was counted: ``"seeds"``, ``"draws"`` or ``"values"``.
        unit: Unit of the effect. Percent units hold fractions, and are shown times 100.
        atol: Largest deviation allowed, for an identity; else None.
    """

    effect: float
    interval: tuple[float, float]
    n: int
    noun: str
    unit: str = ""
    atol: float | None = None


@dataclass(frozen=True, repr=False)
class Claim:
    """A statement that its evidence supports, made by ``check``; a notebook shows it as a box.

    Attributes:
        statement: What is claimed.
        effect: Effect, in ``unit``; a fraction if that is a percent unit.
        interval: 95% confidence interval of the effect.
        n: Number of seeds, draws or values.
        unit: Unit of the effect.
        summary: The evidence in words: effect, interval, count, and what was required.
    """

    statement: str
    effect: float
    interval: tuple[float, float]
    n: int
    unit: str
    summary: str

    def __repr__(self) -> str:
        return f"Checked claim: {self.statement} ({self.summary})"

    def _repr_html_(self) -> str:
        summary = re.sub(r"(?<!\w)-(?=\d)", "\N{MINUS SIGN}", self.summary)
        return (
            '<div class="checked-claim" role="note" style="margin: 0.5em 0; padding: 0.5em 1em; '
            'border: 1px solid currentColor; border-left-width: 0.4em; color: inherit">'
            '<p style="margin: 0; font-weight: bold"><span aria-hidden="true">✓</span> Checked claim</p>'
            f'<p style="margin: 0.25em 0">{escape(self.statement)}</p>'
            f'<p style="margin: 0; font-size: 0.9em">{escape(summary)}</p></div>'
        )


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
            errors are everywhere in this package, and are shown times 100.

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
    return _student(arms[0] - arms[1], "seeds", unit)


def sampled(values: Sequence[float] | NDArray[Any] | Tensor, *, unit: str = "") -> Evidence:
    r"""Mean of independent draws of one quantity, with its 95% interval.

    The interval is :math:`\bar x \pm t_{0.975,\,n-1} \, s / \sqrt{n}`, Student's, as in ``paired``.

    Args:
        values: Independent draws. Values that share a trained network or a data set are independent only for a
            statement about that network or data set; the statement must say so.
        unit: Unit of the values; percent units hold fractions, as in ``paired``.

    Returns:
        The evidence, to be given to ``check``.

    Raises:
        ValueError: If there are fewer than five values or one of them is not finite.

    Example:
        >>> evidence = sampled([0.9, 1.1, 1.0, 0.8, 1.2], unit="nats")
        >>> evidence.effect, [round(end, 2) for end in evidence.interval]
        (1.0, [0.8, 1.2])

    Source: Student 1908, "The probable error of a mean".
    """
    array = _read("values", values)
    _check_values("values", array, "draw", unit)
    return _student(array, "draws", unit)


def exact(
    actual: float | Sequence[float] | NDArray[Any] | Tensor,
    expected: float | Sequence[float] | NDArray[Any] | Tensor,
    *,
    atol: float,
) -> Evidence:
    r"""Largest absolute deviation of an identity, :math:`\max_j |a_j - e_j|`, to be at most ``atol``.

    Infinities agree with themselves. A NaN agrees with nothing, not even with NaN.

    Args:
        actual: What was computed; a number, or any shape.
        expected: What it must equal, of the same shape.
        atol: Largest absolute deviation allowed.

    Returns:
        The evidence, to be given to ``check``.

    Raises:
        ValueError: If the shapes differ, nothing is compared, ``atol`` is negative, or an integer is too large
            to be compared in double precision.

    Example:
        >>> import torch
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
    with np.errstate(invalid="ignore", over="ignore"):
        deviation = float(np.where(left == right, 0.0, np.abs(left - right)).max())
    return Evidence(deviation, (deviation, deviation), left.size, "values", atol=atol)


def check(
    statement: str,
    evidence: Evidence,
    *,
    above: float | None = None,
    below: float | None = None,
    within: tuple[float, float] | None = None,
) -> Claim:
    """Return a claim if the evidence supports the statement, else raise.

    Supported means that the whole 95% interval lies above ``above``, below ``below``, or inside ``within`` (a
    claim of equivalence). A bound that is touched is not passed. A true effect that sits on the bound is wrongly
    claimed to be beyond it in 2.5% of such checks. Evidence of an identity has its own bound, ``atol``.

    Args:
        statement: What is claimed, in one sentence.
        evidence: Made by ``paired``, ``sampled`` or ``exact``.
        above: What the effect must exceed, in the unit of the values (a fraction if that is a percent unit).
        below: What the effect must stay under.
        within: What the effect must lie between.

    Returns:
        The claim.

    Raises:
        ClaimError: If the evidence does not support the statement. The message says by how much.
        ValueError: If not exactly one of ``above``, ``below`` and ``within`` is given, or any is given for an
            identity.

    Example:
        >>> dropout = [0.061, 0.058, 0.064, 0.060, 0.059]
        >>> baseline = [0.074, 0.071, 0.081, 0.072, 0.076]
        >>> evidence = paired(dropout, baseline, unit="points")
        >>> check("Dropout lowers the test error", evidence, below=0)  # doctest: +NORMALIZE_WHITESPACE
        Checked claim: Dropout lowers the test error
        (effect -1.44 points, 95% interval [-1.74, -1.14], 5 seeds; required: below 0)
    """
    if not statement.strip():
        raise ValueError(f"statement must say what is claimed, got {statement!r}")
    if evidence.atol is None:
        summary, failure = _judge_interval(evidence, *_bounds(evidence, above, below, within))
    else:
        if (above, below, within) != (None, None, None):
            raise ValueError("evidence of an identity has its own bound, atol: leave out above, below and within")
        summary, failure = _judge_deviation(evidence, evidence.atol)
    if failure:
        raise ClaimError(f"not supported: {statement}\n{summary}; {failure}")
    return Claim(statement, evidence.effect, evidence.interval, evidence.n, evidence.unit, summary)


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
    if values.size < _MIN_VALUES:
        raise ValueError(
            f"{name} must hold at least {_MIN_VALUES} {noun}s, got {values.size}: "
            f"fewer do not tell an effect from luck; run more {noun}s"
        )
    for i, value in enumerate(values.tolist()):
        if not math.isfinite(value):
            raise ValueError(
                f"{name} must be finite, got {value} for {noun} {i}, counted from 0; "
                f"find the cause and run it again, since leaving it out would bias the result"
            )
    if unit in _PERCENT_UNITS and np.abs(values).max() > 1:
        raise ValueError(
            f"{name} must hold fractions in [-1, 1] when the unit is {unit!r}, got "
            f"{values[np.abs(values).argmax()]}; divide percents by 100: they are shown times 100"
        )


def _student(values: NDArray[np.float64], noun: str, unit: str) -> Evidence:
    # The statistics module sums exactly: the order of the seeds never matters, and equal values have no spread.
    draws = values.tolist()
    n, mean = len(draws), statistics.mean(draws)
    margin = float(stdtrit(n - 1, (1 + _CONFIDENCE) / 2)) * statistics.stdev(draws) / math.sqrt(n)
    return Evidence(mean, (mean - margin, mean + margin), n, noun, unit)


def _bounds(
    evidence: Evidence, above: float | None, below: float | None, within: tuple[float, float] | None
) -> tuple[float, float]:
    """Turn the one bound that was given into an open interval."""
    given = {"above": above, "below": below, "within": within}
    names = [name for name, bound in given.items() if bound is not None]
    if len(names) != 1:
        raise ValueError(f"give exactly one of above, below and within, got {' and '.join(names) or 'none'}")
    (name,) = names
    if within is not None:
        low, high = within
        sound = -math.inf < low < high < math.inf
    else:
        low = -math.inf if above is None else above
        high = math.inf if below is None else below
        sound = math.isfinite(low) or math.isfinite(high)
    if not sound:
        raise ValueError(f"{name} must be finite, and a range go from low to high, got {given[name]}")
    if evidence.unit in _PERCENT_UNITS and any(1 < abs(bound) < math.inf for bound in (low, high)):
        raise ValueError(f"{name} must be a fraction when the unit is {evidence.unit!r}, got {given[name]}")
    return low, high


def _judge_interval(evidence: Evidence, low: float, high: float) -> tuple[str, str]:
    """Say in words what was found and, if it does not lie between the bounds, what is missing."""
    supported = low < evidence.interval[0] and evidence.interval[1] < high
    scale = 100 if evidence.unit in _PERCENT_UNITS else 1
    unit = evidence.unit if evidence.unit in ("", "%") else f" {evidence.unit}"
    low, high = scale * low, scale * high
    effect, start, end = (scale * value for value in (evidence.effect, *evidence.interval))

    margin, size = (end - start) / 2, max(abs(start), abs(end))
    shortfall = max(low - start, end - high)
    touches = not supported and shortfall <= 1e-12 * size

    # Two significant digits of the margin, or three of the effect when there is no spread beyond rounding.
    decimals = _place(margin) + 1 if margin > 1e-12 * size else _place(effect) + 2
    # More when rounding would hide the verdict: an upper end of -0.0004 is not shown as 0.00 and called below 0.
    for _ in range(12):
        verdict = low < round(start, decimals) and round(end, decimals) < high
        if verdict == supported and (supported or touches or round(shortfall, decimals) > 0):
            break
        decimals += 1

    def show(value: float) -> str:
        value = round(value, decimals) + 0.0  # no -0.0
        if size < 1e-4 or size >= 1e9:
            return f"{value:.{max(0, decimals - _place(value))}e}" if value else "0"
        return f"{value:.{max(0, decimals)}f}"

    if high == math.inf:
        required = f"above {low:.12g}"
    elif low == -math.inf:
        required = f"below {high:.12g}"
    else:
        required = f"within [{low:.12g}, {high:.12g}]"
    summary = (
        f"effect {show(effect)}{unit}, {_CONFIDENCE:.0%} interval [{show(start)}, {show(end)}], "
        f"{evidence.n} {evidence.noun}; required: {required}"
    )
    if supported:
        return summary, ""
    return summary, "touches the bound" if touches else f"falls short by {show(shortfall)}{unit}"


def _judge_deviation(evidence: Evidence, atol: float) -> tuple[str, str]:
    supported = evidence.effect <= atol  # never for NaN
    digits = 2
    while digits < 17 and (float(f"{evidence.effect:.{digits}g}") <= atol) != supported:
        digits += 1
    count = f"{evidence.n} value{'s' if evidence.n > 1 else ''} compared"
    summary = f"largest deviation {evidence.effect:.{digits}g}, allowed {atol:.12g}, {count}"
    if supported:
        return summary, ""
    if math.isnan(evidence.effect):
        return summary, "NaN never agrees"
    return summary, f"falls short by {evidence.effect - atol:.2g}"


def _place(value: float) -> int:
    """Decimal place of the first significant digit: 0 for 3.1, 2 for 0.031, -2 for 310; 0 for zero."""
    return -math.floor(math.log10(abs(value))) if value else 0
