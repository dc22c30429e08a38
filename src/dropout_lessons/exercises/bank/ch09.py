"""Exercises of chapter 9, dropout as a regularizer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from dropout_lessons.exercises import judging
from dropout_lessons.exercises.exercise import Coded, Inputs, Outputs, Problem, Written

__all__ = ["EXERCISES"]


def _judge_ridge(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    part = inputs["part"]
    first, second = part / (part + 1), 2 * part / (2 * part + 1)
    yield from judging.values(
        outputs["answer"],
        np.array([first, second]),
        {
            "drop-prob": (np.array([1 - first, 1 - second]), "These are the probabilities of dropping."),
            "not-solved-for-p": (
                np.array([1 / part, 1 / (2 * part)]),
                "That is (1 - p) / p: it is still to be solved for p.",
            ),
            "data-halved": (
                np.array([first, part / (part + 2)]),
                "With more data the same strength is a weaker penalty: does p rise or fall?",
            ),
            "unchanged": (np.array([first, first]), "The strength of dropout's penalty grows with n: λ does not."),
            "swapped": (np.array([second, first]), "The two numbers are in the wrong order."),
        },
        rtol=0.003,
        what="keep_probs",
    )


def _draw_regression(rng: np.random.Generator) -> Inputs:
    x = rng.normal(size=(40, 5)) * rng.uniform(0.5, 3, 5) + rng.normal(size=(40, 1))
    y = x @ judging.away_from_zero(rng, 5).astype(np.float64) + rng.normal(size=40)
    return {"x": x, "y": y, "keep_prob": judging.band(rng)}


def _use_regression(answer: Any, inputs: Inputs) -> dict[str, Any]:
    answer(inputs["x"].clone(), inputs["y"].clone(), inputs["keep_prob"])
    return {"weights": answer(inputs["x"], inputs["y"], inputs["keep_prob"])}


def _judge_regression(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    x, y, p = inputs["x"], inputs["y"], inputs["keep_prob"]
    gram, moments = x.T @ x, x.T @ y
    own = np.diag(np.diag(gram))

    def solved(of_gram: float, of_own: float) -> NDArray[Any]:
        return np.asarray(np.linalg.solve(of_gram * gram + of_own * own, moments))

    yield from judging.values(
        outputs["weights"],
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
                np.linalg.solve(p * gram + (1 - p) * len(y) * np.eye(5), moments),
                "Each feature is charged alike, whatever its size: these features are not standardized.",
            ),
            "least-squares": (solved(1, 0), "That is least squares: the variance of the noise costs nothing."),
            "least-squares-scaled": (solved(p, 0), "The mean is matched, but the variance of the noise costs nothing."),
        },
        rtol=1e-4,
        what="the weights",
    )


def _draw_logistic(rng: np.random.Generator) -> Inputs:
    return {
        "x": judging.away_from_zero(rng, 12, 6).astype(np.float64),
        "w": judging.away_from_zero(rng, 6).astype(np.float64) / 2,
        "b": round(float(rng.uniform(0.3, 1)), 3),
        "keep_prob": judging.band(rng),
    }


def _use_logistic(answer: Any, inputs: Inputs) -> dict[str, Any]:
    answer(inputs["x"].clone(), inputs["w"].clone(), inputs["b"], inputs["keep_prob"])
    return {"penalty": answer(inputs["x"], inputs["w"], inputs["b"], inputs["keep_prob"])}


def _judge_logistic(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    x, w, b, p = inputs["x"], inputs["w"], inputs["b"], inputs["keep_prob"]
    q = expit(x @ w + b)
    size, wrong_size = (x**2) @ (w**2), (x @ w) ** 2
    noise = (1 - p) / p
    yield from judging.values(
        outputs["penalty"],
        0.5 * q * (1 - q) * noise * size,
        {
            "untouched": (
                0.5 * q * (1 - q) * (1 - p) * wrong_size,
                "Nothing has changed yet: two things are wrong in the variance of the logit.",
            ),
            "square-of-the-sum": (
                0.5 * q * (1 - q) * noise * wrong_size,
                "Each input has a coin of its own: is the variance of a sum the square of the sum?",
            ),
            "variance-of-the-mask": (
                0.5 * q * (1 - q) * (1 - p) * size,
                "The variance of an inverted mask, which is 0 or 1/p, is not 1 - p.",
            ),
            "standard-scaling": (
                0.5 * q * (1 - q) * p * (1 - p) * size,
                "p (1 - p) is the variance of a mask of 0 and 1; with inverted scaling it is 0 or 1/p.",
            ),
            "keep-and-drop-swapped": (0.5 * q * (1 - q) * p / (1 - p) * size, "Keeping and dropping are swapped."),
            "half-forgotten": (q * (1 - q) * noise * size, "The half of the second-order term is gone."),
            "bias-forgotten": (
                0.5 * expit(x @ w) * (1 - expit(x @ w)) * noise * size,
                "The bias is part of the logit, though no mask touches it.",
            ),
        },
        rtol=1e-4,
        what="the penalty, one number for each example",
    )


EXERCISES = (
    Coded(
        id="ch09-q1",
        title="which keep probability?",
        level="warm-up",
        kind="predict",
        minutes=10,
        points=2,
        objectives=(2,),
        constants={"part": (4, 3, 9, 6)},
        prompt=r"""
