"""Convolutional networks that experiments share: dropout on images, on feature maps, on hidden units."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn

from dropout_lessons import datasets, figures, runtime
from dropout_lessons.datasets import Dataset
from dropout_lessons.experiments.arms import Arm, Row, Unit
from dropout_lessons.experiments.findings import Finding
from dropout_lessons.experiments.tables import difference
from dropout_lessons.experiments.tuning import OF_NETWORK, train_each, tuned
from dropout_lessons.layers import DropBlock, Dropout, SpatialDropout
from dropout_lessons.networks import ConvNet

__all__ = [
    "MASKS",
    "PAPER_NET",
    "build",
    "draw_placements",
    "multiplications",
    "placement_arms",
    "placement_findings",
    "shrunk",
    "train_conv_nets",
]

#: What is dropped of a feature map, by name.
MASKS: dict[str, Callable[[float], nn.Module]] = {
    "entries": Dropout,
    "channels": SpatialDropout,
    "blocks": lambda keep_prob: DropBlock(keep_prob, block_size=3),
}


def shrunk(data: Dataset, by: int = 2) -> Dataset:
    """The same images at half the height and width, each pixel the mean of four; or ``by`` times as small.

    Example:
        >>> shrunk(datasets.load("mnist_10k", train=10))
        Dataset('mnist_10k': 10 training, 1000 validation, 4000 test; 14 x 14 pixels, 10 classes)
    """
    *channels, height, width = data.image_shape

    def pooled(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return F.avg_pool2d(x.view(len(x), -1, height, width), by).flatten(1), y

    return data.map(pooled, image_shape=(*channels, height // by, width // by))


def build(unit: Unit, candidate: Mapping[str, Any], image_shape: tuple[int, ...], n_classes: int) -> ConvNet:
    """The untrained network of a unit's candidate; with the seed, all have the same initial weights."""
    chosen = {**unit.settings, **candidate}
    return ConvNet(
        image_shape,
        n_classes,
        channels=unit["channels"],
        hidden=unit["hidden"],
        **{name: chosen[name] for name in OF_NETWORK if name in chosen},
        conv_dropout=MASKS[chosen.get("masks", "entries")],
        generator=runtime.generator(unit.seed),
    )


def train_conv_nets(unit: Unit, device: torch.device) -> list[Row]:
    """Train a unit's candidates, one after the other: rows as those of ``tuning.train``.

    The unit has the settings ``data``, ``train``, ``channels``, ``hidden``, ``recipe``, ``stage`` and ``candidates``; perhaps
    ``shrink`` for smaller images, ``standardize``, ``masks``, and keep probabilities by the names that ``ConvNet`` gives them.
    """
    data = datasets.load(
        unit["data"], train=unit["train"], seed=unit.seed, standardize=unit.settings.get("standardize", False)
    ).to(device)
    if unit.settings.get("shrink", False):
        data = shrunk(data)
    return train_each(unit, data, lambda candidate: build(unit, candidate, data.image_shape, data.n_classes))


def multiplications(image_shape: tuple[int, ...], settings: Mapping[str, Any]) -> float:
    """How many a forward pass of one example takes.

    Example:
        >>> multiplications((14, 14), {"channels": [], "hidden": [100]})  # 196 x 100, and 100 x 10 of the output
        20600.0
    """
    network = ConvNet(image_shape, channels=settings["channels"], hidden=settings["hidden"])
    total = 0.0

    def count(module: nn.Module, inputs: Any, output: Tensor) -> None:
        nonlocal total
        assert isinstance(module, (nn.Conv2d, nn.Linear))
        total += module.weight.numel() * math.prod(output.shape[2:])  # each kernel once for every pixel

    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(count)
    network(torch.zeros(1, math.prod(image_shape)))
    return total


#: The paper's network for color images of 32 x 32 pixels, and how it is trained here.
PAPER_NET: dict[str, Any] = {
    "standardize": True,
    "channels": [96, 128, 256],
    "hidden": [2048, 2048],
    "recipe": {"epochs": 100, "momentum": 0.95, "max_norm": 4.0},
    "candidates": [{"learning_rate": 0.01}, {"learning_rate": 0.003}],
    "seeds": 5,
}
_PAPER_ARMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "hidden units": {"keep_prob": [0.5, 0.5]},
    "everywhere": {"input_keep_prob": 0.9, "conv_keep_prob": [0.75, 0.75, 0.5], "keep_prob": [0.5, 0.5]},
}


def placement_arms(config: Mapping[str, Any]) -> Iterator[Arm]:
    """Arms of Tables 3 and 4: dropout in no layer, on the hidden units, and in all layers."""
    shared = {name: config[name] for name in ("data", "train", "standardize", "channels", "hidden", "recipe")}
    weights = multiplications((3, 32, 32), config)
    for arm, keep_probs in _PAPER_ARMS.items():
        settings = {"arm": arm, **keep_probs, **shared}
        yield tuned(settings, config["candidates"], config["seeds"], weights=weights)


def placement_findings(table: pd.DataFrame, hidden: str, everywhere: str) -> list[Finding]:
    """What Tables 3 and 4 say of dropout on the hidden units and everywhere, with the paper's values."""
    return [
        Finding.lower(
            "Dropout on the hidden units lowers the error.",
            difference(table, "test_error", "hidden units", "plain"),
            hidden,
            primary="The paper says that it lowers the error: any lowering agrees.",
        ),
        Finding.lower(
            "Dropout in all layers lowers the error further.",
            difference(table, "test_error", "everywhere", "hidden units"),
            everywhere,
            primary="The paper says that it lowers it further: any lowering agrees.",
        ),
    ]


def draw_placements(table: pd.DataFrame) -> Figure:
    """Test errors of Tables 3 and 4, less that without dropout."""
    effects = {arm: difference(table, "test_error", arm, "plain") for arm in _PAPER_ARMS if arm != "plain"}
    return figures.interval_chart(effects, label="test error, minus plain (points)", scale=100.0)
