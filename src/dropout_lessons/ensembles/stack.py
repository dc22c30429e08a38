"""Multilayer perceptrons side by side, and their training."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from dropout_lessons import runtime
from dropout_lessons.datasets import Dataset, Split
from dropout_lessons.layers import Dropout, GaussianDropout
from dropout_lessons.layers.dropout import noise_scale, training_scale
from dropout_lessons.masks import sample_masks
from dropout_lessons.masks.sampling import sample_noise
from dropout_lessons.networks import MLP
from dropout_lessons.running.examples import device_of
from dropout_lessons.training import History, Recipe
from dropout_lessons.training.run import decay_factor, diverged

# Activations that an evaluation works on at a time should fit the processor's cache.
EVALUATION_VALUES = 2**19


@dataclass(eq=False)
class Member:
    """A network of an ensemble, and what it is trained on and by."""

    index: int
    network: nn.Module
    data: Dataset | Split
    parts: dict[str, Split]
    recipe: Recipe
    history: History


def _shared(values: Sequence[float], like: Tensor) -> float | Tensor:
    """One number where all networks have the same, else a tensor (K, 1, 1)."""
    if len(set(values)) == 1:
        return values[0]
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(-1, 1, 1)


def _differs(number: float | Tensor, neutral: float) -> bool:
    return isinstance(number, Tensor) or number != neutral


def _add_(target: Tensor, values: Tensor, scale: float | Tensor) -> None:
    if isinstance(scale, Tensor):
        target.addcmul_(values, scale)
    elif scale:
        target.add_(values, alpha=scale)


class _Parameter:
    """A parameter of every network side by side, with the steps of torch's SGD, Adam or AdamW."""

    def __init__(self, parameters: Sequence[Tensor], recipes: Sequence[Recipe]) -> None:
        self.values = torch.stack([parameter.detach().reshape(-1, parameter.shape[-1]) for parameter in parameters])
        self.gradient = torch.zeros_like(self.values)  # of SGD, the velocity
        self.is_sgd, self.decays_apart = recipes[0].optimizer == "sgd", recipes[0].optimizer == "adamw"
        if not self.is_sgd:
            self.mean, self.square = torch.zeros_like(self.values), torch.zeros_like(self.values)
        self.steps = 0
        is_weight = parameters[0].dim() > 1
        self.rate = self._of(recipes, lambda recipe: recipe.learning_rate)
        self.momentum = self._of(recipes, lambda recipe: float(recipe.momentum) if self.is_sgd else 0.0)
        self.weight_decay = self._of(recipes, lambda recipe: recipe.weight_decay * is_weight)
        self.l1 = self._of(recipes, lambda recipe: recipe.l1 * is_weight)
        self.max_norm = self._of(recipes, lambda recipe: (recipe.max_norm if is_weight else None) or math.inf)

    def _of(self, recipes: Sequence[Recipe], number: Callable[[Recipe], float]) -> float | Tensor:
        return _shared([number(recipe) for recipe in recipes], self.values)

    def add_gradient_of_weights(self, delta: Tensor, inputs: Tensor, factor: float) -> None:
        """Set the gradient to a multiple of what comes back times what went in, plus, for SGD, the velocity's rest."""
        if isinstance(self.momentum, Tensor):
            self.gradient.mul_(self.momentum)
        beta = self.momentum if isinstance(self.momentum, float) else 1.0
        self.gradient.baddbmm_(delta.mT, inputs, beta=beta, alpha=factor)

    def add_gradient_of_biases(self, delta: Tensor) -> None:
        """The same where what went in is 1."""
        self.gradient.mul_(self.momentum).add_(delta.sum(1, keepdim=True))

    def step(self, factor: float | Tensor) -> None:
        """Take a step with the learning rates times a factor, a number or a tensor with one."""
        self.steps += 1
        if self.decays_apart:
            if _differs(self.weight_decay, 0.0):
                self.values.mul_(1 - factor * self.rate * self.weight_decay)
        else:
            _add_(self.gradient, self.values, self.weight_decay)
        if _differs(self.l1, 0.0):
            _add_(self.gradient, self.values.sign(), self.l1)
        if self.is_sgd:
            _add_(self.values, self.gradient, -factor * self.rate)
        else:
            beta1, beta2, epsilon = 0.9, 0.999, 1e-8
            self.mean.lerp_(self.gradient, 1 - beta1)
            self.square.mul_(beta2).addcmul_(self.gradient, self.gradient, value=1 - beta2)
            scale = self.square.sqrt().div_(math.sqrt(1 - beta2**self.steps)).add_(epsilon)
            _add_(self.values, self.mean / scale, -factor / (1 - beta1**self.steps) * self.rate)
        if _differs(self.max_norm, math.inf):
            self.values.mul_((self.max_norm / self.values.norm(dim=2, keepdim=True)).clamp_(max=1.0))