A colleague uses ridge regression with $\lambda = n/{{part}}$ on standardized features. With which keep probability would
dropout on the inputs do the same? What does it become if the colleague doubles the data and leaves $\lambda$ alone? Predict
first whether it rises or falls.
""",
        answer="keep_probs",
        stub="""
keep_probs = None  # two numbers: with n examples, with 2n
""",
        judge=_judge_ridge,
    ),
    Coded(
        id="ch09-q2",
        title="the paper's scaling",
        level="core",
        kind="implement",
        minutes=25,
        points=4,
        objectives=(1, 2),
        prompt=r"""
This chapter divides by $p$ in training. The paper does not: its noisy prediction is $z = \sum_j m_j x_j w_j$. Derive the mean
and the variance of this $z$, then write `standard_solution(x, y, keep_prob)`, which returns the weights $w$ that minimize
$\mathrm{E}\,\lVert y - z \rVert^2$. `x` has shape (examples, features), `y` shape (examples,), both `float64` and not
standardized; no bias, and no mask is drawn. The check compares with the minimizer, at keep probabilities far from one half.
""",
        answer="standard_solution",
        given="import torch",
        stub="""
def standard_solution(x, y, keep_prob):
    raise NotImplementedError
""",
        draw=_draw_regression,
        use=_use_regression,
        judge=_judge_regression,
    ),
    Coded(
        id="ch09-q3",
        title="find the bug: a penalty that is too kind",
        level="core",
        kind="find the bug",
        minutes=15,
        points=3,
        objectives=(3,),
        prompt=r"""
This function should give dropout's penalty in logistic regression to second order, one number for each example, with
inverted scaling: `x` has shape (examples, features), `w` shape (features,), and `b` is the bias. Compared with the average
over all masks it is wrong even for tiny weights. Two things are wrong in it. Repair them.
""",
        answer="second_order_penalty",
        given="import torch",
        stub="""
def second_order_penalty(x, w, b, keep_prob):
    q = torch.sigmoid(x @ w + b)
    variance_of_logit = (1 - keep_prob) * (x @ w) ** 2
    return 0.5 * q * (1 - q) * variance_of_logit
""",
        draw=_draw_logistic,
        use=_use_logistic,
        judge=_judge_logistic,
    ),
    Written(
        id="ch09-q4",
        title="noise that is added",
        level="core",
        kind="argue",
        minutes=25,
        points=4,
        objectives=(1, 4),
        prompt=r"""
Add independent Gaussian noise of variance $\sigma^2$ to every input instead of multiplying. Derive the penalty in linear
regression as in the two lines. Is it the penalty of plain ridge or of dropout? Check it by drawing 10,000 noisy copies of
the standardized data at $\sigma = 0.5$ and $w$ the least-squares solution. *Expect $n \sigma^2 \lVert w \rVert^2$, plain ridge
{cite}`bishop1995training`, and agreement within 1%.*
""",
    ),
    Written(
        id="ch09-q5",
        title="a coin in logistic regression",
        level="core",
        kind="design",
        minutes=25,
        points=4,
        objectives=(3, 4),
        prompt=r"""
In linear regression the coin with factors $1 \pm \sigma$ and dropout have the same penalty. Compute the coin's penalty for the
threes and eights at $p = 1/2$ and at $p = 0.2$, at the fitted weights. Predict first: at which of the two must they agree, and
why? *Expect the same at 1/2, where the coin is dropout, and for the coin about a fifth more at 0.2.*
""",
    ),
    Written(
        id="ch09-q6",
        title="depth",
        level="stretch",
        kind="design",
        minutes=35,
        points=5,
        objectives=(5,),
        prompt=r"""
A chain of $d$ ReLU units of weight 1, each kept with probability 1/2, with input 1 and target 1. Compute dropout's penalty for
$d = 1$ to 8 by enumeration, and the L2 penalty of the units' incoming weights. How does each grow with $d$? *Expect $2^d - 1$
against half the sum of $d$ squared weights, $d/2$: dropout's penalty is exponential in depth, as
{cite:t}`helmbold2017surprising` prove more generally.*
""",
    ),
)
