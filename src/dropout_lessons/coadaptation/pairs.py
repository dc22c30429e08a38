"""How much the effect of one unit depends on another: pairwise interactions, of all pairs or of a sample."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from dropout_lessons.arguments import check_count, check_keep_prob, own_generator
from dropout_lessons.coadaptation.estimate import Estimate, standard_error
from dropout_lessons.coadaptation.toggling import Toggled
from dropout_lessons.coadaptation.units import LayerUnits, check_asked
from dropout_lessons.masks import enumerate_masks, mask_log_prob, sample_mask
from dropout_lessons.runtime import progress_bar

# All contexts of so many units are enumerated.
_ENUMERABLE = 12
_CONTEXTS = 8


@dataclass(frozen=True, eq=False, repr=False)
class Interaction:
    r"""Pairwise interactions of a layer's units, means over examples and contexts, in nats (squared units for regression).

    Attributes:
        pairwise: :math:`\mathbb E[I_{ij}]`, symmetric with a zero diagonal. Negative: together the two add less than they
            would one by one, as redundant units do. Positive: more, as units do that need each other.
        strength: :math:`\mathbb E|I_{ij}|`: interactions of both signs count.
        effects: :math:`\mathbb E[D_i]`, what unit :math:`i` adds.
        effect_strength: :math:`\mathbb E|D_i|`.
        total: :math:`\sum_{i<j} \mathbb E|I_{ij}|`.
        relative: :math:`\sum_{i<j} \mathbb E|I_{ij}| \,/\, \sum_i \mathbb E|D_i|`; no unit has to be left out and no width
            divided by: unused units add nothing to either sum. 0 where the units have no effect.
        n_contexts: How many contexts of each pair were looked at, for each example.
    """

    pairwise: Float[Tensor, "units units"]
    strength: Float[Tensor, "units units"]
    effects: Float[Tensor, " units"]
    effect_strength: Float[Tensor, " units"]
    total: Estimate
    relative: Estimate
    n_contexts: int

    @property
    def exact(self) -> bool:
        """Whether all contexts were looked at."""
        return self.total.exact

    def __repr__(self) -> str:
        return f"Interaction({len(self.effects)} units: total {self.total} nats, relative {self.relative})"


def interaction(
    units: LayerUnits,
    keep_prob: float = 0.5,
    *,
    contexts: int | None = None,
    generator: torch.Generator | None = None,
    progress: bool = True,
) -> Interaction:
    r"""Measure how much the effect of each unit of a layer depends on each other unit.

    With :math:`v(S)` the log-probability of the label when only the units in :math:`S` are present,

    .. math:: D_i(S) = v(S \cup i) - v(S), \qquad
              I_{ij}(S) = v(S \cup ij) - v(S \cup i) - v(S \cup j) + v(S) = D_i(S \cup j) - D_i(S),

    where :math:`S`, the context, has each unit other than those named with probability ``keep_prob``, independently for each
    example. :math:`I = 0` for all pairs if units do not need to know of each other: their effects on :math:`v` add. Even units
    whose contributions to the logits add, as those of the last hidden layer do, interact through the softmax. With
    ``keep_prob`` one half the mean of :math:`I_{ij}` is the Banzhaf interaction index.

    The result does not change when units are permuted, a ReLU unit is scaled and its outgoing weights inversely, or unused
    units are added. For a regression :math:`v` is minus the squared error.

    Args:
        units: The units, on their examples.
        keep_prob: Probability that a unit is in the context. 1 is the intact network: what it loses without one or two.
        contexts: Number of contexts drawn for each example. When None, all of them for up to 12 units, else 8.
        generator: Source of the contexts. When None, a copy of PyTorch's global generator, which stays as it is.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> from dropout_lessons.networks import MLP
        >>> units = LayerUnits(MLP([4, 8, 3]), "hidden1", torch.randn(20, 4))
        >>> found = interaction(units, keep_prob=0.5)
        >>> found.pairwise.shape, found.exact
        (torch.Size([8, 8]), True)

    Source: Zhang et al. 2021, "Interpreting multivariate Shapley interactions in DNNs", for a network's inputs; here for
    hidden units, which is this course's extension.
    """
    check_asked(units, generator)
    check_keep_prob(keep_prob)
    check_count("contexts", contexts, at_least=1, optional=True)
    if keep_prob == 1:
        sums, draws, n_contexts = _drawn(units, keep_prob, 1, own_generator(generator), progress), None, 1
    elif contexts is None and units.n_units <= _ENUMERABLE:
        sums, draws, n_contexts = _enumerated(units, keep_prob, progress), None, 2 ** max(units.n_units - 2, 0)
    else:
        draws = n_contexts = contexts or _CONTEXTS
        sums = _drawn(units, keep_prob, n_contexts, own_generator(generator), progress)
    return sums.result(units, draws, n_contexts)


class _Sums:
    """Sums over examples, and means over contexts."""

    def __init__(self, units: LayerUnits) -> None:
        n = units.n_units
        self.pairwise, self.strength = torch.zeros(2, n, n, dtype=torch.float64, device=units.device)
        self.effects, self.effect_strength = torch.zeros(2, n, dtype=torch.float64, device=units.device)
        self.interactions: list[float] = []  # sum of strengths in each context
        self.single: list[float] = []  # sum of the strengths of effects in each context

    def result(self, units: LayerUnits, draws: int | None, n_contexts: int) -> Interaction:
        a = torch.tensor(self.interactions, dtype=torch.float64) / units.n_examples
        b = torch.tensor(self.single, dtype=torch.float64) / units.n_examples
        total, single = a.mean().item(), b.mean().item()
        has_effect = single > units.n_units * units.rounding
        ratio = total / single if has_effect else 0.0
        # The error of a ratio of means is that of the mean of what is left when the ratio is assumed.
        left = (a - ratio * b) / single if has_effect else torch.zeros_like(a)
        return Interaction(
            pairwise=self.pairwise / units.n_examples,
            strength=self.strength / units.n_examples,
            effects=self.effects / units.n_examples,
            effect_strength=self.effect_strength / units.n_examples,
            total=Estimate(total, 0.0 if draws is None else standard_error(a), draws),
            relative=Estimate(ratio, 0.0 if draws is None else standard_error(left), draws),
            n_contexts=n_contexts,
        )


def _drawn(units: LayerUnits, keep_prob: float, contexts: int, generator: torch.Generator, progress: bool) -> _Sums:
    sums = _Sums(units)
    sums.interactions, sums.single = [0.0] * contexts, [0.0] * contexts
    for first, toggled in toggled_in_contexts(units, keep_prob, contexts, generator, pairs=True, progress=progress):
        strength = toggled.effects.abs().sum(1)
        each = zip(toggled.interactions.tolist(), strength.sum(1).tolist(), strict=True)
        for context, (interactions, single) in enumerate(each, first):
            sums.interactions[context] += interactions
            sums.single[context] += single
        sums.pairwise += toggled.total / contexts
        sums.strength += toggled.strength / contexts
        sums.effects += toggled.effects.sum((0, 1)) / contexts
        sums.effect_strength += strength.sum(0) / contexts
    return sums


def toggled_in_contexts(
    units: LayerUnits, keep_prob: float, contexts: int, generator: torch.Generator, *, pairs: bool, progress: bool
) -> Iterator[tuple[int, Toggled]]:
    """Toggle units in contexts drawn for each example, in all of the first part before the next; with the first's number."""
    # One draw for all examples, whatever parts they run in.
    shape = (units.n_examples, units.n_units)
    drawn = torch.stack([sample_mask(shape, keep_prob, generator=generator) for _ in range(contexts)])
    pieces = drawn.to(units.device).split([part.n_examples for part in units.parts], dim=1)
    work = [
        (part, first, own[first : first + part.contexts_at_once])
        for part, own in zip(units.parts, pieces, strict=True)
        for first in range(0, contexts, part.contexts_at_once)
    ]
    for part, first, present in progress_bar(work, "contexts", unit="context", show=progress):
        yield first, part.toggle(present, pairs=pairs)
        if first + len(present) == contexts:
            part.release()


