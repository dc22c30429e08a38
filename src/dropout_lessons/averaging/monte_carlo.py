"""Averages over subnetworks that are drawn."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, overload

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.data import DataLoader

from dropout_lessons.arguments import is_count, own_generator
from dropout_lessons.averaging.average import Average, Rule, check_rule, joined, sums_of
from dropout_lessons.running import MaskedNetwork
from dropout_lessons.running.examples import Given, batches, device_of
from dropout_lessons.running.masked import as_masked
from dropout_lessons.running.members import BLOCK, Block, Head, Members
from dropout_lessons.running.outputs import Examples
from dropout_lessons.running.sites import Site
from dropout_lessons.runtime import progress_bar

# Members whose masks are drawn at once on a GPU, at most, and entries of such a draw.
_AHEAD, _STOCK = 64, 2**25
_PREDICTIONS = 2**16  # that are summed at once


@overload
def monte_carlo_average(
    network: nn.Module | MaskedNetwork,
    x: Examples,
    *,
    samples: int,
    rule: Rule = ...,
    generator: torch.Generator | None = ...,
    progress: bool = ...,
) -> Average: ...


@overload
def monte_carlo_average(
    network: nn.Module | MaskedNetwork,
    x: Examples,
    *,
    samples: Sequence[int],
    rule: Rule = ...,
    generator: torch.Generator | None = ...,
    progress: bool = ...,
) -> dict[int, Average]: ...


def monte_carlo_average(
    network: nn.Module | MaskedNetwork,
    x: Examples,
    *,
    samples: int | Sequence[int],
    rule: Rule = "arithmetic",
    generator: torch.Generator | None = None,
    progress: bool = True,
) -> Average | dict[int, Average] | Any:
    r"""Average :math:`k` subnetworks drawn at random, each example with masks of its own.

    .. math:: p(c \mid x) = \frac{1}{k} \sum_{i=1}^k p(c \mid x, m_i), \qquad m_i \sim \mathrm{Bernoulli}(p)

    The masks are those that :math:`k` calls of the network in training mode would draw, while everything else is in
    evaluation mode, batch normalization above all. Modules that draw by themselves, such as recurrent layers, attention and
    stochastic depth, do so in training mode, one member after the other. What lies below the first mask is computed once. The
    result does not depend on the ``memory`` of a ``MaskedNetwork``, up to rounding.

    Args:
        network: Any module with dropout, or a ``MaskedNetwork`` that says which of it is drawn and what the network returns.
        x: What the network is given, as in :func:`weight_scaling`.
        samples: Number of subnetworks :math:`k`, or several: averages over the first so many of one sequence of draws.
        rule: ``"arithmetic"`` averages probabilities, ``"geometric"`` log-probabilities, then normalizes.
        generator: Source of the masks. When None, a copy of PyTorch's global generator, which stays as it is.
        progress: Whether to show a progress bar.

    Returns:
        An :class:`Average`, or of a regression a :class:`ValueAverage`; for several ``samples``, a dictionary of them by
        :math:`k`.

    Raises:
        ValueError: If no dropout is found, a name is unknown, or the network's output is not what is said of it.

    Example:
        >>> from dropout_lessons.networks import MLP
        >>> network = MLP([4, 8, 3], keep_prob=0.5)
        >>> averages = monte_carlo_average(network, torch.ones(2, 4), samples=(1, 10, 100))
        >>> [average.members for average in averages.values()]
        [1, 10, 100]

    Source: Srivastava et al. 2014, Section 7.5 and Figure 11; Gal and Ghahramani 2016.
    """
    masked = as_masked(network)
    check_rule(rule, masked.says)
    counts, is_one = _check_samples(samples)
    generator = own_generator(generator, device_of(masked.network))
    parts: dict[int, list[Any]] = {k: [] for k in counts}
    for members, given, source in _blocks(masked, x, generator):
        passes = {k: members.below + k * (1 - members.below) for k in counts}
        draws = _Draws(members, given, max(counts), masked.memory, source)
        sums = sums_of(masked.says)
        steps = list(_steps(counts, draws.at_once))
        for start, stop in progress_bar(steps, "Monte Carlo", unit="chunk", show=progress):
            predictions = draws.predictions(stop - start)
            if start == 0:
                masked.says.checked(predictions[0], len(given))
            sums.add(predictions, masked.says)
            if stop in parts:
                parts[stop].append(sums.average(rule, stop, passes[stop]))
    averages = {k: joined(parts[k]) for k in counts}
    return averages[counts[0]] if is_one else averages


def _check_samples(samples: Any) -> tuple[list[int], bool]:
    """The numbers, and whether it is one that was given rather than several."""
    values = samples.tolist() if hasattr(samples, "tolist") else samples  # of arrays, and of numpy's numbers
    is_one = not isinstance(values, (Sequence, range))
    counts = [values] if is_one else list(values)
    if not counts or not all(is_count(k, at_least=1) for k in counts):
        raise ValueError(f"samples must be a positive integer or a sequence of them, got {samples!r}")
    return [operator.index(k) for k in counts], is_one


def _blocks(
    masked: MaskedNetwork, x: Examples | DataLoader[Any], generator: torch.Generator
) -> Iterator[tuple[Members, Given, torch.Generator]]:
    """Cut the examples into blocks, each with draws of its own, so that these do not depend on the other blocks."""
    for batch, _ in batches(x):
        given = masked.given(batch)
        members = Members(given, masked.layers)
        # A mask that the examples share, as DropConnect's, is shared by all of them.
        shared = any(site.batch_axis is None for site in members.sites)
        for block in given.split(len(given) if shared else BLOCK):
            seed = int(torch.randint(2**32, (), generator=generator, device=generator.device))
            yield members, block, torch.Generator(generator.device).manual_seed(seed)


def _steps(counts: Sequence[int], at_once: int) -> Iterator[tuple[int, int]]:
    """Chunks of members, cut where an average is asked for."""
    start = 0
    for k in sorted(set(counts)):
        while start < k:
            stop = min(k, start + at_once)
            yield start, stop
            start = stop


def _draws_ahead(members: Members) -> bool:
    """Whether masks of many members are drawn at once: on a GPU, where all of them are independent bits."""
    return members.device.type == "cuda" and all(site.is_enumerable for site in members.sites)


class _Draws:
    """Members that are drawn one after the other for some examples, in pieces that fit the work space."""

    def __init__(self, members: Members, given: Given, most: int, memory: int, generator: torch.Generator) -> None:
        self.members = members
        self.examples = len(given)
        self.generator = generator
        self.factors: list[Tensor] = []  # of each site, and the same for all chunks: they stay in the cache
        self.draws = [site.draws(members.network, self.examples, generator) for site in members.sites]
        self.stock: list[Tensor] = []  # of each site: the masks that are drawn, and not used
        # All at once where their rows in a mask cannot be told apart, or a module draws for them.
        size = members.examples_at_once(self.examples, memory) if members.sliceable else self.examples
        pieces = given.split(size)
        self.head = members.head if most > 1 and len(pieces) == 1 and not _draws_ahead(members) else None
        #: Whether the head's input is the same for all members.
        self.shared = self.head is not None and len(members.sites) == 1
        fitting = members.members_at_once(min(self.examples, BLOCK), memory)
        if self.shared:  # but for one member's mask there are predictions alone
            fitting = max(fitting, _PREDICTIONS // (self.examples * members.n_outputs))
        self.at_once = min(most, fitting)
        self.pieces = [Block(members, piece, once=most == 1 or self.shared) for piece in pieces]
        self.cuts = [len(piece) for piece in pieces]
        # A stream of their own, so that nobody's draws depend on how many members run together.
        self.source = None
        if members.drawn:
            seed = int(torch.randint(2**32, (), generator=generator, device=generator.device))
            self.source = torch.Generator(members.device).manual_seed(seed)

    def _keep(self, at: int, site: Site, first: int, drawn: Tensor) -> None:
        """Put masks or noise of members among the factors."""
        if at == len(self.factors):
            shape = (1 if self.shared else self.at_once, *drawn.shape[1:])
            self.factors.append(torch.empty(shape, dtype=site.dtype, device=self.members.device))
        into = self.factors[at][first : first + len(drawn)]
        into.copy_(drawn)
        if drawn.dtype == torch.uint8 and site.scale != 1.0 and not self.shared:
            into.mul_(site.scale)

    def _draw(self, row: int) -> None:
        """One draw for each site, however many members are drawn here: the masks do not depend on the chunks."""
        for at, site in enumerate(self.members.sites):
            self._keep(at, site, row, next(self.draws[at])[None])

    def _by_head(self, head: Head, count: int) -> Tensor:
        """What the next members predict by a linear layer above the last site, whose masks are written over."""
        if self.shared:  # one by one, so that a member stays in the cache
            sums = []
            for _ in range(count):
                self._draw(0)
                sums.append(F.linear(self.factors[0][0].mul_(self._below_head), head.weight))
            predictions = torch.stack(sums).mul_(self.members.sites[0].scale)
            return predictions if head.bias is None else predictions.add_(head.bias)
        for row in range(count):
            self._draw(row)
        *lower, last = (factor[:count] for factor in self.factors)
        return F.linear(last.mul_(self.pieces[0].inputs_of(self.members.sites[-1], lower)), head.weight, head.bias)

    @cached_property
    def _below_head(self) -> Tensor:
        """What all members give the only site."""
        return self.pieces[0].inputs_of(self.members.sites[0], ())[0]

    def _take_from_stock(self, count: int) -> None:
        """Draws of many members at once, as many whatever the chunks: on a GPU starting a draw takes longer than drawing."""
        first = 0
        while first < count:
            if not self.stock or not len(self.stock[0]):
                sites = self.members.sites
                largest = max(math.prod(site.mask_shape(self.examples)) for site in sites)
                ahead = max(1, min(_AHEAD, _STOCK // largest))
                self.stock = [site.draw_several(ahead, self.examples, self.generator) for site in sites]
            n = min(len(self.stock[0]), count - first)
            for at, site in enumerate(self.members.sites):
                self._keep(at, site, first, self.stock[at][:n])
                self.stock[at] = self.stock[at][n:]
            first += n

    def predictions(self, count: int) -> Float[Tensor, "members examples *positions outputs"]:
        """What the next members predict."""
        members = self.members
        if not members.sites and not members.drawn:  # all members are the same
            same = torch.cat([piece.predictions(()) for piece in self.pieces], dim=1)
            return same.expand(count, *same.shape[1:])
        if self.head is not None:
            return self._by_head(self.head, count)
        if _draws_ahead(members):
            self._take_from_stock(count)
        else:
            for row in range(count):
                self._draw(row)
        factors = [factor[:count] for factor in self.factors]
        if len(self.pieces) == 1:
            return self.pieces[0].predictions(factors, count=count, source=self.source)
        cut = [
            factor.split(self.cuts, dim=1 + site.batch_axis)
            if site.batch_axis is not None
            else [factor] * len(self.cuts)
            for site, factor in zip(members.sites, factors, strict=True)
        ]
        return torch.cat(
            [piece.predictions(own, count=count) for piece, *own in zip(self.pieces, *cut, strict=True)], dim=1
        )
