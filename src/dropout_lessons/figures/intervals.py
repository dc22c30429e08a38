"""Figures of effects: each with its 95% interval, one under the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dropout_lessons.claims import Evidence
from dropout_lessons.figures.marks import draw_rows
from dropout_lessons.figures.palette import COLORS
from dropout_lessons.figures.style import styled, subplots


@styled
def interval_chart(
    effects: Mapping[str, Evidence], *, label: str, colors: Mapping[str, str] | None = None, scale: float = 1.0
) -> Figure:
    """Draw effects with their 95% intervals, one under the other, and a line at zero.

    Args:
        effects: What is compared, and its evidence.
        label: What the effect is, with its unit.
        colors: For a row, the key of ``COLORS`` it is drawn in; ``"dropout"`` where none is given.
        scale: Factor from the values to the label's unit; 100 for fractions shown in percentage points.

    Raises:
        ValueError: If there is nothing to draw.

    Example:
        >>> from dropout_lessons.claims import paired
        >>> effect = paired([0.08, 0.07, 0.09, 0.08, 0.08], [0.1] * 5, unit="percentage points")
        >>> figure = interval_chart({"dropout": effect}, label="test error, minus plain (points)", scale=100)
    """
    if not effects:
        raise ValueError("effects must have at least one row, got none")
    figure, axis = subplots(figsize=(5.6, 0.36 * len(effects) + 0.9))
    _draw_effects(axis, effects, label=label, colors=colors or {}, scale=scale)
    return figure


@styled
def interval_panels(
    panels: Mapping[str, Mapping[str, Evidence]],
    *,
    labels: Mapping[str, str],
    scales: Mapping[str, float] | None = None,
    colors: Mapping[str, str] | None = None,
) -> Figure:
    """Draw effects with their 95% intervals in panels side by side, the same rows in each.

    Panels that have no row in common stand below each other, each with its own rows, as all do on a phone.

    Args:
        panels: For each panel, by its title, what is compared and its evidence. Beside a panel that has it, a row that a panel
            lacks stays empty.
        labels: For each panel, what the effect is, with its unit.
        scales: For a panel, the factor from the values to the label's unit; 1 where none is given.
        colors: For a row, the key of ``COLORS`` it is drawn in; ``"dropout"`` where none is given.

    Raises:
        ValueError: If there is nothing to draw.

    Example:
        >>> from dropout_lessons.claims import sampled
        >>> effects = {"dropout": sampled([0.1, 0.2, 0.1, 0.3, 0.2])}
        >>> figure = interval_panels({"loss": effects}, labels={"loss": "loss, minus plain (nats)"})
    """
    if not any(panels.values()):
        raise ValueError("panels must have at least one effect, got none")
    rows = list(dict.fromkeys(name for effects in panels.values() for name in effects))
    apart = len(panels) > 1 and len(rows) == sum(len(effects) for effects in panels.values())
    shape = (len(panels), 1) if apart else (1, len(panels))
    figure, axes = subplots(*shape, squeeze=False, figsize=(5.8, 0.36 * len(rows) + 1.2))
    below = apart or bool(figure.stack)
    if below:
        heights = [0.36 * len(effects) + 1.0 for effects in panels.values()]  # inches, with title, numbers and label
        figure.set_figheight(sum(heights))
        axes.flat[0].get_subplotspec().get_gridspec().set_height_ratios([height - 0.9 for height in heights])
    for axis, (title, effects) in zip(axes.flat, panels.items(), strict=True):
        own = (below and list(effects)) or rows
        _draw_effects(
            axis, effects, rows=own, label=labels[title], colors=colors or {}, scale=(scales or {}).get(title, 1.0)
        )
        axis.set_title(title)
        axis.locator_params(axis="x", nbins=5 if apart and not figure.stack else 3)
        if not axis.get_subplotspec().is_first_col():
            axis.set_yticklabels([])
    return figure


def _draw_effects(
    axis: Axes,
    effects: Mapping[str, Evidence],
    *,
    label: str,
    colors: Mapping[str, str],
    scale: float,
    rows: Sequence[str] | None = None,
) -> None:
    rows = list(effects) if rows is None else rows
    axis.axvline(0, color=COLORS["reference"], linewidth=1)
    for name, evidence in effects.items():
        color, row = COLORS[colors.get(name, "dropout")], rows.index(name)
        axis.plot([scale * end for end in evidence.interval], [row, row], color=color, solid_capstyle="butt")
        axis.plot([scale * evidence.effect], [row], "o", color=color, markersize=5)
    draw_rows(axis, rows)
    axis.spines["left"].set_visible(False)
    axis.set_xlabel(label)
