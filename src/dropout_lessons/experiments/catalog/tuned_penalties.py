"""Dropout against penalties on the weights, max-norm and early stopping, each tuned with the same budget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from dropout_lessons import figures
from dropout_lessons.experiments import Arm, Experiment, Finding, Reported
from dropout_lessons.experiments.arms import Candidate
from dropout_lessons.experiments.tables import difference, values
from dropout_lessons.experiments.tuning import train, tuned

COLORS = {
    "plain": "plain",
    "early stopping": "reference",
    "L2": "L2",
    "L1": "L1",
    "max-norm": "max-norm",
    "dropout": "dropout",
    "dropout + max-norm": "dropout",
}


BETTER = "Dropout generalizes better than other regularizers, says the paper: any lowering agrees."


def grid(**fields: list[Any]) -> list[Candidate]:
    """Every combination."""
    return [dict(zip(fields, chosen, strict=True)) for chosen in product(*fields.values())]


def choices(learning_rates: list[float], epochs: list[int], radii: list[float]) -> dict[str, list[Candidate]]:
    """Twelve candidates for each arm over the same range: four learning rates and three strengths, or twelve rates."""
    low, high = learning_rates[0], learning_rates[-1]
    several = [low * (high / low) ** (i / 9) for i in range(-1, 11)]
    keep_probs = [(0.5, 0.8), (0.5, 1.0), (0.7, 0.9)]
    rates = {"learning_rate": learning_rates}
    return {
        "plain": grid(learning_rate=[float(f"{rate:.2g}") for rate in several]),
        "early stopping": grid(**rates, epochs=epochs),
        "L2": grid(**rates, weight_decay=[1e-4, 1e-3, 1e-2]),
        "L1": grid(**rates, l1=[1e-5, 1e-4, 1e-3]),
        "max-norm": grid(**rates, max_norm=radii),
        "dropout": [
            {**rate, "keep_prob": hidden, "input_keep_prob": inputs}
            for rate in grid(**rates)
            for hidden, inputs in keep_probs
        ],
        "dropout + max-norm": [
            {**candidate, "keep_prob": 0.5, "input_keep_prob": 0.8} for candidate in grid(**rates, max_norm=radii)
        ],
    }


def arms(config: Mapping[str, Any]) -> Iterator[Arm]:
    for label_noise in config["label_noise"]:
        for arm, candidates in config["arms"].items():
            settings = {"arm": arm, "label_noise": label_noise}
            settings |= {name: config[name] for name in ("data", "train", "sizes", "recipe")}
            yield tuned(settings, candidates, config["seeds"], tuning_seeds=config["tuning_seeds"])


def judge(table: pd.DataFrame) -> list[Finding]:
    findings = []
    for label_noise, name in ((0.0, "On clean labels"), (0.3, "With 30% random labels")):
        rows = table[table["label_noise"] == label_noise]
        for arm in [arm for arm in COLORS if not arm.startswith("dropout")]:
            evidence = difference(rows, "test_error", "dropout", arm)
            why = BETTER if label_noise == 0 and arm in ("L2", "max-norm") else ""
            statement = f"{name} dropout's test error is lower than that of {arm}."
            findings.append(Finding.lower(statement, evidence, "lower", primary=why))
        evidence = difference(rows, "test_error", "dropout + max-norm", "dropout")
        findings.append(Finding.lower(f"{name} max-norm lowers dropout's test error further.", evidence, "lower"))
        evidence = difference(rows, "test_nll", "dropout", "plain")
        findings.append(Finding.lower(f"{name} dropout's test loss is lower than that of plain.", evidence))
    return findings


def draw(table: pd.DataFrame) -> Figure:
    panels = {
        f"test error, {name} (%)": {
            arm: values(table, "test_error", arm=arm, label_noise=label_noise).tolist() for arm in COLORS
        }
        for label_noise, name in ((0.0, "clean"), (0.3, "30% noise"))
    }
    return figures.score_panels(panels, COLORS)


_SHARED: dict[str, Any] = {
    "data": "mnist_10k",
    "train": 1000,
    "label_noise": [0.0, 0.3],
    "sizes": [784, 256, 256, 10],
    "recipe": {"epochs": 60},
    "arms": choices([0.03, 0.1, 0.2, 0.4], [6, 12, 24], [1.0, 2.0, 3.0]),
    "tuning_seeds": 2,
    "seeds": 10,
}

EXPERIMENT = Experiment(
    title="Dropout against tuned penalties and early stopping",
    source="A study of this course, after Srivastava et al. 2014, Table 9",
    claim="Dropout generalizes better than L2, L1 and max-norm; max-norm improves it further.",
    reported=[
        Reported("test error, L2", "1.62%", "Table 9"),
        Reported("test error, max-norm", "1.35%", "Table 9"),
        Reported("test error, dropout + L2", "1.25%", "Table 9"),
        Reported("test error, dropout + max-norm", "1.05%", "Table 9"),
    ],
    scales={
        "lecture": {
            **_SHARED,
            "train": 500,
            "sizes": [784, 64, 64, 10],
            "recipe": {"epochs": 40},
            "arms": {name: found[1::2] for name, found in _SHARED["arms"].items()},
            "tuning_seeds": 1,
            "seeds": 5,
        },
        "workstation": _SHARED,
        "paper": {
            **_SHARED,
            "data": "mnist",
            "train": 50_000,
            "sizes": [784, 1024, 1024, 2048, 10],
            "recipe": {"epochs": 200, "momentum": 0.95},
            "arms": choices([0.01, 0.02, 0.05, 0.1], [10, 25, 50], [2.0, 3.0, 4.0]),
            "tuning_seeds": 1,
            "seeds": 5,
        },
    },
    arms=arms,
    compute=train,
    judge=judge,
    draw=draw,
    origin="course",
    version=2,
    remark="The learning rate is tuned for every arm, over one range. That matters: a first run, in which only the plain network "
    "had high rates among its candidates, made the penalties look worse than no penalty at all.",
)
