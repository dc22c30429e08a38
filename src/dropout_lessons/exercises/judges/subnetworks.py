"""Judges of the exercises in ``bank/subnetworks.py``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from dropout_lessons.exercises.exercise import Inputs, Outputs, Problem
from dropout_lessons.exercises.judges import comparing, drawing

_DRAWS = 60_000


def judge_empty(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    n, keep_prob = inputs["n"], inputs["keep_prob"]
    chance = (1 - keep_prob) ** n
    # A whole number may be a count over 60,000 masks, which is as good an answer; 6.6 is FALSE_ALARM in deviations.
    answer = outputs["answer"]
    is_count = answer.size == 1 and answer.dtype.kind in "iuf" and float(answer.reshape(())).is_integer()
    yield from comparing.number(
        answer,
        _DRAWS * chance,
        {
            "all-kept": (_DRAWS * keep_prob**n, "That is how often every unit is kept."),
            "probability": (chance, "That is the probability for one mask: how many of the masks is it?"),
            "one-dropped": (_DRAWS * (1 - keep_prob), "That is how often one given unit is dropped."),
            "any-dropped": (_DRAWS * (1 - keep_prob**n), "That is how often at least one unit is dropped."),
            "added": (
                _DRAWS * n * (1 - keep_prob),
                "The units' probabilities are added: all of them must be dropped at once.",
            ),
            "equally-likely": (
                _DRAWS / 2**n,
                "That takes all masks to be equally likely, which they are at 1/2 alone.",
            ),
            "one-unit-too-few": (_DRAWS * (1 - keep_prob) ** (n - 1), "Count the units that must be dropped again."),
        },
        atol=6.6 * np.sqrt(_DRAWS * chance * (1 - chance)) if is_count else 0.0,
    )


_ROWS, _IN, _HIDDEN, _OUT = 16, 12, 24, 5


def draw_thin(rng: np.random.Generator) -> Inputs:
    keep_prob = drawing.band(rng)
    kept = rng.random(_HIDDEN) < keep_prob
    kept[rng.permutation(_HIDDEN)[:5]] = True, True, True, False, False  # never all, and never as many as dropped ones
    if kept.sum() == _HIDDEN / 2:
        kept[np.flatnonzero(kept)[0]] = False
    return {
        "weight1": drawing.away_from_zero(rng, _HIDDEN, _IN),
        "bias1": drawing.away_from_zero(rng, _HIDDEN),
        "weight2": drawing.away_from_zero(rng, _OUT, _HIDDEN),
        "kept": kept,
        "keep_prob": keep_prob,
        "x": drawing.away_from_zero(rng, _ROWS, _IN),
    }


def _network(x: Any, weight1: Any, bias1: Any, weight2: Any) -> Any:
    hidden = np.maximum(x.astype(np.float64) @ weight1.astype(np.float64).T + bias1, 0)
    return hidden @ weight2.astype(np.float64).T


def judge_thin(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    kept, keep_prob, x = inputs["kept"], inputs["keep_prob"], inputs["x"]
    weight1, bias1, weight2 = inputs["weight1"], inputs["bias1"], inputs["weight2"]
    shapes = tuple(outputs[name].shape for name in ("weight1", "bias1", "weight2"))

    def cut(units: int) -> tuple[tuple[int, ...], ...]:
        return (units, _IN), (units,), (_OUT, units)

    if shapes == cut(_HIDDEN):
        yield Problem("not-cut", "The network has as many hidden units as before: cut the dropped ones out.")
    elif shapes == cut(_HIDDEN - kept.sum()):
        yield Problem("keep-and-drop-swapped", "The units that are left are the dropped ones.")
    elif shapes != cut(kept.sum()):
        yield Problem(
            "wrong-shape",
            f"The shapes are {shapes}; with {kept.sum()} units kept they should be {cut(int(kept.sum()))}.",
        )
        return
    got = _network(x, outputs["weight1"], outputs["bias1"], outputs["weight2"])

    def is_that(factors: tuple[float, float, float]) -> bool:
        one, bias, two = (array * factor for array, factor in zip((weight1, bias1, weight2), factors, strict=True))
        return np.allclose(got, _network(x, one[kept], bias[kept], two[:, kept]), rtol=1e-3, atol=1e-3)

    inverse = 1 / keep_prob
    known = {
        "unscaled": ((1, 1, 1), "What is kept is not divided by keep_prob, as inverted dropout does in training."),
        "scaled-by-keep-prob": ((1, 1, keep_prob), "What is kept is multiplied by keep_prob, not divided."),
        "scaled-by-drop-prob": ((1, 1, 1 / (1 - keep_prob)), "What is kept is divided by the probability of dropping."),
        "scaled-twice": ((inverse, inverse, inverse), "What is kept is divided by keep_prob twice."),
        "bias-unscaled": ((inverse, 1, 1), "Dividing the first weights alone leaves their biases as they were."),
        "bias-missing": ((1, 0, inverse), "The hidden units' biases are gone."),
    }
    if not is_that((1, 1, inverse)):
        other = "The smaller network computes something else than the masked one: are the right units cut out?"
        yield from comparing.mistaken(is_that, known, Problem("different", other))


def draw_draws_until_repeat(rng: np.random.Generator) -> Inputs:
    """Numbers of units at which masks come back after hundreds to ten thousands of draws: so late, 2/3 is nothing."""
    keep_prob = drawing.band(rng)
    draws = rng.uniform([300, 1500, 8000], [600, 3000, 20000])
    return {"n": np.ceil(2 * np.log(draws) / -np.log(_agreement(keep_prob))).astype(int), "keep_prob": keep_prob}


def _agreement(keep_prob: float) -> float:
    return keep_prob**2 + (1 - keep_prob) ** 2


def judge_draws_until_repeat(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    n, keep_prob, draws = inputs["n"].astype(float), inputs["keep_prob"], outputs["draws"].reshape(-1)
    if draws.dtype.kind not in "biuf" or draws.shape != n.shape:
        yield Problem("wrong-type", "It should return one number.")
        return
    agree = _agreement(keep_prob)

    def is_that(other: Any) -> bool:
        return bool(np.allclose(draws, other, rtol=0.015, atol=0))

    known = {
        "equally-likely": (
            np.sqrt(np.pi / 2 * 2**n),
            "It takes all masks to be equally likely, which they are at 1/2 alone.",
        ),
        "one-pair": (agree**-n, "That is how long you wait until one given mask comes back; any two may agree."),
        "keep-prob-only": (np.sqrt(np.pi / 2 / keep_prob ** (2 * n)), "Two masks also agree on a unit that both drop."),
        "no-constant": (agree ** (-n / 2), "It grows as it should; the constant in front is missing."),
        "median": (np.sqrt(2 * np.log(2) / agree**n), "That is the median of the number of draws, not the average."),
        "one-unit": (
            np.full(len(n), np.sqrt(np.pi / 2 / agree)),
            "It is the same for every n: two masks agree if they agree on all of their units.",
        ),
        "turned-round": (
            np.sqrt(np.pi / 2 * agree**n),
            "It falls as n grows: the rarer an agreement, the longer it takes.",
        ),
        "not-a-root": (np.pi / 2 / agree**n, "With T draws there are about T * T / 2 pairs: a square root is missing."),
    }
    if not is_that(np.sqrt(np.pi / 2 / agree**n)):
        off = Problem("off", "The numbers are not those of the birthday problem for masks.")
        yield from comparing.mistaken(is_that, known, off)
