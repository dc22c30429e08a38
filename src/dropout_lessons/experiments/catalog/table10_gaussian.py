"""Table 10: multiplicative Gaussian noise in place of Bernoulli's coin tosses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure

from dropout_lessons import figures
from dropout_lessons.experiments import Arm, Experiment, Finding, Reported, Row, Unit
from dropout_lessons.experiments.catalog import table2_mnist
from dropout_lessons.experiments.comparisons import NAMES
from dropout_lessons.experiments.tables import difference
from dropout_lessons.experiments.tuning import train, train_together, tuned
from dropout_lessons.layers import Dropout, GaussianDropout

LAYERS = {"plain": Dropout, "dropout": Dropout, "Gaussian dropout": GaussianDropout}
DIGITS = {"data": "mnist_10k", "train": 1000}
CLOTHES = {"data": "fashion_10k", "train": 1000}
KEEP_PROBS = [{"keep_prob": keep_prob} for keep_prob in (0.5, 0.6, 0.7, 0.8)]
RATES = [{"learning_rate": rate} for rate in (0.05, 0.1, 0.2, 0.3)]


def arms(config: Mapping[str, Any]) -> Iterator[Arm]:
    for data in config["data"]:
        for arm in LAYERS:
            settings = {**data, "arm": arm, "sizes": config["sizes"], "recipe": config["recipe"]}
            tuning = config.get("tuning", {})
            if arm == "plain":
                settings["recipe"] = config["recipe"] | config.get("plain takes", {})
                yield tuned(settings, config["plain"], config["seeds"], **tuning)
            else:
                yield tuned({**settings, "input_keep_prob": 0.8}, config["candidates"], config["seeds"], **tuning)


def compute(unit: Unit, device: torch.device) -> list[Row]:
    return train(unit, device, dropout=LAYERS[unit["arm"]])


def compute_together(units: Sequence[Unit], device: torch.device) -> list[list[Row]]:
    return train_together(units, device, network=lambda unit: {"dropout": LAYERS[unit["arm"]]})


def judge(table: pd.DataFrame) -> list[Finding]:
    digits = table[table["data"].isin(["mnist", "mnist_10k"])]
    plain, bernoulli = (difference(digits, "test_error", "Gaussian dropout", arm) for arm in ("plain", "dropout"))
    # By the number of test images, 10,000 or 4,000: a tenth of a point is less than the paper's own difference.
    up_to, of = (0.001, 10_000) if digits["train"].max() >= 50_000 else (0.003, 4_000)
    return [
        Finding.lower("Gaussian dropout makes fewer errors than no dropout.", plain, "fewer"),
        Finding(
            f"Gaussian dropout makes no more errors than Bernoulli dropout, up to {100 * up_to:.1f} points.",
            "0.95% ± 0.04 against 1.08% ± 0.04",
            bernoulli,
            below=up_to,
            primary=f"The paper says as well, or perhaps better; {100 * up_to:.1f} points are {round(up_to * of)} of the {of:,} "
            "test digits.",
        ),
        Finding.lower(
            "Gaussian dropout makes fewer errors than Bernoulli dropout.",
            bernoulli,
            "0.95% ± 0.04 against 1.08% ± 0.04",
        ),
    ]


def draw(table: pd.DataFrame) -> Figure:
    effects, colors = {}, {}
    for data in table["data"].unique():
        rows = table[table["data"] == data]
        for arm in ("dropout", "Gaussian dropout"):
            row = f"{NAMES[data]}: {'Bernoulli' if arm == 'dropout' else 'Gaussian'}"
            effects[row], colors[row] = difference(rows, "test_error", arm, "plain"), arm
    return figures.interval_chart(effects, label="test error, minus no dropout (points)", colors=colors, scale=100)


EXPERIMENT = Experiment(
    title="Table 10: Gaussian against Bernoulli dropout",
    source="Srivastava et al. 2014, Section 10 and Table 10",
    claim="Multiplying by Gaussian noise of the same mean and variance does as well as Bernoulli dropout, or slightly better.",
    reported=[
        Reported("MNIST test error, Bernoulli", "1.08% ± 0.04", "Table 10", "dropout"),
        Reported("MNIST test error, Gaussian", "0.95% ± 0.04", "Table 10", "Gaussian dropout"),
        Reported("CIFAR-10 test error, Bernoulli", "12.6% ± 0.1", "Table 10"),
        Reported("CIFAR-10 test error, Gaussian", "12.5% ± 0.1", "Table 10"),
    ],
    scales={
        "lecture": {
            "data": [DIGITS],
            "sizes": [784, 128, 128, 10],
            "recipe": {"epochs": 60},
            "candidates": KEEP_PROBS[1:2],
            "plain": RATES[1:2],
            "seeds": 5,
        },
        "workstation": {
            "data": [DIGITS, CLOTHES],
            "sizes": [784, 256, 256, 10],
            "recipe": {"epochs": 60},
            "candidates": KEEP_PROBS,
            "plain": RATES,
            "seeds": 10,
        },
        "paper": {
            "data": [{"data": "mnist", "train": 50_000}],
            "sizes": [784, 1024, 1024, 10],
            # As Table 2, with the paper's number of seeds.
            "recipe": {"epochs": 100, "batch_size": 128},
            "candidates": [{"keep_prob": 0.5, **radius} for radius in table2_mnist.RADII],
            "plain": table2_mnist.RATES,
            "plain takes": {"epochs": 30},
            "tuning": {"together": False, "tuning_seeds": 1},
            "seeds": 10,
        },
    },
    arms=arms,
    compute=compute,
    compute_together=compute_together,
    judge=judge,
    draw=draw,
    remark=(
        "Two layers of 256 units on 1000 images instead of the paper's nets on all of MNIST; keep_prob of the hidden units, "
        "which sets the variance of either noise, is chosen from the same four values on validation images, and so is the "
        "learning rate of the plain network. CIFAR-10 is not run here, and the clothes are an addition that is not part of the "
        "verdict."
    ),
    remark_at_scale="The keep probability is the paper's, and the max-norm radius is tuned.",
)
