"""Train one network: a recipe in, a history out.

The data live on the network's device and batches are taken by indexing, which for tensors in memory is faster than a
``DataLoader``. A fit depends on nothing but the network's initial weights, the data and the recipe: on the CPU and
on CUDA it draws from PyTorch's generators inside a fork of their state, seeded by the recipe, and leaves them as they
were.
"""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
import tqdm.auto
import tqdm.notebook
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from dropout_lessons.datasets import Dataset, Split
from dropout_lessons.networks import evaluating
from dropout_lessons.penalties import l1_penalty, max_norm_, weights

__all__ = ["History", "Recipe", "Score", "evaluate", "fit"]


@dataclass(frozen=True)
class Recipe:
    r"""Everything that decides how a network is trained, except the network and the data.

    With SGD and momentum :math:`\mu`, a step is :math:`v \leftarrow \mu v + g`, :math:`w \leftarrow w - \epsilon v`.
    Hinton et al. 2012 write :math:`v \leftarrow \mu v - (1 - \mu) \epsilon g`: their learning rate is
    :math:`1/(1-\mu)` times this one. The defaults are the course's; they train a net on 1000 digits in seconds.

    Attributes:
        epochs: Passes over the training set.
        batch_size: Examples in a step; the last batch of an epoch may be smaller.
        learning_rate: :math:`\epsilon` of the first step.
        optimizer: ``"sgd"`` with momentum, as in the paper, or ``"adam"``.
        momentum: :math:`\mu`, for SGD only; the paper uses 0.95 to 0.99 with dropout.
        decay: ``"linear"`` lowers the learning rate to zero step by step, ``"none"`` keeps it, and a number in (0, 1]
            multiplies it after each epoch.
        weight_decay: :math:`\lambda` of an L2 penalty :math:`\frac{\lambda}{2} \sum w^2` on the weights, not the biases.
        l1: :math:`\lambda_1` of an L1 penalty :math:`\lambda_1 \sum |w|` on the weights.
        max_norm: Radius :math:`c` of the ball that each unit's incoming weights are projected onto after every step,
            or None; the paper uses 3 to 4.
        seed: Decides the order of the examples and, where layers have no generator of their own, the dropout masks.

    Raises:
        ValueError: If a value is out of range.

    Example:
        >>> Recipe(epochs=5, max_norm=3.0).learning_rate
        0.1

    Source: Srivastava et al. 2014, Appendix A.
    """

    epochs: int = 60
    batch_size: int = 100
    learning_rate: float = 0.1
    optimizer: Literal["sgd", "adam"] = "sgd"
    momentum: float = 0.9
    decay: Literal["linear", "none"] | float = "linear"
    weight_decay: float = 0.0
    l1: float = 0.0
    max_norm: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, np.generic):  # such as one of np.geomspace: a checkpoint holds plain numbers
                object.__setattr__(self, item.name, value.item())
        for name, allowed, holds in (
            ("epochs", "a positive integer", isinstance(self.epochs, int) and self.epochs > 0),
            ("batch_size", "a positive integer", isinstance(self.batch_size, int) and self.batch_size > 0),
            ("learning_rate", "a positive number", 0 < self.learning_rate < math.inf),
            ("optimizer", '"sgd" or "adam"', self.optimizer in ("sgd", "adam")),
            ("momentum", "in [0, 1)", 0 <= self.momentum < 1),
            (
                "decay",
                '"linear", "none" or a factor in (0, 1]',
                self.decay in ("linear", "none") if isinstance(self.decay, str) else 0 < self.decay <= 1,
            ),
            ("weight_decay", "0 or positive", 0 <= self.weight_decay < math.inf),
            ("l1", "0 or positive", 0 <= self.l1 < math.inf),
            ("max_norm", "positive or None", self.max_norm is None or self.max_norm > 0),
            ("seed", "an integer from 0", isinstance(self.seed, int) and self.seed >= 0),
        ):
            if not holds:
                raise ValueError(f"{name} must be {allowed}, got {getattr(self, name)!r}")


class Score(NamedTuple):
    """How well a network does on a set of examples.

    Attributes:
        loss: Mean cross-entropy in nats.
        error: Fraction of the examples that are misclassified.
    """

    loss: float
    error: float


@dataclass
class History:
    """What happened during a fit, one entry for each evaluated epoch; losses in nats, errors as fractions.

    Training and validation sets are both measured in evaluation mode, with nothing dropped, so that they compare.

    Attributes:
        epoch: Epochs completed at each evaluation.
        train_loss: Mean cross-entropy on the training set.
        train_error: Fraction of the training set that is misclassified.
        validation_loss: The same on the validation set; empty if the data have none.
        validation_error: The same on the validation set; empty if the data have none.
        seconds: Time the fit took, evaluation included.
    """

    epoch: list[int] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    train_error: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_error: list[float] = field(default_factory=list)
    seconds: float = 0.0


