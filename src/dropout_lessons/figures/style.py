"""The book's one style: a color for each idea, an opaque light ground, a figure that a notebook shows once."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

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
    stack: Sequence[Axes] = ()  # the panels that stand below each other on a phone

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        wide, narrow = svg_of(self), svg_of(self.redraw() if self.redraw else self)
        both = f'<div class="dl-wide">{wide}</div>\n<div class="dl-narrow">{narrow}</div>'
        shown = wide if wide == narrow else both
        return {"text/html": f'<div class="{FIGURE_CLASS}"><style>\n{FIGURE_CSS}</style>\n{shown}</div>'}


def subplots(
    rows: int = 1, columns: int = 1, *, figsize: tuple[float, float], stack: bool = True, **options: Any
) -> tuple[BookFigure, Any]:
    """Return a figure and its axes as Matplotlib does; for a phone narrower, with panels below each other."""
    figure = plt.figure(figsize=figsize, FigureClass=BookFigure)
    assert isinstance(figure, BookFigure)
    if not _narrow.get():
        return figure, figure.subplots(rows, columns, **options)
    width, height = figsize
    if not stack:
        figure.set_size_inches(min(width, NARROW), height * NARROW / width)
        return figure, figure.subplots(rows, columns, **options)
    figure.set_size_inches(min(width, NARROW), max(1.6 * rows, 0.92 * height) * columns if columns > 1 else height)
    squeezed = options.pop("squeeze", True) and 1 in (rows, columns)
    panels = figure.subplots(rows * columns, 1, squeeze=False, **options).reshape(rows, columns)
    figure.stack = list(panels.flat)
    for axis in figure.stack:
        axis.tick_params(labelbottom=True, labelleft=True)  # also where all share an axis: the others are out of sight
    return figure, (panels.ravel() if panels.size > 1 else panels.item()) if squeezed else panels


def _fit_labels(figure: BookFigure) -> None:
    """Break long labels on a phone, and give each panel of a stack the labels that stood beside or below all of them."""
    panels = [axis for axis in figure.stack if axis.axison and axis.spines["bottom"].get_visible()]
    below = figure.get_supxlabel() or (panels[-1].get_xlabel() if panels else "")
    for axis in panels:
        if figure.get_figheight() >= 2 * len(panels):  # inches: low panels have room for one name below all
            axis.set_xlabel(axis.get_xlabel() or below)
            figure.supxlabel("")
        axis.set_ylabel(axis.get_ylabel() or panels[0].get_ylabel())
    for axis in figure.axes:
        axis.set_xlabel("\n".join(textwrap.fill(line, 26) for line in axis.get_xlabel().splitlines()))


class _PlainNumbers(LogFormatter):
    """Numbers of a logarithmic axis as one says them, such as 1,000 and 0.001: exponents are too small to read on a phone."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:,.10f}".rstrip("0").rstrip(".") if super().__call__(x, pos) else ""


def _write_plain_numbers(figure: Figure) -> None:
    for axis in (each for axes in figure.axes for each in (axes.xaxis, axes.yaxis)):
        if isinstance(axis.get_major_formatter(), LogFormatter):
            axis.set_major_formatter(_PlainNumbers())
        if isinstance(axis.get_minor_formatter(), LogFormatter):
            axis.set_minor_formatter(_PlainNumbers())


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
            _write_plain_numbers(figure)
            if _narrow.get() and isinstance(figure, BookFigure):
                _fit_labels(figure)
        plt.close(figure)
        if isinstance(figure, BookFigure):
            figure.redraw = again
        return figure

    return drawn
