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

_PENALTIES = {"L2": "weight_decay", "L1": "l1", "max-norm": "max_norm"}
_NO_PENALTY: dict[str, Any] = {"weight_decay": 0.0, "l1": 0.0, "max_norm": None}


def standard_arms(
    sizes: Sequence[int],
    recipe: Recipe | None = None,
    *,
    keep_prob: float = 0.5,
    input_keep_prob: float = 0.8,
) -> dict[str, Arm]:
    """The arms that claims about dropout are tested on, of one width: what the paper compares, and two controls.

    They are ``"plain"``; ``"L2"``, ``"L1"`` and ``"max-norm"``, each if the recipe has it; ``"dropout"``;
    ``"Gaussian dropout"`` with noise of the same moments; and ``"shuffled labels"``, a plain network that can only memorize.

    Args:
        sizes: Those of an :class:`~dropout_lessons.networks.MLP`.
        recipe: What the arms have in common, and the strength of each penalty, which is its own arm's alone; tune it on
            validation data. The course's default, without penalties, when None.
        keep_prob: Of the hidden units, for both kinds of dropout.
        input_keep_prob: Of the inputs, for both kinds of dropout.

    Example:
        >>> arms = standard_arms([784, 256, 256, 10], Recipe(weight_decay=1e-4, l1=1e-5, max_norm=1.0))
        >>> list(arms)
        ['plain', 'L2', 'L1', 'max-norm', 'dropout', 'Gaussian dropout', 'shuffled labels']
        >>> arms["L1"].recipe.weight_decay, arms["L1"].recipe.l1
        (0.0, 1e-05)

    Source: Srivastava et al. 2014, Tables 9 and 10; Zhang et al. 2017 for shuffled labels.
    """
    recipe = Recipe() if recipe is None else recipe
    common = dataclasses.replace(recipe, **_NO_PENALTY)
    plain = partial(_mlp, tuple(sizes), {})
    dropped: dict[str, Any] = {"keep_prob": keep_prob, "input_keep_prob": input_keep_prob}
    given = {name: (field, getattr(recipe, field)) for name, field in _PENALTIES.items()}
    penalized = {
        name: Arm(plain, dataclasses.replace(common, **{field: strength}))
        for name, (field, strength) in given.items()
        if strength
    }
    return {
        "plain": Arm(plain, common),
        **penalized,
        "dropout": Arm(partial(_mlp, tuple(sizes), dropped), common),
        "Gaussian dropout": Arm(partial(_mlp, tuple(sizes), {**dropped, "dropout": GaussianDropout}), common),
        "shuffled labels": Arm(plain, common, shuffle_labels=True),
    }


def _mlp(sizes: Sequence[int], settings: dict[str, Any], generator: torch.Generator) -> MLP:
    return MLP(sizes, generator=generator, **settings)
