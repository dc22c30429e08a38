"""Forward passes in which one layer sends on other values than its own, and what lies before the layer runs once."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import vmap
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from dropout_lessons.running.calls import DropoutCall, Interception, switched_off
from dropout_lessons.running.examples import Examples, count_examples, take
from dropout_lessons.running.modes import frozen
from dropout_lessons.running.outputs import Outputs
from dropout_lessons.running.replay import ReachedError, Record, cloned, recording, replaying

#: Where a layer's values are taken and replaced: in what it returns, or in the first argument that it is given.
Side = Literal["output", "input"]


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

    Args:
        network: Any module, whose layers' modes, hooks and methods are as before after each use.
        layer: Name of a module that a forward pass calls once.
        x: Examples.
        outputs: How the network is called, and what it returns.
        side: Whether the values are what the layer returns, the first of it if these are several, or what it is given.
        functional: Whether to look for functional dropout that is always on, and switch it off, which takes time.

    Attributes:
        activations: The layer's own values, examples first.
        output: What the network predicts with them, as ``outputs`` arranges it.
        has_functional_dropout: Whether there is some that is always on.

    Raises:
        ValueError: If no forward pass calls the layer, or calls it more than once, or its values are no tensor with an axis of
            examples.
    """

    def __init__(
        self,
        network: nn.Module,
        layer: str,
        x: Examples,
        outputs: Outputs,
        *,
        side: Side = "output",
        functional: bool = True,
    ) -> None:
        self.network = network
        self.x = x
        self.batched = True  # until an operation turns up that torch.func.vmap cannot do
        self.has_functional_dropout = False
        self._name = layer
        self._outputs = outputs
        self._side = side
        self._operations = _Operations()
        self._values: Tensor | None = None
        self._reached = False

        def unmasked(call: DropoutCall) -> Tensor:
            self.has_functional_dropout |= call.module is None and call.is_on and call.keep_prob < 1
            return call.unmasked

        self._interception = Interception(network, unmasked, functional=functional)
        self._layer = dict(network.named_modules()).get(layer) if layer else None
        if self._layer is None:
            raise _no_such_layer(network, layer, x, outputs)
        records = recording(network, self._interception)
        with frozen(network), self._interception.active(), records as self._records, self._stopping():
            try:
                outputs.returned(network, x)
            except ReachedError as reached:
                self.activations = _checked(reached.x, layer, side, count_examples(x, outputs.batch_axis), outputs)
            else:
                raise _no_such_layer(network, layer, x, outputs)
        try:
            with self.active():
                self.output = self._forward(self.activations.clone())
        except _CalledAgainError:
            raise _no_such_layer(network, layer, x, outputs) from None
        self._interception.functional = self.has_functional_dropout

    @contextmanager
    def _stopping(self) -> Iterator[None]:
        """End forward passes at the layer, with its values; after the layer's own hooks."""

        def at_output(module: nn.Module, args: Any, output: Any) -> None:
            raise ReachedError(cloned(output))

        def at_input(module: nn.Module, args: Any, kwargs: Any) -> None:
            raise ReachedError(cloned(args[0] if args else next(iter(kwargs.values()), None)))

        with self._hook(at_output, at_input):
            yield

    @contextmanager
    def active(self) -> Iterator[None]:
        """Prepare the network for a number of runs."""

        def reached() -> Tensor:
            if self._reached:
                raise _CalledAgainError
            self._reached = True
            assert self._values is not None
            values = self._values.movedim(0, self._outputs.batch_axis)
            self._operations.begin()
            return values

        def at_output(module: nn.Module, args: Any, output: Any) -> Any:
            values = reached()
            if isinstance(output, Tensor):
                return values
            return (values, *output[1:]) if isinstance(output, tuple) else [values, *output[1:]]

        def at_input(module: nn.Module, args: Any, kwargs: Any) -> Any:
            values = reached()
            return ((values, *args[1:]), kwargs) if args else ((), {**kwargs, next(iter(kwargs)): values})

        with frozen(self.network), self._interception.active(), self._hook(at_output, at_input):
            yield

    def _hook(self, at_output: Callable[..., Any], at_input: Callable[..., Any]) -> Any:
        assert self._layer is not None
        if self._side == "output":
            return self._layer.register_forward_hook(at_output)
        return self._layer.register_forward_pre_hook(at_input, with_kwargs=True)

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
                    return vmap(member)(values)
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
            if isinstance(returned, Tensor) and returned.is_floating_point() and total <= limit:
                total += returned.nbytes
                seen.append((operation, returned.clone()))
            return returned

        with self._operations.answered_by(answer):
            output = self._forward(values).clone()
        return seen, output

    def first(self, examples: int) -> LayerPasses:
        """The same of the first examples, with what was recorded of them below the layer.

        Examples are taken from the records as from inputs, by the length of an axis; where the network then predicts something
        else, what lies below the layer runs again.
        """
        axis = self._outputs.batch_axis
        other = copy.copy(self)
        other.x, other.activations = take(self.x, slice(examples), axis), self.activations[:examples]
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
        return LayerPasses(self.network, self._name, other.x, self._outputs, side=self._side)

    def _first_of(self, recorded: Any, examples: int) -> Any:
        axis = self._outputs.batch_axis

        def of(tensor: Tensor) -> Tensor:
            has_examples = tensor.dim() > axis and tensor.shape[axis] == len(self.activations)
            return tensor.narrow(axis, 0, examples) if has_examples else tensor

        return tree_map_only(Tensor, of, recorded)

    def _forward(self, values: Tensor) -> Tensor:
        self._values, self._reached = values, False
        self._interception.restart()
        try:
            with replaying(self._records, self._interception):
                return self._outputs.of(self.network, self.x)
        finally:
            self._operations.end()
            self._values = None


