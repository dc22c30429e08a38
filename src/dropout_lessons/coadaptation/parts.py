"""Some examples of a network whose units may be present or not: its outputs, and what toggling units changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dropout_lessons.coadaptation.passes import Call, Passes
from dropout_lessons.masks import enumerate_masks
from dropout_lessons.running.arrays import elementwise_

Outputs = Literal["logits", "log_probs", "probs", "values"]

# Small enough for the members at work to stay in the processor's cache, large enough for a call's overhead not to count.
_WORKING_SET = 2**22
# The same for matrices of pairs, one for each example.
_PAIRS_SET = 2**19
# Contributions to logits of which two may be added to an exponent without overflow or loss.
_SAFE_RANGE = 100.0


@dataclass(frozen=True)
class Readout:
    """What the network returns, and the value that it is judged by.

    Attributes:
        outputs: What the network returns.
        temperature: Divides the logits.
    """

    outputs: Outputs
    temperature: float

    @property
    def is_regression(self) -> bool:
        return self.outputs == "values"

    def logits(self, output: Tensor) -> Tensor:
        """Logits in double precision, up to a number of each example; what a regression returns, with an axis of outputs."""
        output = output.double()
        if self.is_regression:
            return output.unsqueeze(-1) if output.dim() < 3 else output
        logits = output.log() if self.outputs == "probs" else output
        return logits if self.temperature == 1 else logits / self.temperature

    def centered(self, output: Tensor) -> Tensor:
        """Logits with mean 0 over the classes, which can be additive where the output is not; or the values of a regression."""
        logits = self.logits(output)
        return logits if self.is_regression else logits - logits.mean(-1, keepdim=True)

    def values(self, logits: Float[Tensor, "members examples outputs"], y: Tensor) -> Float[Tensor, "members examples"]:
        if self.is_regression:
            errors = (y - logits).square().sum(-1)
            _check_values(errors, self.outputs)
            return errors.neg_()
        own = logits.gather(-1, y.expand(logits.shape[:-1]).unsqueeze(-1))
        # The label's own term is 1, so the sum cannot underflow; and a product is the fastest sum of a few classes.
        with np.errstate(over="ignore", invalid="ignore"):
            sums = elementwise_("exp", logits - own) @ logits.new_ones(logits.shape[-1])
        values = elementwise_("log", sums).neg_()
        if not bool(values.isfinite().all()):  # e^710 is too large
            values = -(logits - own).logsumexp(-1)
            _check_values(values, self.outputs)
        return values

    def scores(self, logits: Float[Tensor, "members examples outputs"], y: Tensor) -> Float[Tensor, "members examples"]:
        return -self.values(logits, y) if self.is_regression else (logits.argmax(-1) == y).double()


def _check_values(values: Tensor, outputs: Outputs) -> None:
    if not bool(values.isfinite().all()):
        raise ValueError(
            f"network returned {outputs} that are NaN or infinite, or a label's probability of 0, for some set of units "
            "present if not for all; look for numbers beyond its precision, or give logits instead of probabilities"
        )


@dataclass(eq=False)
class Above:
    """What lies above the layer, as far as it helps.

    Attributes:
        cut: The last call whose result is additive in the units and alone decides what the network returns.
        additive: Whether the network's logits, or the values of a regression, are themselves additive.
        bytes_per_example: Work space of one member for one example.
        examples_at_once: How many examples to run together, at most.
    """

    cut: Call | None
    additive: bool
    bytes_per_example: float
    examples_at_once: int = 128


class Part:
    """Examples that run together.

    Attributes:
        passes: Forward passes of the network on them.
        clamps: What absent units send on, broadcast to the activations.
        axis: Axis of the activations that counts units.
        readout: How outputs become values.
        y: Classes, or the targets of a regression; set once they are known.
        above: What helps; found by ``additivity.look_above``.
    """

    def __init__(self, passes: Passes, clamps: Tensor, axis: int, readout: Readout) -> None:
        self.passes = passes
        self.clamps = clamps
        self.axis = axis
        self.readout = readout
        self.y = torch.empty(0, device=passes.activations.device)
        self.above = Above(None, False, 4.0 * passes.activations[0].numel())

    @property
    def n_examples(self) -> int:
        return len(self.passes.activations)

    @property
    def n_units(self) -> int:
        return self.passes.activations.shape[self.axis]

    def present(self, presence: Float[Tensor, "*examples units"]) -> Tensor:
        """What the layer sends on, :math:`z h + (1 - z) c`."""
        h = self.passes.activations
        shape = [1] * h.dim()
        shape[self.axis] = self.n_units
        if presence.dim() > 1:
            shape[0] = len(presence)
        z = presence.reshape(shape)
        return z * h + (1 - z) * self.clamps

    def outputs(self, presence: Tensor, *, until: Call | None = None) -> Tensor:
        """What the network returns for the presence ``(members, examples, units)`` or ``(members, units)``, in chunks."""
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
        return self.values(enumerate_masks(self.n_units, device=self.passes.activations.device))

    def logits(self, presence: Tensor) -> Float[Tensor, "members examples outputs"]:
        """Logits in double precision, by one matrix product where they are additive."""
        if not self.above.additive:
            return self.readout.logits(self.outputs(presence))
        base, c = self.contributions
        z = presence.double()
        if z.dim() == 2:
            summed = (z @ c.transpose(0, 1).flatten(1)).view(len(z), *base.shape)
        else:
            summed = (z.transpose(0, 1) @ c).transpose(0, 1)
        return summed.add_(base)

    @cached_property
    def contributions(self) -> tuple[Float[Tensor, "examples outputs"], Float[Tensor, "examples units outputs"]]:
        """Logits with no unit present, and what each unit adds to them; where they are additive."""
        eye = torch.eye(self.n_units + 1, self.n_units, device=self.passes.activations.device)
        alone = self.readout.centered(self.outputs(eye.roll(1, 0)))
        return alone[0], (alone[1:] - alone[0]).transpose(0, 1).contiguous()

    @cached_property
    def _steps(self) -> Float[Tensor, "units ..."]:
        """What each unit adds to the result of the cut."""
        eye = torch.eye(self.n_units + 1, self.n_units, device=self.passes.activations.device)
        alone = self.outputs(eye.roll(1, 0), until=self.above.cut)
        return alone[1:] - alone[0]

    def toggle(self, present: Bool[Tensor, "examples units"], *, pairs: bool) -> Toggled:
        r"""Add and remove each unit, and each two, with those of the others present that are in :math:`S`.

        With :math:`S^i` for :math:`S` with unit :math:`i` toggled, and :math:`\sigma_i = 1` where it is in :math:`S`, else -1,

        .. math:: D_i = \sigma_i [v(S) - v(S^i)], \qquad
                  I_{ij} = \sigma_i \sigma_j [v(S) - v(S^i) - v(S^j) + v(S^{ij})].
        """
        sigma = 2.0 * present.double() - 1
        if self.above.additive:
            _, c = self.contributions
            logits = self.logits(present.unsqueeze(0))[0]
            if self.readout.is_regression:
                return _squared_errors(self.y - logits, c, sigma, pairs)
            own = c - c.gather(2, self.y[:, None, None].expand(-1, self.n_units, 1))
            if bool((own.amax(2) - own.amin(2) <= _SAFE_RANGE).all()):
                return _softmax(logits.softmax(-1), own, sigma, pairs)
            return self._toggle(logits, c.transpose(0, 1), self._from_logits, sigma, pairs)
        if self.above.cut is None:
            z = present.to(self.passes.activations.dtype)
            eye = torch.eye(self.n_units, dtype=z.dtype, device=z.device)
            return self._toggle(z, eye.unsqueeze(1) * self._differs, self._from_presence, sigma, pairs)
        start = self.outputs(present.unsqueeze(0), until=self.above.cut)[0]
        return self._toggle(start, self._steps, self._from_cut, sigma, pairs)

    def release(self) -> None:
        """Forget the steps to the cut, which take more room than all else; they are worked out again if need be."""
        self.__dict__.pop("_steps", None)

    def _from_logits(self, logits: Tensor) -> Tensor:
        return self.readout.values(logits, self.y)

    def _from_presence(self, presence: Tensor) -> Tensor:
        return self._from_logits(self.readout.logits(self.passes.run(presence, making=self.present)))

    def _from_cut(self, results: Tensor) -> Tensor:
        return self._from_logits(self.readout.logits(self.passes.run(results, above=self.above.cut)))

    def _toggle(
        self, start: Tensor, steps: Tensor, value: Callable[[Tensor], Tensor], sigma: Tensor, pairs: bool
    ) -> Toggled:
        """Toggle units where one that is present adds a step of its own to something that decides the value."""
        n, size = self.n_units, self._members_at_once()
        # Units that do nothing for an example, as many ReLU units do, are left out: rank k is its k-th unit that does something.
        active = (steps != 0).flatten(2).any(2)
        ranks = int(active.sum(0).max())
        unit = active.to(torch.uint8).argsort(dim=0, descending=True, stable=True)[:ranks]
        sigma = sigma.T.gather(0, unit)
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
            for rows in _rows(ranks, size) if pairs else ():
                members = 0
                for i, first, last in rows:
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
        return Toggled(effects.T, total + total.T, strength + strength.T)

    @property
    def _differs(self) -> Float[Tensor, "examples units"]:
        """1 where a unit is not at its clamp anyway, else 0."""
        h = self.passes.activations
        differs = (h != self.clamps).movedim(self.axis, 1).flatten(2) if h.dim() > 2 else h != self.clamps
        return (differs.any(2) if h.dim() > 2 else differs).to(h.dtype)

    def _members_at_once(self) -> int:
        return max(1, int(_WORKING_SET // (self.above.bytes_per_example * self.n_examples)))


@dataclass(frozen=True, eq=False)
class Toggled:
    """What units and pairs of them change in one context of each example.

    Attributes:
        effects: What each unit adds.
        total: Interaction of each pair, summed over the examples.
        strength: Its absolute value, summed over the examples.
    """

    effects: Float[Tensor, "examples units"]
    total: Float[Tensor, "units units"]
    strength: Float[Tensor, "units units"]


def _softmax(
    probs: Float[Tensor, "examples classes"],
    own: Float[Tensor, "examples units classes"],
    sigma: Float[Tensor, "examples units"],
    pairs: bool,
) -> Toggled:
    r"""Toggle units that add to the logits, :math:`c_{ik}` to that of class :math:`k` and 0 to that of the label.

    .. math:: \frac{Z(S^i)}{Z(S)} = \sum_k p_k e^{-\sigma_i c_{ik}} = Z_i, \qquad
              D_i = \sigma_i \log Z_i, \qquad
              I_{ij} = -\sigma_i \sigma_j \log \sum_k p_k \frac{e^{-\sigma_i c_{ik}}}{Z_i} \frac{e^{-\sigma_j c_{jk}}}{Z_j}
    """
    n = own.shape[1]
    factors = (own * -sigma.unsqueeze(2)).exp_()
    ratio = (factors @ probs.unsqueeze(2)).squeeze(2)
    total, strength = own.new_zeros(2, n, n)
    if pairs:
        factors /= ratio.unsqueeze(2)
        weighted = factors * probs.unsqueeze(1)
        strip = max(16, n // 8)
        at_once = max(1, _PAIRS_SET // (8 * n * strip))
        for f, w, s in zip(factors.split(at_once), weighted.split(at_once), sigma.split(at_once), strict=True):
            for i in range(0, n, strip):  # and j from i on: the rest is the same
                logs = elementwise_("log", w[:, i : i + strip] @ f[:, i:].transpose(1, 2))
                total[i : i + strip, i:] -= (logs * s[:, i : i + strip, None]).mul_(s[:, None, i:]).sum(0)
                strength[i : i + strip, i:] += logs.abs_().sum(0)
        total, strength = (pairwise.triu(1) + pairwise.triu(1).T for pairwise in (total, strength))
    return Toggled(sigma * ratio.log(), total, strength)


def _squared_errors(
    residual: Float[Tensor, "examples outputs"],
    c: Float[Tensor, "examples units outputs"],
    sigma: Float[Tensor, "examples units"],
    pairs: bool,
) -> Toggled:
    r"""Toggle units that add :math:`c_i` to the values of a regression, :math:`I_{ij} = -2\, c_i \cdot c_j` in every context."""
    n = c.shape[1]
    effects = 2 * (c @ residual.unsqueeze(2)).squeeze(2) + sigma * c.square().sum(2)
    total, strength = c.new_zeros(2, n, n)
    if pairs:
        for some in c.split(max(1, _PAIRS_SET // (8 * n * n))):
            products = some @ some.transpose(1, 2)
            total -= 2 * products.sum(0)
            strength += 2 * products.abs_().sum(0)
    return Toggled(effects, total.fill_diagonal_(0), strength.fill_diagonal_(0))


def _rows(n: int, size: int) -> Iterator[list[tuple[int, int, int]]]:
    """Cut the pairs i < j into chunks, each a list of i with the first j and the one after the last."""
    chunk: list[tuple[int, int, int]] = []
    room = size
    for i in range(n - 1):
        first = i + 1
        while first < n:
            last = min(n, first + room)
            chunk.append((i, first, last))
            room -= last - first
            first = last
            if not room:
                yield chunk
                chunk, room = [], size
    if chunk:
        yield chunk
