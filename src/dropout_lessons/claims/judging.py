"""Judge evidence by what a statement requires of it, and say the judgement in words."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dropout_lessons.claims.evidence import CONFIDENCE, PERCENT_UNITS, Evidence
from dropout_lessons.claims.natural import place, verdict
from dropout_lessons.claims.showing import as_html

__all__ = ["ClaimError", "Judgement", "Words", "check", "judge"]


class ClaimError(AssertionError):
    """The evidence does not support the statement."""


class Words(NamedTuple):
    """A judgement in words, part by part, rounded so that no part contradicts the verdict.

    Attributes:
        effect: The effect with its unit; of an identity, the largest deviation.
        interval: Its 95% interval, ``"[low, high]"``; ``""`` for an identity.
        n: How many values it rests on.
        required: Where the whole interval was required to lie, such as ``"below 0"``.
        shortfall: What is missing; ``""`` where the statement holds.
    """

    effect: str
    interval: str
    n: str
    required: str
    shortfall: str


@dataclass(frozen=True, repr=False)
class Judgement:
    """A statement with its evidence, and whether that supports it; a page shows it as a line with its interval drawn.

    Made by ``judge``, which never raises for what was found, and by ``check``, which returns only those that hold.

    Attributes:
        statement: What is claimed.
        evidence: What was measured.
        limits: Between which values the whole 95% interval is required to lie, both excluded; infinite on an open side.
            The deviation of an identity may reach the upper one.
        holds: True if it does, False if no part of it does, None if it is undecided.
        shortfall: By how much the interval sticks out of the limits, in the unit of the values; 0 where it does not.
        words: All that in words.
        reason: Why these limits.
    """

    statement: str
    evidence: Evidence
    limits: tuple[float, float]
    holds: bool | None
    shortfall: float
    words: Words = field(compare=False)
    reason: str = field(default="", compare=False)

    @property
    def effect(self) -> float:
        """Effect, in ``unit``; a fraction if that is a percent unit."""
        return self.evidence.effect

    @property
    def interval(self) -> tuple[float, float]:
        """95% confidence interval of the effect."""
        return self.evidence.interval

    @property
    def n(self) -> int:
        """Number of seeds, draws or values."""
        return self.evidence.n

    @property
    def unit(self) -> str:
        """Unit of the effect."""
        return self.evidence.unit

    @property
    def summary(self) -> str:
        """Effect, interval, count and what was required, in one line."""
        effect, interval, count, required, _ = self.words
        if self.evidence.atol is not None:
            return f"largest deviation {effect}, allowed {required}, {count}"
        return f"effect {effect}, {CONFIDENCE:.0%} interval {interval}, {count}; required: {required}"

    @property
    def by_a_thread(self) -> bool:
        """Whether the interval ends so close to a limit, within a tenth of its half width, that another run may end beyond it."""
        ends = [(end, limit) for end in self.interval for limit in self.limits if math.isfinite(limit)]
        margin = (self.interval[1] - self.interval[0]) / 2
        return self.evidence.atol is None and any(abs(end - limit) <= margin / 10 for end, limit in ends)

    def __repr__(self) -> str:
        if self.holds:
            return f"Checked claim: {self.statement} ({self.summary})"
        verdict = "Undecided" if self.holds is None else "Does not hold"
        return f"{verdict}: {self.statement} ({self.summary}; {self.words.shortfall})"

    def _repr_html_(self) -> str:
        return as_html([self])


def judge(
    statement: str,
    evidence: Evidence,
    *,
    above: float | None = None,
    below: float | None = None,
    within: tuple[float, float] | None = None,
    reason: str = "",
) -> Judgement:
    """Judge whether evidence supports a statement, contradicts it, or leaves it undecided.

    It holds if the whole 95% interval lies above ``above``, below ``below``, or inside ``within`` (a claim of
    equivalence); it does not hold if no part of the interval does; otherwise it is undecided. A bound that is touched is not
    passed. Evidence of an identity has its own bound, ``atol``.

    Args:
        statement: What is claimed, in one sentence.
        evidence: Made by ``paired``, ``sampled``, ``ranked``, ``counted`` or ``exact``.
        above: What the effect must exceed, in the unit of the values (a fraction if that is a percent unit).
        below: What the effect must stay under.
        within: What the effect must lie between.
        reason: Why this bound, in a sentence, written before the result was known.

    Raises:
        ValueError: If not exactly one of ``above``, ``below`` and ``within`` is given, or any is given for an
            identity.

    Example:
        >>> from dropout_lessons.claims import sampled
        >>> judge("The mean is positive", sampled([0.1, -0.1, 0.3, 0.2, 0.05]), above=0)  # doctest: +NORMALIZE_WHITESPACE
        Undecided: The mean is positive
        (effect 0.11, 95% interval [-0.08, 0.30], 5 draws; required: above 0; falls short by 0.08)
    """
    if not isinstance(statement, str) or not statement.strip():
        raise ValueError(f"statement must say what is claimed, got {statement!r}")
    if not isinstance(evidence, Evidence):
        raise ValueError(
            f"evidence must be made by paired, sampled, ranked, counted or exact, got {type(evidence).__name__}"
        )
    if evidence.atol is None:
        low, high = _limits(evidence, above, below, within)
        if math.isnan(evidence.effect):  # of too few seeds
            words = Words(
                "unknown", "[unknown]", f"{evidence.n} {evidence.noun}", _required((low, high), evidence), "too few"
            )
            return Judgement(statement, evidence, (low, high), None, math.nan, words, reason)
        start, end = evidence.interval
        holds = verdict((start, end), (low, high))
        shortfall = 0.0 if holds else max(low - start, end - high)
        words = _interval_in_words(evidence, (low, high), holds, shortfall)
        return Judgement(statement, evidence, (low, high), holds, shortfall, words, reason)
    if (above, below, within) != (None, None, None):
        raise ValueError("evidence of an identity has its own bound, atol: leave out above, below and within")
    agrees = evidence.effect <= evidence.atol  # never for NaN
    words = _deviation_in_words(evidence, evidence.atol, agrees)
    shortfall = 0.0 if agrees else evidence.effect - evidence.atol
    return Judgement(statement, evidence, (-math.inf, evidence.atol), agrees, shortfall, words, reason)


def check(
    statement: str,
    evidence: Evidence,
    *,
    above: float | None = None,
    below: float | None = None,
    within: tuple[float, float] | None = None,
    reason: str = "",
) -> Judgement:
    """Return the judgement of a statement that its evidence supports, else raise.

    A true effect that sits on the bound is wrongly claimed to be beyond it in 2.5% of such checks.

    Args:
        statement: As in ``judge``, as are the evidence and its bounds.
        evidence: Made by ``paired``, ``sampled``, ``ranked``, ``counted`` or ``exact``.
        above: What the effect must exceed.
        below: What the effect must stay under.
        within: What the effect must lie between.
        reason: Why this bound, in a sentence.

    Raises:
        ClaimError: If the evidence does not support the statement. The message says by how much.
        ValueError: As in ``judge``.

    Example:
        >>> from dropout_lessons.claims import paired
        >>> dropout = [0.061, 0.058, 0.064, 0.060, 0.059]
        >>> baseline = [0.074, 0.071, 0.081, 0.072, 0.076]
        >>> evidence = paired(dropout, baseline, unit="points")
        >>> check("Dropout lowers the test error", evidence, below=0)  # doctest: +NORMALIZE_WHITESPACE
        Checked claim: Dropout lowers the test error
        (effect -1.44 points, 95% interval [-1.74, -1.14], 5 seeds; required: below 0)
    """
    judgement = judge(statement, evidence, above=above, below=below, within=within, reason=reason)
    if not judgement.holds:
        raise ClaimError(f"not supported: {statement}\n{judgement.summary}; {judgement.words.shortfall}")
    return judgement


def _limits(
    evidence: Evidence, above: float | None, below: float | None, within: tuple[float, float] | None
) -> tuple[float, float]:
    """Turn the one bound that was given into an open interval."""
    given = {"above": above, "below": below, "within": within}
    names = [name for name, bound in given.items() if bound is not None]
    if len(names) != 1:
        raise ValueError(f"give exactly one of above, below and within, got {' and '.join(names) or 'none'}")
    (name,) = names
    try:
        if within is not None:
            low, high = map(_as_number, within)
            sound = -math.inf < low < high < math.inf
        else:
            low = -math.inf if above is None else _as_number(above)
            high = math.inf if below is None else _as_number(below)
            sound = math.isfinite(low) or math.isfinite(high)
    except (TypeError, ValueError):
        kind = "two numbers, such as (-0.1, 0.1)" if within is not None else "a number"
        raise ValueError(f"{name} must be {kind}, got {given[name]!r}") from None
    if not sound:
        raise ValueError(f"{name} must be finite, and a range go from low to high, got {given[name]}")
    if evidence.unit in PERCENT_UNITS and any(1 < abs(bound) < math.inf for bound in (low, high)):
        raise ValueError(f"{name} must be a fraction when the unit is {evidence.unit!r}, got {given[name]}")
    return low, high


def _as_number(bound: Any) -> float:
    """A bound as a plain number; neither a truth value nor text is one."""
    if isinstance(bound, (bool, str)):
        raise TypeError
    return float(bound)


def _interval_in_words(evidence: Evidence, limits: tuple[float, float], holds: bool | None, shortfall: float) -> Words:
    scale = 100 if evidence.unit in PERCENT_UNITS else 1
    unit = evidence.unit if evidence.unit in ("", "%") else f" {evidence.unit}"
    low, high = (scale * limit for limit in limits)
    effect, start, end = (scale * value for value in (evidence.effect, *evidence.interval))
    margin, size = (end - start) / 2, max(abs(start), abs(end))
    shortfall = scale * shortfall
    touches = not holds and shortfall <= 1e-12 * size

    # Two significant digits of the margin, or three of the effect when there is no spread beyond rounding.
    decimals = place(margin) + 1 if margin > 1e-12 * size else place(effect) + 2
    # More when rounding would hide the verdict: an upper end of -0.0004 is not shown as 0.00 and called below 0.
    for _ in range(12):
        rounded = verdict((round(start, decimals), round(end, decimals)), (low, high))
        if rounded == holds and (holds or touches or round(shortfall, decimals) > 0):
            break
        decimals += 1

    def show(value: float) -> str:
        value = round(value, decimals) + 0.0  # no -0.0
        if size < 1e-4 or size >= 1e9:
            return f"{value:.{max(0, decimals - place(value))}e}" if value else "0"
        return f"{value:.{max(0, decimals)}f}"

    missing = "" if holds else "touches the bound" if touches else f"falls short by {show(shortfall)}{unit}"
    count = f"{evidence.n} {evidence.noun}"
    return Words(f"{show(effect)}{unit}", f"[{show(start)}, {show(end)}]", count, _required(limits, evidence), missing)


def _required(limits: tuple[float, float], evidence: Evidence) -> str:
    low, high = ((100 if evidence.unit in PERCENT_UNITS else 1) * limit for limit in limits)
    if high == math.inf:
        return f"above {low:.12g}"
    if low == -math.inf:
        return f"below {high:.12g}"
    return f"within [{low:.12g}, {high:.12g}]"


def _deviation_in_words(evidence: Evidence, atol: float, holds: bool) -> Words:
    digits = 2
    while digits < 17 and (float(f"{evidence.effect:.{digits}g}") <= atol) != holds:
        digits += 1
    count = f"{evidence.n} value{'s' if evidence.n > 1 else ''} compared"
    missing = "" if holds else f"falls short by {evidence.effect - atol:.2g}"
    if math.isnan(evidence.effect):
        missing = "NaN never agrees"
    return Words(f"{evidence.effect:.{digits}g}", "", count, f"{atol:.12g}", missing)
