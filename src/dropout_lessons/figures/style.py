"""The book's one style: a color for each idea, an opaque light ground, a figure that a notebook shows once."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from dropout_lessons.figures.palette import COLORS, NEUTRALS
from dropout_lessons.figures.vector import FIGURE_CLASS, FIGURE_CSS, svg_of

STYLE: dict[str, Any] = {
    "image.interpolation": "none",  # an SVG holds the pixels themselves, not many times as many that are made of them
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

NARROW = 4.3  # inches across for a phone: drawn 350 pixels wide there, letters of 10 points have 11 pixels
_narrow: ContextVar[bool] = ContextVar("narrow", default=False)

Parameters = ParamSpec("Parameters")


class BookFigure(Figure):
    """A figure that a page shows as line art in its own colors and letters, drawn once for wide pages and once for phones."""

    redraw: Callable[[], Figure] | None = None
    stacked = False

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        wide, narrow = svg_of(self), svg_of(self.redraw() if self.redraw else self)
        both = f'<div class="dl-wide">{wide}</div>\n<div class="dl-narrow">{narrow}</div>'
        shown = wide if wide == narrow else both
        return {"text/html": f'<div class="{FIGURE_CLASS}"><style>\n{FIGURE_CSS}</style>\n{shown}</div>'}


def subplots(
    rows: int = 1, columns: int = 1, *, figsize: tuple[float, float], stack: bool = True, **options: Any
) -> tuple[BookFigure, Any]:
    """Return a figure and its axes as Matplotlib does; for a phone narrower, with panels below each other."""
    figure = plt.figure(figsize=figsize, FigureClass=BookFigure, layout=options.pop("layout", None))
    assert isinstance(figure, BookFigure)
    if not _narrow.get():
        return figure, figure.subplots(rows, columns, **options)
    width, height = figsize
    if columns == 1 or not stack:
        figure.set_size_inches(min(width, NARROW), height if stack else height * NARROW / width)
        return figure, figure.subplots(rows, columns, **options)
    figure.set_size_inches(NARROW, max(1.6 * rows, 0.92 * height) * columns)
    figure.stacked = True
    squeezed = options.pop("squeeze", True) and rows == 1
    panels = figure.subplots(rows * columns, 1, squeeze=False, **options).reshape(rows, columns)
    return figure, panels[0] if squeezed else panels


def _fit_labels(figure: BookFigure) -> None:
    """Break long labels on a phone, and give each panel of a stack the label that stood to the left of all of them."""
    for axis in figure.axes:
        axis.set_xlabel("\n".join(textwrap.fill(line, 26) for line in axis.get_xlabel().splitlines()))
        if figure.stacked:
            axis.set_ylabel(axis.get_ylabel() or figure.axes[0].get_ylabel())


def styled(draw: Callable[Parameters, Figure]) -> Callable[Parameters, Figure]:
    """Draw in the book's style, and close the figure so that a notebook shows it once: as the cell's value."""

    @wraps(draw)
    def drawn(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Figure:
        def again() -> Figure:
            token = _narrow.set(True)
            try:
                return drawn(*args, **kwargs)
            finally:
                _narrow.reset(token)

        with plt.rc_context(STYLE):
            figure = draw(*args, **kwargs)
            if _narrow.get() and isinstance(figure, BookFigure):
                _fit_labels(figure)
        plt.close(figure)
        if isinstance(figure, BookFigure):
            figure.redraw = again
        return figure

    return drawn
