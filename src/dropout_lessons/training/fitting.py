"""Fit a network, and evaluate it."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from dropout_lessons.datasets import Dataset, Split
from dropout_lessons.networks import evaluating, modes_restored
from dropout_lessons.runtime import progress_bar
from dropout_lessons.training.recipe import History, Recipe, Score
from dropout_lessons.training.run import Run, device_of, diverged, fingerprint, loss_of


def evaluate(network: nn.Module, split: Split, *, batch_size: int = 10_000) -> Score:
    r"""Mean loss and error of a network on a set of examples, in evaluation mode.

    With labels these are the cross-entropy and the fraction that is misclassified. With real-valued targets
    :math:`y_{ik}` they are the mean squared error and the fraction of variance that is left unexplained,

    .. math:: \frac{\sum_{ik} (y_{ik} - f_k(x_i))^2}{\sum_{ik} (y_{ik} - \bar y_k)^2}.

    Args:
        network: Any module from inputs to logits ``(batch, classes)``, or to the targets' predictions ``(batch, outputs)``;
            its modes are as before after the call.
        split: Inputs, and labels or targets.
        batch_size: Examples in a forward pass.

    Returns:
        The loss, in nats for labels, and the error as a fraction.

    Raises:
        ValueError: If the examples and labels do not fit each other or the network.

    Example:
        >>> from dropout_lessons import MLP, datasets
        >>> digits = datasets.load("digits")
        >>> score = evaluate(MLP([64, 32, 10]), digits.test)
        >>> 0 <= score.error <= 1
        True
    """
    _check_examples(network, split, "split")
    return _score(network, split, batch_size)


def _score(network: nn.Module, split: Split, batch_size: int = 10_000) -> Score:
    device, loss, wrong = device_of(network), 0.0, 0
    with evaluating(network), torch.no_grad():
        for x, y in zip(split.x.split(batch_size), split.y.split(batch_size), strict=True):
            output, y = network(x.to(device)).float(), y.to(device)  # half precision cannot hold the sum
            loss += loss_of(output, y, reduction="sum").item()
            if not y.is_floating_point():
                wrong += int((output.argmax(1) != y).sum())
    if split.y.is_floating_point():
        targets = split.y.double()
        variance = (targets - targets.mean(0)).square().sum().item()
        return Score(loss / targets.numel(), loss / variance if variance else math.inf if loss else 0.0)
    return Score(loss / len(split.y), wrong / len(split.y))


def fit(
    network: nn.Module,
    data: Dataset | Split,
    recipe: Recipe | None = None,
    *,
    evaluate_every: int = 1,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> History:
    """Train a network in place: minimize the cross-entropy of its logits or, where targets are real, the squared error.

    Args:
        network: Any module from inputs to logits ``(batch, classes)``, or to predictions ``(batch, outputs)``. Trained on
            the device of its parameters, and left in the modes that it came in.
        data: A data set, whose test part is not touched, or a training set alone. ``Split(x, x)`` makes an autoencoder.
        recipe: How to train; the course's default when None.
        evaluate_every: Epochs between two entries of the history; the last epoch always has one. Evaluation takes
            about as long as an epoch.
        checkpoint: A file that is written after every epoch. If it exists, training goes on from there, and ends
            with the same weights as a fit that was never interrupted.
        progress: Whether to show a bar. It is silent where the output is neither a terminal nor a notebook, and where
            the environment sets ``TQDM_DISABLE=1``.

    Returns:
        The history of the fit.

    Raises:
        ValueError: If the data do not fit the network, labels are out of range, a set is empty, or the checkpoint
            belongs to another fit.
        FloatingPointError: If the loss is no longer finite.

    Example:
        >>> from dropout_lessons import MLP, datasets
        >>> digits = datasets.load("digits", train=200)
        >>> network = MLP([64, 32, 10], generator=torch.Generator().manual_seed(0))
        >>> history = fit(network, digits, Recipe(epochs=20, batch_size=50))
        >>> history.train_error[-1] < history.train_error[0]
        True

    Source: Srivastava et al. 2014, Section 5 and Appendix A.
    """
    recipe = Recipe() if recipe is None else recipe
    if evaluate_every < 1:
        raise ValueError(f"evaluate_every must be at least 1, got {evaluate_every}")
    if checkpoint is not None and not Path(checkpoint).absolute().parent.is_dir():
        raise ValueError(f"checkpoint is in a folder that does not exist, {Path(checkpoint).parent}; create it first")
    device, parts = device_of(network), checked_parts(network, data, recipe)
    parts = {name: Split(split.x.to(device), split.y.to(device)) for name, split in parts.items()}

    run = Run(network, recipe, steps_in_epoch=math.ceil(len(parts["train"].y) / recipe.batch_size))
    with modes_restored(network), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        # Not torch.manual_seed, which seeds every device, also those that are not forked.
        torch.default_generator.manual_seed(recipe.seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(recipe.seed)
        if checkpoint is not None:
            run.fingerprint = fingerprint(network, parts)
            if Path(checkpoint).exists():
                run.load(Path(checkpoint))
        started = time.perf_counter() - run.history.seconds
        try:
            for epoch in progress_bar(range(run.epoch + 1, recipe.epochs + 1), "training", unit="epoch", show=progress):
                network.train()
                run.train_one_epoch(parts["train"])
                if epoch % evaluate_every == 0 or epoch == recipe.epochs:
                    run.history.epoch.append(epoch)
                    for name, split in parts.items():
                        score = _score(network, split)
                        if not math.isfinite(score.loss):
                            raise diverged(f"the {name} loss", score.loss, epoch=epoch, recipe=recipe)
                        getattr(run.history, f"{name}_loss").append(score.loss)
                        getattr(run.history, f"{name}_error").append(score.error)
                run.history.seconds = time.perf_counter() - started
                if checkpoint is not None:
                    run.save(Path(checkpoint))
        finally:
            run.optimizer.zero_grad()
    return run.history


def checked_parts(network: nn.Module, data: Dataset | Split, recipe: Recipe) -> dict[str, Split]:
    """Return the parts of the data that a fit sees, by name, or say why it would fail."""
    if not isinstance(data, (Dataset, Split)):
        raise TypeError(f"data must be a Dataset or a Split, got {type(data).__name__}; Split(x, y) makes one")
    parts = {"train": data} if isinstance(data, Split) else {"train": data.train, "validation": data.validation}
    for name, split in parts.items():
        _check_examples(network, split, f"data.{name}")
    lonely = len(parts["train"].y) % recipe.batch_size == 1
    if lonely and any(isinstance(module, _BatchNorm) for module in network.modules()):
        raise ValueError(
            f"batch_size={recipe.batch_size} leaves a last batch of one of the {len(parts['train'].y)} examples, "
            "which BatchNorm cannot train on; choose another batch_size"
        )
    return parts


def _check_examples(network: nn.Module, split: Split, name: str) -> None:
    x, y = split
    if len(x) == 0:
        raise ValueError(f"{name} is empty; give at least one example")
    is_regression = y.is_floating_point() and y.dim() > 1
    if not is_regression and y.shape != (len(x),):
        raise ValueError(f"{name}.y must have shape ({len(x)},), one label for each row of x, got {tuple(y.shape)}")
    if not is_regression and y.dtype != torch.int64:
        raise ValueError(
            f"{name}.y must hold int64 class indices, got {y.dtype}; convert with y.long(), or, if it holds real numbers "
            "to be predicted, give it the shape (examples, outputs)"
        )
    if not bool(x.isfinite().all()):
        row = int((~x.flatten(1).isfinite().all(1)).nonzero()[0])
        raise ValueError(f"{name}.x must be finite, but row {row} is not")
    with evaluating(network), torch.no_grad():
        logits: Tensor = network(x[:1].to(device_of(network)))
    if logits.dim() != 2 or len(logits) != 1:
        raise ValueError(
            f"network must return logits (batch, classes), got shape {tuple(logits.shape)} for one example"
        )
    if is_regression:
        if y.shape != (len(x), logits.shape[1]) or y.dtype != logits.dtype or not bool(y.isfinite().all()):
            raise ValueError(
                f"{name}.y must hold finite {logits.dtype} targets of shape {(len(x), logits.shape[1])}, one for each "
                f"output of the network, got {y.dtype} of shape {tuple(y.shape)}"
            )
        return
    if int(y.min()) < 0 or int(y.max()) >= logits.shape[1]:
        raise ValueError(
            f"{name}.y must be in 0..{logits.shape[1] - 1}, the network's outputs, "
            f"got labels from {int(y.min())} to {int(y.max())}"
        )
