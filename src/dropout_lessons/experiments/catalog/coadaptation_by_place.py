"""The story of the notes: does dropout make units rely less on each other, and does it matter where it stands?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure

from dropout_lessons import datasets, figures, runtime
from dropout_lessons.calibration import fit_temperature
from dropout_lessons.claims import Evidence
from dropout_lessons.coadaptation import LayerUnits, interaction_share, keep_prob_for_damage, mean_damage
from dropout_lessons.experiments import Arm, Experiment, Finding, Reported, Row, Unit
from dropout_lessons.experiments.tables import difference
from dropout_lessons.networks import MLP, evaluating
from dropout_lessons.training import Recipe, evaluate, fit

LAYERS = ["hidden1", "hidden2"]
#: Keep probabilities: dropout in no place, in all, and in one of them.
PLACES: dict[str, dict[str, Any]] = {
    "plain": {},
    "dropout": {"input_keep_prob": 0.8, "keep_prob": 0.5},
    "inputs only": {"input_keep_prob": 0.8},
    "layer 1 only": {"keep_prob": [0.5, 1.0]},
    "layer 2 only": {"keep_prob": [1.0, 0.5]},
}


def arms(config: Mapping[str, Any]) -> Iterator[Arm]:
    settings = {name: config[name] for name in ("data", "train", "sizes", "epochs", "examples", "damage")}
    work = config["train"] * config["epochs"] * sum(a * b for a, b in pairwise(config["sizes"]))
    for arm in PLACES:
        yield Arm({"arm": arm, **settings}, range(config["seeds"]), work=work)


def compute(unit: Unit, device: torch.device) -> list[Row]:
    data = datasets.load(unit["data"], train=unit["train"], seed=unit.seed).to(device)
    generator = runtime.generator(unit.seed)
    network = MLP(unit["sizes"], generator=generator, **PLACES[unit["arm"]]).to(device)
    recipe = Recipe(epochs=unit["epochs"], seed=unit.seed)
    fit(network, data, recipe, evaluate_every=recipe.epochs, progress=False)
    # Labels of the examples are those of the test set; the temperature comes from the validation set.
    examples = datasets.Split(data.test.x[: unit["examples"]], data.test.y[: unit["examples"]])
    with evaluating(network), torch.no_grad():
        temperature = fit_temperature(network(data.validation.x), data.validation.y)
    error = evaluate(network, data.test).error
    return [
        {"layer": layer, "test_error": error, **_measured(network, layer, examples, temperature, unit["damage"])}
        for layer in LAYERS
    ]


def _measured(network: MLP, layer: str, examples: datasets.Split, temperature: float, damage: float) -> Row:
    """The interaction share where masks cost the same for every network, and what masks of one half cost."""
    units = LayerUnits(network, layer, *examples, temperature=temperature)

    def draws() -> torch.Generator:  # the same masks for all measures and networks
        return runtime.generator(0, examples.x.device, stream="measures")

    keep_prob = keep_prob_for_damage(units, damage, samples=64, generator=draws())
    share = interaction_share(units, keep_prob, generator=draws(), progress=False)
    half = mean_damage(units, samples=64, generator=draws())
    return {"keep_prob": keep_prob, "share": share.value, "damage_of_half": half.value}


def judge(table: pd.DataFrame) -> list[Finding]:
    def against_plain(column: str, arm: str, layer: str, unit: str | None = None) -> Evidence:
        return difference(table[table.layer == layer], column, arm, "plain", unit=unit)

    return [
        Finding.lower(
            "Dropout everywhere lowers the test error.", against_plain("test_error", "dropout", "hidden1"), "lower"
        ),
        *(
            Finding.lower(
                f"With dropout everywhere, the interaction share of {place} at equal damage is lower.",
                against_plain("share", "dropout", layer),
                "units rely less on each other",
                primary="The paper says that units rely less on each other: any decrease agrees.",
            )
            for layer, place in zip(LAYERS, ("the first hidden layer", "the second hidden layer"), strict=True)
        ),
        *(
            Finding.lower(
                f"With dropout on {place} alone, the interaction share of that layer is lower.",
                against_plain("share", arm, layer),
                "units rely less on each other",
            )
            for arm, layer, place in (
                ("layer 1 only", "hidden1", "the first hidden layer"),
                ("layer 2 only", "hidden2", "the second hidden layer"),
            )
        ),
        Finding.lower(
            "Losing half of the second hidden layer costs a network trained with dropout less.",
            against_plain("damage_of_half", "dropout", "hidden2", "nats"),
            "less sensitive",
        ),
    ]


def draw(table: pd.DataFrame) -> Figure:
    effects = {
        f"{arm}: {place}": difference(table[table.layer == layer], "share", arm, "plain")
        for arm in PLACES
        if arm != "plain"
        for layer, place in zip(LAYERS, ("layer 1", "layer 2"), strict=True)
    }
    return figures.interval_chart(effects, label="interaction share at equal damage, minus plain")


_SHARED = {"data": "mnist_10k", "train": 1000, "epochs": 60, "damage": 0.2}  # damage in nats

EXPERIMENT = Experiment(
    title="Co-adaptation, with dropout everywhere and in one place",
    source="Srivastava et al. 2014, Section 1; the measure is this course's",
    claim="Dropout keeps units from co-adapting: they rely less on the presence of others.",
    reported=[Reported("how much units rely on each other", "no number; Figure 7 is a picture", "Sections 1 and 7.1")],
    scales={
        "lecture": {**_SHARED, "sizes": [784, 128, 128, 10], "examples": 20, "seeds": 5},
        "workstation": {**_SHARED, "sizes": [784, 256, 256, 10], "examples": 50, "seeds": 10},
        "paper": {
            **_SHARED,
            "data": "mnist",
            "train": 50_000,
            "sizes": [784, 1024, 1024, 10],
            "epochs": 200,
            "examples": 200,
            "seeds": 10,
        },
    },
    arms=arms,
    compute=compute,
    judge=judge,
    draw=draw,
    version=3,
    remark=(
        "The paper says it and shows filters; it has no measure. Ours is the share of the variance over masks that no sum over "
        "units explains, at masks that cost every network the same. Another measure may answer otherwise: chapters 6 and 7."
    ),
)
