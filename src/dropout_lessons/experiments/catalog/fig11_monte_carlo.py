"""Figure 11: Monte Carlo averages of k thinned networks against weight scaling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from dropout_lessons import datasets, figures, runtime
from dropout_lessons.averaging import monte_carlo_average, weight_scaling
from dropout_lessons.calibration import error, nll
from dropout_lessons.claims import Evidence
from dropout_lessons.datasets import Dataset
from dropout_lessons.ensembles import fit_ensemble
from dropout_lessons.experiments.arms import Arm, Row, Unit
from dropout_lessons.experiments.experiment import Experiment
from dropout_lessons.experiments.findings import Finding, Reported
from dropout_lessons.experiments.tables import difference, over_seeds
from dropout_lessons.networks import MLP
from dropout_lessons.training import Recipe, fit

KEEP: Mapping[str, Any] = {"keep_prob": 0.5, "input_keep_prob": 0.8}


def arms(config: Mapping[str, Any]) -> Iterator[Arm]:
    settings = {name: config[name] for name in ("data", "train", "test", "sizes", "recipe", "samples")}
    weights = sum(inputs * outputs for inputs, outputs in pairwise(config["sizes"]))
    passes = 3 * config["train"] * config["recipe"]["epochs"] + config["test"] * max(config["samples"])
    # Each repetition trains the network of its seed anew: the same one, in less time than one unit with all draws.
    for repetition in range(config["repetitions"]):
        yield Arm({**settings, "repetition": repetition}, range(config["seeds"]), work=passes * weights)


def _untrained(unit: Unit, device: torch.device) -> tuple[Dataset, MLP, Recipe]:
    data = datasets.load(unit["data"], train=unit["train"], seed=unit.seed).to(device)
    network = MLP(unit["sizes"], generator=runtime.generator(unit.seed), **KEEP).to(device)
    return data, network, Recipe(**unit["recipe"], seed=unit.seed)


def compute(unit: Unit, device: torch.device) -> list[Row]:
    data, network, recipe = _untrained(unit, device)
    fit(network, data, recipe, evaluate_every=recipe.epochs, progress=False)
    return _averaged(unit, device, data, network)


def compute_together(units: Sequence[Unit], device: torch.device) -> list[list[Row]]:
    """Train the networks of the units' seeds side by side, each once."""
    first = {unit.seed: unit for unit in units}
    of_seed = {seed: _untrained(unit, device) for seed, unit in first.items()}
    data, networks, recipes = zip(*of_seed.values(), strict=True)
    fit_ensemble(networks, data, recipes, progress=False)
    return [_averaged(unit, device, *of_seed[unit.seed][:2]) for unit in units]


def _averaged(unit: Unit, device: torch.device, data: Dataset, network: MLP) -> list[Row]:
    x, y = data.test.x[: unit["test"]], data.test.y[: unit["test"]]
    generator = runtime.generator(unit.seed, device, stream=f"repetition {unit['repetition']}")
    averages = monte_carlo_average(network, x, samples=unit["samples"], generator=generator, progress=False)
    if unit["repetition"] == 0:
        averages[0] = weight_scaling(network, x)
    return [
        {
            "arm": "dropout",
            "rule": "Monte Carlo" if k else "weight scaling",
            "samples_drawn": k,
            "test_error": error(average.probs, y),
            "test_nll": nll(average.log_probs, y),
        }
        for k, average in sorted(averages.items())
    ]


def _by_samples(table: pd.DataFrame) -> pd.DataFrame:
    """Mean over the repetitions of each network, and their standard deviation, by the number of samples; 0 is weight scaling."""
    grouped = table.groupby(["samples_drawn", "seed"])
    means = grouped[["test_error", "test_nll"]].mean()
    return means.assign(spread=grouped.test_error.std()).reset_index()


