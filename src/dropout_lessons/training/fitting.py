"""Fit a network, and evaluate it."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from dropout_lessons.arguments import check_count, check_kind
from dropout_lessons.datasets import Dataset, Split
from dropout_lessons.networks import modes_restored
from dropout_lessons.running.calls import without_dropout
from dropout_lessons.running.checks import check_has_numbers
from dropout_lessons.running.examples import batches, check_examples, count_examples, device_of, moved, split_examples
from dropout_lessons.running.outputs import Examples, as_outputs
from dropout_lessons.runtime import progress_bar
from dropout_lessons.training.objective import Loss, Objective, Said
from dropout_lessons.training.recipe import History, Recipe, Score
from dropout_lessons.training.run import Run, add_scores, fingerprint, seeded


def evaluate(
    network: nn.Module,
    split: Split,
    *,
    outputs: Said = "logits",
    loss: Loss | None = None,
    batch_size: int = 10_000,
) -> Score:
    r"""Mean loss and error of a network on a set of examples, in evaluation mode, with functional dropout off too.

    With labels these are the cross-entropy and the fraction that is misclassified, over all positions where there are several
    for an example; a label of -100 counts for nothing. With the real-valued targets :math:`y_{ik}` of a regression,
    ``outputs="values"``, they are the mean squared error and the fraction of variance that is left unexplained,

    .. math:: \frac{\sum_{ik} (y_{ik} - f_k(x_i))^2}{\sum_{ik} (y_{ik} - \bar y_k)^2}.

    Args:
        network: Any module; its modes are as before after the call.
        split: Inputs, and labels or targets, as ``fit`` takes them.
        outputs: What the network returns, and how it is called; see :class:`~dropout_lessons.running.Outputs`.
        loss: A function of what the network returns and y, in place of the loss that goes with the outputs.
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
    objective = Objective.of(outputs, loss)
    check_has_numbers(network)
    check_count("batch_size", batch_size, at_least=1)
    if not (hasattr(split, "x") and hasattr(split, "y")):
        raise TypeError(f"split must be a Split, got {type(split).__name__}; Split(x, y) makes one of two tensors")
    return objective.score(network, objective.checked(network, split, "split"), batch_size)


def predict(
    network: nn.Module, x: Examples | DataLoader[Any], *, outputs: Said = "logits", batch_size: int = 10_000
) -> Float[Tensor, "examples *positions classes"]:
    """What a network predicts in evaluation mode, with functional dropout off too and without gradients.

    Args:
        network: Any module; its modes are as before after the call.
        x: Inputs: a tensor, several as a tuple or by keyword as a dictionary, or a DataLoader of such batches. They are moved to
            the network's device.
        outputs: What the network returns, and how it is called; see :class:`~dropout_lessons.running.Outputs`.
        batch_size: Examples in a forward pass.

    Returns:
        The predictions, examples first and classes last: two of them where the network has one logit for each example.

    Raises:
        ValueError: If the inputs are none, or the network does not return what ``outputs`` says.

    Example:
        >>> from dropout_lessons import MLP
        >>> predict(MLP([64, 32, 10], keep_prob=0.5), torch.rand(5, 64)).shape
        torch.Size([5, 10])
    """
    said = as_outputs(outputs)
    check_has_numbers(network)
    check_count("batch_size", batch_size, at_least=1)
    device, predictions = device_of(network), []
    with without_dropout(network):
        for batch, _ in batches(x):
            for block in split_examples(check_examples(batch, said.batch_axis), batch_size, said.batch_axis):
                output = said.checked(said.of(network, moved(block, device)), count_examples(block, said.batch_axis))
                predictions.append(output.clone())  # it may be a buffer of the network, which the next call writes over
    return predictions[0] if len(predictions) == 1 else torch.cat(predictions)


