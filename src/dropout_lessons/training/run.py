"""A fit on its way: its steps, and its state as a checkpoint holds it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dropout_lessons import runtime
from dropout_lessons.datasets import Split
from dropout_lessons.penalties import l1_penalty, max_norm_, weights
from dropout_lessons.running.examples import device_of, tensors_of
from dropout_lessons.runtime import replacing
from dropout_lessons.training.objective import Objective
from dropout_lessons.training.recipe import History, Recipe, Score


def own_generators(network: nn.Module) -> list[torch.Generator]:
    """The generators that layers have of their own, each once."""
    attributes = (value for module in network.modules() for value in vars(module).values())
    return list({id(value): value for value in attributes if isinstance(value, torch.Generator)}.values())


def decay_factor(recipe: Recipe, *, epoch: int, step: int, steps_in_epoch: int) -> float:
    """What the learning rate of a step is multiplied by; epochs and steps are counted from 0."""
    if recipe.decay == "linear":
        return 1 - (epoch * steps_in_epoch + step) / (recipe.epochs * steps_in_epoch)
    return 1.0 if isinstance(recipe.decay, str) else recipe.decay**epoch


def diverged(what: str, value: float, *, epoch: int, recipe: Recipe) -> FloatingPointError:
    return FloatingPointError(
        f"{what} is {value} in epoch {epoch}: training diverged; "
        f"try a learning_rate below {recipe.learning_rate:g}, or a max_norm"
    )


def check_training_loss(loss: float, epoch: int, recipe: Recipe, prefix: str = "") -> None:
    """Say so if a sum of losses is no longer finite."""
    if not math.isfinite(loss):
        raise diverged(f"{prefix}the training loss", loss, epoch=epoch, recipe=recipe)


def add_scores(
    history: History, epoch: int, scores: Mapping[str, Score], recipe: Recipe, prefix: str = "", *, stop: bool = True
) -> None:
    """Add an entry to a history; say which loss is no longer finite, if that is to stop the training."""
    history.epoch.append(epoch)
    for name, score in scores.items():
        if stop and not math.isfinite(score.loss):
            raise diverged(f"{prefix}the {name} loss", score.loss, epoch=epoch, recipe=recipe)
        getattr(history, f"{name}_loss").append(score.loss)
        getattr(history, f"{name}_error").append(score.error)


def optimizer_of(recipe: Recipe, decayed: Sequence[Tensor], others: Sequence[Tensor]) -> torch.optim.Optimizer:
    """What takes the steps, with the penalty on some of the parameters only."""
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if not recipe.weight_decay:  # each group is a call more in every step
        groups = [{"params": [*decayed, *others], "weight_decay": 0.0}]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum)
    adam = torch.optim.Adam if recipe.optimizer == "adam" else torch.optim.AdamW
    return adam(groups, lr=recipe.learning_rate)


def seeded(seed: int, device: torch.device) -> None:
    """Seed PyTorch's generators of the CPU and of a device, which are to be forked around this."""
    seed = runtime.seed(seed)
    torch.default_generator.manual_seed(seed)  # not torch.manual_seed, which seeds devices that are not forked
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


class Run:
    """The state of a fit: what a checkpoint holds."""

    def __init__(self, network: nn.Module, objective: Objective, recipe: Recipe, *, steps_in_epoch: int) -> None:
        self.network, self.objective, self.recipe, self.steps_in_epoch = network, objective, recipe, steps_in_epoch
        self.device = device_of(network)
        self.epoch = 0
        self.history = History()
        self.fingerprint = ""
        # The order of the examples has a generator of its own, so that networks with and without dropout see the
        # same batches.
        self.order = runtime.generator(recipe.seed)
        decayed = list(weights(network))
        known = {id(weight) for weight in decayed}
        others = [parameter for parameter in network.parameters() if id(parameter) not in known]
        self.optimizer = optimizer_of(recipe, decayed, others)

    def train_one_epoch(self, train: Split) -> None:
        """Take one step for each batch of a random order of the examples."""
        recipe, total = self.recipe, torch.zeros((), device=self.device)
        order = torch.randperm(len(train.y), generator=self.order).to(self.device)
        for step, batch in enumerate(order.split(recipe.batch_size)):
            factor = decay_factor(recipe, epoch=self.epoch, step=step, steps_in_epoch=self.steps_in_epoch)
            for group in self.optimizer.param_groups:
                group["lr"] = recipe.learning_rate * factor
            loss = self.objective.loss(self.network, *self.objective.batch(train, batch))
            total += loss.detach()
            if recipe.l1:
                loss = loss + recipe.l1 * l1_penalty(self.network)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            if recipe.max_norm is not None:
                max_norm_(self.network, recipe.max_norm)
        self.epoch += 1
        check_training_loss(total.item(), self.epoch, recipe)

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
            "generators": [generator.get_state() for generator in own_generators(self.network)],
            "cpu": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
        }
        with replacing(path) as aside:
            torch.save(state, aside)

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
            then, now = recipe.get(item.name, item.default), getattr(self.recipe, item.name)
            if then != now:
                raise ValueError(
                    f"checkpoint {path} was written with {item.name}={then!r}, this recipe has {now!r}; "
                    "use another file, or delete it to start again"
                )
        if fingerprint != self.fingerprint or len(state["generators"]) != len(own_generators(self.network)):
            raise ValueError(
                f"checkpoint {path} belongs to another network or other data; "
                "use another file, or delete it to start again"
            )
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.history = state["epoch"], History(**state["history"])
        self.order.set_state(state["order"])
        for generator, saved in zip(own_generators(self.network), state["generators"], strict=True):
            generator.set_state(saved)
        torch.set_rng_state(state["cpu"])
        if state["cuda"] is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda"], self.device)


def fingerprint(network: nn.Module, objective: Objective, parts: Mapping[str, Split]) -> str:
    """A hash of what a checkpoint belongs to: the network's layers, shapes and types, its objective, and the data."""
    total = hashlib.sha256(repr((network, objective)).encode())  # keep probabilities, scaling and sizes are in it
    for name, value in network.state_dict().items():
        total.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
    for name, split in parts.items():
        total.update(name.encode())
        for tensor in (*tensors_of(split.x), split.y):
            total.update(tensor.cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()
