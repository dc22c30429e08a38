"""Run the members of a network: the same examples under many masks, and what lies below the first mask only once."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import vmap
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.flop_counter import flop_registry

from dropout_lessons.averaging.outputs import Outputs, check_output, to_log_probs
from dropout_lessons.averaging.sites import Call, Interception, Site, choose_sites, find_sites, multiply
from dropout_lessons.networks import evaluating

# Small enough for the members at work to stay in the processor's cache, large enough for a call's overhead not to count.
_WORKING_SET = 2**24
#: Examples that are averaged together; draws of Monte Carlo follow these blocks, so that they do not depend on memory.
BLOCK = 256


class ReachedError(BaseException):
    """Ends a forward pass early. Not an Exception, so that no network catches it."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.x = x


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Evaluation mode, no gradients, no warning that some operation has no batched version, for a block.

    Nothing compiled runs, since it may know nothing of hooks; and tensors have versions, which those of inference mode lack.
    """
    with ExitStack() as stack:
        if "torch._dynamo" in sys.modules and hasattr(torch.compiler, "set_stance"):  # the latter from torch 2.6 on
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        for context in (evaluating(network), torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings()):
            stack.enter_context(context)
        warnings.filterwarnings("ignore", message="There is a performance drop because we have not yet implemented")
        yield


def plain_output(network: nn.Module, x: Tensor, outputs: Outputs) -> Tensor:
    """What the network returns with all units, functional dropout that is always on switched off too."""
    with frozen(network), Interception(network, lambda call: call.unmasked, functional=True).active():
        return check_output(network(x), len(x), outputs)


def forward_flops(network: nn.Module, x: Tensor) -> float:
    """Floating-point operations of one forward pass of one example."""
    switched_off = Interception(network, lambda call: call.unmasked, functional=True).active()
    with frozen(network), switched_off, _Meter(with_flops=True) as meter:
        network(x[torch.arange(2) % len(x)])
    return float(meter.flops) / 2


class _Meter(TorchDispatchMode):
    """Notes the bytes that every operation returns, and counts the floating-point operations of matrix products."""

    def __init__(self, *, with_flops: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.with_flops = with_flops
        self.bytes: list[int] = []
        self.flops = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and saying so to torch.compile would import it: seconds

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        count = flop_registry.get(func.overloadpacket) if self.with_flops else None
        if count is not None:
            self.flops += count(*args, **(kwargs or {}), out_val=out)
        tensors = (
            leaf for leaf in ([out] if isinstance(out, Tensor) else tree_leaves(out)) if isinstance(leaf, Tensor)
        )
        self.bytes.append(sum(leaf.numel() * leaf.element_size() for leaf in tensors))
        return out


@dataclass(frozen=True, eq=False)
class Head:
    """A linear output layer right above the last site: its members' softmaxes can be summed without listing them."""

    weight: Tensor
    bias: Tensor | None


