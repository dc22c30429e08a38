"""Averages over all subnetworks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dropout_lessons.averaging.average import Average, Rule, check_rule, joined, sums_of
from dropout_lessons.averaging.factorized import HeadSum
from dropout_lessons.masks import enumerate_masks, mask_log_prob
from dropout_lessons.running import MaskedNetwork, Outputs
from dropout_lessons.running.examples import Given, batches, gathered
from dropout_lessons.running.masked import as_masked
from dropout_lessons.running.members import Block, Members
from dropout_lessons.running.outputs import Examples
from dropout_lessons.running.sites import Site, check_enumerable
from dropout_lessons.runtime import progress_bar

# More subnetworks are averaged only when asked for.
_MOST = 2**24


@dataclass(frozen=True, eq=False)
class Subnetworks:
    r"""Some of the subnetworks of a network, in the order of ``enumerate_masks``.

    Attributes:
        masks: For each place that is masked, by name, the masks of these members: ``(members, *units)``.
        log_weights: Log-probability of each member's masks, :math:`\log \pi_m`, in nats.
        log_probs: What each member predicts, in nats and double precision; of a regression its values.
    """

    masks: dict[str, Bool[Tensor, "members ..."]]
    log_weights: Float[Tensor, " members"]
    log_probs: Float[Tensor, "members examples ... classes"]


def exact_average(
    network: nn.Module | MaskedNetwork,
    x: Examples,
    *,
    rule: Rule = "arithmetic",
    every_member: bool = False,
    progress: bool = True,
) -> Average | Any:
    r"""Average all :math:`2^n` subnetworks of a network, each weighed by the probability of its mask.

    .. math:: p(k \mid x) = \sum_m \pi_m \, p(k \mid x, m)
              \quad\text{or}\quad \propto \exp \sum_m \pi_m \log p(k \mid x, m),
              \qquad \pi_m = p^{|m|} (1 - p)^{n - |m|}

    The masks of the chosen layers vary jointly, and all examples meet the same ones. The masks of a layer just below a
    linear output layer are not listed: with its units split into two halves, :math:`e^{z_k}` is a product of one factor
    for each half's mask, so that two tables of :math:`2^{n/2}` rows and two matrix products give the sum.

    Args:
        network: Any module with dropout, or a ``MaskedNetwork`` that says which of it varies and what the network returns.
        x: What the network is given, as in :func:`weight_scaling`.
        rule: ``"arithmetic"`` averages probabilities, ``"geometric"`` log-probabilities, then normalizes.
        every_member: Whether to run every member where the factorized sum would do without, for ``votes`` and
            ``member_entropy``.
        progress: Whether to show a progress bar.

    Returns:
        An :class:`Average`, or of a regression a :class:`ValueAverage`.

    Raises:
        ValueError: If no dropout is found, a name is unknown, masks are not independent bits, there are more than 16,777,216
            (or the network's ``max_subnetworks``), or the network's output is not what is said of it.

    Example:
        >>> from dropout_lessons.networks import MLP
        >>> network = MLP([4, 16, 3], keep_prob=0.5)
        >>> exact_average(network, torch.ones(2, 4)).members
        65536

    Source: Srivastava et al. 2014, Section 1; Warde-Farley et al. 2013 sum :math:`2^{20}` subnetworks one by one.
    """
    masked = as_masked(network)
    check_rule(rule, masked.says)
    given = (masked.given(batch) for batch, _ in batches(x))
    return joined([part for own in given for part in _averages(masked, own, rule, every_member, progress)])


def _averages(masked: MaskedNetwork, given: Given, rule: Rule, every_member: bool, progress: bool) -> list[Any]:
    """The average for each block of some examples."""
    members, memory = Members(given, masked.layers), masked.memory
    total = 2 ** _count_units(masked, members, _MOST)
    size = members.examples_at_once(len(given), memory) if members.sliceable else 1
    listed, head = members.sites, None
    work, own = 1.0, 0.0  # share of a forward pass that each listed mask runs, and what comes on top
    if members.head is not None and not every_member:
        *listed, last = members.sites
        head = HeadSum(members.head, last)
        work, own = members.below_head, 2 ** _n_units(listed) * head.flops / max(members.flops, 1.0)
        size = min(size, max(1, memory // head.bytes_per_row))
    count = 2 ** _n_units(listed)
    step = members.members_at_once(size, memory)
    if head is not None:
        step = max(1, min(step, memory // (size * head.bytes_per_row)))
    # What lies below all masks runs once in all.
    passes = members.below + count * (work - members.below) + own
    averages = []
    for block, chunk, is_last in _work(given, size, count, step, progress):
        if chunk.start == 0:
            sums = sums_of(masked.says)
            # With the head's masks alone, what lies below them runs once anyway.
            examples = Block(members, block, once=not listed)
        masks, log_weights = _enumerated(listed, chunk, members.device)
        factors = _factors(listed, masks)
        if head is not None:
            _add_head_sums(sums, head, examples.inputs_of(last, factors), log_weights, masked.says)
        else:
            predictions = examples.predictions(factors, count=len(chunk))
            if chunk.start == 0:
                masked.says.checked(predictions[0], len(block))
            sums.add(predictions, masked.says, log_weights)
        if is_last:
            averages.append(sums.average(rule, total, passes, exhaustive=True))
    return averages


def _add_head_sums(sums: Any, head: HeadSum, h: Tensor, log_weights: Tensor, says: Outputs) -> None:
    """Take in all masks of the head for what each lower mask gives it."""
    log_mean, mean_log = (part.view(*h.shape[:2], -1) for part in head.sum(h.flatten(0, 1)))
    if bool(log_mean.sum().isnan()):
        says.log_probs(log_mean)  # which says what is wrong
    weight = log_weights.logsumexp(0)
    sums.add_sums(
        (log_weights[:, None, None] + log_mean).logsumexp(0),
        torch.tensordot((log_weights - weight).exp(), mean_log, dims=1),
        weight.item(),
    )


def subnetworks(network: nn.Module | MaskedNetwork, x: Examples) -> Iterator[Subnetworks]:
    r"""Run all :math:`2^n` subnetworks of a network, chunk by chunk, each of about the ``memory`` of a ``MaskedNetwork``.

    The first unit of the first layer is the last binary digit of a member's index, as in ``enumerate_masks``. Between
    two chunks the network is as it was.

    Args:
        network: As in :func:`exact_average`.
        x: As in :func:`exact_average`.

    Raises:
        ValueError: As in :func:`exact_average`, when the first chunk is asked for.

    Example:
        >>> from dropout_lessons.networks import MLP
        >>> network = MLP([4, 3, 2], keep_prob=0.5)
        >>> chunk = next(subnetworks(network, torch.ones(5, 4)))
        >>> chunk.masks["hidden1"].shape, chunk.log_probs.shape
        (torch.Size([8, 3]), torch.Size([8, 5, 2]))

    Source: Srivastava et al. 2014, Section 1: a net with :math:`n` units is a collection of :math:`2^n` thinned networks.
    """
    masked = as_masked(network)
    outputs, memory = masked.says, masked.memory
    given = masked.given(gathered(x, batch_axis=outputs.batch_axis)[0])
    members = Members(given, masked.layers)
    n = _count_units(masked, members, 2**62)
    size = members.examples_at_once(len(given), memory) if members.sliceable else 1
    step = min(members.members_at_once(size, memory), max(1, memory // (16 * members.n_outputs * len(given))))
    for start in range(0, 2**n, step):
        chunk = range(start, min(start + step, 2**n))
        masks, log_weights = _enumerated(members.sites, chunk, members.device)
        factors = _factors(members.sites, masks)
        blocks = [Block(members, block) for block in given.split(size)]
        predictions = torch.cat([block.predictions(factors, count=len(chunk)) for block in blocks], dim=1)
        named = {site.name: own for site, own in zip(members.sites, masks, strict=True)}
        yield Subnetworks(named, log_weights, predictions if outputs.is_regression else outputs.log_probs(predictions))


def count_subnetworks(members: Members) -> int:
    """How many subnetworks the masks on the chosen sites make."""
    return 1 << _n_units(members.sites)


def _n_units(sites: Sequence[Site]) -> int:
    return sum(site.n_units for site in sites)


def _count_units(masked: MaskedNetwork, members: Members, most: int) -> int:
    check_enumerable(masked.network, [*members.sites, *members.drawn])
    most = most if masked.max_subnetworks is None else masked.max_subnetworks
    n = _n_units(members.sites)
    if n > 62 or 2**n > most:
        counts = {site.name: site.n_units for site in members.sites}
        number = f"2^{n}" + (f" = {2**n:,}" if n <= 80 else f", about 10^{math.floor(n * math.log10(2))},")
        raise ValueError(
            f"network has n = {n} units with dropout, {counts}, hence {number} subnetworks, more than "
            f"max_subnetworks={most:,}; use monte_carlo_average, or choose fewer layers or a larger number (at most 2^62) "
            "with MaskedNetwork(network, layers=[...], max_subnetworks=...)"
        )
    return n


def _work(given: Given, size: int, total: int, step: int, progress: bool) -> Iterator[tuple[Given, range, bool]]:
    chunks = -(-total // step)
    blocks = given.split(size)
    for i in progress_bar(range(len(blocks) * chunks), "subnetworks", unit="chunk", show=progress):
        start = (i % chunks) * step
        yield blocks[i // chunks], range(start, min(start + step, total)), start + step >= total


def _enumerated(sites: Sequence[Site], chunk: range, device: torch.device) -> tuple[list[Tensor], Tensor]:
    """Masks of some members, for each site (members, *units), and their log-probabilities."""
    if not sites:
        return [], torch.zeros(1, dtype=torch.float64, device=device)
    sizes = [site.n_units for site in sites]
    bits = enumerate_masks(sum(sizes), start=chunk.start, stop=chunk.stop, device=device).split(sizes, dim=1)
    log_weights = torch.stack([mask_log_prob(own, site.keep_prob) for site, own in zip(sites, bits, strict=True)])
    return [own.reshape(-1, *_unit_shape(site)) for site, own in zip(sites, bits, strict=True)], log_weights.sum(dim=0)


def _unit_shape(site: Site) -> tuple[int, ...]:
    shape = site.mask_shape(1)
    if site.batch_axis is None or site.rows > 1:
        return shape
    return shape[: site.batch_axis] + shape[site.batch_axis + 1 :]


def _factors(sites: Sequence[Site], masks: Sequence[Tensor]) -> list[Tensor]:
    """Masks as the network's floats, scaled, and with an axis of length 1 for the examples."""
    return [
        own.reshape(-1, *site.mask_shape(1)).to(site.dtype).mul_(site.scale)
        for site, own in zip(sites, masks, strict=True)
    ]