class _Dropout:
    """A dropout layer of every network, whose masks come from a stream for each, or from one for all."""

    def __init__(
        self, layers: Sequence[Dropout], streams: Sequence[torch.Generator], like: Tensor, one: torch.Generator | None
    ) -> None:
        self.one, self.generators = one, _sources(layers, streams)
        self.keep_probs = [layer.keep_prob for layer in layers]
        self.keep_prob = _shared(self.keep_probs, like)
        scales = [training_scale(layer.keep_prob, layer.scaling, like.dtype) for layer in layers]
        self.training_scale = _shared(scales, like)
        # Of the products with what is dropped from; 1 where networks differ, and it is scaled itself.
        self.factor = 1.0 if isinstance(self.training_scale, Tensor) else self.training_scale
        self.test_scale = _shared([layer.keep_prob if layer.scaling == "standard" else 1.0 for layer in layers], like)

    def train_(self, h: Tensor) -> Tensor:
        if min(self.keep_probs) < 1.0:
            if self.one is not None:
                h.mul_(torch.rand(h.shape, device=h.device, generator=self.one) < self.keep_prob)
            else:
                masks = sample_masks(h.shape[1:], self.keep_probs, generators=self.generators, device=h.device)
                h.mul_(masks.view(torch.uint8))  # as in Dropout, faster than by bools
        return h if self.factor != 1.0 else self.scale_(h)

    def scale_(self, h: Tensor) -> Tensor:
        return h.mul_(self.training_scale) if _differs(self.training_scale, 1.0) else h

    def test(self, h: Tensor) -> Tensor:
        return h * self.test_scale if _differs(self.test_scale, 1.0) else h

    def gradient(self, above: Tensor, sent: Tensor) -> Tensor:
        """What comes back to the units' inputs; what they sent on is positive where a unit is active and kept."""
        return self.scale_(torch.ops.aten.threshold_backward(above, sent, 0))


class _GaussianDropout:
    """The same of Gaussian noise, which is kept for the way back."""

    factor = 1.0

    def __init__(
        self,
        layers: Sequence[GaussianDropout],
        streams: Sequence[torch.Generator],
        like: Tensor,
        one: torch.Generator | None,
    ) -> None:
        self.one, self.generators = one, _sources(layers, streams)
        self.scales = [noise_scale(layer.keep_prob, like.dtype) for layer in layers]
        self.scale = _shared(self.scales, like)

    def train_(self, h: Tensor) -> Tensor:
        if self.one is not None:
            noise = torch.randn(h.shape, device=h.device, generator=self.one)
        else:  # a layer without noise draws none
            drawn = zip(h, self.scales, self.generators, strict=True)
            noise = torch.stack(
                [
                    sample_noise(own, generator=source) if scale else torch.zeros_like(own)
                    for own, scale, source in drawn
                ]
            )
        self.noise = noise.mul_(self.scale).add_(1)
        return h.mul_(self.noise)

    def test(self, h: Tensor) -> Tensor:
        return h

    def gradient(self, above: Tensor, sent: Tensor) -> Tensor:
        return above.mul_(self.noise).mul_(sent != 0)


def _sources(
    layers: Sequence[Dropout | GaussianDropout], streams: Sequence[torch.Generator]
) -> Sequence[torch.Generator]:
    """Each layer's own generator, or else its network's stream."""
    own = (None if layer.generator is torch.default_generator else layer.generator for layer in layers)
    return [stream if generator is None else generator for generator, stream in zip(own, streams, strict=True)]


