"""Warde-Farley et al. 2013: all subnetworks of small networks, averaged; and dropout's noise without its objective."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure

from dropout_lessons import datasets, figures, runtime
from dropout_lessons.averaging import exact_average, weight_scaling
from dropout_lessons.calibration import error, nll
from dropout_lessons.claims import Evidence, paired
from dropout_lessons.datasets import Split
from dropout_lessons.ensembles import fit_ensemble
from dropout_lessons.experiments import Arm, Experiment, Finding, Reported, Row, Unit
from dropout_lessons.experiments.boosting import DropoutBoosting
from dropout_lessons.experiments.tables import difference
from dropout_lessons.networks import MLP
from dropout_lessons.training import Recipe, evaluate, fit

KEEP: Mapping[str, Any] = {"keep_prob": 0.5, "input_keep_prob": 0.8}
BOOSTING = ("plain", "dropout boosting", "dropout")


def arms(config: Mapping[str, Any]) -> Iterator[Arm]:
    small = config["averages"]
    settings = {name: small[name] for name in ("data", "train", "test", "hidden", "recipe")}
    # A subnetwork's normalizer, its reciprocal and its logarithm take about as long as 200 multiply-adds.
    subnetworks = 200 * 2 ** sum(small["hidden"])
    for task in small["tasks"]:
        work = small["test"] * subnetworks
        yield Arm({"part": "averages", "task": task, **settings}, range(config["seeds"]), work=work)

    large = config["boosting"]
    settings = {name: large[name] for name in ("data", "train", "sizes", "recipe")}
    weights = sum(inputs * outputs for inputs, outputs in pairwise(large["sizes"]))
    work = 3 * large["train"] * large["recipe"]["epochs"] * weights
    candidates = [{"learning_rate": rate} for rate in large["learning_rates"]]
    for arm in BOOSTING:
        settings_of_arm = {"part": "boosting", "arm": arm, **settings}
        yield Arm(settings_of_arm, range(config["seeds"]), candidates, together=False, work=work)


def compute(unit: Unit, device: torch.device) -> list[Row]:
    return _averages(unit, device) if unit["part"] == "averages" else _boosting(unit, device)


def _averages(unit: Unit, device: torch.device) -> list[Row]:
    train, test = _task(unit)
    sizes = [train.x.shape[1], *unit["hidden"], 2]
    network = MLP(sizes, keep_prob=0.5, generator=runtime.generator(unit.seed)).double().to(device)
    recipe = Recipe(**unit["recipe"], seed=unit.seed)
    fit(network, train, recipe, progress=False)
    x, y = test.x.to(device), test.y.to(device)
    every = exact_average(network, x, progress=False)
    assert every.member_log_probs is not None
    geometric = every.member_log_probs.log_softmax(1)
    answers = {
        "arithmetic": every.log_probs,
        "geometric": geometric,
        "weight scaling": weight_scaling(network, x).log_probs,
    }
    return [
        {
            "arm": "dropout",
            "rule": rule,
            "members": every.members if rule != "weight scaling" else 1,
            "test_error": error(log_probs.exp(), y),
            "test_nll": nll(log_probs, y),
            "kl_from_geometric": (geometric.exp() * (geometric - log_probs)).sum(1).mean().item(),
        }
        for rule, log_probs in answers.items()
    ]


def _task(unit: Unit) -> tuple[Split, Split]:
    """Training and test examples of one task: two digits, or points inside and outside of the diamond |x| + |y| < 1."""
    sizes = (unit["train"], unit["test"])
    if unit["task"] == "diamond":
        generator = runtime.generator(unit.seed)
        points = [2 * torch.rand(n, 2, generator=generator, dtype=torch.float64) - 1 for n in sizes]
        train, test = (Split(x, (x.abs().sum(1) < 1).long()) for x in points)
        return train, test
    pair = [int(digit) for digit in unit["task"].split(" or ")]
    data = datasets.load(unit["data"], seed=unit.seed)

    def only(split: Split, n: int) -> Split:
        chosen = torch.isin(split.y, torch.tensor(pair)).nonzero()[:n, 0]
        return Split(split.x[chosen].double(), (split.y[chosen] == pair[1]).long())

    return only(data.train, sizes[0]), only(data.test, sizes[1])


def _boosting(unit: Unit, device: torch.device) -> list[Row]:
    data = datasets.load(unit["data"], train=unit["train"], seed=unit.seed).to(device)
    keep: Mapping[str, Any] = {} if unit["arm"] == "plain" else KEEP
    network = MLP(unit["sizes"], generator=runtime.generator(unit.seed), **keep).to(device)
    recipe = Recipe(**unit["recipe"], learning_rate=unit["learning_rate"], seed=unit.seed)
    trained = DropoutBoosting(network) if unit["arm"] == "dropout boosting" else network
    (history,) = fit_ensemble([trained], data, recipe, progress=False)
    row: Row = {"train_error": history.train_error[-1], "validation_error": history.validation_error[-1]}
    if unit["stage"] == "report":
        score = evaluate(network, data.test)
        row |= {"test_error": score.error, "test_nll": score.loss}
    return [row]


def judge(table: pd.DataFrame) -> list[Finding]:
    def compared(rule: str, control: str, column: str = "test_error", unit: str = "percentage points") -> Evidence:
        over_tasks = table[table.part == "averages"].groupby(["rule", "seed"])[column].mean()
        return paired(over_tasks[rule].to_numpy(), over_tasks[control].to_numpy(), unit=unit)

    def boosted(arm: str, control: str) -> Evidence:
        rows = table[table.part == "boosting"]
        return difference(rows, "test_error", arm, control)

    return [
        Finding(
            "The geometric and the arithmetic mean of all subnetworks make as many errors, within a point.",
            "no systematic difference",
            compared("geometric", "arithmetic"),
            within=(-0.01, 0.01),
        ),
        Finding(
            "Weight scaling makes as many errors as the geometric mean of all subnetworks, within half a point.",
            "nearly the same",
            compared("weight scaling", "geometric"),
            within=(-0.005, 0.005),
            primary="The paper calls the errors nearly the same; half a point is 1 of the 200 test examples of a task.",
        ),
        Finding.lower(
            "Weight scaling is closer to the geometric mean than the arithmetic mean is, in KL divergence.",
            compared("weight scaling", "arithmetic", "kl_from_geometric", "nats"),
            "an approximation of the geometric mean",
        ),
        Finding.higher(
            "Dropout boosting makes more errors than dropout.", boosted("dropout boosting", "dropout"), "more"
        ),
        Finding(
            "Dropout boosting makes as many errors as no dropout, within half a point.",
            "almost no regularization",
            boosted("dropout boosting", "plain"),
            within=(-0.005, 0.005),
            primary="The paper says that it hardly regularizes; half a point is 20 of the 4,000 test digits.",
        ),
    ]


def draw(table: pd.DataFrame) -> Figure:
    rows = table[table.part == "averages"]
    losses = rows.groupby(["rule", "task"]).test_nll.mean()
    return figures.agreement(
        losses["geometric"].tolist(),
        {"arithmetic mean": losses["arithmetic"].tolist(), "weight scaling": losses["weight scaling"].tolist()},
        label="geometric mean, exact (nats)",
        axis="test loss (nats)",
    )


_AVERAGES: dict[str, Any] = {
    "data": "mnist_10k",
    "tasks": ["1 or 7", "3 or 5", "3 or 8", "4 or 9", "5 or 6", "7 or 9", "diamond"],
    "train": 1000,
    "test": 200,
    "hidden": [10, 10],
    "recipe": {"epochs": 60},
}
_BOOSTING: dict[str, Any] = {
    "data": "mnist_10k",
    "train": 1000,
    "sizes": [784, 256, 256, 10],
    "recipe": {"epochs": 60},
    "learning_rates": [0.03, 0.1, 0.3],
}

EXPERIMENT = Experiment(
    title="All subnetworks of small networks, and dropout's noise without its objective",
    source="Warde-Farley et al. 2013",
    claim="The geometric and the arithmetic mean of all subnetworks are about as good, and weight scaling is close to the "
    "geometric one. Masks without the objective that each subnetwork be right by itself, dropout boosting, hardly regularize.",
    reported=[
        Reported("geometric against arithmetic mean of 2^20 subnetworks", "no systematic difference", "Section 4"),
        Reported("weight scaling against the exhaustive geometric mean", "nearly the same error", "Section 4"),
        Reported("dropout boosting", "almost no regularization", "Section 6"),
    ],
    scales={
        "lecture": {
            "averages": {
                **_AVERAGES,
                "tasks": ["3 or 5", "4 or 9", "diamond"],
                "train": 500,
                "test": 100,
                "hidden": [8, 8],
            },
            "boosting": {
                **_BOOSTING,
                "train": 500,
                "sizes": [784, 64, 64, 10],
                "recipe": {"epochs": 30},
                "learning_rates": [0.05, 0.2],
            },
            "seeds": 5,
        },
        "workstation": {"averages": _AVERAGES, "boosting": _BOOSTING, "seeds": 10},
        "paper": {
            "averages": {**_AVERAGES, "data": "mnist", "train": 10_000, "test": 1500},
            "boosting": {
                "data": "mnist",
                "train": 50_000,
                "sizes": [784, 1200, 1200, 10],
                "recipe": {"epochs": 200, "momentum": 0.95, "max_norm": 2.0},
                "learning_rates": [0.01, 0.03, 0.1, 0.3],
            },
            "seeds": 5,
        },
    },
    origin="other",
    arms=arms,
    compute=compute,
    judge=judge,
    draw=draw,
    remark="The paper tunes each of its small networks; here they share one recipe, since it is averages of one network that "
    "are compared. The tasks are fewer and are this course's choice, but for the diamond. Two outputs with a softmax stand "
    "for the paper's sigmoid, which changes nothing. For boosting, each arm's learning rate is chosen on validation data. It "
    "came out worse than no dropout; whether by more than half a point, ten seeds leave open.",
)
