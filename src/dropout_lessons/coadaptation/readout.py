"""What predictions are worth: the value of each example, and the score of all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dropout_lessons.running import Outputs
from dropout_lessons.running.arrays import elementwise_


@dataclass(frozen=True)
class Readout:
    r"""How predictions are judged: by the log-probability of the label in nats, or of a regression by minus the squared error.

    Where a network predicts at several positions of an example, the value of the example is the mean over them; the squared
    error of a regression is the sum over all that it predicts.

    Attributes:
        outputs: What the network returns.
        temperature: Divides the logits.
    """

    outputs: Outputs
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature must be positive and finite, got {self.temperature}")
        if self.is_regression and self.temperature != 1:
            raise ValueError(
                f"temperature divides logits, and a regression has none, got {self.temperature}; leave it at 1"
            )

    @property
    def is_regression(self) -> bool:
        return self.outputs.is_regression

    def logits(
        self, output: Float[Tensor, "members examples *positions outputs"]
    ) -> Float[Tensor, "members examples *positions classes"]:
        """Logits in double precision, up to a number of each example; the values of a regression, on one axis."""
        output = output.double()
        if self.is_regression:
            means = output[..., 0] if self.outputs.kind == "mean_and_variance" else output
            return means.flatten(2)
        logits = output.log() if self.outputs.kind == "probs" else output
        return logits if self.temperature == 1 else logits / self.temperature

    def centered(self, output: Tensor) -> Tensor:
        """Logits with mean 0 over the classes, which can be additive where the output is not; or the values of a regression."""
        logits = self.logits(output)
        return logits if self.is_regression else logits - logits.mean(-1, keepdim=True)

    def targets(self, y: Tensor | None, output: Float[Tensor, "examples *positions outputs"]) -> Tensor:
        """Classes, or targets on one axis; what the network predicts where there are none."""
        if self.is_regression:
            return _targets(y, self.logits(output.unsqueeze(0))[0])
        return output.argmax(-1) if y is None else _labels(y, output)

    def values(self, logits: Tensor, y: Tensor) -> Float[Tensor, "members examples"]:
        if self.is_regression:
            errors = (y - logits).square().sum(-1)
            _check_values(errors, self.outputs)
            return errors.neg_()
        own = logits.gather(-1, y.expand(logits.shape[:-1]).unsqueeze(-1))
        # The label's own term is 1, so the sum cannot underflow; and a product is the fastest sum of a few classes.
        with np.errstate(over="ignore", invalid="ignore"):
            sums = elementwise_("exp", logits - own) @ logits.new_ones(logits.shape[-1])
        values = elementwise_("log", sums).neg_()
        if not bool(values.isfinite().all()):  # e^710 is too large
            values = -(logits - own).logsumexp(-1)
            _check_values(values, self.outputs)
        return values if values.dim() == 2 else values.flatten(2).mean(2)

    def scores(self, logits: Tensor, y: Tensor) -> Float[Tensor, "members examples"]:
        """1 where the prediction is right, else 0, mean over positions; the squared error of a regression."""
        if self.is_regression:
            return -self.values(logits, y)
        right = (logits.argmax(-1) == y).double()
        return right if right.dim() == 2 else right.flatten(2).mean(2)

    def total(self, scores: Float[Tensor, "members examples"], y: Tensor) -> Float[Tensor, " members"]:
        r"""Accuracy, or :math:`R^2 = 1 - \sum (y - f)^2 / \sum (y - \bar y)^2`, 0 where the targets do not vary."""
        if not self.is_regression:
            return scores.mean(dim=1)
        variation = (y - y.mean(dim=0)).square().sum()
        if variation == 0:
            return torch.zeros(len(scores), dtype=torch.float64, device=scores.device)
        return 1 - scores.sum(dim=1) / variation

    def chance(self, y: Tensor) -> float:
        """What can be scored without looking at an example: always the most frequent class, or the mean."""
        return 0.0 if self.is_regression else torch.bincount(y.flatten()).max().item() / y.numel()

    def rounding(self, output: Tensor, y: Tensor, eps: float) -> float:
        """Differences of values that may come from rounding to ``eps``."""
        logits = self.logits(output.unsqueeze(0))[0]
        if self.is_regression:
            return 16 * eps * (y.abs() + logits.abs()).square().max().item()
        gaps = logits.amax(-1, keepdim=True) - logits  # infinite where a probability is 0
        return 16 * (eps * gaps[gaps.isfinite()].max().item() + torch.finfo(torch.float64).eps)


def _check_values(values: Tensor, outputs: Outputs) -> None:
    if not bool(values.isfinite().all()):
        raise ValueError(
            f"network returned {outputs.kind} that are NaN or infinite, or a label's probability of 0, for some set of units "
            "present if not for all; look for numbers beyond its precision, or give logits instead of probabilities"
        )


def _labels(y: Tensor, output: Tensor) -> Tensor:
    *shape, classes = output.shape
    if not isinstance(y, Tensor) or y.dtype == torch.bool or y.is_floating_point() or y.is_complex():
        got = str(y.dtype) if isinstance(y, Tensor) else type(y).__name__
        raise ValueError(f"y must be a tensor of classes, int64, got {got}")
    if list(y.shape) != shape:
        where = "examples" if len(shape) == 1 else f"{shape[0]} x {' x '.join(map(str, shape[1:]))} positions"
        each = f"{shape[0]} examples of x" if len(shape) == 1 else where
        raise ValueError(f"y must hold one class for each of the {each}, got shape {tuple(y.shape)}")
    if bool(((y < 0) | (y >= classes)).any()):
        raise ValueError(
            f"y must hold classes from 0 to {classes - 1}, as many as the network has outputs, got {int(y.min())} to "
            f"{int(y.max())}"
        )
    return y.to(output.device, torch.int64)


def _targets(y: Tensor | None, values: Float[Tensor, "examples outputs"]) -> Float[Tensor, "examples outputs"]:
    if y is None:
        return values
    if not isinstance(y, Tensor) or not y.is_floating_point():
        got = str(y.dtype) if isinstance(y, Tensor) else type(y).__name__
        raise ValueError(
            f'outputs="values" says that the network is a regression, so y must be a floating-point tensor, got {got}'
        )
    if len(y) != len(values) or y[0].numel() != values.shape[1]:
        raise ValueError(
            f"y must have the shape of the network's output, {tuple(values.shape)} on one axis, got {tuple(y.shape)}"
        )
    if not bool(y.isfinite().all()):
        raise ValueError(f"y must be finite, got {int((~y.isfinite()).sum())} NaN or infinite of {y.numel()} values")
    return y.detach().to(values).reshape(values.shape)
