"""What units and pairs of them change in a context: in closed form where units add to the logits or to a regression."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

# Small enough for what is at work to stay in the processor's cache.
_WORKING_SET = 2**20
_CONTEXTS = 8  # that examples are grouped for
_SMALLEST = 16  # units whose pairs are all listed twice, since products of fewer take as long
# Contributions to logits of which two may be added to an exponent without overflow or loss.
_SAFE_RANGE = 100.0


@dataclass(frozen=True, eq=False)
class Toggled:
    """What units and pairs of them change in some contexts of each example.

    Attributes:
        effects: What each unit adds.
        total: Interaction of each pair, summed over the contexts and examples.
        strength: Its absolute value, summed over the contexts and examples.
        interactions: Its absolute value in each context, summed over the pairs and examples.
    """

    effects: Float[Tensor, "contexts examples units"]
    total: Float[Tensor, "units units"]
    strength: Float[Tensor, "units units"]
    interactions: Float[Tensor, " contexts"]


@dataclass(frozen=True, eq=False)
class Factors:
    """What removing and adding a unit multiplies the terms of some examples' normalizers by, the label's being 1.

    Attributes:
        examples: Which examples these are.
        unit: Which units these are, of each example or of all: those that do nothing, as many ReLU units, are left out.
        removing: Factors where a unit is removed.
        adding: Factors where a unit is added.
    """

    examples: Int[Tensor, " examples"]
    unit: Int[Tensor, "examples_or_one ranks"]
    removing: Float[Tensor, "classes 1 examples ranks"]
    adding: Float[Tensor, "classes 1 examples ranks"]


def factors_of(c: Float[Tensor, "examples units classes"], y: Int[Tensor, " examples"]) -> list[Factors] | None:
    """Those of what units add to the logits, unless they leave the range of normal numbers."""
    n, classes = c.shape[1:]
    own = c - c.gather(2, y[:, None, None].expand(-1, n, 1))
    if bool((own.amax(2) - own.amin(2) > _SAFE_RANGE).any()):
        return None
    active = (own != 0).any(2)
    counts = active.sum(1)
    units = active.to(torch.uint8).argsort(dim=1, descending=True, stable=True)
    # Examples with about as many units go together.
    at_once = _rows_at_once(int(counts.max()), classes, _CONTEXTS)
    groups = []
    for examples in counts.argsort(descending=True).split(at_once):
        ranks = int(counts[examples].max())
        if not ranks:
            break  # in these and in all after them nothing changes
        ranks += -ranks % 2 ** _levels(ranks)
        shared = 4 * ranks > 3 * n
        unit = torch.arange(n, device=c.device).unsqueeze(0) if shared else units[examples, :ranks]
        some = own[examples] if shared else own[examples[:, None], unit]
        some = some.permute(2, 0, 1).unsqueeze(1).contiguous()
        groups.append(Factors(examples, unit, (-some).exp_(), some.exp()))
    return groups


def _rows_at_once(ranks: int, classes: int, others: int = 1) -> int:
    """How many rows of so many units to work on at once, examples or contexts, with as many as there are of the others."""
    return max(1, _WORKING_SET // max(1, 8 * others * ranks * max(ranks // 2, classes)))


def toggled_softmax(
    logits: Float[Tensor, "contexts examples classes"],
    factors: Sequence[Factors],
    present: Bool[Tensor, "contexts examples units"],
    pairs: bool,
) -> Toggled:
    r"""Toggle units that add to the logits, :math:`c_{ik}` to that of class :math:`k` and 0 to that of the label.

    Toggling units multiplies the terms of the normalizer by their factors :math:`e^{-\sigma_i c_{ik}}`, so that all values with
    one or two units toggled are weighted sums over the classes: a matrix product of the units' factors with themselves has all
    pairs.

    .. math:: \frac{Z(S^i)}{Z(S)} = \sum_k p_k e^{-\sigma_i c_{ik}} = Z_i, \qquad
              D_i = \sigma_i \log Z_i, \qquad
              I_{ij} = -\sigma_i \sigma_j \log \sum_k p_k \frac{e^{-\sigma_i c_{ik}}}{Z_i} \frac{e^{-\sigma_j c_{jk}}}{Z_j}
    """
    contexts, _, n = present.shape
    probs = logits.permute(2, 0, 1).softmax(0)  # which over the last axis takes four times as long
    effects = torch.zeros_like(present, dtype=probs.dtype)
    sums, interactions = probs.new_zeros(2, n * n), probs.new_zeros(contexts)
    for own in factors:
        classes, _, examples, ranks = own.adding.shape
        where = slice(None), own.examples[:, None], own.unit
        at_once = _rows_at_once(ranks, classes, examples)
        for first in range(0, contexts, at_once):
            some = slice(first, first + at_once)
            here = present[some][where].to(probs.dtype)
            sigma = 2 * here - 1
            # Exactly one or the other, in an eighth of the time of torch.where.
            f = torch.lerp(own.adding, own.removing, here)
            weighted = f * probs[:, some, own.examples].unsqueeze(3)
            ratio = weighted.sum(0)
            effects[some][where] = sigma * ratio.log()
            if pairs:
                inverse = ratio.reciprocal()
                interactions[some] += _add_log_products(weighted.mul_(inverse), f.mul_(inverse), sigma, own.unit, sums)
    total, strength = sums.view(2, n, n) + sums.view(2, n, n).mT
    return Toggled(effects, total.neg_(), strength, interactions)


def _add_log_products(
    a: Float[Tensor, "classes contexts examples ranks"],
    b: Float[Tensor, "classes contexts examples ranks"],
    sigma: Float[Tensor, "contexts examples ranks"],
    unit: Int[Tensor, "examples_or_one ranks"],
    sums: Float[Tensor, "2 pairs"],
) -> Float[Tensor, " contexts"]:
    r"""Add :math:`\sigma_i \sigma_j \log (a_i \cdot b_j)` of each pair, and its absolute value, to the sums over the rest.

    Returns:
        The sum of the absolute values in each context.
    """
    n, ranks = math.isqrt(sums.shape[1]), sigma.shape[2]
    levels = _levels(ranks)
    missing = -ranks % 2**levels
    if missing:  # of no sign, so that they add nothing
        a, b = (F.pad(each, (0, missing), value=1.0) for each in (a, b))
        sigma, unit = (F.pad(each, (0, missing)) for each in (sigma, unit))
    classes, contexts, _, ranks = a.shape
    interactions = a.new_zeros(contexts)
    for size, rows, columns in _rectangles(ranks, levels, contexts):
        left = a.view(classes, -1, size)[..., rows].permute(1, 2, 0)
        right = b.view(classes, -1, size)[..., columns].transpose(0, 1)
        logs = (left @ right).log_()
        logs *= sigma.view(-1, size, 1)[:, rows]
        logs *= sigma.view(-1, 1, size)[..., columns]
        if not columns.start:
            logs *= torch.ones_like(logs[0]).triu(1)
        where = unit.view(len(unit), -1, size, 1)[:, :, rows] * n + unit.view(len(unit), -1, 1, size)[..., columns]
        # Over the contexts, and the examples if they have the same units.
        shared = logs.view(-1, where.numel())
        sums[0].scatter_add_(0, where.flatten(), shared.sum(0))
        logs.abs_()
        sums[1].scatter_add_(0, where.flatten(), shared.sum(0))
        interactions += logs.view(contexts, -1).sum(1)
    return interactions


def _levels(ranks: int) -> int:
    """How often so many units are cut into halves, as far as it pays."""
    return max(0, int(math.log2(max(1, ranks) / _SMALLEST)))


def _rectangles(n: int, levels: int, contexts: int) -> Iterator[tuple[int, slice, slice]]:
    """Cut the pairs i < j into blocks of equal size, the first half of each with its second one; then the small blocks left."""
    for level in range(levels):
        size = n >> level
        half = size // 2
        step = max(1, min(half, _WORKING_SET // (8 * contexts * half << level)))
        for first in range(0, half, step):
            yield size, slice(first, min(half, first + step)), slice(half, size)
    yield n >> levels, slice(0, n), slice(0, n)


def toggled_squared_errors(
    residual: Float[Tensor, "contexts examples outputs"],
    c: Float[Tensor, "examples units outputs"],
    present: Bool[Tensor, "contexts examples units"],
    pairs: bool,
) -> Toggled:
    r"""Toggle units that add :math:`c_i` to the values of a regression, :math:`I_{ij} = -2\, c_i \cdot c_j` in every context."""
    n = c.shape[1]
    sigma = 2.0 * present.double() - 1
    effects = 2 * (c @ residual.unsqueeze(3)).squeeze(3) + sigma * c.square().sum(2)
    total, strength = c.new_zeros(2, n, n)
    if pairs:
        for some in c.split(max(1, _WORKING_SET // (8 * n * n))):
            products = some @ some.transpose(1, 2)
            total -= 2 * products.sum(0)
            strength += 2 * products.abs_().sum(0)
    total, strength = total.fill_diagonal_(0), strength.fill_diagonal_(0)
    contexts = len(present)
    return Toggled(effects, contexts * total, contexts * strength, (strength.sum() / 2).expand(contexts))


def pair_chunks(n: int, size: int) -> Iterator[list[tuple[int, int, int]]]:
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
