"""Averages over all subnetworks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dropout_lessons.averaging.average import Average, Rule, Sums, check_rule, joined
from dropout_lessons.averaging.factorized import HeadSum
from dropout_lessons.averaging.members import Block, Members
from dropout_lessons.averaging.outputs import Outputs
from dropout_lessons.averaging.sites import Site, check_enumerable
from dropout_lessons.masks import enumerate_masks, mask_log_prob
from dropout_lessons.runtime import progress_bar


@dataclass(frozen=True, eq=False)
class Subnetworks:
    r"""Some of the subnetworks of a network, in the order of ``enumerate_masks``.

    Attributes:
        masks: For each dropout layer, by name, the masks of these members: ``(members, *units)``.
        log_weights: Log-probability of each member's masks, :math:`\log \pi_m`, in nats.
        log_probs: What each member predicts, in nats and double precision.
    """

    masks: dict[str, Bool[Tensor, "members ..."]]
    log_weights: Float[Tensor, " members"]
    log_probs: Float[Tensor, "members examples classes"]


def exact_average(
    network: nn.Module,
    x: Float[Tensor, "examples ..."],
    *,
    rule: Rule = "arithmetic",
    layers: Sequence[str] | None = None,
    functional: Sequence[str] = (),
    outputs: Outputs = "logits",
    every_member: bool = False,
    memory: int = 2**28,
    max_subnetworks: int = 2**24,
    progress: bool = True,
) -> Average:
    r"""Average all :math:`2^n` subnetworks of a network, each weighed by the probability of its mask.

    .. math:: p(k \mid x) = \sum_m \pi_m \, p(k \mid x, m)
              \quad\text{or}\quad \propto \exp \sum_m \pi_m \log p(k \mid x, m),
              \qquad \pi_m = p^{|m|} (1 - p)^{n - |m|}

    The masks of the chosen layers vary jointly, and all examples meet the same ones. The masks of a layer just below a
    linear output layer are not listed: with its units split into two halves, :math:`e^{z_k}` is a product of one factor
    for each half's mask, so that two tables of :math:`2^{n/2}` rows and two matrix products give the sum.

    Args:
        network: Any module with dropout that returns ``(examples, classes)``.
        x: The network's input, examples first.
        rule: ``"arithmetic"`` averages probabilities, ``"geometric"`` log-probabilities, then normalizes.
        layers: Names of the dropout layers whose masks vary, all of them when None; the others stay in evaluation mode.
        functional: Names for the network's calls of functional dropout, in the order of its forward pass.
        outputs: What the network returns: ``"logits"``, ``"log_probs"`` or ``"probs"``.
        every_member: Whether to run every member where the factorized sum would do without, for ``votes`` and
            ``member_entropy``.
        memory: Work space in bytes, approximately.
        max_subnetworks: Refuse to average more.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: If no dropout is found, a name is unknown, masks are not independent bits, there are more than
            ``max_subnetworks``, or the network's output is not what ``outputs`` says.

    Example:
        >>> from dropout_lessons.networks import MLP
        >>> network = MLP([4, 16, 3], keep_prob=0.5)
        >>> exact_average(network, torch.ones(2, 4)).members
        65536

    Source: Srivastava et al. 2014, Section 1; Warde-Farley et al. 2013 sum :math:`2^{20}` subnetworks one by one.
    """
    check_rule(rule)
    members = Members(network, x, layers=layers, functional=functional, outputs=outputs)
    n = _count_units(members, max_subnetworks)
    if members.head is not None and not every_member:
        head = HeadSum(members.head, members.sites[-1])
        parts = _factorized(members, head, x, rule, memory, progress)
        if parts is not None:
            return joined(parts)
    passes = members.below + 2**n * (1 - members.below)
    size = members.examples_at_once(len(x), memory) if members.sliceable else 1
    step = members.members_at_once(size, memory)
    averages = []
    for block, chunk, is_last in _work(x, size, 2**n, step, progress):
        if chunk.start == 0:
            sums = Sums()
            examples = Block(members, block)
        masks, log_weights = _enumerated(members.sites, chunk, x.device)
        sums.add(examples.log_probs(_factors(members.sites, masks)), log_weights)
        if is_last:
            averages.append(sums.average(rule, 2**n, passes, exhaustive=True))
    return joined(averages)


def subnetworks(
    network: nn.Module,
    x: Float[Tensor, "examples ..."],
    *,
    layers: Sequence[str] | None = None,
    functional: Sequence[str] = (),
    outputs: Outputs = "logits",
    memory: int = 2**28,
) -> Iterator[Subnetworks]:
    r"""Run all :math:`2^n` subnetworks of a network, chunk by chunk.

    The first unit of the first layer is the last binary digit of a member's index, as in ``enumerate_masks``. Between
    two chunks the network is as it was.

    Args:
        network: Any module with dropout that returns ``(examples, classes)``.
        x: The network's input, examples first.
        layers: Names of the dropout layers whose masks vary, all of them when None; the others stay in evaluation mode.
        functional: Names for the network's calls of functional dropout, in the order of its forward pass.
        outputs: What the network returns: ``"logits"``, ``"log_probs"`` or ``"probs"``.
        memory: Bytes that a chunk and the work on it may take, approximately.

    Raises:
        ValueError: As in ``exact_average``, when the first chunk is asked for.

    Example:
        >>> from dropout_lessons.networks import MLP
        >>> network = MLP([4, 3, 2], keep_prob=0.5)
        >>> chunk = next(subnetworks(network, torch.ones(5, 4)))
        >>> chunk.masks["hidden1_dropout"].shape, chunk.log_probs.shape
        (torch.Size([8, 3]), torch.Size([8, 5, 2]))

    Source: Srivastava et al. 2014, Section 1: a net with :math:`n` units is a collection of :math:`2^n` thinned networks.
    """
    members = Members(network, x, layers=layers, functional=functional, outputs=outputs)
    n = _count_units(members, 2**62)
    size = members.examples_at_once(len(x), memory) if members.sliceable else 1
    step = min(members.members_at_once(size, memory), max(1, memory // (16 * members.classes * len(x))))
    for start in range(0, 2**n, step):
        masks, log_weights = _enumerated(members.sites, range(start, min(start + step, 2**n)), x.device)
        factors = _factors(members.sites, masks)
        log_probs = torch.cat([Block(members, block).log_probs(factors) for block in x.split(size)], dim=1)
        named = {site.name: own for site, own in zip(members.sites, masks, strict=True)}
        yield Subnetworks(named, log_weights, log_probs)


def count_subnetworks(members: Members) -> int:
    """How many subnetworks the masks on the chosen sites make."""
    return 1 << sum(site.n_units for site in members.sites)


def _count_units(members: Members, max_subnetworks: int) -> int:
    check_enumerable(members.sites)
    n = sum(site.n_units for site in members.sites)
    if n > 62 or 2**n > max_subnetworks:
        counts = {site.name: site.n_units for site in members.sites}
        number = f"2^{n}" + (f" = {2**n:,}" if n <= 80 else f", about 10^{math.floor(n * math.log10(2))},")
        raise ValueError(
            f"network has n = {n} units with dropout, {counts}, hence {number} subnetworks, more than "
            f"max_subnetworks={max_subnetworks:,}; use monte_carlo_average, choose fewer layers with layers=[...], or "
            "raise max_subnetworks (at most 2^62)"
        )
    return n


def _work(x: Tensor, size: int, total: int, step: int, progress: bool) -> Iterator[tuple[Tensor, range, bool]]:
    chunks = -(-total // step)
    blocks = x.split(size)
    for i in progress_bar(range(len(blocks) * chunks), "subnetworks", unit="chunk", show=progress):
        start = (i % chunks) * step
        yield blocks[i // chunks], range(start, min(start + step, total)), start + step >= total


def _enumerated(sites: Sequence[Site], chunk: range, device: torch.device) -> tuple[list[Tensor], Tensor]:
    """Masks of some members, for each site (members, *units), and their log-probabilities."""
    if not sites:
        return [], torch.zeros(1, dtype=torch.float64, device=device)
    sizes = [site.n_units for site in sites]
    bits = enumerate_masks(sum(sizes), start=chunk.start, stop=chunk.stop, device=device).split(sizes, dim=1)
    log_weights = torch.stack(
        [mask_log_prob(own, site.call.keep_prob) for site, own in zip(sites, bits, strict=True)]
    ).sum(dim=0)
    return [own.reshape(-1, *_unit_shape(site)) for site, own in zip(sites, bits, strict=True)], log_weights


def _unit_shape(site: Site) -> tuple[int, ...]:
    shape = site.mask_shape(1)
    if site.batch_axis is None or site.rows > 1:
        return shape
    return shape[: site.batch_axis] + shape[site.batch_axis + 1 :]


def _factors(sites: Sequence[Site], masks: Sequence[Tensor]) -> list[Tensor]:
    """Masks as the network's floats, scaled, and with an axis of length 1 for the examples."""
    return [
        own.reshape(-1, *site.mask_shape(1)).to(site.call.x.dtype).mul_(site.call.scale)
        for site, own in zip(sites, masks, strict=True)
    ]


