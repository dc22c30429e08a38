"""Figures of masks, and of what they are applied to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from torch import Tensor

from dropout_lessons.figures.marks import set_ticks, write_beside
from dropout_lessons.figures.palette import COLORS, NEUTRALS
from dropout_lessons.figures.style import styled, subplots

# What a unit looks like, by whether it is kept.
_LOOK: dict[bool, dict[str, Any]] = {
    True: {"facecolor": COLORS["kept"], "edgecolor": "none"},
    False: {"facecolor": "none", "edgecolor": COLORS["dropout"], "linestyle": (0, (2.2, 1.6)), "linewidth": 1.2},
}


@styled
def mask_grid(mask: Bool[Tensor, "examples units"]) -> Figure:
    """Draw the masks of a batch: a row for each example, a column for each unit, filled where the unit is kept.

    Below each unit stands the number of examples that train it in this step.

    Example:
        >>> import torch
        >>> figure = mask_grid(torch.rand(8, 20) < 0.5)
    """
    examples, units = mask.shape
    figure, (top, bottom) = subplots(2, 1, sharex=True, figsize=(5.6, 3.6), height_ratios=[max(examples / 8, 1), 0.55])
    kept = mask.cpu().numpy()
    for row, column in np.ndindex(kept.shape):
        top.add_patch(Rectangle((column + 0.12, row + 0.12), 0.76, 0.76, **_LOOK[bool(kept[row, column])]))
    top.set_xlim(0, units)
    top.set_ylim(0, examples)
    top.invert_yaxis()
    top.set_yticks(np.arange(examples) + 0.5, [str(i + 1) for i in range(examples)])
    top.set_ylabel("example")
    top.tick_params(length=0, labelbottom=False)
    top.set_title(f"kept units, {kept.mean():.0%} of all", color=COLORS["kept"])
    bottom.bar(np.arange(units) + 0.5, kept.sum(0), color=COLORS["reference"], width=0.7)
    bottom.set_ylabel("examples")
    bottom.set_yticks([0, examples // 2, examples])
    bottom.set_xticks(np.arange(0, units, 4) + 0.5, [str(i + 1) for i in range(0, units, 4)])
    bottom.set_xlabel("unit")
    for axis in (top, bottom):
        axis.spines[:].set_visible(False)
    return figure


@styled
def kept_counts(counts: Mapping[str, Float[Tensor, " rows"]], n_units: int, keep_prob: float) -> Figure:
    """Draw how many of ``n_units`` units each implementation kept, beside the binomial distribution.

    Args:
        counts: For each implementation its name and the number of kept units in each row.
        n_units: Number of units in a row.
        keep_prob: Probability of keeping a unit.

    Example:
        >>> import torch
        >>> figure = kept_counts({"ours": (torch.rand(100, 50) < 0.8).sum(1).float()}, 50, 0.8)
    """
    from scipy.stats import binom  # a quarter of a second, which no other figure needs

    figure, axis = subplots(figsize=(5.6, 3.3))
    spread = 4.5 * math.sqrt(n_units * keep_prob * (1 - keep_prob))
    low, high = max(0, math.floor(n_units * keep_prob - spread)), min(n_units, math.ceil(n_units * keep_prob + spread))
    values = np.arange(low, high + 1)
    axis.bar(values, binom.pmf(values, n_units, keep_prob), color=NEUTRALS["ground"], width=0.9, label="Binomial(n, p)")
    looks = [(COLORS["kept"], "o"), (NEUTRALS["text"], "x"), (COLORS["reference"], "D"), (COLORS["kept"], "+")]
    beside = 0.3 * (np.arange(len(counts)) - (len(counts) - 1) / 2)  # so that equal shares do not hide each other
    for (name, observed), (color, marker), shift in zip(counts.items(), looks, beside, strict=False):
        share = np.bincount(observed.long().cpu().numpy(), minlength=n_units + 1)[low : high + 1] / len(observed)
        hollow = {"fillstyle": "none"} if marker == "D" else {}
        axis.plot(values + shift, share, marker, color=color, label=name, markersize=5, markeredgewidth=1.4, **hollow)
    axis.set_xlabel(f"kept units of {n_units}")
    axis.set_ylabel("share of rows")
    axis.legend(fontsize=10, handlelength=1.2, loc="upper left", borderpad=0)
    return figure


@styled
def thinned_networks(masks: Sequence[Sequence[Bool[Tensor, " ..."]]], n_outputs: int) -> Figure:
    """Draw a whole network and, beside it, what is left of it under each draw of masks.

    Args:
        masks: For each thinned network its masks, the input's first, then one for each hidden layer.
        n_outputs: Number of outputs, which are never dropped.

    Example:
        >>> import torch
        >>> draw = [torch.tensor([True, True, False]), torch.tensor([True, False])]
        >>> figure = thinned_networks([draw, draw, draw], n_outputs=2)
    """
    whole = [np.ones(len(mask), dtype=bool) for mask in masks[0]]
    networks = [whole, *([mask.cpu().numpy() for mask in draw] for draw in masks)]
    rows = math.ceil(len(networks) / 2)
    figure, axes = subplots(rows, 2, stack=False, squeeze=False, figsize=(5.8, 2.5 * rows))
    for axis, layers in zip(axes.flat, networks, strict=False):
        _draw_network(axis, [*layers, np.ones(n_outputs, dtype=bool)])
        kept, units = sum(int(layer.sum()) for layer in layers), sum(len(layer) for layer in layers)
        axis.set_title("whole network" if layers is whole else f"{kept} of {units} units kept")
    for axis in axes.flat:
        axis.axis("off")
    return figure


def _draw_network(axis: Axes, layers: Sequence[NDArray[np.bool_]]) -> None:
    """Draw layers from left to right; what is dropped is a dashed ring without lines."""
    places = [
        np.column_stack([np.full(len(kept), float(layer)), np.arange(len(kept)) - (len(kept) - 1) / 2])
        for layer, kept in enumerate(layers)
    ]
    for layer, (left, right) in enumerate(pairwise(places)):
        lines = [(a, b) for a in left[layers[layer]] for b in right[layers[layer + 1]]]
        axis.add_collection(LineCollection(lines, colors=COLORS["reference"], linewidths=0.7, alpha=0.6, zorder=1))
    for place, kept in zip(places, layers, strict=True):
        for is_kept in (True, False):
            x, y = place[kept == is_kept].T
            axis.scatter(x, y, s=75, zorder=2, **_LOOK[is_kept])
    axis.margins(0.12)


@styled
def distinct_masks(draws: Sequence[int], seen: Mapping[str, Sequence[float]], whole: Mapping[str, float]) -> Figure:
    """Draw how many different subnetworks a number of draws has shown, for several layers.

    Args:
        draws: Numbers of draws.
        seen: For each layer its name and the number of different masks among that many draws.
        whole: For each layer the number of all its masks.

    Example:
        >>> figure = distinct_masks([1, 10, 100], {"4 units": [1, 8, 16]}, {"4 units": 16})
    """
    figure, axis = subplots(figsize=(5.6, 3.6))
    axis.plot(draws, draws, color=NEUTRALS["ground"], linewidth=6, solid_capstyle="butt", zorder=0)
    early = draws[len(draws) // 4]
    look = {"va": "top", "fontweight": "normal"}
    write_beside(axis, (early, early), "every draw is new", (9, 2), COLORS["reference"], **look)
    for name, values in seen.items():
        axis.plot(draws, values, color=COLORS["dropout"])
        if whole[name] < draws[-1]:
            axis.plot(draws, np.full(len(draws), whole[name]), color=COLORS["reference"], linewidth=1, linestyle=":")
        end = draws[-1], values[-1]
        write_beside(axis, end, name, (4, 0), COLORS["dropout"], va="center", annotation_clip=False)
    axis.set_xscale("log")
    axis.set_yscale("log")
    first, last = math.ceil(math.log10(draws[0])), math.floor(math.log10(draws[-1]))
    step = max(1, math.ceil((last - first) / 3))  # a million takes the room of two or three decades on a phone
    set_ticks(axis.xaxis, [10**power for power in range(first, last + 1, step)], "{:,}")
    axis.set_xlabel("masks drawn")
    axis.set_ylabel("different masks among them")
    return figure
