"""Weight scaling, and the average of separately trained networks."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from dropout_lessons.averaging.average import Average, Rule, Sums, check_rule
from dropout_lessons.averaging.members import plain_output
from dropout_lessons.averaging.outputs import Outputs, to_log_probs


def weight_scaling(network: nn.Module, x: Float[Tensor, "examples ..."], *, outputs: Outputs = "logits") -> Average:
    r"""Predict with the network in evaluation mode: all units, their outputs scaled by :math:`p`.

    .. math:: p(k \mid x) = \mathrm{softmax}_k\big(W (p \, h) + b\big)

    It is one forward pass. For masks just below a softmax it equals the geometric mean of all subnetworks, and for an
    affine network's outputs the arithmetic one; elsewhere it approximates them. Dropout that a network applies in
    evaluation mode too is switched off.

    Args:
        network: Any module that returns ``(examples, classes)``.
        x: The network's input, examples first.
        outputs: What the network returns: ``"logits"``, ``"log_probs"`` or ``"probs"``.

    Returns:
        The average; it has no members to disagree.

    Raises:
        ValueError: If the network's output is not what ``outputs`` says.

    Example:
        >>> import torch
        >>> from dropout_lessons.networks import MLP
        >>> weight_scaling(MLP([4, 8, 3], keep_prob=0.5), torch.ones(2, 4)).log_probs.shape
        torch.Size([2, 3])

    Source: Srivastava et al. 2014, Section 4 and Figure 2.
    """
    return Average(to_log_probs(plain_output(network, x, outputs), outputs), members=1, forward_passes=1.0)


def ensemble_average(
    networks: Sequence[nn.Module],
    x: Float[Tensor, "examples ..."],
    *,
    rule: Rule = "arithmetic",
    outputs: Outputs = "logits",
) -> Average:
    r"""Average the predictions of separate networks, each in evaluation mode.

    .. math:: p(k \mid x) = \frac{1}{K} \sum_{i=1}^K p_i(k \mid x)
              \quad\text{or}\quad \propto \exp \frac{1}{K} \sum_{i=1}^K \log p_i(k \mid x)

    Args:
        networks: The members; their classes are the same.
        x: The input of every network, examples first.
        rule: ``"arithmetic"`` averages probabilities, ``"geometric"`` log-probabilities, then normalizes.
        outputs: What each network returns: ``"logits"``, ``"log_probs"`` or ``"probs"``.

    Raises:
        ValueError: If there is no network, or their outputs are not what ``outputs`` says or do not fit each other.

    Example:
        >>> import torch
        >>> from dropout_lessons.networks import MLP
        >>> networks = [MLP([4, 8, 3]) for _ in range(5)]
        >>> ensemble_average(networks, torch.ones(2, 4)).members
        5

    Source: Lakshminarayanan et al. 2017, for the arithmetic rule.
    """
    check_rule(rule)
    sums = Sums()
    shapes = set()
    for network in networks:
        log_probs = to_log_probs(plain_output(network, x, outputs), outputs)
        shapes.add(tuple(log_probs.shape))
        if len(shapes) > 1:
            raise ValueError(f"networks must predict the same classes, got outputs of shapes {sorted(shapes)}")
        sums.add(log_probs.unsqueeze(0))
    if not shapes:
        raise ValueError("networks must have at least one network, got none")
    return sums.average(rule, len(networks), float(len(networks)))
