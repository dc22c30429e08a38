"""Arms of a comparison, trained over the same seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from dropout_lessons import runtime
from dropout_lessons.arguments import is_count
from dropout_lessons.datasets import Dataset
from dropout_lessons.ensembles.fitting import fit_ensemble
from dropout_lessons.training import History, Recipe
from dropout_lessons.training.objective import Loss, Said

Value = TypeVar("Value")


@dataclass(frozen=True)
class Arm:
    """One way to train a network.

    Attributes:
        make: Makes an untrained network, its initial weights from the generator.
        recipe: How it is trained; its seed is replaced by that of each run.
        shuffle_labels: Whether the training labels are permuted, so that there is nothing to learn but the examples by heart.

    Example:
        >>> from dropout_lessons import MLP
        >>> arm = Arm(lambda generator: MLP([64, 32, 10], generator=generator), Recipe(weight_decay=1e-3))
        >>> arm.make(torch.Generator().manual_seed(0)).sizes
        (64, 32, 10)
    """

    make: Callable[[torch.Generator], nn.Module]
    recipe: Recipe = dataclasses.field(default_factory=Recipe)
    shuffle_labels: bool = False

    def at(self, seed: int, data: Dataset) -> tuple[nn.Module, Dataset, Recipe]:
        """The untrained network, the data and the recipe of one seed."""
        if self.shuffle_labels:
            order = torch.randperm(len(data.train.y), generator=runtime.generator(seed, stream="labels"))
            shuffled = data.train._replace(y=data.train.y[order.to(data.train.y.device)])
            data = dataclasses.replace(data, train=shuffled)
        network = self.make(runtime.generator(seed))
        return network, data, dataclasses.replace(self.recipe, seed=seed)


def train_arms(
    arms: Mapping[str, Arm],
    data: Dataset | Callable[[int], Dataset],
    *,
    seeds: Sequence[int],
    outputs: Said = "logits",
    loss: Loss | None = None,
    evaluate_every: int | None = None,
    progress: bool = True,
) -> tuple[dict[str, list[nn.Module]], dict[str, list[History]]]:
    """Train a network of each arm at each seed, all in one :func:`fit_ensemble`, so that arms can be compared seed by seed.

    At one seed all arms have the same data, the same initial weights where their networks draw them alike, and the same order
    of examples.

    Args:
        arms: For each name how a network is made and trained.
        data: One data set, or what makes one from a seed.
        seeds: What is paired; different whole numbers from 0.
        outputs: As in :func:`~dropout_lessons.training.fit`.
        loss: As in ``fit``.
        evaluate_every: As in ``fit``.
        progress: Whether to show a bar.

    Returns:
        The trained networks and their histories, for each arm in the order of the seeds.

    Raises:
        ValueError: As in ``fit``; if there is no arm, or seeds are none or not different whole numbers.

    Example:
        >>> from dropout_lessons import MLP, datasets
        >>> def arm(keep_prob):
        ...     make = lambda generator: MLP([64, 32, 10], keep_prob=keep_prob, generator=generator)
        ...     return Arm(make, Recipe(epochs=5))
        >>> digits = lambda seed: datasets.load("digits", train=200, seed=seed)
        >>> networks, histories = train_arms({"plain": arm(1.0), "dropout": arm(0.5)}, digits, seeds=range(3))
        >>> len(networks["dropout"]), histories["plain"][0].epoch
        (3, [5])
    """
    chosen = checked_seeds(seeds)
    for name, arm in arms.items():
        if not isinstance(arm, Arm):
            raise ValueError(f"arms[{name!r}] must be an Arm, got {type(arm).__name__}; Arm(make, recipe) makes one")
    if not arms:
        raise ValueError("arms must name at least one arm, got none")
    by_seed = {seed: data if isinstance(data, Dataset) else data(seed) for seed in chosen}
    runs = [arm.at(seed, own) for arm in arms.values() for seed, own in by_seed.items()]
    networks, examples, recipes = (list(each) for each in zip(*runs, strict=True))
    histories = fit_ensemble(
        networks, examples, recipes, outputs=outputs, loss=loss, evaluate_every=evaluate_every, progress=progress
    )

    def of_each_arm(values: Sequence[Value]) -> dict[str, list[Value]]:
        n = len(chosen)
        return {name: list(values[i * n : (i + 1) * n]) for i, name in enumerate(arms)}

    return of_each_arm(networks), of_each_arm(histories)


def checked_seeds(seeds: Sequence[int]) -> tuple[int, ...]:
    """Return the seeds of a comparison, or say what is wrong with them."""
    chosen = tuple(seeds)
    if not chosen or len(set(chosen)) < len(chosen) or not all(map(is_count, chosen)):
        raise ValueError(f"seeds must be different whole numbers from 0, at least one, got {list(chosen)}")
    return chosen
