"""Section 9.1: linear regression with dropout on its inputs is ridge regression, as an identity and as what SGD finds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from sklearn.datasets import load_diabetes
from torch import Tensor

from dropout_lessons import figures, runtime
from dropout_lessons.claims import exact, ranked, sampled
from dropout_lessons.datasets import Split
from dropout_lessons.experiments import Arm, Experiment, Finding, Reported, Row, Unit
from dropout_lessons.masks import enumerate_masks, mask_log_prob, sample_mask
from dropout_lessons.networks import MLP
from dropout_lessons.training import Recipe, fit

FEATURES = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")


def arms(config: Mapping[str, Any]) -> Iterator[Arm]:
    settings = {name: config[name] for name in ("examples", "draws", "recipe")}
    work = config["examples"] * (config["recipe"]["epochs"] + config["draws"] / 10)
    for keep_prob in config["keep_probs"]:
        yield Arm({"keep_prob": keep_prob, **settings}, range(config["seeds"]), work=work)


def compute(unit: Unit, device: torch.device) -> list[Row]:
    keep_prob, generator = unit["keep_prob"], runtime.generator(unit.seed)
    x, y = (torch.from_numpy(array) for array in load_diabetes(return_X_y=True, scaled=False))
    chosen = torch.randperm(len(y), generator=generator)[: unit["examples"]]
    x, y = x[chosen] - x[chosen].mean(0), y[chosen] - y[chosen].mean()

    w = torch.randn(x.shape[1], generator=generator, dtype=x.dtype)
    objective = {
        "enumerated": _enumerated(x, y, w, keep_prob),
        "identity": _identity(x, y, w, keep_prob),
        "monte_carlo": _monte_carlo(x, y, w, keep_prob, unit["draws"], generator),
    }

    # SGD has one learning rate for all weights, so it gets features of one scale. In the units of inverted dropout,
    # whose weights are p times those of Section 9.1, the penalty's coefficient is (1 - p) / p.
    x, y = x / x.std(0, correction=0), y / y.std(correction=0)
    moment = x.T @ x
    solutions = {
        "least_squares": torch.linalg.solve(moment, x.T @ y),
        "ridge": torch.linalg.solve(moment + (1 - keep_prob) / keep_prob * moment.diagonal().diag(), x.T @ y),
        "dropout": _trained(x, y, keep_prob, Recipe(**unit["recipe"], seed=unit.seed), device),
    }
    shrunk = (solutions["least_squares"] - solutions["ridge"]).norm()
    distance = ((solutions["dropout"] - solutions["ridge"]).norm() / shrunk).item()
    weights = ({name: float(values[j]) for name, values in solutions.items()} for j in range(len(FEATURES)))
    return [
        {"part": "objective", **objective},
        {"part": "solution", "distance": distance},
        *({"part": "weight", "feature": name, **row} for name, row in zip(FEATURES, weights, strict=True)),
    ]


def _enumerated(
    x: Float[Tensor, "examples features"],
    y: Float[Tensor, " examples"],
    w: Float[Tensor, " features"],
    keep_prob: float,
) -> float:
    """The expected squared error over all masks of each example; masks of examples are independent, so no others matter."""
    masks = enumerate_masks(len(w))
    probs = mask_log_prob(masks, keep_prob).exp()
    errors = (y - masks.to(x.dtype) @ (x * w).T).square()
    return float((probs @ errors).sum())


def _identity(
    x: Float[Tensor, "examples features"],
    y: Float[Tensor, " examples"],
    w: Float[Tensor, " features"],
    keep_prob: float,
) -> float:
    """The same by the right-hand side of Section 9.1."""
    gamma = x.square().sum(0).sqrt()
    return float((y - keep_prob * x @ w).square().sum() + keep_prob * (1 - keep_prob) * (gamma * w).square().sum())


def _monte_carlo(
    x: Float[Tensor, "examples features"],
    y: Float[Tensor, " examples"],
    w: Float[Tensor, " features"],
    keep_prob: float,
    draws: int,
    generator: torch.Generator,
) -> float:
    total = 0.0
    for _ in range(draws):
        total += float((y - (sample_mask(x.shape, keep_prob, generator=generator) * x) @ w).square().sum())
    return total / draws


def _trained(
    x: Float[Tensor, "examples features"],
    y: Float[Tensor, " examples"],
    keep_prob: float,
    recipe: Recipe,
    device: torch.device,
) -> Float[Tensor, " features"]:
    start = runtime.generator(recipe.seed)
    network = MLP([x.shape[1], 1], input_keep_prob=keep_prob, generator=start).double().to(device)
    fit(network, Split(x, y[:, None]), recipe, outputs="values", progress=False)
    weights: Tensor = network.output.weight.detach()[0].cpu()
    return weights


def judge(table: pd.DataFrame) -> list[Finding]:
    objective = table[table.part == "objective"]
    drawn = (objective.monte_carlo / objective.identity - 1).groupby(objective.seed).mean()
    distance = table[table.part == "solution"].groupby("seed").distance.max()
    return [
        Finding(
            "The squared error averaged over all masks, divided by the formula of Section 9.1, is 1.",
            "equal",
            exact((objective.enumerated / objective.identity).to_numpy(), np.ones(len(objective)), atol=1e-12),
        ),
        Finding(
            "The squared error averaged over drawn masks is within 1% of it.",
            "equal",
            sampled(drawn.to_numpy(), unit="%", over="seeds"),
            within=(-0.01, 0.01),
        ),
        Finding(
            "SGD with dropout ends within 5% of the way from the ridge solution to least squares, at each keep_prob, in the "
            "median run.",
            "the same minimizer",
            ranked(distance.to_numpy(), unit="%", over="seeds"),
            below=0.05,
            primary="The paper says that the minimizers are equal; SGD, which still moves, is given a twentieth of the way.",
        ),
    ]


def draw(table: pd.DataFrame) -> Figure:
    rows = table[(table.part == "weight") & (table.keep_prob == table.keep_prob.min())]
    arms = {"plain": "least_squares", "L2": "ridge", "dropout": "dropout"}
    weights = {
        arm: rows.pivot(index="feature", columns="seed", values=column).loc[list(FEATURES)].to_numpy()
        for arm, column in arms.items()
    }
    named = {"plain": "least squares", "L2": "ridge, in closed form", "dropout": "SGD with dropout"}
    return figures.coefficients(weights, FEATURES, named=named)


_RECIPE = {"epochs": 1000, "batch_size": 50, "learning_rate": 0.05, "momentum": 0.0}
_SHARED: dict[str, Any] = {
    "examples": 300,
    "draws": 2000,
    "keep_probs": [0.2, 0.5, 0.8],
    "recipe": _RECIPE,
    "seeds": 10,
}

EXPERIMENT = Experiment(
    title="Section 9.1: dropout in linear regression is ridge regression",
    source="Srivastava et al. 2014, Section 9.1",
    claim="Averaged over masks, linear regression with dropout on its inputs is ridge regression with a penalty on each weight "
    "that grows with the size of its feature.",
    reported=[
        Reported("what dropout minimizes", "||y - pXw||^2 + p(1 - p) ||Gw||^2 with G = diag(X'X)^(1/2)", "Section 9.1")
    ],
    scales={
        "lecture": {**_SHARED, "keep_probs": [0.5, 0.8], "recipe": {**_RECIPE, "epochs": 500}, "seeds": 5},
        "workstation": _SHARED,
        "paper": {
            "examples": 442,
            "draws": 20_000,
            "keep_probs": [0.1, 0.2, 0.5, 0.8, 0.95],
            "recipe": {**_RECIPE, "epochs": 10_000},
            "seeds": 20,
        },
    },
    arms=arms,
    compute=compute,
    judge=judge,
    draw=draw,
    remark="The paper derives the identity and shows no data. Here it is checked on measurements of people with diabetes, "
    "10 features, so that all masks can be enumerated; each seed takes other examples and other weights. That SGD comes "
    "close depends on a learning rate that falls to zero; with a constant one it goes on wandering around the solution.",
)
