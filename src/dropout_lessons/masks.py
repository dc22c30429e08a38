"""Dropout masks: draw, enumerate, weigh and count them.

A mask ``m`` is a bool tensor, True where a unit is kept. Under dropout the entries are independent and each is True
with probability ``keep_prob``, the ``p`` of the paper. This module is the only place where the package draws masks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["enumerate_masks", "expected_distinct_masks", "mask_log_prob", "sample_mask", "sample_masks"]

_MAX_ENUMERATION_BYTES = 2**30
_MAX_STACKED_MASK = 2**13  # entries; above, one call for each mask costs less than what stacking adds


def own_generator(generator: torch.Generator | None, device: torch.device | str = "cpu") -> torch.Generator:
    """The generator that was given, or else a copy of the device's global one, which stays as it is."""
    if generator is None:
        device = torch.device(device)
        generator = torch.Generator(device)
        generator.set_state(torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state())
    return generator


def check_keep_prob(keep_prob: float, *, name: str = "keep_prob") -> float:
    """Return ``keep_prob`` as a float, or say what is wrong with it."""
    if not isinstance(keep_prob, (int, float, np.floating)) or isinstance(keep_prob, bool):
        raise TypeError(f"{name} must be a number in (0, 1], got {keep_prob!r}")
    value = float(keep_prob)
    if not 0.0 < value <= 1.0:
        raise ValueError(f"{name} must be in (0, 1], got {keep_prob}; PyTorch's p=0.2 is keep_prob=0.8")
    return value


