"""The book's one style: a color for each idea, an opaque light ground, a figure that a notebook shows once."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from dropout_lessons.figures.palette import COLORS, NEUTRALS

STYLE: dict[str, Any] = {
    "figure.dpi": 160,
    "figure.facecolor": NEUTRALS["paper"],
    "axes.facecolor": NEUTRALS["paper"],
    "savefig.facecolor": NEUTRALS["paper"],
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": COLORS["reference"],
    "axes.labelcolor": NEUTRALS["text"],
    "text.color": NEUTRALS["text"],
    "xtick.color": COLORS["reference"],
    "ytick.color": COLORS["reference"],
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
