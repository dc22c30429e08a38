"""Exercises of chapter 1, overfitting and co-adaptation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dropout_lessons.exercises import judging
from dropout_lessons.exercises.exercise import Coded, Inputs, Outputs, Problem, Written

__all__ = ["EXERCISES"]


def _judge_labels(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    noise, classes = inputs["noise"] / 100, inputs["classes"]
    false, chance = noise * (1 - 1 / classes), 1 - 1 / classes
    yield from judging.values(
        outputs["answer"],
        np.array([false, chance]),
        {
            "all-redrawn-false": (
                np.array([noise, chance]),
                "A label that is drawn anew may be the true one by chance.",
            ),
            "chance-of-being-right": (
                np.array([false, 1 / classes]),
                "The second number is how often guessing is right: errors are asked for.",
            ),
            "always-wrong": (np.array([false, 1.0]), "Guessing is sometimes right."),
            "percent": (100 * np.array([false, chance]), "These are percentages: fractions are asked for."),
            "swapped": (np.array([chance, false]), "The two numbers are in the wrong order."),
        },
        rtol=0,
        atol=0.002,
        what="errors",
    )


_EXAMPLES, _HIDDEN, _CLASSES = 120, 8, 4


def _draw_layer(rng: np.random.Generator) -> Inputs:
    while True:  # until every mistake shows
        hidden = np.maximum(rng.normal(0.3, 1, (_EXAMPLES, _HIDDEN)), 0)
        weight, bias = rng.normal(size=(_CLASSES, _HIDDEN)), rng.normal(size=_CLASSES) / 2
        labels = (hidden @ weight.T + bias).argmax(1)
        labels = np.where(rng.random(_EXAMPLES) < 0.9, labels, rng.integers(0, _CLASSES, _EXAMPLES))
        units = rng.permutation(_HIDDEN)[:3]
        inputs = {"hidden": hidden, "weight": weight, "bias": bias, "labels": labels, "units": units}
        known = np.array(list(_costs(inputs).values()))
        if min(np.abs(known[i] - known[j]).max() for i in range(len(known)) for j in range(i)) > 0.004:
            return inputs


def _costs(inputs: Inputs) -> dict[str, NDArray[np.float64]]:
    """Together and one by one: as it should be, and by mistake."""
    hidden, units = inputs["hidden"], inputs["units"]

    def error(*gone: int) -> float:
        left = hidden.copy()
        left[:, list(gone)] = 0
        logits = left @ inputs["weight"].T + inputs["bias"]
        return float((logits.argmax(1) != inputs["labels"]).mean())

    whole, together = error(), error(*units)
    single = [error(unit) for unit in units]
    growing = [error(*units[: k + 1]) for k in range(len(units))]
    n = len(units)
    return {
        "right": np.array([together - whole, sum(single) - n * whole]),
        "removed-for-good": np.array([together - whole, sum(growing) - n * whole]),
        "baseline-moved": np.array([0.0, sum(growing) - n * whole]),
        "averaged": np.array([together - whole, sum(single) / n - whole]),
        "baseline-forgotten": np.array([together, sum(single)]),
        "baseline-once": np.array([together - whole, sum(single) - whole]),
        "turned-round": -np.array([together - whole, sum(single) - n * whole]),
        "swapped": np.array([sum(single) - n * whole, together - whole]),
    }


def _use_layer(answer: Any, inputs: Inputs) -> dict[str, Any]:
    names = ("hidden", "weight", "bias", "labels")
    units = inputs["units"].tolist()
    first = answer(*(inputs[name].clone() for name in names), list(units))
    answer(*(inputs[name] for name in names), list(units))
    return {"costs": list(first)}


def _judge_layer(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    numbers = _costs(inputs)
    messages = {
        "removed-for-good": "A unit that was removed never comes back: the second one is removed beside the first.",
        "baseline-moved": "What is removed one by one is still gone when all are removed together.",
        "averaged": "The costs one by one are averaged: they should be added.",
        "baseline-forgotten": "These are errors, not what the removal adds to the error of the whole network.",
        "baseline-once": "The error of the whole network is part of each single cost, so it is subtracted each time.",
        "turned-round": "The signs are turned round: a cost is what the error gains.",
        "swapped": "The two numbers are in the wrong order.",
    }
    mistakes = {code: (numbers[code], message) for code, message in messages.items()}
    yield from judging.values(outputs["costs"], numbers["right"], mistakes, rtol=0, atol=1e-4, what="the two costs")


EXERCISES = (
    Coded(
        id="ch01-q1",
        title="how many labels are false?",
        level="warm-up",
        kind="predict",
        minutes=10,
        points=2,
        objectives=(1,),
        constants={"noise": (30, 20, 40, 60), "classes": (10, 5, 20)},
        prompt=r"""
