"""Where dropout hurts: clean data of which there is much, narrow layers, short training, regression."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure

from dropout_lessons import datasets, figures
from dropout_lessons.calibration import ece
from dropout_lessons.claims import Evidence
from dropout_lessons.datasets import Dataset
from dropout_lessons.experiments import Arm, Experiment, Finding, Reported, Row, Unit
from dropout_lessons.experiments.tables import difference
from dropout_lessons.experiments.tuning import fit_candidates, rows_of, tuned
from dropout_lessons.networks import evaluating

# The paper's dropout, and half of it.
ARMS = {
    "plain": {"input_keep_prob": 1.0, "keep_prob": 1.0},
    "half the dropout": {"input_keep_prob": 0.9, "keep_prob": 0.75},
    "dropout": {"input_keep_prob": 0.8, "keep_prob": 0.5},
}


def arms(config: Mapping[str, Any]) -> Iterator[Arm]:
    for case in config["cases"]:
        shared = {name: case[name] for name in ("case", "data", "train", "target", "sizes", "recipe")}
        for arm, keep_probs in ARMS.items():
            yield tuned({**shared, "arm": arm, **keep_probs}, case["candidates"], case["seeds"])


def lower_half_from_upper(data: Dataset) -> Dataset:
    """Turn images of digits into a regression: predict the pixels of the lower half from those of the upper one."""
    height, width = data.image_shape
    above = height // 2 * width
    return data.map(lambda x, _: (x[:, :above], x[:, above:]), image_shape=(height // 2, width))


def compute(unit: Unit, device: torch.device) -> list[Row]:
    data = datasets.load(unit["data"], train=unit["train"], seed=unit.seed)
    if unit["target"] == "lower half":
        data = lower_half_from_upper(data)
    data, networks, histories = fit_candidates(unit, device, data=data)
    rows = rows_of(unit, data, networks, histories)
    if unit["stage"] == "report" and unit["target"] == "label":
        for row, network in zip(rows, networks, strict=True):
            with evaluating(network), torch.no_grad():
                row["test_ece"] = ece(network(data.test.x).softmax(1), data.test.y)
    return rows


def compared(table: pd.DataFrame, case: str, column: str, arm: str = "dropout") -> Evidence:
    return difference(table[table["case"] == case], column, arm, "plain")


def judge(table: pd.DataFrame) -> list[Finding]:
    findings = []
    for case in table["case"].unique():
        target = table.loc[table["case"] == case, "target"].iloc[0]
        what = "the test error" if target == "label" else "the share of the variance that is left unexplained"
        statement, primary = f"{TITLES[case]}: dropout raises {what}.", EXPECTED if case in (_NARROW, _SHORT) else ""
        findings.append(Finding.higher(statement, compared(table, case, "test_error"), PAPER[case], primary=primary))
        if case == "Fashion, 1,000":
            lowers = {"test_nll": "the test NLL all the same", "test_ece": "the calibration error, too"}
            for column, what in lowers.items():
                statement = f"{TITLES[case]}: dropout lowers {what}."
                findings.append(Finding.lower(statement, compared(table, case, column)))
    return findings


def draw(table: pd.DataFrame) -> Figure:
    panels: dict[str, dict[str, Evidence]] = {"test error": {}, "test loss": {}}
    colors = {}
    for case in table["case"].unique():
        for arm, row in (("dropout", case), ("half the dropout", f"{case}: half")):
            colors[row] = "dropout" if arm == "dropout" else "reference"
            panels["test error"][row] = compared(table, case, "test_error", arm)
            if (table.loc[table["case"] == case, "target"] == "label").all():
                panels["test loss"][row] = compared(table, case, "test_nll", arm)
    labels = {"test error": "minus no dropout\n(points)", "test loss": "minus no dropout\n(nats)"}
    return figures.interval_panels(panels, labels=labels, scales={"test error": 100.0}, colors=colors)


_RATES = [{"learning_rate": rate} for rate in (0.1, 0.03, 0.01, 0.2)]
_ADAM_RATES = [{"learning_rate": rate} for rate in (0.003, 0.001, 0.0003, 0.01)]
_WIDE = [784, 256, 256, 10]
_BRIEF: dict[str, Any] = {"seeds": 5, "candidates": _RATES[:1]}


def _case(case: str, data: str, train: int, sizes: list[int], epochs: int, **others: Any) -> dict[str, Any]:
    shared = {"case": case, "data": data, "train": train, "target": "label", "sizes": sizes, "seeds": 10}
    return {**shared, "recipe": {"epochs": epochs}, "candidates": _RATES, **others}


_REGRESSION = {"target": "lower half", "recipe": {"epochs": 40, "optimizer": "adam"}, "candidates": _ADAM_RATES}
EXPECTED = "What the paper says of width and of time lets expect a cost here: any cost agrees."
_NARROW, _SHORT, _HALF = "16 units a layer", "5 epochs", "regression"
TITLES = {
    "Fashion, 1,000": "Fashion-MNIST, 1,000 images",
    "Fashion, 5,000": "Fashion-MNIST, 5,000 images",
    "Fashion, 50,000": "Fashion-MNIST, 50,000 images",
    _NARROW: "MNIST, two layers of 16 units",
    _SHORT: "MNIST, a few epochs",
    _HALF: "MNIST, the lower half of a digit from the upper one",
}
PAPER = {
    "Fashion, 1,000": "",
    "Fashion, 5,000": "gain declines for large data (Figure 10)",
    "Fashion, 50,000": "gain declines for large data (Figure 10)",
    _NARROW: "n / p units where n were best without (Appendix A.1)",
    _SHORT: "takes 2-3 times as long (Section 11)",
    _HALF: "",
}

EXPERIMENT = Experiment(
    title="Where dropout hurts",
    source="This course; Srivastava et al. 2014, Section 11, Figure 10 and Appendix A, for what to expect",
    claim="Where a network does not overfit in its decisions, is too narrow or is trained too briefly, dropout costs accuracy.",
    reported=[
        Reported("time that training takes with dropout", "2-3 times as long", "Section 11"),
        Reported("units of a layer with dropout where n were best without", "n / p", "Appendix A.1"),
    ],
    scales={
        "lecture": {
            "cases": [
                _case("Fashion, 1,000", "fashion_10k", 1000, [784, 128, 128, 10], 30, **_BRIEF),
                _case(_NARROW, "mnist_10k", 2000, [784, 16, 16, 10], 15, **_BRIEF),
                _case(_SHORT, "mnist_10k", 1000, [784, 128, 128, 10], 5, **_BRIEF),
            ]
        },
        "workstation": {
            "cases": [
                _case("Fashion, 1,000", "fashion_10k", 1000, _WIDE, 40),
                _case("Fashion, 5,000", "fashion_10k", 5000, _WIDE, 20),
                _case("Fashion, 50,000", "fashion_mnist", 50_000, _WIDE, 6, seeds=5),
                _case(_NARROW, "mnist_10k", 5000, [784, 16, 16, 10], 20),
                _case(_SHORT, "mnist_10k", 1000, _WIDE, 5),
                _case(_HALF, "mnist_10k", 1000, [392, 128, 128, 392], 40, **_REGRESSION),
            ]
        },
        "paper": {
            "cases": [
                _case("Fashion, 50,000", "fashion_mnist", 50_000, [784, 1024, 1024, 1024, 10], 100, seeds=5),
                _case(_NARROW, "mnist", 50_000, [784, 16, 16, 10], 50),
                _case(_SHORT, "mnist", 50_000, [784, 1024, 1024, 1024, 10], 2, seeds=5),
                _case(_HALF, "mnist", 50_000, [392, 1024, 1024, 392], 40, **_REGRESSION),
            ]
        },
    },
    origin="course",
    arms=arms,
    compute=compute,
    judge=judge,
    draw=draw,
    remark=(
        "The paper shows where dropout helps; these cases are this course's, and a statement holds if dropout costs accuracy. "
        "Each arm has the best of four learning rates on validation images. Dropout means the paper's, 0.8 and 0.5; with "
        "keep probabilities tuned on clothes it need not cost anything there, as the ten networks show. The case "
        "of 50,000 images is the full Fashion-MNIST; the others are embedded in the package."
    ),
)
