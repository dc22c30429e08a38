"""Judges of whatever draws masks: one place for all that may be wrong with coins, factors and gradients.

Structure is looked at before rates: coins that are shared inflate the variance of every count. Each test rejects a right
answer with a probability of at most ``comparing.FALSE_ALARM``, or of the normal tail beyond 9 standard deviations.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.special import chdtr, chdtrc

from dropout_lessons.exercises.exercise import Inputs, Outputs, Problem
from dropout_lessons.exercises.judges.comparing import mistaken, plausible, shape

_SURPRISING = 9.0  # standard deviations of a sum over all coins
_RARE = 1e-12  # of a chi-square statistic, which counts follow closely but not exactly
_RATES_VARY = Problem("rates-vary", "Some masks keep far more units than others, as if their probabilities differed.")
Bools = NDArray[np.bool_]
Floats = NDArray[Any]


def masks(kept: Bools, keep_prob: float, *, rows_share: bool = False) -> Iterator[Problem]:
    """The first problem of masks that should be drawn with one probability, independently for every entry.

    Args:
        kept: Masks of several calls, of shape (calls, rows, units); True = kept. At least 200 rows in all, or calls
            where the rows share, and 100 units: fewer may agree by chance.
        keep_prob: Probability with which an entry should be kept.
        rows_share: Whether the rows of a call should share one mask.
    """
    for problem in _of_one_piece(kept, rows_share):
        yield problem
        return
    drawn = kept[:, :1] if rows_share else kept
    for problem in (*_shared(drawn), *_uneven(drawn), *_wrong_rate(drawn, keep_prob)):
        yield problem
        return


def _of_one_piece(kept: Bools, rows_share: bool) -> Iterator[Problem]:
    """Masks that are the same along a whole axis."""
    if kept.all():
        yield Problem("nothing-dropped", "Every unit is kept, whatever keep_prob is.")
    if not kept.any():
        yield Problem("nothing-kept", "Every unit is dropped, whatever keep_prob is.")
    if (kept == kept[:1]).all():
        message = "Every call draws the same mask: is the generator seeded, or the mask stored, inside?"
        yield Problem("same-mask-again", message)
    if (kept == kept[:, :, :1]).all():
        yield Problem("mask-per-row", "All units of an example share one coin: a row is kept or dropped as a whole.")
    shared = bool((kept == kept[:, :1]).all())
    if shared and not rows_share:
        yield Problem("mask-per-batch", "All rows of a batch share one mask: each example needs its own.")
    if rows_share and not shared:
        yield Problem("rows-differ", "The rows of a batch have different masks: they should share one.")
    if kept.all((0, 2)).any() or not kept.any((0, 2)).all():
        yield Problem(
            "unequal-rates", "Some rows are always kept, or dropped, as a whole: each unit should have a coin."
        )
    always = kept.all((0, 1))
    if always.any() and not kept.any((0, 1)).all():
        yield Problem("unequal-rates", "Some units are always kept and others never: each should have the same chance.")
    counts = kept.sum(2)
    if len(np.unique(counts)) == 1 or len(np.unique(counts.sum(1))) == 1:
        message = "The number of kept units is always the same: each unit should have a coin of its own."
        yield Problem("exact-count", message)


def _shared(kept: Bools) -> Iterator[Problem]:
    """Coins that are thrown once and used twice."""
    calls, rows, units = kept.shape
    if _repeated(kept.reshape(calls, -1)):
        yield Problem("mask-reused", "A call uses the mask of another call again: every call needs a new one.")
    if _repeated(kept.reshape(-1, units)):
        yield Problem("rows-share-coins", "Some examples have the same mask: each needs coins of its own.")
    counts, coins = kept.sum((0, 1)), calls * rows
    rates = counts / coins
    if not all(plausible(int(count), coins, rates.mean(), tests=units) for count in (counts.min(), counts.max())):
        message = "Some units are kept far more often than others: all of them should have the same probability."
        yield Problem("unequal-rates", message)
    # Means are taken out along each axis, so that a sum of products sees nothing but dependence.
    left = kept.astype(np.float32) - rates.astype(np.float32)
    if rows > 1:
        left -= left.mean((0, 2), keepdims=True)
    units_share = "Units share coins: what happens to one says something of another. Each needs a coin of its own."
    if _repeated(np.moveaxis(kept, 2, 0).reshape(units, -1)):
        yield Problem("units-share-coins", units_share)
    if _related(left, 2):
        if not _related(left - left.mean(2, keepdims=True), 2):  # no unit says more of one than of all the others
            yield _RATES_VARY
        yield Problem("units-share-coins", units_share)
    if rows > 2 and _related(left, 1):
        yield Problem("rows-share-coins", "The masks of different examples depend on each other.")
    if _related(left, 0):
        yield Problem("mask-reused", "The masks of different calls depend on each other.")


def _repeated(slices: Bools) -> bool:
    packed = np.packbits(slices, axis=1)
    return len({each.tobytes() for each in packed}) < len(packed)


def _related(left: Floats, axis: int) -> bool:
    """Whether entries at some distance along an axis, or mirrored about some place, are correlated."""
    n = left.shape[axis]
    others = tuple(other for other in range(left.ndim) if other != axis)
    spectrum = fft.rfft(left, axis=axis)
    energy = np.square(left).sum(others, dtype=np.float64)
    deviation = energy.sum() / np.sqrt(left.size)  # of a sum of products of independent entries
    shifted = fft.irfft((np.abs(spectrum) ** 2).sum(others), n)[1:]
    mirrored = fft.irfft((spectrum**2).sum(others), n)  # counts each pair twice, and each entry with itself
    np.subtract.at(mirrored, 2 * np.arange(n) % n, energy)
    return bool(max(np.abs(shifted).max(), np.abs(mirrored).max() / np.sqrt(2)) > _SURPRISING * deviation)


def _uneven(kept: Bools) -> Iterator[Problem]:
    """Rates that differ, and totals that vary more or less than those of independent coins."""
    calls, rows, _ = kept.shape
    rate = kept.mean()

    def surprise(totals: Any, coins: int) -> tuple[float, float]:
        statistic = (np.square(totals - coins * rate) / (coins * rate * (1 - rate))).sum()
        return float(chdtr(totals.size, statistic)), float(chdtrc(totals.size, statistic))

    uneven = "Some units or rows are kept more often than others: all of them should have the same probability."
    if surprise(kept.sum((0, 1)), calls * rows)[1] < _RARE:
        yield Problem("unequal-rates", uneven)
    if rows > 1 and surprise(kept.sum((0, 2)), calls * kept.shape[2])[1] < _RARE:
        yield Problem("unequal-rates", uneven)
    less, more = surprise(kept.sum(2), kept.shape[2])
    if less < _RARE:
        yield Problem("exact-count", "The number of kept units varies too little for independent coins.")
    if more < _RARE:
        yield _RATES_VARY


def _wrong_rate(kept: Bools, keep_prob: float) -> Iterator[Problem]:
    total = int(kept.sum())
    if plausible(total, kept.size, keep_prob):
        return
    seen = f"{total / kept.size:.1%} of the units are kept with keep_prob = {keep_prob}"
    if plausible(total, kept.size, 1 - keep_prob):
        yield Problem("keep-and-drop-swapped", f"{seen}: keeping and dropping are swapped.")
    elif plausible(total, kept.size, 0.5):
        yield Problem("hard-coded-half", f"{seen}: is 0.5 written into the code?")
    else:
        yield Problem("wrong-rate", f"{seen}.")


def floating(value: NDArray[Any]) -> Iterator[Problem]:
    """A problem if a result holds no real numbers, or rounds them to half precision."""
    if value.dtype.kind != "f" or value.dtype.itemsize < 4:
        yield Problem(
            "wrong-dtype", f"The result is of type {value.dtype}: real numbers of 32 or 64 bits are expected."
        )


def scaled(factors: Floats, keep_prob: float) -> Iterator[Problem]:
    """The first problem of the factors that kept values are multiplied by, which should all be 1 / keep_prob."""

    def all_are(factor: float) -> bool:
        return bool(np.allclose(factors, factor, rtol=1e-4, atol=0))

    if all_are(1 / keep_prob):
        return
    known = {
        "unscaled": (1.0, "Kept values are passed on as they are: on average too little arrives at the next layer."),
        "scaled-by-keep-prob": (keep_prob, "Kept values are multiplied by keep_prob: they become smaller, not larger."),
        "scaled-by-drop-prob": (
            1 / (1 - keep_prob),
            "Kept values are divided by 1 - keep_prob, the probability of dropping.",
        ),
        "scaled-twice": (keep_prob**-2, "Kept values are divided by keep_prob twice."),
        "scaled-for-half": (2.0, "Kept values are doubled: is 0.5 written into the code?"),
    }
    yield from mistaken(all_are, known, Problem("wrong-scale", "What is kept is not x times one right factor."))


def forward(inputs: Inputs, outputs: Outputs, *, rows_share: bool = False) -> Iterator[Problem]:
    """Problems of the shapes, types and masks of what ``trials.try_layer`` brought back."""
    yield from shape("the result", outputs["y"], (inputs["calls"], *inputs["x"].shape))
    yield from floating(outputs["y"])
    yield from masks(outputs["y"] != 0, inputs["keep_prob"], rows_share=rows_share)


def backward(
    inputs: Inputs, outputs: Outputs, factor: float, other_factor: float, *, rows_share: bool = False
) -> Iterator[Problem]:
    """Problems of gradients, generators and other sizes of what ``trials.try_layer`` brought back.

    Args:
        inputs: The check's inputs.
        outputs: What came back, with masks and factors that are right.
        factor: By which kept values are multiplied.
        other_factor: The same for the other keep probability.
        rows_share: Whether the rows of a call share one mask.
    """
    if not outputs["in_numpy"]:
        yield from untrainable(outputs)
        if outputs["trainable"]:
            gradient = outputs["gradient"]
            yield from _gradients(outputs["y"][-len(gradient) :], gradient, inputs["upstream"], factor)
    yield from reseeding(outputs)
    if outputs["rewinds"]:
        yield Problem("reseeds", "The backward pass turns the generator back: what is drawn after it repeats itself.")
    yield from _elsewhere(inputs, outputs, other_factor, rows_share)


def untrainable(outputs: Outputs) -> Iterator[Problem]:
    """A problem if no gradient came back through an answer, with what it raised if it did."""
    if not outputs["trainable"]:
        raised = f" It raises {outputs['trouble']}" if outputs["trouble"] else ""
        message = "No gradient comes back through it: is something detached, under no_grad, or turned into numpy?"
        yield Problem("no-gradient", message + raised)


def reseeding(outputs: Outputs) -> Iterator[Problem]:
    """A problem if an answer seeds the global generator."""
    if outputs["reseeds"]:
        message = "It seeds the global generator: whatever is drawn after it, elsewhere, repeats itself."
        yield Problem("reseeds", message)


def _gradients(y: Floats, gradient: Floats, upstream: Floats, factor: float) -> Iterator[Problem]:
    yield from shape("the gradient", gradient, y.shape)
    kept = y != 0
    if (gradient != 0).all():
        yield Problem("gradient-everywhere", "A gradient reaches dropped units too, though nothing they send is used.")
    if ((gradient != 0) != kept).any():
        message = (
            "The gradient passes through other units than the forward pass did: the mask is drawn a second time, or "
            "taken from another call."
        )
        yield Problem("mask-resampled", message)
    factors = (gradient / upstream)[kept]
    if np.allclose(factors, factor, rtol=1e-4, atol=0):
        return
    if np.allclose(factors, 1, rtol=1e-4, atol=0):
        yield Problem("gradient-unscaled", "The gradient of kept units lacks a factor: differentiate what comes out.")
    if np.allclose(factors, factor**2, rtol=1e-4, atol=0):
        yield Problem("gradient-scaled-twice", "The gradient of kept units is scaled twice.")
    yield Problem("wrong-gradient", "The gradient of kept units is not that of what comes out.")


def _elsewhere(inputs: Inputs, outputs: Outputs, factor: float, rows_share: bool) -> Iterator[Problem]:
    """Problems with another size, another keep probability, and zeros among the inputs."""
    sparse, keep_prob = inputs["sparse"], inputs["other_keep_prob"]
    if not outputs["resizable"]:
        yield Problem("fixed-size", "It works for one size of x alone: take the size from x.")
    yield from shape("the result for another x", outputs["sparse"], sparse.shape)
    yield from shape("the result for two units", outputs["narrow"], inputs["narrow"].shape)
    full = sparse != 0
    factors = (outputs["sparse"][full] / sparse[full])[outputs["sparse"][full] != 0]
    if outputs["sparse"][~full].any() or not np.allclose(factors, factor, rtol=1e-4, atol=0):
        yield Problem("stale-keep-prob", "Used with two keep probabilities at once, it mixes them up.")
    if "sparse_gradient" in outputs:
        passed = outputs["sparse_gradient"] / inputs["sparse_upstream"]
        through = passed != 0
        if rows_share:
            is_right = bool((through == through[:1]).all())
        else:
            is_right = plausible(int(through[~full].sum()), int((~full).sum()), keep_prob)
        if not is_right or not np.allclose(passed[through], factor, rtol=1e-4, atol=0):
            message = "Where an input is zero the gradient is wrong: a value can be zero without being dropped."
            yield Problem("zero-taken-for-dropped", message)
    if not rows_share:
        yield from _narrow_rows(inputs, outputs)


def _narrow_rows(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    """A problem if rows of two units are never dropped, or kept, as a whole: their coins depend on each other."""
    kept = outputs["narrow"] != 0
    q = 1 - inputs["keep_prob"]
    if not plausible(int((~kept).all(1).sum()), len(kept), q**2) or not plausible(
        int(kept.all(1).sum()), len(kept), (1 - q) ** 2
    ):
        message = "In rows of two units the coins depend on each other: a row may also lose all of its units."
        yield Problem("units-share-coins", message)
