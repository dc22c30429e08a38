"""Averages over subnetworks that are drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from dropout_lessons.averaging.average import Average, Rule, Sums, check_rule, joined
from dropout_lessons.averaging.members import BLOCK, Block, Members
from dropout_lessons.averaging.outputs import Outputs
from dropout_lessons.masks import own_generator
from dropout_lessons.runtime import progress_bar


@overload
def monte_carlo_average(
    network: nn.Module,
    x: Float[Tensor, "examples ..."],
    *,
    samples: int,
    rule: Rule = ...,
    generator: torch.Generator | None = ...,
    layers: Sequence[str] | None = ...,
    functional: Sequence[str] = ...,
    outputs: Outputs = ...,
    memory: int = ...,
    progress: bool = ...,
) -> Average: ...


@overload
def monte_carlo_average(
    network: nn.Module,
    x: Float[Tensor, "examples ..."],
    *,
    samples: Sequence[int],
    rule: Rule = ...,
    generator: torch.Generator | None = ...,
    layers: Sequence[str] | None = ...,
    functional: Sequence[str] = ...,
    outputs: Outputs = ...,
    memory: int = ...,
    progress: bool = ...,
) -> dict[int, Average]: ...


def monte_carlo_average(
    network: nn.Module,
    x: Float[Tensor, "examples ..."],
    *,
    samples: int | Sequence[int],
    rule: Rule = "arithmetic",
    generator: torch.Generator | None = None,
    layers: Sequence[str] | None = None,
    functional: Sequence[str] = (),
    outputs: Outputs = "logits",
    memory: int = 2**28,
    progress: bool = True,
) -> Average | dict[int, Average]:
    r"""Average :math:`k` subnetworks drawn at random, each example with masks of its own.

    .. math:: p(c \mid x) = \frac{1}{k} \sum_{i=1}^k p(c \mid x, m_i), \qquad m_i \sim \mathrm{Bernoulli}(p)

    The masks are those that :math:`k` calls of the network in training mode would draw, while everything else is in
    evaluation mode, batch normalization above all. What lies below the first mask is computed once. The result does not
    depend on ``memory``, up to rounding.

    Args:
        network: Any module with dropout that returns ``(examples, classes)``.
        x: The network's input, examples first.
        samples: Number of subnetworks :math:`k`, or several: averages over the first so many of one sequence of draws.
        rule: ``"arithmetic"`` averages probabilities, ``"geometric"`` log-probabilities, then normalizes.
        generator: Source of the masks. When None, a copy of PyTorch's global generator, which stays as it is.
        layers: Names of the dropout layers to draw masks for, all of them when None; the others stay in evaluation mode.
        functional: Names for the network's calls of functional dropout, in the order of its forward pass.
        outputs: What the network returns: ``"logits"``, ``"log_probs"`` or ``"probs"``.
        memory: Work space in bytes, approximately.
        progress: Whether to show a progress bar.

    Returns:
        The average; for several ``samples``, a dictionary of them by :math:`k`.

    Raises:
        ValueError: If no dropout is found, a name is unknown, or the network's output is not what ``outputs`` says.

    Example:
        >>> from dropout_lessons.networks import MLP
        >>> network = MLP([4, 8, 3], keep_prob=0.5)
        >>> averages = monte_carlo_average(network, torch.ones(2, 4), samples=(1, 10, 100))
        >>> [average.members for average in averages.values()]
        [1, 10, 100]

    Source: Srivastava et al. 2014, Section 7.5 and Figure 11; Gal and Ghahramani 2016.
    """
    check_rule(rule)
    counts = _check_samples(samples)
    members = Members(network, x, layers=layers, functional=functional, outputs=outputs)
    blocks = _blocks(members, x, generator)
    passes = {k: members.below + k * (1 - members.below) for k in counts}
    parts: dict[int, list[Average]] = {k: [] for k in counts}
    steps = list(_steps(members, counts, min(len(x), BLOCK), memory))
    work = [(block, step) for block in range(len(blocks)) for step in steps]
    for block, (start, stop) in progress_bar(work, "Monte Carlo", unit="chunk", show=progress):
        examples, source = blocks[block]
        if start == 0:
            sums = Sums()
            pieces = [Block(members, piece) for piece in examples.split(_piece(members, len(examples), memory))]
        sums.add(_drawn(members, pieces, len(examples), stop - start, source))
        if stop in parts:
            parts[stop].append(sums.average(rule, stop, passes[stop]))
    averages = {k: joined(parts[k]) for k in counts}
    return averages if isinstance(samples, Sequence) else averages[counts[0]]


def _check_samples(samples: int | Sequence[int]) -> list[int]:
    counts = list(samples) if isinstance(samples, Sequence) else [samples]
    # Also numpy's integers, such as those of np.geomspace(1, 1000, 10).astype(int).
    if not counts or not all(isinstance(k, (int, np.integer)) and not isinstance(k, bool) and k >= 1 for k in counts):
        raise ValueError(f"samples must be a positive integer or a sequence of them, got {samples!r}")
    return [int(k) for k in counts]


def _blocks(members: Members, x: Tensor, generator: torch.Generator | None) -> list[tuple[Tensor, torch.Generator]]:
    """Cut the examples into blocks, each with draws of its own, so that these do not depend on the other blocks."""
    generator = own_generator(generator, x.device)
    # A mask that the examples share, as DropConnect's, is shared by all of them.
    shared = any(site.batch_axis is None for site in members.sites)
    blocks = x.split(len(x) if shared else BLOCK)
    seeds = torch.randint(2**32, (len(blocks),), generator=generator, device=generator.device).tolist()
    return [
        (block, torch.Generator(generator.device).manual_seed(seed)) for block, seed in zip(blocks, seeds, strict=True)
    ]


def _piece(members: Members, examples: int, memory: int) -> int:
    """How many examples run at once. All, where their rows in a mask cannot be told apart."""
    return members.examples_at_once(examples, memory) if members.sliceable else examples


def _steps(members: Members, counts: Sequence[int], examples: int, memory: int) -> Iterator[tuple[int, int]]:
    """Chunks of members, cut where an average is asked for."""
    step = members.members_at_once(examples, memory)
    start = 0
    for k in sorted(set(counts)):
        while start < k:
            stop = min(k, start + step)
            yield start, stop
            start = stop


def _drawn(
    members: Members, pieces: Sequence[Block], examples: int, count: int, generator: torch.Generator
) -> Float[Tensor, "members examples classes"]:
    if not members.sites:  # all members are the same
        return torch.cat([piece.log_probs(()) for piece in pieces], dim=1).expand(count, -1, -1)
    # One draw for each member and site, however many members are drawn here: the masks do not depend on the chunks.
    drawn = [[site.draw(examples, generator) for site in members.sites] for _ in range(count)]
    factors = [torch.stack(own).to(pieces[0].x.device) for own in zip(*drawn, strict=True)]
    if len(pieces) == 1:
        return pieces[0].log_probs(factors)
    cuts = [len(piece.x) for piece in pieces]
    cut_factors = [
        factor.split(cuts, dim=1 + site.batch_axis) if site.batch_axis is not None else [factor] * len(cuts)
        for site, factor in zip(members.sites, factors, strict=True)
    ]
    return torch.cat([piece.log_probs(own) for piece, *own in zip(pieces, *cut_factors, strict=True)], dim=1)
