"""Exercises of chapter 10, uncertainty."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.special import entr, softmax

from dropout_lessons.exercises import judging
from dropout_lessons.exercises.exercise import Coded, Inputs, Outputs, Problem, Written

__all__ = ["EXERCISES"]


def _judge_largest(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    few, classes, many = inputs["members"], inputs["classes"], 50
    log_few, log_classes = np.log(few), np.log(classes)
    yield from judging.values(
        outputs["answer"],
        np.array([log_few, log_classes]),
        {
            "all-by-classes": (
                np.array([log_classes, log_classes]),
                "With fewer members than classes the average cannot spread over all classes.",
            ),
            "all-by-members": (
                np.array([log_few, np.log(many)]),
                "No entropy over these classes is as large as the second number.",
            ),
            "bits": (np.array([log_few, log_classes]) / np.log(2), "These are bits: nats are asked for."),
            "no-logarithm": (np.array([few, classes], dtype=float), "These are counts: where is the logarithm?"),
            "swapped": (np.array([log_classes, log_few]), "The two numbers are in the wrong order."),
        },
        rtol=0.003,
        what="largest",
    )


def _draw_members(rng: np.random.Generator) -> Inputs:
    probs = softmax(rng.normal(0, 2.5, (7, 9, 4)), 2)
    probs[:, 0] = np.eye(4)[rng.permutation([0, 0, 1, 1, 1, 2, 3])]  # members that are sure
    return {"probs": probs}


def _use_members(answer: Any, inputs: Inputs) -> dict[str, Any]:
    answer(inputs["probs"].clone())
    return {"parts": list(answer(inputs["probs"]))}


def _judge_members(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    probs = inputs["probs"]
    total, own = entr(probs.mean(0)).sum(1), entr(probs).sum(2).mean(0)
    votes = np.eye(probs.shape[2])[probs.argmax(2)].mean(0)
    mixed = np.exp(np.log(np.maximum(probs, 1e-300)).mean(0))
    mixed /= mixed.sum(1, keepdims=True)
    yield from judging.values(
        outputs["parts"],
        np.stack([total, own, total - own]),
        {
            "bits": (np.stack([total, own, total - own]) / np.log(2), "These are bits: nats are asked for."),
            "sign": (np.stack([total, own, own - total]), "No information is negative: which entropy is larger?"),
            "swapped": (np.stack([own, total, total - own]), "The first two are in the wrong order."),
            "votes": (
                np.stack([entr(votes).sum(1), own, entr(votes).sum(1) - own]),
                "The average is of votes, not of probabilities.",
            ),
            "geometric": (
                np.stack([entr(mixed).sum(1), own, entr(mixed).sum(1) - own]),
                "The average is of logarithms, not of probabilities.",
            ),
            "negated": (-np.stack([total, own, total - own]), "All signs are turned: p log p is negative."),
            "summed-over-members": (
                np.stack([total, own * len(probs), total - own * len(probs)]),
                "The members' entropies are to be averaged, not added.",
            ),
        },
        rtol=1e-4,
        what="the three parts, each with a number for each example",
    )


_BINS = 5


def _draw_answers(rng: np.random.Generator) -> Inputs:
    while True:  # until signs and weights of the bins make a difference
        probs = softmax(rng.normal(0, 1, (60, 3)) * rng.uniform(0.2, 4, (60, 1)), 1)
        answers = probs.argmax(1)
        labels = np.where(rng.random(60) < rng.uniform(0.4, 0.7), answers, rng.integers(0, 3, 60))
        inputs = {"probs": probs, "labels": labels, "bins": _BINS}
        numbers = sorted(_calibration_errors(inputs).values())
        if np.diff(numbers).min() > 0.01:
            return inputs


def _calibration_errors(inputs: Inputs) -> dict[str, float]:
    probs, labels = inputs["probs"], inputs["labels"]
    confidence, right = probs.max(1), probs.argmax(1) == labels
    place = np.ceil(confidence * _BINS).astype(int)
    gaps = np.array([(confidence - right)[place == k].mean() for k in np.unique(place)])
    shares = np.array([(place == k).mean() for k in np.unique(place)])
    return {
        "right": float(shares @ np.abs(gaps)),
        "untouched": float(abs(gaps.mean())),
        "bins-alike": float(np.abs(gaps).mean()),
        "gaps-cancel": float(abs(shares @ gaps)),
        "largest-gap": float(np.abs(gaps).max()),
        "all-bins-counted": float(np.abs(gaps).sum() / _BINS),
    }


def _use_answers(answer: Any, inputs: Inputs) -> dict[str, Any]:
    answer(inputs["probs"].clone(), inputs["labels"].clone(), inputs["bins"])
    return {"ece": answer(inputs["probs"], inputs["labels"], inputs["bins"])}


def _judge_answers(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    numbers = _calibration_errors(inputs)
    messages = {
        "untouched": "Nothing has changed yet: two things are wrong in how the gaps become one number.",
        "bins-alike": "A bin with two examples counts as much as one with twenty.",
        "gaps-cancel": "Being too sure in one bin makes up for being too unsure in another.",
        "largest-gap": "That is the largest gap of all bins, not their average.",
        "all-bins-counted": "The sum of all gaps over the number of bins: a bin counts by the examples in it.",
    }
    mistakes = {code: (numbers[code], message) for code, message in messages.items()}
    yield from judging.number(outputs["ece"], numbers["right"], mistakes, atol=1e-4, rtol=1e-3)


EXERCISES = (
    Coded(
        id="ch10-q1",
        title="how much can they disagree?",
        level="warm-up",
        kind="predict",
        minutes=10,
        points=2,
        objectives=(1,),
        constants={"members": (5, 4, 7, 6), "classes": (10, 20, 12)},
        prompt=r"""
