"""Figures of what scaling does to a unit's input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from dropout_lessons.figures.palette import COLORS
from dropout_lessons.figures.style import styled, subplots


@styled
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
    figure, axes = subplots(len(draws), 1, sharex=True, squeeze=False, figsize=(5.6, 1.25 * len(draws) + 1.0))
    everything = np.concatenate([values.cpu().numpy() for values in draws.values()])
    bins = np.histogram_bin_edges(np.append(everything, list(at_test.values())), bins=70)
    for axis, (name, values) in zip(axes[:, 0], draws.items(), strict=True):
        sample: NDArray[Any] = values.cpu().numpy()
        axis.hist(sample, bins=bins, color=COLORS["dropout"], alpha=0.3, density=True)
        axis.axvline(sample.mean(), color=COLORS["dropout"], label="mean in training")
        axis.axvline(at_test[name], color=COLORS["plain"], linestyle="--", label="at test time")
        axis.set_title(name)
        axis.set_yticks([])
        axis.spines["left"].set_visible(False)
    axes[-1, 0].set_xlabel(label)
    named = axes[0, 0].get_legend_handles_labels()
    figure.legend(*named, loc="outside upper left", ncols=2, labelcolor="linecolor", handlelength=1.6)
    return figure
