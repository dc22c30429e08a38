"""Judges of the exercises in ``bank/coadaptation.py``."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dropout_lessons.exercises.exercise import Inputs, Outputs, Problem
from dropout_lessons.exercises.judges import comparing, drawing


def judge_numbers(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    nothing, first, second, both = (float(inputs[name]) for name in ("nothing", "first", "second", "both"))
    joint = both - first - second + nothing
    single = np.array([both - second + first - nothing, both - first + second - nothing]) / 4
    degrees = np.array([(single**2).sum(), (joint / 4) ** 2])
    share = degrees[1] / degrees.sum()
    careless = both - first - second
    yield from comparing.numbers(
        outputs["answer"],
        np.array([joint, share]),
        {
            "empty-set-forgotten": (
                [careless, share],
                "The value with neither unit is missing: it was subtracted twice, once with each unit.",
            ),
            "ratio-of-degrees": (
                np.array([joint, degrees[1] / degrees[0]]),
                "That is what products add relative to single units, not their share of the whole variance.",
            ),
            "not-squared": (
                [joint, abs(joint) / 4 / (np.abs(single).sum() + abs(joint) / 4)],
                "The share is one of variances: the coefficients are to be squared.",
            ),
            "sign-lost": ([abs(joint), share], "An interaction has a sign: units may replace each other."),
            "share-of-single-units": ([joint, 1 - share], "That is the share of the single units."),
            "effects-alone": (
                np.array(
                    [joint, joint**2 / (joint**2 + 4 * ((first - nothing) ** 2 + (second - nothing) ** 2))],
                ),
                "A unit's effect is averaged over whether the other is present, too.",
            ),
            "coefficient": (
                [joint / 4, share],
                "The first number is the product's coefficient: an interaction is four values, each with its sign.",
            ),
            "percent": ([joint, 100 * share], "The share is a percentage: a fraction is asked for."),
            "swapped": ([share, joint], "The two numbers are in the wrong order."),
        },
        rtol=0,
        atol=0.0051,  # two digits after the point
        what="numbers",
    )


def draw_all_pairs(rng: np.random.Generator) -> Inputs:
    units = int(rng.choice([4, 5, 7, 8]))
    return {
        "single": drawing.away_from_zero(rng, units).astype(np.float64),
        "pairs": np.triu(drawing.away_from_zero(rng, units, units), 1).astype(np.float64),
        "all": round(float(rng.uniform(0.1, 0.2)), 3),  # what products of three units add
        "units": units,
    }


def _values(inputs: Inputs) -> NDArray[np.float64]:
    """The value of each of the sets of units, an axis for each unit."""
    table = np.empty((2,) * inputs["units"])
    for mask in itertools.product((0, 1), repeat=inputs["units"]):
        m, n = np.array(mask), sum(mask)
        table[mask] = inputs["single"] @ m + m @ inputs["pairs"] @ m + inputs["all"] * n * (n - 1) * (n - 2) / 6
    return table


def judge_all_pairs(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    table, units = _values(inputs), inputs["units"]

    def by_pair(others: int, *, last: float = 1.0) -> NDArray[np.float64]:
        matrix = np.zeros((units, units))
        for i, j in itertools.permutations(range(units), 2):
            corners = []
            for mine, other in itertools.product((0, 1), repeat=2):
                mask = [others] * units
                mask[i], mask[j] = mine, other
                corners.append(table[tuple(mask)])
            matrix[i, j] = corners[3] - corners[1] - corners[2] + last * corners[0]
        return matrix

    right, matrix = by_pair(1), outputs["matrix"]
    off = ~np.eye(units, dtype=bool)
    yield from comparing.shape("the matrix", matrix, right.shape)
    if np.allclose(matrix[off], right[off], atol=1e-4) and not np.allclose(np.diag(matrix), 0, atol=1e-6):
        yield Problem("diagonal", "A unit and itself are no pair: the diagonal should be zero.", lost=0.5)
        return
    yield from comparing.values(
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
