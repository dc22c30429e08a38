"""Judges of the exercises in ``bank/penalties.py``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from dropout_lessons.exercises.exercise import Inputs, Outputs, Problem
from dropout_lessons.exercises.judges import comparing, drawing


def judge_keep_probs(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    part = inputs["part"]
    first, second = part / (part + 1), 2 * part / (2 * part + 1)
    yield from comparing.numbers(
        outputs["answer"],
        np.array([first, second]),
        {
            "drop-prob": ([1 - first, 1 - second], "These are the probabilities of dropping."),
            "not-solved-for-p": ([1 / part, 1 / (2 * part)], "That is (1 - p) / p: it is still to be solved for p."),
            "data-halved": (
                [first, part / (part + 2)],
                "With more data the same strength is a weaker penalty: does p rise or fall?",
            ),
            "unchanged": ([first, first], "The strength of dropout's penalty grows with n: λ does not."),
            "swapped": ([second, first], "The two numbers are in the wrong order."),
        },
        rtol=0.003,
        what="keep_probs",
    )


def draw_standard_solution(rng: np.random.Generator) -> Inputs:
    n, features = int(rng.integers(30, 50)), int(rng.integers(4, 8))
    x = rng.normal(size=(n, features)) * rng.uniform(0.5, 3, features) + rng.normal(size=(n, 1))
    y = x @ drawing.away_from_zero(rng, features).astype(np.float64) + rng.normal(size=n)
    return {"x": x, "y": y, "keep_prob": drawing.band(rng)}


def judge_standard_solution(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    x, y, p = inputs["x"], inputs["y"], inputs["keep_prob"]
    gram, moments = x.T @ x, x.T @ y
    own = np.diag(np.diag(gram))

    def solved(of_gram: float, of_own: float) -> NDArray[Any]:
        return np.asarray(np.linalg.solve(of_gram * gram + of_own * own, moments))

    yield from comparing.numbers(
        outputs["answer"],
        solved(p, 1 - p),
        {
            "inverted": (
                solved(1, (1 - p) / p),
                "These are the weights for inverted scaling: here nothing is divided by keep_prob in training.",
            ),
            "scaled-the-wrong-way": (
                solved(1, (1 - p) / p) * p,
                "Should weights be larger or smaller if the inputs are not divided by keep_prob?",
            ),
            "mean-forgotten": (
                solved(1, p * (1 - p)),
                "The variance is right, but the mean of the noisy prediction is not x·w either.",
            ),
            "keep-and-drop-swapped": (solved(1 - p, p), "Keeping and dropping are swapped."),
            "plain-ridge": (
                np.linalg.solve(p * gram + (1 - p) * len(y) * np.eye(len(gram)), moments),
                "Each feature is charged alike, whatever its size: these features are not standardized.",
            ),
            "averaged": (
                solved(p, (1 - p) / len(y)),
                "The error is a sum over examples, and so is the penalty: each square is summed, not averaged.",
            ),
            "least-squares": (solved(1, 0), "That is least squares: the variance of the noise costs nothing."),
            "least-squares-scaled": (solved(p, 0), "The mean is matched, but the variance of the noise costs nothing."),
        },
        rtol=1e-4,
        what="the weights",
    )


def draw_second_order_penalty(rng: np.random.Generator) -> Inputs:
    examples, features = int(rng.integers(10, 15)), int(rng.integers(4, 8))
    return {
        "x": drawing.away_from_zero(rng, examples, features),
        "w": drawing.away_from_zero(rng, features) / 2,
        "upstream": drawing.away_from_zero(rng, examples),
        "b": round(float(rng.uniform(0.3, 1)), 3),
        "keep_prob": drawing.band(rng),
    }


def judge_second_order_penalty(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    x, w, b, p = inputs["x"].astype(np.float64), inputs["w"].astype(np.float64), inputs["b"], inputs["keep_prob"]
    q = expit(x @ w + b)
    size, wrong_size = (x**2) @ (w**2), (x @ w) ** 2
    noise = (1 - p) / p

    def penalty(variance: NDArray[Any], q: NDArray[Any] = q) -> Any:
        return 0.5 * q * (1 - q) * variance

    yield from comparing.values(
        outputs["penalty"],
        penalty(noise * size),
        {
            "untouched": (
                penalty((1 - p) * wrong_size),
                "Nothing has changed yet: two things are wrong in the variance of the logit.",
            ),
            "square-of-the-sum": (
                penalty(noise * wrong_size),
                "Each input has a coin of its own: is the variance of a sum the square of the sum?",
            ),
            "variance-of-the-mask": (
                penalty((1 - p) * size),
                "The variance of an inverted mask, which is 0 or 1/p, is not 1 - p.",
            ),
            "standard-scaling": (
                penalty(p * (1 - p) * size),
                "p (1 - p) is the variance of a mask of 0 and 1; with inverted scaling it is 0 or 1/p.",
            ),
            "keep-and-drop-swapped": (penalty(p / (1 - p) * size), "Keeping and dropping are swapped."),
            "half-forgotten": (2 * penalty(noise * size), "The half of the second-order term is gone."),
            "bias-forgotten": (
                penalty(noise * size, expit(x @ w)),
                "The bias is part of the logit, though no mask touches it.",
            ),
        },
        rtol=1e-4,
        what="the penalty, one number for each example",
    )
    if not outputs["trainable"]:
        message = "No gradient reaches w: is something detached, under no_grad, or turned into numbers?"
        yield Problem("no-gradient", message)
    curvature = q * (1 - q)
    slopes = curvature[:, None] * ((1 - 2 * q)[:, None] * x * size[:, None] + 2 * w * x**2)
    to_w = inputs["upstream"] @ (0.5 * noise * slopes)
    if not np.allclose(outputs["to_w"], to_w, atol=1e-3 * np.abs(to_w).max()):
        yield Problem("wrong-gradient", "The gradient with respect to w is not that of the penalty: a part is cut off.")
