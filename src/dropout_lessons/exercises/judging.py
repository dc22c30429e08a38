"""What judges share: counts, masks and numbers, each with a stated rate of false alarms.

A judge sees numpy arrays alone. Structure is looked at before rates: a mask that rows share inflates the variance of
every count. ``FALSE_ALARM`` bounds how often any one test here rejects a right answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

from dropout_lessons.exercises.exercise import Problem

__all__ = ["FALSE_ALARM", "away_from_zero", "band", "masks", "number", "plausible", "shape", "values"]

FALSE_ALARM = 1e-9


def plausible(count: int, n: int, prob: float) -> bool:
    r"""Whether ``count`` successes in ``n`` independent draws may come from probability ``prob``.

    By Chernoff's bound, with :math:`k` successes,

    .. math:: n \, \mathrm{KL}(k/n \,\|\, p) \le \ln(2/\alpha)

    fails with probability at most :math:`\alpha` for every :math:`n` and :math:`p`; here :math:`\alpha = 10^{-9}`.

    Example:
        >>> plausible(500, 1000, 0.5), plausible(700, 1000, 0.5)
        (True, False)

    Source: Chernoff 1952; Boucheron, Lugosi and Massart 2013, Section 2.2.
    """
    share = count / n
    divergence = float(rel_entr(share, prob) + rel_entr(1 - share, 1 - prob))
    return bool(n * divergence <= np.log(2 / FALSE_ALARM))


def away_from_zero(rng: np.random.Generator, *size: int) -> NDArray[np.float32]:
    """Random numbers of both signs with absolute values from 0.5 to 2: none can be mistaken for a dropped one."""
    numbers: NDArray[np.float32] = (rng.uniform(0.5, 2, size) * rng.choice([-1, 1], size)).astype(np.float32)
    return numbers


def band(rng: np.random.Generator) -> float:
    """A keep probability from .15-.35 or .65-.85: far from 1/2, where keeping and dropping look alike."""
    return round(float(rng.uniform(0.15, 0.35) + 0.5 * rng.integers(2)), 3)


def shape(what: str, value: NDArray[Any], expected: tuple[int, ...]) -> Iterator[Problem]:
    """A problem if a value does not have the expected shape."""
    if value.shape != expected:
        yield Problem("wrong-shape", f"The shape of {what} is {value.shape}, and {expected} was expected.")


def number(
    value: NDArray[Any],
    truth: float,
    mistakes: Mapping[str, tuple[float, str]],
    *,
    rtol: float = 0.01,
    atol: float = 0.0,
    what: str = "The number",
) -> Iterator[Problem]:
    """A problem if a number is not close to the truth: the known mistake that gives it, or that it is off.

    Args:
        value: The student's number.
        truth: The right number.
        mistakes: By code, the number that a mistake leads to and what to say of it.
        rtol: Allowed relative deviation.
        atol: Allowed absolute deviation.
        what: What the number is, at the start of a sentence.
    """
    if value.dtype.kind not in "biuf" or value.size != 1:
        yield Problem("wrong-type", f"{what} should be one number.")
        return
    given = float(value.reshape(()))

    def is_close(other: float) -> bool:
        return abs(given - other) <= max(atol, rtol * abs(other))

    if is_close(truth):
        return
    for code, (wrong, message) in mistakes.items():
        if is_close(wrong):
            yield Problem(code, message)
            return
    yield Problem("off", f"{what} is too {'small' if given < truth else 'large'}.")


def values(
    value: NDArray[Any],
    truth: NDArray[Any],
    mistakes: Mapping[str, tuple[NDArray[Any], str]],
    *,
    rtol: float = 1e-3,
    atol: float = 1e-5,
    what: str = "the result",
) -> Iterator[Problem]:
    """A problem if an array is not close to the truth: its shape, the known mistake that gives it, or that it is off.

    Args:
        value: The student's array.
        truth: The right array.
        mistakes: By code, the array that a mistake leads to and what to say of it; the first that fits counts.
        rtol: Allowed deviation, relative to the largest number of the truth.
        atol: Allowed absolute deviation.
        what: What the array is.
    """
    truth = np.asarray(truth)
    if value.dtype.kind not in "biuf":
        yield Problem("wrong-type", f"For {what}, numbers were expected.")
        return
    yield from shape(what, value, truth.shape)
    if value.shape != truth.shape:
        return
    allowed = max(atol, rtol * float(np.abs(truth).max(initial=0)))
    if np.abs(value - truth).max(initial=0) <= allowed:
        return
    for code, (wrong, message) in mistakes.items():
        if np.shape(wrong) == value.shape and np.abs(value - wrong).max(initial=0) <= allowed:
            yield Problem(code, message)
            return
    yield Problem("off", f"At least one number in {what} is not right, and by no mistake that this check knows.")


def masks(kept: NDArray[np.bool_], keep_prob: float, *, rows_share: bool = False) -> Iterator[Problem]:
    """The first problem of masks that should be drawn with one probability, independently for every entry.

    Args:
        kept: Masks of several calls, of shape (calls, rows, units); True = kept. At least 4 calls, 16 rows, 16 units.
        keep_prob: Probability with which an entry should be kept.
        rows_share: Whether the rows of a call should share one mask.
    """
    calls, rows, units = kept.shape
    if kept.all() or not kept.any():
        word = "kept" if kept.all() else "dropped"
        yield Problem(
            f"nothing-{'dropped' if word == 'kept' else 'kept'}", f"Every unit is {word}, whatever keep_prob is."
        )
        return
    if (kept == kept[:1]).all():
        message = "Every call draws the same mask: is the generator seeded, or the mask stored, inside?"
        yield Problem("same-mask-again", message)
        return
    if (kept == kept[:, :, :1]).all():
        yield Problem("mask-per-row", "All units of an example share one coin: a row is kept or dropped as a whole.")
        return
    shared = bool((kept == kept[:, :1]).all())
    if shared != rows_share:
        if shared:
            yield Problem("mask-per-batch", "All rows of a batch share one mask: each example needs its own.")
        else:
            yield Problem("rows-differ", "The rows of a batch have different masks: they should share one.")
        return
    drawn = kept[:, 0] if shared else kept.reshape(calls * rows, units)
    counts = drawn.sum(1)
    if len(np.unique(counts)) == 1 or len(np.unique(kept.sum((1, 2)))) == 1:
        message = "The number of kept units is always the same: each unit should have a coin of its own."
        yield Problem("exact-count", message)
        return
    total = int(counts.sum())
    if not plausible(total, drawn.size, keep_prob):
        seen = f"{total / drawn.size:.1%} of the units are kept with keep_prob = {keep_prob}"
        if plausible(total, drawn.size, 1 - keep_prob):
            yield Problem("keep-and-drop-swapped", f"{seen}: keeping and dropping are swapped.")
        elif plausible(total, drawn.size, 0.5):
            yield Problem("hard-coded-half", f"{seen}: is 0.5 written into the code?")
        else:
            yield Problem("wrong-rate", f"{seen}.")