Of 1,000 examples from {{classes}} equally frequent classes, {{noise}}% have their labels drawn anew, evenly from all classes. A
network gives every example its *true* class. What error does it make on these labels? Another one has learned examples by
heart whose labels were *all* drawn anew. What error do you expect of it on new examples with true labels?
""",
        answer="errors",
        stub="""
errors = None  # two fractions: on the noisy labels, on new examples
""",
        judge=_judge_labels,
    ),
    Written(
        id="ch01-q2",
        title="what is a unit for?",
        level="warm-up",
        kind="argue",
        minutes=15,
        points=3,
        objectives=(3,),
        prompt=r"""
Find the unit of `plain[0]` that costs the most. Remove it, and count the errors on the training digits for each of the
ten classes. Is it a unit for one digit, or for all? Look at `plain[1]` to `plain[5]` too. *Expect most of the errors on
one digit each time. In `plain[0]` all 75 are ones; in `plain[3]` every single zero is lost.*
""",
    ),
    Coded(
        id="ch01-q3",
        title="find the bug: units that never come back",
        level="core",
        kind="find the bug",
        minutes=15,
        points=3,
        objectives=(3,),
        prompt=r"""
This function compares what a set of units costs together with what its units cost one by one: how much the error rises when
they are removed, for the first number all at once, for the second one at a time, added up. It finds that no set ever costs
more than its parts. Repair it. `hidden` has shape (examples, units); the layer above is linear. Whoever calls it needs
`hidden` as it was.
""",
        answer="costs",
        given="import torch",
        stub="""
def costs(hidden, weight, bias, labels, units):
    def error():
        return ((hidden @ weight.T + bias).argmax(dim=1) != labels).double().mean().item()

    whole = error()
    one_by_one = 0.0
    for unit in units:
        hidden[:, unit] = 0
        one_by_one += error() - whole
    hidden[:, units] = 0
    together = error() - whole
    return together, one_by_one
""",
        draw=_draw_layer,
        use=_use_layer,
        judge=_judge_layer,
    ),
    Written(
        id="ch01-q4",
        title="a difference in tone",
        level="core",
        kind="argue",
        minutes=20,
        points=4,
        objectives=(4, 5),
        prompt=r"""
Measure the reliance of plain and L2 networks again, without a temperature. What would you have concluded? Then take a
copy of `plain[0]`, divide its output weights and biases by 3, which changes no answer, and measure its reliance without
and with the fitted temperature. *Expect L2 to seem to cut the reliance from 0.58 to 0.35. The division by 3 does as
much: from 0.60 to 0.32. With the fitted temperature it changes nothing.*
""",
    ),
    Written(
        id="ch01-q5",
        title="where a penalty pays",
        level="core",
        kind="design",
        minutes=30,
        points=4,
        objectives=(2,),
        prompt=r"""
With 30% random labels, tune L2 on validation error: none, and the strengths 0.003, 0.01, 0.03 and 0.1, on five tuning
seeds. Report the test error on five other seeds, against no penalty. What share of its training labels does the chosen
network get wrong, and is that bad? *Expect 0.03 to be chosen, and about 17% errors instead of 32%. It gets more than a
quarter of the training labels wrong: about as many as are false.*
""",
    ),
    Written(
        id="ch01-q6",
        title="another way to remove a unit",
        level="core",
        kind="design",
        minutes=25,
        points=4,
        objectives=(3, 4),
        prompt=r"""
A unit that is stuck at zero may be something that the layer above has never seen. Replace units by their mean over the
examples instead (`clamp="mean"` in `ablation_curve` and `reliance`), for plain, L2 and L1. Which of this chapter's
claims survive? *Expect those on reliance to survive, and those on L1. With half of the units gone, L2 now keeps more
right answers than plain, by about four points.*
""",
    ),
    Written(
        id="ch01-q7",
        title="votes",
        level="stretch",
        kind="argue",
        minutes=35,
        points=5,
        objectives=(4, 5),
        prompt=r"""
Measure the reliance at `hidden2`, for untrained, plain and L2. There the logits are sums, with a contribution from each
unit that depends on no other. So why is the number not zero? Show that it nearly is when you divide `plain[0]`'s output
weights and biases by 100 and leave the temperature out. What does the number see, and what would you rather have it
see? *Expect 0.00 untrained, 0.32 plain and 0.35 L2; 0.0001 after the division. Probabilities are no sum of votes,
whatever the units do.*
""",
    ),
)
