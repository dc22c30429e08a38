"""Exercises of chapter 3, training with dropout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dropout_lessons.exercises import judging
from dropout_lessons.exercises.exercise import Coded, Inputs, Outputs, Problem, Written

__all__ = ["EXERCISES"]

_CALLS, _ROWS, _UNITS = 64, 16, 64


def _draw_batch(rng: np.random.Generator) -> Inputs:
    return {"x": judging.away_from_zero(rng, _ROWS, _UNITS), "keep_prob": judging.band(rng)}


def _use_shared(answer: Any, inputs: Inputs) -> dict[str, Any]:
    x, keep_prob = inputs["x"], inputs["keep_prob"]
    calls = [answer(x.clone(), keep_prob) for _ in range(_CALLS - 1)]
    return {"y": torch.stack([*calls, answer(x, keep_prob)])}  # the last on x itself, to see changes in place


def _scaled(factors: NDArray[Any], keep_prob: float) -> Iterator[Problem]:
    """The first problem of the factors that kept values are multiplied by, which should all be 1 / keep_prob."""

    def all_are(factor: float) -> bool:
        return bool(np.allclose(factors, factor, rtol=1e-4))

    if all_are(1 / keep_prob):
        return
    known = {
        "unscaled": (1.0, "Kept values are passed on as they are: on average too little arrives at the next layer."),
        "scaled-by-keep-prob": (keep_prob, "Kept values are multiplied by keep_prob: they become smaller, not larger."),
        "scaled-by-drop-prob": (
            1 / (1 - keep_prob),
            "Kept values are divided by 1 - keep_prob, the probability of dropping.",
        ),
        "scaled-twice": (keep_prob**-2, "Kept values are divided by keep_prob twice."),
        "scaled-for-half": (2.0, "Kept values are doubled: is 0.5 written into the code?"),
    }
    for code, (factor, message) in known.items():
        if all_are(factor):
            yield Problem(code, message)
            return
    yield Problem("wrong-scale", "What is kept is not x times one right factor.")


def _judge_shared(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    x, y, keep_prob = inputs["x"], outputs["y"], inputs["keep_prob"]
    yield from judging.shape("the result", y[0], x.shape)
    if y.dtype != x.dtype:
        yield Problem("wrong-dtype", f"The result is of type {y.dtype}, and x of type {x.dtype}.", lost=0.5)
    kept = y != 0
    yield from judging.masks(kept, keep_prob, rows_share=True)
    yield from _scaled((y / x)[kept], keep_prob)


def _judge_weights_left(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    answer = outputs["answer"]
    if answer.shape != (2,):
        yield Problem(
            "wrong-shape", "Two numbers are asked for: the fraction of the weights into, and out of, the hidden layer."
        )
        return
    first, second = inputs["input_keep_prob"], inputs["keep_prob"]
    dropped = (1 - first) * (1 - second)
    yield from judging.number(
        answer[0],
        first * second,
        {
            "one-end-only": (first, "A weight has two ends. The first number looks at the input alone."),
            "other-end-only": (second, "A weight has two ends. The first number looks at the hidden unit alone."),
            "either-end": (
                1 - dropped,
                "The first number counts weights with either end kept: which does a weight need?",
            ),
            "both-dropped": (dropped, "The first number is the fraction of weights that have lost both ends."),
            "lost": (1 - first * second, "The first number is the fraction of weights that are lost, not left."),
            "averaged": ((first + second) / 2, "The first number is the mean of the two probabilities."),
        },
        what="The first number",
    )
    yield from judging.number(
        answer[1],
        second,
        {
            "outputs-dropped": (second**2, "The second number treats outputs as if they were dropped, too."),
            "wrong-layer": (
                first,
                "The second number uses the inputs, which the weights out of the hidden layer do not touch.",
            ),
            "swapped": (first * second, "The second number is that of the weights into the hidden layer."),
        },
        what="The second number",
    )


def _draw_backward(rng: np.random.Generator) -> Inputs:
    return {**_draw_batch(rng), "gradient": judging.away_from_zero(rng, _ROWS, _UNITS)}


def _use_backward(answer: Any, inputs: Inputs) -> dict[str, Any]:
    outputs = []
    for call in range(8):
        x = (inputs["x"] if call == 7 else inputs["x"].clone()).requires_grad_()
        y = answer.apply(x, inputs["keep_prob"])
        (gradient,) = torch.autograd.grad(y, x, inputs["gradient"])
        outputs.append((y, gradient))
    return {"y": torch.stack([y for y, _ in outputs]), "gradient": torch.stack([gradient for _, gradient in outputs])}


def _judge_backward(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    x, upstream, keep_prob = inputs["x"], inputs["gradient"], inputs["keep_prob"]
    y, gradient = outputs["y"], outputs["gradient"]
    yield from judging.shape("the result", y[0], x.shape)
    yield from judging.shape("the gradient", gradient[0], x.shape)
    kept = y != 0
    yield from judging.masks(kept, keep_prob)
    yield from _scaled((y / x)[kept], keep_prob)
    if (gradient != 0).all():
        yield Problem("gradient-everywhere", "A gradient reaches dropped units too, though nothing they send is used.")
    elif ((gradient != 0) != kept).any():
        message = "The gradient passes through other units than the forward pass did: the mask is drawn a second time."
        yield Problem("mask-resampled", message)
    factors = (gradient / upstream)[kept]
    if np.allclose(factors, 1, rtol=1e-4):
        yield Problem(
            "gradient-unscaled", "The gradient of kept units lacks a factor: differentiate m * x / keep_prob."
        )
    elif np.allclose(factors, keep_prob**-2, rtol=1e-4):
        yield Problem("gradient-scaled-twice", "The gradient of kept units is divided by keep_prob twice.")
    elif not np.allclose(factors, 1 / keep_prob, rtol=1e-4):
        yield Problem("wrong-gradient", "The gradient of kept units is not that of m * x / keep_prob.")


EXERCISES = (
    Coded(
        id="ch03-q1",
        title="one mask for the whole batch",
        level="warm-up",
        kind="implement",
        minutes=10,
        points=2,
        objectives=(1,),
        prompt=r"""