def evaluate(network: nn.Module, split: Split, *, batch_size: int = 10_000) -> Score:
    """Mean cross-entropy and error of a network on a set of examples, in evaluation mode.

    Args:
        network: Any module from inputs to logits ``(batch, classes)``; its modes are as before after the call.
        split: Inputs and labels.
        batch_size: Examples in a forward pass.

    Returns:
        The loss in nats and the error as a fraction.

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
    device, loss, wrong = _device(network), 0.0, 0
    with evaluating(network), torch.no_grad():
        for x, y in zip(split.x.split(batch_size), split.y.split(batch_size), strict=True):
            logits, y = network(x.to(device)).float(), y.to(device)  # half precision cannot hold the sum
            loss += F.cross_entropy(logits, y, reduction="sum").item()
            wrong += int((logits.argmax(1) != y).sum())
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
    """Train a network in place by minimizing the cross-entropy of its logits.

    Args:
        network: Any module from inputs to logits ``(batch, classes)``. Trained on the device of its parameters, and
            left in the modes that it came in.
        data: A data set, whose test part is not touched, or a training set alone.
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
    if not isinstance(data, (Dataset, Split)):
        raise TypeError(f"data must be a Dataset or a Split, got {type(data).__name__}; Split(x, y) makes one")
    if checkpoint is not None and not Path(checkpoint).absolute().parent.is_dir():
        raise ValueError(f"checkpoint is in a folder that does not exist, {Path(checkpoint).parent}; create it first")
    device = _device(network)
    parts = {"train": data} if isinstance(data, Split) else {"train": data.train, "validation": data.validation}
    for name, split in parts.items():
        _check_examples(network, split, f"data.{name}")
    lonely = len(parts["train"].y) % recipe.batch_size == 1
    if lonely and any(isinstance(module, _BatchNorm) for module in network.modules()):
        raise ValueError(
            f"batch_size={recipe.batch_size} leaves a last batch of one of the {len(parts['train'].y)} examples, "
            "which BatchNorm cannot train on; choose another batch_size"
        )
    parts = {name: Split(split.x.to(device), split.y.to(device)) for name, split in parts.items()}

    run = _Run(network, recipe, steps_in_epoch=math.ceil(len(parts["train"].y) / recipe.batch_size))
    modes = [(module, module.training) for module in network.modules()]
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        # Not torch.manual_seed, which seeds every device, also those that are not forked.
        torch.default_generator.manual_seed(recipe.seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(recipe.seed)
        if checkpoint is not None:
            run.fingerprint = _fingerprint(network, parts)
            if Path(checkpoint).exists():
                run.load(Path(checkpoint))
        started = time.perf_counter() - run.history.seconds
        try:
            for epoch in _bar(range(run.epoch + 1, recipe.epochs + 1), "training", progress):
                network.train()
                run.train_one_epoch(parts["train"])
                if epoch % evaluate_every == 0 or epoch == recipe.epochs:
                    run.history.epoch.append(epoch)
                    for name, split in parts.items():
                        score = _score(network, split)
                        if not math.isfinite(score.loss):
                            raise run.diverged(f"the {name} loss", score.loss)
                        getattr(run.history, f"{name}_loss").append(score.loss)
                        getattr(run.history, f"{name}_error").append(score.error)
                run.history.seconds = time.perf_counter() - started
                if checkpoint is not None:
                    run.save(Path(checkpoint))
        finally:
            run.optimizer.zero_grad()
            for module, training in modes:
                module.training = training
    return run.history


class _Run:
    """The state of a fit: what a checkpoint holds."""

    def __init__(self, network: nn.Module, recipe: Recipe, *, steps_in_epoch: int) -> None:
        self.network, self.recipe, self.steps_in_epoch = network, recipe, steps_in_epoch
        self.device = _device(network)
        self.epoch = 0
        self.history = History()
        self.fingerprint = ""
        # The order of the examples has a generator of its own, so that networks with and without dropout see the
        # same batches.
        self.order = torch.Generator().manual_seed(recipe.seed)
        decayed = list(weights(network))
        known = {id(weight) for weight in decayed}
        others = [parameter for parameter in network.parameters() if id(parameter) not in known]
        groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
        self.optimizer: torch.optim.Optimizer
        if recipe.optimizer == "sgd":
            self.optimizer = torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum)
        else:
            self.optimizer = torch.optim.Adam(groups, lr=recipe.learning_rate)

    def train_one_epoch(self, train: Split) -> None:
        """Take one step for each batch of a random order of the examples."""
        recipe, total = self.recipe, torch.zeros((), device=train.x.device)
        order = torch.randperm(len(train.y), generator=self.order).to(train.x.device)
        for step, batch in enumerate(order.split(recipe.batch_size)):
            for group in self.optimizer.param_groups:
                group["lr"] = self._learning_rate(step)
            loss = F.cross_entropy(self.network(train.x[batch]), train.y[batch])
            total += loss.detach()
            if recipe.l1:
                loss = loss + recipe.l1 * l1_penalty(self.network)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            if recipe.max_norm is not None:
                max_norm_(self.network, recipe.max_norm)
        self.epoch += 1
        if not math.isfinite(total.item()):
            raise self.diverged("the training loss", total.item())

    def diverged(self, what: str, value: float) -> FloatingPointError:
        return FloatingPointError(
            f"{what} is {value} in epoch {self.epoch}: training diverged; "
            f"try a learning_rate below {self.recipe.learning_rate:g}, or a max_norm"
        )

    def _learning_rate(self, step: int) -> float:
        recipe = self.recipe
        if recipe.decay == "linear":
            done = (self.epoch * self.steps_in_epoch + step) / (recipe.epochs * self.steps_in_epoch)
            return recipe.learning_rate * (1 - done)
        return recipe.learning_rate * (1.0 if isinstance(recipe.decay, str) else recipe.decay**self.epoch)

    def _generators(self) -> list[torch.Generator]:
        """The generators that layers have of their own, each once."""
        attributes = (value for module in self.network.modules() for value in vars(module).values())
        return list({id(value): value for value in attributes if isinstance(value, torch.Generator)}.values())

    def save(self, path: Path) -> None:
        """Write the state beside the file, then rename, so that the file is whole at every moment."""
        state = {
            "recipe": asdict(self.recipe),
            "fingerprint": self.fingerprint,
            "epoch": self.epoch,
            "history": asdict(self.history),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "order": self.order.get_state(),
            "generators": [generator.get_state() for generator in self._generators()],
            "cpu": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
        }
        aside = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            torch.save(state, aside)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)

    def load(self, path: Path) -> None:
        """Go back to a saved state, or say why it does not belong to this fit."""
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            recipe, fingerprint = state["recipe"], state["fingerprint"]
        except Exception as error:  # torch.load has many ways to say that a file is none of its own
            raise ValueError(
                f"checkpoint {path} cannot be read; use another file, or delete it to start again"
            ) from error
        for item in fields(Recipe):
            then, now = recipe[item.name], getattr(self.recipe, item.name)
            if then != now:
                raise ValueError(
                    f"checkpoint {path} was written with {item.name}={then!r}, this recipe has {now!r}; "
                    "use another file, or delete it to start again"
                )
        if fingerprint != self.fingerprint or len(state["generators"]) != len(self._generators()):
            raise ValueError(
                f"checkpoint {path} belongs to another network or other data; "
                "use another file, or delete it to start again"
            )
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.history = state["epoch"], History(**state["history"])
        self.order.set_state(state["order"])
        for generator, saved in zip(self._generators(), state["generators"], strict=True):
            generator.set_state(saved)
        torch.set_rng_state(state["cpu"])
        if state["cuda"] is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda"], self.device)