def _enumerated(units: LayerUnits, keep_prob: float, progress: bool) -> _Sums:
    sums = _Sums(units)
    n = units.n_units
    weight = mask_log_prob(enumerate_masks(n), keep_prob).exp().to(units.device)
    for part in progress_bar(units.parts, "interactions", unit="part", show=progress):
        table = part.table()
        for i in range(n):
            effect, own = difference(table, i), without(weight, i)
            sums.effects[i] += own @ effect.sum(1)
            sums.effect_strength[i] += own @ effect.abs().sum(1)
            for j in range(i + 1, n):
                # Without unit i, unit j is binary digit j - 1.
                change, others = difference(effect, j - 1), without(own, j - 1)
                sums.pairwise[i, j] += others @ change.sum(1)
                sums.strength[i, j] += others @ change.abs().sum(1)
    sums.interactions.append(sums.strength.sum().item())
    sums.single.append(sums.effect_strength.sum().item())
    sums.pairwise += sums.pairwise.T.clone()
    sums.strength += sums.strength.T.clone()
    return sums


def difference(table: Float[Tensor, "sets examples"], unit: int) -> Float[Tensor, "half examples"]:
    """What the unit of this binary digit adds to each set of the others."""
    absent, present = table.unflatten(0, (-1, 2, 2**unit)).unbind(1)
    added: Tensor = present - absent
    return added.flatten(0, 1)


