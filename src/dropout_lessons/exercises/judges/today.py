"""Judges of the exercises in ``bank/today.py``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dropout_lessons.exercises.exercise import Inputs, Outputs, Problem
from dropout_lessons.exercises.judges import comparing, drawing, masks

_CALLS, _EXAMPLES, _UNITS = 200, 512, 2  # coins enough to see a rate that is a point off


def draw_drop_path(rng: np.random.Generator) -> Inputs:
    return {
        "x": drawing.away_from_zero(rng, _EXAMPLES, _UNITS),
        "upstream": drawing.away_from_zero(rng, _EXAMPLES, _UNITS),
        "images": drawing.away_from_zero(rng, 64, 2, 3, 3),
        "keep_prob": drawing.band(rng),
        "calls": _CALLS,
    }


def judge_drop_path(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    x, y, p = inputs["x"], outputs["y"], inputs["keep_prob"]
    yield from comparing.shape("the result", y, (_CALLS, *x.shape))
    yield from masks.floating(y)
    if np.allclose(y - x, y[:1] - x) and (np.abs(y) > 0).all():
        yield Problem("nothing-dropped", "No branch is ever dropped.")
    kept = y != 0
    if kept.all():
        yield Problem(
            "stream-added", "Nothing becomes zero: return what is left of the branch, and do not add x to it."
        )
    if (kept != kept[:, :, :1]).any():
        yield Problem("units-dropped", "Single units are dropped: the branch of an example is dropped as a whole.")
    coins = kept[:, :, 0]
    if (coins == coins[:, :1]).all():
        yield Problem("mask-per-batch", "All examples of a batch share one coin: each needs its own.")
    for problem in masks.masks(coins[:, None], p, rows_share=True):  # examples stand where units do elsewhere
        yield Problem(problem.code, problem.message.replace("unit", "example"))
    factors = (y / x)[kept]
    yield from masks.scaled(factors, p)
    yield from masks.untrainable(outputs)
    if outputs["trainable"]:
        through = (outputs["trained"] != 0) / p
        if not np.allclose(outputs["gradient"], inputs["upstream"] * through, rtol=1e-4):
            yield Problem("wrong-gradient", "The gradient is not that of what comes out: other branches, or a factor.")
    yield from masks.reseeding(outputs)
    yield from _judge_images(inputs, outputs)


def _judge_images(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    images = inputs["images"]
    if not outputs["any_axes"] or outputs["images"].shape != images.shape:
        yield Problem(
            "fixed-axes", "It works for two axes alone: a branch of images has four, one coin for each image."
        )
    else:
        kept = (outputs["images"] != 0).reshape(len(images), -1)
        if (kept != kept[:, :1]).any():
            yield Problem("fixed-axes", "Of a branch with four axes parts are dropped: one coin for each image.")


def judge_depth(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    blocks, p = inputs["blocks"], inputs["keep_prob"]
    lost = (1 - p) * (blocks + 1) / 2
    yield from comparing.number(
        outputs["answer"],
        blocks - lost,
        {
            "counted-from-zero": (
                blocks - (1 - p) * (blocks - 1) / 2,
                "Block l goes from 1 to L: the last is kept with p_L, not the one after it.",
            ),
            "all-alike": (
                blocks * p,
                "That would be so if every block were kept with p_L: the first are kept more often.",
            ),
            "blocks-dropped": (lost, "That is how many are dropped."),
            "keep-and-drop-swapped": (
                blocks - p * (blocks + 1) / 2,
                "Keeping and dropping are swapped: the last block is kept with p_L.",
            ),
            "halves-only": (blocks / 2, "Where does p_L come in?"),
            "nothing-dropped": (blocks, "That is the number of blocks: some are dropped."),
            "middle-block": (
                blocks * (1 + p) / 2,
                "The mean of 1 and p_L would be right if the first block were never dropped, too.",
            ),
            "share": (1 - lost / blocks, "That is the share of the blocks: their number is asked for."),
        },
        rtol=0.001,
        what="The number of blocks",
    )
