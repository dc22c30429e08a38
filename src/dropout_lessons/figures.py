"""Results in, matplotlib figure out: the book's figures, which never train a network.

One color stands for one idea in the whole book (``COLORS``, from Okabe and Ito's colour-blind safe palette). Figures are
drawn on an opaque light ground, so that they read the same on a light page, on a dark one and in a notebook.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import binom
from torch import Tensor

from dropout_lessons.claims import paired
from dropout_lessons.training import History

__all__ = [
    "COLORS",
    "image_rows",
    "input_distribution",
    "kept_counts",
    "learning_curves",
    "mask_grid",
    "paired_scores",
    "pitfalls",
]

#: The color of each idea, through the whole book.
COLORS = {
    "plain": "#0072B2",
    "L2": "#B07800",
    "L1": "#6B4A2B",
    "max-norm": "#007A5E",
    "dropout": "#D55E00",
    "ensemble": "#A8588A",
    "reference": "#555555",
}

_STYLE: dict[str, Any] = {
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


def _styled(draw: Callable[Parameters, Figure]) -> Callable[Parameters, Figure]:
    """Draw in the book's style, and close the figure so that a notebook shows it once: as the cell's value."""

    @wraps(draw)
    def styled(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Figure:
        with plt.rc_context(_STYLE):
            figure = draw(*args, **kwargs)
        plt.close(figure)
        return figure

    return styled


@_styled
def image_rows(rows: Mapping[str, Float[Tensor, "examples pixels"]], image_shape: tuple[int, int]) -> Figure:
    """Draw rows of images, each with its name above it.

    Args:
        rows: For each row its name and its images, flattened, with values from 0 to their largest.
        image_shape: Height and width in pixels.

    Example:
        >>> import torch
        >>> figure = image_rows({"noise": torch.rand(5, 16)}, (4, 4))
    """
    columns = max(len(images) for images in rows.values())
    figure, axes = plt.subplots(
        len(rows), columns, squeeze=False, figsize=(5.6, (5.6 / columns + 0.32) * len(rows)), layout="constrained"
    )
    for row, (name, images) in zip(axes, rows.items(), strict=True):
        # The name is wider than its image: kept out of the layout of columns, with an empty title to make room for it.
        row[0].set_title(" ")
        row[0].text(0, 1.12, name, transform=row[0].transAxes).set_in_layout(False)
        for axis, image in zip(row, images, strict=False):
            axis.imshow(image.view(image_shape).cpu().numpy(), cmap="gray_r", vmin=0, vmax=float(images.max()))
        for axis in row:
            axis.set_xticks([])
            axis.set_yticks([])
            axis.spines[:].set_visible(False)
    return figure


@_styled
def mask_grid(mask: Bool[Tensor, "examples units"]) -> Figure:
    """Draw the masks of a batch: a row for each example, a column for each unit, filled where the unit is kept.

    Below each unit stands the number of examples that train it in this step.

    Example:
        >>> import torch
        >>> figure = mask_grid(torch.rand(8, 20) < 0.5)
    """
    examples, units = mask.shape
    figure, (top, bottom) = plt.subplots(
        2, 1, sharex=True, figsize=(5.6, 3.6), height_ratios=[max(examples / 8, 1), 0.55], layout="constrained"
    )
    kept = mask.cpu().numpy()
    top.pcolormesh(np.where(kept, 1.0, 0.0), cmap=_two_colors(), edgecolors="#fcfcfa", linewidth=1.5)
    top.invert_yaxis()
    top.set_yticks(np.arange(examples) + 0.5, [str(i + 1) for i in range(examples)])
    top.set_ylabel("example")
    top.tick_params(length=0)
    top.set_title(f"kept units, {kept.mean():.0%} of all", color=COLORS["dropout"])
    bottom.bar(np.arange(units) + 0.5, kept.sum(0), color=COLORS["reference"], width=0.7)
    bottom.set_ylabel("examples")
    bottom.set_yticks([0, examples // 2, examples])
    bottom.set_xticks(np.arange(0, units, 4) + 0.5, [str(i + 1) for i in range(0, units, 4)])
    bottom.set_xlabel("unit")
    for axis in (top, bottom):
        axis.spines[:].set_visible(False)
    return figure


def _two_colors() -> Any:
    from matplotlib.colors import ListedColormap

    return ListedColormap(["#e9e6df", COLORS["dropout"]])


@_styled
def kept_counts(counts: Mapping[str, Float[Tensor, " rows"]], n_units: int, keep_prob: float) -> Figure:
    """Draw how many of ``n_units`` units each implementation kept, beside the binomial distribution.

    Args:
        counts: For each implementation its name and the number of kept units in each row.
        n_units: Number of units in a row.
        keep_prob: Probability of keeping a unit.

    Example:
        >>> import torch
        >>> figure = kept_counts({"ours": (torch.rand(100, 50) < 0.8).sum(1).float()}, 50, 0.8)
    """
    figure, axis = plt.subplots(figsize=(5.6, 3.3), layout="constrained")
    spread = 4.5 * math.sqrt(n_units * keep_prob * (1 - keep_prob))
    low, high = max(0, math.floor(n_units * keep_prob - spread)), min(n_units, math.ceil(n_units * keep_prob + spread))
    values = np.arange(low, high + 1)
    axis.bar(values, binom.pmf(values, n_units, keep_prob), color="#d9d6cf", width=0.9, label="Binomial(n, p)")
    markers, colors = ["o", "x", "_", "+"], [COLORS["dropout"], COLORS["plain"], COLORS["max-norm"], COLORS["ensemble"]]
    for (name, observed), marker, color in zip(counts.items(), markers, colors, strict=False):
        share = np.bincount(observed.long().cpu().numpy(), minlength=n_units + 1)[low : high + 1] / len(observed)
        axis.plot(values, share, marker, color=color, label=name, fillstyle="none", markersize=7, markeredgewidth=1.6)
    axis.set_xlabel(f"kept units of {n_units}")
    axis.set_ylabel("share of rows")
    axis.legend(fontsize=10, handlelength=1.2)
    return figure


@_styled
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
    figure, panels = plt.subplots(1, 2, figsize=(5.8, 3.3), sharex=True, layout="constrained")
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
        axis.annotate(
            arm,
            (x, y),
            xytext=(0, 14 if above else -7),
            textcoords="offset points",
            ha="right",
            va="bottom" if above else "top",
            color=COLORS[arm],
            fontweight="bold",
        )


@_styled
def paired_scores(scores: Mapping[str, Sequence[float]], *, label: str, scale: float = 100.0) -> Figure:
    """Draw one value for each arm and seed, the same seed joined by a line, and each arm's mean.

    Under each arm but the first stands its paired difference to the first with the 95% interval.

    Args:
        scores: For each arm, a key of ``COLORS``, a value for each seed, in the same order.
        label: What is measured, with its unit.
        scale: Factor from the values to that unit; 100 for fractions shown in percent.

    Example:
        >>> figure = paired_scores({"plain": [0.10] * 5, "dropout": [0.08, 0.07, 0.09, 0.08, 0.08]}, label="error (%)")
    """
    arms = list(scores)
    values = scale * np.array([scores[arm] for arm in arms])
    figure, axis = plt.subplots(figsize=(5.6, 3.6), layout="constrained")
    axis.plot(range(len(arms)), values, color="#bbb7ae", linewidth=1, zorder=1)
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
            bbox={"facecolor": _STYLE["axes.facecolor"], "edgecolor": "none", "pad": 1.0},
        )
        if i:
            difference = paired(values[i], values[0])
            low, high = difference.interval
            ticks.append(f"{arm}\n{difference.effect:+.2f}\n[{low:+.2f}, {high:+.2f}]")
    axis.set_xticks(range(len(arms)), ticks)
    axis.set_xlim(-0.4, len(arms) - 0.35)
    axis.set_ylabel(label)
    return figure


@_styled
def input_distribution(
    draws: Mapping[str, Float[Tensor, " masks"]], at_test: Mapping[str, float], *, label: str
) -> Figure:
    """Draw, for each way of scaling, a unit's input over training masks, its mean, and its value at test time.

    Args:
        draws: For each way of scaling its name and the input of the unit for many masks.
        at_test: The unit's input at test time, for each way.
        label: What the horizontal axis shows.

    Example:
        >>> import torch
        >>> figure = input_distribution({"inverted": torch.randn(500)}, {"inverted": 0.0}, label="input")
    """
    figure, axes = plt.subplots(
        len(draws), 1, sharex=True, squeeze=False, figsize=(5.6, 1.25 * len(draws) + 0.7), layout="constrained"
    )
    everything = np.concatenate([values.cpu().numpy() for values in draws.values()])
    bins = np.histogram_bin_edges(np.append(everything, list(at_test.values())), bins=70)
    for axis, (name, values) in zip(axes[:, 0], draws.items(), strict=True):
        sample: NDArray[Any] = values.cpu().numpy()
        axis.hist(sample, bins=bins, color=COLORS["dropout"], alpha=0.45, density=True)
        axis.axvline(sample.mean(), color=COLORS["dropout"])
        axis.axvline(at_test[name], color=COLORS["plain"], linestyle="--")
        axis.set_title(name)
        axis.set_yticks([])
        axis.spines["left"].set_visible(False)
        right = at_test[name] >= sample.mean()
        top = axis.get_ylim()[1]
        gap = (bins[-1] - bins[0]) / 100
        axis.text(
            sample.mean() + (-gap if right else gap),
            top,
            "mean in training",
            color=COLORS["dropout"],
            ha="right" if right else "left",
            va="top",
        )
        axis.text(
            at_test[name] + (gap if right else -gap),
            top,
            "at test time",
            color=COLORS["plain"],
            ha="left" if right else "right",
            va="top",
        )
    axes[-1, 0].set_xlabel(label)
    return figure


@_styled
def pitfalls(losses: Mapping[str, Sequence[float]], errors: Mapping[str, Sequence[float]]) -> Figure:
    """Draw test loss and test error of several ways to use the same networks, a dot for each seed.

    Args:
        losses: For each way its name and a mean cross-entropy in nats for each seed; the right way first.
        errors: For each way its name and an error, as a fraction, for each seed.

    Example:
        >>> figure = pitfalls({"right": [0.3, 0.4], "wrong": [0.6, 0.7]}, {"right": [0.08] * 2, "wrong": [0.12] * 2})
    """
    names = list(losses)
    figure, (left, right) = plt.subplots(1, 2, sharey=True, figsize=(5.8, 0.5 * len(names) + 1.1), layout="constrained")
    for axis, scores, scale in ((left, losses, 1.0), (right, errors, 100.0)):
        for row, name in enumerate(names):
            values = scale * np.array(scores[name])
            color = COLORS["dropout"] if row == 0 else COLORS["reference"]
            axis.plot([0, values.mean()], [row, row], color=color, linewidth=6, alpha=0.35, solid_capstyle="butt")
            axis.scatter(values, np.full(len(values), row), color=color, s=18, zorder=2)
        axis.axvline(scale * np.mean(scores[names[0]]), color=COLORS["dropout"], linewidth=1, linestyle=":")
        axis.set_xlim(left=0)
        axis.tick_params(axis="y", length=0)
    left.set_yticks(range(len(names)), names)
    left.invert_yaxis()
    left.set_xlabel("test loss (nats)")
    right.set_xlabel("test error (%)")
    return figure
