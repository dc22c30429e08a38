"""A small network whose hidden units the reader drops, with its forward and backward pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import traitlets
from numpy.typing import ArrayLike

from dropout_lessons.widgets.base import Interactive, KeepProb, finite_array, script

_MOST_UNITS = 12  # in a layer; more would not be legible on a phone


class ThinnedNetwork(Interactive):
    r"""A one-hidden-layer ReLU classifier drawn with the weights that a mask leaves, and their gradients.

    With mask :math:`m` and inverted scaling, the browser computes
    :math:`\tilde h = m \odot \max(0, W_1 x + b_1) / p`, the probabilities
    :math:`\mathrm{softmax}(W_2 \tilde h + b_2)`, the cross-entropy of ``target`` in nats, and its gradient for every
    weight. The reader drops units, draws masks and moves :math:`p`; ``mask``, ``keep_prob`` and ``show`` follow, and
    may be set.

    Args:
        w1: Weights into the hidden layer, shape (hidden, inputs), as ``nn.Linear`` has them.
        b1: Biases of the hidden layer, shape (hidden,).
        w2: Weights into the outputs, shape (outputs, hidden).
        b2: Biases of the outputs, shape (outputs,).
        x: One input, shape (inputs,).
        target: The class of ``x``, from 0 to outputs - 1.
        keep_prob: Probability that a unit is kept, in (0, 1].
        mask: Which hidden units are kept at first; every second one if None.
        show: What the width of a line stands for: ``"gradients"`` or ``"weights"``.

    Raises:
        ValueError: If the shapes do not fit each other, a number is not finite, ``target`` is no class, or a layer has
            more than 12 units.
        TraitError: If ``keep_prob``, ``mask`` or ``show`` is out of bounds, now or later.

    Example:
        >>> w1, w2 = [[1.0, -2.0], [0.5, 1.0]], [[1.0, 0.5], [-1.0, 2.0]]
        >>> network = ThinnedNetwork(w1, [0.0, 0.1], w2, [0.0, 0.0], x=[1.0, 0.4], target=1)
        >>> network.mask
        [True, False]
    """

    _name = "thinned_network"
    _esm = script("thinned_network.js")

    keep_prob = KeepProb(0.5).tag(sync=True)
    mask = traitlets.List(traitlets.Bool()).tag(sync=True)
    show = traitlets.Enum(("gradients", "weights"), "gradients").tag(sync=True)

    def __init__(
        self,
        w1: ArrayLike,
        b1: ArrayLike,
        w2: ArrayLike,
        b2: ArrayLike,
        x: ArrayLike,
        target: int,
        keep_prob: float = 0.5,
        mask: Sequence[bool] | None = None,
        show: str = "gradients",
    ) -> None:
        x_array = finite_array("x", x, (None,))
        w1_array = finite_array("w1", w1, (None, len(x_array)))
        hidden = len(w1_array)
        w2_array = finite_array("w2", w2, (None, hidden))
        outputs = len(w2_array)
        if max(len(x_array), hidden, outputs) > _MOST_UNITS:
            sizes = f"{len(x_array)} inputs, {hidden} hidden units and {outputs} outputs"
            raise ValueError(f"a layer may have at most {_MOST_UNITS} units to be drawn, got {sizes}")
        if target not in range(outputs):
            raise ValueError(f"target must be a class from 0 to {outputs - 1}, got {target}")
        super().__init__(
            data={
                "w1": w1_array.tolist(),
                "b1": finite_array("b1", b1, (hidden,)).tolist(),
                "w2": w2_array.tolist(),
                "b2": finite_array("b2", b2, (outputs,)).tolist(),
                "x": x_array.tolist(),
                "target": int(target),
            },
            keep_prob=keep_prob,
            mask=[unit % 2 == 0 for unit in range(hidden)] if mask is None else [bool(kept) for kept in mask],
            show=show,
        )

    @traitlets.validate("mask")
    def _one_entry_for_each_unit(self, proposal: Any) -> list[bool]:
        hidden, mask = len(self.data["b1"]), proposal["value"]
        if len(mask) != hidden:
            raise traitlets.TraitError(
                f"mask must have one entry for each of the {hidden} hidden units, got {len(mask)}"
            )
        return list(mask)

    def _sentence(self) -> str:
        units, kept = len(self.mask), sum(self.mask)
        return (
            f"Interactive: a network with {len(self.data['x'])} inputs, {units} hidden units and "
            f"{len(self.data['b2'])} outputs, {kept} of the hidden units kept at keep_prob = {self.keep_prob:g}; "
            "drop units and see the outputs, the loss and the gradient of every weight."
        )
