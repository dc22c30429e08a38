"""Figure 9b: the keep probability is swept while the expected number of kept units is fixed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from dropout_lessons import figures
from dropout_lessons.claims import Evidence
from dropout_lessons.experiments.arms import Arm
from dropout_lessons.experiments.catalog.fig9a_keep_prob import ALL_OF_MNIST, AT_PAPER_SCALE, KEEP_PROBS, MNIST, RECIPES
from dropout_lessons.experiments.experiment import Experiment
from dropout_lessons.experiments.findings import Finding, Reported
from dropout_lessons.experiments.tables import difference
from dropout_lessons.experiments.tuning import train, train_together, tuned
from dropout_lessons.figures.style import styled


def arms(config: Mapping[str, Any]) -> Iterator[Arm]:
    inputs, *kept, outputs = config["kept"]
    designs = [("constant width", KEEP_PROBS[0], config["fixed"])]
    for keep_prob in config.get("keep_probs", KEEP_PROBS):
        widths = [round(units / keep_prob) for units in kept]
        designs.append(("constant kept units", keep_prob, [inputs, *widths, outputs]))
    for design, keep_prob, sizes in designs:
        settings = {
            **config["data"],
            "design": design,
            "keep_prob": keep_prob,
            "width": sizes[1],
            "sizes": sizes,
            "recipe": config["recipe"],
        }
        yield tuned(settings, config["candidates"], config["seeds"], **config.get("tuning", {}))


def judge(table: pd.DataFrame) -> list[Finding]:
    def compared(first: float, second: float, design: str = "constant kept units") -> Evidence:
        treatment = {"design": "constant kept units", "keep_prob": first}
        return difference(table, "test_error", treatment, {"design": design, "keep_prob": second})

    near = "best near 0.6"
    return [
        Finding.lower(
            "At keep_prob 0.1 the test error is lower with the expected number of kept units held than at the fixed width.",
            compared(0.1, 0.1, "constant width"),
            "1.7% against 2.7%",
            primary="The paper says that the error at small keep probabilities comes down: any lowering agrees.",
        ),
        Finding.lower("At keep_prob 0.6 the test error is lower than at 0.1.", compared(0.6, 0.1), near),
        Finding.lower(
            "At keep_prob 0.6 the test error is lower than at 0.9.",
            compared(0.6, 0.9),
            near,
            primary="The paper says that values close to 0.6 perform best: 0.9 is far from it, and must be worse.",
        ),
        Finding.lower("At keep_prob 0.6 the test error is lower than without dropout.", compared(0.6, 1.0), near),
    ]


@styled
def draw(table: pd.DataFrame) -> Figure:
    rows = table[table["design"] == "constant kept units"]
    errors = {
        kind: rows.pivot(index="keep_prob", columns="seed", values=f"{kind}_error").to_numpy()
        for kind in ("test", "train")
    }
    figure = figures.sweep_panels(
        {"": {"dropout": errors["test"]}},
        {"": sorted(rows["keep_prob"].unique())},
        dashed={"": {"dropout": errors["train"]}},
        x_label="keep_prob of the hidden units (times width: constant)",
        y_label="test error (%)",
    )
    fixed = 100 * table.loc[table["design"] == "constant width", "test_error"]
    (axis,) = figure.axes
    axis.plot(KEEP_PROBS[0], fixed.mean(), "s", color=figures.COLORS["reference"])
    axis.set_ylim(0, 1.1 * max(axis.get_ylim()[1], fixed.mean()))
    axis.annotate(
        "at the fixed width of Figure 9a",
        (KEEP_PROBS[0], fixed.mean()),
        xytext=(8, 0),
        textcoords="offset points",
        va="center",
        color=figures.COLORS["reference"],
    )
    return figure


EXPERIMENT = Experiment(
    title="Figure 9b: error against keep_prob at a fixed expected number of kept units",
    source="Srivastava et al. 2014, Figure 9b",
    claim="With keep_prob times the number of units fixed, small keep probabilities do much better than at a fixed width.",
    reported=[
        Reported("test error at p = 0.1, p n fixed", "1.7%", "Figure 9b"),
        Reported("test error at p = 0.1, n fixed", "2.7%", "Figure 9a"),
        Reported("the best p", "near 0.6", "Figure 9b"),
    ],
    scales={
        "lecture": {
            "data": MNIST,
            "kept": [784, 32, 32, 10],
            "fixed": [784, 128, 128, 10],
            "recipe": {"epochs": 50},
            "candidates": RECIPES[2:3],
            "seeds": 5,
        },
        "workstation": {
            "data": MNIST,
            "kept": [784, 64, 64, 10],
            "fixed": [784, 256, 256, 10],
            "recipe": {"epochs": 60},
            "candidates": RECIPES,
            "seeds": 10,
        },
        "paper": {
            "data": ALL_OF_MNIST,
            "keep_probs": [0.1, 0.6, 0.9, 1.0],
            "kept": [784, 256, 256, 512, 10],
            "fixed": [784, 2048, 2048, 2048, 10],
            **AT_PAPER_SCALE,
            "seeds": 5,
        },
    },
    arms=arms,
    compute=train,
    compute_together=train_together,
    judge=judge,
    draw=draw,
    remark=(
        "The product of keep_prob and width is a quarter of Figure 9a's width here, an eighth in the paper, so that the net for "
        "keep_prob 0.1 is 2.5 times as wide as the fixed one. Each keep_prob has its own learning rate and max-norm radius, the "
        "best of the same five on validation images. That matters: at the learning rate that suits keep_prob 0.5, and without "
        "max-norm, the wide net with keep_prob 0.1 does not train at all, and width rescues nothing."
    ),
    remark_at_scale="The widths are the paper's, and there are two candidates.",
)
