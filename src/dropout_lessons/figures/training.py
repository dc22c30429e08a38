"""Figures of fits, and of arms that are compared over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dropout_lessons.claims import paired
from dropout_lessons.figures.marks import write_beside
from dropout_lessons.figures.palette import COLORS, NEUTRALS
from dropout_lessons.figures.style import styled, subplots
from dropout_lessons.training import History


@styled
def learning_curves(histories: Mapping[str, Sequence[History]]) -> Figure:
    """Draw training and validation loss over epochs, the mean over seeds with its range, for each arm.

    Args:
        histories: For each arm, a key of ``COLORS``, the histories of its seeds.

    Example:
        >>> run = History([1, 2], [1.0, 0.5], [0.4, 0.2], [1.1, 0.9], [0.4, 0.3])
        >>> figure = learning_curves({"plain": [run, run]})
    """
    without = [arm for arm, runs in histories.items() if not all(run.validation_loss for run in runs)]
    if without:
        raise ValueError(f"histories must have validation losses, and those of {without} have none; fit a Dataset")
    figure, panels = subplots(1, 2, figsize=(5.8, 3.3), sharex=True)
    for axis, kind in zip(panels, ("train", "validation"), strict=True):
        ends = {}
        for arm, runs in histories.items():
            losses = np.array([getattr(run, f"{kind}_loss") for run in runs])
            epoch = np.array(runs[0].epoch)
            axis.fill_between(epoch, losses.min(0), losses.max(0), color=COLORS[arm], alpha=0.2, linewidth=0)
            axis.plot(epoch, losses.mean(0), color=COLORS[arm])
            ends[arm] = losses.mean(0)[-1]
        # Training loss falls over orders of magnitude; validation loss does not.
        axis.set_yscale("log" if kind == "train" else "linear")
        axis.set_title({"train": "training loss (nats)", "validation": "validation loss (nats)"}[kind])
        axis.set_xlabel("epoch")
        axis.margins(x=0.02, y=0.12)
        _label_ends(axis, ends, float(epoch[-1]))
    return figure


def _label_ends(axis: Axes, ends: Mapping[str, float], x: float) -> None:
    """Write each line's name above or below its end, whichever is away from the other line."""
    center = np.exp(np.mean(np.log(list(ends.values()))))
    for arm, y in ends.items():
        above = y >= center
        offset, va = ((0, 14), "bottom") if above else ((0, -7), "top")
        write_beside(axis, (x, y), arm, offset, COLORS[arm], ha="right", va=va)


@styled
def paired_scores(scores: Mapping[str, Sequence[float]], *, label: str, scale: float = 100.0) -> Figure:
    """Draw one value for each arm and seed, the same seed joined by a line, and each arm's mean.

    Under each arm but the first stands its paired difference from the first with the 95% interval.

    Args:
        scores: For each arm, a key of ``COLORS``, a value for each seed, in the same order.
        label: What is measured, with its unit.
        scale: Factor from the values to that unit; 100 for fractions shown in percent.

    Example:
        >>> figure = paired_scores({"plain": [0.10] * 5, "dropout": [0.08, 0.07, 0.09, 0.08, 0.08]}, label="error (%)")
    """
    arms = list(scores)
    values = scale * np.array([scores[arm] for arm in arms])
    figure, axis = subplots(figsize=(5.6, 3.6))
    axis.plot(range(len(arms)), values, color=NEUTRALS["ground"], linewidth=1, zorder=1)
    ticks = [arms[0]]
    for i, arm in enumerate(arms):
        axis.scatter(np.full(values.shape[1], i), values[i], color=COLORS[arm], s=30, zorder=2)
        axis.plot([i - 0.17, i + 0.17], [values[i].mean()] * 2, color=COLORS[arm], linewidth=3)
        axis.annotate(
            f"{values[i].mean():.2f}",
            (i + 0.2, values[i].mean()),
            va="center",
            color=COLORS[arm],
            fontweight="bold",
            bbox={"facecolor": NEUTRALS["paper"], "edgecolor": "none", "pad": 1.0},
        )
        if i:
            difference = paired(values[i], values[0])
            low, high = difference.interval
            ticks.append(f"{arm}\n{difference.effect:+.2f}\n[{low:+.2f}, {high:+.2f}]")
    axis.set_xticks(range(len(arms)), ticks)
    axis.set_xlim(-0.4, len(arms) - 0.35)
    axis.set_ylabel(label)
    return figure
