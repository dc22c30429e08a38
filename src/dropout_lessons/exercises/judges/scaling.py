"""Judges of the exercises in ``bank/scaling.py``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dropout_lessons.exercises.exercise import Inputs, Outputs, Problem
from dropout_lessons.exercises.judges import comparing, drawing, masks

Floats = NDArray[Any]


def judge_numbers(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    answer = outputs["answer"].reshape(-1)
    if answer.shape != (4,) or answer.dtype.kind not in "biuf":
        yield Problem("wrong-shape", "Four numbers are asked for: two for MLP, then two for nn.Dropout.")
        return
    drop = np.array([inputs["input_drop"], inputs["hidden_drop"]])
    keep = 1 - drop
    mistakes = {
        "all-keep": ((keep, keep), "PyTorch's p is the probability of dropping, not of keeping."),
        "all-drop": ((drop, drop), "This package's keep_prob is the probability of keeping, not of dropping."),
        "keep-and-drop-swapped": ((drop, keep), "The two conventions are swapped: which library counts what?"),
        "layers-swapped": ((keep[::-1], drop[::-1]), "Inputs and hidden units are swapped: inputs come first."),
        "taken-in-turns": (
            (np.array([keep[0], drop[0]]), np.array([keep[1], drop[1]])),
            "The libraries take turns: both numbers for MLP come first, then both for nn.Dropout.",
        ),
        "percent": ((100 * keep, 100 * drop), "These are percentages: probabilities are asked for."),
        "libraries-swapped": ((drop[::-1], keep[::-1]), "Conventions and layers are swapped."),
    }

    def is_that(pairs: tuple[Floats, Floats]) -> bool:
        return np.allclose(answer, np.concatenate(pairs), atol=1e-6)

    if not is_that((keep, drop)):
        off = "At least one of the four numbers is neither a probability of keeping nor of dropping from the text."
        yield from comparing.mistaken(is_that, mistakes, Problem("off", off))


def judge_StandardDropout(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    x, keep_prob, y, tested = inputs["x"], inputs["keep_prob"], outputs["y"], outputs["tested"]
    full = inputs["sparse"] != 0
    yield from comparing.shape("the output at test time", tested[0], full.shape)
    test_factors = tested[:, full] / inputs["sparse"][full]
    if (y != 0).all() and (test_factors == 0).any():
        yield Problem("modes-swapped", "It drops at test time and not in training: the two modes are swapped.")
    if (test_factors == 0).any():
        yield Problem("on-at-test-time", "Units are dropped at test time, after eval(), too.")
    yield from masks.forward(inputs, outputs)
    if y.dtype != x.dtype or tested.dtype != x.dtype:
        found = y.dtype if y.dtype != x.dtype else tested.dtype
        yield Problem(
            "wrong-dtype", f"The output is of type {found}, and x of type {x.dtype}: the next layer refuses it."
        )
    yield from _judge_factors((y / x)[y != 0], test_factors, keep_prob)
    if tested[:, ~full].any():
        yield Problem("wrong-scale", "At test time the output is not x times one right factor.")
    yield from masks.backward(inputs, outputs, 1.0, 1.0)
    if not np.allclose(outputs["tested_gradient"], keep_prob * inputs["sparse_upstream"], rtol=1e-4):
        yield Problem("no-gradient", "At test time the gradient is not that of the output.")
    if (outputs["again"] != 0).all():
        yield Problem("stays-off", "After eval() and train() again nothing is dropped any more.")


def _judge_factors(factors: Floats, test_factors: Floats, keep_prob: float) -> Iterator[Problem]:
    def all_are(found: Floats, factor: float) -> bool:
        return bool(np.allclose(found, factor, rtol=1e-4, atol=0))

    if all_are(factors, 1 / keep_prob):
        if all_are(test_factors, 1):
            yield Problem(
                "inverted", "This is inverted scaling: it divides in training. Standard scaling acts at test time."
            )
        yield Problem("scaled-at-both-times", "It scales in training and at test time: once is enough.")
    if not all_are(factors, 1):
        yield Problem("scaled-in-training", "Standard scaling sends what is kept as it is in training.")
    if all_are(test_factors, keep_prob):
        return
    known = {
        "unscaled": (1, "At test time all units are sent as they are: the next layer gets more than in training."),
        "divided": (
            1 / keep_prob,
            "At test time it divides by keep_prob: the next layer gets even more than without scaling.",
        ),
        "scaled-by-drop-prob": (1 - keep_prob, "At test time it multiplies by the probability of dropping."),
    }
    off = Problem("wrong-scale", "At test time the output is not x times one right factor.")
    yield from comparing.mistaken(lambda factor: all_are(test_factors, factor), known, off)


def draw_to_inverted(rng: np.random.Generator) -> Inputs:
    return {
        "weight": drawing.away_from_zero(rng, 5, 12),
        "bias": drawing.away_from_zero(rng, 5),
        "keep_prob": drawing.band(rng),
    }


def judge_to_inverted(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    keep_prob = inputs["keep_prob"]
    yield from comparing.shape("the weights", outputs["weight"], inputs["weight"].shape)
    yield from comparing.shape("the biases", outputs["bias"], inputs["bias"].shape)
    weight, bias = outputs["weight"] / inputs["weight"], outputs["bias"] / inputs["bias"]
    known = {
        "unscaled": (
            1.0,
            "The weights are as they were: then the next layer gets 1 / keep_prob of what it is used to.",
        ),
        "divided": (
            1 / keep_prob,
            "The weights are divided by keep_prob: in which of the two networks do inputs arrive larger?",
        ),
        "scaled-by-drop-prob": (1 - keep_prob, "The weights are multiplied by the probability of dropping."),
        "scaled-twice": (keep_prob**2, "The weights are multiplied by keep_prob twice."),
    }
    if not np.allclose(weight, keep_prob, rtol=1e-4):
        off = Problem("wrong-scale", "The weights are not the old ones times one right factor.")
        yield from comparing.mistaken(lambda factor: np.allclose(weight, factor, rtol=1e-4), known, off)
    elif not np.allclose(bias, 1, rtol=1e-4):
        yield Problem("bias-scaled", "The biases are changed too, though no mask ever touches them.")


draw_StandardDropout = drawing.layer
