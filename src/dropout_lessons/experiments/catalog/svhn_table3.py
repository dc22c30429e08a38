"""Table 3: a convolutional network on street view house numbers, with dropout in none, some and all of its layers."""

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
    return placement_findings(table, "3.95% to 3.02%", "3.02% to 2.55%")


EXPERIMENT = Experiment(
    title="Table 3: SVHN, dropout in none, some and all layers",
    source="Srivastava et al. 2014, Table 3 and Section 6.1.2",
    claim="Dropout in the fully connected layers lowers the error of a convolutional network, and in all layers further.",
    reported=[
        Reported("test error, no dropout", "3.95%", "Table 3"),
        Reported("test error, dropout in the fully connected layers", "3.02%", "Table 3"),
        Reported("test error, dropout in all layers", "2.55%", "Table 3"),
    ],
    scales={"paper": {"data": "svhn", "train": 67_257, **PAPER_NET}},
    arms=placement_arms,
    compute=train_conv_nets,
    judge=judge,
    draw=draw_placements,
    remark=(
        "The paper trains on about 600,000 images, most of them from SVHN's extra set; this experiment on the training set "
        "alone, so that its errors will be higher. Each arm has the better of two learning rates on validation images."
    ),
    not_run=(
        "SVHN is not part of the package (246 MB) and the paper's network is too large for a processor without a GPU. "
        "`dropout-lessons experiments run svhn_table3 --scale paper --device cuda` downloads the data, verifies them, and "
        "trains it."
    ),
)
