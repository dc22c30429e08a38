"""Judges of the exercises in ``bank/uncertainty.py``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, softmax

from dropout_lessons.exercises.exercise import Inputs, Outputs, Problem
from dropout_lessons.exercises.judges import comparing


def judge_largest(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    few, classes, many = inputs["members"], inputs["classes"], 50
    log_few, log_classes = np.log(few), np.log(classes)
    yield from comparing.numbers(
        outputs["answer"],
        np.array([log_few, log_classes]),
        {
            "all-by-classes": (
                [log_classes, log_classes],
                "With fewer members than classes the average cannot spread over all classes.",
            ),
            "all-by-members": (
                [log_few, np.log(many)],
                "No entropy over these classes is as large as the second number.",
            ),
            "bits": (np.array([log_few, log_classes]) / np.log(2), "These are bits: nats are asked for."),
            "no-logarithm": (np.array([few, classes], dtype=float), "These are counts: where is the logarithm?"),
            "swapped": ([log_classes, log_few], "The two numbers are in the wrong order."),
        },
        rtol=0.003,
        what="largest",
    )


def draw_doubts(rng: np.random.Generator) -> Inputs:
    members, examples = int(rng.integers(6, 10)), int(rng.integers(7, 12))
    probs = softmax(rng.normal(0, 2.5, (members, examples, 4)), 2)
    probs[:, 0] = np.eye(4)[rng.permutation([0, 0, 1, 1, 2, 3, 1, 0, 1][:members])]  # members that are sure
    return {"probs": probs}


def _parts(total: NDArray[Any], own: NDArray[Any]) -> NDArray[Any]:
    return np.stack([total, own, total - own])


def _shifted(probs: NDArray[Any], by: float) -> NDArray[Any]:
    def entropy(each: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(-(each * np.log(each + by)).sum(-1))

    return _parts(entropy(probs.mean(0)), entropy(probs).mean(0))


def _clamped(probs: NDArray[Any], by: float) -> NDArray[Any]:
    return _parts(entr(np.maximum(probs.mean(0), by)).sum(-1), entr(np.maximum(probs, by)).sum(-1).mean(0))


def judge_doubts(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    probs = inputs["probs"]
    total, own = entr(probs.mean(0)).sum(1), entr(probs).sum(2).mean(0)
    votes = np.eye(probs.shape[2])[probs.argmax(2)].mean(0)
    mixed = np.exp(np.log(np.maximum(probs, 1e-300)).mean(0))
    mixed /= mixed.sum(1, keepdims=True)
    right = _parts(total, own)
    atol = 3e-7  # double precision is asked for; float32 is still let pass, and 1e-6 inside a logarithm is not
    parts = outputs["answer"]
    shifts = [10.0**-k for k in range(1, 9) if np.array_equal(parts.shape, (3, *total.shape))]
    if shifts and not np.allclose(parts, right, rtol=0, atol=atol):
        if any(np.allclose(parts, _shifted(probs, by), rtol=0, atol=atol) for by in shifts):
            yield Problem("log-shifted", "Something is added inside the logarithm: every entropy is biased.")
        if any(np.allclose(parts, _clamped(probs, by), rtol=0, atol=atol) for by in shifts):
            yield Problem("clamped", "Probabilities are raised to a least value: those of the sure are no longer 0.")
    yield from comparing.values(
        outputs["answer"],
        right,
        {
            "bits": (right / np.log(2), "These are bits: nats are asked for."),
            "sign": (np.stack([total, own, own - total]), "No information is negative: which entropy is larger?"),
            "swapped": (np.stack([own, total, total - own]), "The first two are in the wrong order."),
            "votes": (_parts(entr(votes).sum(1), own), "The average is of votes, not of probabilities."),
            "geometric": (_parts(entr(mixed).sum(1), own), "The average is of logarithms, not of probabilities."),
            "negated": (-right, "All signs are turned: p log p is negative."),
            "summed-over-members": (
                _parts(total, own * len(probs)),
                "The members' entropies are to be averaged, not added.",
            ),
        },
        rtol=0,
        atol=atol,
        what="the three parts, each with a number for each example",
    )


def draw_calibration_error(rng: np.random.Generator) -> Inputs:
    while True:  # until each mistake makes a difference
        bins, n = int(rng.choice([4, 6, 7, 8])), int(rng.integers(60, 90))  # not the chapter's ten
        probs = softmax(rng.normal(0, 1, (n, 10)) * rng.uniform(0.2, 5, (n, 1)), 1)
        probs[: n // 10] = np.eye(10)[rng.integers(0, 10, n // 10)]  # entirely sure
        probs[-(n // 10) :] = softmax(rng.normal(0, 0.05, (n // 10, 10)), 1)  # and not at all: the first bin has some
        probs = probs[np.ceil(probs.max(1) * bins) != rng.integers(2, bins)]  # one bin is empty
        probs, n = rng.permutation(probs).astype(np.float32), len(probs)
        answers = probs.argmax(1)
        labels = np.where(rng.random(n) < rng.uniform(0.4, 0.7), answers, rng.integers(0, 10, n))
        inputs = {"probs": probs, "labels": labels, "bins": bins}
        places = probs.max(1)[probs.max(1) < 1].astype(np.float64) * bins
        if np.abs(places - places.round()).min() < 1e-3:  # too near the edge of a bin for float32
            continue
        ways = (5, 10, 15, bins + 1, "range", "ranks", "chunks")
        others = [_binned_otherwise(probs, labels, bins, way) for way in ways]
        numbers = sorted([*_calibration_errors(inputs).values()])
        if np.abs(np.array(others) - _calibration_errors(inputs)["right"]).min() < 0.005:
            continue
        if np.diff(numbers).min() > 0.005:
            return inputs


def _binned_otherwise(probs: NDArray[Any], labels: NDArray[Any], bins: int, how: int | str) -> float:
    confidence = probs.max(1).astype(np.float64)
    ranks = confidence.argsort().argsort()
    span = (confidence - confidence.min()) / np.ptp(confidence)
    place = {
        "range": np.maximum(span * bins, 0.5),
        "ranks": (ranks + 1) * bins / len(labels),
        "chunks": (ranks + 1) / np.ceil(len(labels) / bins),
    }.get(str(how))
    place = np.ceil(confidence * int(how) if place is None else place)
    gap = confidence - (probs.argmax(1) == labels)
    return float(sum(abs(gap[place == k].sum()) for k in np.unique(place)) / len(labels))


def _calibration_errors(inputs: Inputs) -> dict[str, float]:
    probs, labels, bins = inputs["probs"].astype(np.float64), inputs["labels"], inputs["bins"]
    confidence, right = probs.max(1), probs.argmax(1) == labels
    place = np.ceil(confidence * bins).astype(int)
    gaps = np.array([(confidence - right)[place == k].mean() for k in np.unique(place)])
    shares = np.array([(place == k).mean() for k in np.unique(place)])
    unsure = confidence < 1
    top = place.max()  # where those that are entirely sure belong
    rest = (confidence - right)[unsure & (place == top)].sum() / len(labels)
    return {
        "right": float(shares @ np.abs(gaps)),
        "untouched": float(abs(gaps.mean())),
        "bins-alike": float(np.abs(gaps).mean()),
        "gaps-cancel": float(abs(shares @ gaps)),
        "largest-gap": float(np.abs(gaps).max()),
        "all-bins-counted": float(np.abs(gaps).sum() / bins),
        "sure-left-out": float(shares[:-1] @ np.abs(gaps[:-1]) + abs(rest)),
        "squared": float(np.sqrt(shares @ gaps**2)),
        "unsure-left-out": float(shares[1:] @ np.abs(gaps[1:])),
    }


def judge_calibration_error(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    numbers = _calibration_errors(inputs)
    messages = {
        "untouched": "Nothing has changed yet: two things are wrong in how the gaps become one number.",
        "bins-alike": "A bin with two examples counts as much as one with twenty.",
        "gaps-cancel": "Being too sure in one bin makes up for being too unsure in another.",
        "largest-gap": "That is the largest gap of all bins, not their average.",
        "all-bins-counted": "The sum of all gaps over the number of bins: a bin counts by the examples in it.",
        "sure-left-out": "A confidence of exactly 1 falls out of every bin.",
        "squared": "The gaps are squared: their absolute values are averaged.",
        "unsure-left-out": "The first bin is left out: with bins counted from 0 it reaches from 0 to 1 / bins.",
    }
    mistakes = {code: (numbers[code], message) for code, message in messages.items()}
    yield from comparing.number(outputs["answer"], numbers["right"], mistakes, atol=1e-4, rtol=1e-3)
