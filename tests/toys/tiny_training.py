"""An experiment that trains networks, in a second."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from threadpoolctl import threadpool_info
from toy import EXPERIMENT as TOY

from dropout_lessons import datasets
from dropout_lessons.ensembles import fit_ensemble
from dropout_lessons.experiments import Arm, Row, Unit
from dropout_lessons.networks import MLP
from dropout_lessons.training import Recipe, evaluate


def arms(config: Mapping[str, Any]) -> Iterator[Arm]:
    for optimizer in ("adam", "sgd"):
        yield Arm({"sizes": config["sizes"], "optimizer": optimizer}, range(config["seeds"]))


def compute(unit: Unit, device: torch.device) -> list[Row]:
    data = datasets.load("mnist_10k", train=200, seed=unit.seed).to(device)
    keep_probs = (0.5, 1.0)
    networks = [
        MLP(unit["sizes"], keep_prob=keep_prob, generator=torch.Generator().manual_seed(unit.seed)).to(device)
        for keep_prob in keep_probs
    ]
    rate = 0.1 if unit["optimizer"] == "sgd" else 0.001
    recipe = Recipe(epochs=3, optimizer=unit["optimizer"], learning_rate=rate, seed=unit.seed)
    fit_ensemble(networks, data, recipe, progress=False)
    return [
        {
            "keep_prob": keep_prob,
            "test_nll": evaluate(network, data.test).loss,
            "weight": network.output.weight.detach().square().sum().item(),
            "torch_threads": torch.get_num_threads(),
            "blas_threads": max(pool["num_threads"] for pool in threadpool_info()),
        }
        for keep_prob, network in zip(keep_probs, networks, strict=True)
    ]


EXPERIMENT = replace(
    TOY,
    scales={"lecture": {"seeds": 2, "sizes": [784, 128, 128, 10]}},
    arms=arms,
    compute=compute,
)
