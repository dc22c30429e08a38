"""Judges of the exercises in ``bank/overfitting.py``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dropout_lessons.exercises.exercise import Inputs, Outputs, Problem
from dropout_lessons.exercises.judges import comparing


def judge_errors(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    noise, classes = inputs["noise"] / 100, inputs["classes"]
    false, chance = noise * (1 - 1 / classes), 1 - 1 / classes
    yield from comparing.numbers(
        outputs["answer"],
        np.array([false, chance]),
        {
            "all-redrawn-false": ([noise, chance], "A label that is drawn anew may be the true one by chance."),
            "chance-of-being-right": (
                [false, 1 / classes],
                "The second number is how often guessing is right: errors are asked for.",
            ),
            "always-wrong": ([false, 1.0], "Guessing is sometimes right."),
            "right-answers": ([1 - false, 1 / classes], "These are shares of right answers: errors are asked for."),
            "percent": (100 * np.array([false, chance]), "These are percentages: fractions are asked for."),
            "swapped": ([chance, false], "The two numbers are in the wrong order."),
        },
        rtol=0,
        atol=0.002,
        what="errors",
    )


_EXAMPLES, _CLASSES = 120, 4


def draw_costs(rng: np.random.Generator) -> Inputs:
    while True:  # until every mistake shows
        units = int(rng.integers(6, 11))
        hidden = np.maximum(rng.normal(0.3, 1, (_EXAMPLES, units)), 0).astype(np.float32)
        weight = rng.normal(size=(_CLASSES, units)).astype(np.float32)
        bias = (rng.normal(size=_CLASSES) / 2).astype(np.float32)
        gone = rng.permutation(units)[: rng.integers(2, 5)]
        left = hidden.copy()
        left[:, rng.choice(gone)] = 0  # a unit that the network is better without: its cost is below zero
        labels = (left @ weight.T + bias).argmax(1)
        labels = np.where(rng.random(_EXAMPLES) < 0.9, labels, rng.integers(0, _CLASSES, _EXAMPLES))
        inputs = {"hidden": hidden, "weight": weight, "bias": bias, "labels": labels, "units": gone}
        known = np.array(list(_costs(inputs).values()))
        if min(np.abs(known[i] - known[j]).max() for i in range(len(known)) for j in range(i)) > 0.004:
            return inputs


def _costs(inputs: Inputs) -> dict[str, NDArray[np.float64]]:
    """Together and one by one: as it should be, and by mistake."""
    hidden, units = inputs["hidden"], inputs["units"]

    def error(*gone: int) -> float:
        left = hidden.copy()
        left[:, list(gone)] = 0
        logits = left @ inputs["weight"].T + inputs["bias"]
        return float((logits.argmax(1) != inputs["labels"]).mean())

    whole, together = error(), error(*units)
    single = [error(unit) for unit in units]
    growing = [error(*units[: k + 1]) for k in range(len(units))]
    n = len(units)
    return {
        "right": np.array([together - whole, sum(single) - n * whole]),
        "removed-for-good": np.array([together - whole, sum(growing) - n * whole]),
        "baseline-moved": np.array([0.0, sum(growing) - n * whole]),
        "averaged": np.array([together - whole, sum(single) / n - whole]),
        "baseline-forgotten": np.array([together, sum(single)]),
        "baseline-once": np.array([together - whole, sum(single) - whole]),
        "turned-round": -np.array([together - whole, sum(single) - n * whole]),
        "swapped": np.array([sum(single) - n * whole, together - whole]),
        "sign-lost": np.array([together - whole, sum(abs(each - whole) for each in single)]),
        "falls-left-out": np.array([together - whole, sum(max(each - whole, 0) for each in single)]),
    }


def judge_costs(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    numbers = _costs(inputs)
    messages = {
        "removed-for-good": "A unit that was removed never comes back: the second one is removed beside the first.",
        "baseline-moved": "What is removed one by one is still gone when all are removed together.",
        "averaged": "The costs one by one are averaged: they should be added.",
        "baseline-forgotten": "These are errors, not what the removal adds to the error of the whole network.",
        "baseline-once": "The error of the whole network is part of each single cost, so it is subtracted each time.",
        "turned-round": "The signs are turned round: a cost is what the error gains.",
        "swapped": "The two numbers are in the wrong order.",
        "sign-lost": "A unit whose removal lowers the error costs less than nothing: its cost is below zero.",
        "falls-left-out": "A unit whose removal lowers the error counts, too: its cost is below zero.",
    }
    mistakes = {code: (numbers[code], message) for code, message in messages.items()}
    if not outputs["units_left"]:
        message = "It changes its argument units in place: whoever called it still needs the old list."
        yield Problem("in-place", message, lost=0.5)
    yield from comparing.values(outputs["costs"], numbers["right"], mistakes, rtol=0, atol=1e-4, what="the two costs")
