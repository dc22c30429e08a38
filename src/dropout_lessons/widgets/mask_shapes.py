"""What masks of different shapes leave of feature maps, and how much of what they drop the rest gives away."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import numpy as np
import traitlets
from numpy.typing import ArrayLike, NDArray

from dropout_lessons.widgets.base import Index, Interactive, KeepProb, OneOf, finite_array, script, style

_MOST_SIDE = 32
_MOST_BLOCK = 9


class MaskShapes(Interactive):
    r"""Feature maps whose entries are dropped one by one, in blocks or as whole maps, and what those that are kept tell of them.

    A dropped entry is guessed from the nearest kept ones of its map: those at the smallest distance, in rows or columns,
    whichever is larger. With :math:`d` the entry's deviation from its mean over examples, and :math:`n` the mean deviation
    of its nearest kept neighbors, the guess is :math:`\beta_r n`, with the best factor for each distance :math:`r`. The
    browser shows the share of the variance of what is dropped that is told in this way,

    .. math:: \sum_r \frac{\left(\sum_{i \in r} d_i n_i\right)^2}{\sum_{i \in r} n_i^2} \Big/ \sum_i d_i^2,

    over all maps of all examples of a layer. Where a map is dropped as a whole, nothing is told. It is what a simple linear
    guess finds, so a lower bound of what is there.

    Masks are drawn as by :class:`~dropout_lessons.layers.Dropout`, :class:`~dropout_lessons.layers.DropBlock` and
    :class:`~dropout_lessons.layers.SpatialDropout`. A page holds the maps in 256 grays.

    Args:
        maps: For each layer, by name, its maps, at least 0, shape (examples, maps, height, width); the same number of
            examples for all layers, at most 32 x 32 entries a map.
        means: For each layer its mean maps, shape (maps, height, width), such as those over many more examples; by default
            over the examples that are given.
        layer: The layer shown first; the first one if None.
        shape: What is dropped: ``"entries"`` one by one, ``"blocks"``, or whole ``"maps"``.
        keep_prob: Probability that an entry is kept.
        block_size: Side of a block, from 2 to 9.
        example: The example shown first.
        seed: Decides the masks.

    Raises:
        ValueError: If shapes do not fit, or numbers are below 0 or not finite.
        TraitError: If a handle is out of bounds, now or later.

    Example:
        >>> maps = np.random.default_rng(0).random((2, 4, 8, 8))
        >>> shapes = MaskShapes({"noise": maps}, shape="blocks")
        >>> shapes.block_size = 5

    Source: Tompson et al. 2015 drop whole maps, Ghiasi et al. 2018 blocks; the share that is told is this course's.
    """

    _name = "mask_shapes"
    _esm = script("mask_shapes.js")
    _css = style("mask_shapes.css")

    layer = OneOf("layers").tag(sync=True)
    shape = traitlets.Enum(("entries", "blocks", "maps"), "entries").tag(sync=True)
    keep_prob = KeepProb(0.5).tag(sync=True)
    block_size = traitlets.Int(3, min=2, max=_MOST_BLOCK).tag(sync=True)
    example = Index(lambda data: data["examples"]).tag(sync=True)
    seed = traitlets.Int(0, min=0, max=2**31 - 1).tag(sync=True)

    def __init__(
        self,
        maps: Mapping[str, ArrayLike],
        means: Mapping[str, ArrayLike] | None = None,
        layer: str | None = None,
        shape: str = "entries",
        keep_prob: float = 0.5,
        block_size: int = 3,
        example: int = 0,
        seed: int = 0,
    ) -> None:
        if not maps:
            raise ValueError("maps must be those of at least one layer, got none")
        if means is not None and set(means) != set(maps):
            raise ValueError(f"means must be of the layers {list(maps)}, got {list(means)}")
        layers, examples = [], None
        for name, values in maps.items():
            array = finite_array(f"maps[{name!r}]", values, (examples, None, None, None))
            examples, _, height, width = array.shape
            if array.min() < 0 or array.max() == 0 or max(height, width) > _MOST_SIDE:
                raise ValueError(
                    f"maps[{name!r}] must be at least 0, not all 0, and at most {_MOST_SIDE} x {_MOST_SIDE}, got "
                    f"{array.min():g} to {array.max():g} in {height} x {width}"
                )
            mean = (
                array.mean(axis=0) if means is None else finite_array(f"means[{name!r}]", means[name], array.shape[1:])
            )
            if mean.min() < 0:
                raise ValueError(f"means[{name!r}] must be at least 0, got {mean.min():g}")
            largest = max(array.max(), mean.max())
            layers.append(
                {
                    "name": name,
                    "maps": array.shape[1],
                    "height": height,
                    "width": width,
                    "values": [_bytes(of_example / largest) for of_example in array],
                    "means": _bytes(mean / largest),
                }
            )
        super().__init__(
            data={"layers": layers, "examples": examples, "most_block": _MOST_BLOCK},
            layer=next(iter(maps)) if layer is None else layer,
            shape=shape,
            keep_prob=keep_prob,
            block_size=block_size,
            example=example,
            seed=seed,
        )

    def _sentence(self) -> str:
        what = {
            "entries": "entries one by one",
            "blocks": f"blocks of {self.block_size} x {self.block_size} entries",
            "maps": "whole maps",
        }[self.shape]
        return (
            f"Interactive: dropout with keep_prob {self.keep_prob:g} drops {what} of the layer {self.layer}, and the share of "
            "what is dropped that its nearest kept neighbors tell is compared with that of other shapes of masks."
        )


def _bytes(values: NDArray[np.float64]) -> str:
    """Numbers in [0, 1] as 256 grays."""
    return base64.b64encode(np.rint(255 * values).astype(np.uint8).tobytes()).decode()
