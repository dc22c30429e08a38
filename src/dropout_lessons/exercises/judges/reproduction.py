"""Judges of the exercises in ``bank/reproduction.py``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from scipy.special import ndtri, stdtrit

from dropout_lessons.exercises.exercise import Inputs, Outputs, Problem
from dropout_lessons.exercises.judges import comparing


@cache
def _verdicts(experiment: str) -> tuple[int, int, int]:
    """How many statements agree, differ and are undecided."""
    from dropout_lessons import experiments  # it takes a second, and only this exercise needs it

    holds = [finding.holds for finding in experiments.recorded(experiment).findings]
    return holds.count(True), holds.count(False), holds.count(None)


def judge_reading(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    agree, differ, undecided = _verdicts(str(inputs["experiment"]))
    luck = 0.025 * (agree + differ + undecided)
    yield from comparing.numbers(
        outputs["answer"],
        np.array([agree, differ, undecided, luck]),
        {
            "undecided-counted-as-differing": (
                [agree, differ + undecided, 0, luck],
                "An interval that contains the bound decides nothing: undecided is not the same as different.",
            ),
            "luck-both-sides": (
                [agree, differ, undecided, 2 * luck],
                "An interval misses zero in 5% of the cases, and in half of these on the side that the paper says.",
            ),
            "luck-of-those-that-agree": (
                [agree, differ, undecided, 0.025 * agree],
                "Luck may strike every statement, not only those that agree in the end.",
            ),
            "percent": ([agree, differ, undecided, 2.5], "The last number is of statements, not a percentage."),
        },
        atol=0.011,
        rtol=0,
        what="reading",
    )


_WORDS = ("agrees", "differs", "undecided")
_MANY, _FEW = 10, 5  # seeds


def _quantile(n: int, share: float = 0.975) -> float:
    return float(stdtrit(n - 1, share))


# Distances of the mean from the bound, in standard errors, at which mistakes show. The largest is decided by a 99%
# interval, too, and not by one for a single difference.
_DISTANCES = {
    _MANY: ((0.2, 1.2), (1.86, 1.93), (2.02, 2.12), (2.17, 2.22), (2.3, 2.6), (3.4, 4.4)),
    _FEW: ((0.2, 1.2), (2.3, 2.45), (2.6, 2.74), (3.0, 4.0), (4.8, 5.8)),
}
_DECIDED = 3.2


def draw_verdict(rng: np.random.Generator) -> Inputs:
    inputs: Inputs = {}
    for name, n in (("many", _MANY), ("few", _FEW)):
        rows, bounds = [], []
        for sign in (-1, 1):
            for low, high in _DISTANCES[n]:
                noise = rng.normal(size=n)
                noise = (noise - noise.mean()) / noise.std(ddof=1)
                spread, bound = rng.uniform(0.002, 0.01), rng.choice([-1, 1]) * rng.uniform(0.02, 0.05)
                distance = sign * rng.uniform(low, high) / np.sqrt(n)
                if low > _DECIDED:  # an interval that contains zero may well lie on one side of its bound
                    bound = -spread * distance
                rows.append(bound + spread * (noise + distance))
                bounds.append(bound)
        order = rng.permutation(len(rows))
        inputs |= {
            f"{name}_differences": np.array(rows, dtype=np.float32)[order],
            f"{name}_bounds": np.array(bounds)[order],
        }
    return inputs


def judge_verdict(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    names = ("many", "few")
    for name in names:
        given = outputs[name]
        is_text = given.dtype.kind == "U" and given.shape == inputs[f"{name}_bounds"].shape
        if not is_text or not set(given.tolist()) <= set(_WORDS):
            yield Problem("wrong-words", f"The verdict should be one of {', '.join(_WORDS)}, as text.")
            return
    verdicts = np.concatenate([outputs[name] for name in names])

    def judged(
        quantile: Any = _quantile,
        *,
        zero: bool = False,
        ddof: int = 1,
        single: bool = False,
        mean_alone: bool = False,
        zero_decides: bool = False,
    ) -> Any:
        found = []
        for name in names:
            differences, bounds = (
                inputs[f"{name}_differences"].astype(np.float64),
                inputs[f"{name}_bounds"] * (not zero),
            )
            n, mean = differences.shape[1], differences.mean(1)
            half = quantile(n) * differences.std(1, ddof=ddof) / np.sqrt(1 if single else n) * (not mean_alone)
            undecided = zero_decides & (np.abs(mean) < half)
            sides = [undecided, mean + half < bounds, mean - half > bounds]
            found.append(np.select(sides, ["undecided", "agrees", "differs"], "undecided"))
        return np.concatenate(found)

    turned = {"agrees": "differs", "differs": "agrees", "undecided": "undecided"}
    right = judged()
    if (verdicts == right).all():
        return
    known = {
        "turned-round": (
            np.array([turned[word] for word in right]),
            "The verdicts are turned round: the statement is that the difference lies below the bound.",
        ),
        "bound-ignored": (judged(zero=True), "The interval is compared with zero, whatever the bound is."),
        "zero-decides": (
            judged(zero_decides=True),
            "Where the interval contains zero it is called undecided: it is the bound that counts.",
        ),
        "hard-coded-t": (
            judged(lambda n: _quantile(_MANY)),
            "With 10 differences it is right, with 5 it is not: the quantile of t depends on how many there are.",
        ),
        "normal": (
            judged(lambda n: ndtri(0.975)),
            "1.96 is for a known spread: with a spread from a few differences it is Student's t.",
        ),
        "degrees-of-freedom": (
            judged(lambda n: stdtrit(n, 0.975)),
            "The interval is a little too narrow: n differences leave how many degrees of freedom?",
        ),
        "standard-deviation": (
            judged(single=True),
            "That interval is for a single difference: how does the spread of a mean of n shrink?",
        ),
        "population-deviation": (judged(ddof=0), "The spread of a sample is divided by n - 1, not by n."),
        "one-sided": (
            judged(lambda n: _quantile(n, 0.95)),
            "The interval is too narrow: a 95% interval leaves 2.5% on each side.",
        ),
        "wrong-end": (
            judged(lambda n: -_quantile(n)),
            "The ends are mixed up: which of them has to be below the bound if the whole interval is?",
        ),
        "never-differs": (
            np.where(right == "differs", "undecided", right),
            "Nothing ever differs: what if the whole interval lies above the bound?",
        ),
        "never-undecided": (judged(mean_alone=True), "The mean alone decides: where is the interval?"),
        "undecided-counted-as-differing": (
            np.where(right == "agrees", "agrees", "differs"),
            "What is not shown to agree is called different: an interval may also leave it open.",
        ),
    }
    count = int((verdicts != right).sum())
    off = f"{count} of {len(right)} verdicts are not right: is the interval too wide or too narrow?"
    yield from comparing.mistaken(lambda wrong: (verdicts == wrong).all(), known, Problem("off", off))
