"""What a user of the package writes, whom `make test-types` tells as strictly as us if a type is missing or wrong."""

from __future__ import annotations

import pandas as pd
import torch
from torch import nn
from typing_extensions import assert_type

from dropout_lessons import (
    MLP,
    Dropout,
    Recipe,
    check,
    compare_averaging,
    datasets,
    evaluate,
    fit,
    measure,
    sample_mask,
)
from dropout_lessons.claims import Judgement, paired
from dropout_lessons.coadaptation import Layer, LayerUnits, interaction
from dropout_lessons.running import MaskedNetwork, Outputs


def the_averages_of_a_network(network: nn.Module) -> pd.DataFrame:
    data = datasets.load("mnist_10k", train=1000)
    fit(network, data, Recipe(epochs=2, seed=1))
    return compare_averaging(network, data.test.x, data.test.y, samples=(1, 10))


def a_checked_claim(errors: dict[float, list[float]]) -> Judgement:
    return check("Dropout helps.", paired(errors[0.5], errors[1.0], unit="percentage points"), below=0)


def a_network_and_its_error(seed: int) -> float:
    generator = torch.Generator().manual_seed(seed)
    network = MLP([784, 64, 10], keep_prob=0.5, generator=generator)
    assert_type(nn.Sequential(nn.Linear(8, 8), Dropout(keep_prob=0.8)), nn.Sequential)
    assert_type(sample_mask((3, 4), 0.5, generator=generator), torch.Tensor)
    return evaluate(network, datasets.load("mnist_10k", train=100).test).error


def how_much_units_rely_on_each_other(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    print(measure(network, "1", x, y).to_frame().to_string())
    units = LayerUnits(MaskedNetwork(network, outputs=Outputs(class_axis=-1)), Layer("1", unit_axis=-1), x)
    return interaction(units).pairwise
