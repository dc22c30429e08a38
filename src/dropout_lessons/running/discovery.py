"""Find where a network drops, by running it on a few examples: what it does counts, not what its attributes say."""

from __future__ import annotations

import warnings
import weakref
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from dropout_lessons.networks import evaluating
from dropout_lessons.running.calls import DropoutCall, Interception, kind_of
from dropout_lessons.running.checks import check_hookable
from dropout_lessons.running.examples import Given, tensors_of
from dropout_lessons.running.modes import (
    TorchGenerators,
    drawing_from,
    other_random_states,
    random_states_kept,
    settings_of,
    unchanged,
)
from dropout_lessons.running.outputs import check_unchanged, cloned, version_of, versions_of
from dropout_lessons.running.sites import Drops, Site, numbered, place, site_of


@dataclass(frozen=True, eq=False)
class Discovery:
    """What a few forward passes showed of a network.

    Attributes:
        sites: The places where it drops, in the order of the forward pass.
        training: Names of the modules that must be in training mode, so that all of their calls are made.
        functional: Whether there are functional calls.
        output_shape: Shape of what it predicts for two examples, classes last.
        calls: Signatures of all calls of dropout, in order.
        flops: Floating-point operations for each example: those before each call of dropout, and in all.
        bytes_per_example: Growth with the examples of the largest result of an operation.
        head: Name of a linear layer that makes the output from what the last call of dropout returned, if there is one.
        shapes: Of each call, the shape of its mask for two and for three examples.
        reads_dropped: Whether it reads again what dropout in place has written into.
        replays: Whether what lies below a call can be recorded and replayed, for the calls for which that is known.
    """

    sites: tuple[Site, ...]
    training: tuple[str, ...]
    functional: bool
    output_shape: tuple[int, ...]
    calls: tuple[tuple[int | None, str, float], ...]
    shapes: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
    flops: tuple[float, ...]
    bytes_per_example: int
    head: str | None
    reads_dropped: bool
    replays: dict[int, bool] = field(default_factory=dict)


# By network; with what it was found for. Nothing in it refers to the network, which may go.
_FOUND: weakref.WeakKeyDictionary[nn.Module, tuple[Any, Discovery]] = weakref.WeakKeyDictionary()


def discover(given: Given) -> Discovery:
    """Find where a network drops, or remember it, while neither the network's modules nor their settings change."""
    version = (given.outputs, _kind_of(given), settings_of(given.network))
    known = _FOUND.get(given.network)
    if known is not None and known[0] == version:
        return known[1]
    with random_states_kept():
        found = _Search(given).result()
    _FOUND[given.network] = (version, found)
    return found


def forget(network: nn.Module) -> None:
    """Look at the network anew, the next time."""
    _FOUND.pop(network, None)


@contextmanager
def refusing_draws(given: Given) -> Iterator[None]:
    """A block with a pass in evaluation mode, which draws nothing, or nothing that changes the prediction."""
    before = TorchGenerators()
    try:
        yield
    finally:
        has_moved = before.has_moved()
        if has_moved:
            before.restore()
    if has_moved:
        with random_states_kept():
            _Search(given).plain()


def _kind_of(given: Given) -> Any:
    """What of the inputs can change the forward pass: the shape of an example, types and devices."""
    x, n = given.x, len(given)
    shapes = [(tensor.dtype, tensor.device, tensor.dim(), *tensor.shape) for tensor in tensors_of(x)]
    names = tuple(x) if isinstance(x, dict) else type(x)
    return names, tuple(tuple(-1 if own == n else own for own in shape) for shape in shapes)


