"""All masks, their probabilities and their number."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dropout_lessons.arguments import check_count, check_keep_prob, check_kind, is_count

_MAX_ENUMERATION_BYTES = 2**30


def enumerate_masks(
    n_units: int,
    *,
    start: int = 0,
    stop: int | None = None,
    device: torch.device | str | None = None,
) -> Bool[Tensor, "masks n_units"]:
    r"""List the masks of :math:`n` units, all :math:`2^n` of them or a chunk: row :math:`i` holds the binary digits of :math:`i`.

    Unit 0 is the last binary digit, so the first row drops every unit and the last row of all keeps every unit.

    Args:
        n_units: Number of units :math:`n`, from 0 to 62.
        start: Index of the first mask of the chunk.
        stop: Index after the last mask of the chunk; :math:`2^n` when None.
        device: Where the masks live.

    Raises:
        ValueError: If the arguments are out of range, or the masks would take more than 1 GiB; ask for chunks then.

    Example:
        >>> enumerate_masks(2).int().tolist()
        [[0, 0], [1, 0], [0, 1], [1, 1]]
        >>> enumerate_masks(40, start=2**39, stop=2**39 + 2).shape
        torch.Size([2, 40])

    Source: Srivastava et al. 2014, Section 1: a net with :math:`n` units is a collection of :math:`2^n` thinned networks.
    """
    if not is_count(n_units, at_most=62):
        raise ValueError(f"n_units must be from 0 to 62, so that 2**n_units fits 64 bits, got {n_units!r}")
    total = 2**n_units
    stop = total if stop is None else stop
    if not is_count(stop, at_most=total) or not is_count(start, at_most=stop):
        raise ValueError(f"start and stop must satisfy 0 <= start <= stop <= {total}, got {start!r} and {stop!r}")
    # Shifting 64-bit indices takes 8 bytes an entry on the way.
    needed = 8 * (stop - start) * max(n_units, 1)
    if needed > _MAX_ENUMERATION_BYTES:
        fitting = _MAX_ENUMERATION_BYTES // (8 * max(n_units, 1))
        raise ValueError(
            f"n_units={n_units} asks for {stop - start:,} masks at once, {needed / 2**30:,.1f} GiB of work space; "
            f"ask for at most {fitting:,} a call with start and stop"
        )
    indices = torch.arange(start, stop, device=device).unsqueeze(1)
    return (indices >> torch.arange(n_units, device=device)).bitwise_and_(1).bool()


def mask_log_prob(
    masks: Bool[Tensor, "*batch n_units"], keep_prob: float | Float[Tensor, " n_units"]
) -> Float[Tensor, "*batch"]:
    r"""Log-probability of each mask under dropout, :math:`\log \pi_m = |m| \log p + (n - |m|) \log(1 - p)`.

    Args:
        masks: Masks over :math:`n` units, the units on the last axis.
        keep_prob: :math:`p \in (0, 1]`, one for all units or a tensor with one for each.

    Returns:
        Double-precision log-probabilities in nats, :math:`-\infty` for a mask that cannot occur; on the masks' device, or
        on the CPU for masks on MPS, which has no double precision.

    Raises:
        ValueError: If a ``keep_prob`` is outside (0, 1] or the masks are not bool.

    Example:
        >>> mask_log_prob(enumerate_masks(2), 0.5).exp().tolist()
        [0.25, 0.25, 0.25, 0.25]
        >>> round(mask_log_prob(enumerate_masks(3), 0.9).exp().sum().item(), 12)
        1.0

    Source: Srivastava et al. 2014, Section 4; the masks' weights in the average over subnetworks.
    """
    check_kind("masks", masks, Tensor, "torch.tensor(masks) makes one")
    if masks.dtype != torch.bool:
        raise ValueError(f"masks must be bool (True = kept), got {masks.dtype}; convert with masks.bool()")
    if masks.device.type == "mps":
        masks = masks.cpu()  # which has double precision
    if isinstance(keep_prob, Tensor):
        if not bool(((keep_prob > 0) & (keep_prob <= 1)).all()):
            raise ValueError(f"keep_prob must be in (0, 1] for every unit, got {keep_prob.tolist()}")
        keep = keep_prob.to(masks.device).to(torch.float64)
    else:
        keep = torch.tensor(check_keep_prob(keep_prob), dtype=torch.float64, device=masks.device)
    return torch.where(masks, keep.log(), torch.log1p(-keep)).sum(dim=-1)


def expected_distinct_masks(n_units: int, keep_prob: float, draws: int) -> float:
    r"""Expected number of different masks among :math:`T` draws, :math:`\sum_m [1 - (1 - \pi_m)^T]`.

    The :math:`2^n` masks are summed in :math:`n + 1` groups of equal probability, so any :math:`n` is cheap.

    Args:
        n_units: Number of units :math:`n \ge 0`.
        keep_prob: Probability :math:`p \in (0, 1]` of keeping a unit.
        draws: Number of masks drawn, :math:`T \ge 0`.

    Returns:
        The expectation, between 0 and :math:`\min(T, 2^n)`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> round(expected_distinct_masks(2, 0.5, draws=1), 9)
        1.0
        >>> round(expected_distinct_masks(10, 0.5, draws=1000), 1)
        638.5

    Source: linearity of expectation over the :math:`2^n` masks.
    """
    keep_prob = check_keep_prob(keep_prob)
    check_count("n_units", n_units, at_least=0)
    check_count("draws", draws, at_least=0)
    if draws == 0:
        return 0.0
    if keep_prob == 1.0:
        return 1.0
    kept = torch.arange(n_units + 1, dtype=torch.float64)
    n = torch.tensor(float(n_units), dtype=torch.float64)
    log_count = torch.lgamma(n + 1) - torch.lgamma(kept + 1) - torch.lgamma(n - kept + 1)
    log_pi = kept * math.log(keep_prob) + (n - kept) * math.log1p(-keep_prob)
    # log(1 - (1 - pi)^T); where T pi is tiny this is log(T pi), also when pi itself underflows.
    log_seen = torch.where(
        log_pi + math.log(draws) < -36,
        log_pi + math.log(draws),
        torch.log(-torch.expm1(draws * torch.log1p(-log_pi.exp()))),
    )
    return min(torch.exp(log_count + log_seen).sum().item(), float(draws))
