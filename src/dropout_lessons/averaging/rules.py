"""Weight scaling, and the average of separately trained networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from dropout_lessons.averaging.average import Average, Rule, check_rule, joined, sums_of
from dropout_lessons.running import MaskedNetwork
from dropout_lessons.running.examples import batches
from dropout_lessons.running.masked import as_masked
from dropout_lessons.running.outputs import Examples


def weight_scaling(network: nn.Module | MaskedNetwork, x: Examples) -> Average | Any:
    r"""Predict with the network in evaluation mode: all units, their outputs scaled by :math:`p`.

    .. math:: p(k \mid x) = \mathrm{softmax}_k\big(W (p \, h) + b\big)

    It is one forward pass. For masks just below a softmax it equals the geometric mean of all subnetworks, and for an
    affine network's outputs the arithmetic one; elsewhere it approximates them. Dropout that a network applies in
    evaluation mode too is switched off.

    Args:
        network: Any module that predicts classes or values, or a ``MaskedNetwork`` with more to say about it.
        x: What the network is given: a tensor with the examples first, a tuple of them by position, a mapping of them by
            keyword, or a ``DataLoader``.

    Returns:
        An :class:`Average`, or of a regression a :class:`ValueAverage`; it has no members to disagree.

    Raises:
        ValueError: If the network cannot be run on ``x``, or does not return what is said of it.

    Example:
        >>> import torch
        >>> from dropout_lessons.networks import MLP
        >>> weight_scaling(MLP([4, 8, 3], keep_prob=0.5), torch.ones(2, 4)).log_probs.shape
        torch.Size([2, 3])

    Source: Srivastava et al. 2014, Section 4 and Figure 2.
    """
    masked = as_masked(network)
    outputs = masked.says
    parts: list[Any] = []
    for batch, _ in batches(x):
        output = masked.predict(batch)
        if not outputs.is_regression:
            parts.append(Average(outputs.log_probs(output), members=1, forward_passes=1.0))
            continue
        sums = sums_of(outputs)
        sums.add(output.unsqueeze(0), outputs)
        parts.append(sums.average("arithmetic", 1, 1.0, exhaustive=True))
    return joined(parts)


def ensemble_average(
    networks: Sequence[nn.Module | MaskedNetwork], x: Examples, *, rule: Rule = "arithmetic"
) -> Average | Any:
    r"""Average the predictions of separate networks, each in evaluation mode.

    .. math:: p(k \mid x) = \frac{1}{K} \sum_{i=1}^K p_i(k \mid x)
              \quad\text{or}\quad \propto \exp \frac{1}{K} \sum_{i=1}^K \log p_i(k \mid x)

    Args:
        networks: The members, modules or ``MaskedNetwork``; their classes are the same.
        x: What every network is given, as in :func:`weight_scaling`.
        rule: ``"arithmetic"`` averages probabilities, ``"geometric"`` log-probabilities, then normalizes.

    Raises:
        ValueError: If there is no network, or their outputs are not what is said of them or do not fit each other.

    Example:
        >>> import torch
        >>> from dropout_lessons.networks import MLP
        >>> networks = [MLP([4, 8, 3]) for _ in range(5)]
        >>> ensemble_average(networks, torch.ones(2, 4)).members
        5

    Source: Lakshminarayanan et al. 2017, for the arithmetic rule.
    """
    given: Any = networks
    if isinstance(given, (nn.Module, MaskedNetwork)) and not isinstance(given, nn.ModuleList):
        raise ValueError(
            f"networks must be a sequence of networks, got one, of type {type(given).__name__}; write [network], or "
            "weight_scaling(network, x)"
        )
    members = [as_masked(network) for network in networks]
    if not members:
        raise ValueError("networks must have at least one network, got none")
    outputs = members[0].says
    check_rule(rule, outputs)
    parts = []
    for batch, _ in batches(x):
        sums = sums_of(outputs)
        shapes: set[tuple[int, ...]] = set()
        device = None
        for member in members:
            output: Float[Tensor, "examples *positions classes"] = member.predict(batch)
            device = device or output.device
            shapes.add(tuple(output.shape))
            if len(shapes) > 1:
                raise ValueError(f"networks must predict the same classes, got outputs of shapes {sorted(shapes)}")
            sums.add(output.unsqueeze(0).to(device), member.says)
        parts.append(sums.average(rule, len(members), float(len(members))))
    return joined(parts)
