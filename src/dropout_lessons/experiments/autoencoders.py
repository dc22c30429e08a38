"""The autoencoders of Figures 7 and 8: 256 ReLU units that learn to copy digits, with dropout and without."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
import torch

from dropout_lessons import datasets, runtime
from dropout_lessons.datasets import Dataset
from dropout_lessons.experiments.arms import Arm, Unit
from dropout_lessons.layers import Dropout
from dropout_lessons.networks import MLP
from dropout_lessons.training import Recipe, fit

__all__ = ["autoencoder_arms", "trained_autoencoder"]


def autoencoder_arms(config: Mapping[str, Any]) -> Iterator[Arm]:
    """A plain network, one with dropout and, when that is done, a plain one stopped at the same error."""
    shared = {name: config[name] for name in ("data", "train", "hidden", "keep_prob")}
    seeds, work = range(config["seeds"]), config["train"] * config["hidden"]
    for arm in ("plain", "dropout"):
        settings = {"arm": arm, **shared, "recipe": config["recipe"]}
        yield Arm(settings, seeds, work=work * config["recipe"]["epochs"])
    recipe = {**config["recipe"], "epochs": config["early_epochs"]}
    settings = {"arm": "stopped early", **shared, "recipe": recipe}
    yield Arm(settings, seeds, work=1.5 * work * config["early_epochs"], rank=1, after=_target)


def _target(table: pd.DataFrame, seed: int) -> dict[str, float]:
    """What dropout left unexplained at a seed."""
    reached = table[(table["arm"] == "dropout") & (table["seed"] == seed)]["validation_unexplained"]
    return {"target": float(reached.item())}


def trained_autoencoder(unit: Unit, device: torch.device) -> tuple[Dataset, MLP, float]:
    """The digits of a unit as copies of themselves, its network, and the variance it leaves unexplained on validation data.

    Networks of a seed start with the same weights and see the same order of examples. As in the paper, what is kept is not
    scaled in training, and activations are multiplied by keep_prob at test time. The network that is stopped early is
    trained up to the epoch whose validation error is closest to the unit's target.
    """
    data = datasets.load(unit["data"], train=unit["train"], seed=unit.seed).to(device)
    copies = data.map(lambda x, _: (x, x))
    keep_prob = unit["keep_prob"] if unit["arm"] == "dropout" else 1.0
    inputs = data.train.x.shape[1]

    def train(epochs: int, evaluate_every: int) -> tuple[MLP, list[float]]:
        network = MLP(
            [inputs, unit["hidden"], inputs],
            keep_prob=keep_prob,
            dropout=lambda keep: Dropout(keep, scaling="standard"),
            generator=runtime.generator(unit.seed),
        ).to(device)
        network.output.weight.data *= 0.1  # begins with an even image, not with noise
        recipe = Recipe(**{**unit["recipe"], "epochs": epochs}, seed=unit.seed)
        history = fit(network, copies, recipe, outputs="values", evaluate_every=evaluate_every, progress=False)
        return network, history.validation_error

    epochs = unit["recipe"]["epochs"]
    if unit["arm"] == "stopped early":
        # The learning rate does not depend on the number of epochs, so that a shorter fit is the beginning of a longer one.
        _, course = train(epochs, evaluate_every=1)
        epochs = 1 + min(range(epochs), key=lambda epoch: abs(course[epoch] - unit["target"]))
    network, (*_, end) = train(epochs, evaluate_every=epochs)
    return copies, network, end
