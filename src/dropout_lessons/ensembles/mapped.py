"""Networks of any one kind side by side: one call of torch.func.vmap for a step of all of them."""

from __future__ import annotations

import copy
import math
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.nn.modules.batchnorm import _NormBase
from torch.utils._pytree import tree_map

from dropout_lessons import runtime
from dropout_lessons.datasets import Split
from dropout_lessons.ensembles.stack import Member
from dropout_lessons.penalties import weights
from dropout_lessons.running.examples import device_of, moved
from dropout_lessons.running.modes import OF_EVERY_MODULE, drawing_from, settings
from dropout_lessons.training.objective import Objective
from dropout_lessons.training.run import (
    add_scores,
    check_training_loss,
    decay_factor,
    optimizer_of,
    own_generators,
)

_CHANGES = "a step changes its buffer {!r}, which would be lost"


class _Trained(nn.Module):
    """A network with its loss on top, so that a call with other weights gives the loss."""

    def __init__(self, network: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.network, self.objective = network, objective

    def forward(self, x: Any, y: Tensor) -> Tensor:
        return self.objective.loss(self.network, x, y)


class Mapped:
    """Networks of one kind, and their training; it draws what ``vmap`` draws, not what ``fit`` does."""

    def __init__(self, members: Sequence[Member], *, objective: Objective, stop_on_divergence: bool = True) -> None:
        self.members, self.recipe, self.epoch = members, members[0].recipe, 0
        self.stop_on_divergence, self.has_stepped = stop_on_divergence, False
        networks = [member.network for member in members]
        self.device = device_of(networks[0])
        self.parts = [
            {name: Split(*moved(tuple(split), self.device)) for name, split in member.parts.items()}
            for member in members
        ]
        self.objective = objective.for_training(self.parts[0]["train"], self.recipe.precision)
        if any(objective.for_training(parts["train"], "float32").ignores for parts in self.parts):
            self.objective = replace(self.objective, ignores=True)
        self.orders = [runtime.generator(member.recipe.seed) for member in members]
        self.parameters, self.buffers = stack_module_state(networks)
        decayed = {id(weight) for weight in weights(networks[0])}
        names = {id(parameter): name for name, parameter in networks[0].named_parameters()}
        self.weights = [self.parameters[names[key]] for key in names if key in decayed]
        others = [self.parameters[names[key]] for key in names if key not in decayed]
        self.optimizer = optimizer_of(self.recipe, self.weights, others)
        self.base = _Trained(copy.deepcopy(networks[0]).train(), self.objective)
        self.step = vmap(grad_and_value(self._loss), randomness="different")
        # vmap draws from PyTorch's own generators, which for each epoch go on where these are.
        self.sources = [runtime.generator(self.recipe.seed, own) for own in {torch.device("cpu"), self.device}]

    def _loss(self, parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Any, y: Tensor) -> Tensor:
        state = {f"network.{name}": value for name, value in {**parameters, **buffers}.items()}
        given = dict(state)
        loss: Tensor = functional_call(self.base, given, (x, y))
        for name, value in buffers.items():
            if given[f"network.{name}"] is not value:  # the network has put another in its place
                raise RuntimeError(_CHANGES.format(name))
        return loss

    def train_one_epoch(self) -> None:
        """Take one step for each batch of a random order of the examples of each network."""
        n = len(self.parts[0]["train"].y)
        orders = torch.stack([torch.randperm(n, generator=generator) for generator in self.orders])
        batches = orders.to(self.device).split(self.recipe.batch_size, dim=1)
        total = torch.zeros(len(self.members), device=self.device)
        with ExitStack() as stack:
            for source in self.sources:
                stack.enter_context(drawing_from(source))
            for step, batch in enumerate(batches):
                factor = decay_factor(self.recipe, epoch=self.epoch, step=step, steps_in_epoch=len(batches))
                for group in self.optimizer.param_groups:
                    group["lr"] = self.recipe.learning_rate * factor
                total += self._take_step(batch)
        self.epoch += 1
        if self.stop_on_divergence:
            for member, loss in zip(self.members, total.tolist(), strict=True):
                check_training_loss(loss, self.epoch, member.recipe, f"networks[{member.index}]: ")

    def _take_step(self, batch: Tensor) -> Tensor:
        taken = [self.objective.batch(own["train"], index) for own, index in zip(self.parts, batch, strict=True)]
        x, y = tree_map(lambda *own: torch.stack(own), *(tuple(split) for split in taken))
        before = {} if self.has_stepped else {name: own.clone() for name, own in self.buffers.items()}
        try:
            gradients, losses = self.step(self.parameters, self.buffers, x, y)
            for name, was in before.items():
                now = self.buffers[name]
                if not bool(((now == was) | now.isnan()).all()):
                    raise RuntimeError(_CHANGES.format(name))
            self.has_stepped = True
        except RuntimeError as error:
            raise ValueError(
                f'networks[{self.members[0].index}] cannot be trained with method="vmap": {error}; use method="auto"'
            ) from error
        for name, parameter in self.parameters.items():
            parameter.grad = gradients[name]
        with torch.no_grad():
            for weight in self.weights if self.recipe.l1 else ():
                weight.grad = None if weight.grad is None else weight.grad.add(weight.sign(), alpha=self.recipe.l1)
            self.optimizer.step()
            for weight in self.weights if self.recipe.max_norm is not None else ():
                norm = weight.flatten(2).norm(dim=2)
                scale = ((self.recipe.max_norm or math.inf) / norm).clamp(max=1.0)
                weight.mul_(scale.view(*norm.shape, *(1,) * (weight.dim() - 2)))
        return torch.as_tensor(losses).detach()

    def evaluate(self) -> None:
        """Add an entry to each history."""
        self.write_back()
        for member, parts in zip(self.members, self.parts, strict=True):
            scores = {name: self.objective.score(member.network, split) for name, split in parts.items()}
            prefix, stop = f"networks[{member.index}]: ", self.stop_on_divergence
            add_scores(member.history, self.epoch, scores, member.recipe, prefix, stop=stop)

    @torch.no_grad()
    def write_back(self) -> None:
        """Give the networks their weights."""
        for k, member in enumerate(self.members):
            for name, parameter in member.network.named_parameters():
                parameter.copy_(self.parameters[name][k])
                parameter.grad = None


def groups_of(members: Sequence[Member]) -> list[list[Member]]:
    """Those that can be trained in one call: of one kind, with as many examples and one recipe but for the seed."""
    groups: dict[Any, list[Member]] = defaultdict(list)
    for member in members:
        reason = _obstacle(member.network)
        if reason is not None:
            raise ValueError(
                f'networks[{member.index}] cannot be trained with method="vmap": {reason}; use method="auto"'
            )
        state = [(name, own.shape, own.dtype, own.device) for name, own in member.network.state_dict().items()]
        examples = tuple(len(part.y) for part in member.parts.values())
        kind = repr(member.network), str([_settings(module) for module in member.network.modules()]), str(state)
        groups[kind, examples, replace(member.recipe, seed=0)].append(member)
    return list(groups.values())


def _settings(module: nn.Module) -> list[Any]:
    """What one network would take from another if they were mapped together: all that is neither parameter nor buffer."""
    plain = settings(module)
    others = [(name, id(value)) for name, value in vars(module).items() if name not in OF_EVERY_MODULE | plain.keys()]
    hooks = (*module._forward_pre_hooks.values(), *module._forward_hooks.values())
    return [type(module), plain, others, [id(hook) for hook in hooks]]


def _obstacle(network: nn.Module) -> str | None:
    if any(isinstance(module, _NormBase) and module.track_running_stats for module in network.modules()):
        return "it has running statistics, which a step changes"
    if own_generators(network):
        return "a layer has a generator of its own"
    if any(not parameter.requires_grad for parameter in network.parameters()):
        return "some of its parameters are frozen"
    if any("forward" in vars(module) for module in network.modules()):
        return "a forward method was replaced, which may reach for weights that are not given to it"
    return None
