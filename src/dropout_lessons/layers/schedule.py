"""Dropout for a part of training only."""

from __future__ import annotations

import operator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dropout_lessons.arguments import check_kind, is_count
from dropout_lessons.layers.capture import Capturable, is_symbolic
from dropout_lessons.masks.sampling import is_traced


class ScheduledDropout(Capturable):
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
        check_kind("layer", layer, nn.Module, "such as Dropout(0.5)")
        self.layer = layer
        if not is_count(start):
            raise ValueError(f"start must be a step from 0, got {start!r}")
        if stop is not None and not is_count(stop, at_least=start):
            raise ValueError(f"stop must be None, for no end, or a step of at least start={start}, got {stop!r}")
        self.start, self.stop = operator.index(start), None if stop is None else operator.index(stop)
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def reset_parameters(self) -> None:
        """Count from 0 again; for a layer made on the meta device, after ``to_empty``, for the first time."""
        nn.init.zeros_(self.step)

    def forward(self, x: Float[Tensor, " ..."]) -> Float[Tensor, " ..."]:
        """Apply the layer if it is its time, or else what it does at test time."""
        if is_symbolic(x):
            return self._recorded(x)
        if not self.training:
            return self._applied(x)
        if is_traced():
            raise ValueError(
                "torch.jit.trace records one step, in which ScheduledDropout is active or not, got it in training mode; "
                "trace the network in evaluation mode, or use torch.compile"
            )
        active = self._is_active()
        self._count()
        if isinstance(active, Tensor):
            return torch.where(active, self._applied(x), self._at_test_time(x))
        return self._applied(x) if active else self._at_test_time(x)

    def _is_active(self) -> bool | Tensor:
        """Whether this is a step with dropout: a tensor where the step has no value that could be read."""
        stop = torch.iinfo(torch.int64).max if self.stop is None else self.stop
        if not torch.compiler.is_compiling():
            try:
                return self.start <= int(self.step) < stop
            except RuntimeError:
                pass  # meta and fake tensors, and the steps of several networks side by side under torch.vmap
        return (self.step >= self.start) & (self.step < stop)

    def _count(self) -> None:
        try:
            self.step.add_(1)
        except RuntimeError as error:
            raise ValueError(
                "ScheduledDropout counts its step in training mode, which torch.func's gradients allow for arguments of the "
                "function only, got step from outside; pass the buffers, lambda params, buffers, x: "
                "functional_call(network, (params, buffers), (x,)), or use evaluation mode"
            ) from error

    def _at_test_time(self, x: Tensor) -> Tensor:
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
