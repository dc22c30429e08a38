"""What units and pairs of them change in a context: in closed form where units add to the logits or to a regression."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from dropout_lessons.running.arrays import elementwise_

# Small enough for the matrices of pairs at work, one for each example, to stay in the processor's cache.
_PAIRS_SET = 2**19
# Contributions to logits of which two may be added to an exponent without overflow or loss.
SAFE_RANGE = 100.0


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


def toggled_softmax(
    probs: Float[Tensor, "examples classes"],
    factors: Float[Tensor, "examples units classes"],
    sigma: Float[Tensor, "examples units"],
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
    n = factors.shape[1]
    ratio = (factors @ probs.unsqueeze(2)).squeeze(2)
    total, strength = factors.new_zeros(2, n, n)
    if pairs:
        factors = factors / ratio.unsqueeze(2)
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


def toggled_squared_errors(
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