class Meter(TorchDispatchMode):
    """Notes the bytes that operations return, counts operations of matrix products, and tells of random draws."""

    def __init__(self, *, with_flops: bool = False, on_draw: Any = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.with_flops = with_flops
        self.on_draw = on_draw
        self.bytes: list[int] = []
        self.flops = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and saying so to torch.compile would import it: seconds

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        may_draw = self.on_draw is not None and torch.Tag.nondeterministic_seeded in func.tags
        before = TorchGenerators() if may_draw else None
        out = func(*args, **(kwargs or {}))
        # Fused attention is tagged too, and draws nothing with a drop probability of 0.
        if before is not None and (before.has_moved() or (kwargs or {}).get("generator") is not None):
            self.on_draw()
        count = flop_registry.get(func.overloadpacket) if self.with_flops else None
        if count is not None:
            self.flops += count(*args, **(kwargs or {}), out_val=out)
        tensors = (
            leaf for leaf in ([out] if isinstance(out, Tensor) else tree_leaves(out)) if isinstance(leaf, Tensor)
        )
        self.bytes.append(sum(leaf.numel() * leaf.element_size() for leaf in tensors))
        return out


@dataclass(eq=False)
class _Pass:
    """What was seen in one forward pass."""

    calls: list[DropoutCall]
    flops: list[int]
    draws: list[tuple[nn.Module, int]]  # modules that drew, with how many calls of dropout there had been
    meter: Meter
    output: Any
    dropped: list[tuple[Tensor, int]]  # what calls returned, with its version
    linears: list[tuple[nn.Module, Tensor, int, Tensor, int]]
    called: set[nn.Module] = field(default_factory=set)


class _Search:
    """The forward passes that find the sites of a network."""

    def __init__(self, given: Given) -> None:
        check_hookable(given.network)
        self.network = given.network
        self.outputs = given.outputs
        # Two and three examples, since some networks squeeze the axis of a single one.
        self.some = {examples: given.take(torch.arange(examples) % len(given)) for examples in (2, 3)}
        self.names = {module: name for name, module in self.network.named_modules()}
        self._but_norms = [module for module in self.names if not isinstance(module, _NormBase)]

    def result(self) -> Discovery:
        plain = self.plain()
        trained = self._training_pass()
        needed: list[nn.Module] = []
        if trained is not None:
            # Calls that only training mode makes, and modules that draw only there.
            missing = Counter(map(_which, trained.calls)) - Counter(map(_which, plain.calls))
            extra = Counter(map(_which, plain.calls)) - Counter(map(_which, trained.calls))
            needed = [owner for owner, *_ in [*missing, *extra]]
            drawing = list(dict.fromkeys(owner for owner, _ in trained.draws if owner not in _owners(plain)))
        else:
            drawing = []
        calling = [module for module in dict.fromkeys(needed) if kind_of(module) is None]
        few = self._pass(2, calling, with_flops=True) if calling else plain
        more = self._pass(3, calling)
        if trained is not None:
            self._check_own(trained, few, calling, drawing)
            drawing += self._skipped(plain, trained)
        sites = self._sites(few, more, trained, drawing)
        growth = max((b - a for a, b in zip(few.meter.bytes, more.meter.bytes, strict=False)), default=0)
        output = self.outputs.arranged(few.output)
        return Discovery(
            sites=tuple(sites),
            training=tuple(self.names[module] for module in calling),
            functional=any(call.module is None for call in few.calls),
            output_shape=tuple(output.shape),
            calls=tuple(call.signature for call in few.calls),
            shapes=tuple((a.mask_shape, b.mask_shape) for a, b in zip(few.calls, more.calls, strict=True)),
            flops=tuple(count / 2 for count in (*few.flops, few.meter.flops)),
            bytes_per_example=max(growth, 0),
            head=self._head(few),
            reads_dropped=any(call.writes for call in few.calls) and self._reads_dropped(few, calling),
        )

    def _reads_dropped(self, few: _Pass, in_training: Collection[nn.Module]) -> bool:
        """Whether the output is another one when dropout in place writes into its input, though it returns the same."""
        kept: list[tuple[Tensor, Tensor]] = []

        def answer(call: DropoutCall) -> Tensor:
            dropped = call.unmasked.clone()
            if call.writes:
                kept.append((call.x, dropped))
                call.x.mul_(-2).add_(1)
            return dropped.clone()

        given = self.some[2]
        with Interception(self.network, answer, drawing=in_training).active(), drawing_from(torch.Generator()):
            with unchanged(self.network):
                returned = self.outputs.called(self.network, cloned(given.x))
            output = self.outputs.arranged(returned)
            for x, before in kept:
                x.copy_(before)
        expected = self.outputs.arranged(few.output)
        return not torch.allclose(output, expected, rtol=1e-4, atol=1e-6, equal_nan=True)

    def _pass(
        self, examples: int, in_training: Collection[nn.Module], *, with_flops: bool = False, again: int = 0
    ) -> _Pass:
        """Run the network on some examples, and look at its calls of dropout; none of them drops."""
        seen = _Pass([], [], [], Meter(with_flops=with_flops), None, [], [])
        generator = torch.Generator()
        if again:
            torch.rand(1000 * again, generator=generator)  # other numbers than the first time

        def answer(call: DropoutCall) -> Tensor:
            # A tensor of its own, to be recognized by. With its version, since a change in place goes unseen otherwise.
            dropped = call.unmasked.clone()
            seen.calls.append(call)
            seen.flops.append(seen.meter.flops)
            seen.dropped.append((dropped, version_of(dropped)))
            return dropped

        def note(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
            if args:
                seen.linears.append((module, args[0], version_of(args[0]), output, version_of(output)))

        interception = Interception(self.network, answer, owners=True, drawing=in_training)
        seen.called = interception.called
        seen.meter.on_draw = lambda: (
            None if interception.is_inside_a_layer() else seen.draws.append((interception.owner, len(seen.calls)))
        )
        with ExitStack() as stack:
            for module in self.network.modules():
                if getattr(module.forward, "__func__", None) is nn.Linear.forward:
                    stack.callback(module.register_forward_hook(note, prepend=True).remove)
            stack.enter_context(interception.active())
            stack.enter_context(drawing_from(generator))  # whatever draws leaves the user's random state alone
            x = self.some[examples].x
            own, before = cloned(x), versions_of(x)  # the network may write into it
            with unchanged(self.network), seen.meter:
                seen.output = self.outputs.called(self.network, own)
            check_unchanged(x, before)
        return seen

    def _dropped(self, x: Tensor) -> Drops:
        """What a call drops."""
        if any(x.data_ptr() == parameter.data_ptr() for parameter in self.network.parameters()):
            return "weights"
        same = (own for own in tensors_of(self.some[2].x) if own.numel() == x.numel())
        return "inputs" if any(torch.equal(x, own.reshape(x.shape).to(x.dtype)) for own in same) else "units"

    def plain(self) -> _Pass:
        """A pass in evaluation mode, or where it draws, if its prediction depends on that."""
        plain = self._pass(2, (), with_flops=True)
        if not plain.draws:
            return plain
        again = self._pass(2, (), again=1)
        if torch.equal(self.outputs.arranged(plain.output), self.outputs.arranged(again.output)):
            return plain
        module = plain.draws[0][0]
        name = self.names.get(module)
        where = f"its module {name!r} ({type(module).__name__})" if name else "its own forward pass"
        raise ValueError(
            f"network draws random numbers in evaluation mode, in {where}, so that it has no prediction with all units; draw "
            "only in training mode, as in dropout_p=p if self.training else 0.0, or with nn.Dropout or F.dropout, which are "
            "switched off here (a traced network keeps the mode that it was traced in)"
        )

    def _training_pass(self) -> _Pass | None:
        """The calls that training mode makes; normalization stays in evaluation mode, where it changes nothing."""
        # Dropout layers too: where their class's forward method is called by name, a function drops or draws.
        before = other_random_states()
        try:
            seen = self._pass(2, self._but_norms)
        except Exception as error:  # training mode may want targets, or return something else
            warnings.warn(
                f"network does not run in training mode on its inputs alone ({type(error).__name__}: {error}), so dropout "
                "that only shows there, if there is any, is left out",
                stacklevel=2,
            )
            return None
        # What checks types draws as well, and changes nothing; a coin that is tossed eight times again does.
        if other_random_states() != before and any(self._is_other(seen) for _ in range(8)):
            raise ValueError(
                "network draws from Python's random or from numpy.random in training mode, which no generator of PyTorch "
                "reaches, so that its masks cannot be drawn; let it draw from torch, as in torch.rand(()).item() < p"
            )
        return seen

    def _skipped(self, plain: _Pass, trained: _Pass) -> list[nn.Module]:
        """Modules that draw in blocks that the training pass skipped, as at random, and another one may not."""
        known, found, again = _owners(trained) | _owners(plain), dict[nn.Module, int](), 0
        while not plain.called <= trained.called and (again := again + 1) < 9:
            more = self._pass(2, self._but_norms, again=again)
            trained.called |= more.called
            found |= {own: at for own, at in reversed(more.draws) if own not in known and own not in found}
        trained.draws += found.items()
        return list(found)

    def _check_own(self, trained: _Pass, few: _Pass, calling: list[nn.Module], drawing: list[nn.Module]) -> None:
        """Say which module drops where only others are in training mode, as one does that is told to."""
        seen = set(map(_which, few.calls))
        drops = [call.owner for call in trained.calls if call.is_on and call.keep_prob < 1 and _which(call) not in seen]
        draw = _owners(self._pass(2, [*calling, *drawing])) if drawing else set()
        for module in (*drops, *(module for module in drawing if module not in draw)):
            raise ValueError(
                f"network's module {self.names.get(module or self.network)!r} ({type(module).__name__}) drops when another "
                "module is in training mode, and not by its own, so that it cannot be switched on by itself; let it ask its own "
                "self.training, as in F.dropout(x, p, self.training), and call layers rather than their forward methods"
            )

    def _is_other(self, seen: _Pass) -> bool:
        """Whether a training pass is another one with the next numbers from Python and numpy."""
        again = self._pass(2, self._but_norms)
        if [_which(call) for call in again.calls] != [_which(call) for call in seen.calls]:
            return True
        return not torch.equal(self.outputs.arranged(again.output), self.outputs.arranged(seen.output))

    def _sites(self, few: _Pass, more: _Pass, trained: _Pass | None, drawing: Sequence[nn.Module]) -> list[Site]:
        if [(*_which(c), c.x.dim()) for c in few.calls] != [(*_which(c), c.x.dim()) for c in more.calls]:
            raise ValueError(
                "network calls dropout in a different way for 2 and for 3 examples; every forward pass must make the same "
                "calls"
            )
        in_training: dict[Any, list[float]] = {}
        for call in trained.calls if trained else ():
            in_training.setdefault(_which(call), []).append(call.keep_prob if call.is_on else 1.0)
        paths, keep_probs = [], []
        for call in few.calls:
            known = in_training.get(_which(call))
            keep_probs.append(known.pop(0) if known else call.keep_prob)
            paths.append(self.names.get(call.owner or self.network, ""))
        # Functional calls that never drop, as with p = 0, are counted with the calls but are no places.
        where = [i for i, call in enumerate(few.calls) if call.module is not None or keep_probs[i] < 1]
        drawn = [
            (self.names[module], at) for module, at in reversed(trained.draws if trained else ()) if module in drawing
        ]
        entries = [(few.calls[i].index, 0, paths[i], i) for i in where]
        entries += [(position, -1, path, -1) for path, position in dict(drawn).items()]  # first draws
        entries.sort()
        names = numbered([place(path) or "network" for _, _, path, _ in entries])
        sites = []
        for name, (index, _, path, i) in zip(names, entries, strict=True):
            if i < 0:
                is_recurrent = isinstance(self.network.get_submodule(path), nn.RNNBase)
                sites.append(Site(name, path, index, "drawn", float("nan"), "units" if is_recurrent else None))
            else:
                sites.append(
                    site_of(name, path, keep_probs[i], self._dropped(few.calls[i].x), few.calls[i], more.calls[i])
                )
        return sites

    def _head(self, few: _Pass) -> str | None:
        """The linear layer right above the last call, if it makes the output of two axes, and nothing else does."""
        output = few.output
        plain = self.outputs.call is None and self.outputs.at is None and self.outputs.batch_axis == 0
        if not few.calls or not isinstance(output, Tensor) or output.dim() != 2 or output.shape[1] < 2 or not plain:
            return None
        dropped, version = few.dropped[-1]
        for module, x, x_version, y, y_version in few.linears:
            same = x is dropped and x_version == version and y is output and y_version == version_of(output)
            if same and dropped.dim() == 2 and _is_affine(module, x, y):
                name: str = self.names[module]
                return name
        return None


def _is_affine(module: Any, x: Tensor, y: Tensor) -> bool:
    """Whether y is what a linear layer's weight and bias make of x, as it is not in autocast or with a hook of all modules."""
    with torch.no_grad(), evaluating(module):
        weight, bias = module.weight, module.bias
        made = F.linear(x, weight, bias) if weight.dtype == x.dtype == y.dtype else None
    return made is not None and torch.allclose(made, y, rtol=1e-4, atol=1e-6, equal_nan=True)


def _which(call: DropoutCall) -> tuple[nn.Module, str, bool]:
    assert call.owner is not None
    return call.owner, call.kind, call.module is None


def _owners(seen: _Pass) -> set[nn.Module]:
    return {owner for owner, _ in seen.draws}