Write `shared_dropout(x, keep_prob)`: inverted dropout in which all rows of a batch share one mask. Then draw 20,000
rows in one call, and look at the number of kept units in each: what has happened to its distribution? *Expect the
average over many calls to be right, and a single column instead of a bell.*
""",
        answer="shared_dropout",
        stub="""
def shared_dropout(x, keep_prob):
    \"\"\"x: (rows, units). Every row keeps the same units.\"\"\"
    raise NotImplementedError
""",
        draw=_draw_batch,
        use=_use_shared,
        judge=_judge_shared,
    ),
    Coded(
        id="ch03-q2",
        title="what is left of the weights?",
        level="core",
        kind="predict",
        minutes=10,
        points=2,
        objectives=(2,),
        constants={"input_keep_prob": (0.8, 0.9, 0.7), "keep_prob": (0.5, 0.6, 0.4)},
        prompt=r"""
A network has one hidden layer. Its inputs are kept with probability {{input_keep_prob}}, its hidden units with
probability {{keep_prob}}. On average, which fraction of the weights into the hidden layer belongs to the thinned network
of one example? Which fraction of the weights out of it? Write down both, then check them with `sample_mask` too.
""",
        answer="left",
        stub="left = None  # (fraction of the weights in, fraction of the weights out)",
        judge=_judge_weights_left,
    ),
    Coded(
        id="ch03-q3",
        title="find the bug: a gradient of its own",
        level="core",
        kind="find the bug",
        minutes=20,
        points=3,
        objectives=(2, 3),
        prompt=r"""
Someone wrote dropout as a function with a backward pass of its own. The training loss hardly falls. Find out why, and
repair `DropoutFunction`. The check compares, in several calls, where and by how much the gradient passes with what the
forward pass did.
""",
        answer="DropoutFunction",
        given="import torch",
        stub="""
class DropoutFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, keep_prob):
        ctx.keep_prob = keep_prob
        mask = torch.rand_like(x) < keep_prob
        return x * mask / keep_prob

    @staticmethod
    def backward(ctx, gradient):
        mask = torch.rand_like(gradient) < ctx.keep_prob
        return gradient * mask / ctx.keep_prob, None
""",
        draw=_draw_backward,
        use=_use_backward,
        judge=_judge_backward,
    ),
    Written(
        id="ch03-q4",
        title="how long is long enough?",
        level="stretch",
        kind="design",
        minutes=45,
        points=6,
        objectives=(5,),
        prompt=r"""
Train with and without dropout for 5, 10, 20, 40 and 80 epochs, five seeds each, and draw the paired difference of the
test errors with its interval against the number of epochs. Where does the interval first lie below zero? Does the
answer change when you give both networks the learning rate that is best for them on validation data? *Expect dropout
to be behind at first and ahead by 40 epochs; where you see it cross may differ.*
""",
    ),
)
