"""What a layer's absent units cost on average, and the keep probability at which they cost a given amount."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from dropout_lessons.arguments import check_count, check_keep_prob, check_number, own_generator
from dropout_lessons.coadaptation.estimate import Estimate, standard_error
from dropout_lessons.coadaptation.units import LayerUnits, check_asked

# Halvings of an interval of length 1: to about 1e-4, far below the error of drawing.
_HALVINGS = 13


def mean_damage(
    units: LayerUnits, keep_prob: float = 0.5, *, samples: int = 256, generator: torch.Generator | None = None
) -> Estimate:
    r"""What it costs, on average, to keep each unit of a layer with some probability.

    .. math:: \mathbb E_S \big[v(\text{all}) - v(S)\big]

    with :math:`v` the log-probability of the label (for regression, minus the squared error), :math:`S` with each unit with
    probability ``keep_prob``, and nothing rescaled. The examples share the masks.

    Args:
        units: The units, on their examples.
        keep_prob: Probability that a unit is present.
        samples: Number of masks.
        generator: Source of the masks. When None, a copy of PyTorch's global generator, which stays as it is.

    Returns:
        The damage, mean over examples, in nats (for regression in squared units).

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> from dropout_lessons.networks import MLP
        >>> float(mean_damage(LayerUnits(MLP([4, 8, 3]), "hidden1", torch.randn(20, 4)), keep_prob=1.0))
        0.0
    """
    check_keep_prob(keep_prob)
    return _damage(units, _keys(units, samples, generator), keep_prob)


def keep_prob_for_damage(
    units: LayerUnits, damage: float, *, samples: int = 256, generator: torch.Generator | None = None
) -> float:
    r"""Keep probability at which a layer's absent units cost a given amount, so that networks are compared at equal damage.

    The same masks cost one network more than another, and what costs more is less of a sum of its parts: a measure such as
    :func:`interaction_share` at one keep probability compares networks that are hurt by different amounts. This function solves
    :math:`\mathbb E_S[v(\text{all}) - v(S)] = d` by halving intervals, with the same random numbers for all keep probabilities.

    Args:
        units: The units, on their examples.
        damage: :math:`d > 0`, in nats (for regression in squared units).
        samples: Number of masks.
        generator: Source of the masks. When None, a copy of PyTorch's global generator, which stays as it is.

    Raises:
        ValueError: If an argument is out of range, or the layer's absence costs less than ``damage``.

    Example:
        >>> from dropout_lessons.networks import MLP
        >>> network = MLP([4, 8, 3], generator=torch.Generator().manual_seed(0))
        >>> keep_prob = keep_prob_for_damage(LayerUnits(network, "hidden1", torch.eye(4)), damage=0.01)
        >>> 0 < keep_prob < 1
        True
    """
    check_number("damage", damage, "a positive number of nats", above=0)
    keys = _keys(units, samples, generator)
    low, high = 0.0, 1.0  # at keep probability 1 the damage is 0
    most = _damage(units, keys, low).value
    if most <= damage:
        raise ValueError(
            f"damage must be less than what the network loses without any unit of {units.layer.name!r}, {most:.3g}, got {damage}"
        )
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _damage(units, keys, middle).value > damage:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _keys(units: LayerUnits, samples: int, generator: torch.Generator | None) -> Float[Tensor, "samples units"]:
    """A unit is present at every keep probability above its key."""
    check_asked(units, generator)
    check_count("samples", samples, at_least=2)
    generator = own_generator(generator)
    keys = torch.rand(samples, units.n_units, generator=generator, device=generator.device, dtype=torch.float64)
    return keys.to(units.device)


def _damage(units: LayerUnits, keys: Float[Tensor, "samples units"], keep_prob: float) -> Estimate:
    damage = (units.intact_values() - units.values(keys < keep_prob)).mean(1)
    return Estimate(damage.mean().item(), standard_error(damage), len(keys))
