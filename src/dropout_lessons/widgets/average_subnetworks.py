"""The subnetworks of one layer, averaged by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import traitlets
from numpy.typing import ArrayLike

from dropout_lessons.widgets.base import (
    Index,
    Interactive,
    KeepProb,
    class_labels,
    finite_array,
    hex_images,
    names_of,
    script,
    style,
)

_MOST_UNITS = 12  # 4,096 subnetworks, averaged anew between two frames
_MOST_MEMBERS = 2000


class AverageSubnetworks(Interactive):
    r"""The average over :math:`k` subnetworks against :math:`k`, settling on the average over all :math:`2^n`.

    Dropout is on a network's last hidden layer: subnetwork :math:`m` predicts
    :math:`P_m = \mathrm{softmax}(W (m \odot h) / p + b)`. The reader draws subnetworks, or puts them together unit by
    unit. The browser shows the running arithmetic mean :math:`\frac{1}{k} \sum_i P_{m_i}` and the running geometric
    mean, which is :math:`\exp \frac{1}{k} \sum_i \log P_{m_i}` made to sum to 1 over the classes. Beside them stand the
    exact ones, with weights :math:`\pi_m` over all :math:`2^n` masks, and weight scaling, :math:`\mathrm{softmax}(W h +
    b)`, which here is the exact geometric mean.

    Args:
        h: Activations of the layer without dropout, shape (examples, n), n at most 12.
        w: Weights from the layer into the logits, shape (classes, n), as ``nn.Linear`` has them.
        b: Biases of the logits, shape (classes,).
        labels: The true class of each example, shape (examples,).
        keep_prob: Probability that a unit is kept, in (0, 1].
        images: What the examples look like, shape (examples, height, width), in [0, 1]; drawn in 16 grays.
        class_names: A name for each class; their numbers if None.
        example: The example shown first.
        members: The subnetworks averaged: None for one drawn at random, or a mask with an entry for each unit. An
            integer stands for so many random ones. At most 2,000.
        seed: Which masks are drawn at random, 0 to :math:`2^{32} - 1`.

    Raises:
        ValueError: If the shapes do not fit each other, a number is not finite, a label is no class, an image is out of
            [0, 1], or there are more than 12 units.
        TraitError: If ``keep_prob``, ``example``, ``mask``, ``members`` or ``seed`` is out of bounds, now or later.

    Example:
        >>> h, w, b = [[1.0, 0.5, 2.0]], [[1.0, 0.0, -1.0], [0.5, 1.0, 0.5]], [0.0, 0.1]
        >>> average = AverageSubnetworks(h, w, b, labels=[1], keep_prob=0.5)
        >>> average.members = [[True, False, True], None]
    """

    _name = "average_subnetworks"
    _esm = script("examples.js", "average_subnetworks.js")
    _css = style("examples.css", "average_subnetworks.css")

    keep_prob = KeepProb(0.5).tag(sync=True)
    example = Index(lambda data: len(data["h"])).tag(sync=True)
    mask = traitlets.List(traitlets.Bool()).tag(sync=True)
    members = traitlets.List(traitlets.List(traitlets.Bool(), allow_none=True), maxlen=_MOST_MEMBERS).tag(sync=True)
    seed = traitlets.Int(0, min=0, max=2**32 - 1).tag(sync=True)

    def __init__(
        self,
        h: ArrayLike,
        w: ArrayLike,
        b: ArrayLike,
        labels: ArrayLike,
        keep_prob: float = 0.5,
        images: ArrayLike | None = None,
        class_names: Sequence[str] | None = None,
        example: int = 0,
        members: int | Sequence[Sequence[bool] | None] = 20,
        seed: int = 0,
    ) -> None:
        h_array = finite_array("h", h, (None, None))
        examples, units = h_array.shape
        if units > _MOST_UNITS:
            raise ValueError(f"h must have at most {_MOST_UNITS} units, so that 2**n can be averaged, got {units}")
        w_array = finite_array("w", w, (None, units))
        classes = len(w_array)
        data = {
            "h": h_array.tolist(),
            "w": w_array.tolist(),
            "b": finite_array("b", b, (classes,)).tolist(),
            "labels": class_labels(labels, examples, classes),
            "images": None if images is None else hex_images("images", images, (examples, None, None)),
            "class_names": names_of("class_names", class_names, classes),
            "most_members": _MOST_MEMBERS,
        }
        super().__init__(
            data=data,
            keep_prob=keep_prob,
            example=example,
            mask=[unit % 2 == 0 for unit in range(units)],
            members=[None] * members if isinstance(members, int) else list(members),
            seed=seed,
        )

    @traitlets.validate("mask", "members")
    def _one_entry_for_each_unit(self, proposal: Any) -> Any:
        units, value = len(self.data["h"][0]), proposal["value"]
        for mask in [value] if proposal["trait"].name == "mask" else value:
            if mask is not None and len(mask) != units:
                raise traitlets.TraitError(
                    f"a mask in {proposal['trait'].name} must have one entry for each of the {units} units, got {len(mask)}"
                )
        return value

    def _sentence(self) -> str:
        label = self.data["class_names"][self.data["labels"][self.example]]
        return (
            f"Interactive: the probability that {len(self.members):,} subnetworks give on average to the true class, "
            f"{label}, against the average over all {2 ** len(self.mask):,} subnetworks of {len(self.mask)} units at "
            f"keep_prob = {self.keep_prob:g}; draw more and watch the average settle."
        )