def fit(
    network: nn.Module,
    data: Dataset | Split,
    recipe: Recipe | None = None,
    *,
    outputs: Said = "logits",
    loss: Loss | None = None,
    evaluate_every: int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> History:
    """Train a network in place: minimize the cross-entropy of its logits or, in a regression, the squared error.

    Args:
        network: Any module. Trained on the device of its parameters, to which the data are moved, and left in the modes that
            it came in.
        data: A data set, whose test part is not touched, or a training set alone. x is a tensor, or several, in a tuple by
            position or in a dictionary by keyword. y holds class indices, -100 where there is no label; soft labels, rows of
            probabilities for all classes; or, with ``outputs="values"``, real numbers: ``Split(x, x)`` makes an autoencoder.
        recipe: How to train; the course's default when None.
        outputs: What the network returns, and how it is called; see :class:`~dropout_lessons.running.Outputs`. A network that
            returns a ``"mean_and_variance"`` is trained by the negative log-likelihood of a Gaussian.
        loss: A function of what the network returns and y, such as ``nn.CrossEntropyLoss(label_smoothing=0.1)``, that is the
            mean over a batch, in place of the loss that goes with the outputs.
        evaluate_every: Epochs between two entries of the history; the last epoch always has one, and is the only one when
            None. Evaluation takes about as long as an epoch.
        checkpoint: A file that is written after every epoch. If it exists, training goes on from there, and ends
            with the same weights as a fit that was never interrupted.
        progress: Whether to show a bar. It is silent where the output is neither a terminal nor a notebook, and where
            the environment sets ``TQDM_DISABLE=1``.

    Raises:
        ValueError: If the data do not fit the network, labels are out of range, a set is empty, or the checkpoint
            belongs to another fit.
        FloatingPointError: If the loss is no longer finite.

    Example:
        >>> from dropout_lessons import MLP, datasets
        >>> digits = datasets.load("digits", train=200)
        >>> network = MLP([64, 32, 10], generator=torch.Generator().manual_seed(0))
        >>> history = fit(network, digits, Recipe(epochs=20, batch_size=50), evaluate_every=5)
        >>> history.train_error[-1] < history.train_error[0]
        True

    Source: Srivastava et al. 2014, Section 5 and Appendix A.
    """
    recipe, objective = Recipe() if recipe is None else recipe, Objective.of(outputs, loss)
    check_kind("recipe", recipe, Recipe, "Recipe(epochs=20) makes one")
    every = checked_interval(evaluate_every, recipe.epochs)
    if checkpoint is not None and not os.access(Path(checkpoint).absolute().parent, os.W_OK):
        raise ValueError(
            f"checkpoint must be in a folder where you may write, got {checkpoint}; create it, or take another"
        )
    parts = checked_parts(network, data, recipe, objective)
    device = device_of(network)
    parts = {name: Split(*moved(tuple(split), device)) for name, split in parts.items()}
    objective = objective.for_training(parts["train"], recipe.precision)

    run = Run(network, objective, recipe, steps_in_epoch=math.ceil(len(parts["train"].y) / recipe.batch_size))
    with modes_restored(network), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        seeded(recipe.seed, device)
        if checkpoint is not None:
            run.fingerprint = fingerprint(network, objective, parts)
            if Path(checkpoint).exists():
                run.load(Path(checkpoint))
        started = time.perf_counter() - run.history.seconds
        try:
            for epoch in progress_bar(range(run.epoch + 1, recipe.epochs + 1), "training", unit="epoch", show=progress):
                network.train()
                run.train_one_epoch(parts["train"])
                if epoch % every == 0 or epoch == recipe.epochs:
                    scores = {name: objective.score(network, split) for name, split in parts.items()}
                    add_scores(run.history, epoch, scores, recipe)
                run.history.seconds = time.perf_counter() - started
                if checkpoint is not None:
                    run.save(Path(checkpoint))
        finally:
            run.optimizer.zero_grad()
    return run.history


def checked_interval(evaluate_every: int | None, epochs: int) -> int:
    """Epochs between two evaluations."""
    check_count("evaluate_every", evaluate_every, at_least=1, optional=True)
    return epochs if evaluate_every is None else evaluate_every


def checked_parts(network: nn.Module, data: Dataset | Split, recipe: Recipe, objective: Objective) -> dict[str, Split]:
    """Return the parts of the data that a fit sees, by name, or say why it would fail."""
    check_has_numbers(network)
    if not isinstance(data, (Dataset, Split)):
        raise TypeError(f"data must be a Dataset or a Split, got {type(data).__name__}; Split(x, y) makes one")
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ValueError(
            "network must have a parameter to train, got only frozen ones (requires_grad=False); call "
            "requires_grad_() on those that are to learn"
        )
    parts = {"train": data} if isinstance(data, Split) else {"train": data.train, "validation": data.validation}
    parts = {name: objective.checked(network, split, f"data.{name}") for name, split in parts.items()}
    lonely = len(parts["train"].y) % recipe.batch_size == 1
    if lonely and any(isinstance(module, _BatchNorm) for module in network.modules()):
        raise ValueError(
            f"batch_size={recipe.batch_size} leaves a last batch of one of the {len(parts['train'].y)} examples, "
            "which BatchNorm cannot train on; choose another batch_size"
        )
    return parts
