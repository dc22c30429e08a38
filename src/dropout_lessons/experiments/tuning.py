"""Fair tuning: arms of networks whose candidates are judged by validation error on seeds that are never reported."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dropout_lessons import datasets, runtime
from dropout_lessons.datasets import Dataset
from dropout_lessons.ensembles import fit_ensemble
from dropout_lessons.experiments.arms import Arm, Candidate, Row, Unit
from dropout_lessons.networks import MLP, evaluating
from dropout_lessons.training import History, Recipe, evaluate, fit

__all__ = [
    "OF_NETWORK",
    "candidates_of",
    "fit_candidates",
    "logits_of",
    "recipe_of",
    "rows_of",
    "train",
    "train_each",
    "train_together",
    "tuned",
]

#: What of a candidate belongs to the network; the rest is the recipe's.
OF_NETWORK = ("keep_prob", "input_keep_prob", "conv_keep_prob")
_OF_RECIPE = frozenset(item.name for item in fields(Recipe)) - {"seed"}


def tuned(
    settings: Mapping[str, Any],
    candidates: Sequence[Candidate],
    seeds: int,
    *,
    weights: float | None = None,
    **options: Any,
) -> Arm:
    """An arm whose units ``train`` computes: networks on the examples and by the recipe that the settings name.

    Args:
        settings: What the units of this arm share, by name; its scalars tell it from other arms.
        candidates: What is chosen from.
        seeds: Number of seeds that are reported, from 0 on.
        weights: Multiplications in a forward pass of one example, which tell the work; when None, those of an MLP of ``sizes``.
        options: Of :class:`~dropout_lessons.experiments.Arm`.

    Example:
        >>> settings = {"arm": "plain", "data": "digits", "train": 200, "sizes": [64, 16, 10], "recipe": {"epochs": 2}}
        >>> arm = tuned(settings, [{"learning_rate": 0.01}, {"learning_rate": 0.1}], seeds=5)
        >>> [(unit["stage"], unit.seed) for unit in arm.tuning()]
        [('tuning', 1000), ('tuning', 1001)]
    """
    if weights is None:
        weights = sum(inputs * outputs for inputs, outputs in itertools.pairwise(settings["sizes"]))
    size = settings["train"] * weights

    def work(candidate: Candidate) -> float:
        return float(size * recipe_of(settings, candidate, 0).epochs)

    return Arm(settings, range(seeds), candidates, work=work, **options)


def recipe_of(settings: Mapping[str, Any], candidate: Candidate, seed: int) -> Recipe:
    """The recipe of a candidate: the one its arm shares, and what the candidate changes of it."""
    changes = {name: value for name, value in {**settings, **candidate}.items() if name in _OF_RECIPE}
    return Recipe(**{**settings["recipe"], **changes}, seed=seed)


def candidates_of(unit: Unit) -> Sequence[Candidate]:
    """What a unit trains: its candidates, or the one whose fields are its settings."""
    found: Sequence[Candidate] = unit.settings.get("candidates", [{}])
    return found


def fit_candidates(
    unit: Unit,
    device: torch.device,
    *,
    data: Dataset | None = None,
    evaluate_every: int | None = None,
    **network: Any,
) -> tuple[Dataset, list[MLP], list[History]]:
    """Train a unit's candidates side by side, from the same data, initial weights and order of examples.

    Args:
        unit: With the settings ``data``, ``train``, ``sizes`` and ``recipe``, perhaps ``candidates``, ``label_noise``,
            ``keep_prob`` and ``input_keep_prob``, and fields of ``Recipe``, which come before those of ``recipe``.
        device: Where to train.
        data: What to train on; when None, what the settings name.
        evaluate_every: Epochs between two entries of the histories; only the last epoch when None.
        network: Further arguments of :class:`~dropout_lessons.networks.MLP`.

    Example:
        >>> recipe = {"epochs": 2, "batch_size": 50}
        >>> settings = {"data": "digits", "train": 200, "sizes": [64, 16, 10], "recipe": recipe, "candidates": [{}, {"l1": 0.1}]}
        >>> data, networks, histories = fit_candidates(Unit(settings, seed=0), torch.device("cpu"))
        >>> histories[0].epoch
        [2]
    """
    data, networks, recipes = _untrained(unit, device, data, network)
    histories = fit_ensemble(
        networks,
        data,
        recipes,
        outputs=_kind(data),
        evaluate_every=evaluate_every,
        stop_on_divergence=not unit.tunes,
        progress=False,
    )
    return data, networks, histories


def _examples(unit: Unit) -> Dataset:
    label_noise = unit.settings.get("label_noise", 0.0)
    return datasets.load(unit["data"], train=unit["train"], seed=unit.seed, label_noise=label_noise)


def _untrained(
    unit: Unit, device: torch.device, data: Dataset | None, network: Mapping[str, Any]
) -> tuple[Dataset, list[MLP], list[Recipe]]:
    data = (_examples(unit) if data is None else data).to(device)
    networks, recipes = [], []
    for candidate in candidates_of(unit):
        chosen = {**unit.settings, **candidate}
        keep_probs = {name: chosen[name] for name in OF_NETWORK if name in chosen}
        generator = runtime.generator(unit.seed)
        networks.append(MLP(unit["sizes"], **keep_probs, **network, generator=generator).to(device))
        recipes.append(recipe_of(unit.settings, candidate, unit.seed))
    return data, networks, recipes


def _kind(data: Dataset) -> Literal["logits", "values"]:
    return "values" if data.train.y.is_floating_point() else "logits"


def train(unit: Unit, device: torch.device, **network: Any) -> list[Row]:
    """Train a unit's candidates: a row for each, with test error and loss only in the reporting stage.

    A candidate that diverges while it is tuned has an error of 1.

    Example:
        >>> recipe = {"epochs": 2, "batch_size": 50}
        >>> settings = {"data": "digits", "train": 200, "sizes": [64, 16, 10], "recipe": recipe, "candidates": [{}]}
        >>> sorted(train(Unit({**settings, "stage": "tuning"}, seed=1000), torch.device("cpu"))[0])
        ['candidate', 'train_error', 'validation_error', 'validation_nll']
    """
    return rows_of(unit, *fit_candidates(unit, device, **network))


def train_together(
    units: Sequence[Unit], device: torch.device, network: Callable[[Unit], Mapping[str, Any]] | None = None
) -> list[list[Row]]:
    """The rows of several units, each as ``train`` gives it, with all of their networks trained side by side.

    Args:
        units: As ``train`` takes them.
        device: Where to train.
        network: Further arguments of a unit's :class:`~dropout_lessons.networks.MLP`.

    Example:
        >>> recipe = {"epochs": 2, "batch_size": 50}
        >>> settings = {"data": "digits", "train": 200, "sizes": [64, 16, 10], "recipe": recipe, "stage": "report"}
        >>> rows = train_together([Unit(settings, seed) for seed in range(3)], torch.device("cpu"))
        >>> [len(of_unit) for of_unit in rows]
        [1, 1, 1]
    """
    examples: dict[tuple[Any, ...], Dataset] = {}  # which units of one seed share

    def of(unit: Unit) -> Dataset:
        key = unit["data"], unit["train"], unit.settings.get("label_noise", 0.0), unit.seed
        if key not in examples:
            examples[key] = _examples(unit).to(device)
        return examples[key]

    prepared = [_untrained(unit, device, of(unit), network(unit) if network else {}) for unit in units]
    histories = fit_ensemble(
        [network for _, networks, _ in prepared for network in networks],
        [data for data, networks, _ in prepared for _ in networks],
        [recipe for _, _, recipes in prepared for recipe in recipes],
        stop_on_divergence=not units[0].tunes,  # units of one stage
        progress=False,
    )
    of_unit = iter(histories)
    return [
        rows_of(unit, data, networks, list(itertools.islice(of_unit, len(networks))))
        for unit, (data, networks, _) in zip(units, prepared, strict=True)
    ]


def train_each(
    unit: Unit,
    data: Dataset,
    build: Callable[[Candidate], nn.Module],
    loss: Callable[[Candidate], Callable[[Tensor, Tensor], Tensor]] | None = None,
) -> list[Row]:
    """Train a unit's candidates one after the other, whatever networks they are: rows as those of ``train``.

    Args:
        unit: With the settings ``recipe``, ``stage`` and ``candidates``.
        data: What to train on, where to train.
        build: The untrained network of a candidate.
        loss: What a candidate minimizes, a function of logits and labels; cross-entropy when None.
    """
    networks, histories = [], []
    for candidate in candidates_of(unit):
        network = build(candidate).to(data.train.y.device)
        recipe, minimized = recipe_of(unit.settings, candidate, unit.seed), loss(candidate) if loss else None
        histories.append(fit(network, data, recipe, loss=minimized, progress=False))
        networks.append(network)
    return rows_of(unit, data, networks, histories)


@torch.no_grad()
def logits_of(networks: Iterable[nn.Module], x: Tensor) -> Float[Tensor, "networks examples classes"]:
    """What networks say with nothing dropped, in double precision."""
    outputs = []
    for network in networks:
        with evaluating(network):
            outputs.append(network(x).double())
    return torch.stack(outputs)


def rows_of(unit: Unit, data: Dataset, networks: Sequence[nn.Module], histories: Sequence[History]) -> list[Row]:
    """A row for each of a unit's trained candidates, with test error and loss only in the reporting stage.

    Example:
        >>> recipe = {"epochs": 2, "batch_size": 50}
        >>> settings = {"data": "digits", "train": 200, "sizes": [64, 16, 10], "recipe": recipe, "candidates": [{}]}
        >>> unit = Unit({**settings, "stage": "report"}, seed=0)
        >>> sorted(rows_of(unit, *fit_candidates(unit, torch.device("cpu")))[0])
        ['test_error', 'test_nll', 'train_error', 'validation_error', 'validation_nll']
    """
    rows: list[Row] = []
    for i, (candidate, trained, history) in enumerate(zip(candidates_of(unit), networks, histories, strict=True)):
        row = {
            **candidate,
            "train_error": history.train_error[-1],
            "validation_error": history.validation_error[-1],
            "validation_nll": history.validation_loss[-1],
        }
        if unit.tunes and not math.isfinite(history.train_loss[-1] + history.validation_loss[-1]):
            # What diverges is as bad as what is always wrong.
            row |= {"train_error": 1.0, "validation_error": 1.0, "validation_nll": None}
        if unit.tunes:
            row |= {"candidate": i} if "candidates" in unit.settings else {}
        else:
            test = evaluate(trained, data.test, outputs=_kind(data))
            row |= {"test_error": test.error, "test_nll": test.loss}
        rows.append(row)
    return rows
