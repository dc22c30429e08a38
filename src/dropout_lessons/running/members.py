"""Run the members of a network: the same examples under many masks, and what lies below the first mask only once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from dropout_lessons.networks import evaluating
from dropout_lessons.running.calls import DropoutCall, Interception
from dropout_lessons.running.discovery import discover, forget
from dropout_lessons.running.examples import Given
from dropout_lessons.running.modes import at_once, drawing_from
from dropout_lessons.running.replay import ReachedError, Record, recording, replaying, replays
from dropout_lessons.running.sites import Site, choose_sites, multiply

# Small enough for the members at work to stay in the processor's cache, large enough for a call's overhead not to count. On a
# GPU calls cost more than what they do, and the work space is the only limit.
_WORKING_SET = 2**24
#: Examples that are averaged together; draws of Monte Carlo follow these blocks, so that they do not depend on memory.
BLOCK = 256


@dataclass(frozen=True, eq=False)
class Head:
    """A linear output layer right above the last site: its members' softmaxes can be summed without listing them."""

    weight: Tensor
    bias: Tensor | None


class Members:
    """The networks that masks on the chosen sites make of one network.

    Args:
        given: The network, with examples like those that will run.
        layers: Names of the sites that are masked, all of them when None.

    Attributes:
        sites: The sites that are masked, in the order of the forward pass.
        drawn: The sites whose modules draw by themselves.
        device: Where the network computes.
        n_outputs: How many numbers are predicted for each example.
        below: Share of a forward pass's multiply-adds that comes before the first site.
        below_head: Share that comes before the last site.
        flops: Floating-point operations of one forward pass of one example.
        bytes_per_example: Work space of one member for one example.
    """

    def __init__(self, given: Given, layers: Sequence[str] | None) -> None:
        self.given = given
        self.network = given.network
        self.outputs = given.outputs
        self.device = given.device
        self.batched = True  # until an operation turns up that torch.func.vmap cannot do
        self._found = found = discover(given)
        chosen = choose_sites(found.sites, layers)
        self.drawn = [site for site in chosen if site.kind == "drawn"]
        masked = [site for site in chosen if site.kind != "drawn"]
        self.sites = [site for site in masked if site.is_random]
        self.dead = [site for site in masked if not site.is_random]
        self._in_training = dict.fromkeys((*found.training, *(site.path for site in self.drawn)))
        self.sliceable = not self.drawn and all(site.rows == 1 for site in self.sites)
        self.n_outputs = torch.Size(found.output_shape[1:]).numel()
        n_calls = len(found.flops) - 1
        self.first = 0 if self.drawn else min((site.index for site in masked), default=n_calls)
        self.flops = found.flops[-1]
        share = [count / self.flops if self.flops else 0.0 for count in found.flops]
        self.below = 0.0 if self.drawn else share[self.first]
        self.below_head = share[self.sites[-1].index] if self.sites else self.below
        units = sum(site.n_units for site in self.sites if site.batch_axis is not None)
        # The largest result of an operation with its operands, the masks, and the sums over members in double precision.
        # Masks are drawn as bytes and kept as floats.
        self.bytes_per_example = 3 * found.bytes_per_example + 5 * units + 6 * 8 * self.n_outputs
        self.bytes_shared = sum(5 * site.n_units for site in self.sites if site.batch_axis is None)
        # Nothing is dropped between the last site and the output.
        self._is_last = bool(self.sites) and self.sites[-1] is masked[-1] and self.sites[-1].index == n_calls - 1

    @cached_property
    def head(self) -> Head | None:
        """The linear output layer right above the last site, if there is one."""
        if not self._is_last or self.drawn or self._found.head is None:
            return None
        last = self.sites[-1]
        if self.outputs.kind not in ("logits", "log_probs") or (last.batch_axis, last.rows, last.kind) != (
            0,
            1,
            "unit",
        ):
            return None
        module = self.network.get_submodule(self._found.head)
        if module._forward_pre_hooks:
            return None  # the layer may make its weight there, as torch.nn.utils.weight_norm does, or change its input
        with evaluating(module):  # where a parametrization is read, such as spectral normalization
            weight, bias = module.weight, module.bias
        assert isinstance(weight, Tensor)
        return Head(weight.detach(), bias.detach() if isinstance(bias, Tensor) else None)

    @property
    def is_enumerable(self) -> bool:
        """Whether the masks are independent bits."""
        return not self.drawn and all(site.is_enumerable for site in self.sites)

    def run(
        self,
        given: Given,
        factors: Sequence[Tensor],
        *,
        count: int = 1,
        records: Sequence[Record] = (),
        until: Site | None = None,
        source: torch.Generator | None = None,
    ) -> Tensor:
        """Run the members of the given factors; the result has the members on its first axis.

        Args:
            given: The network, with the examples.
            factors: For each site, the masks (bytes) or factors (floats) of all members.
            count: How many members, if there is no site.
            records: What was recorded below the first site for these examples.
            until: Return what this site is given instead of the output.
            source: What modules draw from that draw by themselves.
        """
        current: Sequence[Tensor] = ()
        reached: Tensor | None = None
        masked = {site.index: i for i, site in enumerate(self.sites)}
        dead = {site.index: site for site in self.dead}

        def answer(call: DropoutCall) -> Tensor:
            nonlocal reached
            index = self._index(call, interception, shapes)
            if until is not None and index == until.index:
                reached = call.x.clone()
                return call.unmasked
            if index in masked:
                at = masked[index]
                dropped = multiply(self.sites[at], call.x, current[at])
            elif index in dead:
                dropped = multiply(dead[index], call.x, None)
            else:
                return call.unmasked
            return call.x.copy_(dropped) if call.writes and self._found.reads_dropped else dropped

        def member(*own: Tensor) -> Tensor:
            nonlocal current, reached
            current, reached = own, None
            with replaying(records, interception):
                output = given.output()  # to its end, where calls would be that a first look did not find
            if until is not None and reached is None:
                raise self._otherwise(f"none at {until.name!r}")
            return output if reached is None else reached

        interception, shapes = self._interception(answer), self._shapes(len(given))
        with interception.active(), drawing_from(source):
            if not factors:
                return _stacked([member() for _ in range(count)])
            if self.batched and not self.drawn and len(factors[0]) > 1:
                try:
                    return at_once(member, *factors)
                except Exception:  # whatever vmap cannot do; if the fault is the network's, the loop meets it again
                    self.batched = False
            return _stacked([member(*own) for own in zip(*factors, strict=True)])

    def record(self, given: Given) -> list[Record]:
        """Run the network up to its first site, and keep what its layers return, if that is all that they do."""
        if self.drawn or not self._replays():
            return []
        return self._recorded(given)

    def _recorded(self, given: Given) -> list[Record]:
        def answer(call: DropoutCall) -> Tensor:
            if self._index(call, interception, shapes) >= self.first:
                raise ReachedError
            return call.unmasked

        interception, shapes = self._interception(answer), self._shapes(len(given))
        with interception.active(), recording(self.network, interception) as records, suppress(ReachedError):
            given.returned()
        return records

    def _replays(self) -> bool:
        known = self._found.replays
        if self.first not in known:
            # In another order than the user's, whose own last pass may have left what is looked for.
            some = self.given.take(torch.tensor([1, 0]) % len(self.given))
            interception = self._interception(lambda call: call.unmasked)
            known[self.first] = replays(some, self.given.take(slice(-2, None)), self._recorded(some), interception)
        return known[self.first]

    def _shapes(self, examples: int) -> list[tuple[int, ...]]:
        """Of each call that was found, the shape of its mask for some examples."""
        return [
            tuple(a + (b - a) * (examples - 2) for a, b in zip(few, more, strict=True))
            for few, more in self._found.shapes
        ]

    def _index(self, call: DropoutCall, interception: Interception, shapes: Sequence[tuple[int, ...]]) -> int:
        """Which of the calls that were found it is. Those before it may be left out, as by layers that are skipped."""
        calls, signature, shape = self._found.calls, call.signature, call.mask_shape
        alike = None
        for index in range(call.index, len(calls)):
            if calls[index] == signature:
                if shapes[index] == shape:
                    interception.position = index + 1
                    return index
                alike = index if alike is None else alike
        if alike is not None and all(site.index != alike for site in self.sites):
            interception.position = alike + 1
            return alike
        names = {module: name for name, module in self.network.named_modules()}
        by = "a function" if call.module is None else f"{type(call.module).__name__} {names.get(call.module)!r}"
        what = f"{by} with keep probability {call.keep_prob:g}"
        raise self._otherwise(what if alike is None else f"{what} and a mask of shape {shape}")

    def _otherwise(self, seen: str) -> ValueError:
        forget(self.network)
        return ValueError(
            f"network called its dropout otherwise than in a first look at a few examples: {seen}, after or instead of the "
            f"{len(self._found.calls)} calls of then; let no call depend on the numbers in x, or average alike examples by "
            "themselves. If something outside the network's modules decides its dropout and has changed, call again: the "
            "network is then looked at anew"
        )

    def _interception(self, answer: Callable[[DropoutCall], Tensor]) -> Interception:
        drawing = [self.network.get_submodule(path) for path in self._in_training]
        return Interception(self.network, answer, functional=self._found.functional, drawing=drawing)

    def examples_at_once(self, examples: int, memory: int) -> int:
        """How many examples fit the work space with one member, at most ``BLOCK``."""
        fitting = max(1, (memory - self.bytes_shared) // self.bytes_per_example)
        return min(examples, fitting, BLOCK)

    def members_at_once(self, examples: int, memory: int) -> int:
        """How many members fit the work space with some examples, and a processor's cache if more than a few do."""
        each = self.bytes_per_example * examples + self.bytes_shared
        room = min(memory, _WORKING_SET) if self.device.type == "cpu" else memory
        return max(1, room // each)


class Block:
    """Some examples, and what was recorded of them below the first site.

    Args:
        members: Who will run.
        given: The network, with the examples.
        once: Whether a single member will run, for which nothing needs to be recorded.
    """

    def __init__(self, members: Members, given: Given, *, once: bool = False) -> None:
        self.members = members
        self.given = given
        self.records = [] if once else members.record(given)

    def predictions(
        self, factors: Sequence[Tensor], *, count: int = 1, source: torch.Generator | None = None
    ) -> Tensor:
        """What each member predicts, arranged as ``Outputs`` says."""
        return self.members.run(self.given, factors, count=count, records=self.records, source=source)

    def inputs_of(self, site: Site, factors: Sequence[Tensor]) -> Tensor:
        """What each member gives this site."""
        return self.members.run(self.given, factors, records=self.records, until=site)


def _stacked(outputs: Sequence[Tensor]) -> Tensor:
    """The members on an axis of their own; a single one is not copied again."""
    return outputs[0].unsqueeze(0) if len(outputs) == 1 else torch.stack(list(outputs))
