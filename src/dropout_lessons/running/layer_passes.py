"""Forward passes in which one layer sends on other values than its own, and what lies before the layer runs once."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from dropout_lessons.running.calls import DropoutCall, Interception
from dropout_lessons.running.discovery import refusing_draws
from dropout_lessons.running.examples import Given
from dropout_lessons.running.layer import Layer
from dropout_lessons.running.modes import at_once
from dropout_lessons.running.outputs import cloned
from dropout_lessons.running.replay import ReachedError, Record, recording, replaying


@dataclass(frozen=True)
class Operation:
    """One call of a function of PyTorch, after the layer in a forward pass.

    Attributes:
        index: Its place among these.
        function: What is called.
    """

    index: int
    function: Any


class _Operations(TorchFunctionMode):
    """Looks at the operations that follow the layer: notes their results, or puts others in their place."""

    def __init__(self) -> None:
        self._answer: Callable[[Operation, Callable[[], Any]], Any]
        self._count: int | None = None

    @contextmanager
    def answered_by(self, answer: Callable[[Operation, Callable[[], Any]], Any]) -> Iterator[None]:
        """For a block, let operations return what ``answer`` says, given the operation and how to carry it out."""
        self._answer = answer
        with self:
            yield

    def begin(self) -> None:
        """The layer is reached."""
        self._count = 0

    def end(self) -> None:
        """The forward pass is over."""
        self._count = None

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if self._count is None:
            return func(*args, **(kwargs or {}))
        operation = Operation(self._count, func)
        self._count += 1
        return self._answer(operation, lambda: func(*args, **(kwargs or {})))


class _CalledAgainError(BaseException):
    """Ends a forward pass that calls the layer a second time. Not an Exception, so that no network catches it."""


class LayerPasses:
    """Forward passes of a network on some examples, with all dropout off.

    One pass is made at once: it records what lies below the layer, and finds the layer's values and the prediction.

    Args:
        given: The network, whose layers' modes, hooks and methods are as before after each use, and the examples.
        layer: Where the units are: in what a module that a forward pass calls once returns, the first of it if these are
            several, or in what it is given.
        functional: Whether to look for functional dropout that is always on, and switch it off, which takes time.

    Attributes:
        activations: The layer's own values, examples first.
        axis: Axis of them that holds the units.
        n_units: Number of units.
        output: What the network predicts with them, as its ``Outputs`` arrange it.
        has_functional_dropout: Whether there is some that is always on.

    Raises:
        ValueError: If no forward pass calls the layer, or calls it more than once, or its values are no tensor with an axis of
            examples.
    """

    def __init__(self, given: Given, layer: Layer, *, functional: bool = True) -> None:
        self.given = given
        self.batched = True  # until an operation turns up that torch.func.vmap cannot do
        self.has_functional_dropout = False
        self.layer = layer
        self._operations = _Operations()
        self._values: Tensor | None = None
        self._reached = False
        self._are_checked = False  # once, when they are first used: by then all blocks of examples have been recorded

        def unmasked(call: DropoutCall) -> Tensor:
            self.has_functional_dropout |= call.module is None and call.is_on and call.keep_prob < 1
            return call.unmasked

        self._interception = Interception(given.network, unmasked, functional=functional)
        own: Any = None

        def note(values: Any) -> None:
            nonlocal own
            self._reach()
            own = cloned(values)  # what follows may write into them

        below = recording(given.network, self._interception, is_over=lambda: self._reached)
        with refusing_draws(given), self._interception.active(), below as self._records, self._answering(note):
            try:
                self.output = given.output()
            except _CalledAgainError:
                self._reached = False
        if not self._reached:
            raise self._no_such_layer()
        self.activations = layer.values(own, given)
        self.axis = layer.axis(self.activations, given.outputs.batch_axis)
        self.n_units = layer.count(self.activations.shape[self.axis])
        if len(given) > 1 and self.activations.shape.count(len(given)) > 1:
            # Of fewer examples one sees whether it is their axis that is as long as they are many.
            LayerPasses(given.take(slice(2 if len(given) > 2 else 1)), layer, functional=False)
        self._interception.functional = self.has_functional_dropout

    def _no_such_layer(self) -> ValueError:
        """Why the layer cannot be measured, and which ones can."""
        calls: Counter[str] = Counter()
        returned: dict[str, Any] = {}

        def note(name: str) -> Any:
            def hook(module: nn.Module, args: Any, output: Any) -> None:
                calls[name] += 1
                returned[name] = output[0] if isinstance(output, (tuple, list)) and output else output

            return hook

        layer, modules = self.layer.name, dict(self.given.network.named_modules(remove_duplicate=False))
        with self._interception.active(), ExitStack() as stack:
            for name, module in modules.items():
                if name:
                    stack.callback(module.register_forward_hook(note(name)).remove)
            self.given.returned()
        known = [name for name in calls if calls[name] == 1 and isinstance(returned[name], Tensor)]
        if calls[layer]:
            why = f"which a forward pass calls {calls[layer]} times"
        elif layer in modules:
            why = "which no forward pass calls"
        else:
            why = "which the network does not have"
        return ValueError(
            f"layer must name a module that a forward pass calls once, got {layer!r}, {why}; there are {known}"
        )

    @contextmanager
    def active(self) -> Iterator[None]:
        """Prepare the network for a number of runs."""

        def replace(own: Any) -> Tensor:
            self._reach()
            assert self._values is not None
            values = self._values.movedim(0, self.given.outputs.batch_axis)
            self._operations.begin()
            return values

        with self._interception.active(), self._answering(replace):
            if not self._are_checked:
                self._check_records()
            yield

    def _check_records(self) -> None:
        """Keep no records where a pass from them predicts something else, now that the network may have run on other examples.

        So it is where a module leaves its features in an attribute, or a hook elsewhere, past what is recorded.
        """
        self._are_checked = True
        try:
            again = self._forward(self.activations.clone())
            same = torch.allclose(again, self.output, rtol=1e-4, atol=1e-5, equal_nan=True)
        except Exception:  # what was left is of another shape, or was taken away
            same = False
        if not same:
            self._records = []

    def _reach(self) -> None:
        if self._reached:
            raise _CalledAgainError
        self._reached = True

    def _answering(self, answer: Callable[[Any], Tensor | None]) -> Any:
        """Let the layer send on what ``answer`` says, given its own values; after the layer's own hooks."""

        def at_output(module: nn.Module, args: Any, output: Any) -> Any:
            values = answer(output)
            if values is None or isinstance(output, Tensor):
                return values
            if hasattr(output, "_fields"):  # a named tuple, whose names the network may use
                return type(output)(values, *output[1:])
            return (values, *output[1:]) if isinstance(output, tuple) else [values, *output[1:]]

        def at_input(module: nn.Module, args: Any, kwargs: Any) -> Any:
            values = answer(args[0] if args else next(iter(kwargs.values()), None))
            if values is None:
                return None
            return ((values, *args[1:]), kwargs) if args else ((), {**kwargs, next(iter(kwargs)): values})

        modules = dict(self.given.network.named_modules(remove_duplicate=False))
        module = modules.get(self.layer.name) if self.layer.name else None
        if module is None:
            return nullcontext()  # what is not there is never reached
        if self.layer.at == "output":
            return module.register_forward_hook(at_output)
        return module.register_forward_pre_hook(at_input, with_kwargs=True)

    def run(
        self,
        values: Tensor,
        *,
        resume: Operation | None = None,
        until: Operation | None = None,
        making: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Run the network for each entry of ``values``; the result has the members on its first axis.

        Args:
            values: What the layer sends on, members first. The network may write into it.
            resume: Let this operation return them, and the layer what it does by itself.
            until: Return what this operation does, and not what the network predicts.
            making: Makes what the layer sends on from a member's entry of ``values``.
        """
        own = values  # the entry of the member that runs

        def answer(operation: Operation, result: Callable[[], Any]) -> Any:
            wanted = until or resume
            if wanted is None or operation.index != wanted.index:
                return result()
            if operation.function is not wanted.function:
                raise RuntimeError(f"the network called {operation.function}, not {wanted.function}")
            if until is not None:
                raise ReachedError(result())
            return own

        def member(entry: Tensor) -> Tensor:
            nonlocal own
            own = entry if making is None else making(entry)
            # An operation in place may write into what it is given.
            try:
                return self._forward(self.activations.clone() if resume is not None else own)
            except ReachedError as reached:
                return reached.x  # type: ignore[no-any-return]

        with self._operations.answered_by(answer) if (until or resume) is not None else nullcontext():
            if self.batched and len(values) > 1:
                try:
                    return at_once(member, values)
                except Exception:  # whatever vmap cannot do; if the fault is the network's, the loop meets it again
                    self.batched = False
            return torch.stack([member(entry) for entry in values])

    def results(self, values: Tensor, limit: int) -> tuple[list[tuple[Operation, Tensor]], Tensor]:
        """What operations return when the layer sends on ``values``, up to a limit in bytes; and the prediction."""
        seen: list[tuple[Operation, Tensor]] = []
        total = 0

        def answer(operation: Operation, result: Callable[[], Any]) -> Any:
            nonlocal total
            returned = result()
            if not isinstance(returned, Tensor) or torch._C._functorch.is_functorch_wrapped_tensor(returned):
                return returned  # one of torch.func.vmap in the network is no tensor outside of it
            if returned.is_floating_point() and total <= limit:
                total += returned.nbytes
                seen.append((operation, returned.clone()))
            return returned

        with self._operations.answered_by(answer):
            output = self._forward(values)
        return seen, output

    def first(self, examples: int) -> LayerPasses:
        """The same of the first examples, with what was recorded of them below the layer.

        Examples are taken from the records as from inputs, by the length of an axis; where the network then predicts something
        else, what lies below the layer runs again.
        """
        other = copy.copy(self)
        other._are_checked = True  # below
        other.given, other.activations = self.given.take(slice(examples)), self.activations[:examples]
        other._records = [
            Record(record.module, self._first_of(record.output, examples), record.position) for record in self._records
        ]
        try:
            with other.active():
                other.output = other._forward(other.activations.clone())
            same = torch.allclose(other.output, self.output[:examples], rtol=1e-3, atol=1e-4)
        except Exception:  # an axis of another meaning has the length of the examples
            same = False
        if same:
            return other
        return LayerPasses(other.given, self.layer)

    def _first_of(self, recorded: Any, examples: int) -> Any:
        axis = self.given.outputs.batch_axis

        def of(tensor: Tensor) -> Tensor:
            has_examples = tensor.dim() > axis and tensor.shape[axis] == len(self.activations)
            return tensor.narrow(axis, 0, examples) if has_examples else tensor

        return tree_map_only(Tensor, of, recorded)

    def _forward(self, values: Tensor) -> Tensor:
        self._values, self._reached = values, False
        try:
            with replaying(self._records, self._interception):
                return self.given.output()
        finally:
            self._operations.end()
            self._values = None
