"""Dropout in all steps but the first, where a network overfits few examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from dropout_lessons.experiments import Arm, Experiment, Finding, Reported
from dropout_lessons.experiments.catalog import early_dropout
from dropout_lessons.experiments.catalog.early_dropout import ARMS, WHEN
from dropout_lessons.experiments.comparisons import Against, difference_panels, findings_on_each
from dropout_lessons.experiments.tuning import tuned

BEATS = "The paper says that late dropout is better than dropout in all steps: any lowering agrees."


def arms(config: Mapping[str, Any]) -> Iterator[Arm]:
    shared = {name: config[name] for name in ("train", "sizes", "recipe")}
    for data in config["data"]:
        for arm in ARMS:
            candidates = config["rates"] if arm == "plain" else config["keep_probs"]
            yield tuned({"data": data, "arm": arm, **shared}, candidates, config["seeds"])


COMPARED = (
    Against(
        "late dropout",
        "dropout",
        "late dropout has a lower test error than dropout in all steps",
        "ImageNet accuracy of ViT-B 81.6% to 82.3%, stochastic depth",
        primary=BEATS,
    ),
    Against("late dropout", "plain", "late dropout lowers the test error", "lower"),
    Against("late dropout", "plain", "late dropout lowers the test loss", column="test_nll"),
    Against(
        "early dropout",
        "dropout",
        "early dropout has a higher test error than dropout in all steps",
        "early dropout is for networks that underfit",
        higher=True,
    ),
)


def judge(table: pd.DataFrame) -> list[Finding]:
    return findings_on_each(table, COMPARED)


def draw(table: pd.DataFrame) -> Figure:
    return difference_panels(table, WHEN, "plain", "no dropout")


_SHARED: dict[str, Any] = {
    "data": ["mnist_10k", "fashion_10k"],
    "train": 1000,
    "sizes": [784, 256, 256, 10],
    "recipe": {"epochs": 40},
    "rates": [{"learning_rate": rate} for rate in (0.2, 0.1, 0.05)],
    "keep_probs": [{"keep_prob": keep} for keep in (0.8, 0.65, 0.5)],
}

EXPERIMENT = Experiment(
    title="Late dropout: against overfitting, after a start without",
    source="Liu, Xu, Jin, Shen and Darrell 2023, Dropout reduces underfitting",
    claim="A network that overfits generalizes better with dropout in all steps but the first than with dropout in all.",
    reported=[
        Reported("ImageNet accuracy of ViT-B, stochastic depth in all steps", "81.6%", "the authors' README"),
        Reported("same, late stochastic depth", "82.3%", "the authors' README"),
    ],
    scales={
        "lecture": {
            **_SHARED,
            "data": ["mnist_10k"],
            "recipe": {"epochs": 10},
            "rates": _SHARED["rates"][1:2],
            "keep_probs": _SHARED["keep_probs"][1:2],
            "seeds": 5,
        },
        "workstation": {**_SHARED, "seeds": 10},
        "paper": {
            **_SHARED,
            "data": ["mnist", "fashion_mnist"],
            "train": 50_000,
            "sizes": [784, 1024, 1024, 10],
            "recipe": {"epochs": 100},
            "seeds": 5,
        },
    },
    origin="other",
    arms=arms,
    compute=early_dropout.compute,
    judge=judge,
    draw=draw,
    remark=(
        "The paper's late arm drops branches of vision transformers; here units of a perceptron are dropped, which learns 1,000 "
        "images by heart. The phase without dropout is the first sixth of the steps, as the paper's 50 of 300 epochs, and "
        "dropout is constant after it, as in the authors' code. Each way of dropping has the best of three keep probabilities, "
        "the network without dropout the best of three learning rates, on validation images."
    ),
)
