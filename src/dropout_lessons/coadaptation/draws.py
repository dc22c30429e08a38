"""Random draws, and the error that they leave."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dropout_lessons.masks import own_generator


def random_ranks(orders: int, n_units: int, generator: torch.Generator | None) -> Int[Tensor, "orders units"]:
    """The place of each unit in some random orders."""
    generator = own_generator(generator)
    keys = torch.rand(orders, n_units, generator=generator, device=generator.device, dtype=torch.float64).cpu()
    return keys.argsort(dim=1).argsort(dim=1)


def standard_error(values: Float[Tensor, " draws"]) -> float:
    """Of the mean of independent draws; NaN for a single one, which does not tell."""
    return values.std().item() / math.sqrt(len(values)) if len(values) > 1 else math.nan
