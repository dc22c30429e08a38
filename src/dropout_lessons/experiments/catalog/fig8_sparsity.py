"""Figure 8: activations of the hidden units of an autoencoder, with dropout and without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from dropout_lessons import figures
from dropout_lessons.claims import paired, sampled
from dropout_lessons.experiments import Experiment, Finding, Reported, Row, Unit
from dropout_lessons.experiments.autoencoders import autoencoder_arms, trained_autoencoder
from dropout_lessons.experiments.catalog.fig7_features import EXPERIMENT as FIGURE_7
from dropout_lessons.experiments.tables import difference, values
from dropout_lessons.training import evaluate

EDGES = np.arange(0.0, 8.25, 0.25)


def compute(unit: Unit, device: torch.device) -> list[Row]:
    data, network, validation = trained_autoencoder(unit, device)
    with torch.no_grad():
        hidden = network.get_submodule("hidden1")(data.test.x)
    counts = torch.histc(hidden.clamp(max=EDGES[-1]), len(EDGES) - 1, min=EDGES[0], max=EDGES[-1])
    return [
        {
            "mean_activation": hidden.mean().item(),
            "active": (hidden > 0).double().mean().item(),
            "test_unexplained": evaluate(network, data.test, outputs="values").error,
            "validation_unexplained": validation,
            "histogram": " ".join(f"{count:.0f}" for count in counts.tolist()),
        }
    ]


def judge(table: pd.DataFrame) -> list[Finding]:
    means = {arm: values(table, "mean_activation", arm=arm) for arm in ("dropout", "plain")}
    return [
        Finding(
            "Without dropout the mean activation is about 2, between 1.4 and 2.8.",
            "about 2.0",
            sampled(means["plain"], over="seeds"),
            within=(1.4, 2.8),
        ),
        Finding.lower(
            "With dropout the mean activation is less than half as high.",
            replace(paired(means["dropout"], means["plain"] / 2), arms=None),
            "about 0.7 against 2.0",
            primary="Half is between no change and the paper's ratio, 0.7 to 2.0.",
            here=f"{means['plain'].mean():.2f} to {means['dropout'].mean():.2f}",
        ),
        Finding.lower(
            "With dropout units are less often active.",
            difference(table, "active", "dropout", "plain", unit="percentage points"),
            "a sharp peak at zero",
            primary="The paper says that fewer units are active: any decrease agrees.",
        ),
        Finding.lower(
            "So they are where the network without dropout reconstructs as badly.",
            difference(table, "active", "dropout", "stopped early", unit="percentage points"),
        ),
    ]


def draw(table: pd.DataFrame) -> Figure:
    arms = ("plain", "dropout")
    counts = {
        arm: sum(np.array(text.split(), dtype=float) for text in table.histogram[table.arm == arm]) for arm in arms
    }
    means = {arm: float(values(table, "mean_activation", arm=arm).mean()) for arm in arms}
    return figures.activation_histograms(counts, EDGES, means)


EXPERIMENT = Experiment(
    title="Figure 8: activations of an autoencoder's hidden units",
    source="Srivastava et al. 2014, Figure 8 and Section 7.2",
    claim="With dropout, activations of hidden units are sparse: fewer units are active, and the mean activation is lower.",
    reported=[
        Reported("mean activation, without dropout", "about 2.0", "Section 7.2"),
        Reported("mean activation, with dropout", "about 0.7", "Section 7.2"),
    ],
    scales=FIGURE_7.scales,
    arms=autoencoder_arms,
    compute=compute,
    judge=judge,
    draw=draw,
    remark="The networks of Figure 7. Activations are in no unit: halve the incoming weights, double the outgoing ones, and they "
    "halve while the network computes the same, so their mean says more about scales than about sparsity, and need not be the "
    "paper's. How often a unit is active does not depend on scales. The last statement is an addition: it compares at equal "
    "reconstruction error.",
)
