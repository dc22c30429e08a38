"""Figures of how much units rely on each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray
from torch import Tensor

from dropout_lessons.coadaptation import Compensation, Curve, Report, Study
from dropout_lessons.coadaptation.removal import Perturbation
from dropout_lessons.figures.marks import draw_rows, set_ticks, write_beside
from dropout_lessons.figures.palette import COLORS, DARK, NEUTRALS
from dropout_lessons.figures.style import styled, subplots

_GROUND = NEUTRALS["ground"]


@styled
def removal_curves(curves: Mapping[str, Curve | Sequence[Curve]]) -> Figure:
    """Draw accuracy while units are removed, for each arm: the mean, and where there are several networks their range.

    A dotted line shows chance.

    Args:
        curves: For each arm, a key of ``COLORS``, the curve of a network or of one network for each seed, all with the same
            perturbation and levels.

    Example:
        >>> import torch
        >>> curve = Curve("zero clamp", torch.linspace(0, 1, 3), torch.tensor([[0.9, 0.5, 0.1]]), chance=0.1)
        >>> figure = removal_curves({"plain": [curve, curve]})
    """
    figure, axis = subplots(figsize=(5.6, 3.5))
    chances = []
    for arm, given in curves.items():
        runs = [given] if isinstance(given, Curve) else list(given)
        _draw_curves(axis, runs, arm)
        chances += [run.chance for run in runs]
    first = runs[0]
    percent = 100.0 if first.metric == "accuracy" else 1.0
    axis.axhline(percent * float(np.mean(chances)), color=COLORS["reference"], linewidth=1, linestyle=":")
    axis.text(0.0, percent * float(np.mean(chances)), "chance", color=COLORS["reference"], fontsize=10, va="bottom")
    axis.set_xlabel(_LEVELS[first.perturbation])
    axis.set_ylabel("accuracy (%)" if first.metric == "accuracy" else first.metric)
    axis.margins(x=0.01)
    axis.legend(labelcolor="linecolor", handlelength=1.2, loc="upper right", prop={"weight": "bold"})
    return figure


_LEVELS = {
    "zero clamp": "units removed (%)",
    "mean clamp": "units replaced by their mean (%)",
    "activation noise": "noise on units (times their size)",
    "weight noise": "noise on weights (times their size)",
    "input corruption": "input features replaced (%)",
}


def _draw_curves(axis: Axes, runs: Sequence[Curve], arm: str, line: str = "-") -> None:
    """Mean over the networks, in percent where it is one, and the range."""
    vertical = 100.0 if runs[0].metric == "accuracy" else 1.0
    horizontal = 100.0 if _LEVELS[runs[0].perturbation].endswith("(%)") else 1.0
    level = horizontal * runs[0].level.cpu().numpy()
    scores = vertical * np.stack([run.mean.cpu().numpy() for run in runs])
    if len(runs) > 1:
        axis.fill_between(level, scores.min(0), scores.max(0), color=COLORS[arm], alpha=0.2, linewidth=0)
    axis.plot(level, scores.mean(0), line, color=COLORS[arm], label=arm)


@styled
def damage_against_sum(compensations: Mapping[str, Compensation | Sequence[Compensation]]) -> Figure:
    """Draw what removing sets of units costs against what removing their units one at a time costs in sum; logarithmic.

    On the gray diagonal damages add up; above it the set costs more. Each marker is a size of sets, named for the first
    arm, the geometric mean where there are several networks; where the mean damage is not positive there is none.

    Args:
        compensations: For each arm, a key of ``COLORS``, the result for a network or for one network for each seed, all with
            the same sizes.

    Example:
        >>> import torch
        >>> from dropout_lessons import MLP
        >>> from dropout_lessons.coadaptation import LayerUnits, compensation
        >>> units = LayerUnits(MLP([4, 8, 3]), "hidden1", torch.randn(20, 4))
        >>> figure = damage_against_sum({"plain": compensation(units)})
    """
    figure, axis = subplots(figsize=(5.6, 3.9))
    ends: list[float] = []
    for arm, given in compensations.items():
        runs = [given] if isinstance(given, Compensation) else list(given)
        together, summed = (
            np.stack([getattr(run, name).cpu().numpy() for run in runs]) for name in ("set_damage", "summed_damage")
        )
        drawn = ((together > 0) & (summed > 0)).all(0)
        x, y = np.exp(np.log(summed[:, drawn]).mean(0)), np.exp(np.log(together[:, drawn]).mean(0))
        for own_x, own_y in zip(summed[:, drawn], together[:, drawn], strict=True) if len(runs) > 1 else ():
            axis.plot(own_x, own_y, color=COLORS[arm], linewidth=0.7, alpha=0.35)
        axis.plot(x, y, color=COLORS[arm], marker="o", markersize=4, label=arm)
        sizes = runs[0].sizes.cpu().numpy()[drawn]
        named = sorted({0, len(sizes) // 2, len(sizes) - 1}) if len(sizes) and not ends else []
        for i in named:
            words = f"{sizes[i]} unit{'s' if sizes[i] > 1 else ''}"
            look = {"va": "top", "fontsize": 10, "fontweight": "normal"}
            write_beside(axis, (x[i], y[i]), words, (5, -4), COLORS[arm], **look)
        ends += [*x, *y]
    if ends:
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.margins(x=0.14)
        limits = axis.get_xlim(), axis.get_ylim()
        axis.plot([min(ends), max(ends)], [min(ends), max(ends)], color=_GROUND, linewidth=5, zorder=0)
        axis.set_xlim(limits[0])
        axis.set_ylim(limits[1])
    axis.set_xlabel("sum of the damages one at a time")
    axis.set_ylabel("damage together")
    axis.set_title("nats, mean over examples;\non the gray line they add up")
    axis.legend(labelcolor="linecolor", handlelength=1.2, loc="upper left", prop={"weight": "bold"})
    return figure


@styled
def share_at_damage(
    points: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]], *, colors: Mapping[str, str] | None = None
) -> Figure:
    """Draw the interaction share against the mean damage, while the keep probability is swept: a line for each arm.

    What random removal costs more is less of a sum of its parts, in every network; arms differ where one line lies above
    another at the same damage. Each seed is a thin line, the mean a thick one.

    Args:
        points: For each arm the mean damage (nats) and the interaction share (a fraction), both of shape (seeds, keep
            probabilities).
        colors: For each arm its key of ``COLORS``; its name when None.

    Example:
        >>> damage = np.array([[0.1, 0.3, 0.9], [0.1, 0.4, 1.0]])
        >>> figure = share_at_damage({"plain": (damage, damage / 5), "dropout": (damage, damage / 8)})
    """
    figure, axis = subplots(figsize=(5.6, 3.5))
    for arm, (damage, share) in points.items():
        color = COLORS[arm if colors is None else colors[arm]]
        for x, y in zip(np.asarray(damage), 100 * np.asarray(share), strict=True):
            axis.plot(x, y, color=color, linewidth=0.8, alpha=0.4)
        x, y = np.mean(damage, axis=0), 100 * np.mean(share, axis=0)
        axis.plot(x, y, color=color, marker="o", markersize=4, label=arm)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("mean damage of removal (nats)")
    axis.set_ylabel("interaction share (%)")
    axis.legend(labelcolor="linecolor", handlelength=1.2, loc="best", prop={"weight": "bold"})
    return figure


@styled
def study_intervals(
    study: Study,
    layers: Sequence[str] | None = None,
    measures: Sequence[str] | None = None,
    *,
    control: str = "plain",
    arms: Sequence[str] | None = None,
    less: Mapping[str, int] | None = None,
) -> Figure:
    """Draw how each measure of each arm compares with the control: the ratio of geometric means, with its paired 95% interval.

    An interval that does not touch the line at 1 separates the arm from the control.

    Args:
        study: The study, with five seeds or more.
        layers: A panel for each; all layers when None. A measure of whole networks stands in every panel.
        measures: A row for each; when None, all of the layer that are positive everywhere. Others cannot be drawn as ratios.
        control: Name of the arm that the others are compared with.
        arms: Names of the arms to draw, keys of ``COLORS``; all but the control when None.
        less: For each measure, -1 if smaller values are read as less co-adaptation, 1 if larger ones are. Then a filled mark
            shows less of it, a cross more, and a hollow one neither. All marks are filled when None.

    Raises:
        ValueError: If a name is unknown, a value is not positive, or there are fewer than five seeds.

    Example:
        >>> from torch import nn
        >>> from dropout_lessons import datasets
        >>> from dropout_lessons.coadaptation import study
        >>> def size(units, generator):
        ...     return units.network[0].weight.norm().item()
        >>> networks = {arm: [nn.Sequential(nn.Linear(64, 10)) for _ in range(5)] for arm in ("plain", "dropout")}
        >>> figure = study_intervals(study(networks, datasets.load("digits"), ["0"], seeds=range(5), measures={"size": size}))
    """
    layers = list(study.layers) if layers is None else list(layers)
    arms = [arm for arm in study.networks if arm != control] if arms is None else list(arms)
    if measures is None:
        shown = [*arms, control]
        measures = [
            name
            for name in study.measures(layers[0])
            if all((study.values(name, arm, layer) > 0).all() for arm in shown for layer in layers)
        ]
    row_height = 0.1 * len(arms) + 0.14  # inches: its marks a tenth apart, and a wider gap to those of the next
    figure, axes = subplots(
        1,
        len(layers),
        squeeze=False,
        sharex=True,
        sharey=True,
        figsize=(5.8, row_height * len(measures) + 0.9 + 0.21 * -(-len(arms) // 3)),
    )
    offsets = 0.1 / row_height * (np.arange(len(arms)) - (len(arms) - 1) / 2)
    for axis, layer in zip(axes[0], layers, strict=True):
        axis.axvline(1.0, color=COLORS["reference"], linewidth=1)
        for row, measure in enumerate(measures):
            if row % 2:
                axis.axhspan(row - 0.5, row + 0.5, color=_GROUND, alpha=0.45, linewidth=0, zorder=0)
            of_network = measure not in study.measures(layer) and measure in study.measures("network")
            for arm, offset in zip(arms, offsets, strict=True):
                where = "network" if of_network else layer
                found = study.paired(measure, arm, where, control=control, ratio=True)
                low, middle, high = np.exp([found.interval[0], found.effect, found.interval[1]])
                axis.plot([low, high], [row + offset] * 2, color=COLORS[arm], linewidth=1.6, solid_capstyle="butt")
                mark = _mark(found.interval, 0 if less is None else less[measure])
                axis.plot([middle], [row + offset], color=COLORS[arm], label=arm if row == 0 else None, **mark)
        axis.set_xscale("log")
        axis.set_title(layer)
        axis.set_xlabel(f"times that of {control}" if len(layers) < 3 else f"times that\nof {control}")
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
    _label_ratios(axes[0])
    draw_rows(axes[0, 0], measures)
    handles = [Line2D([], [], color=COLORS[arm], marker="o", markersize=4, linewidth=1.6) for arm in arms]
    figure.legend(
        handles,
        arms,
        loc="outside upper center",
        ncols=3,
        labelcolor="linecolor",
        handlelength=0.8,
        prop={"weight": "bold"},
    )
    return figure


def _mark(interval: tuple[float, float], less: int) -> dict[str, Any]:
    """How an interval of a log ratio is marked: filled if it lies on the side of less co-adaptation, or on any if that is 0."""
    low, high = sorted(less * end for end in interval)
    if less and high < 0:
        return {"marker": "x", "markersize": 6, "markeredgewidth": 1.8}
    return {"marker": "o", "markersize": 5 if less else 4, "markerfacecolor": "none" if less and low <= 0 else None}


def _label_ratios(axes: NDArray[np.object_]) -> None:
    """Ticks at round ratios, no more than fit."""
    low, high = axes[0].get_xlim()
    wanted = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0]
    for span, finer in (
        (15, [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0]),
        (6, [0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0]),
        (2, [0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.4]),
    ):
        wanted = finer if high / low < span else wanted
    ticks = [tick for tick in wanted if low <= tick <= high]
    for axis in axes:
        set_ticks(axis.xaxis, ticks)
        axis.set_xlim(low, high)


@styled
def coadaptation_report(report: Report) -> Figure:
    """Draw a report on one layer: its pairwise interactions, and what it stands.

    Top left: the mean size of the interaction of each pair, the units that interact most first. Top right: the damage of sets of
    units against the sum of single damages. Bottom: accuracy under the perturbations; dashed where the network met the
    perturbation in training.

    Args:
        report: Made by ``measure``.

    Example:
        >>> from dropout_lessons import MLP, datasets
        >>> from dropout_lessons.coadaptation import measure
        >>> x, y = datasets.load("digits").test
        >>> figure = coadaptation_report(measure(MLP([64, 16, 10], keep_prob=0.5), "hidden1", x[:50], y[:50]))
    """
    figure, axes = subplots(2, 2, figsize=(5.8, 5.4))
    _draw_pairs(axes[0, 0], None if report.interaction is None else report.interaction.strength)
    _draw_compensation(axes[0, 1], report.compensation)
    for axis, names in zip(axes[1], (_CLAMPS, _NOISES), strict=True):
        drawn = [name for name in names if name in report.curves]
        for name, shade, marker in zip(drawn, (1.0, 0.7, 0.5), "os^", strict=False):
            curve = report.curves[name]
            vertical = 100.0 if curve.metric == "accuracy" else 1.0
            level = 100 * curve.level / curve.level[-1]
            met = name in report.trained_with
            axis.plot(
                level,
                vertical * curve.mean,
                "--" if met else "-",
                color=NEUTRALS["text"],
                alpha=shade,
                marker=marker,
                markersize=4,
                linewidth=1.6,
                label=f"{name}{' (met in training)' if met else ''}",
            )
        if not drawn:
            axis.axis("off")
            continue
        axis.axhline(vertical * curve.chance, color=COLORS["reference"], linewidth=1, linestyle=":")
        if curve.metric == "accuracy":
            axis.set_ylim(0, 100)
        axis.set_ylabel("accuracy (%)" if curve.metric == "accuracy" else curve.metric)
        axis.legend(
            labelcolor="linecolor",
            handlelength=1.4,
            fontsize=10,
            loc="upper center",
            bbox_to_anchor=(0.45, 0),
            bbox_transform=axis.transAxes
            + ScaledTranslation(0, -0.56, figure.dpi_scale_trans),  # below the axis's name
            borderaxespad=0,
        )
    axes[1, 0].set_title("units removed or replaced")
    axes[1, 0].set_xlabel("of the units (%)")
    axes[1, 1].set_title("noise and corruption")
    axes[1, 1].set_xlabel("of the strongest (%)")
    return figure


_CLAMPS: tuple[Perturbation, ...] = ("zero clamp", "mean clamp")
_NOISES: tuple[Perturbation, ...] = ("activation noise", "weight noise", "input corruption")


# From the page, light or dark, to a color that stands out from both: halfway between the blues of the two.
_BLUE = np.mean([to_rgb(COLORS["kept"]), to_rgb(DARK["kept"])], axis=0)
_STRENGTH = LinearSegmentedColormap.from_list("strength", [(*_BLUE, 0.0), (*_BLUE, 1.0)])


def _draw_pairs(axis: Axes, strength: Float[Tensor, "units units"] | None) -> None:
    axis.set_title("interaction of pairs (nats)")
    if strength is None:
        axis.axis("off")
        axis.text(0.5, 0.5, "too many units\nfor all pairs", ha="center", va="center", transform=axis.transAxes)
        return
    matrix = strength.cpu().numpy()
    order = np.argsort(-matrix.sum(0))
    image = axis.imshow(matrix[order][:, order], cmap=_STRENGTH, norm="linear", vmin=0, vmax=_nearly_largest(matrix))
    axis.set_anchor("W")
    axis.set_xlabel("units, sorted")
    axis.set_xticks([])
    axis.set_yticks([])
    bar = axis.figure.colorbar(image, cax=axis.inset_axes((1.05, 0.1, 0.06, 0.8)), extend="max")
    bar.solids.set_rasterized(True)  # type: ignore[union-attr]  # else lines show between its steps, which the page shines through
    bar.ax.tick_params(labelsize=10)
    bar.outline.set_visible(False)  # type: ignore[operator]


def _nearly_largest(matrix: NDArray[np.float64]) -> float:
    """What only a few pairs exceed, so that these do not decide how all others look."""
    pairs = matrix[np.triu_indices(len(matrix), 1)]
    return float(np.quantile(pairs, 0.99)) if len(pairs) and pairs.max() > 0 else 1.0


def _draw_compensation(axis: Axes, found: Compensation) -> None:
    sizes, ratio, stderr = (getattr(found, name).cpu().numpy() for name in ("sizes", "ratio", "stderr"))
    axis.axhline(1.0, color=_GROUND, linewidth=5, zorder=0)
    axis.errorbar(sizes, ratio, yerr=2 * stderr, color=NEUTRALS["text"], marker="o", markersize=4, linewidth=1.6)
    axis.set_xscale("log", base=2)
    ticks = sizes[:: max(1, len(sizes) // 4)]
    set_ticks(axis.xaxis, ticks.tolist(), "{}")
    axis.set_title("damage of sets")
    axis.set_ylabel("times the sum\nof single damages")
    axis.set_xlabel("units removed")
