"""Labels and targets, checked against what a network predicts."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

#: Label of a position that does not count, as in PyTorch's losses.
IGNORED = -100


def check_labels(y: Any, output: Float[Tensor, "examples *positions classes"]) -> Int[Tensor, "examples ..."]:
    """Return the classes as int64, beside the output, or say what is wrong with them."""
    classes = output.shape[-1]
    if not isinstance(y, Tensor):
        raise ValueError(f"y must be a tensor of classes, int64, got {type(y).__name__}")
    if y.shape == (len(output), 1) and output.dim() == 2:
        y = y.squeeze(1)  # as binary labels often come
    if classes == 2 and y.is_floating_point() and bool(((y == 0) | (y == 1)).all()):
        y = y.long()
    if y.is_floating_point() or y.is_complex() or (y.dtype == torch.bool and classes > 2):
        hint = (
            "; of one-hot or soft labels take y.argmax(dim=1)" if y.dim() == output.dim() else "; convert with y.long()"
        )
        raise ValueError(f"y must be a tensor of classes, int64, got {y.dtype} of shape {tuple(y.shape)}{hint}")
    if y.shape != output.shape[:-1]:
        raise ValueError(
            f"y must hold one class for each prediction, shape {tuple(output.shape[:-1])}, got shape {tuple(y.shape)}"
        )
    there = y[y != IGNORED]
    if not there.numel() or bool(((there < 0) | (there >= classes)).any()):
        found = f"{int(there.min())} to {int(there.max())}" if there.numel() else "none that counts"
        raise ValueError(
            f"y must hold classes from 0 to {classes - 1}, as many as the network has outputs, got {found}"
        )
    labels: Tensor = y.to(output.device, torch.int64)
    return labels


def check_values(y: Any, output: Float[Tensor, "examples ..."]) -> Float[Tensor, "examples ..."]:
    """Return the targets of a regression in double precision, in the shape of its values, or say what is wrong with them."""
    if not isinstance(y, Tensor) or not y.is_floating_point():
        got = str(y.dtype) if isinstance(y, Tensor) else type(y).__name__
        raise ValueError(
            f'outputs="values" says that the network is a regression, so y must be a floating-point tensor, got {got}'
        )
    if y.shape != output.shape and (*y.shape, 1) != tuple(output.shape):
        raise ValueError(f"y must have the shape of the network's output, {tuple(output.shape)}, got {tuple(y.shape)}")
    if not bool(y.isfinite().all()):
        bad = int((~y.isfinite()).sum())
        raise ValueError(f"y must be finite, got {bad} NaN or infinite of {y.numel()} values")
    return y.detach().to(output.device, torch.float64).reshape(output.shape)
