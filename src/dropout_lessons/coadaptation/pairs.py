"""Interaction of a layer's units from a sample of pairs: the sums of ``interaction``, at a fraction of its cost."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from dropout_lessons.coadaptation.estimate import Estimate
from dropout_lessons.coadaptation.units import Clamped
from dropout_lessons.masks import sample_mask


def sampled_pairs(
    units: Clamped, *, keep_prob: float, contexts: int, sample: int, generator: torch.Generator
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
    n, examples, device = units.n_units, units.n_examples, units.activations.device
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
        v = units.values((present.cpu() ^ flip).to(device)).cpu()
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
