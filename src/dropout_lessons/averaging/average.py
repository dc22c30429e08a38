"""What a rule of averaging predicts, and the sums behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

Rule = Literal["arithmetic", "geometric"]

# Doubles below lose digits from 2e-308 on.
_SMALL = 1e-290


def check_rule(rule: Rule) -> Rule:
    if rule not in get_args(Rule):
        raise ValueError(
            'rule must be "arithmetic" (mean of probabilities) or "geometric" (normalized mean of log-probabilities), '
            f"got {rule!r}"
        )
    return rule


@dataclass(frozen=True, eq=False)
class Average:
    r"""What an average of networks predicts, and how its members differ.

    Attributes:
        log_probs: Log-probabilities of the average, in nats and double precision; their exponentials sum to 1.
        members: Number of networks that were averaged.
        forward_passes: Multiply-adds spent on each example, in units of one full forward pass of the network.
        member_log_probs: The members' mean log-probability of each class, :math:`\sum_m \pi_m \log p_m`, not normalized; at
            the label its negative is the members' mean negative log-likelihood. None where there is one network.
        member_entropy: The members' mean entropy, in nats; None where it was not computed.
        votes: Share of the members whose most probable class it is; None where it was not computed.
        exhaustive: Whether the members are all there are, rather than a sample of them.

    Example:
        >>> from dropout_lessons.averaging import exact_average
        >>> from dropout_lessons.networks import MLP
        >>> network = MLP([4, 8, 3], keep_prob=0.5, generator=torch.Generator().manual_seed(0))
        >>> average = exact_average(network, torch.ones(2, 4), progress=False)
        >>> average.members, average.probs.shape
        (256, torch.Size([2, 3]))
    """

    log_probs: Float[Tensor, "examples classes"]
    members: int
    forward_passes: float
    member_log_probs: Float[Tensor, "examples classes"] | None = None
    member_entropy: Float[Tensor, " examples"] | None = None
    votes: Float[Tensor, "examples classes"] | None = None
    exhaustive: bool = False

    @property
    def probs(self) -> Float[Tensor, "examples classes"]:
        """Probabilities of the average."""
        return self.log_probs.exp()

    @property
    def entropy(self) -> Float[Tensor, " examples"]:
        r"""Entropy of the average, :math:`-\sum_k p_k \log p_k`, in nats."""
        entropy: Tensor = torch.special.entr(self.probs).sum(dim=1)
        return entropy

    @property
    def mutual_information(self) -> Float[Tensor, " examples"] | None:
        """Entropy of the average minus the members' mean entropy, in nats.

        For the arithmetic rule it is the information that the prediction and the choice of a member carry about each
        other, and not negative: what the members disagree about.

        Source: Gal 2016, "Uncertainty in Deep Learning", Section 3.3.1; Houlsby et al. 2011 call it BALD.
        """
        return None if self.member_entropy is None else self.entropy - self.member_entropy

    @property
    def disagreement(self) -> float | None:
        """Chance that two members predict different classes, mean over the examples.

        Two members drawn independently if ``exhaustive``, else two different ones, which estimates the same chance without
        bias. None where the votes were not computed or there is one member.
        """
        if self.votes is None or (self.members == 1 and not self.exhaustive):
            return None
        chance = 1 - self.votes.square().sum(dim=1).mean().item()
        chance = chance if self.exhaustive else chance * self.members / (self.members - 1)
        return max(0.0, chance)


class Sums:
    """Weighted sums over members, taken chunk by chunk.

    Probabilities are summed by their logarithms, so that the mean of very small ones keeps its digits.
    """

    def __init__(self) -> None:
        self._log_weight = -math.inf
        self._log_sum: Tensor | None = None
        self._mean_log: Tensor | None = None  # running mean, as the two below
        self._entropy: Tensor | None = None
        self._votes: Tensor | None = None

    def add(
        self, log_probs: Float[Tensor, "members examples classes"], log_weights: Float[Tensor, " members"] | None = None
    ) -> None:
        """Take in some members' log-probabilities; without weights each weighs 1."""
        if log_weights is None:
            log_weights = log_probs.new_zeros(len(log_probs))
        log_weight = log_weights.logsumexp(0)
        share = (log_weights - log_weight).exp()
        probs = log_probs.exp()
        mean = torch.tensordot(share, probs, dims=1)
        if bool((mean > _SMALL).all()):
            log_sum = mean.log() + log_weight
        else:  # the probabilities lose digits or vanish, and their logarithms do not
            log_sum = (log_weights[:, None, None] + log_probs).logsumexp(0)
        # Where the probability underflows to 0, so does its product with the logarithm, once this is finite.
        entropy = -torch.tensordot(share, probs.mul_(log_probs.clamp_min(-1e4)), dims=1).sum(dim=1)
        votes = torch.zeros_like(mean).scatter_add_(1, log_probs.argmax(dim=2).T, share.expand(len(mean), -1))
        mean_log = torch.tensordot(share, log_probs, dims=1)
        self.add_sums(log_sum, mean_log, log_weight.item(), entropy=entropy, votes=votes)

    def add_sums(
        self,
        log_sum: Float[Tensor, "examples classes"],
        mean_log: Float[Tensor, "examples classes"],
        log_weight: float,
        *,
        entropy: Float[Tensor, " examples"] | None = None,
        votes: Float[Tensor, "examples classes"] | None = None,
    ) -> None:
        """Take in sums over members: log of the weighted sum of probabilities, weighted means, log of the weight."""
        if self._log_sum is None:
            self._log_sum, self._mean_log, self._entropy, self._votes = log_sum, mean_log, entropy, votes
            self._log_weight = log_weight
            return
        total = max(self._log_weight, log_weight)
        total += math.log(math.exp(self._log_weight - total) + math.exp(log_weight - total))
        old, new = math.exp(self._log_weight - total), math.exp(log_weight - total)
        assert self._mean_log is not None
        self._log_sum = torch.logaddexp(self._log_sum, log_sum)
        self._mean_log = old * self._mean_log + new * mean_log
        if self._entropy is not None and entropy is not None:
            self._entropy = old * self._entropy + new * entropy
        if self._votes is not None and votes is not None:
            self._votes = old * self._votes + new * votes
        self._log_weight = total

    def average(self, rule: Rule, members: int, forward_passes: float, *, exhaustive: bool = False) -> Average:
        """The average of the members so far."""
        assert self._log_sum is not None
        assert self._mean_log is not None
        if rule == "arithmetic":
            log_probs = self._log_sum.log_softmax(dim=1)
        else:
            if bool((self._mean_log == -math.inf).all(dim=1).any()):
                raise ValueError(
                    'rule="geometric" has no value where each class is given probability 0 by some member; '
                    'use rule="arithmetic"'
                )
            log_probs = self._mean_log.log_softmax(dim=1)
        return Average(
            log_probs, members, forward_passes, self._mean_log, self._entropy, self._votes, exhaustive=exhaustive
        )


def joined(parts: Sequence[Average]) -> Average:
    """One average of all examples from those of blocks of them."""

    def cat(tensors: Sequence[Tensor | None]) -> Tensor | None:
        present = [tensor for tensor in tensors if tensor is not None]
        return torch.cat(present) if len(present) == len(tensors) else None

    examples = sum(len(part.log_probs) for part in parts)
    return Average(
        torch.cat([part.log_probs for part in parts]),
        parts[0].members,
        sum(part.forward_passes * len(part.log_probs) for part in parts) / examples,
        cat([part.member_log_probs for part in parts]),
        cat([part.member_entropy for part in parts]),
        cat([part.votes for part in parts]),
        exhaustive=parts[0].exhaustive,
    )