def _fingerprint(network: nn.Module, parts: dict[str, Split]) -> str:
    """A hash of what a checkpoint belongs to: the network's layers, shapes and types, and the data."""
    total = hashlib.sha256(repr(network).encode())  # keep probabilities, scaling and sizes are in it
    for name, value in network.state_dict().items():
        total.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
    for name, split in parts.items():
        total.update(name.encode())
        for tensor in split:
            total.update(tensor.cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def _bar(epochs: range, description: str, show: bool) -> Iterator[int]:
    """Iterate with a bar in a notebook or terminal, and without elsewhere."""
    in_notebook = issubclass(tqdm.auto.tqdm, tqdm.notebook.tqdm_notebook)
    show = show and os.environ.get("TQDM_DISABLE", "0") in ("", "0")
    # None lets tqdm find out whether the output is a terminal; in a notebook it never is, and the bar shows all the same.
    disable = (False if in_notebook else None) if show else True
    yield from tqdm.auto.tqdm(epochs, desc=description, unit="epoch", leave=False, delay=0.5, disable=disable)


def _device(network: nn.Module) -> torch.device:
    parameter = next(network.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device


def _check_examples(network: nn.Module, split: Split, name: str) -> None:
    x, y = split
    if len(x) == 0:
        raise ValueError(f"{name} is empty; give at least one example")
    if y.shape != (len(x),):
        raise ValueError(f"{name}.y must have shape ({len(x)},), one label for each row of x, got {tuple(y.shape)}")
    if y.dtype != torch.int64:
        raise ValueError(f"{name}.y must hold int64 class indices, got {y.dtype}; convert with y.long()")
    if not bool(x.isfinite().all()):
        row = int((~x.flatten(1).isfinite().all(1)).nonzero()[0])
        raise ValueError(f"{name}.x must be finite, but row {row} is not")
    with evaluating(network), torch.no_grad():
        logits: Tensor = network(x[:1].to(_device(network)))
    if logits.dim() != 2 or len(logits) != 1:
        raise ValueError(
            f"network must return logits (batch, classes), got shape {tuple(logits.shape)} for one example"
        )
    if int(y.min()) < 0 or int(y.max()) >= logits.shape[1]:
        raise ValueError(
            f"{name}.y must be in 0..{logits.shape[1] - 1}, the network's outputs, "
            f"got labels from {int(y.min())} to {int(y.max())}"
        )
