"""Wager et al. 2013: in logistic regression dropout is, to second order, a penalty weighted by the model's uncertainty."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from jaxtyping import Float
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from dropout_lessons import datasets, figures
from dropout_lessons.claims import Evidence, ranked, sampled
from dropout_lessons.experiments import Arm, Experiment, Finding, Reported, Row, Unit
from dropout_lessons.experiments.tables import values
from dropout_lessons.masks import enumerate_masks, mask_log_prob

SIZES = [1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8]
KEEP_PROBS = [0.8, 0.5, 0.2]


def arms(config: Mapping[str, Any]) -> Iterator[Arm]:
    settings = {name: config[name] for name in ("data", "digits", "grid", "train", "examples")}
    masks = 2 ** math.prod(config["grid"])
    work = masks * config["examples"] * len(SIZES) * len(KEEP_PROBS)
    yield Arm(settings, range(config["seeds"]), work=work)


def compute(unit: Unit, device: torch.device) -> list[Row]:
    data = datasets.load(unit["data"], seed=unit.seed)
    x, y = _ink(data.train, unit["digits"], unit["grid"])
    x, y = x[: unit["train"]], y[: unit["train"]]
    model = LogisticRegression(C=math.inf, max_iter=10_000, tol=1e-8).fit(x.numpy(), y.numpy())
    fitted, bias = torch.from_numpy(model.coef_[0]), float(model.intercept_[0])
    x = x[: unit["examples"]].to(device)
    rows = []
    for keep_prob in KEEP_PROBS:
        for size in SIZES:
            w = size * fitted.to(device)
            exact, quadratic = exact_penalty(x, w, bias, keep_prob), quadratic_penalty(x, w, bias, keep_prob)
            confidence = (x @ w + bias).abs().sigmoid()
            rows += [
                {
                    "keep_prob": keep_prob,
                    "size": size,
                    "confidence": name,
                    "counted": int(chosen.sum()),
                    "exact": float(exact[chosen].sum()),
                    "quadratic": float(quadratic[chosen].sum()),
                    "misplaced": float((quadratic - exact)[chosen].abs().sum()),
                }
                for name, chosen in {
                    "all": confidence > 0,
                    "unsure": confidence < 0.7,
                    "sure": confidence > 0.95,
                }.items()
            ]
    return rows


def _ink(split: datasets.Split, digits: tuple[int, int], grid: tuple[int, int]) -> datasets.Split:
    """The amount of ink in each cell of a grid, in double precision, of two kinds of digits."""
    chosen = (split.y == digits[0]) | (split.y == digits[1])
    side = math.isqrt(split.x.shape[1])
    images = split.x[chosen].double().view(-1, 1, side, side)
    return datasets.Split(F.adaptive_avg_pool2d(images, grid).flatten(1), (split.y[chosen] == digits[1]).long())


def exact_penalty(
    x: Float[Tensor, "examples features"], w: Float[Tensor, " features"], bias: float, keep_prob: float
) -> Float[Tensor, " examples"]:
    r"""What dropout adds to the expected loss, :math:`\mathrm{E}_m A(z(m)) - A(\mathrm{E}\,z)` with :math:`A(z) = \log(1 + e^z)`.

    All masks are enumerated. The label drops out: the loss is :math:`A(z) - y z`, and dropout does not change the mean of z.
    """
    masks = enumerate_masks(len(w), device=x.device)
    probs = mask_log_prob(masks, keep_prob).exp()
    scaled = masks.to(x.dtype) / keep_prob
    mean = torch.cat([probs @ _log1pexp(scaled @ (part * w).T + bias) for part in x.split(64)])
    return mean - _log1pexp(x @ w + bias)


def _log1pexp(z: Tensor) -> Tensor:
    return F.softplus(z, threshold=40)  # the default of 20 is meant for float32: it leaves off 2e-9


def quadratic_penalty(
    x: Float[Tensor, "examples features"], w: Float[Tensor, " features"], bias: float, keep_prob: float
) -> Float[Tensor, " examples"]:
    r"""Its second-order approximation, :math:`\frac{1}{2} A''(z_i) \frac{1-p}{p} \sum_j x_{ij}^2 w_j^2`."""
    q = (x @ w + bias).sigmoid()
    return 0.5 * q * (1 - q) * (1 - keep_prob) / keep_prob * (x * w).square().sum(1)


def _ratio(
    table: pd.DataFrame, keep_prob: float, size: float, confidence: str = "all", of: str = "quadratic"
) -> NDArray[np.float64]:
    """The approximation over the penalty, for each seed."""
    where = {"keep_prob": keep_prob, "size": size, "confidence": confidence}
    return values(table, of, **where) / values(table, "exact", **where)


def _off(table: pd.DataFrame, keep_prob: float, size: float, confidence: str = "all") -> Evidence:
    """By which fraction the approximation is larger than the penalty."""
    off = _ratio(table, keep_prob, size, confidence) - 1
    return sampled(off, unit="%" if abs(off).max() <= 1 else "", over="seeds")


def _worst(table: pd.DataFrame, size: float) -> NDArray[np.float64]:
    """The largest deviation of the ratio from 1 over the keep probabilities, for each seed."""
    worst: NDArray[np.float64] = np.abs([_ratio(table, keep_prob, size) - 1 for keep_prob in KEEP_PROBS]).max(0)
    return worst


def judge(table: pd.DataFrame) -> list[Finding]:
    return [
        Finding(
            "As the weights go to zero the two come to agree: weights a quarter as large, 1/64 for 1/16 of the fitted ones, at "
            "least halve the largest deviation, in the median run.",
            "equal to first order",
            ranked(_worst(table, 1 / 64) / _worst(table, 1 / 16), over="seeds"),
            below=0.5,
        ),
        Finding(
            "At a sixteenth of the fitted weights, the approximation is within 2% of dropout's penalty, at keep_prob 0.5.",
            "equal to first order",
            _off(table, 0.5, 1 / 16),
            within=(-0.02, 0.02),
        ),
        Finding(
            "At the fitted weights the approximation is within 20% of the penalty, at keep_prob 0.8.",
            "a good approximation",
            _off(table, 0.8, 1.0),
            within=(-0.2, 0.2),
            primary="The paper calls it a good approximation at small noise; a fifth is what is taken for good here.",
        ),
        Finding.higher(
            "For predictions near one half the approximation is too large, at the fitted weights and keep_prob 0.5.",
            _off(table, 0.5, 1.0, "unsure"),
            "too large near 1/2",
        ),
        Finding.lower(
            "For confident predictions the approximation is too small, at the fitted weights and keep_prob 0.5.",
            _off(table, 0.5, 1.0, "sure"),
            "too small where confident",
            primary="The paper says that it is too small there: any shortfall agrees.",
        ),
        Finding(
            "At eight times the fitted weights and keep_prob 0.2 the approximation's errors on single examples exceed half of "
            "the penalty.",
            "",
            sampled(_ratio(table, 0.2, 8.0, of="misplaced"), over="seeds"),
            above=0.5,
        ),
    ]


def draw(table: pd.DataFrame) -> Figure:
    rows = table[table.confidence == "all"]
    ratios = {}
    for keep_prob in KEEP_PROBS:
        pivot = rows[rows.keep_prob == keep_prob].assign(ratio=rows.quadratic / rows.exact)
        ratios[keep_prob] = pivot.pivot(index="size", columns="seed", values="ratio").to_numpy()
    return figures.approximation_ratios(
        np.unique(rows["size"]).tolist(), ratios, x_label="size of the weights, as a multiple of the fitted ones"
    )


_SHARED: dict[str, Any] = {
    "data": "mnist_10k",
    "digits": [3, 8],
    "grid": [4, 4],
    "train": 800,
    "examples": 200,
    "seeds": 10,
}

EXPERIMENT = Experiment(
    title="Dropout's penalty in logistic regression and its quadratic approximation",
    source="Wager et al. 2013, Sections 2 and 3",
    claim="In logistic regression dropout is, to second order, an L2 penalty that weighs a weight by its feature's size and by "
    "how unsure the model is.",
    reported=[
        Reported(
            "penalty", "1/2 (1-p)/p sum_i A''(x_i w) sum_j x_ij^2 w_j^2", "equation for generalized linear models"
        ),
    ],
    scales={
        "lecture": {**_SHARED, "grid": [4, 3], "seeds": 5},
        "workstation": _SHARED,
        "paper": {**_SHARED, "data": "mnist", "grid": [5, 4], "train": 8000, "examples": 1000},
    },
    origin="other",
    arms=arms,
    compute=compute,
    judge=judge,
    draw=draw,
    version=3,
    remark="The paper compares the two penalties for sums of many features; here there are few, the ink in the cells of a grid "
    "over threes and eights, so that all masks can be enumerated and the penalty is exact. The bias is not dropped. "
    "That the two agree in the limit is mathematics; how small weights must be is not. Neighboring cells go together, so that "
    "the fitted weights are large and of both signs, and more cells make them larger. The last "
    "statement is not the paper's: it says where the approximation ends. In sum over examples it can look right there, since it "
    "is too large for some and too small for others.",
)
