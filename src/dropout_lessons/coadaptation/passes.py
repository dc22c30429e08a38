"""Forward passes in which a layer, or an operation above it, returns what it is told; what lies below runs once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import vmap
from torch.overrides import TorchFunctionMode

from dropout_lessons.averaging.members import ReachedError, cloned, frozen, recording, replaying
from dropout_lessons.averaging.sites import Call as DropoutCall
from dropout_lessons.averaging.sites import Interception


@dataclass(frozen=True)
class Call:
    """One call of a function of PyTorch, after the layer in a forward pass.

    Attributes:
        index: Its place among these calls.
        function: What is called.
    """

    index: int
    function: Any


class _Calls(TorchFunctionMode):
    """Looks at the calls that follow the layer: notes their results, or puts others in their place."""

    def __init__(self) -> None:
        self._answer: Callable[[Call, Callable[[], Any]], Any]
        self._count: int | None = None

    @contextmanager
    def answered_by(self, answer: Callable[[Call, Callable[[], Any]], Any]) -> Iterator[None]:
        """For a block, let calls after the layer return what ``answer`` says, given the call and how to make it."""
        self._answer = answer
        with self:
            yield

    def before_the_layer(self) -> None:
        self._count = None

    def after_the_layer(self) -> None:
        self._count = 0

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if self._count is None:
            return func(*args, **(kwargs or {}))
        call = Call(self._count, func)
        self._count += 1
        return self._answer(call, lambda: func(*args, **(kwargs or {})))


class Passes:
    """Forward passes of a network on some examples.

    Args:
        network: Any module, whose layers' modes, hooks and methods are as before after each use.
        layer: The module that will be told what to return.
        x: Examples.
        functional: Whether to look for functional dropout that is always on, and switch it off, which takes time.

    Attributes:
        activations: What the layer returns.
        met_functional_dropout: Whether there was any so far.
    """

    def __init__(self, network: nn.Module, layer: nn.Module, x: Tensor, *, functional: bool = True) -> None:
        self.network = network
        self.layer = layer
        self.x = x
        self.batched = True  # until an operation turns up that torch.func.vmap cannot do
        self._calls = _Calls()
        self.met_functional_dropout = False

        def unmasked(call: DropoutCall) -> Tensor:
            self.met_functional_dropout |= call.module is None
            return call.unmasked

        self._interception = Interception(network, unmasked, functional=functional)
        self._told: Tensor | None = None

        def stop(module: nn.Module, args: Any, output: Any) -> None:
            raise ReachedError(cloned(output))

        records = recording(network, self._interception)
        with frozen(network), self._interception.active(), records as self._records:
            handle = layer.register_forward_hook(stop)  # after the module's own hooks
            try:
                network(x)
            except ReachedError as reached:
                self.activations = reached.x
            finally:
                handle.remove()

    @contextmanager
    def active(self) -> Iterator[None]:
        """Prepare the network for a number of runs."""

        def tell(module: nn.Module, args: Any, output: Any) -> Any:
            self._calls.after_the_layer()
            return self._told

        with ExitStack() as stack:
            stack.enter_context(frozen(self.network))
            stack.enter_context(self._interception.active())
            stack.callback(self.layer.register_forward_hook(tell).remove)
            yield

    def run(
        self,
        told: Tensor,
        *,
        above: Call | None = None,
        until: Call | None = None,
        making: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Run the network for each entry of ``told``; the result has the members on its first axis.

        Args:
            told: What the layer returns, members first. The network may write into it.
            above: Let this call return it, and the layer what it does by itself.
            until: Return what this call does, and not what the network does.
            making: Makes what the layer returns from a member's entry of ``told``.
        """

        own = told  # the entry of the member that runs

        def answer(call: Call, result: Callable[[], Any]) -> Any:
            wanted = until or above
            if wanted is None or call.index != wanted.index:
                return result()
            if call.function is not wanted.function:
                raise RuntimeError(f"the network called {call.function}, not {wanted.function}")
            if until is not None:
                raise ReachedError(result())
            return own

        def member(entry: Tensor) -> Tensor:
            nonlocal own
            own = entry if making is None else making(entry)
            # An operation in place may write into what it is given.
            try:
                return self._forward(self.activations.clone() if above is not None else own)
            except ReachedError as reached:
                return reached.x

        with self._calls.answered_by(answer) if (until or above) is not None else nullcontext():
            if self.batched:
                try:
                    return vmap(member)(told)
                except Exception:  # whatever vmap cannot do; if the fault is the network's, the loop meets it again
                    self.batched = False
            return torch.stack([member(entry) for entry in told])

    def results(self, own: Tensor, limit: int) -> tuple[list[tuple[Call, Tensor]], Tensor]:
        """What the calls after the layer return when the layer returns ``own``, up to a limit in bytes; and the output."""
        seen: list[tuple[Call, Tensor]] = []
        total = 0

        def answer(call: Call, result: Callable[[], Any]) -> Any:
            nonlocal total
            returned = result()
            if isinstance(returned, Tensor) and returned.is_floating_point() and total <= limit:
                total += returned.nbytes
                seen.append((call, returned.clone()))
            return returned

        with self._calls.answered_by(answer):
            output = self._forward(own).clone()
        return seen, output

    def _forward(self, told: Tensor) -> Tensor:
        self._told = told
        self._interception.restart()
        try:
            with replaying(self._records, self._interception):
                output: Tensor = self.network(self.x)
        finally:
            self._calls.before_the_layer()
            self._told = None
        return output
