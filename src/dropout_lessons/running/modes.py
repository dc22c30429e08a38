"""Modes of a network for a block: evaluation, with some modules that draw; and nothing changed after it."""

from __future__ import annotations

import random
import sys
import warnings
from argparse import Namespace
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from operator import is_
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import vmap

from dropout_lessons.networks.modes import modes_restored, set_modes
from dropout_lessons.running.outputs import version_of

# What a module may keep beside its tensors, and count in training mode.
_PLAIN = frozenset((int, float, bool, str, type(None)))
OF_EVERY_MODULE = frozenset(vars(nn.Module()))


@contextmanager
def frozen(network: nn.Module, drawing: Collection[nn.Module] = ()) -> Iterator[list[nn.Module]]:
    """Evaluation mode, but for modules that draw; no gradients; and afterwards modes as before. Gives the modules.

    Nothing compiled runs, since it may know nothing of hooks, nor anything fused, which may skip modules; and tensors have
    versions, which those of inference mode lack.
    """
    compiles = "torch._dynamo" in sys.modules and hasattr(torch.compiler, "set_stance")  # the latter from torch 2.6 on
    eager = torch.compiler.set_stance("force_eager") if compiles else nullcontext()
    fused = torch.backends.mha.get_fastpath_enabled()  # PyTorch's transformers in evaluation mode
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with eager, torch.inference_mode(False), torch.no_grad(), modes_restored(network) as modules:
            set_modes(modules, training=False)
            set_modes(drawing, training=True)
            yield modules
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


@contextmanager
def other_forwards(
    modules: Iterable[nn.Module], other: Callable[[nn.Module, Callable[..., Any]], Callable[..., Any]]
) -> Iterator[None]:
    """For a block, let modules run what is made of their forward methods, within their hooks and all others."""
    before = [(vars(module), vars(module).get("forward"), module) for module in modules]
    for own, _, module in before:
        own["forward"] = other(module, module.forward)
    try:
        yield
    finally:
        for own, forward, _ in before:
            if forward is None:
                del own["forward"]
            else:
                own["forward"] = forward


@contextmanager
def unchanged(network: nn.Module) -> Iterator[None]:
    """Restore attributes and buffers after a forward pass, which may count itself, or keep what it computed.

    So no pass depends on another one, and no tensor of ``torch.func.vmap`` is left, which is dead outside of it.
    """
    kept, buffers = [], []
    for module in network.modules():
        kept += [(own, dict(own)) for own in (vars(module), module._buffers) if isinstance(own, dict)]
        buffers += [(own, version_of(own), own.clone()) for own in module._buffers.values() if own is not None]
    try:
        yield
    finally:
        for own, before in kept:
            if len(own) != len(before) or not all(map(is_, own.values(), before.values())):
                own.clear()
                own.update(before)
        for buffer, version, value in buffers:
            if version_of(buffer) != version:
                buffer.copy_(value)


def at_once(member: Callable[..., Tensor], *entries: Tensor) -> Tensor:
    """Run a function for all entries at once, without a word on what takes its time."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="There is a performance drop because we have not yet implemented")
        return vmap(member)(*entries)


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
