"""Dropout in the first steps only, where a small network underfits much data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor, nn

from dropout_lessons import figures
from dropout_lessons.claims import Evidence
from dropout_lessons.experiments import Arm, Experiment, Finding, Reported, Row, Unit
from dropout_lessons.experiments.comparisons import TITLES
from dropout_lessons.experiments.tables import difference
from dropout_lessons.experiments.tuning import fit_candidates, rows_of, tuned
from dropout_lessons.layers import Dropout, ScheduledDropout
from dropout_lessons.masks import sample_mask

ARMS = ("plain", "early dropout", "late dropout", "dropout")
WHEN = {"early dropout": "early", "late dropout": "late", "dropout": "all steps"}
PHASE = 1 / 6  # of all steps; the paper's is 50 of 300 epochs


class FadingDropout(nn.Module):
    """Dropout whose rate falls linearly from that of ``keep_prob`` at the first step to 0 at the last of some steps."""

    def __init__(self, keep_prob: float, steps: int) -> None:
        super().__init__()
        self.keep_prob, self.steps, self.step = keep_prob, steps, 0

    def forward(self, x: Float[Tensor, " ..."]) -> Float[Tensor, " ..."]:
        """Drop at the rate of this step, and count it."""
        if not self.training:
            return x
        keep_prob = 1 - (1 - self.keep_prob) * max(0.0, 1 - self.step / max(1, self.steps - 1))
        self.step += 1
        return x if keep_prob == 1 else x * sample_mask(x.shape, keep_prob, device=x.device) / keep_prob


ANY_GAIN = "The paper says that it lowers the loss that is reached, and the error: any lowering agrees."
LEARNING_RATES = [{"learning_rate": rate} for rate in (0.2, 0.1, 0.05)]


def arms(config: Mapping[str, Any]) -> Iterator[Arm]:
    for case in config["cases"]:
        for arm in ARMS:
            keep_prob = 1.0 if arm == "plain" else 0.9
            settings = {"data": case["data"], "train": case["train"], "arm": arm, "keep_prob": keep_prob}
            settings |= {"sizes": case["sizes"], "recipe": {"epochs": case["epochs"]}}
            yield tuned(settings, config["candidates"], case["seeds"])


def scheduled(keep_prob: float, *, arm: str, steps: int) -> nn.Module:
    """A dropout layer that is active in the steps of its arm, as the authors schedule it: early fades, late is constant."""
    phase = round(PHASE * steps)
    if arm == "early dropout":
        return FadingDropout(keep_prob, phase)
    return ScheduledDropout(Dropout(keep_prob), start=phase if arm == "late dropout" else 0)


def compute(unit: Unit, device: torch.device) -> list[Row]:
    steps = unit["recipe"]["epochs"] * math.ceil(unit["train"] / unit["recipe"].get("batch_size", 100))
    dropout = partial(scheduled, arm=unit["arm"], steps=steps)
    data, networks, histories = fit_candidates(unit, device, dropout=dropout)
    rows = rows_of(unit, data, networks, histories)
    return [{**row, "train_nll": history.train_loss[-1]} for row, history in zip(rows, histories, strict=True)]


def cases(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The reported rows of each case, by its title."""
    groups = table.groupby(["data", "train"], sort=False)
    return {f"{TITLES[str(data)]}, {train:,}": rows for (data, train), rows in groups}


def judge(table: pd.DataFrame) -> list[Finding]:
    findings = []
    for title, rows in cases(table).items():
        # The last case has most data for its network, as in the paper.
        why = ANY_GAIN if title == [*cases(table)][-1] else ""
        findings += [
            Finding.higher(
                f"{title} examples: dropout in all steps raises the training loss that is reached.",
                difference(rows, "train_nll", "dropout", "plain"),
                "ImageNet accuracy of ViT-T 73.9% to 67.9%",
            ),
            Finding.lower(
                f"{title} examples: early dropout lowers the training loss that is reached.",
                difference(rows, "train_nll", "early dropout", "plain"),
                "lower",
                primary=why,
            ),
            Finding.lower(
                f"{title} examples: early dropout lowers the test error.",
                difference(rows, "test_error", "early dropout", "plain"),
                "ImageNet accuracy of ViT-T 73.9% to 74.3%",
                primary=why,
            ),
            Finding.lower(
                f"{title} examples: early dropout has a lower test error than dropout in all steps.",
                difference(rows, "test_error", "early dropout", "dropout"),
                "accuracy 74.3% against 67.9%",
            ),
        ]
    return findings


def draw(table: pd.DataFrame) -> Figure:
    panels: dict[str, dict[str, Evidence]] = {"training loss": {}, "test error": {}}
    for title, rows in cases(table).items():
        for arm in WHEN:
            for panel, column in (("training loss", "train_nll"), ("test error", "test_error")):
                row = f"{title.replace('-MNIST', '')}: {WHEN[arm]}"
                panels[panel][row] = difference(rows, column, arm, "plain")
    labels = {"training loss": "minus no dropout\n(nats)", "test error": "minus no dropout\n(points)"}
    return figures.interval_panels(panels, labels=labels, scales={"test error": 100.0})


_SMALL = {"train": 5000, "sizes": [784, 32, 32, 10], "epochs": 8, "seeds": 20}

EXPERIMENT = Experiment(
    title="Early dropout: against underfitting",
    source="Liu, Xu, Jin, Shen and Darrell 2023, Dropout reduces underfitting",
    claim="Dropout in the first steps only lowers the final training loss and the test error of a network that underfits.",
    reported=[
        Reported("ImageNet accuracy of ViT-T without dropout", "73.9%", "the paper's table on early dropout"),
        Reported("same, early dropout", "74.3%", "the paper's table on early dropout"),
        Reported("same, standard dropout", "67.9%", "the paper's table on early dropout"),
    ],
    scales={
        "lecture": {"cases": [{"data": "fashion_10k", **_SMALL, "seeds": 5}], "candidates": LEARNING_RATES[1:2]},
        "workstation": {
            "cases": [
                {"data": "mnist_10k", **_SMALL},
                {"data": "fashion_10k", **_SMALL},
                {"data": "fashion_mnist", "train": 50_000, "sizes": [784, 32, 32, 10], "epochs": 3, "seeds": 10},
            ],
            "candidates": LEARNING_RATES,
        },
        "paper": {
            "cases": [
                {"data": data, "train": 50_000, "sizes": [784, 128, 128, 10], "epochs": 20, "seeds": 10}
                for data in ("mnist", "fashion_mnist")
            ],
            "candidates": LEARNING_RATES,
        },
    },
    origin="other",
    arms=arms,
    compute=compute,
    judge=judge,
    draw=draw,
    version=2,
    remark=(
        "The paper trains vision transformers for 300 epochs on ImageNet, where even small ones underfit for a long time. Here a "
        "perceptron with two layers of 32 units underfits for a few epochs. Its early phase is a sixth of the steps, in which "
        "the rate falls linearly to 0, as in the authors' code; but that is a few hundred steps at most, not tens of thousands, "
        "and its gradients are much less noisy; that early dropout makes gradients agree better with the whole data set's is "
        "the paper's explanation of the effect. Each arm has the best of three learning rates on validation images; keep_prob "
        "is 0.9, as in the paper. An earlier record cut the rate off where here it fades. The largest "
        "case is the full Fashion-MNIST. That early dropout costs much less than dropout in all steps "
        "came out in each case. At paper scale networks and data are larger, but they are "
        "not the paper's."
    ),
)
