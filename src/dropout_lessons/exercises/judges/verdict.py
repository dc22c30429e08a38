"""Judges of the exercises in ``bank/verdict.py``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from dropout_lessons.exercises.exercise import Inputs, Outputs, Problem
from dropout_lessons.exercises.judges import comparing


def draw_paired_interval(rng: np.random.Generator) -> Inputs:
    """Two arms that share most of what varies from seed to seed, and differ by about as much as they scatter."""
    seeds = int(rng.choice([5, 6, 7, 8, 12, 14]))  # not the ten whose quantile the text names
    shared = rng.normal(0, 0.05, seeds)
    control = 0.3 + shared + rng.normal(0, 0.01, seeds)
    arm = control + rng.choice([-1, 1]) * rng.uniform(0.02, 0.04) + rng.normal(0, 0.01, seeds)
    return {"arm": arm, "control": control, "quantile": round(float(stdtrit(seeds - 1, 0.975)), 4)}


def judge_paired_interval(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    arm, control = (np.asarray(inputs[name], dtype=np.float64) for name in ("arm", "control"))
    t, n = float(inputs["quantile"]), len(arm)
    d = arm - control
    s, mean = d.std(ddof=1), float(d.mean())
    error = s / np.sqrt(n)

    def around(half: float, middle: float = mean) -> NDArray[np.float64]:
        return np.array([middle, middle - half, middle + half])

    right = around(t * error)
    apart = np.sqrt(arm.var(ddof=1) + control.var(ddof=1))
    yield from comparing.numbers(
        outputs["answer"],
        right,
        {
            "unpaired": (
                around(t * apart / np.sqrt(n)),
                "The arms are treated as if they shared no seeds: take the differences first.",
            ),
            "spread-of-seeds": (around(t * s), "That is where single differences lie: the mean of n varies less."),
            "divided-by-n": (
                around(t * s / n),
                "The standard error falls with the square root of the number of seeds.",
            ),
            "one-standard-error": (around(error), "The quantile is missing: one standard error is no 95% interval."),
            "normal-quantile": (
                around(1.96 * error),
                "1.96 is for many seeds: with few, the quantile that is given is larger.",
            ),
            "hard-coded-t": (
                around(round(float(stdtrit(9, 0.975)), 3) * error),
                "2.262 is for ten seeds: here there are others, and the quantile for them is given.",
            ),
            "biased-spread": (
                around(t * d.std() / np.sqrt(n)),
                "The standard deviation is too small: divide the squares by n - 1.",
            ),
            "variance": (around(t * s**2 / np.sqrt(n)), "That is the variance where the standard deviation belongs."),
            "turned-round": (around(t * error, -mean), "The sign is turned: the difference is arm minus control."),
            "range": (
                [mean, d.min(), d.max()],
                "Smallest and largest difference are no interval for the mean: they move apart with more seeds.",
            ),
            "ends-swapped": (right[[0, 2, 1]], "The upper end comes before the lower one."),
            "mean-in-the-middle": (right[[1, 0, 2]], "The mean comes first, then the ends of the interval."),
        },
        atol=1e-6,
        rtol=1e-4,
        what="the interval",
    )


def judge_weights(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    keep, noise = float(inputs["keep"]), float(inputs["noise"])

    def solved(
        strength: float, noise: float = noise, penalty: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        parts = np.array([[1, 0, 0], [1, 1, np.sqrt(noise)], [0, 1, 0]])  # of the inputs: x1, x3 and the noise
        covariance = parts @ parts.T
        sizes = np.diag(covariance) if penalty is None else penalty
        return np.linalg.solve(covariance + strength * np.diag(sizes), covariance[0])

    right = solved((1 - keep) / keep)
    swapped = right[[1, 0, 2]]
    yield from comparing.numbers(
        outputs["answer"],
        right,
        {
            "no-penalty": (solved(0), "That is least squares without dropout."),
            "keep-for-drop": (solved(keep / (1 - keep)), "Keep and drop are confused: see the penalty's factor."),
            "factor-forgotten": (solved(1), "The factor of the penalty is missing."),
            "not-divided": (solved(1 - keep), "The factor is (1 - p) / p: the division is missing."),
            "standard-scaling": (
                solved(keep * (1 - keep)),
                "That factor is the variance of a mask: with inverted scaling the mask is divided by p.",
            ),
            "ridge": (
                solved((1 - keep) / keep, penalty=np.ones(3)),
                "Each weight is penalized by its input's mean square, and not all alike.",
            ),
            "noise-forgotten": (solved((1 - keep) / keep, noise=0), "The second input has noise of its own."),
            "half-the-penalty": (
                solved((1 - keep) / keep / 2),
                "Half of the penalty is lost: a derivative doubles the error's terms and the penalty's.",
            ),
            "sign-lost": (np.abs(right), "One of the weights is negative."),
            "swapped": (swapped, "The weights are in the wrong order."),
        },
        rtol=0,
        atol=0.002,
        what="weights",
    )
