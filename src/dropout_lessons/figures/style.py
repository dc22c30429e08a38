"""The book's one style: a color for each idea, an opaque light ground, a figure that a notebook shows once."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

#: The color of each idea, through the whole book.
COLORS = {
    "plain": "#0072B2",
    "L2": "#B07800",
    "L1": "#6B4A2B",
    "max-norm": "#007A5E",
    "dropout": "#D55E00",
    "Gaussian dropout": "#9E2A2B",
    "shuffled labels": "#6F5BC9",
    "ensemble": "#A8588A",
    "stopped early": "#4C7D9E",
    "dropout boosting": "#7A7A00",
    "reference": "#555555",
}

STYLE: dict[str, Any] = {
    "figure.dpi": 160,
    "figure.facecolor": "#fcfcfa",
    "axes.facecolor": "#fcfcfa",
    "savefig.facecolor": "#fcfcfa",
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555555",
    "axes.labelcolor": "#222222",
    "text.color": "#222222",
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "lines.linewidth": 2.0,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}

Parameters = ParamSpec("Parameters")


def styled(draw: Callable[Parameters, Figure]) -> Callable[Parameters, Figure]:
    """Draw in the book's style, and close the figure so that a notebook shows it once: as the cell's value."""

    @wraps(draw)
    def drawn(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Figure:
        with plt.rc_context(STYLE):
            figure = draw(*args, **kwargs)
        plt.close(figure)
        return figure

    return drawn
