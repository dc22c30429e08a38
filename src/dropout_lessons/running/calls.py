"""The dropout calls of a forward pass, as they happen: layers of the dropout family and calls of functional dropout."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd
from torch.overrides import TorchFunctionMode

from dropout_lessons.layers import Dropout, GaussianDropout, SpatialDropout
from dropout_lessons.running.modes import frozen, other_forwards

# What one entry of the mask covers: an entry of the input, or a channel of it in one of PyTorch's readings of the
# axes. "joint" is a mask that only the layer itself can draw, "noise" is no mask, and "alpha" cannot be replaced.
_FORWARDS: dict[Callable[..., Tensor], str] = {
    nn.Dropout.forward: "unit",
    nn.Dropout1d.forward: "channel1d",
    nn.Dropout2d.forward: "channel",
    nn.Dropout3d.forward: "channel3d",
    nn.AlphaDropout.forward: "alpha",
    nn.FeatureAlphaDropout.forward: "alpha",
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
class DropoutCall:
    """One call of dropout, as it happens.

    Attributes:
        index: Its place among the calls of one forward pass.
        module: The layer, or None for a functional call.
        owner: The innermost module that makes the call, where owners are followed; the layer itself if it is one.
        kind: What one entry of its mask covers.
        keep_prob: Probability of keeping in training mode, as far as this pass tells.
        is_on: Whether it drops in the mode that it was called in.
        x: What is dropped.
        unmasked: What evaluation mode makes of ``x``.
        writes: Whether it is in place, and training mode writes into ``x``.
    """

    index: int
    module: nn.Module | None
    owner: nn.Module | None
    kind: str
    keep_prob: float
    is_on: bool
    x: Tensor
    unmasked: Tensor
    writes: bool = False

    @property
    def signature(self) -> tuple[int | None, str, float]:
        """What tells it from other calls: the layer, the kind and the probability. Nothing in it refers to the layer."""
        return None if self.module is None else id(self.module), self.kind, self.keep_prob

    @property
    def mask_shape(self) -> tuple[int, ...]:
        """Shape of the mask that training mode would draw; it broadcasts to that of ``x``."""
        shape = tuple(self.x.shape)
        if self.kind == "unit" or len(shape) < 2 or self.kind in ("joint", "noise", "alpha"):
            return shape
        # nn.Dropout1d and 3d read an input of fewer axes than theirs as one example, so that its first axis is the channels.
        leading = 1 if len(shape) != {"channel1d": 3, "channel3d": 5}.get(self.kind, len(shape)) else 2
        return shape[:leading] + (1,) * (len(shape) - leading)


class _Functional(TorchFunctionMode):
    """Turns calls such as ``F.dropout(x, 0.5, self.training)`` into calls of ``answer``."""

    def __init__(
        self, answer: Callable[[str, float, bool, Tensor, bool], Tensor], is_inside_a_layer: Callable[[], bool]
    ):
        self.answer = answer
        self.is_inside_a_layer = is_inside_a_layer

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        kind = _FUNCTIONS.get(func) if callable(func) else None
        if kind is None or self.is_inside_a_layer():
            return func(*args, **kwargs)
        given = dict(zip(("input", "p", "training", "inplace"), args, strict=False)) | kwargs
        training = bool(
            given.get("training", given.get("train", func not in (F.alpha_dropout, F.feature_alpha_dropout)))
        )
        writes = given.get("inplace", func.__name__.endswith("_"))
        return self.answer(kind, 1 - given.get("p", 0.5), training, given["input"], writes)


class Interception:
    """While it is active, the network is in evaluation mode, and every call of dropout returns what ``answer`` says.

    Args:
        network: Whose calls are meant.
        answer: What a call returns.
        functional: Whether to look for functional dropout, which costs time at every operation.
        owners: Whether to follow which module is at work.
        drawing: Modules that are in training mode, since they draw by themselves.

    Attributes:
        position: How many calls there were so far in this forward pass.
    """

    def __init__(
        self,
        network: nn.Module,
        answer: Callable[[DropoutCall], Tensor],
        *,
        functional: bool = True,
        owners: bool = False,
        drawing: Collection[nn.Module] = (),
    ) -> None:
        self.network = network
        self.answer = answer
        self.functional = functional
        self.owners = owners
        self.drawing = drawing
        self.position = 0
        self._inside = 0
        self._at_work: list[nn.Module] = []
        self.called: set[nn.Module] = set()  # where owners are followed

    @property
    def owner(self) -> nn.Module:
        """The innermost module at work, where owners are followed."""
        return self._at_work[-1] if self._at_work else self.network

    @contextmanager
    def active(self) -> Iterator[None]:
        with ExitStack() as stack:
            modules = stack.enter_context(frozen(self.network, self.drawing))
            if self.owners:
                for module in modules:
                    stack.callback(module.register_forward_pre_hook(self._start).remove)
                    stack.callback(module.register_forward_hook(self._finish).remove)
            layers = {module: kind for module in modules if (kind := kind_of(module)) is not None}
            stack.enter_context(other_forwards(layers, lambda layer, own: self._layer(layer, layers[layer], own)))
            if self.functional:
                stack.enter_context(_Functional(self._function, self.is_inside_a_layer))
            yield

    def restart(self) -> None:
        """Say that a new forward pass begins."""
        self.position = self._inside = 0
        self._at_work.clear()

    def is_inside_a_layer(self) -> bool:
        """Whether a layer of the dropout family is at work."""
        return self._inside > 0

    def _start(self, module: nn.Module, args: Any) -> None:
        self._at_work.append(module)
        self.called.add(module)

    def _finish(self, module: nn.Module, args: Any, output: Any) -> None:
        self._at_work.pop()

    def _layer(self, layer: Any, kind: str, forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """What a layer of the dropout family runs in place of its forward method."""
        is_ours = isinstance(layer, (Dropout, GaussianDropout))

        def dropped(*args: Any, **kwargs: Any) -> Tensor:
            place = self.position
            self.position += 1
            if layer.training:
                layer.training = False  # the network may have said layer.train() in its forward pass
            self._inside += 1
            unmasked = forward(*args, **kwargs)
            self._inside -= 1
            if (args[1:] or (kwargs.get("mask"),))[0] is not None:  # the network's own: a product, which draws nothing
                self.position = place
                return unmasked
            x = args[0] if args else next(iter(kwargs.values()))
            keep_prob = layer.keep_prob if is_ours else 1 - layer.p
            writes = getattr(layer, "inplace", False)
            return self.answer(DropoutCall(place, layer, layer, kind, keep_prob, True, x, unmasked, writes))

        return dropped

    def _function(self, kind: str, keep_prob: float, is_on: bool, x: Tensor, writes: bool) -> Tensor:
        self.position += 1
        owner = self.owner if self.owners else None
        return self.answer(DropoutCall(self.position - 1, None, owner, kind, keep_prob, is_on, x, x, writes))


def kind_of(module: nn.Module) -> str | None:
    """What one entry of a layer's mask covers; None of all other modules, and of a subclass with a ``forward`` of its own."""
    if isinstance(module, GaussianDropout):
        return "noise"
    if isinstance(module, Dropout):
        kinds: dict[Any, str] = {Dropout.sample_mask: "unit", SpatialDropout.sample_mask: "channel"}
        return kinds.get(type(module).sample_mask, "joint")
    return _FORWARDS.get(type(module).forward) if isinstance(module, _DropoutNd) else None


@contextmanager
def without_dropout(network: nn.Module) -> Iterator[None]:
    """Evaluation mode, with functional dropout that is always on switched off too."""
    with Interception(network, lambda call: call.unmasked).active():
        yield
