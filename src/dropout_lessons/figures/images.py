"""Figures of images in rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from dropout_lessons.figures.marks import bare
from dropout_lessons.figures.style import styled, subplots


@styled
def image_rows(rows: Mapping[str, Float[Tensor, "examples pixels"]], image_shape: tuple[int, int]) -> Figure:
    """Draw rows of images, each with its name above it.

    Args:
        rows: For each row its name and its images, flattened, with values from 0 to their largest.
        image_shape: Height and width in pixels.

    Example:
        >>> import torch
        >>> figure = image_rows({"noise": torch.rand(5, 16)}, (4, 4))
    """
    return _rows(rows, image_shape, "gray_r", lambda images: (0, float(images.max())))


@styled
def signed_images(rows: Mapping[str, Float[Tensor, "images pixels"]], image_shape: tuple[int, int]) -> Figure:
    """Draw rows of images with positive and negative values, such as learned features; zero is gray, as in the paper.

    Each row has a scale of its own, from minus its largest absolute value to that value.

    Args:
        rows: For each row its name and its images, flattened.
        image_shape: Height and width in pixels.

    Example:
        >>> import torch
        >>> figure = signed_images({"features": torch.randn(5, 16)}, (4, 4))
    """

    def scale(images: Tensor) -> tuple[float, float]:
        most = float(images.abs().max()) or 1.0
        return -most, most

    return _rows(rows, image_shape, "gray", scale)


def _rows(
    rows: Mapping[str, Tensor],
    image_shape: tuple[int, int],
    colors: str,
    scale: Callable[[Tensor], tuple[float, float]],
) -> Figure:
    columns = max(len(images) for images in rows.values())
    figure, axes = subplots(
        len(rows),
        columns,
        stack=False,
        squeeze=False,
        figsize=(5.6, (5.6 / columns + 0.32) * len(rows)),
    )
    for row, (name, images) in zip(axes, rows.items(), strict=True):
        # The name is wider than its image: kept out of the layout of columns, with an empty title to make room for it.
        row[0].set_title(" ")
        row[0].text(0, 1.12, name, transform=row[0].transAxes).set_in_layout(False)
        least, most = scale(images)
        for axis, image in zip(row, images, strict=False):
            axis.imshow(image.view(image_shape).cpu().numpy(), cmap=colors, vmin=least, vmax=most)
        for axis in row:
            bare(axis)
    return figure
