"""Figure 10: the gain from dropout against the number of training examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from dropout_lessons import figures
from dropout_lessons.claims import Evidence
from dropout_lessons.experiments.arms import Arm
from dropout_lessons.experiments.comparisons import TITLES
from dropout_lessons.experiments.experiment import Experiment
from dropout_lessons.experiments.findings import Finding, Reported
from dropout_lessons.experiments.tables import noting_ends, over_seeds
from dropout_lessons.experiments.tuning import train, train_together, tuned

FEW, BETWEEN = (100, 500), 1000  # training examples
ARMS: dict[str, dict[str, float]] = {"plain": {}, "dropout": {"keep_prob": 0.5, "input_keep_prob": 0.8}}


def arms(config: Mapping[str, Any]) -> Iterator[Arm]:
    for data, hidden, sizes, seeds in config["nets"]:
        for size in sizes:
            # As many updates for few examples as for many would take; else a small set is also trained for a short time.
            epochs = max(config["epochs"], round(config["least_updates"] / max(size / 100, 1)))
            epochs = min(epochs, round(config["most_updates"] / (size / 100)))
            for arm, keep_probs in ARMS.items():
                settings = {
                    "arm": arm,
                    "data": data,
                    "train": size,
                    "width": hidden[0],
                    "sizes": [784, *hidden, 10],
                    "recipe": {**config["recipe"], "epochs": epochs},
                }
                candidates = [{**keep_probs, "learning_rate": rate} for rate in config["learning_rates"]]
                yield tuned(settings, candidates, seeds, **config.get("tuning", {}))


def _errors(table: pd.DataFrame) -> pd.DataFrame:
    """Test errors with a row for each net, data size and seed, and a column for each arm."""
    errors = table.pivot(index=["data", "width", "train", "seed"], columns="arm", values="test_error")
    return errors.reindex(columns=list(ARMS))  # of a run that is not finished one may be missing


def _gain(table: pd.DataFrame) -> pd.DataFrame:
    """The share of the error that dropout takes away, of the widest net on MNIST: a row for each size, a column for each seed."""
    errors = _errors(table[table["data"].isin(["mnist", "mnist_10k"])])
    widest = errors.xs(errors.index.get_level_values("width").max(), level="width")
    gain: pd.DataFrame = (1 - widest["dropout"] / widest["plain"]).droplevel("data").unstack("seed")
    return gain.reindex(gain.index.union([*FEW, BETWEEN]))


def _widest(table: pd.DataFrame, sizes: Sequence[int]) -> pd.DataFrame:
    """The rows of the widest net on MNIST at these sizes."""
    digits = table[table["data"].isin(["mnist", "mnist_10k"])]
    rows: pd.DataFrame = digits[(digits["width"] == digits["width"].max()) & digits["train"].isin(sizes)]
    return rows


def judge(table: pd.DataFrame) -> list[Finding]:
    gain = _gain(table)
    smallest, between, largest = FEW[0], BETWEEN, int(gain.index.max())

    def change(first: int, second: int) -> Evidence:
        both = gain.T[[first, second]].dropna()
        evidence = over_seeds(table, both[first] - both[second], unit="percentage points")
        evidence = noting_ends(_widest(table, [first, second]), evidence)
        return replace(evidence, arms=(float(both[first].mean()), float(both[second].mean())))

    few = [
        Finding(
            f"With {size:,} examples dropout takes away less than 5% of the error.",
            "no gain",
            noting_ends(_widest(table, [size]), over_seeds(table, gain.T[size], unit="%")),
            below=0.05,
        )
        for size in FEW
    ]
    return [
        *few,
        Finding(
            f"The share of the error that dropout takes away is larger with {between:,} examples than with {smallest:,}.",
            "the gain rises",
            change(between, smallest),
            above=0,
            primary="The paper says that the gain rises with the number of examples: any rise agrees.",
        ),
        Finding(
            f"The share of the error that dropout takes away is smaller with {largest:,} examples than with {between:,}.",
            "then it declines",
            change(largest, between),
            below=0,
            primary="The paper says that it then declines: any decline agrees.",
        ),
    ]


def draw(table: pd.DataFrame) -> Figure:
    errors = _errors(table)
    panels, sizes = {}, {}
    for (data, width), found in errors.groupby(["data", "width"], sort=False):
        rows = found.droplevel(["data", "width"])
        title = f"{TITLES[str(data)]},\n{width} units a layer"
        panels[title] = {arm: rows[arm].unstack("seed").to_numpy() for arm in ARMS}
        sizes[title] = rows["plain"].unstack("seed").index.tolist()
    return figures.sweep_panels(
        panels, sizes, x_label="training examples (logarithmic)", y_label="test error (%)", logarithmic=True
    )


EXPERIMENT = Experiment(
    title="Figure 10: the gain from dropout against the number of training examples",
    source="Srivastava et al. 2014, Figure 10",
    claim="Dropout does not help with very few examples; then its gain rises with their number, up to a point, and declines.",
    reported=[
        Reported("gain with 100 and 500 examples", "none", "Figure 10"),
        Reported("gain with more examples", "rises, then declines", "Figure 10"),
    ],
    scales={
        "lecture": {
            "nets": [["mnist_10k", [128, 128], [100, 500, 1000, 2000], 5]],
            "epochs": 40,
            "least_updates": 200,
            "most_updates": 400,
            "learning_rates": [0.03, 0.1],
            "recipe": {},
        },
        "workstation": {
            "nets": [
                ["mnist_10k", [256, 256], [100, 200, 500, 1000], 10],
                ["mnist_10k", [256, 256], [2000, 5000], 5],
                ["mnist_10k", [1024, 1024], [100, 500], 10],
                ["mnist_10k", [1024, 1024], [1000, 5000], 5],
                ["fashion_10k", [256, 256], [100, 500, 1000, 2000, 5000], 5],
            ],
            "epochs": 60,
            "least_updates": 300,
            "most_updates": 1200,
            "learning_rates": [0.03, 0.1, 0.2],
            "recipe": {},
        },
        "paper": {
            "nets": [["mnist", [1024, 1024, 2048], [100, 500, 1000, 5000, 10_000, 50_000], 5]],
            "epochs": 100,
            "least_updates": 10_000,
            "most_updates": 40_000,
            "learning_rates": [0.03, 0.1, 0.2, 0.4],
            "recipe": {"max_norm": 2.0},
            "tuning": {"tuning_seeds": 1},
        },
    },
    arms=arms,
    compute=train,
    compute_together=train_together,
    judge=judge,
    draw=draw,
    version=2,
    remark="Two layers instead of three, and up to 5,000 images. The learning rate is tuned for every size and both arms; the "
    "keep probabilities are the paper's throughout. The rate matters: at one rate for all, dropout on clothes grew worse with "
    "more examples, since its training became unstable. Without dropout the highest rate is the best at many sizes on digits; "
    "one twice as high makes the widest network with dropout diverge, and is not among the candidates. Fashion-MNIST is an "
    "addition and not part of the verdict. Training sets of 5,000 are drawn from the 6,000 embedded images that are not for "
    "testing, so those of two seeds share most of their images.",
    remark_at_scale="The network is the paper's of Table 9, with max-norm of one radius in both arms, and its learning rate "
    "is tuned for every size and both arms. At the highest rate, networks with dropout got 7% or more of their training "
    "examples wrong, whatever the size. With all 50,000 digits Table 2 does find a gain: its networks without dropout have no "
    "max-norm, those with it more epochs.",
)
