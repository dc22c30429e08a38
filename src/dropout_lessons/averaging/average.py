"""What a rule of averaging predicts, and the sums behind it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dropout_lessons.running import Outputs

Rule = Literal["arithmetic", "geometric"]

# Doubles below lose digits from 2e-308 on.
_SMALL = 1e-290


def check_rule(rule: Rule, outputs: Outputs) -> Rule:
    if rule not in get_args(Rule):
        raise ValueError(
            'rule must be "arithmetic" (mean of probabilities) or "geometric" (normalized mean of log-probabilities), '
            f"got {rule!r}"
        )
    if rule == "geometric" and outputs.is_regression:
        raise ValueError(f'rule="geometric" averages log-probabilities, and {outputs.kind} have none; use "arithmetic"')
    return rule


@dataclass(frozen=True, eq=False)
class Average:
    r"""What an average of networks predicts, and how its members differ.

    Attributes:
        log_probs: Log-probabilities of the average, in nats and double precision; their exponentials sum to 1. Between the
            examples and the classes stand positions, where a network predicts a class for each pixel or token.
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

    log_probs: Float[Tensor, "examples ... classes"]
    members: int
    forward_passes: float
    member_log_probs: Float[Tensor, "examples ... classes"] | None = None
    member_entropy: Float[Tensor, "examples ..."] | None = None
    votes: Float[Tensor, "examples ... classes"] | None = None
    exhaustive: bool = False

    @property
    def probs(self) -> Float[Tensor, "examples ... classes"]:
        """Probabilities of the average."""
        return self.log_probs.exp()

    @property
    def entropy(self) -> Float[Tensor, "examples ..."]:
        r"""Entropy of the average, :math:`-\sum_k p_k \log p_k`, in nats."""
        entropy: Tensor = torch.special.entr(self.probs).sum(dim=-1)
        return entropy

    @property
    def mutual_information(self) -> Float[Tensor, "examples ..."] | None:
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
        chance = 1 - self.votes.square().sum(dim=-1).mean().item()
        chance = chance if self.exhaustive else chance * self.members / (self.members - 1)
        return max(0.0, chance)


@dataclass(frozen=True, eq=False)
class ValueAverage:
    r"""What an average of regression networks predicts, and where its variance comes from.

    With :math:`\mu_m` and :math:`\sigma_m^2` what member :math:`m` predicts,

    .. math:: \operatorname{Var} y = \underbrace{\mathbb E_m \sigma_m^2}_{\text{within}}
              + \underbrace{\operatorname{Var}_m \mu_m}_{\text{between}}.

    Attributes:
        mean: Mean of the members' predictions, in double precision.
        between: Variance of the members' predictions, in squared units: unbiased where members were drawn, NaN for one that was.
        members: Number of networks that were averaged.
        forward_passes: Multiply-adds spent on each example, in units of one full forward pass of the network.
        within: Mean of the variances that the members predict; None where they predict none.
        exhaustive: Whether the members are all there are, rather than a sample of them.

    Example:
        >>> from dropout_lessons.averaging import exact_average
        >>> from dropout_lessons.networks import MLP
        >>> from dropout_lessons.running import MaskedNetwork
        >>> network = MLP([4, 8, 1], keep_prob=0.5, generator=torch.Generator().manual_seed(0))
        >>> average = exact_average(MaskedNetwork(network, outputs="values"), torch.ones(2, 4), progress=False)
        >>> average.members, average.variance.shape, bool((average.between > 0).all())
        (256, torch.Size([2, 1]), True)

    Source: the law of total variance; Lakshminarayanan et al. 2017 for networks that predict a mean and a variance.
    """

    mean: Float[Tensor, "examples ..."]
    between: Float[Tensor, "examples ..."]
    members: int
    forward_passes: float
    within: Float[Tensor, "examples ..."] | None = None
    exhaustive: bool = False

    @property
    def variance(self) -> Float[Tensor, "examples ..."]:
        """Within members plus between them."""
        return self.between if self.within is None else self.within + self.between


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

    def add(self, predictions: Tensor, outputs: Outputs, log_weights: Float[Tensor, " members"] | None = None) -> None:
        """Take in what some members predict, members first; without weights each weighs 1."""
        log_probs = outputs.log_probs(predictions)
        if len(log_probs) == 1 and log_weights is None:  # a single member is its own mean
            (own,) = log_probs
            own = own.contiguous()
            entropy = -(own.exp() * own.clamp_min(-1e4)).sum(-1)
            votes = torch.zeros_like(own).scatter_(-1, predictions[0].argmax(-1, keepdim=True), 1.0)
            self.add_sums(own, own, 0.0, entropy=entropy, votes=votes)
            return
        log_probs = log_probs.movedim(-1, 0)  # (classes, members, examples, ...), as in memory
        shape = log_probs.shape[2:]
        log_probs = log_probs.flatten(2)
        if log_weights is None:
            log_weights = log_probs.new_zeros(log_probs.shape[1])
        log_weight = log_weights.logsumexp(0).item()
        share = (log_weights - log_weight).exp()
        probs = log_probs.exp()

        def arranged(values: Tensor) -> Tensor:
            return values.T.reshape(*shape, -1).contiguous()

        mean = share @ probs
        log_sum = mean.log() + log_weight
        if not bool((mean > _SMALL).all()):  # the probabilities lose digits or vanish, and their logarithms do not
            log_sum = (log_weights.unsqueeze(1) + log_probs).logsumexp(1)
        # Where the probability underflows to 0, so does its product with the logarithm, once this is finite.
        entropy = -(share @ (probs * log_probs.clamp_min(-1e4)).sum(dim=0)).view(shape)
        chosen = predictions.argmax(dim=-1).flatten(1)
        votes = torch.zeros_like(mean).scatter_add_(0, chosen, share.unsqueeze(1).expand_as(chosen))
        mean_log = share @ log_probs
        self.add_sums(arranged(log_sum), arranged(mean_log), log_weight, entropy=entropy, votes=arranged(votes))

    def add_sums(
        self,
        log_sum: Float[Tensor, "examples ... classes"],
        mean_log: Float[Tensor, "examples ... classes"],
        log_weight: float,
        *,
        entropy: Float[Tensor, "examples ..."] | None = None,
        votes: Float[Tensor, "examples ... classes"] | None = None,
    ) -> None:
        """Take in sums over members: log of the weighted sum of probabilities, weighted means, log of the weight."""
        if self._log_sum is None:
            self._log_sum, self._mean_log, self._entropy, self._votes = log_sum, mean_log, entropy, votes
            self._log_weight = log_weight
            return
        total = float(np.logaddexp(self._log_weight, log_weight))
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
            log_probs = self._log_sum.log_softmax(dim=-1)
        else:
            if bool((self._mean_log == -math.inf).all(dim=-1).any()):
                raise ValueError(
                    'rule="geometric" has no value where each class is given probability 0 by some member; '
                    'use rule="arithmetic"'
                )
            log_probs = self._mean_log.log_softmax(dim=-1)
        return Average(
            log_probs, members, forward_passes, self._mean_log, self._entropy, self._votes, exhaustive=exhaustive
        )


