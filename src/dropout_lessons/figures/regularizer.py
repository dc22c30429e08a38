"""Figures of dropout as a penalty: coefficients, approximations, learned features, activations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from dropout_lessons.figures.marks import draw_rows, set_ticks
from dropout_lessons.figures.palette import COLORS, NEUTRALS
from dropout_lessons.figures.style import NARROW, styled, subplots

_MARKERS = {"plain": "o", "L2": "D", "dropout": "o"}


@styled
def coefficients(
    weights: Mapping[str, ArrayLike], features: Sequence[str], *, named: Mapping[str, str] | None = None
) -> Figure:
    """Draw the weight that each method gives each feature: a line for each feature, a marker for each value.

    Args:
        weights: For each arm, a key of ``COLORS``, weights of shape (features,) or (features, seeds).
        features: Names of the features.
        named: What the legend calls an arm, where not by its name.

    Raises:
        ValueError: If an arm does not have a weight for each feature.

    Example:
        >>> figure = coefficients({"plain": [0.5, -0.2], "L2": [0.3, -0.1]}, ["age", "bmi"])
    """
    figure, axis = subplots(figsize=(5.6, 0.36 * len(features) + 1.2))
    axis.axvline(0, color=COLORS["reference"], linewidth=1)
    for i, (arm, values) in enumerate(weights.items()):
        table = _by_seeds(f"weights[{arm!r}]", values, len(features), "feature")
        # Below each other, so that equal weights do not hide each other.
        rows = np.arange(len(features)) + 0.24 * (i - (len(weights) - 1) / 2)
        axis.plot(
            table.ravel(),
            rows.repeat(table.shape[1]),
            _MARKERS.get(arm, "s"),
            color=COLORS[arm],
            markersize=5 if table.shape[1] == 1 else 4,
            alpha=1 if table.shape[1] == 1 else 0.6,
            label=(named or {}).get(arm, arm),
        )
    draw_rows(axis, features)
    axis.grid(axis="y", color=NEUTRALS["ground"], linewidth=1)
    axis.set_axisbelow(True)
    axis.set_xlabel("weight of the standardized feature")
    columns = min(len(weights), 2) if figure.get_figwidth() <= NARROW else len(weights)
    figure.legend(loc="outside upper left", ncols=columns, fontsize=10, handlelength=1.0, columnspacing=1.2)
    return figure


@styled
def approximation_ratios(
    sizes: Sequence[float], ratios: Mapping[float, ArrayLike], *, x_label: str = "size of the weights"
) -> Figure:
    """Draw the ratio of an approximate to an exact penalty against the size of the weights, both axes logarithmic.

    Args:
        sizes: Factors by which the weights were multiplied.
        ratios: For each keep_prob, ratios of shape (sizes,) or (sizes, seeds): the mean is a line, each seed a thin one.
        x_label: The horizontal axis.

    Raises:
        ValueError: If a curve does not have a row for each size.

    Example:
        >>> figure = approximation_ratios([0.1, 1.0, 10.0], {0.5: [1.0, 0.9, 0.3]})
    """
    figure, axis = subplots(figsize=(5.6, 3.5))
    axis.axhline(1, color=COLORS["reference"], linewidth=1)
    lines = ["-", "--", ":", "-."]
    for (keep_prob, values), line in zip(ratios.items(), lines, strict=False):
        table = _by_seeds(f"ratios[{keep_prob}]", values, len(sizes), "size")
        axis.plot(sizes, table, color=COLORS["dropout"], alpha=0.25, linewidth=0.8)
        mean = np.exp(np.log(table).mean(1))
        axis.plot(sizes, mean, line, color=COLORS["dropout"], label=f"keep_prob {keep_prob:g}")
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    set_ticks(axis.xaxis, sizes, [str(Fraction(size).limit_denominator(1000)) for size in sizes])
    low, high = axis.get_ylim()
    ticks = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.7, 1.0, 1.4, 2.0, 5.0, 10.0)
    set_ticks(axis.yaxis, [tick for tick in ticks if low <= tick <= high])
    axis.set_xlabel(x_label)
    axis.set_ylabel("approximate penalty / exact")
    axis.legend(fontsize=10)
    return figure


def _by_seeds(name: str, values: ArrayLike, rows: int, what: str) -> NDArray[np.float64]:
    """Values of one seed or of several, a column each."""
    table = np.asarray(values, dtype=np.float64)
    if len(table) != rows:
        raise ValueError(f"{name} must have {rows} rows, one for each {what}, got {len(table)}")
    return table.reshape(rows, -1)


@styled
def logistic_penalty(
    probs: Float[Tensor, " examples"],
    penalties: Float[Tensor, " examples"],
    weights: Float[Tensor, " weights"],
    by_weight: Mapping[str, Float[Tensor, " weights"]],
    *,
    label: str,
) -> Figure:
    """Draw what dropout charges in logistic regression: each example by how sure it is, and one weight by its size.

    On the left in units of the variance of the logit, with the quadratic approximation, half of :math:`q (1 - q)`, that depends
    on the predicted probability :math:`q` alone.

    Args:
        probs: Predicted probability of class 1 for each example, with nothing dropped.
        penalties: What dropout adds to the expected loss of each example, divided by the variance of its logit.
        weights: Sizes of a weight on an input of 1.
        by_weight: For each penalty, a key of ``COLORS``, what each costs (nats); ``"reference"`` is the approximation.
        label: The horizontal axis of the left panel: probability of what.

    Example:
        >>> import torch
        >>> q, w = torch.tensor([0.1, 0.5]), torch.linspace(0, 4, 9)
        >>> figure = logistic_penalty(q, q * (1 - q) / 2, w, {"L2": w.square() / 8}, label="probability")
    """
    q = np.linspace(0, 1, 201)
    figure, (left, right) = subplots(1, 2, figsize=(5.8, 3.1))
    left.plot(q, q * (1 - q) / 2, color=COLORS["reference"])
    left.plot(probs.cpu().numpy(), penalties.cpu().numpy(), "o", color=COLORS["dropout"], markersize=4, alpha=0.6)
    left.set_ylim(0, None)
    left.set_title("by prediction")
    left.set_xlabel(label)
    left.set_ylabel("penalty / variance of the logit")
    for name, charged in by_weight.items():
        right.plot(weights.cpu().numpy(), charged.cpu().numpy(), color=COLORS[name])
        named = "approximation" if name == "reference" else name
        right.plot([], [], " ", color=COLORS[name], label=named)
    right.set_ylim(0, 0.65)
    right.set_title("by weight")
    right.set_xlabel("weight of an input of 1")
    right.set_ylabel("penalty (nats)")
    right.legend(labelcolor="linecolor", handlelength=0, loc="upper right", prop={"weight": "bold", "size": 10})
    return figure


@styled
def activation_histograms(counts: Mapping[str, ArrayLike], edges: ArrayLike, means: Mapping[str, float]) -> Figure:
    """Draw how often hidden units take which activation, for each arm, with the mean activation as a line.

    Args:
        counts: For each arm, a key of ``COLORS``, counts of shape (bins,); drawn as shares.
        edges: Edges of the bins, shape (bins + 1,).
        means: For each arm its mean activation.

    Raises:
        ValueError: If counts and edges do not fit each other.

    Example:
        >>> figure = activation_histograms({"plain": [5, 3, 1]}, [0.0, 1.0, 2.0, 3.0], {"plain": 0.9})
    """
    borders: NDArray[np.float64] = np.asarray(edges, dtype=float)
    figure, axes = subplots(1, len(counts), squeeze=False, sharey=True, sharex=True, figsize=(5.8, 2.9))
    for axis, (arm, values) in zip(axes[0], counts.items(), strict=True):
        table = np.asarray(values, dtype=float)
        if table.shape != (len(borders) - 1,):
            raise ValueError(f"counts[{arm!r}] must have shape ({len(borders) - 1},), got {table.shape}")
        axis.stairs(100 * table / table.sum(), borders, fill=True, color=COLORS[arm], alpha=0.5)
        axis.axvline(means[arm], color=COLORS[arm], linestyle="--")
        axis.set_title(f"{arm}, mean {means[arm]:.2f}", color=COLORS[arm])
        axis.set_xlabel("activation")
    used = np.flatnonzero(sum(np.asarray(values, dtype=float) > 0 for values in counts.values()))
    axes[0, 0].set_xlim(borders[0], borders[used[-1] + 1])
    axes[0, 0].set_ylabel("share of activations (%)")
    return figure
