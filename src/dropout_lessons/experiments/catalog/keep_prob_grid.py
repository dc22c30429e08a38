"""How the best keep probability moves with the size of the data and of the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from dropout_lessons import datasets, figures, runtime
from dropout_lessons.claims import Evidence, paired
from dropout_lessons.ensembles import fit_ensemble
from dropout_lessons.experiments import Arm, Experiment, Finding, Reported, Row, Unit
from dropout_lessons.experiments.conv_nets import shrunk
from dropout_lessons.experiments.tables import difference
from dropout_lessons.networks import MLP
from dropout_lessons.training import Recipe, evaluate

KEEP_PROBS = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
CASES = list(product(("n", "p*n"), KEEP_PROBS))  # what is held, at which keep_prob
SHARED = 0.5  # the keep_prob at which a layer has as many units whether n is held or p*n


def hidden_units(width: int, keep_prob: float, held: str) -> int:
    """Units of a hidden layer: ``width`` at every keep_prob, or as many as leave ``width / 2`` on average."""
    return width if held == "n" else round(SHARED * width / keep_prob)


def arms(config: Mapping[str, Any]) -> Iterator[Arm]:
    batch_size = Recipe().batch_size
    for train in config["trains"]:
        # As many steps, not as many epochs: otherwise few examples would also mean little training.
        recipe = {"epochs": config["steps"] * batch_size // train}
        for width in config["widths"]:
            shared = {"data": config["data"], "pool": config["pool"]}
            settings = {**shared, "train": train, "width": width, "recipe": recipe}
            inputs = (28 // config["pool"]) ** 2
            sizes = (hidden_units(width, keep_prob, held) for held, keep_prob in CASES)
            weights = sum(inputs * n + n * n + 10 * n for n in sizes)
            yield Arm(settings, range(config["seeds"]), work=float(train * recipe["epochs"] * weights))


def compute(unit: Unit, device: torch.device) -> list[Row]:
    data = shrunk(datasets.load(unit["data"], train=unit["train"], seed=unit.seed), unit["pool"]).to(device)
    inputs = data.train.x.shape[1]
    recipe = Recipe(**unit["recipe"], seed=unit.seed)
    networks: dict[tuple[float, int], MLP] = {}
    for held, keep_prob in CASES:
        n = hidden_units(unit["width"], keep_prob, held)
        if (keep_prob, n) not in networks:  # at SHARED the two are one network
            start = runtime.generator(unit.seed)
            network = MLP([inputs, n, n, data.n_classes], keep_prob=keep_prob, generator=start)
            networks[keep_prob, n] = network.to(device)
    fitted = fit_ensemble(list(networks.values()), data, recipe, progress=False)
    histories = dict(zip(networks, fitted, strict=True))
    rows = []
    for held, keep_prob in CASES:
        key = keep_prob, hidden_units(unit["width"], keep_prob, held)
        row: Row = {"held": held, "keep_prob": keep_prob, "units": key[1]}
        row["train_error"] = histories[key].train_error[-1]
        row["validation_error"] = histories[key].validation_error[-1]
        row["test_error"] = evaluate(networks[key], data.test).error
        rows.append(row)
    return rows


def judge(table: pd.DataFrame) -> list[Finding]:
    fixed = table[table.held == "n"]
    widths, trains = sorted(fixed.width.unique().tolist()), sorted(fixed.train.unique().tolist())

    def best(rows: pd.DataFrame, column: str) -> pd.Series[float]:
        """For each seed, the keep_prob of the lowest test error, on average over the values of another column."""
        lowest = rows.loc[rows.groupby(["seed", column]).test_error.idxmin()]
        return lowest.groupby("seed").keep_prob.mean()

    def moved(by: str, over: str, low: int, high: int) -> Evidence:
        return paired(best(fixed[fixed[by] == high], over).to_numpy(), best(fixed[fixed[by] == low], over).to_numpy())

    mean = table.groupby(["held", "keep_prob", "seed"])["test_error"].mean().reset_index()
    widest = fixed[fixed.width == widths[-1]].groupby(["keep_prob", "seed"])["test_error"].mean().reset_index()
    return [
        Finding.lower(
            f"With {widths[-1]} units in a layer the best keep_prob is lower than with {widths[0]}.",
            moved("width", "train", widths[0], widths[-1]),
            "a smaller p requires a larger n",
            primary="The paper says that a smaller p requires a larger n: any shift that way agrees.",
        ),
        Finding.higher(
            f"With {trains[-1]:,} examples the best keep_prob is higher than with {trains[0]:,}.",
            moved("train", "width", trains[0], trains[-1]),
        ),
        Finding.lower(
            f"At keep_prob {KEEP_PROBS[0]} the error is lower if p*n is held at its value for {SHARED} than if n is.",
            difference(mean[mean.keep_prob == KEEP_PROBS[0]], "test_error", {"held": "p*n"}, {"held": "n"}),
            "lower: from 2.7% to 1.7% at p = 0.1",
        ),
        Finding.lower(
            f"With {widths[-1]} units, keep_prob 0.5 makes fewer errors than no dropout.",
            difference(widest, "test_error", {"keep_prob": 0.5}, {"keep_prob": 1.0}),
            "fewer",
        ),
    ]


def draw(table: pd.DataFrame) -> Figure:
    def errors(train: int, width: int) -> Any:
        rows = table[(table.held == "n") & (table.train == train) & (table.width == width)]
        return rows.pivot(index="keep_prob", columns="seed", values="test_error").to_numpy()

    return figures.keep_prob_panels(
        {
            f"{train:,} examples": {f"{width} units": errors(train, width) for width in np.unique(table.width).tolist()}
            for train in np.unique(table.train).tolist()
        },
        KEEP_PROBS,
    )


_DIGITS = {"data": "mnist_10k", "pool": 2, "steps": 600, "seeds": 5}

EXPERIMENT = Experiment(
    title="The best keep_prob, as data and network grow",
    source="Srivastava et al. 2014, Figures 9 and 10 and Appendix A.4",
    claim="The best keep probability depends on the number of units: a smaller one needs more of them.",
    reported=[
        Reported("how p depends on n", "smaller p requires a larger n", "Appendix A.4"),
        Reported("test error at p = 0.1, with n fixed and with p*n fixed", "2.7% and 1.7%", "Figure 9"),
    ],
    scales={
        "lecture": {**_DIGITS, "trains": [200, 1000], "widths": [32, 64]},
        "workstation": {**_DIGITS, "trains": [200, 1000, 4000], "widths": [64, 128, 256]},
        "paper": {
            "data": "mnist",
            "pool": 1,
            "trains": [1000, 10_000, 50_000],
            "widths": [512, 1024, 2048],
            "steps": 100_000,
            "seeds": 5,
        },
    },
    arms=arms,
    compute=compute,
    judge=judge,
    draw=draw,
    remark=(
        "A study of this course around the paper's Figure 9: two hidden layers instead of three, digits shrunk to 14 by 14 "
        "pixels, and a number of steps that is the same for all. The paper has no sweep of p over data sizes."
    ),
)
