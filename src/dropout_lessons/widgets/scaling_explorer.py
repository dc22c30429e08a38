"""The input of one unit over many dropout masks, next to its value at test time."""

from __future__ import annotations

import traitlets
from numpy.typing import ArrayLike

from dropout_lessons.widgets.base import Interactive, KeepProb, finite_array, script

_MOST_INPUTS = 200  # with 4,000 masks, what a phone adds up between two frames


class ScalingExplorer(Interactive):
    r"""The distribution over masks of a unit's input, before its bias, against its value at test time.

    In training the input is :math:`z = \sum_i w_i m_i h_i`, divided by :math:`p` with inverted scaling. The browser
    draws 4,000 masks from a seed and shows their mean and variance beside the exact ones.

    ============== ======================= ====================================== =======================
    ``scaling``    mean in training        variance in training                   value at test
    ============== ======================= ====================================== =======================
    ``"standard"`` :math:`p \sum w_i h_i`  :math:`p (1-p) \sum w_i^2 h_i^2`       :math:`p \sum w_i h_i`
    ``"inverted"`` :math:`\sum w_i h_i`    :math:`\frac{1-p}{p} \sum w_i^2 h_i^2` :math:`\sum w_i h_i`
    ``"none"``     :math:`p \sum w_i h_i`  :math:`p (1-p) \sum w_i^2 h_i^2`       :math:`\sum w_i h_i`
    ============== ======================= ====================================== =======================

    ``"none"`` is the bug: no scaling anywhere.

    Args:
        activations: The activations :math:`h` that come in, shape (inputs,), at most 200.
        weights: The unit's weights :math:`w`, shape (inputs,).
        keep_prob: Probability that an activation is kept, in (0, 1].
        scaling: ``"standard"``, ``"inverted"`` or ``"none"``.

    Raises:
        ValueError: If the shapes differ, a number is not finite, or there are more than 200 activations.
        TraitError: If ``keep_prob`` or ``scaling`` is out of bounds, now or later.

    Example:
        >>> explorer = ScalingExplorer(activations=[0.5, 1.0, 0.0, 2.0], weights=[1.0, -0.5, 0.3, 0.8])
        >>> explorer.scaling = "none"
    """

    _name = "scaling_explorer"
    _esm = script("scaling_explorer.js")

    keep_prob = KeepProb(0.5).tag(sync=True)
    scaling = traitlets.Enum(("standard", "inverted", "none"), "inverted").tag(sync=True)

    def __init__(
        self, activations: ArrayLike, weights: ArrayLike, keep_prob: float = 0.5, scaling: str = "inverted"
    ) -> None:
        h = finite_array("activations", activations, (None,))
        if len(h) > _MOST_INPUTS:
            raise ValueError(f"activations must be at most {_MOST_INPUTS} numbers, got {len(h)}")
        w = finite_array("weights", weights, (len(h),))
        data = {"activations": h.tolist(), "weights": w.tolist(), "masks": 4000, "seed": 2014}
        super().__init__(data=data, keep_prob=keep_prob, scaling=scaling)

    def _sentence(self) -> str:
        scaling = "no scaling at all" if self.scaling == "none" else f"{self.scaling} scaling"
        return (
            f"Interactive: the input of one unit over {self.data['masks']:,} dropout masks on its "
            f"{len(self.data['weights'])} incoming activations, with {scaling} at keep_prob = {self.keep_prob:g}; compare "
            "its mean in training with its value at test time."
        )
