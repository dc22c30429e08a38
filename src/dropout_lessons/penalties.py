"""What the paper compares dropout with: the L1 and L2 penalties and the max-norm constraint.

They act on weight matrices and convolution kernels, never on biases or normalization parameters.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dropout_lessons.arguments import check_kind, check_number

__all__ = ["l1_penalty", "l2_penalty", "max_norm_", "weights"]


def weights(network: nn.Module, *, frozen: bool = False) -> Iterator[nn.Parameter]:
    """Iterate over the parameters that penalties act on: trained ones with two or more axes, output units first.

    Transposed convolutions have their input channels first, and are not supported.

    Args:
        network: Any module.
        frozen: Whether weights that are not trained count, too.

    Example:
        >>> [tuple(weight.shape) for weight in weights(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)))]
        [(2, 3)]
    """
    found: dict[int, nn.Parameter] = {}  # by identity: a shared weight counts once
    check_kind("network", network, nn.Module, "give the network itself")
    for module in network.modules():
        if isinstance(module, nn.LayerNorm):
            continue
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.dim() >= 2 and (parameter.requires_grad or frozen) and "bias" not in name:
                found[id(parameter)] = parameter
    return iter(found.values())


def l1_penalty(network: nn.Module) -> Float[Tensor, ""]:
    r"""Sum of absolute weights, :math:`\sum |w|`, differentiable.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> _ = nn.init.constant_(layer.weight, -3.0)
        >>> l1_penalty(layer).item()
        6.0

    Source: Srivastava et al. 2014, Table 9.
    """
    return sum((weight.abs().sum() for weight in weights(network)), torch.zeros(()))


def l2_penalty(network: nn.Module) -> Float[Tensor, ""]:
    r"""Half the sum of squared weights, :math:`\tfrac12 \sum w^2`, whose gradient is weight decay.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> _ = nn.init.constant_(layer.weight, -3.0)
        >>> l2_penalty(layer).item()
        9.0

    Source: Srivastava et al. 2014, Table 9.
    """
    return 0.5 * sum((weight.square().sum() for weight in weights(network)), torch.zeros(()))


@torch.no_grad()
def max_norm_(network: nn.Module, limit: float) -> None:
    r"""Project, in place, each unit's incoming weight vector onto the ball of radius :math:`c`.

    .. math:: w \leftarrow w \min(1, c / \lVert w \rVert_2)

    Args:
        network: Any module; a unit is an output of a linear layer or a channel of a convolution.
        limit: Radius :math:`c > 0`; the paper uses 3 to 4.

    Raises:
        ValueError: If ``limit`` is not positive.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> _ = layer.weight.data.copy_(torch.tensor([[3.0, 4.0]]))
        >>> max_norm_(layer, limit=1.0)
        >>> layer.weight.tolist()
        [[0.6000000238418579, 0.800000011920929]]

    Source: Srivastava et al. 2014, Section 5.1.
    """
    check_number("limit", limit, "a positive number, in the paper 3 to 4", above=0)
    for weight in weights(network):
        norm = weight.flatten(1).norm(dim=1)
        # An all-zero vector has scale limit / 0 = inf, which the clamp turns into 1.
        weight.mul_((limit / norm).clamp(max=1.0).view(-1, *(1,) * (weight.dim() - 1)))