class ValueSums:
    """Weighted sums over members of what they predict, taken chunk by chunk around a running mean."""

    def __init__(self) -> None:
        self._weight = 0.0
        self._mean: Tensor | None = None
        self._squares: Tensor | None = None  # weighted, around the mean
        self._within: Tensor | None = None  # weighted

    def add(self, predictions: Tensor, outputs: Outputs, log_weights: Float[Tensor, " members"] | None = None) -> None:
        """Take in what some members predict, members first; without weights each weighs 1."""
        predictions = predictions.detach().double()
        if not bool(predictions.isfinite().all()):
            raise ValueError(
                f"network returned {outputs.kind} that are NaN or infinite, for some mask if not for all units"
            )
        weights = predictions.new_ones(len(predictions)) if log_weights is None else log_weights.exp()
        weight = weights.sum().item()
        if outputs.kind == "mean_and_variance":
            within = torch.tensordot(weights, predictions[..., 1], dims=1)
            self._within = within if self._within is None else self._within + within
            predictions = predictions[..., 0]
        mean = torch.tensordot(weights, predictions, dims=1) / weight
        squares = torch.tensordot(weights, (predictions - mean).square(), dims=1)
        if self._mean is None or self._squares is None:
            self._mean, self._squares, self._weight = mean, squares, weight
            return
        total = self._weight + weight
        step = mean - self._mean
        self._squares = self._squares + squares + step.square() * (self._weight * weight / total)
        self._mean = self._mean + step * (weight / total)
        self._weight = total

    def average(self, rule: Rule, members: int, forward_passes: float, *, exhaustive: bool = False) -> ValueAverage:
        """The average of the members so far."""
        assert self._mean is not None
        assert self._squares is not None
        left = self._weight - (not exhaustive)  # drawn members lose one degree of freedom to their mean
        between = self._squares / left if left > 0 else torch.full_like(self._squares, math.nan)
        within = None if self._within is None else self._within / self._weight
        return ValueAverage(self._mean, between, members, forward_passes, within, exhaustive=exhaustive)


def sums_of(outputs: Outputs) -> Sums | ValueSums:
    """Empty sums, of probabilities or of values."""
    return ValueSums() if outputs.is_regression else Sums()


def joined(parts: Sequence[Any]) -> Any:
    """One average of all examples from those of blocks of them."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    examples = [len(part.mean if isinstance(part, ValueAverage) else part.log_probs) for part in parts]
    passes = sum(part.forward_passes * n for part, n in zip(parts, examples, strict=True)) / sum(examples)
    whole: dict[str, Any] = {"forward_passes": passes}
    for field in dataclasses.fields(first):
        values = [getattr(part, field.name) for part in parts]
        if any(isinstance(value, Tensor) for value in values):
            # What one part lacks, as a factorized sum does, all lack.
            whole[field.name] = None if any(value is None for value in values) else torch.cat(values)
    return dataclasses.replace(first, **whole)