def without(weight: Float[Tensor, " sets"], unit: int) -> Float[Tensor, " half"]:
    """Probability of each set of the other units."""
    absent, present = weight.unflatten(0, (-1, 2, 2**unit)).unbind(1)
    either: Tensor = present + absent
    return either.flatten()


def sampled_pairs(
    units: LayerUnits, *, keep_prob: float, contexts: int, sample: int, generator: torch.Generator
) -> tuple[Estimate, Estimate]:
    """The ``total`` and ``relative`` of ``interaction``, estimated without its matrix.

    In each context of each example only the pairs of some random units are looked at, and their sum is scaled up.

    Args:
        units: The layer, on its examples.
        keep_prob: Probability that each other unit is present.
        contexts: How many contexts are drawn for each example, at least two.
        sample: Number of units drawn for each example and context.
        generator: Source of the contexts and the units.
    """
    n, examples = units.n_units, units.n_examples
    sample = min(sample, n)
    i, j = torch.triu_indices(sample, sample, offset=1)
    # Members: the context, then each unit of the sample toggled, then each pair of them.
    toggled = torch.zeros(1 + sample + len(i), sample, dtype=torch.bool)
    toggled[torch.arange(1, 1 + sample), torch.arange(sample)] = True
    pairs = torch.arange(1 + sample, len(toggled))
    toggled[pairs, i] = toggled[pairs, j] = True
    total, single = [], []
    for _ in range(contexts):
        present = sample_mask((examples, n), keep_prob, generator=generator)
        drawn = torch.rand(examples, n, generator=generator, device=generator.device).cpu().argsort(dim=1)[:, :sample]
        flip = torch.zeros(len(toggled), examples, n, dtype=torch.bool)
        flip.scatter_(2, drawn.expand(len(toggled), -1, -1), toggled[:, None].expand(-1, examples, -1))
        v = units.values(present.cpu() ^ flip).cpu()
        effects = v[1 : 1 + sample] - v[0]
        changes = v[1 + sample :] - v[0] - effects[i] - effects[j]
        total.append(changes.abs().sum(dim=0) * (n * (n - 1) / max(1, sample * (sample - 1))))
        single.append(effects.abs().sum(dim=0) * (n / sample))
    a, b = torch.stack(total), torch.stack(single)
    has_effect = b.mean() > n * units.rounding
    ratio = (a.mean() / b.mean()).item() if has_effect else 0.0
    left = (a - ratio * b) / b.mean() if has_effect else torch.zeros_like(a)
    return Estimate(a.mean().item(), _error(a), contexts), Estimate(ratio, _error(left), contexts)


def _error(values: Float[Tensor, "contexts examples"]) -> float:
    """Standard error of the mean, from contexts that are drawn for each example on its own."""
    contexts, examples = values.shape
    return math.sqrt((values.var(dim=0) / contexts).sum().item()) / examples
