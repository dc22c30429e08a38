"""Exercises of chapter 6, measuring co-adaptation."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dropout_lessons.exercises import judging
from dropout_lessons.exercises.exercise import Coded, Inputs, Outputs, Problem, Written

__all__ = ["EXERCISES"]


def _judge_two_units(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    nothing, first, second, both = (float(inputs[name]) for name in ("nothing", "first", "second", "both"))
    joint = both - first - second + nothing
    single = np.array([both - second + first - nothing, both - first + second - nothing]) / 4
    degrees = np.array([(single**2).sum(), (joint / 4) ** 2])
    share = degrees[1] / degrees.sum()
    careless = both - first - second
    yield from judging.values(
        outputs["answer"],
        np.array([joint, share]),
        {
            "empty-set-forgotten": (
                np.array([careless, share]),
                "The value with neither unit is missing: it was subtracted twice, once with each unit.",
            ),
            "ratio-of-degrees": (
                np.array([joint, degrees[1] / degrees[0]]),
                "That is what products add relative to single units, not their share of the whole variance.",
            ),
            "not-squared": (
                np.array([joint, abs(joint) / 4 / (np.abs(single).sum() + abs(joint) / 4)]),
                "The share is one of variances: the coefficients are to be squared.",
            ),
            "share-of-single-units": (np.array([joint, 1 - share]), "That is the share of the single units."),
            "effects-alone": (
                np.array(
                    [joint, joint**2 / (joint**2 + 4 * ((first - nothing) ** 2 + (second - nothing) ** 2))],
                ),
                "A unit's effect is averaged over whether the other is present, too.",
            ),
            "swapped": (np.array([share, joint]), "The two numbers are in the wrong order."),
        },
        rtol=0,
        atol=0.002,
        what="numbers",
    )


_UNITS = 6


def _draw_value(rng: np.random.Generator) -> Inputs:
    return {
        "single": judging.away_from_zero(rng, _UNITS).astype(np.float64),
        "pairs": np.triu(judging.away_from_zero(rng, _UNITS, _UNITS), 1).astype(np.float64),
        "all": round(float(rng.uniform(0.1, 0.2)), 3),  # what products of three units add
        "units": _UNITS,
    }


def _use_value(answer: Any, inputs: Inputs) -> dict[str, Any]:
    single, pairs, weight = inputs["single"].clone(), inputs["pairs"].clone(), inputs["all"]

    def value(mask: torch.Tensor) -> float:
        m = mask.to(torch.float64)
        triples = (m.sum() ** 3 - 3 * m.sum() ** 2 + 2 * m.sum()) / 6
        return float(single @ m + m @ pairs @ m + weight * triples)

    return {"matrix": answer(value, inputs["units"])}


def _values(inputs: Inputs) -> NDArray[np.float64]:
    """The value of each of the sets of units, an axis for each unit."""
    table = np.empty((2,) * _UNITS)
    for mask in itertools.product((0, 1), repeat=_UNITS):
        m, n = np.array(mask), sum(mask)
        table[mask] = inputs["single"] @ m + m @ inputs["pairs"] @ m + inputs["all"] * n * (n - 1) * (n - 2) / 6
    return table


def _judge_value(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    table = _values(inputs)

    def by_pair(others: int, *, last: float = 1.0) -> NDArray[np.float64]:
        matrix = np.zeros((_UNITS, _UNITS))
        for i, j in itertools.permutations(range(_UNITS), 2):
            corners = []
            for mine, other in itertools.product((0, 1), repeat=2):
                mask = [others] * _UNITS
                mask[i], mask[j] = mine, other
                corners.append(table[tuple(mask)])
            matrix[i, j] = corners[3] - corners[1] - corners[2] + last * corners[0]
        return matrix

    right, matrix = by_pair(1), outputs["matrix"]
    off = ~np.eye(_UNITS, dtype=bool)
    yield from judging.shape("the matrix", matrix, right.shape)
    if np.allclose(matrix[off], right[off], atol=1e-4) and not np.allclose(np.diag(matrix), 0, atol=1e-6):
        yield Problem("diagonal", "A unit and itself are no pair: the diagonal should be zero.", lost=0.5)
        return
    yield from judging.values(
        matrix,
        right,
        {
            "alone": (by_pair(0), "All other units are absent: here they should be present."),
            "last-term-forgotten": (by_pair(1, last=0), "The value with neither unit is missing."),
            "turned-round": (-right, "The sign is turned: positive is worth more together than one by one."),
            "unsigned": (np.abs(right), "The sign is lost: units may also replace each other."),
            "half": (np.triu(right), "Only one half of the matrix is filled: the interaction is symmetric."),
            "halved": (right / 2, "All numbers are half of what they should be."),
        },
        atol=1e-4,
        rtol=0,
        what="the matrix",
    )


EXERCISES = (
    Coded(
        id="ch06-q1",
        title="two units",
        level="warm-up",
        kind="predict",
        minutes=15,
        points=2,
        objectives=(1,),
        constants={"nothing": (1, 0.5), "first": (2, 1.5), "second": (3, 3.5), "both": (8, 7, 9)},
        prompt=r"""
