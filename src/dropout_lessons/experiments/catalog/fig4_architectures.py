"""Figure 4: several architectures, one recipe, with and without dropout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from dropout_lessons import datasets, figures, runtime
from dropout_lessons.claims import paired
from dropout_lessons.datasets import Split
from dropout_lessons.ensembles import fit_ensemble
from dropout_lessons.experiments.arms import Arm, Row, Unit
from dropout_lessons.experiments.experiment import Experiment
from dropout_lessons.experiments.findings import Finding, Reported
from dropout_lessons.experiments.tables import difference
from dropout_lessons.networks import MLP
from dropout_lessons.training import History, Recipe, evaluate

ARMS: dict[str, dict[str, float]] = {"plain": {}, "dropout": {"keep_prob": 0.5, "input_keep_prob": 0.8}}


def arms(config: Mapping[str, Any]) -> Iterator[Arm]:
    settings = {name: config[name] for name in ("data", "train", "recipe", "every")}
    for hidden in config["hidden"]:
        weights = sum(inputs * outputs for inputs, outputs in pairwise([784, *hidden, 10]))
        work = 2 * config["train"] * config["recipe"]["epochs"] * weights
        architecture = " x ".join(map(str, [len(hidden), hidden[0]]))
        yield Arm({"architecture": architecture, "hidden": hidden, **settings}, range(config["seeds"]), work=work)


def compute(unit: Unit, device: torch.device) -> list[Row]:
    return compute_together([unit], device)[0]


def compute_together(units: Sequence[Unit], device: torch.device) -> list[list[Row]]:
    """Train the networks of several units, which are trained and evaluated as often, side by side."""
    of_seed = {unit.seed: unit for unit in units}
    data = {
        seed: datasets.load(unit["data"], train=unit["train"], seed=seed).to(device) for seed, unit in of_seed.items()
    }
    networks = [
        MLP([784, *unit["hidden"], 10], generator=runtime.generator(unit.seed), **keep).to(device)  # type: ignore[arg-type]
        for unit in units
        for keep in ARMS.values()
    ]
    seeds = [unit.seed for unit in units for _ in ARMS]
    recipes = [Recipe(**units[0]["recipe"], seed=seed) for seed in seeds]
    histories = fit_ensemble(
        networks, [data[seed] for seed in seeds], recipes, evaluate_every=units[0]["every"], progress=False
    )
    trained = list(zip(networks, histories, strict=True))
    return [
        _rows(unit, data[unit.seed].test, trained[i : i + len(ARMS)])
        for unit, i in zip(units, range(0, len(trained), len(ARMS)), strict=True)
    ]


def _rows(unit: Unit, test: Split, trained: Sequence[tuple[MLP, History]]) -> list[Row]:
    epochs = unit["recipe"]["epochs"]
    return [
        {
            "arm": arm,
            "epoch": epoch,
            "validation_error": error,
            # The test set is used once, at the end.
            "test_error": evaluate(network, test).error if epoch == epochs else None,
        }
        for arm, (network, history) in zip(ARMS, trained, strict=True)
        for epoch, error in zip(history.epoch, history.validation_error, strict=True)
    ]


def judge(table: pd.DataFrame) -> list[Finding]:
    last = table[table["epoch"] == table["epoch"].max()]
    findings = [
        Finding.lower(
            f"{architecture} units: the test error is lower with dropout.",
            difference(last[last["architecture"] == architecture], "test_error", "dropout", "plain"),
            "lower",
        )
        for architecture in last["architecture"].unique()
    ]
    errors = last.pivot(index="seed", columns=["arm", "architecture"], values="test_error")
    worst, best = errors["dropout"].max(axis=1).to_numpy(float), errors["plain"].min(axis=1).to_numpy(float)
    separated = paired(worst, best, unit="percentage points")
    findings.append(
        Finding.lower(
            "The clusters are apart: the worst architecture with dropout is better than the best without.",
            separated,
            "two separate clusters",
            primary="The paper sees two separate clusters: any gap between them agrees.",
        )
    )
    return findings


def draw(table: pd.DataFrame) -> Figure:
    epochs = sorted(table["epoch"].unique().tolist())
    runs: dict[str, dict[str, np.ndarray[Any, Any]]] = {}
    for arm in ARMS:
        rows = table[table["arm"] == arm]
        runs[arm] = {
            str(name): rows[rows["architecture"] == name]
            .pivot(index="epoch", columns="seed", values="validation_error")
            .to_numpy()
            for name in rows["architecture"].unique()
        }
    return figures.trajectories(runs, epochs, y_label="validation error (%)")


EXPERIMENT = Experiment(
    title="Figure 4: test error of different architectures, with and without dropout",
    source="Srivastava et al. 2014, Figure 4",
    claim="With the same hyperparameters for all, every architecture does better with dropout, in two separate clusters.",
    reported=[
        Reported("error over training, 2 to 4 layers of 1024 to 2048 units", "two separate clusters", "Figure 4")
    ],
    scales={
        "lecture": {
            "data": "mnist_10k",
            "train": 1000,
            "hidden": [[128, 128], [128, 128, 128]],
            "recipe": {"epochs": 60},
            "every": 10,
            "seeds": 5,
        },
        "workstation": {
            "data": "mnist_10k",
            "train": 1000,
            "hidden": [[width] * depth for depth in (2, 3, 4) for width in (256, 512)],
            "recipe": {"epochs": 60},
            "every": 3,
            "seeds": 5,
        },
        "paper": {
            "data": "mnist",
            "train": 50_000,
            "hidden": [[width] * depth for depth in (2, 3, 4) for width in (1024, 2048)],
            "recipe": {"epochs": 30, "batch_size": 128, "decay": "linear", "max_norm": 2.0},
            "every": 5,
            "seeds": 5,
        },
    },
    arms=arms,
    compute=compute,
    compute_together=compute_together,
    judge=judge,
    draw=draw,
    remark=(
        "1000 images and layers of 256 and 512 units instead of 60,000 and 1024 to 2048. The paper draws the test error "
        "throughout training; here the curves are of validation images, and the test set is used once, at the end. The recipe "
        "was chosen for two layers of 256 units, and is not tuned for deeper networks, with dropout or without."
    ),
    remark_at_scale=(
        "The architectures are the paper's; 50,000 images train for 30 epochs, in which the learning rate falls to zero. That "
        "is a third of the epochs that networks with dropout have in Table 2, and here their validation errors still fell in the "
        "last five. So this is about short training, in which dropout lost the more, the deeper and narrower a network was."
    ),
)
