"""How well a network does on all examples: accuracy, or for regression the share of the variance explained."""

from __future__ import annotations

from typing import get_args

import torch
from jaxtyping import Float
from torch import Tensor

from dropout_lessons.averaging.outputs import check_output
from dropout_lessons.coadaptation.parts import Readout
from dropout_lessons.coadaptation.units import Outputs, check_choice, check_labels, check_targets


def score(scores: Float[Tensor, "members examples"], y: Tensor, is_regression: bool) -> Float[Tensor, " members"]:
    r"""Accuracy, or :math:`R^2 = 1 - \sum (y - f)^2 / \sum (y - \bar y)^2`, 0 where the targets do not vary.

    Args:
        scores: Whether each prediction is right; for regression its squared error.
        y: Classes or targets.
        is_regression: Which of the two.
    """
    if not is_regression:
        return scores.double().mean(dim=1)
    y = y.double()
    total = (y - y.mean(dim=0)).square().sum()
    return 1 - scores.double().sum(dim=1) / total if total > 0 else torch.zeros(len(scores), dtype=torch.float64)


def chance(y: Tensor, is_regression: bool) -> float:
    """What can be scored without looking at an example: always the most frequent class, or the mean."""
    return 0.0 if is_regression else torch.bincount(y).max().item() / len(y)


def read_targets(y: Tensor | None, intact: Tensor, outputs: Outputs) -> tuple[Tensor, Readout]:
    """Classes or targets, those of the intact network's output where ``y`` is None, and how outputs are read."""
    check_choice("outputs", outputs, get_args(Outputs))
    if outputs == "logits" and isinstance(y, Tensor) and y.is_floating_point():
        outputs = "values"
    if outputs == "values":
        return check_targets(y, intact), Readout(outputs, 1.0)
    checked = check_output(intact, len(intact), outputs)
    return checked.argmax(1) if y is None else check_labels(y, checked), Readout(outputs, 1.0)
