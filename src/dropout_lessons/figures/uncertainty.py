"""Figures of how sure networks are, and of how sure they should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from torch import Tensor

from dropout_lessons.calibration import Reliability
from dropout_lessons.figures.marks import bare, set_ticks
from dropout_lessons.figures.palette import COLORS, NEUTRALS
from dropout_lessons.figures.style import styled, subplots

# For each way to predict its idea's color, and a line and marker that tell it from the others without color.
_WAYS = {
    "plain": ("plain", "--", "^"),
    "weight scaling": ("reference", ":", "s"),
    "MC dropout": ("dropout", "-", "o"),
    "ensemble": ("ensemble", "-.", "D"),
}


@styled
def captioned_images(
    images: Float[Tensor, "examples pixels"], captions: Sequence[str], image_shape: tuple[int, int]
) -> Figure:
    """Draw a row of images with a caption below each.

    Args:
        images: Flattened images, with values from 0 to their largest.
        captions: A caption for each image, of one or two short lines.
        image_shape: Height and width in pixels.

    Example:
        >>> import torch
        >>> figure = captioned_images(torch.rand(3, 16), ["a", "b", "c"], (4, 4))
    """
    figure, axes = subplots(1, len(images), stack=False, squeeze=False, figsize=(5.8, 5.8 / len(images) + 0.6))
    for axis, image, caption in zip(axes[0], images, captions, strict=True):
        axis.imshow(image.view(image_shape).cpu().numpy(), cmap="gray_r", vmin=0, vmax=float(images.max()))
        axis.set_xlabel(caption)
        bare(axis)
    return figure


@styled
def reliability_diagram(panels: Mapping[str, Mapping[str, Reliability]], *, least: int = 50) -> Figure:
    """Draw accuracy against confidence, bin by bin; on the diagonal the two agree, below it confidence is too high.

    Args:
        panels: For each panel its title and, for some of "plain", "weight scaling", "MC dropout" and "ensemble", what
            :func:`~dropout_lessons.calibration.reliability` made.
        least: Bins with fewer examples are left out, since their accuracy is mostly noise.

    Example:
        >>> import torch
        >>> from dropout_lessons.calibration import reliability
        >>> diagram = reliability(torch.tensor([[0.9, 0.1], [0.3, 0.7]]), torch.tensor([0, 0]), bins=5)
        >>> figure = reliability_diagram({"two examples": {"plain": diagram}}, least=1)

    Source: Guo et al. 2017, Figure 1.
    """
    figure, axes = subplots(1, len(panels), squeeze=False, sharey=True, figsize=(2.95 * len(panels), 3.7))
    for axis, (title, diagrams) in zip(axes[0], panels.items(), strict=True):
        axis.plot([0, 100], [0, 100], color=NEUTRALS["ground"], linewidth=4, zorder=0)
        for way, diagram in diagrams.items():
            color, line, marker = _WAYS[way]
            enough = diagram.count >= least
            confidence, accuracy = 100 * diagram.confidence[enough], 100 * diagram.accuracy[enough]
            axis.plot(
                confidence, accuracy, line, color=COLORS[color], marker=marker, markersize=4, linewidth=1.6, label=way
            )
        axis.set_xlim(0, 101)
        axis.set_ylim(0, 101)
        axis.set_xticks([0, 50, 100])
        axis.set_yticks([0, 50, 100])
        axis.set_aspect("equal")
        axis.set_title(title)
        axis.set_xlabel("confidence (%)")
    axes[0, 0].set_ylabel("accuracy (%)")
    axes[0, 0].text(97, 4, "too sure", ha="right", va="bottom", fontsize=10, color=COLORS["reference"])
    axes[0, 0].text(4, 97, "not sure enough", va="top", fontsize=10, color=COLORS["reference"])
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=10)
    return figure


@styled
def way_curves(
    x: Sequence[float],
    scores: Mapping[str, Sequence[Sequence[float]]],
    *,
    x_label: str,
    label: str,
    x_scale: Literal["linear", "log"] = "linear",
) -> Figure:
    """Draw a score of several ways to predict along an axis: the mean over seeds with its range, and its name at the end.

    Args:
        x: Where the scores were taken.
        scores: For some of "plain", "weight scaling", "MC dropout" and "ensemble" the scores, shape (seeds, points).
        x_label: What the horizontal axis shows, with its unit.
        label: What the vertical axis shows, with its unit.
        x_scale: Scale of the horizontal axis.

    Example:
        >>> figure = way_curves([1, 10], {"plain": [[0.3, 0.1], [0.2, 0.1]]}, x_label="factor", label="entropy (nats)")
    """
    figure, axis = subplots(figsize=(5.8, 3.5))
    ends = {}
    for way, values in scores.items():
        color, line, _ = _WAYS[way]
        seeds = np.asarray(values)
        axis.fill_between(x, seeds.min(0), seeds.max(0), color=COLORS[color], alpha=0.1, linewidth=0)
        axis.plot(x, seeds.mean(0), line, color=COLORS[color])
        ends[way] = float(seeds.mean(0)[-1])
    axis.set_xscale(x_scale)
    set_ticks(axis.xaxis, x)
    axis.set_xlim(min(x), max(x))
    axis.set_ylim(bottom=0)
    axis.set_xlabel(x_label)
    axis.set_ylabel(label)
    _name_ends(axis, ends)
    return figure


@styled
def learned_keep_prob_curves(examples: Sequence[int], kept: Mapping[str, ArrayLike]) -> Figure:
    """Draw learned keep probabilities against the number of training examples: means, and a dot for each seed.

    Args:
        examples: Numbers of training examples.
        kept: For each kind of layer, by its name, the keep probabilities, shape (seeds, numbers of examples).

    Example:
        >>> figure = learned_keep_prob_curves([100, 1000], {"inputs": [[0.6, 0.8], [0.5, 0.8]]})
    """
    figure, axis = subplots(figsize=(5.8, 2.9))
    for (name, values), line, marker in zip(kept.items(), ("-", "--", ":"), "os^", strict=False):
        seeds = np.asarray(values, dtype=float)
        axis.plot(examples, seeds.T, marker, color=COLORS["dropout"], alpha=0.3, markersize=4, markeredgewidth=0)
        axis.plot(examples, seeds.mean(0), line, color=COLORS["dropout"], marker=marker, markersize=5, label=name)
    axis.set_xscale("log")
    set_ticks(axis.xaxis, examples, "{:,}")
    axis.set_ylim(0.4, 1)
    axis.set_xlabel("training examples")
    axis.set_ylabel("learned keep_prob")
    axis.legend(loc="lower right", fontsize=10, handlelength=3)
    return figure


@styled
def curve_bands(
    x: ArrayLike,
    bands: Mapping[str, tuple[ArrayLike, ArrayLike]],
    points: tuple[ArrayLike, ArrayLike],
) -> Figure:
    """Draw what several ways predict along a line: the mean, two standard deviations about it, and the training points.

    Args:
        x: Where the predictions were taken.
        bands: For each way, a panel: the mean and the standard deviation of its members at each x.
        points: The training examples, x and y.

    Example:
        >>> figure = curve_bands([0, 1], {"MC dropout": ([0, 1], [0.1, 0.1])}, ([0.5], [0.4]))
    """
    figure, axes = subplots(1, len(bands), squeeze=False, sharey=True, figsize=(6.0, 2.7))
    for axis, (way, (mean, std)) in zip(axes[0], bands.items(), strict=True):
        color = COLORS[_WAYS[way][0] if way in _WAYS else "reference"]
        middle, half = np.asarray(mean), 2 * np.asarray(std)
        axis.fill_between(x, middle - half, middle + half, color=color, alpha=0.25, linewidth=0)
        axis.plot(x, middle, color=color)
        axis.plot(*points, "o", color=NEUTRALS["text"], markersize=3)
        axis.set_ylim(-2.2, 2.2)
        axis.set_title(way)
        axis.set_xlabel("x")
    axes[0, 0].set_ylabel("y")
    return figure


def _name_ends(axis: Axes, ends: Mapping[str, float]) -> None:
    """Write each line's name to the right of its end, moved up where it would touch the name below."""
    low, high = axis.get_ylim()
    height = -1.0
    for way, end in sorted(ends.items(), key=lambda item: item[1]):
        height = max((end - low) / (high - low), height + 0.085)
        axis.text(
            1.02, height, way, transform=axis.transAxes, va="center", color=COLORS[_WAYS[way][0]], fontweight="bold"
        )
