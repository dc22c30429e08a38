"""Masks in a recurrent network: fresh or locked, on the cell or on the state, or off the path from step to step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from dropout_lessons.experiments import Arm, Experiment, Finding, Reported
from dropout_lessons.experiments.comparisons import Against, error_panels, findings_on_each
from dropout_lessons.experiments.recurrent_nets import PLACES, train_row_readers
from dropout_lessons.experiments.tuning import tuned

HELPS = "The papers say that it lowers the error of a network that overfits: any lowering agrees."


def arms(config: Mapping[str, Any]) -> Iterator[Arm]:
    shared = {name: config[name] for name in ("train", "units", "recipe")}
    row, units = config["row"], config["units"]
    weights = row * (row + units) * 4 * units
    for data in config["data"]:
        for arm in PLACES:
            candidates = config["rates"] if arm == "none" else config["keep_probs"]
            yield tuned({"data": data, "arm": arm, **shared}, candidates, config["seeds"], weights=weights)


COMPARED = (
    Against(
        "not recurrent",
        "none",
        "dropout off the path from step to step lowers the error",
        "test perplexity 114.5 to 78.4, in a larger network (Zaremba et al. 2014)",
        primary=HELPS,
    ),
    Against(
        "locked on the state",
        "none",
        "a locked mask on the state lowers the error",
        "lower (Gal, Ghahramani 2016)",
        primary=HELPS,
    ),
    Against(
        "locked on the state",
        "fresh on the state",
        "a locked mask on the state has a lower error than a fresh one",
        "lower (Gal, Ghahramani 2016)",
    ),
    Against(
        "fresh on the state",
        "fresh on the cell",
        "a fresh mask does less harm on the state than on the cell",
        "spare the memory (Semeniuta et al. 2016)",
    ),
    Against("zoneout", "none", "zoneout lowers the error", "lower (Krueger et al. 2017)"),
)


def judge(table: pd.DataFrame) -> list[Finding]:
    return findings_on_each(table, COMPARED, first=True)


def draw(table: pd.DataFrame) -> Figure:
    return error_panels(table, PLACES, "none")


_SHARED: dict[str, Any] = {
    "data": ["mnist_10k"],
    "train": 500,
    "row": 14,
    "units": 64,
    "recipe": {"epochs": 40, "batch_size": 50, "optimizer": "adam", "learning_rate": 0.03},
    "rates": [{"learning_rate": rate} for rate in (0.1, 0.03, 0.01, 0.003)],
    "keep_probs": [{"keep_prob": keep} for keep in (0.95, 0.8, 0.6, 0.4)],
}

EXPERIMENT = Experiment(
    title="Masks in a recurrent network: fresh or locked, on the cell or on the state",
    source="Zaremba et al. 2014; Gal and Ghahramani 2016; Semeniuta et al. 2016; Krueger et al. 2017",
    claim="Dropout helps a recurrent network if its masks do not erase what it remembers from step to step.",
    reported=[
        Reported("test perplexity on Penn Treebank, LSTM without dropout", "114.5", "Zaremba et al. 2014, Table 1"),
        Reported("same, large LSTM with dropout that is not recurrent", "78.4", "Zaremba et al. 2014, Table 1"),
    ],
    scales={
        "lecture": {
            **_SHARED,
            "train": 300,
            "units": 32,
            "recipe": {**_SHARED["recipe"], "epochs": 15},
            "rates": _SHARED["rates"][1:2],
            "keep_probs": _SHARED["keep_probs"][1:2],
            "seeds": 5,
        },
        "workstation": {**_SHARED, "seeds": 10},
        "paper": {**_SHARED, "data": ["mnist", "fashion_mnist"], "train": 5000, "units": 512, "seeds": 5},
    },
    origin="other",
    arms=arms,
    compute=train_row_readers,
    judge=judge,
    draw=draw,
    remark=(
        "The papers model text with up to 1,500 units. Here an LSTM of 64 units reads the 14 rows of a small picture and "
        "names it, from 500 training examples, which it learns by heart. Each way of dropping has the best of four keep "
        "probabilities, the network without dropout the best of four learning rates, on validation images. All masks divide "
        "by the keep probability where they act, and each arm but the first has masks in one place only; Gal and Ghahramani "
        "lock masks on the inputs as well. Fourteen steps are a short time to remember."
    ),
)
