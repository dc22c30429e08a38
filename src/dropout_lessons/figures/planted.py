"""A diagram of planted co-adaptation: what two units send, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from dropout_lessons.coadaptation.planted import Planting
from dropout_lessons.figures.palette import COLORS, NEUTRALS
from dropout_lessons.figures.style import styled, subplots


@styled
def plantings(planted: Mapping[str, Planting], *, colors: Mapping[str, str] | None = None) -> Figure:
    """Draw what the two units u and v of each planting send on, and how the layer above reads it.

    Args:
        planted: The plantings by name.
        colors: For some of them, the key of ``COLORS`` of their name; others are ``"plain"``.

    Example:
        >>> from dropout_lessons.coadaptation import PLANTED
        >>> figure = plantings(PLANTED, colors={"XOR": "synergy"})
    """
    rows = -(-len(planted) // 2)
    figure, axes = subplots(rows, 2, stack=False, squeeze=False, figsize=(5.8, 1.2 * rows))
    for axis in axes.flat:
        axis.axis("off")
        axis.set_xlim(0, 4.4)
        axis.set_ylim(0, 1.8)
    for axis, (name, own) in zip(axes.flat, planted.items(), strict=False):
        axis.set_title(name, color=COLORS[(colors or {}).get(name, "plain")], weight="bold")
        _draw(axis, own)
    return figure


def _draw(axis: Axes, own: Planting) -> None:
    *sent, read = own.formulas
    text: dict[str, Any] = {"va": "center", "fontsize": 10}
    for unit, formula, y in zip("uv", sent, (1.35, 0.45), strict=True):
        axis.text(1.62, y, formula, ha="right", **text)
        axis.add_patch(Circle((2.05, y), 0.3, facecolor=COLORS["kept"], edgecolor="none"))
        axis.text(2.05, y, unit, ha="center", color=NEUTRALS["on-kept"], **text)
        axis.plot([2.38, 2.8], [y, 0.9], color=COLORS["reference"], linewidth=1)
    axis.text(2.88, 0.9, read, ha="left", **text)
