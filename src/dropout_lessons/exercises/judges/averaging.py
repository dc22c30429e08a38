"""Judges of the exercises in ``bank/averaging.py``."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp, softmax

from dropout_lessons.exercises.exercise import Inputs, Outputs, Problem
from dropout_lessons.exercises.judges import comparing, drawing

Array = NDArray[Any]


def _subnetworks(hidden: Array, weight: Array, bias: Array, keep_prob: float) -> tuple[Array, Array]:
    """Logits of all subnetworks, with inverted scaling, and their probabilities."""
    masks = _masks(hidden.shape[1])
    kept = masks.sum(1)
    chances = keep_prob**kept * (1 - keep_prob) ** (hidden.shape[1] - kept)
    sent = hidden[:, None].astype(np.float64) * weight / keep_prob  # (examples, classes, units)
    return np.tensordot(masks, sent, (1, 2)) + bias, chances


@cache
def _masks(units: int) -> Array:
    return np.array(list(itertools.product((0.0, 1.0), repeat=units)))


def _is_close(value: Array, other: Array, tolerance: Array | float) -> bool:
    return bool((np.abs(value - other) <= tolerance).all())


def draw_geometric_mean(rng: np.random.Generator) -> Inputs:
    """Members of which, for the second half of the examples, some are so sure that their other probabilities are 0."""
    members, rows, classes = rng.integers(8, 13), 2 * int(rng.integers(3, 6)), int(rng.integers(3, 6))
    logits = rng.normal(0, 2, (members, rows, classes))
    weights: Array = np.ones(members)
    while weights.max() > 0.5:
        weights = rng.dirichlet(np.full(members, 0.5)) * 0.9 + 0.1 / members
    heavy = np.argsort(weights)[-2:]
    for member, favorite in zip(heavy, (0, 1), strict=True):  # in the mean the two make up for each other
        logits[member, rows // 2 :, favorite] += 60 / weights[member]
    log_probs = log_softmax(logits, 2).astype(np.float32)
    return {"log_probs": log_probs, "log_weights": np.log(weights).astype(np.float32)}


def judge_geometric_mean(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    log_probs, mean = inputs["log_probs"].astype(np.float64), outputs["answer"]
    weights = np.exp(inputs["log_weights"].astype(np.float64))
    yield from comparing.shape("the result", mean, log_probs.shape[1:])
    raw, mixed = np.tensordot(weights, log_probs, 1), np.tensordot(weights, np.exp(log_probs), 1)
    if _is_close(mean, softmax(raw, 1), 2e-4):  # float32 holds sums near 60 to about 1e-5
        return
    half = len(mean) // 2
    if _is_close(mean[:half], softmax(raw, 1)[:half], 2e-4):
        message = "It is right until a member is entirely sure: use the logarithms as they are, and clip nothing."
        yield Problem("loses-small-probabilities", message)
        return
    known = {
        "not-renormalized": (np.exp(raw), "The numbers of an example do not add up to 1: divide by their sum."),
        "unweighted": (softmax(log_probs.mean(0), 1), "All subnetworks count alike, whatever log_weights says."),
        "arithmetic": (mixed, "That is the arithmetic mean: probabilities are averaged."),
        "still-logarithms": (log_softmax(raw, 1), "The result still holds logarithms."),
        "logarithms-not-renormalized": (raw, "The result still holds logarithms, and is not normalized."),
        "softmax-of-probabilities": (softmax(mixed, 1), "The softmax is of probabilities."),
        "weights-as-logarithms": (
            softmax(np.tensordot(np.log(weights), log_probs, 1), 1),
            "log_weights are used as weights.",
        ),
        "wrong-axis": (softmax(raw, 0), "The normalization runs over examples, not over classes."),
    }
    off = Problem("off", "That is not the normalized weighted geometric mean.")
    yield from comparing.mistaken(lambda other: _is_close(mean, other, 2e-4 + 1e-5 * np.abs(other)), known, off)


def draw_monte_carlo(rng: np.random.Generator) -> Inputs:
    units, rows, n, classes = 16, int(rng.integers(6, 10)), int(rng.integers(4, 7)), int(rng.integers(3, 6))
    return {
        "x": drawing.away_from_zero(rng, rows, n),
        "weight1": drawing.away_from_zero(rng, units, n),
        "bias1": drawing.away_from_zero(rng, units),
        "weight2": drawing.away_from_zero(rng, classes, units),
        "bias2": drawing.away_from_zero(rng, classes),
        "keep_prob": drawing.band(rng),
        "samples": int(rng.integers(20, 40)),
    }


def judge_monte_carlo(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    """Compare with the mean over the very passes that the network has seen: nothing is left to chance."""
    samples, (rows, classes), probs = inputs["samples"], outputs["scaled"].shape, outputs["probs"]
    yield from comparing.shape("the result", probs, (rows, classes))
    dropping = outputs["dropping"].astype(bool)
    active = dropping.any(1)
    if not active.any():
        yield Problem("nothing-dropped", "Nothing was dropped: that is weight scaling, passes in eval mode.")
    # Passes may come one after the other or all in one batch: rows are told by their inputs.
    logits = outputs["logits"][active].astype(np.float64)
    same = (outputs["seen"][active][:, None] == inputs["x"]).all(2)
    counts = same.sum(0)
    if (counts == 0).any():
        yield Problem("off", "Some examples never pass through the network in training mode.")
        return
    yield from _averaged(probs, logits, same / counts, outputs["scaled"], samples)
    yield from _thinned(outputs["coins"][active], same, dropping[active], inputs["keep_prob"])
    if (counts != samples).any():
        message = f"It draws {counts.min()} thinned networks where {samples} are asked for: samples says how many."
        yield Problem("wrong-number-of-samples", message)
    if outputs["reseeds"]:
        message = "It seeds the global generator: whatever is drawn after it, elsewhere, repeats itself."
        yield Problem("reseeds", message, lost=0.5)
    if outputs["normalizing"].any() or outputs["moved"]:
        message = (
            "BatchNorm works in training mode, too: it uses the statistics of the batch, and remembers them. Dropout "
            "alone should be switched on."
        )
        yield Problem("batchnorm-in-training", message, lost=0.5)
    if outputs["training"]:
        message = "The network still drops units afterwards: give it back in the mode it came in."
        yield Problem("mode-not-restored", message, lost=0.5)
    if not _is_close(outputs["later"], outputs["scaled"], 1e-5) or not outputs["drops_as_before"]:
        message = "The network computes something else afterwards: its owner wants it back as it was."
        yield Problem("network-changed", message, lost=0.5)


def _thinned(coins: Array, same: Array, dropping: Array, keep_prob: float) -> Iterator[Problem]:
    """Networks that are thinned in one layer alone, all in the same way, or with another probability."""
    if not dropping.all(0).all():
        yield Problem("one-layer-alone", "The network has two dropout layers, and only one of them drops units.")
    if all((coins[rows] == coins[rows][0]).all() for rows in same.T):
        yield Problem(
            "same-mask-again", "All samples are one thinned network: is the generator seeded for each of them?"
        )
    kept, tossed = int((coins == 1).sum()), int((coins >= 0).sum())
    if not comparing.plausible(kept, tossed, keep_prob):
        message = f"{kept / tossed:.0%} of the units are kept, where the network's own probability is {keep_prob}."
        yield Problem("wrong-rate", message)


def _averaged(probs: Array, logits: Array, shares: Array, scaled: Array, samples: int) -> Iterator[Problem]:
    def mean(each: Array) -> Array:
        return np.asarray(shares.T @ each)

    members = softmax(logits, 1)
    truth = mean(members)
    # As exact as float32, and finer than what one sample more or less makes.
    allowed = 2e-5
    if _is_close(probs, truth, allowed):
        return
    known = {
        "mean-of-logits": (softmax(mean(logits), 1), "The logits are averaged before the softmax."),
        "still-logits": (mean(logits), "The result holds logits: average probabilities."),
        "summed": (samples * truth, "The samples are added, not averaged."),
        "votes": (
            mean(np.eye(logits.shape[1])[logits.argmax(1)]),
            "The predicted classes are counted: average the probabilities.",
        ),
        "still-logarithms": (mean(log_softmax(logits, 1)), "The result holds logarithms."),
        "scaled-network-included": (
            (samples * truth + softmax(scaled, 1)) / (samples + 1),
            "A pass without dropout is averaged with the others.",
        ),
    }
    off = Problem("off", "That is not the average of the probabilities of the thinned networks that were run.")
    yield from comparing.mistaken(lambda other: _is_close(probs, other, allowed * (1 + np.abs(other))), known, off)


_MANY = 16  # units
_EXACT = 1e-5  # float32, with room
_LARGEST = 60.0  # logit: its exp is far from the end of float32


def draw_exact_mean(rng: np.random.Generator) -> Inputs:
    while True:  # until each mistake shows (the empty subnetwork, say, is not too rare) and no exp overflows
        units, rows, classes = int(rng.choice([4, 5, 7])), int(rng.integers(5, 10)), int(rng.integers(3, 6))
        inputs: Inputs = {
            "hidden": np.abs(drawing.away_from_zero(rng, rows, units)),
            "weight": drawing.away_from_zero(rng, classes, units),
            "bias": drawing.away_from_zero(rng, classes),
            "keep_prob": drawing.band(rng),
        }
        logits, _ = _subnetworks(*inputs.values())
        truth, known = _exact(inputs)
        if (
            np.abs(logits).max() < _LARGEST
            and min(np.abs(other - truth).max() for other, _ in known.values()) > 5 * _EXACT
        ):
            return {**inputs, **_many_units(rng)}


def _many_units(rng: np.random.Generator) -> Inputs:
    """So many units that their subnetworks are not averaged in a loop, with weights so small that no exp overflows."""
    hidden, weight = np.abs(drawing.away_from_zero(rng, 2, _MANY)), drawing.away_from_zero(rng, 3, _MANY)
    keep_prob = drawing.band(rng)
    weight *= np.float32(keep_prob * _LARGEST / 2 / (hidden @ np.abs(weight).T).max())
    bias = drawing.away_from_zero(rng, 3)
    return {"many_hidden": hidden, "many_weight": weight, "many_bias": bias, "many_keep_prob": keep_prob}


def _exact(inputs: Inputs) -> tuple[Array, dict[str, tuple[Array, str]]]:
    """The right average of all subnetworks, and others by mistake."""
    hidden, weight, bias, keep_prob = (inputs[name] for name in ("hidden", "weight", "bias", "keep_prob"))
    logits, chances = _subnetworks(hidden, weight, bias, keep_prob)
    unscaled, _ = _subnetworks(hidden * keep_prob, weight, bias, keep_prob)
    members = softmax(logits, 2)

    def mean(each: Array, by: Array = chances) -> Array:
        return np.asarray(np.tensordot(by, each, 1))

    alike = np.full(len(chances), 1 / len(chances))
    rest = np.where(np.arange(len(chances)) == 0, 0, chances)  # without the empty one
    thinned = np.where(np.arange(len(chances)) == len(chances) - 1, 0, chances)  # without the whole one
    summed = logsumexp(logits, 0, b=chances[:, None, None])
    return mean(members), {
        "unweighted": (mean(members, alike), "All subnetworks count alike; away from 1/2 they are not equally likely."),
        "geometric": (softmax(mean(logits), 1), "That is the geometric mean, which weight scaling gives as well."),
        "unscaled": (mean(softmax(unscaled, 2)), "What is kept is not divided by keep_prob."),
        "empty-missing": (
            mean(members, rest),
            "The subnetwork without any unit is missing: it predicts from its biases.",
        ),
        "whole-missing": (mean(members, thinned), "The subnetwork with all units is missing: it is one of them, too."),
        "empty-missing-alike": (mean(members, rest / rest.sum()), "The subnetwork without any unit is missing."),
        "keep-and-drop-swapped": (
            mean(members, chances[::-1]),
            "Subnetworks are weighed with keeping and dropping swapped.",
        ),
        "not-normalized": (np.exp(summed), "The softmax of each subnetwork is missing."),
        "softmax-of-sum": (
            softmax(summed, 1),
            "The softmax is taken after the sum: each subnetwork has a normalization of its own.",
        ),
    }


def judge_exact_mean(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    truth, known = _exact(inputs)
    what = "the average of the subnetworks' probabilities"
    yield from comparing.values(outputs["answer"], truth, known, rtol=0, atol=_EXACT, what=what)
    if {"many", "trouble"}.isdisjoint(outputs):
        message = (
            f"With few units it is right. With {_MANY} it goes through {2**_MANY:,} subnetworks one by one, and was stopped: can "
            "you do without the loop over them?"
        )
        yield Problem("one-by-one", message, lost=0.4)
        return
    how = f" ({outputs['trouble']})" if "trouble" in outputs else ""
    if how or not _is_mean(outputs["many"], inputs):
        yield Problem("few-units-alone", f"With few units it is right, and with {_MANY} it is not{how}.", lost=0.4)


def _is_mean(value: Array, inputs: Inputs) -> bool:
    logits, chances = _subnetworks(*(inputs[f"many_{name}"] for name in ("hidden", "weight", "bias", "keep_prob")))
    mean = np.tensordot(chances, softmax(logits, 2), 1)
    return value.shape == mean.shape and _is_close(value, mean, 1e-3)  # a sum of 2**16 terms may be float32's
