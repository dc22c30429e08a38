"""What predictions are worth: the value of each example, and the score of all of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from dropout_lessons.arguments import check_number
from dropout_lessons.running import Outputs
from dropout_lessons.running.targets import IGNORED, check_labels, check_values

# Of logits: e^-745 is 0, so a class so far below another, as masked ones are, counts for nothing.
_UNDERFLOW = 745.0
_NEGLIGIBLE = 37.0  # e^-37 is less than the rounding of 1


@dataclass(frozen=True)
class Readout:
    r"""How predictions are judged: by the log-probability of the label in nats, or of a regression by minus the squared error.

    Where a network predicts at several positions of an example, the value of the example is the mean over those with a label
    (other than -100); the squared error of a regression is the sum over all that it predicts.

    Attributes:
        outputs: What the network returns.
        temperature: Divides the logits.
    """

    outputs: Outputs
    temperature: float = 1.0

    def __post_init__(self) -> None:
        check_number("temperature", self.temperature, "positive and finite", above=0)
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
        """Logits with mean 0 over the classes, which can be additive where the output is not; or the values of a regression.

        Classes that count for nothing in all members are left out of the mean, which they would make coarse.
        """
        logits = self.logits(output)
        if self.is_regression:
            return logits
        counts = self.counting(logits)
        if bool(counts.all()):
            return logits - logits.mean(-1, keepdim=True)
        return logits - logits.where(counts, 0.0).sum(-1, keepdim=True) / counts.sum(-1, keepdim=True)

    def counting(self, logits: Tensor) -> Bool[Tensor, "examples *positions classes"]:
        """Which classes have a probability other than 0 in any of the members."""
        return (logits.amax(-1, keepdim=True) - logits < _UNDERFLOW).any(0)

    def targets(self, y: Tensor | None, output: Float[Tensor, "examples *positions outputs"]) -> Tensor:
        """Classes, or targets on one axis; what the network predicts where there are none."""
        if self.is_regression:
            values = self.logits(output.unsqueeze(0))[0]
            if y is None:
                return values
            one_each = isinstance(y, Tensor) and y.dim() > 1 and len(y) == len(values)
            return check_values(y.flatten(1) if one_each else y, values)
        if y is None:
            return output.argmax(-1)
        labels = check_labels(y, output)
        without = (labels == IGNORED).flatten(1).all(1) if labels.dim() > 1 else labels == IGNORED
        if bool(without.any()):
            raise ValueError(f"y must have a label for each example, got none for {int(without.sum())} of {len(y)}")
        return labels

    def values(self, logits: Tensor, y: Tensor) -> Float[Tensor, "members examples"]:
        if self.is_regression:
            errors = (y - logits).square().sum(-1)
            _check_values(errors, self.outputs)
            return errors.neg_()
        own = logits.gather(-1, y.clamp(min=0).expand(logits.shape[:-1]).unsqueeze(-1))
        # The label's own term is 1, so the sum cannot underflow; and a product is the fastest sum of a few classes.
        values = ((logits - own).exp_() @ logits.new_ones(logits.shape[-1])).log_().neg_()
        if not bool(values.isfinite().all()):  # e^710 is too large
            values = -(logits - own).logsumexp(-1)
            _check_values(values, self.outputs)
        return _mean_over_positions(values, y)

    def scores(self, logits: Tensor, y: Tensor) -> Float[Tensor, "members examples"]:
        """1 where the prediction is right, else 0, mean over positions; the squared error of a regression."""
        if self.is_regression:
            return -self.values(logits, y)
        return _mean_over_positions((logits.argmax(-1) == y).double(), y)

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
        if self.is_regression:
            return 0.0
        labels = y[y != IGNORED]
        return torch.bincount(labels).max().item() / len(labels)

    def rounding(self, output: Tensor, y: Tensor, eps: float) -> float:
        """Differences of values that may come from rounding to ``eps``."""
        logits = self.logits(output.unsqueeze(0))[0]
        if self.is_regression:
            return 16 * eps * (y.abs() + logits.abs()).square().max().item()
        gaps = logits.amax(-1, keepdim=True) - logits  # infinite where a probability is 0
        labels = F.one_hot(y.clamp(min=0), logits.shape[-1]).bool() & (y != IGNORED).unsqueeze(-1)
        # Beside the label's own, a class that does not change the sum of probabilities has no rounding to add.
        counts = gaps.isfinite() & ((gaps < _NEGLIGIBLE) | labels)
        return 16 * (eps * gaps[counts].max().item() + torch.finfo(torch.float64).eps)


def _mean_over_positions(
    each: Float[Tensor, "members examples *positions"], y: Tensor
) -> Float[Tensor, "members examples"]:
    """Mean over the positions that have a label."""
    if each.dim() == 2:
        return each
    counts = (y != IGNORED).flatten(1).double()
    return (each.flatten(2) * counts).sum(2) / counts.sum(1)


def _check_values(values: Tensor, outputs: Outputs) -> None:
    if not bool(values.isfinite().all()):
        raise ValueError(
            f"network returned {outputs.kind} that are NaN or infinite, or a label's probability of 0, for some set of units "
            "present if not for all; look for numbers beyond its precision, or give logits instead of probabilities"
        )