def _checked(values: Any, layer: str, side: Side, examples: int, outputs: Outputs) -> Tensor:
    """The layer's values, examples first."""
    verb = "return" if side == "output" else "be given"
    if side == "output" and isinstance(values, (tuple, list)) and values:
        values = values[0]
    if not isinstance(values, Tensor):
        raise ValueError(
            f"layer must {verb} a tensor, or a tuple that starts with one, got {type(values).__name__} for {layer!r}; name a "
            "module that takes its output, or wrap it in one that returns the tensor alone"
        )
    shape, axis = tuple(values.shape), outputs.batch_axis
    if not values.is_floating_point():
        raise ValueError(f"layer must {verb} floating-point numbers, got {values.dtype} for {layer!r}")
    if len(shape) < 2 or len(shape) <= axis or shape[axis] != examples:
        raise ValueError(
            f"layer must {verb} (examples, units) or (examples, channels, ...), with the examples on axis {axis}, but for "
            f"{examples} examples {layer!r} has shape {shape}"
        )
    return values.movedim(axis, 0)


def _no_such_layer(network: nn.Module, layer: str, x: Examples, outputs: Outputs) -> ValueError:
    """Why a layer cannot be measured, and which ones can."""
    calls: Counter[str] = Counter()
    returned: dict[str, Any] = {}

    def note(name: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            calls[name] += 1
            returned[name] = output[0] if isinstance(output, (tuple, list)) and output else output

        return hook

    with frozen(network), ExitStack() as stack:
        stack.enter_context(Interception(network, switched_off).active())
        for name, module in network.named_modules():
            if name:
                stack.callback(module.register_forward_hook(note(name)).remove)
        outputs.returned(network, x)
    known = [name for name in calls if calls[name] == 1 and isinstance(returned[name], Tensor)]
    if calls[layer]:
        why = f"which a forward pass calls {calls[layer]} times"
    elif layer in dict(network.named_modules()):
        why = "which no forward pass calls"
    else:
        why = "which the network does not have"
    return ValueError(
        f"layer must name a module that a forward pass calls once, got {layer!r}, {why}; there are {known}"
    )
