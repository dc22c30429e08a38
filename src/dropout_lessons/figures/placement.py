"""Figures of where dropout stands in a network, and of what it is trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from dropout_lessons.figures.marks import draw_band, over_seeds, set_ticks
from dropout_lessons.figures.palette import COLORS
from dropout_lessons.figures.style import styled, subplots

_LINES = ("-", "--", ":")


@styled
def excess_loss_curves(steps: Sequence[int], panels: Mapping[str, Mapping[float, ArrayLike]]) -> Figure:
    """Draw by how much language models' loss is above the least possible one while they train, on a logarithmic scale.

    Lines are means over seeds, with their 95% intervals.

    Args:
        steps: The steps after which the loss was taken.
        panels: For each panel, by name, and each ``keep_prob`` the losses in nats, shape (steps, seeds); at least five
            seeds and at most three keep probabilities below 1.

    Raises:
        ValueError: If losses do not have a row for each step.

    Example:
        >>> import numpy as np
        >>> losses = 0.5 + 0.1 * np.random.default_rng(0).random((3, 5))
        >>> figure = excess_loss_curves([100, 200, 300], {"fresh text": {1.0: losses, 0.9: 2 * losses}})
    """
    figure, axes = subplots(1, len(panels), squeeze=False, sharey=True, figsize=(5.8, 3.7))
    for axis, (title, curves) in zip(axes[0], panels.items(), strict=True):
        lines = iter(_LINES)
        for keep_prob, losses in sorted(curves.items(), reverse=True):
            table = over_seeds(f"losses of {title!r}", losses, len(steps))
            color = COLORS["plain" if keep_prob == 1 else "dropout"]
            line = "-" if keep_prob == 1 else next(lines)
            name = "no dropout" if keep_prob == 1 else f"keep_prob {keep_prob:g}"
            draw_band(axis, steps, table, color, line, label=name)
        axis.set_yscale("log")
        axis.set_xlim(left=0)
        axis.set_title(title)
        axis.set_xlabel("training steps")
    low, high = axes[0, 0].get_ylim()
    ticks = [tick for tick in (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5) if low <= tick <= high]
    set_ticks(axes[0, 0].yaxis, ticks)
    axes[0, 0].set_ylabel("loss above the least possible (nats)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=10)
    return figure