def sample_mask(
    shape: Sequence[int],
    keep_prob: float,
    *,
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
) -> Bool[Tensor, " ..."]:
    r"""Draw a mask of independent Bernoulli variables, :math:`m_j \sim \mathrm{Bernoulli}(p)`.

    On the CPU the draw costs one random byte an entry instead of one random number: a byte below :math:`256p` keeps the
    unit, and the one byte value in 256 on which that is undecided is refined by a further draw, so that the
    probability is exactly ``keep_prob`` (to the :math:`2^{-53}` of a double). Elsewhere, and inside ``torch.compile`` or
    ``torch.func``, uniform floats are compared with ``keep_prob`` (to :math:`2^{-24}`, as in PyTorch's own kernels).

    Args:
        shape: Shape of the mask.
        keep_prob: Probability :math:`p \in (0, 1]` that an entry is True.
        generator: Source of randomness; PyTorch's global one when None.
        device: Where the mask lives; by default the generator's device, else the CPU.

    Returns:
        Bool tensor of the given shape, True = kept.

    Raises:
        ValueError: If ``keep_prob`` is outside (0, 1].

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> mask = sample_mask((1000, 100), keep_prob=0.8, generator=generator)
        >>> mask.dtype, round(mask.float().mean().item(), 2)
        (torch.bool, 0.8)

    Source: Srivastava et al. 2014, Section 4.
    """
    keep_prob = check_keep_prob(keep_prob)
    shape = torch.Size(shape)
    if device is None:
        device = torch.device("cpu") if generator is None else generator.device
    device = torch.device(device)
    if keep_prob == 1.0:
        return torch.ones(shape, dtype=torch.bool, device=device)
    if device.type == "cpu" and not torch.compiler.is_compiling():
        words = torch.empty(-(-shape.numel() // 8), dtype=torch.int64, device=device)
        try:
            words.numpy()  # torch.func's transforms and fake tensors have no memory to look at
            words.random_(-(2**63), None, generator=generator)
        except (RuntimeError, TypeError):
            pass  # nor does torch.vmap(randomness="different") allow a draw in place: fall through to what it allows
        else:
            return _threshold_bytes(words.view(torch.uint8)[: shape.numel()], keep_prob, generator).view(shape)
    # Without the keyword where there is no generator: with it, torch.compile cannot make the shape dynamic.
    source: dict[str, Any] = {} if generator is None else {"generator": generator}
    return torch.rand(shape, device=device, **source) < keep_prob


def _threshold_bytes(random_bytes: Tensor, keep_prob: float, generator: torch.Generator | None) -> Tensor:
    # 256 p = whole + rest: a byte below `whole` keeps, one above drops, and one equal to it keeps with
    # probability `rest`. Both parts are exact in floating point, since 256 is a power of two.
    # numpy compares bytes and finds the ties several times as fast as torch does.
    whole = math.floor(256 * keep_prob)
    rest = 256 * keep_prob - whole
    values = random_bytes.numpy()
    mask = values < whole
    if rest:
        ties = np.flatnonzero(values == whole)
        mask[ties] = (torch.rand(len(ties), dtype=torch.float64, generator=generator, device="cpu") < rest).numpy()
    return torch.from_numpy(mask)


def sample_masks(
    shape: Sequence[int],
    keep_probs: Sequence[float],
    *,
    generators: Sequence[torch.Generator],
    device: torch.device | str | None = None,
) -> Bool[Tensor, " stack *shape"]:
    r"""Draw a stack of masks from streams of their own, :math:`m_{kj} \sim \mathrm{Bernoulli}(p_k)`.

    Slice :math:`k` is what :func:`sample_mask` draws with the same ``keep_prob`` and generator. On the CPU the slices are
    compared with their :math:`p_k` together, which for many small masks is several times as fast as one by one.

    Args:
        shape: Shape of each mask.
        keep_probs: :math:`p_k \in (0, 1]` of each mask; 1 draws nothing.
        generators: Source of randomness of each mask.
        device: Where the masks live; by default the generators' device.

    Returns:
        Bool tensor of shape ``(len(keep_probs), *shape)``, True = kept.

    Raises:
        ValueError: If a keep probability is outside (0, 1], there are none, or not as many as generators.

    Example:
        >>> generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
        >>> sample_masks((1000,), [0.5, 0.8], generators=generators).float().mean(1).round(decimals=1).tolist()
        [0.5, 0.800000011920929]

    Source: Srivastava et al. 2014, Section 4.
    """
    keep_probs = [check_keep_prob(keep_prob, name="keep_probs") for keep_prob in keep_probs]
    if not keep_probs or len(keep_probs) != len(generators):
        raise ValueError(
            f"keep_probs and generators must be one for each mask, got {len(keep_probs)} and {len(generators)}"
        )
    device = generators[0].device if device is None else torch.device(device)
    shape = torch.Size(shape)
    if device.type != "cpu" or shape.numel() > _MAX_STACKED_MASK:
        each = zip(keep_probs, generators, strict=True)
        return torch.stack([sample_mask(shape, keep, generator=source, device=device) for keep, source in each])
    words = torch.zeros(len(keep_probs), -(-shape.numel() // 8), dtype=torch.int64)
    for row, keep_prob, generator in zip(words.unbind(), keep_probs, generators, strict=True):
        if keep_prob < 1.0:
            row.random_(-(2**63), None, generator=generator)
    values = words.view(torch.uint8)[:, : shape.numel()].numpy()
    # As in _threshold_bytes, with a threshold for each row.
    scaled = 256 * np.array(keep_probs)[:, np.newaxis]
    whole = np.minimum(np.floor(scaled), 255).astype(np.uint8)  # rows with keep_prob 1 are zeros, so they are kept
    rest = scaled - np.floor(scaled)
    masks = values < whole
    if rest.any():
        rows, columns = np.divmod(np.flatnonzero((values == whole) & (rest > 0)), values.shape[1])
        draws = torch.empty(len(rows), dtype=torch.float64)
        counts = np.bincount(rows, minlength=len(values)).tolist()
        for part, generator in zip(draws.split(counts), generators, strict=True):
            part.uniform_(generator=generator)
        masks[rows, columns] = draws.numpy() < rest[rows, 0]
    return torch.from_numpy(masks).view(len(keep_probs), *shape)


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

    Returns:
        Bool tensor of shape ``(stop - start, n_units)``, True = kept.

    Raises:
        ValueError: If the arguments are out of range, or the masks would take more than 1 GiB; ask for chunks then.

    Example:
        >>> enumerate_masks(2).int().tolist()
        [[0, 0], [1, 0], [0, 1], [1, 1]]
        >>> enumerate_masks(40, start=2**39, stop=2**39 + 2).shape
        torch.Size([2, 40])

    Source: Srivastava et al. 2014, Section 1: a net with :math:`n` units is a collection of :math:`2^n` thinned networks.
    """
    if not 0 <= n_units <= 62:
        raise ValueError(f"n_units must be from 0 to 62, so that 2**n_units fits 64 bits, got {n_units}")
    total = 2**n_units
    stop = total if stop is None else stop
    if not 0 <= start <= stop <= total:
        raise ValueError(f"start and stop must satisfy 0 <= start <= stop <= {total}, got {start} and {stop}")
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
        Double-precision log-probabilities in nats, :math:`-\infty` for a mask that cannot occur.

    Raises:
        ValueError: If a ``keep_prob`` is outside (0, 1] or the masks are not bool.

    Example:
        >>> mask_log_prob(enumerate_masks(2), 0.5).exp().tolist()
        [0.25, 0.25, 0.25, 0.25]
        >>> round(mask_log_prob(enumerate_masks(3), 0.9).exp().sum().item(), 12)
        1.0

    Source: Srivastava et al. 2014, Section 4; the masks' weights in the average over subnetworks.
    """
    if masks.dtype != torch.bool:
        raise ValueError(f"masks must be bool (True = kept), got {masks.dtype}; convert with masks.bool()")
    if isinstance(keep_prob, Tensor):
        if not bool(((keep_prob > 0) & (keep_prob <= 1)).all()):
            raise ValueError(f"keep_prob must be in (0, 1] for every unit, got {keep_prob.tolist()}")
        keep = keep_prob.to(torch.float64)
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
    if n_units < 0:
        raise ValueError(f"n_units must be at least 0, got {n_units}")
    if draws < 0:
        raise ValueError(f"draws must be at least 0, got {draws}")
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