A layer has two units. The value $v$ is {{nothing}} with neither, {{first}} with the first, {{second}} with the second, and
{{both}} with both. What is their interaction, and what is the interaction share at $p = 1/2$? On paper: write $v$ as a sum with
signs $s_i = \pm 1$ for present and absent, $c_0 + c_1 s_1 + c_2 s_2 + c_{12} s_1 s_2$. The variance is the sum of the last three
squares.
""",
        answer="numbers",
        stub="""
numbers = None  # two numbers: interaction, share
""",
        judge=_judge_two_units,
    ),
    Written(
        id="ch06-q2",
        title="logits do not interact",
        level="warm-up",
        kind="argue",
        minutes=15,
        points=3,
        objectives=(2,),
        prompt=r"""
For one pair of units of the *second* hidden layer of `networks["plain"]`, compute the four terms of $I_{ij}$ yourself, with
`network(x, masks={"hidden2": mask})` and all other units present. Take $v$ to be (a) the log-probability of the label, (b) the
logit of the label. Explain (b) in a sentence. *Expect (b) to be 0 for every image, up to rounding.*
""",
    ),
    Coded(
        id="ch06-q3",
        title="all pairs",
        level="core",
        kind="implement",
        minutes=20,
        points=4,
        objectives=(1,),
        prompt=r"""
Write `all_pairs(value, units)`: the matrix of interactions $I_{ij} = v(S \cup ij)$ $- v(S \cup i)$ $- v(S \cup j)$ $+ v(S)$ with
all other units present, as a tensor of shape (units, units) with a diagonal of zeros. `value(mask)` takes a bool tensor of shape
(units,), `True` for present, and returns a number.
""",
        answer="all_pairs",
        given="import torch",
        stub="""
def all_pairs(value, units):
    raise NotImplementedError
""",
        draw=_draw_value,
        use=_use_value,
        judge=_judge_value,
    ),
    Written(
        id="ch06-q4",
        title="two copies",
        level="core",
        kind="design",
        minutes=25,
        points=4,
        objectives=(2,),
        prompt=r"""
Replace every unit of the second layer of a plain network by two copies with half the outgoing weights. What the network computes
is the same. Predict for each of these whether it rises, falls, or stays: correlation, the area under the removal curve, the
interaction share at $p = 1/2$, `interaction`'s `relative`. Then measure. Which of them would you trust to compare layers of
different width? *Expect the area to rise, the share to fall by a fifth to a third, `relative` to rise, the correlation to stay
about the same.*
""",
    ),
    Written(
        id="ch06-q5",
        title="another kind of dropout",
        level="core",
        kind="argue",
        minutes=25,
        points=4,
        objectives=(3, 4),
        prompt=r"""
`arms` also has networks with Gaussian dropout, which multiplies by noise and never removes a unit. Say before you run it which
claims of the verdict you expect to hold for it, and what it would mean if they did not. Then add the arm, with five seeds.
*Expect no clear difference from dropout in the share at equal damage and in robustness to noise.*
""",
    ),
    Written(
        id="ch06-q6",
        title="stopping early",
        level="stretch",
        kind="design",
        minutes=40,
        points=5,
        objectives=(4, 5),
        prompt=r"""
A colleague says that co-adaptation builds up late in training, so that stopping early prevents it. Write down which measure
decides, at which layer, what difference would count, and what else must be equal. Then add an arm that stops after 10 epochs,
and run it with ten seeds. *Expect the error to be a point higher, and no clear difference in the share at equal damage.*
""",
    ),
)
