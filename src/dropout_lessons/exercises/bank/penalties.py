"""Exercises on dropout as a regularizer."""

from __future__ import annotations

from typing import Any

from dropout_lessons.exercises.exercise import Coded, Inputs, Written, returned
from dropout_lessons.exercises.trials import gradient


def _use_logistic(answer: Any, inputs: Inputs) -> dict[str, Any]:
    x, w, b, keep_prob = (inputs[name] for name in ("x", "w", "b", "keep_prob"))
    penalty = returned(answer(x, w, b, keep_prob))
    to_w = gradient(lambda leaf: answer(x.clone(), leaf, b, keep_prob), w, inputs["upstream"])
    return {"penalty": penalty, "trainable": to_w is not None, **({} if to_w is None else {"to_w": to_w})}


EXERCISES = (
    Coded(
        id="penalties-1",
        title="which keep probability?",
        level="warm-up",
        kind="predict",
        minutes=10,
        points=2,
        objectives=(2,),
        constants={"part": (4, 3, 9, 6, 5, 7, 8, 12)},
        prompt=r"""
A colleague uses ridge regression with $\lambda = n/{{part}}$ on standardized features. With which keep probability would
dropout on the inputs do the same? What does it become if the colleague doubles the data and leaves $\lambda$ alone? Predict
first whether it rises or falls.
""",
        stub="keep_probs = None  # two numbers: with n examples, with 2n",
    ),
    Coded(
        id="penalties-2",
        title="the paper's scaling",
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
        given="import torch",
        stub="def standard_solution(x, y, keep_prob):",
    ),
    Coded(
        id="penalties-3",
        title="find the bug: a penalty that is too kind",
        kind="find the bug",
        minutes=15,
        points=3,
        objectives=(3,),
        prompt=r"""
This function should give dropout's penalty in logistic regression to second order, one number for each example, with
inverted scaling: `x` has shape (examples, features), `w` shape (features,), and `b` is the bias. Compared with the average
over all masks it is wrong even for tiny weights. Two things are wrong in it. Repair them. Since a loss will contain it,
gradients must reach `w`.
""",
        given="import torch",
        stub="""
def second_order_penalty(x, w, b, keep_prob):
    q = torch.sigmoid(x @ w + b)
    variance_of_logit = (1 - keep_prob) * (x @ w) ** 2
    return 0.5 * q * (1 - q) * variance_of_logit
""",
        use=_use_logistic,
    ),
    Written(
        id="penalties-4",
        title="noise that is added",
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
        id="penalties-5",
        title="a coin in logistic regression",
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
        id="penalties-6",
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
    Written(
        id="penalties-7",
        title="read the masks",
        kind="read a figure",
        minutes=20,
        points=4,
        objectives=(5,),
        prompt=r"""
Take the figure of several masks a step. (a) Which rows differ in the noise of the gradient alone, and how do their intervals
lie? (b) Which row has no mask at all, and what does its place say about the sentence "dropout is its penalty"? (c) A blog
concludes: "the noise of dropout does nothing". Name two things about these networks that would have to hold of yours before you
took that over, and say what you would run. *Expect that loss and error need not give the same answer.*
""",
    ),
)