Invent {{members}} members' probabilities over {{classes}} classes so that the entropy of the average is as large as it can be
and the mutual information is zero. Then make the mutual information as large as it can be. How large is that for {{members}}
members, and for the fifty of MC dropout, in nats? Say it first, then check with `torch.special.entr`.
""",
        answer="largest",
        stub="""
largest = None  # two numbers: the largest mutual information of {{members}} members, and of fifty
""",
        judge=_judge_largest,
    ),
    Coded(
        id="ch10-q2",
        title="two kinds of doubt",
        level="core",
        kind="implement",
        minutes=20,
        points=4,
        objectives=(1,),
        prompt=r"""
Write `doubts(probs)`, which takes the members' probabilities of shape (members, examples, classes), `float64`, and returns
three tensors of shape (examples,) in nats: the entropy of the average, the average entropy of the members, and their
difference, the mutual information. Some members are entirely sure: their probabilities are exactly 0 and 1, which must not
give NaN.
""",
        answer="doubts",
        given="import torch",
        stub="""
def doubts(probs):
    raise NotImplementedError
""",
        draw=_draw_members,
        use=_use_members,
        judge=_judge_members,
    ),
    Coded(
        id="ch10-q3",
        title="find the bug: perfectly calibrated",
        level="core",
        kind="find the bug",
        minutes=15,
        points=3,
        objectives=(2,),
        prompt=r"""
This function is meant to compute the expected calibration error, as this chapter defines it: bins of equal width, and the
share of the examples in a bin as its weight. It calls networks well calibrated that are not. Two things are wrong in it.
Repair them. `probs` has shape (examples, classes), `labels` shape (examples,), and the result is one number.
""",
        answer="calibration_error",
        given="import torch",
        stub="""
def calibration_error(probs, labels, bins):
    confidence, answers = probs.max(dim=1)
    right = (answers == labels).to(probs.dtype)
    gaps = []
    for k in range(bins):
        inside = (confidence > k / bins) & (confidence <= (k + 1) / bins)
        if inside.any():
            gaps.append(confidence[inside].mean() - right[inside].mean())
    return (sum(gaps) / len(gaps)).abs()
""",
        draw=_draw_answers,
        use=_use_answers,
        judge=_judge_answers,
    ),
    Written(
        id="ch10-q4",
        title="wrong labels",
        level="core",
        kind="design",
        minutes=30,
        points=4,
        objectives=(2, 5),
        prompt=r"""
Give `train` two more arguments, and train plain networks and networks with dropout on 1,000 digits with
`label_noise=0.3`, with `learning_rate=0.03`. For plain networks, weight scaling and MC dropout, compare error, mean
confidence and accuracy on the (clean) test digits. Fit a temperature for each. *Expect dropout to make far fewer
errors, to be far less sure than it should be, MC dropout more so than weight scaling, and temperatures below 1 for
both.*
""",
    ),
    Written(
        id="ch10-q5",
        title="a promise",
        level="core",
        kind="design",
        minutes=30,
        points=4,
        objectives=(4, 5),
        prompt=r"""
On validation digits, find for MC dropout the largest entropy threshold at which at most 1% of its answers are wrong.
Which fraction of test digits does it answer, and how many of those answers are wrong? Then turn the test digits by
15°, 30°, 45° and 60°. Does the promise of 1% hold? *Expect it to hold roughly for upright digits. By 45°, although
few digits are still answered, a quarter or more of the answers are wrong.*
""",
    ),
    Written(
        id="ch10-q6",
        title="turn the dial",
        level="stretch",
        kind="argue",
        minutes=45,
        points=6,
        objectives=(2, 5),
        prompt=r"""
For 500, 1,000 and 5,000 training digits, trained for 80, 40 and 8 epochs, choose the keep probability of the hidden
units among 0.5, 0.7, 0.8, 0.9, 0.95 and 1 by the validation loss of MC dropout, for each of five seeds. Does the
choice depend on the amount of data? How far is mean confidence from accuracy on test digits then? Is that a defense
of MC dropout, or an argument against it? *Expect the choice to rise with the data, up to 0.9 or more, and the
confidence to stay within about three points of the accuracy.*
""",
    ),
)
