"""Figures of what penalties on the weights change, and what they leave as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from dropout_lessons.figures.marks import set_ticks, write_beside
from dropout_lessons.figures.palette import COLORS, NEUTRALS
from dropout_lessons.figures.style import styled, subplots

_LINES = {"validation": ("-", "full"), "training": ("--", "none")}


@styled
def penalty_sweep(
    weights: Mapping[str, NDArray[Any]],
    errors: Mapping[str, Mapping[str, NDArray[Any]]],
    *,
    label: str = "sum of squared weights",
) -> Figure:
    """Draw training and validation error against the size of the weights, for penalties of several strengths.

    Each penalty's line starts at the plain network; a marker is the mean over seeds, a pale dot one seed. The axis of the
    weights is logarithmic.

    Args:
        weights: For ``"plain"`` and each penalty, keys of ``COLORS``, the size of the weights: a row for each strength, a
            column for each seed.
        errors: The errors, fractions, in the same form: of ``"validation"`` and of ``"training"`` examples, or of one of them.
        label: What the size of the weights is.

    Raises:
        ValueError: If there is no plain network, or weights and errors differ in their arms or shapes.

    Example:
        >>> weights = {"plain": np.array([[300, 310]]), "L2": np.array([[200, 190], [60, 70]])}
        >>> errors = {"plain": np.array([[0.11, 0.10]]), "L2": np.array([[0.11, 0.11], [0.12, 0.12]])}
        >>> figure = penalty_sweep(weights, {"validation": errors})
    """
    if "plain" not in weights or len(weights) < 2:
        raise ValueError(f"weights must be of 'plain' and of at least one penalty, got {list(weights)}")
    unknown = [kind for kind in errors if kind not in _LINES]
    if unknown or not errors:
        raise ValueError(f"errors must be of {list(_LINES)}, got {list(errors)}")
    for kind, scores in errors.items():
        shapes = {
            arm: (np.shape(sizes), np.shape(scores[arm]) if arm in scores else None) for arm, sizes in weights.items()
        }
        if any(len(size) != 2 or size != score for size, score in shapes.values()):
            raise ValueError(f"weights and {kind} errors must be (strengths, seeds) arrays of one shape, got {shapes}")
    figure, axis = subplots(figsize=(5.6, 3.6))
    for kind, scores in errors.items():
        line, fill = _LINES[kind]
        for arm in weights:
            # A penalty's line starts at the plain network, whose marker is drawn once.
            is_plain = arm == "plain"
            size = np.asarray(weights[arm]) if is_plain else np.vstack([weights["plain"], weights[arm]])
            error = 100 * (np.asarray(scores[arm]) if is_plain else np.vstack([scores["plain"], scores[arm]]))
            x, y = np.exp(np.log(size).mean(1)), error.mean(1)
            axis.plot(
                x,
                y,
                line,
                color=COLORS[arm],
                marker="s" if is_plain else "o",
                markevery=slice(0 if is_plain else 1, None),
                fillstyle=fill,
                zorder=3 if is_plain else 2,
            )
            if kind == "validation":
                axis.scatter(
                    weights[arm], 100 * np.asarray(scores[arm]), color=COLORS[arm], s=8, alpha=0.35, linewidths=0
                )
            if kind == next(iter(errors)):
                ha, va = ("right", "top") if is_plain else ("center", "bottom")
                write_beside(axis, (x[-1], y[-1]), arm, (4, -9) if is_plain else (0, 9), COLORS[arm], ha=ha, va=va)
        plain = np.exp(np.log(weights["plain"]).mean()), 100 * np.mean(scores["plain"])
        look = {"ha": "right", "va": "bottom", "fontweight": "normal"}
        write_beside(axis, plain, f"{kind} error", (4, 11), NEUTRALS["text"], **look)
    axis.set_xscale("log")
    axis.margins(y=0.1)
    axis.set_ylim(bottom=-0.6)
    low, high = axis.get_xlim()
    ticks = [step * 10.0**place for place in range(-6, 10) for step in (1, 2, 5)]
    set_ticks(axis.xaxis, [tick for tick in ticks if low <= tick <= high])
    axis.set_xlabel(f"{label} (logarithmic)")
    axis.set_ylabel("error (%)")
    return figure


@styled
def what_units_add(
    x: ArrayLike,
    units: Mapping[str, ArrayLike],
    points: tuple[ArrayLike, ArrayLike],
    *,
    bias: Mapping[str, float] | None = None,
) -> Figure:
    """Draw what each unit adds to a curve, and below it the curve, whole and without the unit that adds most.

    Args:
        x: Where the curve was taken, shape (points,).
        units: For each arm, a key of ``COLORS``, what each unit adds there, shape (units, points).
        points: The examples, x and y, that the networks learned.
        bias: For each arm what no unit adds; 0 when None.

    Raises:
        ValueError: If what the units of an arm add does not have a column for each point of the curve.

    Example:
        >>> x = np.linspace(-1, 1, 5)
        >>> figure = what_units_add(x, {"plain": [2 * x, -x], "dropout": [x / 2, x / 2]}, ([0.5], [0.4]))
    """
    grid = np.asarray(x)
    figure, axes = subplots(2, len(units), squeeze=False, figsize=(5.8, 4.6), sharex=True, sharey="row", stack=False)
    for column, (arm, added) in zip(axes.T, units.items(), strict=True):
        parts = np.asarray(added)
        if parts.ndim != 2 or parts.shape[1] != len(grid):
            raise ValueError(f"units[{arm!r}] must have shape (units, {len(grid)}), got {parts.shape}")
        whole = parts.sum(0) + (bias or {}).get(arm, 0.0)
        largest = parts[np.abs(parts).mean(1).argmax()]
        column[0].plot(grid, parts.T, color=COLORS[arm], linewidth=0.7, alpha=0.7)
        column[0].set_title(arm, color=COLORS[arm], weight="bold")
        column[1].plot(grid, whole, color=COLORS[arm])
        column[1].plot(grid, whole - largest, "--", color=COLORS["reference"], linewidth=1.2)
        column[1].plot(*points, "o", color=NEUTRALS["text"], markersize=3)
        column[1].set_xlabel("x")
    axes[0, 0].set_ylabel("added by each unit")
    axes[1, 0].set_ylabel("y")
    return figure
