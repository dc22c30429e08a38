"""Figures of averages over networks, and of the networks that are averaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from dropout_lessons.figures.palette import AVERAGES, COLORS, NEUTRALS
from dropout_lessons.figures.style import styled, subplots


def _look_of(average: str) -> tuple[str, str, str]:
    """Return color, mark and line of an average, by the words that its name begins with; else those of the whole network."""
    looks = (look for name, look in AVERAGES.items() if average.startswith(name))
    return next(looks, AVERAGES["weight scaling"])


@styled
def member_scores(
    scores: Mapping[str, Float[Tensor, " members"]],
    averages: Mapping[str, float],
    *,
    label: str,
    scale: float = 100.0,
) -> Figure:
    """Draw how groups of networks are spread over a score, and what some averages of them score.

    Args:
        scores: For each group of networks its name and their scores; a panel each.
        averages: For each average its name and its score, a vertical line in every panel.
        label: What is measured, with its unit.
        scale: Factor from the values to that unit; 100 for fractions shown in percent.

    Example:
        >>> import torch
        >>> figure = member_scores({"subnetworks": torch.rand(100)}, {"average": 0.1}, label="test error (%)")
    """
    groups: dict[str, NDArray[Any]] = {name: scale * values.cpu().numpy() for name, values in scores.items()}
    figure, axes = subplots(len(groups), 1, sharex=True, squeeze=False, figsize=(5.6, 1.3 * len(groups) + 1.3))
    everything = np.concatenate([*groups.values(), [scale * value for value in averages.values()]])
    bins = np.histogram_bin_edges(everything, bins=60)
    for axis, (name, values) in zip(axes[:, 0], groups.items(), strict=True):
        axis.hist(values, bins=bins, color=COLORS["dropout"], alpha=0.5)
        for average, value in averages.items():
            idea, _, line = _look_of(average)
            axis.axvline(scale * value, color=COLORS[idea], linestyle=line, label=average)
        axis.set_title(name, color=COLORS["dropout"])
        axis.set_ylabel("networks")
    axes[0, 0].legend(fontsize=10, handlelength=1.6)
    axes[-1, 0].set_xlabel(label)
    return figure


@styled
def agreement(reference: Sequence[float], others: Mapping[str, Sequence[float]], *, label: str, axis: str) -> Figure:
    """Draw what other ways of averaging score against a reference, a marker for each task, with the diagonal; logarithmic.

    Args:
        reference: The reference's score on each task.
        others: For each other way its name and its score on each task.
        label: The horizontal axis: the reference's name and the unit.
        axis: The vertical axis: what is measured, with its unit.

    Example:
        >>> figure = agreement([0.1, 0.2], {"shortcut": [0.11, 0.19]}, label="exact (nats)", axis="loss (nats)")
    """
    figure, plot = subplots(figsize=(4.8, 4.4))
    everything = np.concatenate([np.asarray(reference), *(np.asarray(values) for values in others.values())])
    low, high = 0.8 * everything.min(), 1.25 * everything.max()
    plot.plot([low, high], [low, high], color=NEUTRALS["ground"], linewidth=4, zorder=0)
    hollow: dict[str, Any] = {"fillstyle": "none", "markersize": 8, "markeredgewidth": 1.8}
    for name, values in others.items():
        idea, marker, _ = _look_of(name)
        plot.plot(reference, values, marker, color=COLORS[idea], label=name, **hollow)
    plot.set_xscale("log")
    plot.set_yscale("log")
    plot.set_xlim(low, high)
    plot.set_ylim(low, high)
    plot.set_aspect("equal")
    plot.set_xlabel(label)
    plot.set_ylabel(axis)
    plot.legend(fontsize=10, handlelength=1.2)
    return figure


@styled
def monte_carlo_curves(
    samples: Sequence[int],
    panels: Mapping[str, NDArray[np.float64]],
    weight_scaling: Mapping[str, Sequence[float]],
) -> Figure:
    """Draw a score of Monte Carlo averages against the number of samples, and that of weight scaling.

    Each seed is a thin line, the mean a thick one; weight scaling is the dotted line of the mean with its range.

    Args:
        samples: Numbers of samples.
        panels: For each panel what is measured, with its unit, and the scores, shape (seeds, samples). Fractions are shown
            in percent where the unit is ``(%)``.
        weight_scaling: For each panel the score of weight scaling at each seed.

    Example:
        >>> scores = np.array([[0.3, 0.2, 0.1], [0.4, 0.2, 0.2]])
        >>> figure = monte_carlo_curves([1, 10, 100], {"test loss (nats)": scores}, {"test loss (nats)": [0.2, 0.2]})
    """
    rows = -(-len(panels) // 2)
    figure, axes = subplots(rows, 2, squeeze=False, figsize=(5.9, 2.6 * rows), sharex=True)
    for axis in axes.flat[len(panels) :]:
        axis.axis("off")
    for axis, (label, scores) in zip(axes.flat, panels.items(), strict=False):
        scale = 100.0 if label.endswith("(%)") else 1.0
        scores, still = scale * scores, scale * np.asarray(weight_scaling[label])
        axis.axhspan(still.min(), still.max(), color=COLORS["reference"], alpha=0.12, linewidth=0)
        axis.axhline(still.mean(), color=COLORS["reference"], linestyle=":", label="weight scaling")
        axis.plot(samples, scores.T, color=COLORS["dropout"], linewidth=0.8, alpha=0.45)
        axis.plot(samples, scores.mean(0), color=COLORS["dropout"], label="Monte Carlo")
        axis.set_xscale("log")
        axis.set_title(label)
    for axis in axes[-1]:
        axis.set_xlabel("samples")
    axes[0, 0].legend(fontsize=10, handlelength=1.6)
    return figure


@styled
def score_panels(
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    colors: Mapping[str, str] | None = None,
    *,
    start: float = 0.0,
) -> Figure:
    """Draw several scores of several arms: a panel for each score, a row for each arm, a dot for each seed.

    A bar ends at the mean, and a dotted line continues the mean of the first arm.

    Args:
        panels: For each score what is measured, with its unit, and the values of each arm, the same arms in the same
            order. Fractions are shown in percent where the unit is ``(%)``.
        colors: For each arm a key of ``COLORS``; by default the first is ``"dropout"`` and the others ``"reference"``.
        start: Where the bars start: the score of no skill, such as 0.5 for an area under a curve.

    Example:
        >>> errors = {"right": [0.08, 0.09], "wrong": [0.12, 0.13]}
        >>> figure = score_panels({"test error (%)": errors})
    """
    arms = list(next(iter(panels.values())))
    colors = {arm: "dropout" if arm == arms[0] else "reference" for arm in arms} if colors is None else colors
    figure, axes = subplots(
        1,
        len(panels),
        squeeze=False,
        sharey=True,
        figsize=(5.8 if len(panels) < 3 else 6.4, 0.45 * len(arms) + 1.2),
    )
    for axis, (label, scores) in zip(axes[0], panels.items(), strict=True):
        scale = 100.0 if label.endswith("(%)") else 1.0
        for row, arm in enumerate(arms):
            values, color = scale * np.asarray(scores[arm]), COLORS[colors[arm]]
            axis.plot([start, values.mean()], [row, row], color=color, linewidth=6, alpha=0.35, solid_capstyle="butt")
            axis.scatter(values, np.full(len(values), row), color=color, s=18, zorder=2)
        first = scale * np.mean(scores[arms[0]])
        axis.axvline(first, color=COLORS[colors[arms[0]]], linewidth=1, linestyle=":")
        axis.set_xlim(left=start)
        axis.tick_params(axis="y", length=0)
        axis.set_xlabel(label)
    axes[0, 0].set_yticks(range(len(arms)), arms)
    axes[0, 0].invert_yaxis()
    return figure
