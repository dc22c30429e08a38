"""Table 4: a convolutional network on CIFAR-10, with dropout in none, some and all of its layers."""

from __future__ import annotations

import pandas as pd

from dropout_lessons.experiments import Experiment, Finding, Reported
from dropout_lessons.experiments.conv_nets import (
    PAPER_NET,
    draw_placements,
    placement_arms,
    placement_findings,
    train_conv_nets,
)


def judge(table: pd.DataFrame) -> list[Finding]:
    return placement_findings(table, "lower", "14.32% to 12.61%")


EXPERIMENT = Experiment(
    title="Table 4: CIFAR-10, dropout in none, some and all layers",
    source="Srivastava et al. 2014, Table 4 and Section 6.1.3",
    claim="Dropout in the fully connected layers lowers the error of a convolutional network, and in all layers further.",
    reported=[
        Reported("test error, dropout in the fully connected layers", "14.32%", "Table 4"),
        Reported("test error, dropout in all layers", "12.61%", "Table 4"),
    ],
    scales={"paper": {"data": "cifar10", "train": 40_000, **PAPER_NET}},
    arms=placement_arms,
    compute=train_conv_nets,
    judge=judge,
    draw=draw_placements,
    remark=(
        "The paper normalizes contrast and whitens the images before; here each pixel is standardized. Each arm has the better "
        "of two learning rates on validation images. CIFAR-100 is not part of it."
    ),
    not_run=(
        "CIFAR-10 is not part of the package (170 MB) and the paper's network is too large for a processor without a GPU. "
        "`dropout-lessons experiments run cifar10_table4 --scale paper --device cuda` downloads the data, verifies them, and "
        "trains it."
    ),
)
