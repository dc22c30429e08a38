"""What was found and what was required in natural units: factors, points, nats, with two digits."""

from __future__ import annotations

import math
from typing import NamedTuple

from dropout_lessons.claims.evidence import LOG_RATIO, PERCENT_UNITS, Evidence

__all__ = ["Natural", "in_natural_units", "place", "typeset", "verdict"]

SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


class Natural(NamedTuple):
    """A judgement as a reader says it, part by part.

    Attributes:
        effect: Such as ``"divided by 4.6"`` or ``"−1.7 points"``.
        interval: Its 95% interval, ``"[4.0, 5.2]"``; ``""`` for an identity.
        n: Such as ``"10 seeds"``.
        required: Where the whole interval had to lie, such as ``"divided by more than 3"``.
        arms: What was compared, in a sentence.
    """

    effect: str
    interval: str
    n: str
    required: str
    arms: str


def in_natural_units(evidence: Evidence, limits: tuple[float, float], holds: bool | None) -> Natural:
    """Say evidence and limits in natural units, with two digits, or as many as the verdict needs."""
    count = f"{evidence.n:,} {evidence.noun}"
    if evidence.atol is not None:
        return _deviation(evidence, evidence.atol, count)
    if math.isnan(evidence.effect):
        return Natural("unknown", "", count, _required(evidence, limits), f"The mean of {count}.")
    start, end = sorted(_shown(evidence, limits, evidence.interval))
    for digits in range(3, 16):  # an end of 0.1234 is not shown beside a bound of 0.123 and called below it
        low, high = (_rounded(bound, digits) for bound in sorted(_shown(evidence, limits, limits)))
        if low < high and verdict((start, end), (low, high)) == holds:
            break
    size, margin = max(abs(start), abs(end)), (end - start) / 2
    decimals = place(size) + 1
    if margin > 1e-12 * size:
        decimals = max(decimals, place(margin))
    for _ in range(12):  # an upper end of -0.04 is not shown as 0.0 and called below 0
        if verdict((round(start, decimals), round(end, decimals)), (low, high)) == holds:
            break
        decimals += 1
    (mean,) = _shown(evidence, limits, (evidence.effect,))
    interval = f"[{_number(start, decimals)}, {_number(end, decimals)}]"
    effect = _with_unit(evidence, limits, _number(mean, decimals))
    required = _required(evidence, limits, digits)
    return Natural(effect, interval, count, required, _compared(evidence, count, decimals))


def verdict(interval: tuple[float, float], limits: tuple[float, float]) -> bool | None:
    """True if the whole interval lies between the limits, False if no part of it does, else None; they are excluded."""
    (start, end), (low, high) = interval, limits
    return True if low < start and end < high else False if end <= low or start >= high else None


def typeset(text: str) -> str:
    """Text with a minus sign for each hyphen that stands before a number."""
    signs = ("\N{MINUS SIGN}" if _is_sign(text, i) else c for i, c in enumerate(text))
    return "".join(signs)


def place(value: float) -> int:
    """Decimal place of the first significant digit: 0 for 3.1, 2 for 0.031, -2 for 310; 0 for zero."""
    return -math.floor(math.log10(abs(value))) if value and math.isfinite(value) else 0


def _is_sign(text: str, i: int) -> bool:
    before, after = text[i - 1 : i], text[i + 1 : i + 2]
    return text[i] == "-" and after.isdigit() and not (before.isalnum() or before in ("_", ")"))


def _divides(evidence: Evidence, limits: tuple[float, float]) -> bool:
    """Whether a factor is best said as what a number is divided by."""
    return evidence.unit == LOG_RATIO and evidence.interval[1] < 0 and limits[1] <= 0


def _shown(evidence: Evidence, limits: tuple[float, float], values: tuple[float, ...]) -> list[float]:
    if evidence.unit in PERCENT_UNITS:
        return [100 * value for value in values]
    if evidence.unit == LOG_RATIO:
        sign = -1 if _divides(evidence, limits) else 1
        return [math.exp(sign * value) if value != -sign * math.inf else 0.0 for value in values]
    return list(values)


