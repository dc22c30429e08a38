"""Ten real networks against one with dropout: the average that the notes call much cheaper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure

from dropout_lessons import datasets, figures
from dropout_lessons.calibration import error, nll
from dropout_lessons.ensembles import fit_ensemble
from dropout_lessons.experiments.experiment import Experiment, Finding, Reported, Row, Unit
from dropout_lessons.experiments.tables import difference
from dropout_lessons.networks import MLP, evaluating
from dropout_lessons.training import Recipe

DROPOUT = {"input_keep_prob": 0.8, "keep_prob": 0.5}
NAMES = {"mnist_10k": "digits", "fashion_10k": "clothes", "mnist": "digits", "fashion_mnist": "clothes"}


def units(config: Mapping[str, Any], table: pd.DataFrame) -> Iterator[Unit]:
    settings = {name: config[name] for name in ("train", "sizes", "recipe", "members")}
    weights = sum(inputs * outputs for inputs, outputs in pairwise(config["sizes"]))
    work = config["train"] * config["recipe"]["epochs"] * weights * (config["members"] + 1)
    for data in config["data"]:
        for seed in range(config["seeds"]):
            yield Unit({"data": data, **settings}, seed, work)


def compute(unit: Unit, device: torch.device) -> list[Row]:
    data = datasets.load(unit["data"], train=unit["train"], seed=unit.seed).to(device)
    # Every member has initial weights and an order of its own; no two seeds share one.
    own = [unit["members"] * unit.seed + member for member in range(unit["members"])]
    arms: list[dict[str, Any]] = [*({} for _ in own), DROPOUT]
    seeds = [*own, own[0]]
    networks = [
        MLP(unit["sizes"], generator=torch.Generator().manual_seed(seed), **keep).to(device)
        for seed, keep in zip(seeds, arms, strict=True)
    ]
    recipes = [Recipe(**unit["recipe"], seed=seed) for seed in seeds]
    fit_ensemble(networks, data, recipes, evaluate_every=recipes[0].epochs, progress=False)
    probs = []
    for network in networks:
        with evaluating(network), torch.no_grad():
            probs.append(network(data.test.x).double().softmax(1))
    of_plain = torch.stack(probs[:-1])
    predictions = {"plain": of_plain[0], "ensemble": of_plain.mean(0), "dropout": probs[-1]}
    return [
        {
            "arm": arm,
            "networks": len(own) if arm == "ensemble" else 1,
            "test_error": error(p, y),
            "test_nll": nll(p.log(), y),
        }
        for y in (data.test.y,)
        for arm, p in predictions.items()
    ]


def judge(table: pd.DataFrame) -> list[Finding]:
    findings = []
    for data in table.data.unique():
        place, rows = f"on {NAMES[data]}", table[table.data == data]
        dropout, plain, ensemble = {"arm": "dropout"}, {"arm": "plain"}, {"arm": "ensemble"}
        findings += [
            Finding(
                f"One network with dropout makes fewer errors than one without, {place}.",
                "fewer",
                difference(rows, "test_error", dropout, plain, unit="percentage points"),
                below=0,
            ),
            Finding(
                f"It makes no more errors than the average of ten networks without, {place}.",
                "as good as averaging",
                difference(rows, "test_error", dropout, ensemble, unit="percentage points"),
                below=0.002,
            ),
            Finding(
                f"Its loss is no higher than that of the average of ten networks without, {place}.",
                "as good as averaging",
                difference(rows, "test_nll", dropout, ensemble, unit="nats"),
                below=0.01,
            ),
        ]
    return findings


def draw(table: pd.DataFrame) -> Figure:
    effects, colors = {}, {}
    for data in table.data.unique():
        rows = table[table.data == data]
        for arm, name in (("ensemble", "ten networks"), ("dropout", "one with dropout")):
            row = f"{NAMES[data]}: {name}"
            effects[row], colors[row] = difference(rows, "test_error", {"arm": arm}, {"arm": "plain"}), arm
    return figures.interval_chart(
        effects, label="test error, minus one plain network (points)", colors=colors, scale=100
    )


EXPERIMENT = Experiment(
    title="Ten networks against one with dropout",
    source="Srivastava et al. 2014, Section 1",
    claim="Dropout approximates an average of exponentially many networks, at the cost of one.",
    reported=[Reported("error of an ensemble of separate networks", "no number for digits", "Section 1")],
    scales={
        "lecture": {
            "data": ["mnist_10k"],
            "train": 1000,
            "sizes": [784, 128, 128, 10],
            "recipe": {"epochs": 60},
            "members": 10,
            "seeds": 5,
        },
        "workstation": {
            "data": ["mnist_10k", "fashion_10k"],
            "train": 1000,
            "sizes": [784, 256, 256, 10],
            "recipe": {"epochs": 60},
            "members": 10,
            "seeds": 10,
        },
        "paper": {
            "data": ["mnist", "fashion_mnist"],
            "train": 50_000,
            "sizes": [784, 1024, 1024, 2048, 10],
            "recipe": {"epochs": 200, "momentum": 0.95, "max_norm": 3.0},
            "members": 10,
            "seeds": 5,
        },
    },
    units=units,
    compute=compute,
    judge=judge,
    draw=draw,
    remark=(
        "The paper argues that training many large networks is too expensive, and gives no number for them on digits. All "
        "networks here have one width and one recipe; on clothes that recipe drops too much."
    ),
)
