"""A data set in memory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


class Split(NamedTuple):
    """Inputs and labels of one part of a data set.

    ``x`` has one row for each example: float32 pixels in [0, 1], or standardized ones. ``y`` has the int64
    labels, 0 to ``n_classes - 1``; in a ``Split`` of your own it may hold real numbers to be predicted, such as
    ``Split(x, x)`` for an autoencoder.

    Example:
        >>> from dropout_lessons import datasets
        >>> x, y = datasets.load("digits").test
        >>> x.shape, y.shape
        (torch.Size([597, 64]), torch.Size([597]))
    """

    x: Float[Tensor, "examples features"]
    y: Int[Tensor, " examples"] | Float[Tensor, "examples outputs"]

    def __repr__(self) -> str:
        return f"Split(x: {tuple(self.x.shape)} {self.x.dtype}, y: {tuple(self.y.shape)} {self.y.dtype})"


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A training, a validation and a test set that have no example in common.

    Attributes:
        name: the name that it was loaded by.
        train: what a network is fitted to.
        validation: what hyperparameters are chosen on.
        test: what errors are reported on; the same examples for every seed.
        n_classes: number of classes.
        image_shape: ``(height, width)`` in pixels, or ``(channels, height, width)`` for color; its product is the number of
            features.
        noisy: which training labels were replaced by random ones. A random label may equal the true one.

    Example:
        >>> from dropout_lessons import datasets
        >>> data = datasets.load("mnist_10k", train=500)
        >>> data.train.x.view(-1, *data.image_shape).shape
        torch.Size([500, 28, 28])
    """

    name: str
    train: Split
    validation: Split
    test: Split
    n_classes: int
    image_shape: tuple[int, ...]
    noisy: Bool[Tensor, " examples"] = field(kw_only=True)

    def to(self, device: torch.device | str) -> Dataset:
        """Return the data set with all of its tensors on ``device``.

        Example:
            >>> from dropout_lessons import datasets
            >>> datasets.load("digits").to("cpu").train.x.device
            device(type='cpu')
        """
        return replace(
            self,
            train=Split(*(tensor.to(device) for tensor in self.train)),
            validation=Split(*(tensor.to(device) for tensor in self.validation)),
            test=Split(*(tensor.to(device) for tensor in self.test)),
            noisy=self.noisy.to(device),
        )

    def __repr__(self) -> str:
        *channels, height, width = self.image_shape
        color = f" in {channels[0]} colors" if channels else ""
        noise = f" ({int(self.noisy.sum())} with a random label)" if self.noisy.any() else ""
        return (
            f"Dataset({self.name!r}: {len(self.train.y)} training{noise}, "
            f"{len(self.validation.y)} validation, {len(self.test.y)} test; "
            f"{height} x {width} pixels{color}, {self.n_classes} classes)"
        )
