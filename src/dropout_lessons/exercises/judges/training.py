"""Judges of the exercises in ``bank/training.py``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from dropout_lessons.exercises.exercise import Inputs, Outputs, Problem
from dropout_lessons.exercises.judges import comparing, drawing, masks


def judge_DropoutFunction(inputs: Inputs, outputs: Outputs, *, rows_share: bool = False) -> Iterator[Problem]:
    x, y, p = inputs["x"], outputs["y"], inputs["keep_prob"]
    yield from masks.forward(inputs, outputs, rows_share=rows_share)
    yield from masks.scaled((y / x)[y != 0], p)
    yield from masks.backward(inputs, outputs, 1 / p, 1 / inputs["other_keep_prob"], rows_share=rows_share)


judge_shared_dropout = partial(judge_DropoutFunction, rows_share=True)
draw_DropoutFunction, draw_shared_dropout = drawing.layer, drawing.shared_layer


def judge_left(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    answer = outputs["answer"].reshape(-1)
    if answer.shape != (2,):
        yield Problem(
            "wrong-shape", "Two numbers are asked for: the fraction of the weights into, and out of, the hidden layer."
        )
        return
    first, second = inputs["input_keep_prob"], inputs["keep_prob"]
    dropped = (1 - first) * (1 - second)
    yield from comparing.number(
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
            "keep-and-drop-swapped": (
                first * (1 - second),
                "The first number takes hidden units to be kept with the probability of dropping them.",
            ),
            "averaged": ((first + second) / 2, "The first number is the mean of the two probabilities."),
        },
        what="The first number",
    )
    yield from comparing.number(
        answer[1],
        second,
        {
            "outputs-dropped": (second**2, "The second number treats outputs as if they were dropped, too."),
            "keep-and-drop-swapped": (1 - second, "The second number is the probability of dropping a hidden unit."),
            "wrong-layer": (
                first,
                "The second number uses the inputs, which the weights out of the hidden layer do not touch.",
            ),
            "swapped": (first * second, "The second number is that of the weights into the hidden layer."),
        },
        what="The second number",
    )
