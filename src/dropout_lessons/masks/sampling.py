"""Draw masks and noise."""

from __future__ import annotations

import functools
import itertools
import math
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from dropout_lessons.arguments import check_generator, check_keep_prob, checked_counts

# Integers as wide as the floats: a float's bits times 0 or 1 are the float times 0 or 1.
_AS_WIDE: dict[torch.dtype, torch.dtype] = {
    torch.float64: torch.int64,
    torch.float32: torch.int32,
    torch.bfloat16: torch.int16,
    torch.float16: torch.int16,
}
# Written out, since torch cannot read annotations of a function that a checker of shapes has wrapped.
_SCHEMA = "(SymInt[] shape, float? keep_prob, SymInt ticket, Device device, ScalarType dtype) -> Tensor"
_MAX_STACKED_MASK = 2**13  # entries; above, one call for each mask costs less than what stacking adds
_FEW = 2**12  # entries; up to here it takes less time to look bytes up in a table than to compare them
_CHUNK = 2**16  # entries drawn at a time, so that bytes are read while they are in the cache


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
        device: Where the mask lives; by default the generator's device, else the CPU. A generator of another device
            draws there, and the mask is moved.

    Raises:
        ValueError: If ``keep_prob`` is outside (0, 1], or ``generator`` is no generator.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> mask = sample_mask((1000, 100), keep_prob=0.8, generator=generator)
        >>> mask.dtype, round(mask.float().mean().item(), 2)
        (torch.bool, 0.8)

    Source: Srivastava et al. 2014, Section 4.
    """
    keep_prob = check_keep_prob(keep_prob)
    if not isinstance(shape, torch.Size):
        shape = torch.Size(checked_counts("shape", shape, "numbers of entries, such as (64, 256)", at_least=0))
    device, source = _devices(device, generator)
    if keep_prob == 1.0:
        return torch.ones(shape, dtype=torch.bool, device=device)
    if torch.compiler.is_compiling():
        mask = _compiled_draw(shape, keep_prob, generator, source, torch.bool)
    else:
        mask = _draw_mask(shape, keep_prob, generator, source)
    return mask if device == source else mask.to(device)


def sample_factor(
    x: Float[Tensor, " ..."], keep_prob: float, *, scale: float, generator: torch.Generator | None = None
) -> Float[Tensor, " ..."]:
    """Draw what :func:`sample_mask` draws for ``x``, as its floats: 0, or ``scale`` where a unit is kept."""
    wide = _AS_WIDE.get(x.dtype) if x.is_cpu else None
    if generator is not None:
        check_generator(generator)
        wide = wide if generator.device.type == "cpu" else None
    if wide is not None and not is_captured():
        few, kept = x.numel() <= _FEW, _bits(scale, x.dtype)
        # Many go into torch's own memory, which begins where vector loads do.
        factor = None if few else torch.empty(x.shape, dtype=wide, device="cpu")
        drawn = _draw_bytes(x.numel(), keep_prob, generator, kept, factor)
        if drawn is not None:
            return (torch.from_numpy(drawn.reshape(x.shape)) if factor is None else factor).view(x.dtype)
    return as_factor(sample_mask(x.shape, keep_prob, generator=generator, device=x.device), scale, x.dtype)


def as_factor(mask: Bool[Tensor, " ..."], scale: float, dtype: torch.dtype) -> Float[Tensor, " ..."]:
    """The mask as floats: 0, or ``scale`` where a unit is kept."""
    # As bytes, since torch converts them several times as fast as bools.
    factor = (mask if is_captured() else mask.view(torch.uint8)).to(dtype)
    return factor if scale == 1.0 else factor.mul_(scale)


def sample_noise(x: Float[Tensor, " ..."], *, generator: torch.Generator | None = None) -> Float[Tensor, " ..."]:
    """Draw standard normal noise of the shape, data type and device of ``x``."""
    device, source = _devices(x.device, generator)
    if torch.compiler.is_compiling():
        noise = _compiled_draw(x.shape, None, generator, source, x.dtype)
    else:
        noise = _draw_noise(x.shape, generator, source, x.dtype)
    return noise if device == source else noise.to(device)


def _devices(device: torch.device | str | None, generator: torch.Generator | None) -> tuple[torch.device, torch.device]:
    """Where the result is to live, and where it is drawn, which is where the generator is."""
    check_generator(generator)
    if device is None:
        device = "cpu" if generator is None else generator.device
    device = torch.device(device)
    # Meta tensors have no entries that could be drawn.
    return device, device if generator is None or device.type == "meta" else generator.device


def is_traced() -> bool:
    """Whether torch.jit.trace records what is done with tensors; it cannot see what else is done."""
    jit: Any = torch.jit
    tracing: bool = jit.is_tracing()
    return tracing


def is_captured() -> bool:
    """Whether a program is recorded in order to be run later, by torch.compile, torch.export or torch.jit.trace."""
    return torch.compiler.is_compiling() or is_traced()


def _draw_mask(shape: torch.Size, keep_prob: float, generator: torch.Generator | None, device: torch.device) -> Tensor:
    if device.type == "cpu" and not is_captured():
        drawn = _draw_bytes(shape.numel(), keep_prob, generator, np.True_)
        if drawn is not None:
            return torch.from_numpy(drawn).view(shape)
    return torch.rand(shape, device=device, **_keyword(generator)) < keep_prob


def mask_stream(shape: torch.Size, keep_prob: float, generator: torch.Generator) -> Iterator[Tensor]:
    """One mask after the other as :func:`sample_mask` draws them, as bytes; what can be looked at once is not again."""
    if generator.device.type != "cpu" or is_captured() or keep_prob == 1.0:
        while True:
            yield sample_mask(shape, keep_prob, generator=generator).view(torch.uint8)
    entries, words = shape.numel(), _words(shape.numel())
    while True:
        drawn = _draw_bytes(entries, keep_prob, generator, np.True_, words=words)
        assert drawn is not None
        yield torch.from_numpy(drawn.view(np.uint8).reshape(shape))


def _words(entries: int) -> Tensor:
    """Memory for the random bytes of so many entries, or of a part of them that fits the cache."""
    return torch.empty((min(entries, _CHUNK) + 7) // 8, dtype=torch.int64, device="cpu")


def _draw_bytes(
    entries: int,
    keep_prob: float,
    generator: torch.Generator | None,
    kept: Any,
    out: Tensor | None = None,
    words: Tensor | None = None,
) -> NDArray[Any] | None:
    """Draw ``kept`` or 0 in the memory of the CPU, many of them into ``out``; None where there is none to look at."""
    words = _words(entries) if words is None else words
    try:
        values = words.numpy().view(np.uint8)  # torch.func's transforms and fake tensors have no memory
        words.random_(-(2**63), None, generator=generator)
    except (RuntimeError, TypeError):
        return None  # nor does torch.vmap(randomness="different") allow a draw in place
    # 256 p = whole + rest: a byte below `whole` keeps, one above drops, and one equal to it keeps with
    # probability `rest`. Both parts are exact in floating point, since 256 is a power of two.
    # numpy compares bytes and finds the ties several times as fast as torch does.
    whole = math.floor(256 * keep_prob)
    rest = 256 * keep_prob - whole
    if entries <= _FEW:
        return _looked_up(values[:entries], whole, rest, generator, kept)
    drawn: NDArray[Any] = np.empty(entries, np.bool_) if out is None else out.numpy().reshape(-1)
    found = []
    for start in range(0, entries, _CHUNK):
        into = drawn[start : start + _CHUNK]
        if start:
            words[: (len(into) + 7) // 8].random_(-(2**63), None, generator=generator)
        some = values[: len(into)]
        if out is None:
            np.less(some, whole, out=into)
        else:
            np.multiply((some < whole).view(np.uint8), kept, out=into, dtype=kept.dtype)
        if rest:
            found.append(np.flatnonzero(some == whole) + start if start else np.flatnonzero(some == whole))
    ties = (found[0] if len(found) == 1 else np.concatenate(found)) if found else ()
    if len(ties):
        draws = torch.rand(len(ties), dtype=torch.float64, generator=generator, device="cpu")
        drawn[ties] = (draws.numpy() < rest) * kept
    return drawn


def _looked_up(
    values: NDArray[np.uint8], whole: int, rest: float, generator: torch.Generator | None, kept: Any
) -> NDArray[Any]:
    """The same for a few bytes, where calls of numpy take more time than what they do."""
    drawn = _table(whole, kept).take(values)
    data = values.tobytes() if rest else b""
    ties, tie = [], data.find(whole)
    while tie >= 0:
        ties.append(tie)
        tie = data.find(whole, tie + 1)
    if ties:
        draws = torch.rand(len(ties), dtype=torch.float64, generator=generator, device="cpu").tolist()
        for tie, draw in zip(ties, draws, strict=True):
            if draw < rest:
                drawn[tie] = kept
    return drawn


@functools.lru_cache(maxsize=256, typed=True)
def _table(whole: int, kept: Any) -> NDArray[Any]:
    """What each byte stands for."""
    return (np.arange(256) < whole) * kept  # type: ignore[no-any-return]


@functools.lru_cache(maxsize=256)
def _bits(scale: float, dtype: torch.dtype) -> Any:
    """A float's bits, as numpy's integer."""
    # Not by way of a tensor, which torch.func's transforms would wrap: it would have no memory to look at.
    if dtype != torch.bfloat16:
        name = str(dtype).removeprefix("torch.")
        return np.array(scale, np.dtype(name)).view(np.dtype(str(_AS_WIDE[dtype]).removeprefix("torch.")))[()]
    bits = int(np.array(scale, np.float32).view(np.uint32))  # of which the upper half is kept, rounded to even
    return np.array((bits + 0x7FFF + (bits >> 16 & 1)) >> 16, np.uint16).view(np.int16)[()]


def _draw_noise(
    shape: torch.Size, generator: torch.Generator | None, device: torch.device, dtype: torch.dtype
) -> Tensor:
    return torch.randn(shape, device=device, dtype=dtype, **_keyword(generator))


def _keyword(generator: torch.Generator | None) -> dict[str, Any]:
    # Without the keyword where there is no generator: with it, torch.compile cannot make the shape dynamic.
    return {} if generator is None else {"generator": generator}


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
    for generator in generators:
        check_generator(generator, optional=False)
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
    # As in _draw_bytes, with a threshold for each row.
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


# torch.compile's graphs hold numbers and tensors, so a generator is in them as the number under which it is kept here.
# Each draw has a number of its own, lest two be taken for one and the same.
_TICKETS: weakref.WeakValueDictionary[int, torch.Generator] = weakref.WeakValueDictionary()
_NUMBERS = itertools.count()


def _ticket(generator: torch.Generator) -> int:
    ticket = next(_NUMBERS)
    _TICKETS[ticket] = generator
    return ticket


# What torch.compiler.assume_constant_result does, which loads the whole compiler, two seconds, to do it.
_ticket._dynamo_marked_constant = True  # type: ignore[attr-defined]


def _compiled_draw(
    shape: torch.Size,
    keep_prob: float | None,
    generator: torch.Generator | None,
    device: torch.device,
    dtype: torch.dtype,
) -> Tensor:
    if generator is not None:
        drawn: Tensor = _draw_by_ticket(shape, keep_prob, _ticket(generator), device, dtype)
        return drawn
    return (
        torch.randn(shape, device=device, dtype=dtype)
        if keep_prob is None
        else _draw_mask(shape, keep_prob, None, device)
    )


@torch.library.custom_op("dropout_lessons::draw", mutates_args=(), schema=_SCHEMA)
def _draw_by_ticket(
    shape: Sequence[int], keep_prob: float | None, ticket: int, device: torch.device, dtype: torch.dtype
) -> Tensor:
    generator = _TICKETS.get(ticket)
    if generator is None:
        raise ValueError(
            "generator of a compiled or exported layer is gone, since it was never saved or the layer was deleted; "
            "export layers with generator=None"
        )
    size = torch.Size(shape)
    return (
        _draw_noise(size, generator, device, dtype)
        if keep_prob is None
        else _draw_mask(size, keep_prob, generator, device)
    )


@_draw_by_ticket.register_fake
def _(shape: Sequence[int], keep_prob: float | None, ticket: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.empty(shape, device=device, dtype=dtype)
