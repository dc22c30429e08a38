"""What a network is trained for: the loss of its predictions, and what data it can be computed from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from dropout_lessons.datasets import Split
from dropout_lessons.running import Outputs
from dropout_lessons.running.calls import without_dropout
from dropout_lessons.running.examples import check_examples, count_examples, device_of, moved, split_examples, take
from dropout_lessons.running.outputs import Kind, as_outputs
from dropout_lessons.running.targets import IGNORED
from dropout_lessons.training.recipe import Score

#: Compares what a network returns with the y of the same examples; a mean over the examples.
Loss = Callable[[Any, Tensor], Tensor]
#: How a network is called and what it returns, as users say it.
Said = Outputs | Kind | Callable[[nn.Module, Any], Any]


@dataclass(frozen=True)
class Objective:
    """How a network's predictions are found, and the loss that compares them with y.

    Attributes:
        outputs: How the network is called and what it returns.
        own_loss: Takes the place of the loss that goes with the kind of the outputs.
        ignores: Whether some labels count for nothing.
        precision: Of a recipe: what the network's products are computed in for ``loss``.
    """

    outputs: Outputs
    own_loss: Loss | None = None
    ignores: bool = False
    precision: str = "float32"

    @staticmethod
    def of(outputs: Said, loss: Loss | None) -> Objective:
        """An objective from what a user said, or say why it is none."""
        if loss is not None and not callable(loss):
            raise ValueError(f"loss must be a function of what the network returns and y, or None, got {loss!r}")
        if getattr(loss, "reduction", "mean") == "sum":
            raise ValueError(
                f'loss must be the mean over a batch, got {loss!r} with reduction="sum"; make it with reduction="mean"'
            )
        return Objective(as_outputs(outputs), loss)

    def __repr__(self) -> str:
        """The same in every process, unlike the addresses of functions."""
        own = self.outputs
        functions = [getattr(function, "__qualname__", function) for function in (own.call, self.own_loss)]
        return f"{own.kind} {own.at!r} {own.class_axis} {own.batch_axis} {functions}"

    def for_training(self, train: Split, precision: str) -> Objective:
        """The same, prepared for labels that count for nothing and for a recipe's precision."""
        ignores = not train.y.is_floating_point() and bool((train.y == IGNORED).any())
        return replace(self, ignores=ignores, precision=precision)

    def batch(self, split: Split, index: Tensor) -> Split:
        """Some of the examples."""
        if isinstance(split.x, Tensor) and self.outputs.batch_axis == 0:
            return Split(split.x[index], split.y[index])
        return Split(take(split.x, index, self.outputs.batch_axis), split.y[index])

    def loss(self, network: nn.Module, x: Any, y: Tensor) -> Tensor:
        """Mean loss of a batch."""
        returned = self._returned(network, x)
        if self.own_loss is not None:
            return _one_number(self.own_loss(returned, y))
        output = self.outputs.arranged(returned)
        if self.ignores:  # perhaps all labels of the batch, whose mean loss is then 0, not NaN
            return self._loss(output, y, "sum") / (y != IGNORED).sum().clamp(min=1)
        return self._loss(output, y)

    def _returned(self, network: nn.Module, x: Any) -> Any:
        """What the network returns in its own precision, computed in the recipe's."""
        if self.precision == "float32":
            return self.outputs.called(network, x)
        with torch.autocast(device_of(network).type, torch.bfloat16):
            returned = self.outputs.called(network, x)
        return tree_map_only(Tensor, lambda own: own.float() if own.dtype == torch.bfloat16 else own, returned)

    def _loss(self, output: Tensor, y: Tensor, reduction: str = "mean") -> Tensor:
        kind = self.outputs.kind
        if kind == "values":
            return F.mse_loss(output, y, reduction=reduction)
        if kind == "mean_and_variance":
            return F.gaussian_nll_loss(output[..., 0], y, output[..., 1], full=True, reduction=reduction)
        if output.dim() > 2:
            y = y.flatten(0, -2) if y.is_floating_point() else y.flatten()
            output = output.flatten(0, -2)
        if kind == "probs":
            output = output.clamp_min(torch.finfo(output.dtype).tiny).log()
        # Logarithms of probabilities are logits, too.
        return F.cross_entropy(output, y, reduction=reduction, ignore_index=IGNORED)

    def score(self, network: nn.Module, split: Split, batch_size: int = 10_000) -> Score:
        """Mean loss and error in evaluation mode, with functional dropout off too, of examples that were checked."""
        device = device_of(network)
        loss, wrong, n_losses, n_compared = 0.0, 0.0, 0.0, 0
        plain = not _is_weighted(self.own_loss, split.y)
        is_comparable, is_regression = True, self.outputs.is_regression
        blocks = split_examples(split.x, batch_size, self.outputs.batch_axis)
        with without_dropout(network):
            for x, y in zip(blocks, split.y.split(batch_size), strict=True):
                returned, y = self.outputs.returned(network, moved(x, device)), y.to(device)
                output = self.outputs.arranged(returned)
                output = output if output.dtype == torch.float64 else output.float()  # half of it cannot hold a sum
                is_comparable = self._misfit(output.shape, output.dtype, y) is None
                compared, missed = self._compared(output, y) if is_comparable else (0, 0.0)
                n_compared, wrong = n_compared + compared, wrong + missed
                if self.own_loss is not None:
                    mean, share = _one_number(self.own_loss(returned, y)).item(), _share(self.own_loss, y, plain)
                    loss, n_losses = loss + (mean * share if share else 0.0), n_losses + share
                else:
                    loss += self._loss(output, y, "sum").item()
                    n_losses += compared
        if not is_comparable:
            return Score(loss / n_losses, math.nan)
        if is_regression:
            targets = split.y.double()
            variance = (targets - targets.mean(0)).square().sum().item()
            return Score(loss / n_losses, wrong / variance if variance else math.inf if wrong else 0.0)
        return Score(loss / n_losses, wrong / n_compared)

    def _compared(self, output: Tensor, y: Tensor) -> tuple[int, float]:
        """How many targets there are, and how many labels are missed, or the sum of the squared errors."""
        if self.outputs.is_regression:
            mean = output if self.outputs.kind == "values" else output[..., 0]
            return y.numel(), F.mse_loss(mean, y, reduction="sum").item()
        labels = y.argmax(-1) if y.is_floating_point() else y
        counts = labels != IGNORED
        return int(counts.sum()), int(((output.argmax(-1) != labels) & counts).sum())

    def checked(self, network: nn.Module, split: Split, name: str) -> Split:
        """Return the examples as they can be trained on, or say what is wrong with them."""
        axis, y = self.outputs.batch_axis, split.y
        try:
            x = check_examples(split.x, axis, finite=True)
        except ValueError as error:
            raise ValueError(f"{name}.{error}") from error
        n = count_examples(x, axis)
        if not isinstance(y, Tensor):
            raise ValueError(f"{name}.y must be a tensor, got {type(y).__name__}; torch.as_tensor(y) makes one")
        if y.dim() == 0 or len(y) != n:
            raise ValueError(f"{name}.y must have a row for each of the {n} examples, got shape {tuple(y.shape)}")
        device = device_of(network)
        with without_dropout(network):
            try:
                output = self._tried(network, moved(take(x, slice(1), axis), device), y[:1].to(device))
            except ValueError as error:
                if n == 1:
                    raise
                try:  # one that squeezes its output is at a loss with one example alone
                    output = self._tried(network, moved(take(x, slice(2), axis), device), y[:2].to(device))
                except Exception:
                    raise error from error.__cause__
        if self.own_loss is not None:
            return Split(x, y)
        shape = torch.Size((n, *output.shape[1:]))
        if self.outputs.is_regression and y.dim() == 1 and shape[1:2].numel() == 1:
            y = y.unsqueeze(1)
        misfit = self._misfit(shape, output.dtype, y)
        if misfit is not None:
            raise ValueError(f"{name}.y must {misfit}")
        self._check_values(y, shape[-1], name)
        return Split(x, y)

    def _tried(self, network: nn.Module, x: Any, y: Tensor) -> Tensor:
        """What the network predicts of a few examples, if that is what it should be, and a loss of one's own takes it."""
        returned = self.outputs.returned(network, x)
        output = self.outputs.checked(self.outputs.arranged(returned), len(y))
        if self.own_loss is not None:
            _one_number(self.own_loss(returned, y))
        return output

    def _misfit(self, shape: torch.Size, dtype: torch.dtype, y: Tensor) -> str | None:
        """What y must be, if it does not fit predictions of a shape, which has the classes last."""
        got = f"got {y.dtype} of shape {tuple(y.shape)}"
        if self.outputs.is_regression:
            wanted = shape if self.outputs.kind == "values" else shape[:-1]
            if y.shape == wanted and y.is_floating_point():
                return None
            return f"hold {dtype} targets of shape {tuple(wanted)}, one for each output of the network, {got}"
        if y.is_floating_point():
            if y.shape == shape:
                return None
            return (
                f"hold int64 class indices of shape {tuple(shape[:-1])}, or soft labels, rows of probabilities, of shape "
                f"{tuple(shape)}, {got}; convert labels with y.long(), or, if y holds real numbers to be predicted, say "
                'outputs="values"'
            )
        if y.dtype != torch.int64:
            return f"hold int64 class indices, {got}; convert with y.long()"
        return (
            None if y.shape == shape[:-1] else f"have shape {tuple(shape[:-1])}, one label for each prediction, {got}"
        )

    def _check_values(self, y: Tensor, n_classes: int, name: str) -> None:
        if not bool(y.isfinite().all()):
            raise ValueError(f"{name}.y must be finite, got {int((~y.isfinite()).sum())} of {y.numel()} that are not")
        if self.outputs.is_regression:
            return
        if y.is_floating_point():
            totals = y.double().sum(-1)
            if bool((y < 0).any()) or bool(((totals - 1).abs() > 1e-4).any()):
                raise ValueError(
                    f"{name}.y must hold soft labels, rows of probabilities that sum to 1, got sums from "
                    f"{totals.min().item():.4g} to {totals.max().item():.4g} and a smallest value of {y.min().item():.4g}; if "
                    'y holds real numbers to be predicted, say outputs="values"'
                )
            return
        labels = y[y != IGNORED]
        if not len(labels):
            raise ValueError(f"{name}.y must have a label, got only {IGNORED}, which is ignored")
        if int(labels.min()) < 0 or int(labels.max()) >= n_classes:
            raise ValueError(
                f"{name}.y must be in 0..{n_classes - 1}, the network's outputs, "
                f"got labels from {int(labels.min())} to {int(labels.max())}"
            )


def _one_number(loss: Any) -> Tensor:
    if not isinstance(loss, Tensor) or loss.dim() > 0:
        got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise ValueError(f"loss must return one number, the mean over a batch, got {got}; take its mean()")
    return loss


def _is_weighted(loss: Loss | None, y: Tensor) -> bool:
    """Whether a loss of PyTorch weighs labels, or leaves some out, so that its mean is not over all the examples."""
    if not isinstance(loss, (nn.CrossEntropyLoss, nn.NLLLoss)) or loss.reduction != "mean" or y.is_floating_point():
        return False
    ignored = y == loss.ignore_index
    return not bool(ignored.all()) and (loss.weight is not None or bool(ignored.any()))


def _share(loss: Loss, y: Tensor, plain: bool) -> float:
    """What the mean over a batch counts for: its examples, or the weights of those of its labels that are not left out."""
    if plain or not isinstance(loss, (nn.CrossEntropyLoss, nn.NLLLoss)):
        return len(y)
    labels = y[y != loss.ignore_index]
    return len(labels) if loss.weight is None else loss.weight[labels].sum().item()
