"""Judges of the exercises in ``bank/choosing.py``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dropout_lessons.exercises.exercise import Inputs, Outputs, Problem
from dropout_lessons.exercises.judges import comparing

_LOWER, _HIGHER = 0.078, 0.082  # the errors that the paper of the first exercise reports


def judge_noise(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    n, disagree = inputs["images"], inputs["disagree"] / 100
    gap = _HIGHER - _LOWER
    apart = _LOWER * (1 - _LOWER) + _HIGHER * (1 - _HIGHER)  # variance of an image, were the networks independent

    def both(variance: float, deviations: float = 2) -> Any:
        return np.array([gap / np.sqrt(variance / n), deviations**2 * variance / gap**2])

    right = both(disagree)
    answer = outputs["answer"]
    yield from comparing.numbers(
        answer.reshape(-1) / right if answer.size == 2 and answer.dtype.kind in "biuf" else answer,
        np.ones(2),
        {
            "independent": (
                both(apart) / right,
                "These are two independent samples: but both networks saw the same images, and mostly agree.",
            ),
            "one-deviation": (
                both(disagree, deviations=1) / right,
                "With so many images the difference would be one standard deviation, not two.",
            ),
            "shown-four-times-in-five": (
                both(disagree, deviations=2.8) / right,
                "So many show it four times in five: asked is where the difference is two standard deviations.",
            ),
            "square-root-of-n-forgotten": (
                np.array([gap / np.sqrt(disagree), right[1]]) / right,
                "That is the standard deviation of one image: how does that of a mean of n shrink?",
            ),
            "variance-for-deviation": (
                np.array([gap / (disagree / n), right[1]]) / right,
                "The difference is divided by its variance: take the standard deviation.",
            ),
            "swapped": (right[::-1] / right, "The two numbers are in the wrong order."),
        },
        rtol=0.03,
        what="noise",
    )


def draw_choose(rng: np.random.Generator) -> Inputs:
    """Errors by which every known mistake chooses another candidate, and reports another number."""
    while True:
        candidates, seeds = int(rng.integers(14, 18)), 5  # so many that an index tells along which axis it was found
        best, lucky, best_on_test, lucky_on_test, worst, steady, even = rng.permutation(candidates)[:7]
        validation, test = (0.1 + rng.uniform(-0.003, 0.003, (candidates, seeds)) for _ in range(2))
        validation[best] += rng.permutation([-0.05, -0.05, 0.01, 0.012, 0.014])  # lowest mean, no other lowest number
        validation[lucky] += rng.permutation([-0.07, 0.02, 0.02, 0.02, 0.02])
        validation[worst] += 0.02
        validation[steady] -= 0.006
        validation[even] -= 0.003
        validation[best_on_test] += 0.012
        test[best] += 0.012
        test[best, rng.integers(seeds)] -= 0.02
        test[even] -= 0.012
        test[best_on_test] -= 0.02
        test[lucky_on_test] += rng.permutation([-0.06, 0.02, 0.02, 0.02, 0.02])
        inputs = {"validation_error": validation.astype(np.float32), "test_error": test.astype(np.float32)}
        wrong = {int(place) for _, place in _other_choices(validation, test)}
        if int(validation.mean(1).argmin()) not in wrong and len(wrong) >= 7:
            return inputs


def _other_choices(validation: NDArray[Any], test: NDArray[Any]) -> Iterator[tuple[str, Any]]:
    yield "chosen-on-test", test.min(1).argmin()
    yield "chosen-on-test", test.mean(1).argmin()
    yield "chosen-on-test", np.median(test, 1).argmin()
    yield "chosen-on-both", (validation + test).mean(1).argmin()
    yield "best-seed", validation.min(1).argmin()
    yield "largest", validation.mean(1).argmax()
    yield "wrong-axis", validation.mean(0).argmin()
    yield "other-summary", np.median(validation, 1).argmin()
    yield "other-summary", validation.max(1).argmin()
    yield "other-summary", (validation.mean(1) + validation.std(1)).argmin()
    yield "other-summary", validation[:, 0].argmin()
    yield "other-summary", validation[:, -1].argmin()


def judge_choose(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    validation, test = (inputs[name].astype(np.float64) for name in ("validation_error", "test_error"))
    best = int(validation.mean(1).argmin())
    messages = {
        "chosen-on-test": "The candidate is chosen by its test error: then the test error is no test any more.",
        "chosen-on-both": "Test errors have a say in the choice: then the test error is no test any more.",
        "best-seed": "One lucky seed decides: what is to be chosen is a candidate, not a candidate's best day.",
        "largest": "That candidate has the largest error.",
        "wrong-axis": "That is a seed, not a candidate: which axis is averaged?",
        "other-summary": "It chooses by another number than this chapter's recipe: the mean over seeds.",
    }
    chosen, error = outputs["candidate"], outputs["error"]
    if chosen.size == error.size == 1 and np.isclose(chosen, test[best].mean(), rtol=1e-4) and error == best:
        yield Problem("swapped", "The two are in the wrong order: the index comes first, then the error.")
    known = [(code, place) for code, place in _other_choices(validation, test) if chosen.size == 1 and chosen == place]
    mistakes = {code: (float(place), messages[code]) for code, place in known[:1]}
    yield from comparing.number(chosen, best, mistakes, rtol=0, atol=0.01, what="The candidate's index")
    yield from comparing.number(
        error,
        test[best].mean(),
        {
            "reports-best-seed": (test[best].min(), "The reported error is that of the luckiest seed."),
            "reports-validation": (
                validation[best].mean(),
                "The reported error is the one by which the candidate was chosen: it is too good.",
            ),
            "reports-median": (np.median(test[best]), "The reported error is a median: average over the seeds."),
            "reports-best-validation": (
                validation[best].min(),
                "The reported error is on validation data, and a lucky one.",
            ),
        },
        rtol=1e-4,
        what="The reported error",
    )
