"""Forward passes cut short, and what lies below a point recorded once and replayed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from dropout_lessons.running.calls import Interception
from dropout_lessons.running.examples import Given
from dropout_lessons.running.modes import other_forwards
from dropout_lessons.running.outputs import cloned, versions_of


class ReachedError(BaseException):
    """Ends a forward pass early. Not an Exception, so that no network catches it."""

    def __init__(self, x: Any = None) -> None:
        super().__init__()
        self.x = cloned(x)


@dataclass(eq=False)
class Record:
    """What one module returned, and how many calls of dropout there had been by then."""

    module: nn.Module
    output: Any
    position: int


@contextmanager
def recording(
    network: nn.Module, interception: Interception, is_over: Callable[[], bool] = lambda: False
) -> Iterator[list[Record]]:
    """Keep the outputs of the outermost modules that finish before it is over, and do not write into what they are given."""
    records: list[Record] = []

    def recorded(module: nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
        def record(*args: Any, **kwargs: Any) -> Any:
            if is_over():
                return forward(*args, **kwargs)
            first, versions = len(records), versions_of((args, kwargs))
            output = forward(*args, **kwargs)
            # As nn.ReLU(inplace=True) does: it runs again, since others may hold what it wrote into. So does what the network
            # takes gradients of, which need a graph.
            if versions == versions_of((args, kwargs)) and not (is_over() or torch.is_grad_enabled()):
                records[first:] = [Record(module, cloned(output), interception.position)]
            return output

        return record

    with other_forwards((module for module in network.modules() if module is not network), recorded):
        yield records


@contextmanager
def replaying(records: Sequence[Record], interception: Interception) -> Iterator[None]:
    """For one forward pass, let modules return what was recorded, each as many times as it was; after that they run."""
    interception.restart()
    by_module: dict[nn.Module, list[Record]] = {}
    for record in records:
        by_module.setdefault(record.module, []).append(record)

    def replayed(module: nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
        remaining = iter(by_module[module])

        def replay(*args: Any, **kwargs: Any) -> Any:
            record = next(remaining, None)
            if record is None:
                return forward(*args, **kwargs)
            interception.position = record.position
            return cloned(record.output)

        return replay

    with other_forwards(by_module, replayed):
        yield


def replays(some: Given, others: Given, records: Sequence[Record], interception: Interception) -> bool:
    """Whether a network makes the same of some examples, once by itself and once from what was recorded of them.

    In between it runs on others: what a hook leaves elsewhere is then theirs, and what a module leaves in an attribute is gone.
    """
    with interception.active():
        with replaying((), interception):
            expected = some.output()
        with replaying((), interception):
            others.output()
        try:
            with replaying(records, interception):
                again = some.output()
        except Exception:  # what was left is of another shape, or was taken away
            return False
    return again.shape == expected.shape and torch.allclose(again, expected, rtol=1e-4, atol=1e-5, equal_nan=True)