def judge(table: pd.DataFrame) -> list[Finding]:
    rows = _by_samples(table)
    most = int(rows.samples_drawn.max())
    many = rows[rows.samples_drawn == most].set_index("seed").sort_index()
    scaled = rows[rows.samples_drawn == 0].set_index("seed").sort_index()
    # Of equal means over seeds, so that one network whose repetitions happen to agree does not decide.
    in_spreads = (many.test_error - scaled.test_error) / many.spread.mean()

    def against_scaling(k: int) -> Evidence:
        return difference(rows, "test_error", {"samples_drawn": k}, {"samples_drawn": 0})

    return [
        Finding.higher("The average of 5 samples makes more errors than weight scaling.", against_scaling(5), "more"),
        Finding(
            "The average of 50 samples makes as many errors as weight scaling, within 0.2 points.",
            "about k = 50 samples match weight scaling",
            against_scaling(50),
            within=(-0.002, 0.002),
            primary="The paper says that 50 samples do as well; 0.2 points are 2 of 1,000 test digits.",
        ),
        Finding(
            f"That of {most} samples is within one standard deviation of weight scaling.",
            "slightly better, within one standard deviation",
            over_seeds(table, in_spreads, unit="standard deviations"),
            within=(-1.0, 1.0),
            primary="One standard deviation is the paper's own bound.",
        ),
    ]


def draw(table: pd.DataFrame) -> Figure:
    rows = _by_samples(table)
    samples = [int(k) for k in np.unique(rows.samples_drawn) if k > 0]
    panels, scaled = {}, {}
    for label, column in {"test error (%)": "test_error", "test loss (nats)": "test_nll"}.items():
        values = rows.pivot(index="seed", columns="samples_drawn", values=column)
        panels[label], scaled[label] = values[samples].to_numpy(), values[0].tolist()
    return figures.monte_carlo_curves(samples, panels, scaled)


EXPERIMENT = Experiment(
    title="Figure 11: Monte Carlo averaging against weight scaling",
    source="Srivastava et al. 2014, Figure 11 and Section 7.5",
    claim="About 50 sampled networks are needed to match weight scaling; with more, Monte Carlo is slightly better, but within "
    "one standard deviation.",
    reported=[
        Reported("samples that match weight scaling", "about 50", "Figure 11"),
        Reported("more samples", "slightly better, within one standard deviation", "Section 7.5"),
    ],
    scales={
        "lecture": {
            "data": "mnist_10k",
            "train": 1000,
            "test": 1000,
            "sizes": [784, 128, 128, 10],
            "recipe": {"epochs": 40},
            "samples": [1, 2, 5, 10, 20, 50, 100],
            "repetitions": 3,
            "seeds": 5,
        },
        "workstation": {
            "data": "mnist_10k",
            "train": 2000,
            "test": 2000,
            "sizes": [784, 256, 256, 10],
            "recipe": {"epochs": 30},
            "samples": [1, 2, 5, 10, 20, 50, 100],
            "repetitions": 5,
            "seeds": 10,
        },
        "paper": {
            "data": "mnist",
            "train": 50_000,
            "test": 10_000,
            "sizes": [784, 1024, 1024, 1024, 10],
            "recipe": {"epochs": 100, "batch_size": 128, "max_norm": 2.0},
            "samples": [1, 2, 5, 10, 20, 50, 100, 200],
            "repetitions": 10,
            "seeds": 5,
        },
    },
    arms=arms,
    compute=compute,
    compute_together=compute_together,
    judge=judge,
    draw=draw,
    version=2,
    remark="The paper does not say which network it is; here two hidden layers and fewer examples. Its standard deviation is "
    "taken to be that over repetitions of the draws with one network. Errors alone are compared, as in the paper; losses "
    "are drawn beside them. Chapter 5 has networks trained on fewer examples, whose losses Monte Carlo averages lower. "
    "With ten networks the errors are not known well enough to decide on the last two statements.",
    remark_at_scale="The network is that of Table 2, with dropout and max-norm.",
)
