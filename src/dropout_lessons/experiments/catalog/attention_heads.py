"""Do attention heads rely on each other, and what does dropout change of it? Heads as units, on the course's measures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from scipy.optimize import brentq
from torch import Tensor, nn

from dropout_lessons import figures, runtime
from dropout_lessons.calibration import fit_temperature
from dropout_lessons.claims import Evidence
from dropout_lessons.coadaptation import Layer, LayerUnits, compensation, interaction, interaction_share
from dropout_lessons.datasets import MarkovSource
from dropout_lessons.experiments import Arm, Experiment, Finding, Reported, Row, Unit
from dropout_lessons.experiments.catalog.transformer_pretraining import LANGUAGE, batches_of, train, transformer
from dropout_lessons.experiments.tables import difference
from dropout_lessons.layers import Dropout
from dropout_lessons.masks import enumerate_masks, mask_log_prob
from dropout_lessons.networks import SmallTransformer, evaluating
from dropout_lessons.running import MaskedNetwork, Outputs

ARMS = ("none", "attention weights", "residual", "whole heads")


class HeadDropout(nn.Module):
    """Drop whole heads of attention, each for all positions of a text; a head is a slice of the last axis.

    Example:
        >>> layer = HeadDropout(heads=2, keep_prob=0.5, generator=torch.Generator().manual_seed(0))
        >>> layer(torch.ones(1, 3, 4))[0].unique(dim=0)
        tensor([[2., 2., 0., 0.]])
    """

    def __init__(self, heads: int, keep_prob: float, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.heads, self.dropout = heads, Dropout(keep_prob, generator=generator)

    def forward(self, x: Float[Tensor, "batch positions width"]) -> Float[Tensor, "batch positions width"]:
        """Multiply each head by its mask."""
        factors = self.dropout(x.new_ones(len(x), 1, self.heads, 1))
        kept: Tensor = x.unflatten(2, (self.heads, -1)) * factors
        return kept.flatten(2)


def network_of(unit: Unit, weights: torch.Generator, masks: torch.Generator) -> SmallTransformer:
    """A transformer that drops in one place, or nowhere."""
    settings, arm, keep_prob = unit["network"], unit["arm"], unit["keep_prob"]
    network = transformer(settings, weights)
    for name, layer in network.named_modules():
        if isinstance(layer, Dropout):
            place = "attention weights" if name.endswith("weight_dropout") else "residual"
            layer.keep_prob, layer.generator = keep_prob if arm == place else 1.0, masks
    if arm == "whole heads":
        for name in network.block_names:
            attention = network.get_submodule(f"{name}.attention")
            dropped = HeadDropout(settings["heads"], keep_prob, masks)
            attention.add_module("output", nn.Sequential(dropped, attention.get_submodule("output")))
    return network


def arms(config: Mapping[str, Any]) -> Iterator[Arm]:
    shared = {
        name: config[name] for name in ("network", "keep_prob", "batch", "steps", "sequences", "examples", "damage")
    }
    candidates = [{"learning_rate": rate} for rate in config["learning_rates"]]
    size = config["network"]
    work = config["steps"] * config["batch"] * size["context"] * size["depth"] * size["width"] ** 2
    seeds = range(config["seeds"])
    for arm in ARMS:
        yield Arm({"arm": arm, **shared}, seeds, candidates, together=False, tuned_by="validation_excess", work=work)


def compute(unit: Unit, device: torch.device) -> list[Row]:
    def stream(name: str) -> torch.Generator:
        return runtime.generator(unit.seed, stream=name)

    settings, steps, batch, sequences = unit["network"], unit["steps"], unit["batch"], unit["sequences"]
    source = MarkovSource(settings["symbols"], concentration=settings["concentration"], seed=unit.seed)
    corpus, validation, test = (
        source.sample(texts, settings["context"], generator=stream(name)).to(device)
        for name, texts in (("corpus", sequences), ("validation", 250), ("test", 250))
    )
    batches = batches_of(corpus, steps, batch, stream("order"))
    network = network_of(unit, stream("weights"), runtime.generator(unit.seed, device, stream="masks")).to(device)
    for _ in train(network, batches, unit["learning_rate"], steps):
        pass

    with evaluating(network), torch.no_grad():
        row: Row = {"validation_excess": source.excess_loss(network(validation), validation)}
        if unit["stage"] == "tuning":
            return [row]
        row["test_excess"] = source.excess_loss(network(test), test)
        temperature = fit_temperature(network(validation)[:, 1:-1].flatten(0, 1), validation[:, 2:].flatten())
    masked, texts = MaskedNetwork(network, outputs=Outputs(class_axis=-1)), test[: unit["examples"]]
    return [{**row, **measured(masked, settings["heads"], texts, temperature, unit["damage"])}]


def measured(network: MaskedNetwork, heads: int, texts: Tensor, temperature: float, damage: float) -> Row:
    """What removing heads of the first block costs, one at a time and together; exact, over all sets of them."""
    layer = Layer("block1.attention.output", at="input", unit_axis=-1, groups=heads)
    units = LayerUnits(network, layer, texts[:, :-1], texts[:, 1:], temperature=temperature)
    half = heads // 2
    sets = compensation(units.judged_by_predictions(), [half], sets=math.comb(heads, half), progress=False)
    masks = enumerate_masks(heads)
    lost = (units.intact_values() - units.values(masks)).mean(1).double()

    def too_much(keep_prob: float) -> float:
        return float(mask_log_prob(masks, keep_prob).exp().double() @ lost) - damage

    # Masks that cost every network the same; there are none where all heads together cost less.
    keep_prob = brentq(too_much, 1e-6, 1 - 1e-9) if too_much(1e-6) > 0 else math.nan
    share = math.nan if math.isnan(keep_prob) else interaction_share(units, keep_prob, progress=False).value
    return {
        "compensation": sets.ratio.item(),
        "pairs": interaction(units, progress=False).pairwise.sum().item() / (heads * (heads - 1)),
        "share": share,
        "one_head": sets.single_damage.mean().item(),
    }


def compared(table: pd.DataFrame, column: str, arm: str, control: str = "none", unit: str | None = None) -> Evidence:
    """What is measured of an arm, less that of another, paired by seed."""
    return difference(table, column, arm, control, unit=unit)


def judge(table: pd.DataFrame) -> list[Finding]:
    covers = "Chapter 7 found it of the units of dense layers: any rise agrees."
    return [
        Finding.higher(
            "Heads cover for each other more with dropout on the attention weights: compensation is higher.",
            compared(table, "compensation", "attention weights"),
            "networks repair themselves without dropout, too (McGrath et al. 2023)",
            primary=covers,
        ),
        Finding.higher(
            "Heads cover for each other more with dropout on the residual stream, too.",
            compared(table, "compensation", "residual"),
            primary=covers,
        ),
        Finding.higher(
            "Heads cover for each other more where whole heads are dropped, as they must if compensation sees what it should.",
            compared(table, "compensation", "whole heads"),
        ),
        Finding.lower(
            "Two heads are worth less together, beside what they are worth alone, with dropout on the attention weights.",
            compared(table, "pairs", "attention weights", unit="nats"),
        ),
        Finding.lower(
            "Two heads are worth less together, beside what they are worth alone, with dropout on the residual stream, too.",
            compared(table, "pairs", "residual", unit="nats"),
        ),
        Finding.higher(
            "At equal damage, dropout on the attention weights does not make the block more of a sum of its heads, but less.",
            compared(table, "share", "attention weights"),
        ),
        Finding.higher(
            "Dropout on the attention weights raises compensation more than dropout on the residual stream.",
            compared(table, "compensation", "attention weights", "residual"),
        ),
        Finding.lower(
            "Losing one head costs less with dropout on the attention weights.",
            compared(table, "one_head", "attention weights", unit="nats"),
        ),
        Finding.lower(
            "With dropout on the attention weights the test loss is lower.",
            compared(table, "test_excess", "attention weights"),
        ),
        Finding.lower(
            "With dropout on the residual stream the test loss is lower, too.",
            compared(table, "test_excess", "residual"),
        ),
    ]


def draw(table: pd.DataFrame) -> Figure:
    panels = {
        title: {arm: compared(table, column, arm) for arm in ARMS[1:]}
        for title, column in (("compensation", "compensation"), ("pairs", "pairs"), ("one head", "one_head"))
    }
    labels = {
        "compensation": "minus none",
        "pairs": "interaction,\nminus none (nats)",
        "one head": "cost,\nminus none (nats)",
    }
    return figures.interval_panels(panels, labels=labels, colors={"whole heads": "reference"})


_SHARED: dict[str, Any] = {
    "network": {**LANGUAGE, "width": 32, "depth": 1, "heads": 4},
    "keep_prob": 0.8,
    "batch": 16,
    "steps": 600,
    "sequences": 400,
    "examples": 100,
    "damage": 0.1,  # nats
    "learning_rates": [0.003, 0.01, 0.03, 0.1],
}

EXPERIMENT = Experiment(
    title="Attention heads as units: do they cover for each other?",
    source="McGrath et al. 2023; the measures are this course's",
    claim="Heads of attention cover for each other more where a transformer was trained with dropout.",
    reported=[
        Reported(
            "a layer of attention is removed from a language model that was trained without dropout",
            "another layer makes up for it",
            "McGrath et al. 2023, abstract",
        )
    ],
    scales={
        "lecture": {**_SHARED, "steps": 200, "learning_rates": [0.03], "seeds": 5},
        "workstation": {**_SHARED, "seeds": 10},
        "paper": {
            **_SHARED,
            "network": {"symbols": 32, "concentration": 0.1, "context": 64, "width": 256, "depth": 1, "heads": 8},
            "batch": 32,
            "steps": 10_000,
            "sequences": 4000,
            "learning_rates": [0.0003, 0.001, 0.003],
            "seeds": 5,
        },
    },
    origin="course",
    arms=arms,
    compute=compute,
    judge=judge,
    draw=draw,
    remark=(
        "A transformer of one block and four heads reads 400 texts of 16 symbols again and again; two symbols decide the next. "
        "Dropout stands in one place, with keep_prob 0.8, which was not tuned; each arm has the best of four learning rates by "
        "validation loss. Heads are removed after training, with nothing dropped and all networks at their best temperature, in "
        "all sets. McGrath and colleagues remove whole layers of models thousands of times as large, and look at later layers; "
        "here heads of one layer are removed. Statements were written after trials at three seeds that are not reported. The "
        "scale called paper is one for a GPU, and not theirs either."
    ),
)
