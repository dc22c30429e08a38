"""Is it lost capacity? Dropout with digits' keep probabilities on clothes, in layers of once, twice and four times the units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from dropout_lessons import figures
from dropout_lessons.claims import Evidence, paired
from dropout_lessons.experiments import Arm, Experiment, Finding, Reported
from dropout_lessons.experiments.tables import difference, noting_ends, values
from dropout_lessons.experiments.tuning import train, tuned

# The paper's keep probabilities, which are right for digits.
KEEP_PROBS = {
    "plain": {"input_keep_prob": 1.0, "keep_prob": 1.0},
    "dropout": {"input_keep_prob": 0.8, "keep_prob": 0.5},
}
HALF = (
    "n / p units are twice as many at p = 0.5. If too few units were the cause, they would regain all of the loss; less "
    "than half of it leaves most of the loss to other causes."
)


def arms(config: Mapping[str, Any]) -> Iterator[Arm]:
    shared = {name: config[name] for name in ("data", "train", "recipe")}
    for times in config["times"]:
        width = times * config["width"]
        for arm, keep_probs in KEEP_PROBS.items():
            settings = {**shared, "times": times, "arm": arm, **keep_probs, "sizes": [784, width, width, 10]}
            yield tuned(settings, config["candidates"], config["seeds"], tuning_seeds=4)


def widened(table: pd.DataFrame, column: str, arm: str, times: int, control: str = "plain") -> Evidence:
    """An arm in layers so many times as wide, less a narrow network."""
    return difference(table, column, {"arm": arm, "times": times}, {"arm": control, "times": 1})


def regained(table: pd.DataFrame, times: int) -> Evidence:
    """Fall of the error of dropout networks so many times as wide, less half of what dropout costs the narrow one."""
    plain, narrow = (values(table, "test_error", arm=arm, times=1) for arm in KEEP_PROBS)
    wide = values(table, "test_error", arm="dropout", times=times)
    rows = table[(table["times"] == 1) | ((table["arm"] == "dropout") & (table["times"] == times))]
    return noting_ends(rows, paired(narrow - wide, (narrow - plain) / 2, unit="percentage points"))


def judge(table: pd.DataFrame) -> list[Finding]:
    widest = int(table["times"].max())
    return [
        Finding.higher(
            "Clothes: the keep probabilities of digits raise the test error.",
            widened(table, "test_error", "dropout", 1),
        ),
        Finding.higher(
            "Twice as many units regain more than half of it.",
            regained(table, 2),
            "n / p units where n were best without",
            primary=HALF,
        ),
        Finding.higher(f"{widest} times as many units regain more than half of it.", regained(table, widest)),
        Finding.lower(
            f"With {widest} times as many units the network with dropout gets more of its training examples right.",
            widened(table, "train_error", "dropout", widest, "dropout"),
        ),
        Finding.lower(
            f"Without dropout, {widest} times as many units lower the test error.",
            widened(table, "test_error", "plain", widest),
        ),
    ]


def draw(table: pd.DataFrame) -> Figure:
    panels: dict[str, dict[str, Evidence]] = {"test error": {}, "training error": {}}
    colors = {}
    for panel, column in (("test error", "test_error"), ("training error", "train_error")):
        for arm in KEEP_PROBS:
            for times in sorted(table["times"].unique().tolist()):
                if (arm, times) == ("plain", 1):
                    continue
                row = f"{arm}, {times} x units" if times > 1 else arm
                colors[row] = "dropout" if arm == "dropout" else "reference"
                panels[panel][row] = widened(table, column, arm, times)
    labels = dict.fromkeys(panels, "minus plain, 1 x\n(points)")
    return figures.interval_panels(panels, labels=labels, scales=dict.fromkeys(panels, 100.0), colors=colors)


_RATES = [{"learning_rate": rate} for rate in (0.2, 0.1, 0.03)]
_SHARED: dict[str, Any] = {"data": "fashion_10k", "train": 1000, "times": [1, 2, 4], "candidates": _RATES}

EXPERIMENT = Experiment(
    title="Is it lost capacity? Wider layers for dropout on clothes",
    source="This course; Srivastava et al. 2014, Appendix A.1, for the rule of n / p units",
    claim="What too much dropout costs on clothes comes from too few units: wider layers regain it.",
    reported=[Reported("units of a layer with dropout where n were best without", "n / p", "Appendix A.1")],
    scales={
        "lecture": {**_SHARED, "width": 32, "recipe": {"epochs": 20}, "candidates": _RATES[1:2], "seeds": 5},
        "workstation": {**_SHARED, "width": 256, "recipe": {"epochs": 40}, "seeds": 10},
        "paper": {**_SHARED, "data": "fashion_mnist", "width": 1024, "recipe": {"epochs": 200}, "seeds": 5},
    },
    origin="course",
    arms=arms,
    compute=train,
    judge=judge,
    draw=draw,
    remark=(
        "Each arm has the best of three learning rates on validation images of four seeds. Dropout means the paper's keep "
        "probabilities, 0.8 for inputs and 0.5 for hidden units, which raise the error on 1,000 pictures of clothes. All "
        "networks see the same number of examples, so a wider one is not trained for longer. The tuning was widened twice after "
        "a result was seen: by a third learning rate, since the best of two was always the larger one, and from two to four "
        "seeds. The verdict was undecided each time; that twice the units lower dropout's own error held before the last "
        "run and not in it."
    ),
)
