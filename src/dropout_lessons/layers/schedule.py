"""Dropout for a part of training only."""

from __future__ import annotations

import operator

import torch
from jaxtyping import Float
from torch import Tensor, nn


class ScheduledDropout(nn.Module):
    r"""A dropout layer that is active in training steps :math:`\text{start} \le t < \text{stop}` only.

    *Early dropout* is ``stop=k``: against underfitting, in the first :math:`k` steps. *Late dropout* is ``start=k``: against
    overfitting, in those after. In the other steps, and always in evaluation mode, the layer does what it does at test time:
    nothing if its scaling is inverted, multiplying by ``keep_prob`` if it is standard. So the expected output is the same in
    every phase.

    Steps are counted by the layer, one for each forward pass in training mode, in the buffer ``step``, which a checkpoint
    keeps. A loop that makes several forward passes a step, for accumulated gradients or recomputed activations, counts each.

    Args:
        layer: Any dropout layer, of this package or PyTorch's.
        start: First step with dropout, counted from 0.
        stop: First step without dropout again; None if there is none.

    Shape:
        Those of ``layer``.

    Raises:
        ValueError: If not ``0 <= start <= stop``.

    Example:
        >>> from dropout_lessons.layers import Dropout
        >>> early = ScheduledDropout(Dropout(keep_prob=0.5), stop=2)
        >>> [bool((early(torch.ones(100)) == 0).any()) for step in range(4)]
        [True, True, False, False]

    Source: Liu et al. 2023, "Dropout reduces underfitting".
    """

    step: Tensor

    def __init__(self, layer: nn.Module, *, start: int = 0, stop: int | None = None) -> None:
        super().__init__()
        self.layer = layer
        self.start = operator.index(start)
        self.stop = None if stop is None else operator.index(stop)
        if self.start < 0:
            raise ValueError(f"start must be a step from 0, got {start}")
        if self.stop is not None and self.stop < self.start:
            raise ValueError(f"stop must be None, for no end, or at least start={start}, got {stop}")
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Float[Tensor, " ..."]) -> Float[Tensor, " ..."]:
        """Apply the layer if it is its time, or else what it does at test time."""
        if not self.training:
            return self._applied(x)
        step = int(self.step)
        self.step += 1
        if step >= self.start and (self.stop is None or step < self.stop):
            return self._applied(x)
        training = [module for module in self.layer.modules() if module.training]
        try:
            for module in training:
                module.training = False
            return self._applied(x)
        finally:
            for module in training:
                module.training = True

    def _applied(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x)
        return out

    def extra_repr(self) -> str:
        return f"start={self.start}, stop={self.stop}"