class _Examples:
    """A part of the data of every network; tensors that networks share are kept once."""

    def __init__(self, splits: Sequence[Split], device: torch.device) -> None:
        distinct = {(id(split.x), id(split.y)): split for split in splits}
        self.x, self.y = (
            tensors[0].to(device) if len(tensors) == 1 else torch.cat([tensor.to(device) for tensor in tensors])
            for tensors in zip(*distinct.values(), strict=True)
        )
        self.number, self.shared = len(splits[0].y), len(distinct) == 1
        place = {key: i for i, key in enumerate(distinct)}
        starts = [self.number * place[id(split.x), id(split.y)] for split in splits]
        self.starts = torch.tensor(starts, device=device).unsqueeze(1)

    def take(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Examples by number, the same ``(batch,)`` for all networks or ``(stack, batch)``."""
        stack = len(self.starts)
        if index.dim() == 1 and self.shared:
            return self.x[index].expand(stack, -1, -1), self.y[index].expand(stack, -1)
        index = (index + self.starts).flatten()
        return self.x.index_select(0, index).view(stack, -1, self.x.shape[1]), self.y[index].view(stack, -1)


class _Recorded:
    """A step on a GPU, recorded and then replayed as a whole: starting its hundred kernels takes longer than what they do.

    The first steps are taken as they are, since libraries set themselves up in them, which cannot be recorded; and so is a
    step of another number of examples than the first had, such as the last of an epoch.
    """

    FIRST = 3

    def __init__(self, step: Callable[[Tensor, float | Tensor], Tensor], generator: torch.Generator) -> None:
        self.step, self.generator = step, generator
        self.taken = 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, index: Tensor, factor: float) -> Tensor:
        if not self.taken:
            self.index, self.factor = torch.empty_like(index), torch.zeros((), device=index.device)
        self.taken += 1
        if self.taken <= self.FIRST or index.shape != self.index.shape:
            return self.step(index, factor)
        self.index.copy_(index)
        self.factor.fill_(factor)
        if self.graph is None:
            self.graph = torch.cuda.CUDAGraph()
            self.graph.register_generator_state(self.generator)
            with torch.cuda.graph(self.graph):
                self.loss = self.step(self.index, self.factor)
        self.graph.replay()
        return self.loss


class Stack:
    """Multilayer perceptrons of one shape side by side, and their training."""

    def __init__(self, members: Sequence[Member], *, stop_on_divergence: bool = True) -> None:
        self.members, self.stop_on_divergence = members, stop_on_divergence
        self.networks = [cast(MLP, member.network) for member in members]
        self.recipes = [member.recipe for member in members]
        first = self.networks[0]
        self.device, self.epoch = device_of(first), 0
        # The streams of fit: one for the order, and one for the masks of layers without a generator of their own.
        self.orders = [runtime.generator(recipe.seed) for recipe in self.recipes]
        streams = [runtime.generator(recipe.seed, self.device) for recipe in self.recipes]
        self.parameters = [
            _Parameter(parameters, self.recipes)
            for parameters in zip(*(network.parameters() for network in self.networks), strict=True)
        ]
        self.layers = list(zip(self.parameters[::2], self.parameters[1::2], strict=True))
        dropouts = [
            [cast(Any, network.get_submodule(f"{name}_dropout")) for network in self.networks]
            for name in ("input", *first.hidden_names)
        ]
        one = None
        if self.device.type == "cuda" and all(layer.generator is None for layers in dropouts for layer in layers):
            # Where fit draws other masks anyway, one draw for all networks: its seed follows from theirs.
            seeds = ",".join(str(recipe.seed) for recipe in self.recipes)
            one = runtime.generator(self.recipes[0].seed, self.device, stream=f"masks of {seeds}")
        kind = _Dropout if type(first.input_dropout) is Dropout else _GaussianDropout
        self.dropouts = [kind(layers, streams, first.output.weight, one) for layers in dropouts]
        self.take_step: Callable[[Tensor, float], Tensor] = self._take_step
        # Adam counts its steps where a recording does not see it.
        if one is not None and self.recipes[0].optimizer == "sgd":
            self.take_step = _Recorded(self._take_step, one)
        self.parts = {
            name: _Examples([member.parts[name] for member in members], self.device) for name in members[0].parts
        }

    @torch.no_grad()
    def train_one_epoch(self) -> None:
        """Take one step for each batch of a random order of the examples of each network."""
        recipe, train = self.recipes[0], self.parts["train"]
        total = torch.zeros(len(self.members), device=self.device, dtype=self.parameters[0].values.dtype)
        order = torch.stack([torch.randperm(train.number, generator=generator) for generator in self.orders])
        batches = order.to(self.device).split(recipe.batch_size, dim=1)
        for step, batch in enumerate(batches):
            factor = decay_factor(recipe, epoch=self.epoch, step=step, steps_in_epoch=len(batches))
            total += self.take_step(batch, factor)
        self.epoch += 1
        self._check_finite("the training loss", total)

    def _forward(self, layer: int, h: Tensor) -> Tensor:
        weight, bias = self.layers[layer]
        return torch.baddbmm(bias.values, h, weight.values.mT, alpha=self.dropouts[layer].factor)

    def _take_step(self, index: Tensor, factor: float | Tensor) -> Tensor:
        """Take a step on these examples, and return the losses that the networks had there."""
        x, y = self.parts["train"].take(index)
        inputs = [self.dropouts[0].train_(x)]
        for dropout in self.dropouts[1:]:
            inputs.append(dropout.train_(self._forward(len(inputs) - 1, inputs[-1]).relu_()))
        log_probs = self._forward(len(inputs) - 1, inputs[-1]).log_softmax(2)
        targets = y.unsqueeze(2)
        loss = -log_probs.gather(2, targets).mean((1, 2))
        # The gradient of the loss with respect to what comes out of a layer, from the last to the first. A layer's
        # weights are updated as soon as they have passed it on.
        delta = log_probs.exp_()
        delta.scatter_add_(2, targets, torch.full_like(targets, -1, dtype=delta.dtype)).div_(y.shape[1])
        for i in reversed(range(len(self.layers))):
            weight, bias = self.layers[i]
            below = torch.bmm(delta, weight.values) if i else None
            weight.add_gradient_of_weights(delta, inputs[i], self.dropouts[i].factor)
            weight.step(factor)
            bias.add_gradient_of_biases(delta)
            bias.step(factor)
            if below is not None:
                delta = self.dropouts[i].gradient(below, inputs[i])
        return loss

    @torch.no_grad()
    def evaluate(self) -> None:
        """Add an entry to each history."""
        for member in self.members:
            member.history.epoch.append(self.epoch)
        for name, part in self.parts.items():
            loss, wrong = self._score(part)
            self._check_finite(f"the {name} loss", loss)
            for k, member in enumerate(self.members):
                getattr(member.history, f"{name}_loss").append(loss[k].item())
                getattr(member.history, f"{name}_error").append(wrong[k].item())

    def _score(self, part: _Examples) -> tuple[Tensor, Tensor]:
        stack, widest = len(self.members), max(self.networks[0].sizes)
        loss = torch.zeros(stack, dtype=torch.float64, device=self.device)
        wrong = torch.zeros(stack, dtype=torch.int64, device=self.device)
        chunk = max(EVALUATION_VALUES // (stack * widest), 100)
        for index in torch.arange(part.number, device=self.device).split(chunk):
            h, y = part.take(index)
            for i, ((weight, bias), dropout) in enumerate(zip(self.layers, self.dropouts, strict=True)):
                h = torch.baddbmm(bias.values, dropout.test(h), weight.values.mT)
                if i < len(self.layers) - 1:
                    h.relu_()
            loss -= h.log_softmax(2).gather(2, y.unsqueeze(2)).sum((1, 2))
            wrong += (h.argmax(2) != y).sum(1)
        return loss / part.number, wrong.double() / part.number

    def _check_finite(self, what: str, losses: Tensor) -> None:
        for member, loss in zip(self.members, losses.tolist(), strict=True):
            if self.stop_on_divergence and not math.isfinite(loss):
                error = diverged(what, loss, epoch=self.epoch, recipe=member.recipe)
                raise FloatingPointError(f"networks[{member.index}]: {error}")

    @torch.no_grad()
    def write_back(self) -> None:
        """Give the networks their weights."""
        for k, network in enumerate(self.networks):
            for parameter, stacked in zip(network.parameters(), self.parameters, strict=True):
                parameter.copy_(stacked.values[k].view_as(parameter))
                parameter.grad = None
