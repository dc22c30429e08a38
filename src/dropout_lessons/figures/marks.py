"""What several figures draw alike: a mean with its interval over seeds, a name beside a point, ticks at chosen numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import NullLocator
from numpy.typing import ArrayLike, NDArray

from dropout_lessons.claims import sampled


def over_seeds(name: str, values: ArrayLike, rows: int) -> NDArray[np.float64]:
    """Return values of shape (rows, seeds), or say what is wrong with them."""
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or len(table) != rows:
        raise ValueError(f"{name} must have shape ({rows}, seeds), got {table.shape}")
    return table


def draw_band(
    axis: Axes,
    x: Sequence[float],
    table: NDArray[np.float64],
    color: str,
    line: str,
    *,
    shade: float = 0.2,
    **look: Any,
) -> list[float]:
    """Draw the mean of each row over its seeds, with the 95% interval behind it, and return the means."""
    evidence = [sampled(row[~np.isnan(row)]) for row in table]
    low, high = np.array([item.interval for item in evidence]).T
    axis.fill_between(x, low, high, color=color, alpha=shade, linewidth=0)
    mean = [item.effect for item in evidence]
    axis.plot(x, mean, line, color=color, **look)
    return mean


def write_beside(
    axis: Axes, point: tuple[Any, Any], text: str, offset: tuple[float, float], color: str, **look: Any
) -> None:
    """Write bold words in the color of what they name, so many points away from it."""
    look = {"textcoords": "offset points", "color": color, "fontweight": "bold", **look}
    axis.annotate(text, point, xytext=offset, **look)


def set_ticks(axis: Axis, numbers: Sequence[Any], words: str | Sequence[str] = "{:g}") -> None:
    """Put ticks at these numbers and nowhere else, with words or in a format."""
    axis.set_ticks(
        list(numbers), [words.format(number) for number in numbers] if isinstance(words, str) else list(words)
    )
    axis.set_minor_locator(NullLocator())


def bare(axis: Axes) -> None:
    """Take away the frame and the ticks, as around an image."""
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_visible(False)


def draw_rows(axis: Axes, names: Sequence[str]) -> None:
    """Name rows that stand below each other, from the top."""
    axis.set_yticks(range(len(names)), list(names))
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
