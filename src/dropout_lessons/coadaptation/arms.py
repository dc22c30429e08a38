"""The arms of a study: what is trained, and how. The paper's comparison, with the controls that an honest one needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from dropout_lessons.ensembles import Arm
from dropout_lessons.layers import GaussianDropout
from dropout_lessons.networks import MLP
from dropout_lessons.training import Recipe


def standard_arms(
    sizes: Sequence[int],
    *,
    weight_decay: float | None = None,
    l1: float | None = None,
    max_norm: float | None = None,
    keep_prob: float = 0.5,
    input_keep_prob: float = 0.8,
    recipe: Recipe | None = None,
) -> dict[str, Arm]:
    """The arms that claims about dropout are tested on, of one width: what the paper compares, and two controls.

    They are ``"plain"``; ``"L2"``, ``"L1"`` and ``"max-norm"``, each if its strength is given; ``"dropout"``;
    ``"Gaussian dropout"`` with noise of the same moments; and ``"shuffled labels"``, a plain network that can only memorize.

    Args:
        sizes: Those of an :class:`~dropout_lessons.networks.MLP`.
        weight_decay: Strength of the L2 penalty; None for no such arm. Tune it, and the two that follow, on validation data.
        l1: Strength of the L1 penalty.
        max_norm: Largest norm of a unit's incoming weights.
        keep_prob: Of the hidden units, for both kinds of dropout.
        input_keep_prob: Of the inputs, for both kinds of dropout.
        recipe: What the arms have in common; the course's default when None.

    Example:
        >>> arms = standard_arms([784, 256, 256, 10], weight_decay=1e-4, l1=1e-5, max_norm=1.0)
        >>> list(arms)
        ['plain', 'L2', 'L1', 'max-norm', 'dropout', 'Gaussian dropout', 'shuffled labels']

    Source: Srivastava et al. 2014, Tables 9 and 10; Zhang et al. 2017 for shuffled labels.
    """
    recipe = Recipe() if recipe is None else recipe
    plain = partial(_mlp, tuple(sizes), {})
    dropped: dict[str, Any] = {"keep_prob": keep_prob, "input_keep_prob": input_keep_prob}
    penalties = {"L2": {"weight_decay": weight_decay}, "L1": {"l1": l1}, "max-norm": {"max_norm": max_norm}}
    penalized: dict[str, Any] = {name: own for name, own in penalties.items() if None not in own.values()}
    return {
        "plain": Arm(plain, recipe),
        **{name: Arm(plain, dataclasses.replace(recipe, **own)) for name, own in penalized.items()},
        "dropout": Arm(partial(_mlp, tuple(sizes), dropped), recipe),
        "Gaussian dropout": Arm(partial(_mlp, tuple(sizes), {**dropped, "dropout": GaussianDropout}), recipe),
        "shuffled labels": Arm(plain, recipe, shuffle_labels=True),
    }


def _mlp(sizes: Sequence[int], settings: dict[str, Any], generator: torch.Generator) -> MLP:
    return MLP(sizes, generator=generator, **settings)
