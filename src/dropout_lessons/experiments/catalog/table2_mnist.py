"""Table 2: how far dropout takes a plain network on MNIST, step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure

from dropout_lessons import figures
from dropout_lessons.experiments.experiment import Experiment, Finding, Reported, Row, Unit
from dropout_lessons.experiments.tables import difference
from dropout_lessons.experiments.tuning import reported, train, tuned

# The rows of the table that are networks trained from random weights.
ROWS = ("no dropout", "dropout", "dropout, max-norm", "dropout, max-norm, wider")
DROPOUT = {"keep_prob": 0.5, "input_keep_prob": 0.8}


def units(config: Mapping[str, Any], table: pd.DataFrame) -> Iterator[Unit]:
    for row in ROWS:
        settings = {
            "row": row,
            "data": config["data"],
            "train": config["train"],
            "sizes": config["wider" if "wider" in row else "sizes"],
            "recipe": config["recipe"],
            **({} if row == "no dropout" else DROPOUT),
        }
        # As many candidates for each row, whether they vary the radius of max-norm or the penalty.
        candidates = config["radii" if "max-norm" in row else "decays"]
        yield from tuned(settings, candidates, table, seeds=config["seeds"])


def compute(unit: Unit, device: torch.device) -> list[Row]:
    return train(unit, device)


def judge(table: pd.DataFrame) -> list[Finding]:
    table = reported(table)

    def compared(row: str, control: str) -> Any:
        return difference(table, "test_error", {"row": row}, {"row": control}, unit="percentage points")

    return [
        Finding("Dropout lowers the test error.", "1.60% to 1.25%", compared(ROWS[1], ROWS[0]), below=0),
        Finding("Max-norm on top of dropout lowers it again.", "1.25% to 1.06%", compared(ROWS[2], ROWS[1]), below=0),
        Finding("Wider layers lower it again.", "1.06% to 0.95%", compared(ROWS[3], ROWS[2]), below=0),
        Finding(
            "Dropout, max-norm and wider layers together lower it by a quarter of a point or more.",
            "1.60% to 0.95%",
            compared(ROWS[3], ROWS[0]),
            below=-0.0025,
        ),
    ]


def draw(table: pd.DataFrame) -> Figure:
    table = reported(table)
    effects = {row: difference(table, "test_error", {"row": row}, {"row": ROWS[0]}) for row in ROWS[1:]}
    return figures.interval_chart(effects, label="test error, minus no dropout (points)", scale=100)


EXPERIMENT = Experiment(
    title="Table 2: MNIST, from a plain network to a wide one with dropout and max-norm",
    source="Srivastava et al. 2014, Section 6.1.1 and Table 2",
    claim="On MNIST, dropout, max-norm on top of it, and wider layers each lower the test error of a dense network.",
    reported=[
        Reported("2 layers of 800 units, no dropout", "1.60%", "Table 2"),
        Reported("3 layers of 1024 ReLU, dropout", "1.25%", "Table 2"),
        Reported("the same, and max-norm", "1.06%", "Table 2"),
        Reported("2 layers of 8192 ReLU, dropout, max-norm", "0.95%", "Table 2"),
    ],
    scales={
        "lecture": {
            "data": "mnist_10k",
            "train": 500,
            "sizes": [784, 128, 128, 10],
            "wider": [784, 256, 256, 10],
            "recipe": {"epochs": 60},
            "radii": [{"max_norm": 2.0}],
            "decays": [{}],
            "seeds": 5,
        },
        "workstation": {
            "data": "mnist_10k",
            "train": 5000,
            "sizes": [784, 256, 256, 10],
            "wider": [784, 512, 512, 10],
            "recipe": {"epochs": 40},
            "radii": [{"max_norm": radius} for radius in (1.0, 1.5, 2.0, 3.0)],
            "decays": [{"weight_decay": decay} for decay in (0.0, 1e-5, 1e-4, 1e-3)],
            "seeds": 6,
        },
        "paper": {
            "data": "mnist",
            "train": 50_000,
            "sizes": [784, 1024, 1024, 1024, 10],
            "wider": [784, 8192, 8192, 10],
            "recipe": {"epochs": 200, "momentum": 0.95},
            "radii": [{"max_norm": radius} for radius in (2.0, 2.5, 3.0, 4.0)],
            "decays": [{"weight_decay": decay} for decay in (0.0, 1e-6, 1e-5, 1e-4)],
            "seeds": 5,
        },
    },
    units=units,
    compute=compute,
    judge=judge,
    draw=draw,
    remark=(
        "5000 images instead of 60,000, and two layers of 256 and 512 units instead of 1024 to 8192; no pretraining. Each row "
        "has four candidates, of weight decay or of the max-norm radius, chosen on validation images. The paper's rows differ in "
        "depth and width as well, and come without intervals."
    ),
)
