"""Table 9: regularizers on one architecture, each tuned with the same budget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure

from dropout_lessons import figures
from dropout_lessons.experiments.experiment import Experiment, Finding, Reported, Row, Unit
from dropout_lessons.experiments.tables import difference
from dropout_lessons.experiments.tuning import Candidate, reported, train, tuned

COLORS = {
    "L2": "L2",
    "L2 + L1": "L1",
    "max-norm": "max-norm",
    "dropout + L2": "dropout",
    "dropout + max-norm": "dropout",
}


def arms(decays: list[float], l1: list[float], radii: list[float]) -> dict[str, list[Candidate]]:
    """As many candidates for each arm; the keep probabilities are the paper's."""
    dropout = {"keep_prob": 0.5, "input_keep_prob": 0.8}
    return {
        "L2": [{"weight_decay": decay} for decay in decays],
        "L2 + L1": [{"weight_decay": decay, "l1": strength} for decay, strength in product(decays[1:3], l1)],
        "max-norm": [{"max_norm": radius} for radius in radii],
        "dropout + L2": [{**dropout, "weight_decay": decay} for decay in decays],
        "dropout + max-norm": [{**dropout, "max_norm": radius} for radius in radii],
    }


def units(config: Mapping[str, Any], table: pd.DataFrame) -> Iterator[Unit]:
    for arm, candidates in config["arms"].items():
        settings = {"arm": arm, **{name: config[name] for name in ("data", "train", "sizes", "recipe")}}
        yield from tuned(settings, candidates, table, seeds=config["seeds"])


def compute(unit: Unit, device: torch.device) -> list[Row]:
    return train(unit, device)


def judge(table: pd.DataFrame) -> list[Finding]:
    table = reported(table)

    def lower(statement: str, paper: str, arm: str, control: str) -> Finding:
        evidence = difference(table, "test_error", {"arm": arm}, {"arm": control}, unit="percentage points")
        return Finding(statement, paper, evidence, below=0)

    return [
        lower("Max-norm does better than L2.", "1.35% against 1.62%", "max-norm", "L2"),
        lower("Dropout with L2 does better than L2.", "1.25% against 1.62%", "dropout + L2", "L2"),
        lower("Dropout with L2 does better than max-norm.", "1.25% against 1.35%", "dropout + L2", "max-norm"),
        lower(
            "Dropout with max-norm does better than dropout with L2.",
            "1.05% against 1.25%",
            "dropout + max-norm",
            "dropout + L2",
        ),
        lower(
            "Dropout with max-norm does better than L2 and L1.", "1.05% against 1.60%", "dropout + max-norm", "L2 + L1"
        ),
    ]


def draw(table: pd.DataFrame) -> Figure:
    table = reported(table)
    effects = {arm: difference(table, "test_error", {"arm": arm}, {"arm": "L2"}) for arm in COLORS if arm != "L2"}
    return figures.interval_chart(effects, label="test error, minus L2 (points)", colors=COLORS, scale=100)


EXPERIMENT = Experiment(
    title="Table 9: dropout against other regularizers",
    source="Srivastava et al. 2014, Section 6.5 and Table 9",
    claim="On one architecture, dropout with max-norm beats dropout with L2, and both beat the penalties alone.",
    reported=[
        Reported("MNIST test error, L2", "1.62%", "Table 9"),
        Reported("MNIST test error, L2 and L1", "1.60%", "Table 9"),
        Reported("MNIST test error, L2 and KL sparsity", "1.55%", "Table 9"),
        Reported("MNIST test error, max-norm", "1.35%", "Table 9"),
        Reported("MNIST test error, dropout and L2", "1.25%", "Table 9"),
        Reported("MNIST test error, dropout and max-norm", "1.05%", "Table 9"),
    ],
    scales={
        "lecture": {
            "data": "mnist_10k",
            "train": 500,
            "sizes": [784, 128, 128, 10],
            "recipe": {"epochs": 60},
            "arms": arms([0.0, 1e-4, 1e-3, 3e-3], [1e-5, 1e-4], [0.7, 1.0, 1.5, 2.0]),
            "seeds": 5,
        },
        "workstation": {
            "data": "mnist_10k",
            "train": 1000,
            "sizes": [784, 256, 256, 512, 10],
            "recipe": {"epochs": 60},
            "arms": arms([0.0, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2], [1e-6, 1e-5, 1e-4], [0.7, 1.0, 1.5, 2.0, 3.0, 4.0]),
            "seeds": 10,
        },
        "paper": {
            "data": "mnist",
            "train": 50_000,
            "sizes": [784, 1024, 1024, 2048, 10],
            "recipe": {"epochs": 200, "momentum": 0.95, "learning_rate": 0.05},
            "arms": arms([0.0, 1e-6, 1e-5, 1e-4], [1e-7, 1e-6], [2.0, 2.5, 3.0, 4.0]),
            "seeds": 5,
        },
    },
    units=units,
    compute=compute,
    judge=judge,
    draw=draw,
    remark=(
        "The architecture has the paper's shape, a quarter as wide, and sees 1000 images. Each arm has six candidates, of a "
        "penalty's strength or the max-norm radius; keep probabilities are the paper's. L2 with KL sparsity is left out: the "
        "paper does not say how a ReLU's activation is made the probability that the penalty needs."
    ),
)
