"""Where in a convolutional network: on hidden units, on single entries of feature maps, on channels, on blocks, or everywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from dropout_lessons.experiments import Arm, Experiment, Finding, Reported
from dropout_lessons.experiments.comparisons import Against, error_panels, findings_on_each
from dropout_lessons.experiments.conv_nets import multiplications, train_conv_nets
from dropout_lessons.experiments.tuning import tuned

# What is dropped, and three candidates each: as many learning rates for the network without dropout.
_CONV = [{"conv_keep_prob": keep} for keep in (0.95, 0.9, 0.8)]
ARMS: dict[str, tuple[str, list[dict[str, float]]]] = {
    "plain": ("entries", [{"learning_rate": rate} for rate in (0.1, 0.05, 0.02)]),
    "hidden units": ("entries", [{"keep_prob": keep} for keep in (0.75, 0.5, 0.25)]),
    "entries of maps": ("entries", _CONV),
    "channels of maps": ("channels", _CONV),
    "blocks of maps": ("blocks", _CONV),
    "everywhere": (
        "entries",
        [
            {"input_keep_prob": 0.95, "conv_keep_prob": 0.95, "keep_prob": 0.75},
            {"input_keep_prob": 0.95, "conv_keep_prob": 0.9, "keep_prob": 0.5},
            {"input_keep_prob": 0.9, "conv_keep_prob": 0.8, "keep_prob": 0.5},
        ],
    ),
}


FURTHER = "The paper says that dropout in the convolutional layers helps further: any lowering agrees."


def arms(config: Mapping[str, Any]) -> Iterator[Arm]:
    shared = {name: config[name] for name in ("train", "shrink", "channels", "hidden", "recipe")}
    weights = multiplications((14, 14) if config["shrink"] else (28, 28), config)
    for data in config["data"]:
        for arm, (masks, candidates) in ARMS.items():
            settings = {"data": data, "arm": arm, "masks": masks, **shared}
            chosen = candidates if config["tune"] else candidates[1:2]
            yield tuned(settings, chosen, config["seeds"], weights=weights)


COMPARED = (
    Against("hidden units", "plain", "dropout on the hidden units lowers the error", "SVHN: 3.95% to 3.02%"),
    Against(
        "entries of maps",
        "plain",
        "dropout on single entries of the feature maps lowers the error",
        "helps in convolutional layers, too",
    ),
    Against(
        "everywhere",
        "hidden units",
        "dropout everywhere has a lower error than on the hidden units alone",
        "SVHN: 3.02% to 2.55%",
        primary=FURTHER,
    ),
    Against(
        "channels of maps",
        "entries of maps",
        "dropping whole channels has a lower error than dropping single entries",
        "better (Tompson et al. 2015)",
        origin="other",
    ),
    Against(
        "blocks of maps",
        "entries of maps",
        "dropping blocks has a lower error than dropping single entries",
        "better (Ghiasi et al. 2018)",
        origin="other",
    ),
)


def judge(table: pd.DataFrame) -> list[Finding]:
    return findings_on_each(table, COMPARED)


def draw(table: pd.DataFrame) -> Figure:
    return error_panels(table, ARMS, "plain")


_SHARED: dict[str, Any] = {
    "data": ["mnist_10k", "fashion_10k"],
    "train": 1000,
    "shrink": True,
    "channels": [16, 32],
    "hidden": [256],
    "recipe": {"epochs": 40, "learning_rate": 0.05},
    "tune": True,
    "seeds": 10,
}

EXPERIMENT = Experiment(
    title="Placement: where dropout helps in a convolutional network",
    source="Srivastava et al. 2014, Section 6.1.2 and Table 3; Tompson et al. 2015; Ghiasi et al. 2018",
    claim="Dropout in the fully connected layers helps a convolutional network; in the convolutional layers it helps further.",
    reported=[
        Reported("SVHN test error, no dropout", "3.95%", "Table 3"),
        Reported("SVHN test error, dropout in the fully connected layers", "3.02%", "Table 3"),
        Reported("SVHN test error, dropout in all layers", "2.55%", "Table 3"),
    ],
    scales={
        "lecture": {
            **_SHARED,
            "data": ["mnist_10k"],
            "train": 500,
            "channels": [8, 16],
            "hidden": [128],
            "recipe": {"epochs": 60, "learning_rate": 0.05},
            "tune": False,
            "seeds": 5,
        },
        "workstation": _SHARED,
        "paper": {
            **_SHARED,
            "data": ["mnist", "fashion_mnist"],
            "train": 50_000,
            "shrink": False,
            "channels": [64, 128],
            "hidden": [1024],
            "recipe": {"epochs": 60, "learning_rate": 0.05},
        },
    },
    arms=arms,
    compute=train_conv_nets,
    judge=judge,
    draw=draw,
    remark=(
        "The paper's numbers are those of three convolutions and two hidden layers on about 600,000 color images of house "
        "numbers; here two convolutions and one hidden layer see 1000 gray images of 14 x 14 pixels. Each arm has the best of "
        "three candidates on validation images: keep probabilities where it drops, learning rates where it does not. Feature "
        "maps so small leave whole channels and blocks less of a case than the images that they were proposed for. On MNIST "
        "dropout in either place helps, and ten seeds do not show that in both it helps more; on Fashion-MNIST the "
        "combinations that were tried, of dropout everywhere, drop too much for the length of training. Channels are not seen "
        "to be better than single entries, where every layer has few of them."
    ),
)
