"""Find the dropout calls of any network, and put masks in their place.

A *site* is one call of dropout in a forward pass. Sites are found by running the network, so they are what the network
does and not what its attributes say: a module that is called twice is two sites, and one that is not called is none.
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dropout_lessons.layers import Dropout, GaussianDropout, SpatialDropout
from dropout_lessons.layers.dropout import training_scale
from dropout_lessons.masks import sample_mask

# What one entry of the mask covers: an entry of the input, or a channel of it in one of PyTorch's readings of the
# axes. "own" is a mask that only the layer itself can draw, "noise" is no mask, and "alpha" cannot be replaced.
_MODULES: dict[type[nn.Module], str] = {
    nn.Dropout: "unit",
    nn.Dropout1d: "channel1d",
    nn.Dropout2d: "channel",
    nn.Dropout3d: "channel3d",
    nn.AlphaDropout: "alpha",
    nn.FeatureAlphaDropout: "alpha",
}
_FUNCTIONS: dict[Callable[..., Tensor], str] = {
    F.dropout: "unit",
    F.dropout1d: "channel1d",
    F.dropout2d: "channel",
    F.dropout3d: "channel3d",
    F.alpha_dropout: "alpha",
    F.feature_alpha_dropout: "alpha",
    torch.dropout: "unit",
    torch.dropout_: "unit",
    torch.feature_dropout: "channel",
    torch.feature_dropout_: "channel",
    torch.alpha_dropout: "alpha",
    torch.alpha_dropout_: "alpha",
    torch.feature_alpha_dropout: "alpha",
    torch.feature_alpha_dropout_: "alpha",
}


@dataclass(frozen=True, eq=False)
class Call:
    """One call of dropout, as it happens.

    Attributes:
        index: Its place among the calls of one forward pass.
        module: The layer, or None for a functional call.
        kind: What one entry of its mask covers.
        keep_prob: Probability of keeping.
        x: What is dropped.
        unmasked: What evaluation mode makes of ``x``.
    """

    index: int
    module: nn.Module | None
    kind: str
    keep_prob: float
    x: Tensor
    unmasked: Tensor

    @property
    def scale(self) -> float:
        """Factor of what is kept."""
        if self.keep_prob == 0:
            return 0.0
        scaling = self.module.scaling if isinstance(self.module, Dropout) else "inverted"
        return training_scale(self.keep_prob, scaling, self.x.dtype)

    @property
    def mask_shape(self) -> tuple[int, ...]:
        """Shape of the mask that training mode would draw; it broadcasts to that of ``x``."""
        shape = tuple(self.x.shape)
        if self.kind == "unit" or len(shape) < 2 or self.kind in ("own", "noise", "alpha"):
            return shape
        # nn.Dropout1d and 3d read an input with one axis less as one example, so that its first axis is the channels.
        unbatched = (self.kind, len(shape)) in (("channel1d", 2), ("channel3d", 4))
        leading = 1 if unbatched else 2
        return shape[:leading] + (1,) * (len(shape) - leading)


@dataclass(frozen=True, eq=False)
class Site:
    """One call of dropout in every forward pass, under its name.

    Attributes:
        call: What was seen in a forward pass of a few examples.
        name: The module's name, or the one declared for a functional call.
        batch_axis: Axis of the mask that grows with the examples; None for a mask that they share.
        rows: Length of the batch axis for one example.
    """

    call: Call
    name: str
    batch_axis: int | None
    rows: int

    @property
    def index(self) -> int:
        return self.call.index

    @property
    def is_random(self) -> bool:
        return 0 < self.call.keep_prob < 1

    def mask_shape(self, examples: int) -> tuple[int, ...]:
        return self._scaled(self.call.mask_shape, examples)

    @property
    def n_units(self) -> int:
        """Entries of the mask of one example."""
        return math.prod(self.mask_shape(1))

    def _scaled(self, shape: Sequence[int], examples: int) -> tuple[int, ...]:
        shape = list(shape)
        if self.batch_axis is not None:
            shape[self.batch_axis] = self.rows * examples
        return tuple(shape)

    def draw(self, examples: int, generator: torch.Generator) -> Tensor:
        """Draw one member's masks for some examples, as bytes, or its noise, as the network's floats."""
        call = self.call
        if call.kind in ("unit", "channel", "channel1d", "channel3d"):
            return sample_mask(self.mask_shape(examples), call.keep_prob, generator=generator).view(torch.uint8)
        layer = copy.copy(call.module)
        assert isinstance(layer, (Dropout, GaussianDropout))
        layer.generator = generator  # of the copy: the network's own layer keeps, and does not use, its generator
        like = torch.ones((), dtype=call.x.dtype, device=generator.device)
        like = like.expand(self._scaled(call.x.shape, examples))
        if isinstance(layer, GaussianDropout):
            layer.training = True
            noise: Tensor = layer(like)
            return noise
        return layer.sample_mask(like).view(torch.uint8)


def multiply(call: Call, factor: Tensor | None) -> Tensor:
    """Drop ``call.x``: bytes are a mask, floats are a factor, and None drops everything."""
    x = call.x
    if factor is None:
        return torch.zeros_like(x)
    if factor.dtype != torch.uint8 or call.scale == 1.0:
        return x * factor
    if torch._C._functorch.is_batchedtensor(x):
        return (x * factor).mul_(call.scale)
    return (x * call.scale) * factor  # the members share x: scale it once


class _Functional(TorchFunctionMode):
    """Turns calls such as ``F.dropout(x, 0.5, self.training)`` into calls of ``answer``."""

    def __init__(self, answer: Callable[[str, float, Tensor], Tensor], is_inside_a_layer: Callable[[], bool]) -> None:
        self.answer = answer
        self.is_inside_a_layer = is_inside_a_layer

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        kind = _FUNCTIONS.get(func) if callable(func) else None
        if kind is None or self.is_inside_a_layer():
            return func(*args, **kwargs)
        x, drop_prob, *_ = (*args, *(kwargs[key] for key in ("input", "p") if key in kwargs), 0.5)
        return self.answer(kind, 1 - drop_prob, x)


class Interception:
    """While it lasts, every call of dropout returns what ``answer`` says.

    Attributes:
        position: How many calls there were so far in this forward pass.
    """

    def __init__(self, network: nn.Module, answer: Callable[[Call], Tensor], *, functional: bool) -> None:
        self.network = network
        self.answer = answer
        self.functional = functional
        self.position = 0
        self._inside = 0

    @contextmanager
    def active(self) -> Iterator[Interception]:
        with ExitStack() as stack:
            for module in self.network.modules():
                if _is_dropout(module):
                    stack.callback(module.register_forward_pre_hook(self._enter).remove)
                    # Before the module's own hooks, which are to see what is dropped.
                    leave = module.register_forward_hook(self._leave, prepend=True, with_kwargs=True)
                    stack.callback(leave.remove)
            if self.functional:
                stack.enter_context(_Functional(self._function, lambda: self._inside > 0))
            yield self

    def restart(self) -> None:
        """Say that a new forward pass begins."""
        self.position = self._inside = 0

    def _enter(self, module: nn.Module, args: Any) -> None:
        self._inside += 1
        self.position += 1

    def _leave(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], unmasked: Tensor) -> Tensor:
        self._inside -= 1
        x = args[0] if args else next(iter(kwargs.values()))
        own = isinstance(module, (Dropout, GaussianDropout))
        keep_prob = module.keep_prob if own else 1 - module.p
        return self.answer(Call(self.position - 1, module, _kind(module), keep_prob, x, unmasked))

    def _function(self, kind: str, keep_prob: float, x: Tensor) -> Tensor:
        self.position += 1
        return self.answer(Call(self.position - 1, None, kind, keep_prob, x, x))


def _is_dropout(module: nn.Module) -> bool:
    # What a subclass of PyTorch's layers does in a forward method of its own is not known, only its functional calls are.
    known = any(isinstance(module, layer) and type(module).forward is layer.forward for layer in _MODULES)
    return known or isinstance(module, (Dropout, GaussianDropout))


def _kind(module: nn.Module) -> str:
    if isinstance(module, GaussianDropout):
        return "noise"
    if isinstance(module, Dropout):
        kinds: dict[Any, str] = {Dropout.sample_mask: "unit", SpatialDropout.sample_mask: "channel"}
        return kinds.get(type(module).sample_mask, "own")
    return next(kind for layer, kind in _MODULES.items() if isinstance(module, layer))


def find_sites(network: nn.Module, few: Sequence[Call], more: Sequence[Call], functional: Sequence[str]) -> list[Site]:
    """Name the calls of dropout seen in forward passes of two and of three examples, and find their batch axes."""
    if isinstance(functional, str):
        raise ValueError(f"functional must be a sequence of names, got {functional!r}; write ({functional!r},)")
    functions = [call for call in few if call.module is None]
    if len(functional) != len(functions) and (functional or any(call.keep_prob < 1 for call in functions)):
        example = ", ".join(f'"name{i + 1}"' for i in range(len(functions))) + ("," if len(functions) == 1 else "")
        fix = f"declare them in the order of the forward pass, functional=({example})" if functions else "leave it out"
        raise ValueError(
            f"functional names {len(functional)} calls of functional dropout, {tuple(functional)}, but a forward pass "
            f"has {len(functions)}; {fix}"
        )
    if [(c.module, c.kind, c.x.dim()) for c in few] != [(c.module, c.kind, c.x.dim()) for c in more]:
        raise ValueError(
            "network calls dropout in a different way for 2 and for 3 examples; every forward pass must make the same calls"
        )
    names: dict[nn.Module, str] = {module: name for name, module in network.named_modules()}
    declared = iter(functional)
    times: Counter[str] = Counter()
    sites = []
    for call, other in zip(few, more, strict=True):
        if call.module is None and not functional:
            continue
        name = next(declared) if call.module is None else names[call.module] or "network"
        times[name] += 1
        name = name if times[name] == 1 else f"{name} (call {times[name]})"
        axes = [i for i, (a, b) in enumerate(zip(call.mask_shape, other.mask_shape, strict=True)) if a != b]
        axis = axes[0] if axes else None
        rows = 1 if axis is None else other.mask_shape[axis] - call.mask_shape[axis]
        if len(axes) > 1 or (axis is not None and call.mask_shape[axis] != 2 * rows):
            raise ValueError(
                f"network gives dropout {name!r} shape {tuple(call.x.shape)} for 2 examples and {tuple(other.x.shape)} "
                "for 3; one axis must be proportional to the number of examples"
            )
        sites.append(Site(call, name, axis, rows))
    return sites


def choose_sites(sites: Sequence[Site], layers: Sequence[str] | None) -> list[Site]:
    """Return the sites that are to be masked: those named, or all."""
    if not sites:
        raise ValueError(
            "network has no dropout: no layer of dropout_lessons.layers or torch.nn (Dropout, Dropout1d, 2d, 3d) is called "
            "in its forward pass, and no call of functional dropout. Dropout inside nn.LSTM, nn.GRU, nn.RNN and "
            "nn.MultiheadAttention cannot be masked"
        )
    if layers is None:
        chosen = list(sites)
    else:
        if isinstance(layers, str):
            raise ValueError(f"layers must be a sequence of names, got {layers!r}; write [{layers!r}]")
        known = [site.name for site in sites]
        unknown = [name for name in layers if name not in known]
        if unknown or not layers:
            raise ValueError(f"layers must name dropout layers of the network, got {list(layers)}; there are {known}")
        chosen = [site for site in sites if site.name in layers]
    chosen = [site for site in chosen if site.call.keep_prob < 1]
    alpha = [site.name for site in chosen if site.call.kind == "alpha"]
    if alpha:
        raise ValueError(
            f"network has alpha dropout, {alpha}, which does not set units to zero and cannot be masked; name the other "
            "sites with layers=[...], and it stays in evaluation mode"
        )
    return chosen


def check_enumerable(sites: Sequence[Site]) -> None:
    """Say which sites' masks are no independent bits."""
    for site in sites:
        if site.call.kind in ("own", "noise"):
            layer = type(site.call.module).__name__
            why = (
                "multiplies by Gaussian noise"
                if site.call.kind == "noise"
                else "draws masks whose entries depend on each other"
            )
            raise ValueError(
                f"{layer} {site.name!r} {why}, so its subnetworks cannot be enumerated; use monte_carlo_average, or "
                "leave it in evaluation mode by naming other sites in layers=[...]"
            )
