"""Exercises of chapter 7, choosing keep probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from dropout_lessons.exercises import judging
from dropout_lessons.exercises.exercise import Coded, Inputs, Outputs, Problem, Written

__all__ = ["EXERCISES"]

_LOWER, _HIGHER = 0.078, 0.082  # the errors that the paper of the first exercise reports


def _judge_noise(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    n, disagree = inputs["images"], inputs["disagree"] / 100
    gap = _HIGHER - _LOWER
    apart = _LOWER * (1 - _LOWER) + _HIGHER * (1 - _HIGHER)  # variance of an image, were the networks independent

    def both(variance: float, deviations: float = 2) -> Any:
        return np.array([gap / np.sqrt(variance / n), deviations**2 * variance / gap**2])

    right = both(disagree)
    yield from judging.values(
        outputs["answer"] / np.maximum(right, 1e-9) if outputs["answer"].shape == (2,) else outputs["answer"],
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


_CANDIDATES, _RUNS = 8, 5  # more candidates than seeds, so that an index tells along which axis it was found


def _draw_scores(rng: np.random.Generator) -> Inputs:
    """Errors by which every known mistake chooses another candidate, and reports another number."""
    lucky_seed = int(rng.integers(_RUNS))
    others = rng.permutation([candidate for candidate in range(_CANDIDATES) if candidate != lucky_seed])
    best, lucky, best_on_test, lucky_on_test, worst = others[:5]
    validation, test = (0.08 + rng.uniform(-0.003, 0.003, (_CANDIDATES, _RUNS)) for _ in range(2))
    validation[best] -= 0.012
    validation[worst] += 0.012
    validation[lucky] += 0.006
    validation[:, lucky_seed] -= 0.008
    validation[lucky, lucky_seed] = 0.045
    test[best_on_test] -= 0.012
    test[lucky_on_test] += 0.006
    test[lucky_on_test, rng.integers(_RUNS)] = 0.045
    test[best, rng.integers(_RUNS)] = 0.07
    return {"validation_error": validation, "test_error": test}


def _use_scores(answer: Any, inputs: Inputs) -> dict[str, Any]:
    answer(inputs["validation_error"].clone(), inputs["test_error"].clone())
    candidate, error = answer(inputs["validation_error"], inputs["test_error"])
    return {"candidate": candidate, "error": error}


def _judge_scores(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    validation, test = inputs["validation_error"], inputs["test_error"]
    best = int(validation.mean(1).argmin())
    yield from judging.number(
        outputs["candidate"],
        best,
        {
            "chosen-on-test": (
                test.min(1).argmin(),
                "The candidate is chosen by its test error: then the test error is no test any more.",
            ),
            "chosen-on-test-means": (
                test.mean(1).argmin(),
                "The candidate is chosen by its test error: then the test error is no test any more.",
            ),
            "best-seed": (
                validation.min(1).argmin(),
                "One lucky seed decides: what is to be chosen is a candidate, not a candidate's best day.",
            ),
            "largest": (validation.mean(1).argmax(), "That candidate has the largest error."),
            "wrong-axis": (validation.mean(0).argmin(), "That is a seed, not a candidate: which axis is averaged?"),
        },
        rtol=0,
        atol=0.01,
        what="The candidate's index",
    )
    yield from judging.number(
        outputs["error"],
        test[best].mean(),
        {
            "reports-best-seed": (test[best].min(), "The reported error is that of the luckiest seed."),
            "reports-validation": (
                validation[best].mean(),
                "The reported error is the one by which the candidate was chosen: it is too good.",
            ),
            "reports-best-validation": (
                validation[best].min(),
                "The reported error is on validation data, and a lucky one.",
            ),
        },
        rtol=1e-4,
        what="The reported error",
    )


EXERCISES = (
    Coded(
        id="ch07-q1",
        title="read the noise",
        level="warm-up",
        kind="predict",
        minutes=10,
        points=2,
        objectives=(4,),
        constants={"images": (500, 400, 800, 1000), "disagree": (4, 5, 6)},
        prompt=r"""
A paper tunes $p$ on {{images}} validation images and reports that 0.45 (7.8% error) is better than 0.5 (8.2%). The two networks
disagree on {{disagree}}% of the images; on these one is right and the other wrong. How many standard deviations of the
difference is that? How many images would make it two? Say first whether it is a finding.
""",
        answer="noise",
        stub="""
noise = None  # two numbers: standard deviations, images
""",
        judge=_judge_noise,
    ),
    Coded(
        id="ch07-q2",
        title="find the bug: too good to be true",
        level="core",
        kind="find the bug",
        minutes=15,
        points=3,
        objectives=(4,),
        prompt=r"""
This function chooses one of several candidates, and reports its error. Both arguments have the shape (candidates, seeds). What
it reports never comes back when somebody trains the chosen candidate again. Repair it: it should return the index of the
candidate that this chapter's recipe chooses, and the error, averaged over seeds, that the recipe lets you report.
""",
        answer="choose",
        stub="""
def choose(validation_error, test_error):
    best = test_error.min(dim=1).values.argmin()
    return best, test_error[best].min()
""",
        draw=_draw_scores,
        use=_use_scores,
        judge=_judge_scores,
    ),
    Written(
        id="ch07-q3",
        title="more candidates",
        level="core",
        kind="design",
        minutes=25,
        points=4,
        objectives=(4,),
        prompt=r"""
Make 21 candidates: the networks at 0.6, 0.7 and 0.8 of each of 7 seeds, all trained on the same 1,000 digits (`data[0]`;
change initial weights and recipe seeds only). Choose on sets of 100 validation digits. By how much is the error of the best of
3, of 7, of 21 on its 100 digits below its own error on all 1,000? *Expect about one point, one and a half, and two: the curse
grows with every candidate.*
""",
    ),
    Written(
        id="ch07-q4",
        title="wider layers",
        level="core",
        kind="argue",
        minutes=25,
        points=4,
        objectives=(2, 3),
        prompt=r"""
Repeat "A $p$ for every layer" with layers of 512 units and five seeds: inputs 0.8 alone, the paper's pair, 0.8 everywhere.
Which of the three conclusions stays? *Expect the paper's pair to catch up with the inputs alone, so that the second conclusion
goes.*
""",
    ),
    Written(
        id="ch07-q5",
        title="a fair race",
        level="stretch",
        kind="design",
        minutes=45,
        points=6,
        objectives=(4,),
        prompt=r"""
Compare dropout with L2 on pictures of clothes (`fashion_10k`, 1,000 examples) so that a skeptic has nothing to say: candidates,
budget, seeds, what is chosen on what, and the sentence that you will write if the interval contains zero; all before the first
run. Then run it. *Expect about half a point fewer errors with dropout, an interval that comes near zero, and a difference in
loss that is beyond doubt.*
""",
    ),
)