def _number(value: float, decimals: int) -> str:
    value = round(value, decimals) + 0.0  # no -0.0
    if value and not 1e-4 <= abs(value) < 1e6:
        mantissa, exponent = f"{value:.{max(0, decimals - place(value))}e}".split("e")
        return typeset(f"{mantissa} × 10{str(int(exponent)).translate(SUPERSCRIPTS)}")
    return typeset(f"{value:.{max(0, decimals)}f}")


def _rounded(bound: float, digits: int) -> float:
    return round(bound, max(0, place(bound) + digits - 1)) if math.isfinite(bound) else bound


def _bound(value: float, digits: int = 3) -> str:
    """A bound with at most so many digits, none of them a trailing zero."""
    number, times, power = _number(value, max(0, place(value) + digits - 1)).partition(" ×")
    return (number.rstrip("0").rstrip(".") if "." in number else number) + times + power


def _with_unit(evidence: Evidence, limits: tuple[float, float], number: str) -> str:
    unit = evidence.unit
    if unit == LOG_RATIO:
        return f"{'divided by' if _divides(evidence, limits) else 'times'} {number}"
    if unit in ("points", "percentage points"):
        return f"{number} point{'' if number.lstrip('−') == '1' else 's'}"
    return f"{number}{unit}" if unit in ("", "%") else f"{number} {unit}"


def _required(evidence: Evidence, limits: tuple[float, float], digits: int = 3) -> str:
    factor = evidence.unit == LOG_RATIO
    low, high = sorted(_shown(evidence, limits, limits))
    at_least, at_most = ("more than", "less than") if factor else ("above", "below")
    if math.isinf(high):
        words = f"{at_least} {_bound(low, digits)}", low
    elif math.isinf(low) or (factor and low == 0):
        words = f"{at_most} {_bound(high, digits)}", high
    else:
        words = f"between {_bound(low, digits)} and {_bound(high, digits)}", high
    if factor:
        return _with_unit(evidence, limits, words[0])
    last = _bound(words[1], digits)
    return words[0] if words[1] == 0 else words[0] + _with_unit(evidence, limits, last)[len(last) :]


def _deviation(evidence: Evidence, atol: float, count: str) -> Natural:
    scale = 100 if evidence.unit in PERCENT_UNITS else 1
    deviation, allowed = scale * evidence.effect, scale * atol
    compared = (
        f"The largest deviation of {evidence.n:,} value{'s' if evidence.n > 1 else ''} from what they have to be."
    )
    count = count if evidence.n > 1 else "1 value"
    within = f"off by at most {_with_unit(evidence, (0, 0), _bound(allowed))}" if allowed else "no deviation"
    if deviation == 0:
        return Natural("no deviation", "", count, within, compared)
    decimals = place(deviation) + 1
    while decimals < 340 and (round(deviation, decimals) <= allowed) != (deviation <= allowed):
        decimals += 1
    shown = _number(deviation, decimals) if math.isfinite(deviation) else str(deviation)
    return Natural(f"off by at most {_with_unit(evidence, (0, 0), shown)}", "", count, within, compared)


def _compared(evidence: Evidence, count: str, decimals: int) -> str:
    if evidence.arms is None:
        geometric = "geometric " if evidence.unit == LOG_RATIO and evidence.center == "mean" else ""
        return f"The {geometric}{evidence.center} of {count}."
    if evidence.unit == LOG_RATIO:
        means = " and ".join(f"{math.exp(mean):.3g}" for mean in evidence.arms)
        return f"The ratio of two arms at each of {count}; their geometric means are {means}."
    scale, unit = (100, "%") if evidence.unit in PERCENT_UNITS else (1, evidence.unit and f" {evidence.unit}")
    means = " and ".join(_number(scale * mean, decimals) + unit for mean in evidence.arms)
    return f"The difference of two arms at each of {count}; their means are {means}."
