"""An experiment that costs nothing, and writes down each unit that it computes, when it starts and when it is done.

The environment variable TOY names a folder: with the log, and with files that tell units to be slow, to fail, or to kill
their process. Processes that are at work already obey too.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from dropout_lessons.claims import paired
from dropout_lessons.experiments import Arm, Experiment, Finding, Reported, Row, Unit

RATES = (0.1, 0.2, 0.4)


def arms(config: Mapping[str, Any]) -> Iterator[Arm]:
    yield Arm({"shape": (2, 3)}, range(config["seeds"]), [{"rate": rate} for rate in RATES], together=False)


def compute(unit: Unit, device: torch.device) -> list[Row]:
    note("start", unit)
    time.sleep(float(told("seconds") or 0))
    name = f"{unit['stage']}-{unit.seed}"
    if name in told("fails").split():
        raise ArithmeticError(f"{name} is told to fail")
    if name in told("kills").split():
        os._exit(1)
    draws = np.random.default_rng(unit.seed)
    rows: list[Row] = [
        {"arm": "None", "validation_error": draws.random(), "test_error": 0.5 + draws.random() / 3, "extra": None},
        {
            "arm": "dropout",
            "validation_error": abs(unit["rate"] - 0.2),
            "test_error": draws.random() / 3,
            "extra": -0.0,
        },
        {"arm": "odd", "validation_error": np.float64(1 / 3), "test_error": float("nan"), "extra": float("inf")},
    ]
    note("done", unit)
    return rows


def told(what: str) -> str:
    path = Path(os.environ.get("TOY", "nowhere"), what)
    return path.read_text() if path.exists() else ""


def note(event: str, unit: Unit) -> None:
    if folder := os.environ.get("TOY"):
        with Path(folder, "log").open("a") as file:
            file.write(f"{event} {unit['stage']}-{unit['rate']}-{unit.seed} {os.getpid()}\n")


def judge(table: pd.DataFrame) -> list[Finding]:
    errors = table.pivot(index="arm", columns="seed", values="test_error")
    effect = paired(errors.loc["dropout"], errors.loc["None"], unit="percentage points")
    return [Finding("Dropout lowers the error.", "lower", effect, below=0, primary="Any lowering agrees.")]


def draw(table: pd.DataFrame) -> Figure:
    figure = Figure()
    figure.subplots().plot(table.test_error)
    return figure


EXPERIMENT = Experiment(
    title="A toy",
    source="Nobody, Figure 0",
    claim="Dropout lowers the error.",
    reported=[Reported("error", "1.05%", "Table 0")],
    scales={"lecture": {"seeds": 5}, "workstation": {"seeds": 14}},
    arms=arms,
    compute=compute,
    judge=judge,
    draw=draw,
)


def command() -> int:
    """The command, with the toy in its catalog."""
    from dropout_lessons import cli
    from dropout_lessons.experiments import catalog

    catalog.__path__.append(str(Path(__file__).parent))
    for name in ("toy", "tiny_training"):
        sys.modules[f"{catalog.__name__}.{name}"] = __import__(name)
    return cli.main()
