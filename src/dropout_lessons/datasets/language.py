"""A language of which everything is known: as much text as one likes, and the least loss that is possible."""

from __future__ import annotations

import copy

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from dropout_lessons import runtime
from dropout_lessons.arguments import check_count, check_number, is_count


class MarkovSource:
    r"""A random language in which each symbol depends on the two before it.

    The probabilities :math:`P(c \mid a, b)` of the next symbol are drawn from a symmetric Dirichlet distribution. With
    :math:`\pi(a, b)` the stationary probability of a pair, no predictor has a smaller expected loss than the entropy rate

    .. math:: H = -\sum_{a, b} \pi(a, b) \sum_c P(c \mid a, b) \log P(c \mid a, b).

    Args:
        symbols: Number of different symbols.
        concentration: Of the Dirichlet distribution; the smaller, the more predictable the language.
        seed: Decides the language.

    Attributes:
        next_probs: :math:`P(c \mid a, b)`, shape ``(symbols, symbols, symbols)``, double precision.
        pair_probs: :math:`\pi(a, b)`, shape ``(symbols, symbols)``.
        entropy_rate: :math:`H`, in nats.

    Raises:
        ValueError: If ``symbols`` is below 2 or ``concentration`` is not positive.

    Example:
        >>> source = MarkovSource(symbols=8, seed=1)
        >>> text = source.sample(1000, 20, generator=torch.Generator().manual_seed(0))
        >>> text.shape
        torch.Size([1000, 20])
        >>> bool(0 < source.entropy_rate < np.log(8))
        True

    Source: Shannon 1948, Section 7.
    """

    def __init__(self, symbols: int = 8, *, concentration: float = 0.3, seed: int = 0) -> None:
        check_count("symbols", symbols, at_least=2)
        check_number("concentration", concentration, "a positive number", above=0)
        check_count("seed", seed, at_least=0)
        draws = np.random.default_rng(runtime.seed(seed)).dirichlet(
            np.full(symbols, concentration), size=(symbols, symbols)
        )
        self.symbols, self.concentration = symbols, concentration
        self._speak(torch.from_numpy(draws))

    def _speak(self, next_probs: Float[Tensor, "a b c"]) -> None:
        self.next_probs: Float[Tensor, "a b c"] = next_probs
        self.pair_probs: Float[Tensor, "a b"] = self._stationary()
        entropies = torch.special.entr(self.next_probs).sum(dim=2)
        self.entropy_rate = float((self.pair_probs * entropies).sum())

    def dialect(self, pairs: int, *, seed: int) -> MarkovSource:
        """A language that is the same but for what follows some pairs of symbols, which is drawn anew.

        Args:
            pairs: Number of pairs :math:`(a, b)` with other probabilities, drawn among all.
            seed: Decides the pairs and what follows them.

        Raises:
            ValueError: If there are not so many pairs.

        Example:
            >>> source = MarkovSource(symbols=3)
            >>> changed = source.dialect(4, seed=1).next_probs != source.next_probs
            >>> int(changed.any(dim=2).sum())
            4
        """
        if not is_count(pairs, at_most=self.symbols**2):
            raise ValueError(f"pairs must be an integer from 0 to {self.symbols**2}, all there are, got {pairs!r}")
        check_count("seed", seed, at_least=0)
        generator = np.random.default_rng(runtime.seed(seed))
        chosen = torch.from_numpy(generator.permutation(self.symbols**2)[:pairs])
        draws = generator.dirichlet(np.full(self.symbols, self.concentration), size=pairs)
        next_probs = self.next_probs.flatten(0, 1).clone()
        next_probs[chosen] = torch.from_numpy(draws)
        other = copy.copy(self)
        other._speak(next_probs.view_as(self.next_probs))
        return other

    def _stationary(self) -> Float[Tensor, "a b"]:
        # From pair (a, b) to pair (b, c). Its eigenvector of eigenvalue 1, with sum 1: one equation too many, which agrees.
        pairs = self.symbols**2
        steps = torch.zeros(self.symbols, self.symbols, self.symbols, self.symbols, dtype=torch.float64)
        b = torch.arange(self.symbols)
        steps[:, b, b, :] = self.next_probs
        equations = torch.cat([steps.view(pairs, pairs).T - torch.eye(pairs), torch.ones(1, pairs)])
        sums = torch.zeros(pairs + 1, 1, dtype=torch.float64)
        sums[-1] = 1
        pair_probs: Tensor = torch.linalg.lstsq(equations, sums).solution
        return pair_probs.view(self.symbols, self.symbols)

    def sample(
        self, sequences: int, length: int, *, generator: torch.Generator | None = None
    ) -> Int[Tensor, "sequences length"]:
        """Draw texts, each from a stationary start, independent of each other.

        Args:
            sequences: Number of texts.
            length: Symbols in each; at least 2.
            generator: Source of randomness; PyTorch's global one when None.

        Raises:
            ValueError: If ``length`` is below 2.

        Example:
            >>> MarkovSource(symbols=3).sample(2, 5).shape
            torch.Size([2, 5])
        """
        if not is_count(length, at_least=2):
            raise ValueError(f"length must be at least 2, the symbols that the third depends on, got {length!r}")
        first = torch.multinomial(self.pair_probs.flatten(), sequences, replacement=True, generator=generator)
        text = torch.empty(sequences, length, dtype=torch.int64)
        text[:, 0], text[:, 1] = first // self.symbols, first % self.symbols
        below = self.next_probs.cumsum(dim=2)[:, :, :-1].contiguous()
        uniform = torch.rand(sequences, length, dtype=torch.float64, generator=generator)
        for i in range(2, length):
            text[:, i] = (below[text[:, i - 2], text[:, i - 1]] <= uniform[:, i, None]).sum(dim=1)
        return text

    def excess_loss(
        self, logits: Float[Tensor, "sequences length symbols"], text: Int[Tensor, "sequences length"]
    ) -> float:
        r"""By how much a predictor's expected loss on these texts is above the least possible one, in nats.

        That is the mean of :math:`\mathrm{KL}(P(\cdot \mid x_{i-1}, x_i) \,\|\, \mathrm{softmax}(z_i))` over all positions from
        the second on. The next symbols are not used, so their luck is no part of it.

        Args:
            logits: :math:`z_i`, of the symbol after ``text[:, i]``.
            text: :math:`x_i`.

        Example:
            >>> source = MarkovSource(symbols=3)
            >>> text = source.sample(10, 5)
            >>> knows_it = source.next_probs[text[:, :-1], text[:, 1:]].log()
            >>> abs(source.excess_loss(torch.cat([knows_it[:, :1], knows_it], dim=1), text)) < 1e-12
            True
        """
        true = self.next_probs.to(text.device)[text[:, :-1], text[:, 1:]]
        log_probs = logits[:, 1:].double().log_softmax(dim=2)
        terms = torch.where(true > 0, true * (true.log() - log_probs), 0.0)  # what is never said costs nothing
        return float(terms.sum(dim=2).mean())
