"""What judges share: counts, masks and numbers, each with a stated rate of false alarms.

A judge sees numpy arrays alone. Structure is looked at before rates: a mask that rows share inflates the variance of
every count. ``FALSE_ALARM`` bounds how often any one test here rejects a right answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import rel_entr

from dropout_lessons.exercises.exercise import Problem

FALSE_ALARM = 1e-9


def plausible(count: int, n: int, prob: float, *, tests: int = 1) -> bool:
    r"""Whether ``count`` successes in ``n`` independent draws may come from probability ``prob``.

    By Chernoff's bound, with :math:`k` successes,

    .. math:: n \, \mathrm{KL}(k/n \,\|\, p) \le \ln(2/\alpha)

    fails with probability at most :math:`\alpha` for every :math:`n` and :math:`p`; here :math:`\alpha = 10^{-9}`.

    With several ``tests`` at once :math:`\alpha` is divided by their number.

    Example:
        >>> plausible(500, 1000, 0.5), plausible(700, 1000, 0.5)
        (True, False)

    Source: Chernoff 1952; Boucheron, Lugosi and Massart 2013, Section 2.2.
    """
    share = count / n
    divergence = float(rel_entr(share, prob) + rel_entr(1 - share, 1 - prob))
    return bool(n * divergence <= np.log(2 * tests / FALSE_ALARM))


def shape(what: str, value: NDArray[Any], expected: tuple[int, ...]) -> Iterator[Problem]:
    """A problem if a value does not have the expected shape."""
    if value.shape != expected:
        yield Problem("wrong-shape", f"The shape of {what} is {value.shape}, and {expected} was expected.")


def mistaken(
    is_it: Callable[[Any], Any], mistakes: Mapping[str, tuple[Any, str]], otherwise: Problem
) -> Iterator[Problem]:
    """The problem of an answer that is not right: the first known mistake that makes it, or that it is wrong otherwise.

    Args:
        is_it: Whether the answer is what a mistake leads to.
        mistakes: By code, what a mistake leads to and what to say of it.
        otherwise: The problem where it is none of them.
    """
    known = (Problem(code, message) for code, (wrong, message) in mistakes.items() if is_it(wrong))
    yield next(known, otherwise)


def number(
    value: NDArray[Any],
    truth: float,
    mistakes: Mapping[str, tuple[float, str]],
    *,
    rtol: float = 0.01,
    atol: float = 0.0,
    what: str = "The answer",
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

    if not is_close(truth):
        off = Problem("off", f"{what} is too {'small' if given < truth else 'large'}.")
        yield from mistaken(is_close, mistakes, off)


def values(
    value: NDArray[Any],
    truth: ArrayLike,
    mistakes: Mapping[str, tuple[ArrayLike, str]],
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
    truth = np.asarray(truth, dtype=np.float64)
    if value.dtype.kind not in "biuf":
        yield Problem("wrong-type", f"For {what}, numbers were expected.")
        return
    yield from shape(what, value, truth.shape)
    if value.shape != truth.shape:
        return
    allowed = max(atol, rtol * float(np.abs(truth).max(initial=0)))

    def is_close(wrong: ArrayLike) -> bool:
        wrong = np.asarray(wrong)
        return wrong.shape == value.shape and bool((np.abs(value - wrong) <= allowed + 1e-5 * np.abs(wrong)).all())

    if np.abs(value - truth).max(initial=0) > allowed:
        yield from mistaken(is_close, mistakes, Problem("off", _off(np.abs(value - truth) > allowed, what)))


def _off(wrong: NDArray[np.bool_], what: str) -> str:
    if wrong.all():
        return f"None of the numbers in {what} is right, and the check does not know the mistake."
    n, where = int(wrong.sum()), ", ".join(str(i) for i in np.argwhere(wrong)[0])
    at = f"is not right, at [{where}]" if n == 1 else f"are not right, the first at [{where}]"
    return f"{n} of the {wrong.size} numbers in {what} {at}; the check does not know the mistake."


def numbers(
    value: NDArray[Any],
    truth: ArrayLike,
    mistakes: Mapping[str, tuple[ArrayLike, str]],
    *,
    rtol: float = 1e-3,
    atol: float = 1e-5,
    what: str = "the numbers",
) -> Iterator[Problem]:
    """The same as ``values`` for a handful of numbers, however they are nested: two pairs are four numbers."""
    if value.size != np.size(truth):
        yield Problem("wrong-shape", f"{np.size(truth)} numbers are asked for in {what}, not {value.size}.")
        return
    yield from values(value.reshape(-1), truth, mistakes, rtol=rtol, atol=atol, what=what)
