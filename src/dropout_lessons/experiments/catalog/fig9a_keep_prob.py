"""Figure 9a: the keep probability of the hidden units is swept while their number is fixed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from dropout_lessons import figures
from dropout_lessons.claims import Evidence
from dropout_lessons.experiments.arms import Arm
from dropout_lessons.experiments.experiment import Experiment
from dropout_lessons.experiments.findings import Finding, Reported
from dropout_lessons.experiments.tables import difference
from dropout_lessons.experiments.tuning import train, train_together, tuned

KEEP_PROBS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
MNIST = {"data": "mnist_10k", "train": 1000, "label_noise": 0.0}
FASHION = {"data": "fashion_10k", "train": 1000, "label_noise": 0.3}
TITLES = {
    "mnist": "MNIST",
    "mnist_10k": "MNIST",
    "fashion_mnist": "Fashion-MNIST,\n30% random labels",
    "fashion_10k": "Fashion-MNIST,\n30% random labels",
}
# A small keep_prob needs smaller steps, and the constraint that the paper's nets have: without, it does not learn at all.
RECIPES = [
    {"learning_rate": 0.1},
    {"learning_rate": 0.03, "max_norm": 1.0},
    {"learning_rate": 0.05, "max_norm": 0.7},
    {"learning_rate": 0.2},
    {"learning_rate": 0.4},
]
ALL_OF_MNIST = {"data": "mnist", "train": 50_000, "label_noise": 0.0}
AT_PAPER_SCALE: Mapping[str, Any] = {
    "recipe": {"epochs": 100, "batch_size": 128},
    "candidates": [
        {"learning_rate": 0.1, "max_norm": 2.0},
        {"learning_rate": 0.03, "max_norm": 1.0},
    ],
    "tuning": {"together": False, "tuning_seeds": 1},
}


def arms(config: Mapping[str, Any]) -> Iterator[Arm]:
    for data, seeds in config["data"]:
        for keep_prob in config.get("keep_probs", KEEP_PROBS):
            settings = {**data, "keep_prob": keep_prob, "sizes": config["sizes"], "recipe": config["recipe"]}
            yield tuned(settings, config["candidates"], seeds, **config.get("tuning", {}))


def judge(table: pd.DataFrame) -> list[Finding]:
    table = table[table["data"].isin(["mnist", "mnist_10k"])]

    def compared(first: float, second: float, column: str = "test_error") -> Evidence:
        return difference(table, column, {"keep_prob": first}, {"keep_prob": second})

    return [
        Finding.higher(
            "At keep_prob 0.1 the test error is higher than at 0.5.",
            compared(0.1, 0.5),
            "higher",
            primary="The paper says that the error rises at small keep probabilities: any rise agrees.",
        ),
        Finding.higher(
            "At keep_prob 0.1 the training error is higher than at 0.5, too: the network underfits.",
            compared(0.1, 0.5, "train_error"),
            "higher",
        ),
        Finding.higher("Without dropout the test error is higher than at 0.5.", compared(1.0, 0.5), "higher"),
        Finding(
            "From 0.4 to 0.8 the test error is flat: its ends differ by less than half a point.",
            "flat",
            compared(0.4, 0.8),
            within=(-0.005, 0.005),
            primary="The paper calls the curve flat there; half a point is 20 of the 4,000 test digits.",
        ),
    ]


def draw(table: pd.DataFrame) -> Figure:
    errors = {
        kind: {
            TITLES[str(data)]: {
                "dropout": rows.pivot(index="keep_prob", columns="seed", values=f"{kind}_error").to_numpy()
            }
            for data, rows in table.groupby("data", sort=False)
        }
        for kind in ("test", "train")
    }
    return figures.sweep_panels(
        errors["test"],
        dict.fromkeys(errors["test"], sorted(table["keep_prob"].unique())),
        dashed=errors["train"],
        x_label="keep_prob of the hidden units",
        y_label="test error (%)",
        y_max=45,
    )


EXPERIMENT = Experiment(
    title="Figure 9a: error against keep_prob at a fixed number of units",
    source="Srivastava et al. 2014, Figure 9a",
    claim="With the number of units fixed, the test error is flat for keep probabilities of 0.4 to 0.8, and higher at both ends.",
    reported=[Reported("where the test error is flat", "0.4 <= p <= 0.8", "Figure 9a")],
    scales={
        "lecture": {
            "data": [[MNIST, 5]],
            "sizes": [784, 128, 128, 10],
            "recipe": {"epochs": 30},
            "candidates": RECIPES[:1],
        },
        "workstation": {
            "data": [[MNIST, 10], [FASHION, 5]],
            "sizes": [784, 256, 256, 10],
            "recipe": {"epochs": 60},
            "candidates": RECIPES,
        },
        "paper": {
            "data": [[ALL_OF_MNIST, 5]],
            "keep_probs": [0.1, 0.4, 0.5, 0.8, 1.0],
            "sizes": [784, 2048, 2048, 2048, 10],
            **AT_PAPER_SCALE,
        },
    },
    arms=arms,
    compute=train,
    compute_together=train_together,
    judge=judge,
    draw=draw,
    remark=(
        "The paper trains 784-2048-2048-2048-10 on all of MNIST; here two layers of 256 units see 1000 images, so that errors "
        "are several times as large and the gain from dropout is, too. Each keep_prob has its own learning rate and max-norm "
        "radius, the best of the same five on validation images: with one recipe for all, the smallest keep_prob would not "
        "underfit but fail to train. Fashion-MNIST with 30% random labels is an addition and not part of the verdict. 'Flat' is "
        "judged at a width of half a point: differences below it are not resolved."
    ),
    remark_at_scale="The network is the paper's, and so are the images, but for 10,000 that choose between two candidates.",
)
