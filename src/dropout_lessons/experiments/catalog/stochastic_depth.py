"""Stochastic depth: in a small residual network, dropping whole branches against dropping units in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor, nn

from dropout_lessons import datasets, runtime
from dropout_lessons.experiments import Arm, Experiment, Finding, Reported, Row, Unit
from dropout_lessons.experiments.arms import Candidate
from dropout_lessons.experiments.comparisons import Against, difference_panels, findings_on_each
from dropout_lessons.experiments.tuning import train_each, tuned
from dropout_lessons.layers import Dropout
from dropout_lessons.masks import sample_mask
from dropout_lessons.networks.mlp import HiddenLayer, initialize

ARMS = ("plain", "units", "branches")
LOWERS = "The paper says that it lowers the error of deep networks: any lowering agrees."


class DropPath(nn.Module):
    """Drop the whole branch of an example, or divide it by ``keep_prob``."""

    def __init__(self, keep_prob: float) -> None:
        super().__init__()
        self.keep_prob = keep_prob

    def forward(self, branch: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """Draw a coin for each example."""
        if not self.training or self.keep_prob == 1:
            return branch
        size = (len(branch), *(1,) * (branch.dim() - 1))
        return branch * sample_mask(size, self.keep_prob, device=branch.device) / self.keep_prob


class Block(nn.Module):
    """One residual block: the stream, and what a normalized hidden layer adds to it."""

    def __init__(self, width: int, units: float, branch: float, generator: torch.Generator) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.hidden = HiddenLayer(width, width, generator=generator)
        self.hidden_dropout = Dropout(units)
        self.back = nn.utils.skip_init(nn.Linear, width, width)
        initialize(self.back, generator)
        self.drop_path = DropPath(branch)

    def forward(self, x: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
        """Add the branch."""
        branch = self.back(self.hidden_dropout(self.hidden(self.norm(x))))
        added: Tensor = x + self.drop_path(branch)
        return added


def build(arm: str, keep_prob: float, *, width: int, depth: int, seed: int) -> nn.Sequential:
    """A residual network; branches are kept less often the deeper they are, the last with ``keep_prob``."""
    generator = runtime.generator(seed)
    first = HiddenLayer(784, width, generator=generator)
    blocks = []
    for i in range(1, depth + 1):
        units = keep_prob if arm == "units" else 1.0
        branch = 1 - i / depth * (1 - keep_prob) if arm == "branches" else 1.0
        blocks.append(Block(width, units, branch, generator))
    output = nn.utils.skip_init(nn.Linear, width, 10)
    initialize(output, generator)
    return nn.Sequential(first, *blocks, nn.LayerNorm(width), output)


def arms(config: Mapping[str, Any]) -> Iterator[Arm]:
    shared = {name: config[name] for name in ("train", "width", "depth", "recipe")}
    weights = 784 * config["width"] + 2 * config["depth"] * config["width"] ** 2
    for data in config["data"]:
        for arm in ARMS:
            candidates = config["rates"] if arm == "plain" else config["keep_probs"]
            yield tuned({"data": data, "arm": arm, **shared}, candidates, config["seeds"], weights=weights)


def compute(unit: Unit, device: torch.device) -> list[Row]:
    data = datasets.load(unit["data"], train=unit["train"], seed=unit.seed).to(device)

    def network_of(candidate: Candidate) -> nn.Module:
        keep_prob = candidate.get("keep_prob", 1.0)
        return build(unit["arm"], keep_prob, width=unit["width"], depth=unit["depth"], seed=unit.seed)

    return train_each(unit, data, network_of)


COMPARED = (
    Against("branches", "plain", "dropping branches lowers the error", "CIFAR-10: 6.41% to 5.25%", primary=LOWERS),
    Against("branches", "plain", "dropping branches lowers the loss", column="test_nll"),
    Against("units", "plain", "dropping units in the branches lowers the error"),
    Against("branches", "units", "branches have a lower error than units"),
)


def judge(table: pd.DataFrame) -> list[Finding]:
    return findings_on_each(table, COMPARED)


def draw(table: pd.DataFrame) -> Figure:
    return difference_panels(table, {arm: arm for arm in ARMS[1:]}, "plain", "plain")


_SHARED: dict[str, Any] = {
    "data": ["mnist_10k", "fashion_10k"],
    "train": 1000,
    "width": 64,
    "depth": 8,
    "recipe": {"epochs": 30, "optimizer": "adam", "learning_rate": 0.003},
    "rates": [{"learning_rate": rate} for rate in (0.01, 0.003, 0.001)],
    "keep_probs": [{"keep_prob": keep} for keep in (0.9, 0.7, 0.5)],
}

EXPERIMENT = Experiment(
    title="Stochastic depth: branches or units in a residual network",
    source="Huang et al. 2016, Deep networks with stochastic depth",
    claim="Dropping whole branches of a deep residual network, the deeper the more often, lowers its test error.",
    reported=[
        Reported("test error on CIFAR-10, 110 layers, constant depth", "6.41%", "Huang et al. 2016, Table 1"),
        Reported("same, stochastic depth", "5.25%", "Huang et al. 2016, Table 1"),
    ],
    scales={
        "lecture": {
            **_SHARED,
            "data": ["mnist_10k"],
            "depth": 4,
            "recipe": {**_SHARED["recipe"], "epochs": 10},
            "rates": _SHARED["rates"][1:2],
            "keep_probs": _SHARED["keep_probs"][1:2],
            "seeds": 5,
        },
        "workstation": {**_SHARED, "seeds": 10},
        "paper": {
            **_SHARED,
            "data": ["mnist", "fashion_mnist"],
            "train": 50_000,
            "width": 512,
            "depth": 54,
            "seeds": 5,
        },
    },
    origin="other",
    arms=arms,
    compute=compute,
    judge=judge,
    draw=draw,
    remark=(
        "The paper trains convolutional networks of 110 layers and more; here eight blocks of 64 units are added to a stream of "
        "64, which 1,000 images let overfit. Each example has a coin of its own for each block. Dropping, of branches or of "
        "units, has the best of three keep probabilities, the network without dropout the best of three learning rates, on "
        "validation images."
    ),
)
