"""Figures of sweeps: something measured over seeds, against a number that was varied, or against the epochs of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import ArrayLike

from dropout_lessons.figures.marks import draw_band, over_seeds, set_ticks, write_beside
from dropout_lessons.figures.palette import COLORS, NEUTRALS
from dropout_lessons.figures.style import styled, subplots


@styled
def sweep_panels(
    panels: Mapping[str, Mapping[str, ArrayLike]],
    x: Mapping[str, Sequence[float]],
    *,
    x_label: str,
    y_label: str,
    scale: float = 100.0,
    logarithmic: bool = False,
    dashed: Mapping[str, Mapping[str, ArrayLike]] | None = None,
    dashed_label: str = "training",
    y_max: float | None = None,
) -> Figure:
    """Draw, for each arm, the mean over seeds with its 95% interval against what was varied, in panels beside each other.

    Args:
        panels: For each panel's title and each arm, a key of ``COLORS``, values of shape (points, seeds), NaN where a seed is
            missing; five seeds or more.
        x: For each panel's title the points.
        x_label: What was varied, with its unit.
        y_label: What was measured, with its unit.
        scale: Factor from the values to that unit; 100 for fractions shown in percent.
        logarithmic: Whether the horizontal axes are logarithmic.
        dashed: Further values in the same form, drawn dashed and without intervals, such as training errors.
        dashed_label: What stands beside the dashed lines.
        y_max: Where the vertical axes end, in the label's unit; what is higher leaves the figure.

    Raises:
        ValueError: If a curve does not have a row for each point.

    Example:
        >>> errors = 0.1 + 0.01 * np.random.default_rng(0).random((2, 5))
        >>> panels = {"narrow": {"dropout": errors}, "wide": {"dropout": errors}}
        >>> figure = sweep_panels(panels, dict.fromkeys(panels, [0.2, 0.5]), x_label="keep_prob", y_label="test error (%)")
    """
    figure, axes = subplots(1, len(panels), squeeze=False, figsize=(5.8, 3.6))
    for axis, (title, curves) in zip(axes[0], panels.items(), strict=True):
        for arm, values in (dashed or {}).get(title, {}).items():
            mean = scale * np.nanmean(over_seeds(f"curves[{arm!r}]", values, len(x[title])), axis=1)
            axis.plot(x[title], mean, "--", color=COLORS[arm], linewidth=1.5)
            i = int(np.abs(mean - np.median(mean)).argmin())
            write_beside(axis, (x[title][i], mean[i]), dashed_label, (0, 5), COLORS[arm], fontweight="normal")
        axis.set_title(title, color=COLORS[title] if title in curves else NEUTRALS["text"])
        _draw_sweep(axis, curves, x[title], scale=scale, logarithmic=logarithmic)
        axis.set_ylim(bottom=0, top=y_max)
    if all(len(curves) > 1 for curves in panels.values()):
        axes[0, -1].legend(loc="upper right", frameon=False, labelcolor="linecolor", handlelength=1.2)
    figure.supxlabel(x_label, fontsize=11, color=NEUTRALS["text"])
    axes[0, 0].set_ylabel(y_label)
    return figure


def _draw_sweep(
    axis: Axes, curves: Mapping[str, ArrayLike], x: Sequence[float], *, scale: float, logarithmic: bool
) -> None:
    for arm, values in curves.items():
        table = scale * over_seeds(f"curves[{arm!r}]", values, len(x))
        mean = draw_band(axis, x, table, COLORS[arm], "o-", markersize=4, label=arm)
    if len(curves) == 1 and arm != axis.get_title(loc="left"):
        i = len(x) // 2
        write_beside(axis, (x[i], mean[i]), arm, (0, 7), COLORS[arm], ha="center")
    if logarithmic:
        axis.set_xscale("log")
        set_ticks(axis.xaxis, x, _numbers_with_room(axis, x))


def _numbers_with_room(axis: Axes, x: Sequence[float]) -> list[str]:
    """Write the first and the last number of a logarithmic axis, and of the others those that touch no neighbor."""
    numbers = [f"{value:,g}" for value in x]
    grid = axis.get_subplotspec().get_gridspec()  # type: ignore[union-attr]
    width = axis.figure.bbox.width / axis.figure.dpi  # inches
    inches = 0.8 * width / grid.ncols / np.log(x[-1] / x[0])  # for a factor of e
    middle = inches * np.log(np.asarray(x) / x[0])
    half = np.array([0.05 * len(number) + 0.04 for number in numbers])  # digits of 11 points
    end = len(x) - 1
    shown = [0]
    for i in range(1, end):
        if all(abs(middle[i] - middle[other]) >= half[i] + half[other] for other in (shown[-1], end)):
            shown.append(i)
    return [number if i in (*shown, end) else "" for i, number in enumerate(numbers)]


@styled
def trajectories(
    runs: Mapping[str, Mapping[str, ArrayLike]], epochs: Sequence[float], *, y_label: str, scale: float = 100.0
) -> Figure:
    """Draw how something falls during training: a line for each arm and network, the mean over seeds.

    Args:
        runs: For each arm, a key of ``COLORS``, and each network's name, values of shape (epochs, seeds).
        epochs: Epochs of the rows.
        y_label: What was measured, with its unit.
        scale: As in :func:`sweep_panels`.

    Raises:
        ValueError: If a network does not have a row for each epoch.

    Example:
        >>> errors = np.linspace(0.3, 0.1, 4)[:, None].repeat(5, axis=1)
        >>> figure = trajectories({"plain": {"2 layers": errors}}, [5, 10, 15, 20], y_label="validation error (%)")
    """
    figure, axis = subplots(figsize=(5.6, 3.6))
    ends = {}
    for arm, networks in runs.items():
        means = [
            scale * over_seeds(f"runs[{arm!r}][{name!r}]", values, len(epochs)).mean(1)
            for name, values in networks.items()
        ]
        for mean in means:
            axis.plot(epochs, mean, color=COLORS[arm], linewidth=1.2)
        ends[arm] = float(np.mean([mean[-1] for mean in means]))
    order = sorted(ends, key=lambda arm: ends[arm])
    for arm, end in ends.items():
        apart = 9 * (2 * order.index(arm) - len(order) + 1)  # where lines end together
        write_beside(axis, (epochs[-1], end), arm, (6, apart), COLORS[arm], va="center")
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("epoch")
    axis.set_ylabel(y_label)
    return figure
