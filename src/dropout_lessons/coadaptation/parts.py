"""Some examples of a network whose units may be present or not: what it predicts, and what toggling units changes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dropout_lessons.coadaptation.readout import Readout
from dropout_lessons.coadaptation.toggling import (
    Factors,
    Toggled,
    factors_of,
    pair_chunks,
    toggled_softmax,
    toggled_squared_errors,
)
from dropout_lessons.masks import enumerate_masks
from dropout_lessons.running.layer_passes import LayerPasses, Operation

# Small enough for the members at work to stay in the processor's cache, large enough for a call's overhead not to count.
_WORKING_SET = 2**22
_CONTEXTS_SET = 2**25  # bytes of what units add to the logits, in all contexts that are looked at together


@dataclass(eq=False)
class Above:
    """What lies above the layer, as far as it helps.

    Attributes:
        cut: The last operation whose result is additive in the units and alone decides what the network predicts.
        additive: Whether the network's logits, or the values of a regression, are themselves additive.
        bytes_per_example: Work space of one member for one example.
        examples_at_once: How many examples to run together, at most.
    """

    cut: Operation | None
    additive: bool
    bytes_per_example: float
    examples_at_once: int = 128


class Part:
    """Examples that run together.

    Attributes:
        passes: Forward passes of the network on them.
        axis: Axis of the activations that holds the units.
        n_units: Number of units: equal slices of that axis.
        readout: How predictions become values.
        clamps: What absent units send on, broadcast to the activations; None for zeros.
        y: Classes, or the targets of a regression; set once they are known.
        above: What helps; found by ``additivity.look_above``.
    """

    def __init__(self, passes: LayerPasses, readout: Readout) -> None:
        self.passes = passes
        self.axis = passes.axis
        self.n_units = passes.n_units
        self.readout = readout
        self.clamps: Tensor | None = None
        self.y = torch.empty(0, device=passes.activations.device)
        self.above = Above(None, False, 4.0 * passes.activations[0].numel())

    @property
    def n_examples(self) -> int:
        return len(self.passes.activations)

    def present(self, presence: Float[Tensor, "*examples units"]) -> Tensor:
        """What the layer sends on, :math:`z h + (1 - z) c`."""
        h = self.passes.activations
        entries = h.shape[self.axis]
        if entries != self.n_units:  # units are slices of several entries
            each = (*presence.shape, entries // self.n_units)
            presence = presence.unsqueeze(-1).expand(each).flatten(-2)
        shape = [1] * h.dim()
        shape[self.axis] = entries
        if presence.dim() > 1:
            shape[0] = len(presence)
        z = presence.reshape(shape)
        return z * h if self.clamps is None else z * h + (1 - z) * self.clamps

    def predictions(self, presence: Tensor, *, until: Operation | None = None) -> Tensor:
        """What the network predicts for the presence ``(members, examples, units)`` or ``(members, units)``, in chunks."""
        presence = presence.to(self.passes.activations.dtype)
        with self.passes.active():
            chunks = presence.split(self._members_at_once())
            return torch.cat([self.passes.run(chunk, making=self.present, until=until) for chunk in chunks])

    def values(self, presence: Tensor) -> Float[Tensor, "members examples"]:
        chunks = presence.split(self._members_at_once())
        return torch.cat([self.readout.values(self.logits(chunk), self.y) for chunk in chunks])

    def scores(self, presence: Tensor) -> Float[Tensor, "members examples"]:
        chunks = presence.split(self._members_at_once())
        return torch.cat([self.readout.scores(self.logits(chunk), self.y) for chunk in chunks])

    def table(self) -> Float[Tensor, "sets examples"]:
        """Values of all sets of units, in the order of ``enumerate_masks``."""
        return self.values(enumerate_masks(self.n_units, device=self.y.device))

    def logits(self, presence: Tensor) -> Float[Tensor, "members examples *positions outputs"]:
        """Logits in double precision, by one matrix product where they are additive."""
        if not self.above.additive:
            return self.readout.logits(self.predictions(presence))
        base, c = self.contributions
        z = presence.double()
        shared = z.dim() == 2  # by the examples
        summed = z @ c.transpose(0, 1).flatten(1) if shared else (z.transpose(0, 1) @ c.flatten(2)).transpose(0, 1)
        return summed.reshape(len(z), *base.shape) + base

    def scores_without(
        self, rank: Int[Tensor, " units"], counts: Int[Tensor, " counts"]
    ) -> Float[Tensor, "counts examples"]:
        """Scores without so many units, those of the lowest ranks."""
        if not self.above.additive:
            return self.scores(rank >= counts[:, None])
        base, c = self.contributions
        last_removed_first = rank.argsort(descending=True)
        sums = torch.cat([base.unsqueeze(0), c.transpose(0, 1)[last_removed_first]]).cumsum(0)
        return self.readout.scores(sums[self.n_units - counts], self.y)

    @cached_property
    def contributions(self) -> tuple[Float[Tensor, "examples ..."], Float[Tensor, "examples units ..."]]:
        """Logits with no unit present, and what each unit adds to them; where they are additive."""
        alone = self.readout.centered(self.predictions(self._none_and_each()))
        return alone[0], (alone[1:] - alone[0]).transpose(0, 1).contiguous()

    @cached_property
    def _steps(self) -> Float[Tensor, "units ..."]:
        """What each unit adds to the result of the cut."""
        alone = self.predictions(self._none_and_each(), until=self.above.cut)
        return alone[1:] - alone[0]

    def _none_and_each(self) -> Float[Tensor, "sets units"]:
        return torch.eye(self.n_units + 1, self.n_units, device=self.y.device).roll(1, 0)

    @property
    def contexts_at_once(self) -> int:
        """In how many contexts to toggle units together, at most."""
        if self._factors is None and not (self.above.additive and self.readout.is_regression):
            return 1
        return max(1, _CONTEXTS_SET // self.contributions[1].nbytes)

    def toggle(self, present: Bool[Tensor, "contexts examples units"], *, pairs: bool) -> Toggled:
        r"""Add and remove each unit, and each two, with those of the others present that are in :math:`S`.

        With :math:`S^i` for :math:`S` with unit :math:`i` toggled, and :math:`\sigma_i = 1` where it is in :math:`S`, else -1,

        .. math:: D_i = \sigma_i [v(S) - v(S^i)], \qquad
                  I_{ij} = \sigma_i \sigma_j [v(S) - v(S^i) - v(S^j) + v(S^{ij})].
        """
        if self.above.additive and self.readout.is_regression:
            return toggled_squared_errors(self.y - self.logits(present), self.contributions[1], present, pairs)
        if self._factors is not None:
            return toggled_softmax(self.logits(present), self._factors, present, pairs)
        (one,) = present
        if self.above.additive:
            _, c = self.contributions
            return self._toggle(self.logits(present)[0], c.transpose(0, 1), self._from_logits, one, pairs)
        if self.above.cut is None:
            z = one.to(self.passes.activations.dtype)
            eye = torch.eye(self.n_units, dtype=z.dtype, device=z.device)
            return self._toggle(z, eye.unsqueeze(1) * self._differs, self._from_presence, one, pairs)
        start = self.predictions(present, until=self.above.cut)[0]
        return self._toggle(start, self._steps, self._from_cut, one, pairs)

    @cached_property
    def _factors(self) -> list[Factors] | None:
        """What toggling does to the normalizer, where units add to the logits."""
        if not self.above.additive or self.readout.is_regression:
            return None
        _, c = self.contributions
        # Values at several positions are averaged before they are made positive, so there are no factors.
        return None if c.dim() > 3 else factors_of(c, self.y)

    def judged_by(self, y: Tensor) -> Part:
        """The same with other classes or targets; what does not depend on them is shared."""
        other = copy.copy(self)
        other.y = y
        other.__dict__.pop("_factors", None)
        return other

    def release(self) -> None:
        """Forget the steps to the cut, which take more room than all else; they are worked out again if need be."""
        self.__dict__.pop("_steps", None)

    def _from_logits(self, logits: Tensor) -> Tensor:
        return self.readout.values(logits, self.y)

    def _from_presence(self, presence: Tensor) -> Tensor:
        return self._from_logits(self.readout.logits(self.passes.run(presence, making=self.present)))

    def _from_cut(self, results: Tensor) -> Tensor:
        return self._from_logits(self.readout.logits(self.passes.run(results, resume=self.above.cut)))

    def _toggle(
        self, start: Tensor, steps: Tensor, value: Callable[[Tensor], Tensor], present: Tensor, pairs: bool
    ) -> Toggled:
        """Toggle units where one that is present adds a step of its own to something that decides the value."""
        n, size = self.n_units, self._members_at_once()
        # Units that do nothing for an example, as many ReLU units do, are left out: rank k is its k-th unit that does something.
        active = (steps != 0).flatten(2).any(2)
        ranks = int(active.sum(0).max())
        unit = active.to(torch.uint8).argsort(dim=0, descending=True, stable=True)[:ranks]
        sigma = (2.0 * present.double() - 1).T.gather(0, unit)
        shape = (*unit.shape, *[1] * (steps.dim() - 2))
        if not bool(active.all()):
            steps = steps.gather(0, unit.view(shape).expand(ranks, *steps.shape[1:]))
        steps = steps * sigma.to(steps.dtype).view(shape)
        with self.passes.active():  # and so not in inference mode, whose tensors cannot be written into here
            effects = sigma.new_zeros(n, self.n_examples)
            total, strength = sigma.new_zeros(2, n * n)
            v = value(start.clone().unsqueeze(0))  # which may be written into
            added = torch.cat([v - value(start - some) for some in steps.split(size)]) if ranks else sigma
            effects.scatter_(0, unit, added * sigma)
            two = torch.empty(min(size, n * n), *start.shape, dtype=start.dtype, device=start.device)
            all_pairs = torch.triu_indices(ranks, ranks, 1, device=start.device)
            done = 0
            for chunk in pair_chunks(ranks, size) if pairs else ():
                members = 0
                for i, first, last in chunk:
                    one = start - steps[i]
                    torch.sub(one, steps[first:last], out=two[members : members + last - first])
                    members += last - first
                a, b = all_pairs[:, done : done + members]
                done += members
                # v(S) - v(S^i) - v(S^j) + v(S^ij)
                interaction = (value(two[:members]) - v).add_(added[a]).add_(added[b]).mul_(sigma[a] * sigma[b])
                where = (unit[a] * n + unit[b]).flatten()
                total.index_add_(0, where, interaction.flatten())
                strength.index_add_(0, where, interaction.abs_().flatten())
        total, strength = total.view(n, n), strength.view(n, n)
        return Toggled(effects.T.unsqueeze(0), total + total.T, strength + strength.T, strength.sum().unsqueeze(0))

    @property
    def _differs(self) -> Float[Tensor, "examples units"]:
        """1 where a unit is not at its clamp anyway, else 0."""
        h = self.passes.activations
        differs = (h != (0 if self.clamps is None else self.clamps)).movedim(self.axis, 1)
        each: Tensor = differs.unflatten(1, (self.n_units, -1)).flatten(2).any(2)
        return each.to(h.dtype)

    def _members_at_once(self) -> int:
        return max(1, int(_WORKING_SET // (self.above.bytes_per_example * self.n_examples)))
