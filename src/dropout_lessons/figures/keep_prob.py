"""Figures of keep probabilities: where the best one lies, and how well a validation set can find it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from dropout_lessons.figures.marks import draw_band, over_seeds, set_ticks, write_beside
from dropout_lessons.figures.palette import COLORS
from dropout_lessons.figures.style import styled, subplots

_MARKERS = ("o", "s", "^", "D", "v")
_DASHES = ("--", ":", "-.")


@styled
def keep_prob_panels(
    errors: Mapping[str, Mapping[str, ArrayLike]],
    keep_probs: Sequence[float],
    *,
    y_label: str = "test error (%)",
    cut: float = 2.5,
) -> Figure:
    """Draw error against keep_prob, a panel for each data set and a line for each network, with 95% intervals over seeds.

    A panel ends at ``cut`` times the lowest error of its last line. Higher ones of that line are written at the top, in
    percent: at a keep_prob that is far too small they may be ten times as high, and would leave no room to see the rest.

    Args:
        errors: For each panel, by its title, and each line, by its label, fractions of shape (keep_probs, seeds); at least
            five seeds.
        keep_probs: The points of the horizontal axis.
        y_label: What was measured, in percent.
        cut: Where a panel ends, as a multiple of the lowest mean of its last line.

    Raises:
        ValueError: If there is no panel, or a table does not have a row for each keep_prob.

    Example:
        >>> import numpy as np
        >>> wide = 0.1 + 0.01 * np.random.default_rng(0).random((3, 5))
        >>> figure = keep_prob_panels({"1,000 examples": {"256 units": wide}}, [0.2, 0.5, 0.8])
    """
    if not errors:
        raise ValueError("errors must have at least one panel, got none")
    figure, axes = subplots(1, len(errors), figsize=(1.4 + 2.3 * len(errors), 3.5), squeeze=False)
    for axis, (title, lines) in zip(axes[0], errors.items(), strict=True):
        tables = {
            label: 100 * over_seeds(f"errors[{title!r}][{label!r}]", values, len(keep_probs))
            for label, values in lines.items()
        }
        top = cut * list(tables.values())[-1].mean(1).min()
        for index, (label, table) in enumerate(tables.items()):
            # The lines differ in size, not in idea: one color, told apart by marker, dashes and strength.
            last = index == len(tables) - 1
            strength = 1 if last else 0.75
            line = _MARKERS[index % len(_MARKERS)] + ("-" if last else _DASHES[index % len(_DASHES)])
            look = {"alpha": strength, "markersize": 4, "linewidth": 1.5, "label": label}
            mean = draw_band(axis, keep_probs, table, COLORS["dropout"], line, shade=0.15 * strength, **look)
            for keep_prob, error in zip(keep_probs, mean, strict=True):
                if last and error > top:
                    axis.annotate(
                        f"\N{UPWARDS ARROW}{error:.0f}", (keep_prob, top), ha="center", va="bottom", fontsize=10
                    )
        axis.set_title(title, pad=18)
        axis.set_xlabel("keep_prob")
        axis.set_ylim(0, top)
    axes[0, 0].set_ylabel(y_label)
    axes[0, -1].legend(fontsize=10, handlelength=2.4)
    return figure


@styled
def winner_curves(sizes: Sequence[int], validation: ArrayLike, test: ArrayLike) -> Figure:
    """Draw the error of the network that won on validation images, on those images and on test images, against their number.

    Args:
        sizes: Numbers of validation images that the choice was made on.
        validation: Error of the chosen network on the images that it was chosen on, a fraction, shape (sizes, seeds).
        test: Its error on other images, of the same shape; at least five seeds.

    Raises:
        ValueError: If a table does not have a row for each size.

    Example:
        >>> import numpy as np
        >>> errors = 0.1 + 0.01 * np.random.default_rng(0).random((2, 5))
        >>> figure = winner_curves([100, 1000], errors - 0.01, errors)
    """
    figure, axis = subplots(figsize=(5.6, 3.4))
    for label, values, color, side in (
        ("on test images", test, "dropout", 9),
        ("on the images it was chosen by", validation, "reference", -9),
    ):
        table = 100 * over_seeds("validation and test", values, len(sizes))
        mean = draw_band(axis, sizes, table, COLORS[color], "o-" if color == "dropout" else "o--", markersize=4)
        va = "bottom" if side > 0 else "top"
        write_beside(axis, (sizes[0], mean[0]), label, (2, side), COLORS[color], va=va)
    axis.set_xscale("log")
    set_ticks(axis.xaxis, sizes, "{:,}")
    axis.margins(y=0.15)
    axis.set_xlabel("validation images (logarithmic)")
    axis.set_ylabel("error of the chosen one (%)")
    return figure
