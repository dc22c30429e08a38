"""A data set in memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils._pytree import tree_map_only


class Split(NamedTuple):
    """Inputs and labels of one part of a data set.

    ``x`` has one row for each example: float32 pixels in [0, 1], or standardized ones. ``y`` has the int64
    labels, 0 to ``n_classes - 1``. In a ``Split`` of your own ``x`` may be several tensors, in a tuple or a dictionary, and
    ``y`` may hold soft labels or real numbers to be predicted, such as ``Split(x, x)`` for an autoencoder.

    Example:
        >>> from dropout_lessons import datasets
        >>> x, y = datasets.load("digits").test
        >>> x.shape, y.shape
        (torch.Size([597, 64]), torch.Size([597]))
    """

    x: Float[Tensor, "examples features"] | Any
    y: Int[Tensor, " examples"] | Float[Tensor, "examples outputs"]

    def __repr__(self) -> str:
        words = tree_map_only(Tensor, lambda tensor: _Words(f"{tuple(tensor.shape)} {tensor.dtype}"), self.x)
        return f"Split(x: {words}, y: {tuple(self.y.shape)} {self.y.dtype})"


class _Words(str):
    """Shown without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A training, a validation and a test set that have no example in common.

    Attributes:
        name: the name that it was loaded by.
        train: what a network is fitted to.
        validation: what hyperparameters are chosen on.
        test: what errors are reported on; the same examples for every seed.
        n_classes: number of classes.
        image_shape: ``(height, width)`` in pixels, or ``(channels, height, width)`` for color; ``(1, columns)`` of a table;
            its product is the number of features.
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
        parts = {
            name: tree_map_only(Tensor, lambda tensor: tensor.to(device), getattr(self, name))
            for name in ("train", "validation", "test")
        }
        return replace(self, **parts, noisy=self.noisy.to(device))

    def map(
        self,
        function: Callable[[Any, Tensor], tuple[Any, Tensor]],
        *,
        image_shape: tuple[int, ...] | None = None,
        n_classes: int | None = None,
    ) -> Dataset:
        """Return a data set of other inputs and labels, made from those of each part: smaller images, fewer classes.

        Args:
            function: Makes inputs and labels from inputs and labels; it may leave out examples.
            image_shape: That of the new inputs; as before when None.
            n_classes: That of the new labels; as before when None.

        Raises:
            ValueError: If inputs and labels are not as many, or the inputs do not have ``image_shape``; or if examples are
                left out where some labels are random, so that ``noisy`` no longer says which.

        Example:
            >>> from dropout_lessons import datasets
            >>> def shrink(x, y):
            ...     return torch.nn.functional.avg_pool2d(x.view(-1, 1, 28, 28), 2).flatten(1), y
            >>> datasets.load("mnist_10k", train=500).map(shrink, image_shape=(14, 14)).train
            Split(x: (500, 196) torch.float32, y: (500,) torch.int64)
        """
        shape = self.image_shape if image_shape is None else tuple(image_shape)
        parts, noisy = {}, self.noisy
        for name in ("train", "validation", "test"):
            parts[name] = part = Split(*function(*getattr(self, name)))
            if not isinstance(part.x, Tensor):
                continue
            if len(part.x) != len(part.y):
                raise ValueError(f"function must return as many inputs as labels, got {part} of the {name} part")
            if part.x[:1].numel() not in (0, math.prod(shape)):
                raise ValueError(
                    f"function returned inputs of shape {tuple(part.x.shape[1:])}, which are not images of shape {shape}; "
                    "pass image_shape="
                )
        if len(parts["train"].y) != len(noisy):
            if bool(noisy.any()):
                raise ValueError(
                    f"function must keep all {len(noisy)} training examples where some have a random label, got "
                    f"{len(parts['train'].y)}; leave examples out before, or load without label_noise"
                )
            noisy = torch.zeros(len(parts["train"].y), dtype=torch.bool, device=noisy.device)
        n_classes = self.n_classes if n_classes is None else n_classes
        return Dataset(self.name, **parts, image_shape=shape, n_classes=n_classes, noisy=noisy)

    def __repr__(self) -> str:
        *channels, height, width = self.image_shape
        color = f" in {channels[0]} colors" if channels else ""
        noise = f" ({int(self.noisy.sum())} with a random label)" if self.noisy.any() else ""
        return (
            f"Dataset({self.name!r}: {len(self.train.y)} training{noise}, "
            f"{len(self.validation.y)} validation, {len(self.test.y)} test; "
            f"{height} x {width} pixels{color}, {self.n_classes} classes)"
        )
