"""Fair tuning: each arm has its candidates, judged by validation error on seeds that are never reported."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import pandas as pd
import torch
from torch import nn

from dropout_lessons import datasets
from dropout_lessons.datasets import Dataset
from dropout_lessons.ensembles import fit_ensemble
from dropout_lessons.experiments.experiment import Row, Unit
from dropout_lessons.networks import MLP
from dropout_lessons.training import History, Recipe, evaluate

FIRST_TUNING_SEED = 1000
#: What of a candidate belongs to the network; the rest is the recipe's.
OF_NETWORK = ("keep_prob", "input_keep_prob", "conv_keep_prob")

#: What tells a candidate from the others: keep probabilities, and fields of ``Recipe``, by name.
Candidate = Mapping[str, Any]


def tuned(
    settings: Mapping[str, Any],
    candidates: Sequence[Candidate],
    table: pd.DataFrame,
    *,
    seeds: int,
    tuning_seeds: int = 2,
    weights: float | None = None,
) -> Iterator[Unit]:
    """Units that tune one arm and, when the table has them all, units that report it with the candidate that tuning chose.

    Tuning looks at training and validation examples only, at seeds from 1000 on. The candidate with the lowest mean
    validation error is reported, at seeds from 0 on. One candidate needs no tuning.

    Args:
        settings: What the units of this arm share, by name, for :func:`train`; its scalars tell it from other arms.
        candidates: What is chosen from.
        table: The experiment's table so far.
        seeds: Number of seeds that are reported.
        tuning_seeds: Number of seeds that each candidate is judged by.
        weights: Multiplications in a forward pass of one example, which tell the work; when None, those of an MLP of ``sizes``.

    Example:
        >>> settings = {"arm": "plain", "data": "digits", "train": 200, "sizes": [64, 16, 10], "recipe": {"epochs": 2}}
        >>> candidates = [{"learning_rate": 0.01}, {"learning_rate": 0.1}]
        >>> [(unit["stage"], unit.seed) for unit in tuned(settings, candidates, pd.DataFrame(), seeds=5)]
        [('tuning', 1000), ('tuning', 1001)]
    """
    candidates = [dict(candidate) for candidate in candidates]
    if len(candidates) > 1:
        for seed in range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + tuning_seeds):
            yield _unit({**settings, "stage": "tuning", "candidates": candidates}, seed, weights)
        found = _tuning_rows(settings, table)
        if len(found) < len(candidates) * tuning_seeds:
            return
        best = int(found.groupby("candidate")["validation_error"].mean().idxmin())
        candidates = [candidates[best]]
    for seed in range(seeds):
        yield _unit({**settings, "stage": "report", "candidates": candidates}, seed, weights)


def _tuning_rows(settings: Mapping[str, Any], table: pd.DataFrame) -> pd.DataFrame:
    if table.empty:
        return table
    found = table[table["stage"] == "tuning"]
    for name, value in Unit(settings, 0).columns.items():
        if name != "seed":
            found = found[found[name] == value]
    return found


def _unit(settings: Mapping[str, Any], seed: int, weights: float | None) -> Unit:
    if weights is None:
        weights = sum(inputs * outputs for inputs, outputs in itertools.pairwise(settings["sizes"]))
    epochs = sum(recipe_of(settings, candidate, seed).epochs for candidate in settings["candidates"])
    return Unit(settings, seed, work=float(settings["train"] * epochs * weights))


def recipe_of(settings: Mapping[str, Any], candidate: Candidate, seed: int) -> Recipe:
    """The recipe of a candidate: the one its arm shares, and what the candidate changes of it."""
    of_recipe = {name: value for name, value in candidate.items() if name not in OF_NETWORK}
    return Recipe(**{**settings["recipe"], **of_recipe}, seed=seed)


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
        unit: With the settings ``data``, ``train``, ``sizes``, ``recipe`` and ``candidates``, and perhaps ``label_noise``,
            ``keep_prob`` and ``input_keep_prob``.
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
    if data is None:
        label_noise = unit.settings.get("label_noise", 0.0)
        data = datasets.load(unit["data"], train=unit["train"], seed=unit.seed, label_noise=label_noise)
    data = data.to(device)
    networks, recipes = [], []
    for candidate in unit["candidates"]:
        chosen = {**unit.settings, **candidate}
        keep_probs = {name: chosen[name] for name in OF_NETWORK if name in chosen}
        generator = torch.Generator().manual_seed(unit.seed)
        networks.append(MLP(unit["sizes"], **keep_probs, **network, generator=generator).to(device))
        recipes.append(recipe_of(unit.settings, candidate, unit.seed))
    histories = fit_ensemble(
        networks, data, recipes, outputs=_kind(data), evaluate_every=evaluate_every, progress=False
    )
    return data, networks, histories


def _kind(data: Dataset) -> Literal["logits", "values"]:
    return "values" if data.train.y.is_floating_point() else "logits"


def train(unit: Unit, device: torch.device, **network: Any) -> list[Row]:
    """Train a unit's candidates: a row for each, with test error and loss only in the reporting stage.

    Example:
        >>> recipe = {"epochs": 2, "batch_size": 50}
        >>> settings = {"data": "digits", "train": 200, "sizes": [64, 16, 10], "recipe": recipe, "candidates": [{}]}
        >>> sorted(train(Unit({**settings, "stage": "tuning"}, seed=1000), torch.device("cpu"))[0])
        ['candidate', 'train_error', 'validation_error', 'validation_nll']
    """
    return rows_of(unit, *fit_candidates(unit, device, **network))


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
    for i, (candidate, trained, history) in enumerate(zip(unit["candidates"], networks, histories, strict=True)):
        row = {
            **candidate,
            "train_error": history.train_error[-1],
            "validation_error": history.validation_error[-1],
            "validation_nll": history.validation_loss[-1],
        }
        if unit["stage"] == "tuning":
            row["candidate"] = i
        else:
            test = evaluate(trained, data.test, outputs=_kind(data))
            row |= {"test_error": test.error, "test_nll": test.loss}
        rows.append(row)
    return rows


def reported(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that are reported, without those that tuned.

    Example:
        >>> reported(pd.DataFrame({"stage": ["tuning", "report"], "seed": [1000, 0]}))["seed"].tolist()
        [0]
    """
    return table[table["stage"] == "report"]
