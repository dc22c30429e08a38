"""Modes of a network for a block: evaluation, with some modules that draw; and nothing changed after it."""

from __future__ import annotations

import random
import sys
import warnings
from argparse import Namespace
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from operator import is_
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from dropout_lessons.networks import evaluating

# What a module may keep beside its tensors, and count in training mode.
_PLAIN = frozenset((int, float, bool, str, type(None)))
OF_EVERY_MODULE = frozenset(vars(nn.Module()))


@contextmanager
def frozen(network: nn.Module, drawing: Collection[nn.Module] = ()) -> Iterator[None]:
    """Evaluation mode, but for modules that draw; no gradients; and afterwards modes and random state as before.

    Nothing compiled runs, since it may know nothing of hooks, nor anything fused, which may skip modules; and tensors have
    versions, which those of inference mode lack.
    """
    with ExitStack() as stack:
        if "torch._dynamo" in sys.modules and hasattr(torch.compiler, "set_stance"):  # the latter from torch 2.6 on
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(unfused())
        for context in (evaluating(network), torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings()):
            stack.enter_context(context)
        warnings.filterwarnings("ignore", message="There is a performance drop because we have not yet implemented")
        if drawing:
            stack.enter_context(unchanged(drawing))
            for module in drawing:
                module.training = True
        yield


@contextmanager
def unfused() -> Iterator[None]:
    """Keep PyTorch's transformers from the fast path of evaluation mode, which calls none of the modules inside."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@contextmanager
def attributes_kept(network: nn.Module) -> Iterator[None]:
    """Restore the attributes to which modules assign tensors: a tensor of ``torch.func.vmap`` is dead outside of it."""
    kept = [(own, dict(own)) for module in network.modules() for own in (vars(module), module._buffers)]
    try:
        yield
    finally:
        for own, before in kept:
            if len(own) != len(before) or not all(map(is_, own.values(), before.values())):
                for name in [name for name, value in own.items() if isinstance(value, Tensor)]:
                    if name in before:
                        own[name] = before[name]
                    else:
                        del own[name]


@contextmanager
def unchanged(modules: Collection[nn.Module]) -> Iterator[None]:
    """Restore buffers and plain attributes, such as counters, that modules may change in training mode."""
    buffers = [(buffer, buffer.clone()) for module in modules for buffer in module.buffers(recurse=False)]
    attributes = [(module, plain_attributes(module)) for module in modules]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, before in buffers:
                if not torch.equal(buffer, before):
                    buffer.copy_(before)
        for module, own in attributes:
            for name, value in own.items():
                if module.__dict__.get(name) != value:
                    module.__dict__[name] = value


def plain_attributes(module: nn.Module) -> dict[str, Any]:
    """A module's numbers, flags and words, other than its mode."""
    return {
        name: value for name, value in vars(module).items() if type(value) in _PLAIN and name not in OF_EVERY_MODULE
    }


def settings_of(network: nn.Module) -> Any:
    """What may decide which calls of dropout a forward pass makes: modules, their hooks, and what they keep beside tensors."""
    return tuple(
        (
            id(module),
            type(module),
            id(module.__dict__.get("forward")),
            *module._forward_pre_hooks,
            *module._forward_hooks,
            settings(module),
        )
        for module in network.modules()
    )


def settings(module: nn.Module) -> dict[str, Any]:
    """What a module keeps beside its tensors, as far as that can be compared: numbers, flags and words."""
    own: dict[str, Any] = {}
    for name, value in vars(module).items():
        if name in OF_EVERY_MODULE:
            continue
        kind = type(value)
        if kind in _PLAIN:
            own[name] = value
        elif kind in (tuple, list) or name == "config":
            own[name] = repr(value)
        elif isinstance(value, (dict, SimpleNamespace, Namespace)):
            own[name] = _plain_of(value)
    return own


def _plain_of(value: Any, depth: int = 3) -> Any:
    """Numbers, flags and words in dictionaries and namespaces, to some depth; of all else the type."""
    if isinstance(value, (SimpleNamespace, Namespace)):
        value = vars(value)
    if isinstance(value, dict) and depth:
        return {key: _plain_of(own, depth - 1) for key, own in value.items()}
    return value if type(value) in _PLAIN else type(value)


@contextmanager
def drawing_from(generator: torch.Generator | None) -> Iterator[None]:
    """Let PyTorch's global generator of the device go on where ``generator`` is, and the other way round after the block."""
    if generator is None:
        yield
        return
    cuda = generator.device.type == "cuda"
    get, put = (
        (torch.cuda.get_rng_state, torch.cuda.set_rng_state) if cuda else (torch.get_rng_state, torch.set_rng_state)
    )
    where: tuple[Any, ...] = (generator.device,) if cuda else ()
    before: Tensor = get(*where)
    put(generator.get_state(), *where)
    try:
        yield
    finally:
        generator.set_state(get(*where))
        put(before, *where)


class TorchGenerators:
    """Where PyTorch's global generators are."""

    def __init__(self) -> None:
        self.cpu = torch.get_rng_state()
        self.cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []

    def has_moved(self) -> bool:
        """Whether one of them has been drawn from."""
        now = TorchGenerators()
        return not all(map(torch.equal, (self.cpu, *self.cuda), (now.cpu, *now.cuda)))

    def restore(self) -> None:
        """Put them back."""
        torch.set_rng_state(self.cpu)
        if self.cuda:
            torch.cuda.set_rng_state_all(self.cuda)


def other_random_states() -> tuple[Any, ...]:
    """Of Python's and of NumPy's global generators."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return (random.getstate(),)
    kind, keys, *rest = numpy.random.get_state()
    return random.getstate(), (kind, keys.tobytes(), *rest)


@contextmanager
def random_states_kept() -> Iterator[None]:
    """Restore every global generator after the block: PyTorch's, Python's and NumPy's."""
    torch_own, own, numpy = TorchGenerators(), random.getstate(), sys.modules.get("numpy")
    of_numpy = numpy.random.get_state() if numpy is not None else None
    try:
        yield
    finally:
        torch_own.restore()
        random.setstate(own)
        if numpy is not None:
            numpy.random.set_state(of_numpy)