class Members:
    """The networks that masks on the chosen sites make of one network.

    Attributes:
        sites: The sites that are masked, in the order of the forward pass.
        classes: Number of classes.
        head: The output layer, if the last site feeds nothing else.
        below: Share of a forward pass's multiply-adds that comes before the first site.
        below_head: Share that comes before the last site.
        flops: Floating-point operations of one forward pass of one example.
        bytes_per_example: Work space of one member for one example.
    """

    def __init__(
        self,
        network: nn.Module,
        x: Tensor,
        *,
        layers: Sequence[str] | None,
        functional: Sequence[str],
        outputs: Outputs,
    ) -> None:
        if not isinstance(x, Tensor) or x.dim() == 0 or len(x) == 0:
            raise ValueError("x must be a tensor with at least one example, its first axis")
        for name, module in network.named_modules():
            if isinstance(module, _BatchNorm) and module.running_mean is None:
                raise ValueError(
                    f"network has batch normalization without running statistics, {name!r}, with which the prediction for "
                    "an example depends on the others; give it track_running_stats=True"
                )
        self.network = network
        self.outputs: Outputs = outputs
        self.functional = bool(functional)
        self.batched = True  # until an operation turns up that torch.func.vmap cannot do
        self._discover(x, layers, functional)

    def _discover(self, x: Tensor, layers: Sequence[str] | None, functional: Sequence[str]) -> None:
        # Two and three examples, since some networks squeeze the axis of a single one.
        calls: list[tuple[Call, int]] = []
        linears: list[tuple[nn.Module, Tensor, int, Tensor, int]] = []

        def answer(call: Call) -> Tensor:
            # A tensor of its own, to be recognized by. With its version, since a change in place goes unseen otherwise.
            dropped = call.unmasked.clone()
            calls.append((call, meter.flops))
            seen.append((dropped, dropped._version))
            return dropped

        def note(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
            if args:
                linears.append((module, args[0], args[0]._version, output, output._version))

        seen: list[tuple[Tensor, int]] = []
        meter = _Meter(with_flops=False)
        sizes = []
        runs = []
        with frozen(self.network), ExitStack() as stack:
            interception = stack.enter_context(Interception(self.network, answer, functional=True).active())
            for module in self.network.modules():
                if getattr(module.forward, "__func__", None) is nn.Linear.forward:
                    stack.callback(module.register_forward_hook(note, prepend=True).remove)
            for examples in (3, 2):
                some = x[torch.arange(examples) % len(x)]
                calls.clear()
                linears.clear()
                seen.clear()
                interception.restart()
                meter = _Meter(with_flops=examples == 2)
                with meter:
                    output = self.network(some)
                sizes.append(meter.bytes)
                runs.append([call for call, _ in calls])
        output = check_output(output, 2, self.outputs)
        sites = find_sites(self.network, runs[1], runs[0], functional)
        chosen = choose_sites(sites, layers)
        self.classes = output.shape[1]
        self.sites = [site for site in chosen if site.is_random]
        self.dead = [site for site in chosen if not site.is_random]
        self.sliceable = all(site.rows == 1 for site in self.sites)
        self.first = min((site.index for site in chosen), default=len(calls))
        total = meter.flops
        self.flops = total / 2
        at = [count for _, count in calls] + [total]
        self.below = at[self.first] / total if total else 0.0
        self.below_head = at[self.sites[-1].index] / total if total and self.sites else self.below
        growth = max((b - a for a, b in zip(sizes[1], sizes[0], strict=False)), default=0)
        units = sum(site.n_units for site in self.sites if site.batch_axis is not None)
        # The largest result of an operation with its operands, the masks, and the sums over members in double precision.
        self.bytes_per_example = 3 * max(growth, 0) + 2 * units + 6 * 8 * self.classes
        self.bytes_shared = sum(5 * site.n_units for site in self.sites if site.batch_axis is None)
        self.head = self._find_head(chosen, seen, linears, output)

    def _find_head(self, chosen: Sequence[Site], seen: Any, linears: Any, output: Tensor) -> Head | None:
        if not self.sites or self.sites[-1] is not chosen[-1] or self.outputs == "probs":
            return None
        last = self.sites[-1]
        dropped, version = seen[last.index]
        fits = last.batch_axis == 0 and last.rows == 1 and last.call.kind == "unit" and dropped.dim() == 2
        for module, x, x_version, y, y_version in linears:
            same = x is dropped and x_version == version and y is output and y_version == output._version
            if fits and same:
                with evaluating(self.network):  # where a parametrization is read, such as spectral normalization
                    return Head(module.weight.detach(), None if module.bias is None else module.bias.detach())
        return None

    @property
    def is_enumerable(self) -> bool:
        """Whether the masks are independent bits."""
        return all(site.call.kind not in ("own", "noise") for site in self.sites)

    def run(
        self, x: Tensor, factors: Sequence[Tensor], records: Sequence[_Record], until: Site | None = None
    ) -> Tensor:
        """Run the members of the given factors; the result has the members on its first axis.

        Args:
            x: Examples.
            factors: For each site, the masks (bytes) or factors (floats) of all members.
            records: What was recorded below the first site for these examples.
            until: Return what this site is given instead of the output.
        """
        current: Sequence[Tensor] = ()
        masked = {site.index: i for i, site in enumerate(self.sites)}
        dead = {site.index for site in self.dead}

        def answer(call: Call) -> Tensor:
            if until is not None and call.index == until.index:
                raise ReachedError(call.x)
            if call.index in masked:
                return multiply(call, current[masked[call.index]])
            return multiply(call, None) if call.index in dead else call.unmasked

        def member(*own: Tensor) -> Tensor:
            nonlocal current
            current = own
            interception.restart()
            with replaying(records, interception):
                try:
                    output: Tensor = self.network(x)
                except ReachedError as stop:
                    return stop.x
            return output

        interception = Interception(self.network, answer, functional=self.functional)
        with frozen(self.network), interception.active():
            if not factors:
                return member().unsqueeze(0)
            if self.batched:
                try:
                    return vmap(member)(*factors)
                except Exception:  # whatever vmap cannot do; if the fault is the network's, the loop meets it again
                    self.batched = False
            return torch.stack([member(*own) for own in zip(*factors, strict=True)])

    def record(self, x: Tensor) -> list[_Record]:
        """Run the network up to its first site, and keep what its layers return."""

        def answer(call: Call) -> Tensor:
            if call.index == self.first:
                raise ReachedError(call.x)
            return call.unmasked

        interception = Interception(self.network, answer, functional=self.functional)
        with frozen(self.network), interception.active(), recording(self.network, interception) as records:
            try:
                self.network(x)
            except ReachedError:
                return records
        return records

    def examples_at_once(self, examples: int, memory: int) -> int:
        """How many examples fit the work space with one member, at most ``BLOCK``."""
        fitting = max(1, (memory - self.bytes_shared) // self.bytes_per_example)
        return min(examples, fitting, BLOCK)

    def members_at_once(self, examples: int, memory: int) -> int:
        """How many members fit the work space with some examples, and the processor's cache if more than a few do."""
        each = self.bytes_per_example * examples + self.bytes_shared
        return max(1, min(memory, _WORKING_SET) // each)


class Block:
    """Some examples, and what was recorded of them below the first site."""

    def __init__(self, members: Members, x: Tensor) -> None:
        self.members = members
        self.x = x
        self.records = members.record(x)

    def log_probs(self, factors: Sequence[Tensor]) -> Float[Tensor, "members examples classes"]:
        return to_log_probs(self.members.run(self.x, factors, self.records), self.members.outputs)


@dataclass(eq=False)
class _Record:
    """What one module returned, and how many calls of dropout there had been by then."""

    module: nn.Module
    output: Any
    position: int


@contextmanager
def recording(network: nn.Module, interception: Interception) -> Iterator[list[_Record]]:
    """Keep the outputs of the outermost modules that finish, and do not write into what they are given."""
    records: list[_Record] = []
    started: list[tuple[int, list[int]]] = []

    def enter(module: nn.Module, args: Any, kwargs: Any) -> None:
        started.append((len(records), _versions(args, kwargs)))

    def leave(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        first, versions = started.pop()
        if versions != _versions(args, kwargs):
            return  # as nn.ReLU(inplace=True) does: it runs again, since others may hold what it wrote into
        del records[first:]
        records.append(_Record(module, cloned(output), interception.position))

    with ExitStack() as stack:
        for module in network.modules():
            if module is not network:
                stack.callback(module.register_forward_pre_hook(enter, with_kwargs=True).remove)
                # Before the module's own hooks, which run again when what is recorded is returned.
                stack.callback(module.register_forward_hook(leave, prepend=True, with_kwargs=True).remove)
        yield records


def _versions(args: Any, kwargs: Any) -> list[int]:
    """How often each tensor was written into; those of inference mode, which may be the user's own, do not tell."""
    tensors = (leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor))
    return [tensor._version for tensor in tensors if not tensor.is_inference()]


@contextmanager
def replaying(records: Sequence[_Record], interception: Interception) -> Iterator[None]:
    """Let modules return what was recorded, each as many times as it was; after that they run."""
    by_module: dict[nn.Module, list[_Record]] = {}
    for record in records:
        by_module.setdefault(record.module, []).append(record)
    with ExitStack() as stack:
        for module, own in by_module.items():
            stack.callback(_restore_forward, module, module.__dict__.get("forward"))
            module.forward = _replay(module.forward, own, interception)
        yield


def _replay(forward: Callable[..., Any], records: Sequence[_Record], interception: Interception) -> Callable[..., Any]:
    remaining = iter(records)

    def replay(*args: Any, **kwargs: Any) -> Any:
        record = next(remaining, None)
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


def cloned(output: Any) -> Any:
    """Copy tensors, since what follows may write into them."""
    return tree_map_only(Tensor, torch.clone, output)