def _factorized(
    members: Members, head: HeadSum, x: Tensor, rule: Rule, memory: int, progress: bool
) -> list[Average] | None:
    """Averages by the factorized sum, for blocks of examples; None where it would lose digits."""
    lower = members.sites[:-1]
    total = count_subnetworks(members)
    n_lower = sum(site.n_units for site in lower)
    own_flops = 2**n_lower * head.flops
    plain = max(members.flops, 1.0)
    passes = members.below + 2**n_lower * (members.below_head - members.below) + own_flops / plain
    size = min(members.examples_at_once(len(x), memory), max(1, memory // head.bytes_per_row))
    step = max(1, min(members.members_at_once(size, memory), memory // (size * head.bytes_per_row)))
    averages = []
    for block, chunk, is_last in _work(x, size, 2**n_lower, step, progress):
        if chunk.start == 0:
            sums = Sums()
            records = members.record(block) if lower else []  # with one site, what lies below it runs once anyway
        masks, log_weights = _enumerated(lower, chunk, x.device)
        h = members.run(block, _factors(lower, masks), records, until=members.sites[-1])
        result = head.sum(h.flatten(0, 1))
        if result is None:
            return None
        log_mean, mean_log = (part.view(len(h), len(block), -1) for part in result)
        weight = log_weights.logsumexp(0)
        sums.add_sums(
            (log_weights[:, None, None] + log_mean).logsumexp(0),
            torch.tensordot((log_weights - weight).exp(), mean_log, dims=1),
            weight.item(),
        )
        if is_last:
            averages.append(sums.average(rule, total, passes, exhaustive=True))
    return averages
