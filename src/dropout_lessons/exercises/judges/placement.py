"""Judges of the exercises in ``bank/placement.py``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import hadamard

from dropout_lessons.exercises.exercise import Inputs, Outputs, Problem
from dropout_lessons.exercises.judges import comparing, drawing, masks


def judge_steps(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    p = inputs["keep_prob"]
    exact = float(np.log(0.5) / np.log(p))
    steps = int(np.ceil(exact))
    yield from comparing.number(
        outputs["answer"],
        steps,
        {
            "one-too-few": (steps - 1, "After that many steps it is still more likely left than gone."),
            "one-too-many": (steps + 1, "One step earlier it is already more likely gone than left."),
            "not-rounded": (exact, "Steps are whole: which is the first after which it is more likely gone?"),
            "mean-lifetime": (1 / (1 - p), "That is how many steps a memory lasts on average, not half of the time."),
            "chances-added": (
                0.5 / (1 - p),
                "The chances of being dropped are added: a memory can be erased only once.",
            ),
            "keep-and-drop-swapped": (1, "With that chance of being dropped it would be gone at once: p keeps."),
        },
        rtol=0,
        atol=0.02,
        what="The number of steps",
    )


def draw_variance_ratio(rng: np.random.Generator) -> Inputs:
    examples, units, outputs = int(rng.integers(20, 40)), int(rng.integers(6, 11)), int(rng.integers(3, 7))
    return {
        "h": np.maximum(rng.normal(0.5, 1, (examples, units)), 0).astype(np.float32),
        "weight": drawing.away_from_zero(rng, outputs, units),
        "keep_prob": drawing.band(rng),
    }


def judge_variance_ratio(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    h, weight, p = inputs["h"].astype(np.float64), inputs["weight"].astype(np.float64), inputs["keep_prob"]
    at_test = (h @ weight.T).var(0)
    noise, odds = weight**2 @ (h**2).mean(0), (1 - p) / p

    def ratio(factor: float, noise: NDArray[Any] = noise, at_test: NDArray[Any] = at_test) -> Any:
        return 1 + factor * noise / at_test

    right = ratio(odds)

    yield from comparing.numbers(
        outputs["answer"],
        right,
        {
            "only-what-is-added": (
                right - 1,
                "That is what the masks add: in training the inputs themselves vary, too.",
            ),
            "upside-down": (1 / right, "The ratio is upside down: training over test."),
            "standard-scaling": (
                ratio(p * (1 - p)),
                "p (1 - p) is the variance of a mask of 0 and 1; with inverted scaling it is 0 or 1/p.",
            ),
            "keep-and-drop-swapped": (ratio(p / (1 - p)), "Keeping and dropping are swapped."),
            "variance-for-square": (
                ratio(odds, weight**2 @ h.var(0)),
                "A constant unit adds noise when it is dropped, too: its variance is not what counts.",
            ),
            "square-of-the-mean": (
                ratio(odds, weight**2 @ h.mean(0) ** 2),
                "The mean is squared; each example has a mask of its own, so the squares are to be averaged.",
            ),
            "independent-inputs": (
                ratio(odds, at_test=weight**2 @ h.var(0)),
                "The units' outputs are correlated: at test time their variances do not simply add up.",
            ),
            "sample-variance": (
                ratio(odds, noise * (len(h) - 1) / len(h)),
                "The variance is that of a sample: here it is divided by the number of examples.",
            ),
            "summed-over-examples": (
                ratio(odds, noise * len(h)),
                "The squares are summed over the examples: a variance averages over them.",
            ),
            "weight-not-squared": (
                ratio(odds, weight @ (h**2).mean(0)),
                "A factor goes through a variance as its square: the weights, too.",
            ),
            "standard-deviations": (
                np.sqrt(right),
                "That is the ratio of the standard deviations, not of the variances.",
            ),
        },
        rtol=1e-4,
        what="the ratios, one for each output",
    )


_STEPS, _BATCH, _UNITS, _CALLS = 3, 512, 128, 3
_RECURRENT = 0.05  # so small that no state comes near zero or one, and every mask can be told


def draw_run(rng: np.random.Generator) -> Inputs:
    def drive(steps: int, batch: int, units: int) -> NDArray[np.float32]:
        size = (steps, batch, units)
        return np.asarray(rng.uniform(0.8, 1.5, size) * rng.choice([-1.0, 1.0], size), dtype=np.float32)

    # A rotation in which every unit hears of every other; its inverse is its transpose.
    signs = rng.choice([-1, 1], (2, _UNITS))
    rotation = signs[0] * rng.permutation(hadamard(_UNITS)) / np.sqrt(_UNITS) * signs[1][:, None]
    return {
        "x": drive(_STEPS, _BATCH, _UNITS),
        "upstream": drive(_STEPS, _BATCH, _UNITS),
        "weight_state": (_RECURRENT * rotation).astype(np.float32),
        "small": drive(4, 3, 7),
        "small_weight": 0.1 * drawing.away_from_zero(rng, 7, 7),
        "keep_prob": drawing.band(rng),
    }


def judge_run(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    x, p, states = inputs["x"], inputs["keep_prob"], outputs["states"].astype(np.float32)
    weight = inputs["weight_state"]
    yield from comparing.shape("the states", states, (_CALLS, *x.shape))
    yield from masks.floating(outputs["states"])
    if (states == 0).any():
        yield Problem("states-dropped", "Some states are zero: the mask acts on x or on what is returned, too.")
    if not np.allclose(states[:, 0], np.tanh(x[0]), atol=1e-5):
        yield Problem("off", "The first state should be tanh of the first input: there is nothing to remember yet.")
    if np.abs(states).max() >= 1:
        yield Problem("off", "A state is not a tanh.")
    before = states[:, :-1]
    remembered = np.arctanh(states[:, 1:]) - x[1:]
    factors = remembered @ (weight / _RECURRENT**2) / before  # the inverse of weight_state is its transpose, scaled
    kept = np.abs(factors) > 0.1
    if kept.all() and np.allclose(factors, 1, atol=0.05):
        yield Problem("nothing-dropped", "Nothing is dropped from the memory.")
    if not _are_factors(factors):
        yield from _misplaced(remembered, before, weight)
    if (kept != kept[:, :1]).any():
        yield Problem("mask-per-step", "The mask changes within a sequence: sooner or later it erases every memory.")
    yield from masks.masks(kept[:, 0], p)
    if np.allclose(factors[kept], 1, atol=0.02):
        yield Problem("unscaled", "What is kept is not scaled: memories shrink in training, and not at test time.")
    if not np.allclose(factors[kept], 1 / p, rtol=0.02):
        yield Problem("wrong-scale", "What is kept is not divided by keep_prob.")
    yield from masks.untrainable(outputs)
    to_x, to_weight = _gradients(states[-1], kept[-1, 0] / p, weight, inputs["upstream"])
    if not all(
        np.allclose(outputs[name], right, atol=1e-3 * np.abs(right).max())
        for name, right in (("to_x", to_x), ("to_weight", to_weight))
    ):
        yield Problem("wrong-gradient", "The gradient is not that of the states: it should pass through all steps.")
    yield from masks.reseeding(outputs)
    if not outputs["resizable"]:
        yield Problem("fixed-size", "It works for one size of x alone: take the sizes from x.")
    yield from comparing.shape("the states of another x", outputs["small"], inputs["small"].shape)


def _are_factors(factors: NDArray[Any]) -> bool:
    """Whether numbers are but two, one of them zero, as those of a mask are."""
    kept = np.abs(factors) > 0.1
    return bool(kept.any() and np.abs(factors[~kept]).max(initial=0) < 0.05 and np.ptp(factors[kept]) < 0.3)


def _misplaced(remembered: NDArray[Any], before: NDArray[Any], weight: NDArray[Any]) -> Iterator[Problem]:
    def explain(sent: NDArray[Any]) -> bool:
        large = np.abs(sent) > 0.3 * _RECURRENT / np.sqrt(len(weight))
        return _are_factors(remembered[large] / sent[large])

    if explain(before @ weight.T):
        message = "The mask acts after weight_state, on what is sent, and not on the memory itself."
        yield Problem("mask-after-the-matrix", message)
    if explain(before * np.diag(weight)):
        message = "A unit hears of its own past alone: weight_state lets it hear of the others, too."
        yield Problem("diagonal-only", message)
    if _are_factors(remembered @ weight.T / _RECURRENT**2 / before):
        message = "weight_state is turned round: row i holds what unit i hears of the others."
        yield Problem("transposed", message)
    yield Problem("off", "What is remembered is not the state before, masked and sent through weight_state.")


def _gradients(
    states: NDArray[Any], mask: NDArray[Any], weight: NDArray[Any], upstream: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Backpropagation through time: gradients with respect to x and to weight_state."""
    to_x, to_weight, later = np.zeros_like(states), np.zeros_like(weight), np.zeros_like(states[0])
    for step in range(len(states) - 1, -1, -1):
        to_x[step] = (upstream[step] + later) * (1 - states[step] ** 2)
        if step:
            to_weight += to_x[step].T @ (states[step - 1] * mask)
            later = to_x[step] @ weight * mask
    return to_x, to_weight


def judge_left(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    p = inputs["keep_prob"]
    yield from comparing.number(
        outputs["answer"],
        1 - (1 - p) ** 8,
        {
            "none-left": ((1 - p) ** 8, "That is how likely it is that all eight are gone."),
            "keep-and-drop-swapped": (1 - p**8, "Keeping and dropping are swapped: p keeps."),
            "all-left": (p**8, "That is how likely it is that all eight are left: one is enough."),
            "one-neighbor": (p, "That is the probability for one neighbor: there are eight."),
            "chances-added": (8 * p, "Chances of several neighbors do not add up: more than one may be left."),
            "four-neighbors": (1 - (1 - p) ** 4, "Only the four at its sides are counted: corners are near, too."),
            "itself-counted": (1 - (1 - p) ** 9, "The entry itself is counted, and it was dropped."),
            "exactly-one": (8 * p * (1 - p) ** 7, "That is the probability of exactly one: more will do, too."),
            "percent": (100 * (1 - (1 - p) ** 8), "That is in percent: a probability lies between 0 and 1."),
        },
        rtol=0,
        atol=0.0051,  # two decimals are enough
        what="The probability",
    )
