"""Forward passes cut short, and what lies below a point recorded once and replayed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from dropout_lessons.running.calls import Interception
from dropout_lessons.running.examples import Given
from dropout_lessons.running.outputs import cloned, versions_of


class ReachedError(BaseException):
    """Ends a forward pass early. Not an Exception, so that no network catches it."""

    def __init__(self, x: Any) -> None:
        super().__init__()
        self.x = x


@dataclass(eq=False)
class Record:
    """What one module returned, and how many calls of dropout there had been by then."""

    module: nn.Module
    output: Any
    position: int


@contextmanager
def recording(network: nn.Module, interception: Interception) -> Iterator[list[Record]]:
    """Keep the outputs of the outermost modules that finish, and do not write into what they are given."""
    records: list[Record] = []
    started: list[tuple[int, Any]] = []

    def enter(module: nn.Module, args: Any, kwargs: Any) -> None:
        started.append((len(records), versions_of((args, kwargs))))

    def leave(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        first, versions = started.pop()
        # As nn.ReLU(inplace=True) does: it runs again, since others may hold what it wrote into. So does what the network
        # takes gradients of, which need a graph.
        if versions != versions_of((args, kwargs)) or torch.is_grad_enabled():
            return
        del records[first:]
        records.append(Record(module, cloned(output), interception.position))

    with ExitStack() as stack:
        for module in network.modules():
            if module is not network:
                stack.callback(module.register_forward_pre_hook(enter, with_kwargs=True).remove)
                # Before the module's own hooks, which run again when what is recorded is returned.
                stack.callback(module.register_forward_hook(leave, prepend=True, with_kwargs=True).remove)
        yield records


@contextmanager
def replaying(records: Sequence[Record], interception: Interception) -> Iterator[None]:
    """For one forward pass, let modules return what was recorded, each as many times as it was; after that they run."""
    interception.restart()
    by_module: dict[nn.Module, list[Record]] = {}
    for record in records:
        by_module.setdefault(record.module, []).append(record)
    with ExitStack() as stack:
        for module, own in by_module.items():
            stack.callback(_restore_forward, module, module.__dict__.get("forward"))
            module.forward = _replay(module, own, interception, stack)
        yield


def replays(given: Given, records: Sequence[Record], interception: Interception) -> bool:
    """Whether a network makes the same of the first two examples, once by itself and once from what was recorded of them.

    In between it runs on others: what a module leaves in an attribute, or a hook elsewhere, is then theirs.
    """
    with interception.active():
        with replaying((), interception):
            expected = given.take(slice(2)).output()
        with replaying((), interception):
            given.take(slice(-2, None)).output()
        try:
            with replaying(records, interception):
                again = given.take(slice(2)).output()
        except Exception:  # what was left is of another shape, or was taken away
            return False
    return again.shape == expected.shape and torch.allclose(again, expected, rtol=1e-4, atol=1e-5, equal_nan=True)


def _replay(
    module: nn.Module, records: Sequence[Record], interception: Interception, stack: ExitStack
) -> Callable[..., Any]:
    forward, remaining, is_called = module.forward, iter(records), False

    def note(module: nn.Module, args: Any) -> None:
        nonlocal is_called
        is_called = True

    # A network that calls the forward method by name is past all hooks, and its call is not on record.
    stack.callback(module.register_forward_pre_hook(note).remove)

    def replay(*args: Any, **kwargs: Any) -> Any:
        nonlocal is_called
        record = next(remaining, None) if is_called else None
        is_called = False
        if record is None:
            return forward(*args, **kwargs)
        interception.position = record.position
        return cloned(record.output)

    return replay


def _restore_forward(module: nn.Module, own: Callable[..., Any] | None) -> None:
    if own is None:
        del module.forward
    else:
        module.forward = own
