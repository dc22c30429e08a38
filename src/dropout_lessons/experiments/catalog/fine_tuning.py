"""A transformer that was pre-trained on much text is fine-tuned on little: with dropout before, after, or in a LoRA."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor, nn

from dropout_lessons import figures, runtime
from dropout_lessons.datasets import MarkovSource
from dropout_lessons.experiments import Arm, Experiment, Finding, Reported, Row, Unit
from dropout_lessons.experiments.catalog.transformer_pretraining import LANGUAGE, batches_of, drop, train, transformer
from dropout_lessons.experiments.tables import difference
from dropout_lessons.layers import Dropout
from dropout_lessons.networks import SmallTransformer, evaluating

KEEP_PROB = 0.9  # what the recipes of fine-tuning have


class Way(NamedTuple):
    """Where an arm drops, and whether it fine-tunes all weights or small matrices beside them."""

    pretraining: float = 1.0
    fine_tuning: float = 1.0
    lora: bool = False


WAYS = {
    "none": Way(),
    "in fine-tuning": Way(1.0, KEEP_PROB),
    "in pre-training": Way(KEEP_PROB, 1.0),
    "in both": Way(KEEP_PROB, KEEP_PROB),
    "LoRA, none": Way(lora=True),
    "LoRA, dropout": Way(1.0, KEEP_PROB, lora=True),
}


class LowRank(nn.Module):
    r"""A frozen linear layer, and beside it two small matrices that learn: :math:`W x + b + B A (m \odot x / p)`."""

    def __init__(self, frozen: nn.Linear, rank: int, dropout: nn.Module, generator: torch.Generator) -> None:
        super().__init__()
        self.frozen, self.dropout = frozen.requires_grad_(False), dropout
        weight = frozen.weight
        down = torch.randn(rank, frozen.in_features, generator=generator) / frozen.in_features**0.5
        self.down = nn.Parameter(down.to(weight.device))
        self.up = nn.Parameter(weight.new_zeros(frozen.out_features, rank))

    def forward(self, x: Float[Tensor, "... inputs"]) -> Float[Tensor, "... outputs"]:
        """Add what the small matrices say to what the frozen layer says."""
        added: Tensor = self.frozen(x) + self.dropout(x) @ self.down.T @ self.up.T
        return added


def with_lora(
    network: nn.Module, rank: int, keep_prob: float, generator: torch.Generator, masks: torch.Generator
) -> None:
    """Freeze a network, and put small matrices beside each plain linear layer."""
    network.requires_grad_(False)
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Linear:
                setattr(module, name, LowRank(child, rank, Dropout(keep_prob, generator=masks), generator))


def arms(config: Mapping[str, Any]) -> Iterator[Arm]:
    shared = {name: config[name] for name in ("network", "pretraining", "changed", "rank", "batch", "steps")}
    shared |= {name: config[name] for name in ("sequences", "checkpoints")}
    for name, way in WAYS.items():
        rates = [{"learning_rate": rate} for rate in config["lora_rates" if way.lora else "learning_rates"]]
        work = config["pretraining"]["steps"] + len(rates) * config["steps"]
        yield Arm({"arm": name, **shared}, range(config["seeds"]), rates, tuned_by="validation_excess", work=work)


class Texts(NamedTuple):
    """What a unit reads: much of a language, once; little of its dialect, again and again; and what judges it."""

    much: list[Tensor]
    again: list[Tensor]
    validation: Tensor
    test: Tensor
    dialect: MarkovSource

    def excess(self, network: nn.Module, part: str) -> float:
        """Loss above the least possible one, in nats."""
        text = getattr(self, part)
        with evaluating(network), torch.no_grad():
            return self.dialect.excess_loss(network(text), text)


def stream(unit: Unit, number: int) -> torch.Generator:
    return runtime.generator(10 * unit.seed + number)


def texts_of(unit: Unit, device: torch.device) -> Texts:
    settings, batch, steps, length = unit["network"], unit["batch"], unit["steps"], unit["network"]["context"]
    source = MarkovSource(settings["symbols"], concentration=settings["concentration"], seed=unit.seed)
    dialect = source.dialect(unit["changed"], seed=unit.seed)
    much = source.sample(unit["pretraining"]["steps"] * batch, length, generator=stream(unit, 1)).to(device)
    little, validation, test = (
        dialect.sample(texts, length, generator=stream(unit, number)).to(device)
        for texts, number in ((unit["sequences"], 2), (250, 3), (250, 4))
    )
    again = list(batches_of(little, steps, batch, stream(unit, 5)))
    return Texts(list(much.split(batch)), again, validation, test, dialect)


def fine_tuned(unit: Unit, pretrained: SmallTransformer, texts: Texts, learning_rate: float) -> Row:
    """Fine-tune a copy, and measure it where its validation loss is lowest, and at the end."""
    way, network = WAYS[unit["arm"]], copy.deepcopy(pretrained)
    masks = runtime.generator(unit.seed, texts.test.device)
    drop(network, 1.0 if way.lora else way.fine_tuning, masks)
    if way.lora:
        with_lora(network, unit["rank"], way.fine_tuning, stream(unit, 7), masks)
    seen: list[Row] = []
    for step in train(network, texts.again, learning_rate, unit["steps"]):
        if step * unit["checkpoints"] // unit["steps"] > len(seen):
            row: Row = {"stopped_at": step, "validation_excess": texts.excess(network, "validation")}
            if not unit.tunes:
                row["test_excess"] = texts.excess(network, "test")
            seen.append(row)
    stopped = min(seen, key=lambda row: row["validation_excess"])
    if unit.tunes:
        return stopped
    return {**stopped, "end_excess": seen[-1]["test_excess"], "start_excess": texts.excess(pretrained, "test")}


def compute(unit: Unit, device: torch.device) -> list[Row]:
    texts, before = texts_of(unit, device), unit["pretraining"]
    network = transformer(unit["network"], stream(unit, 6)).to(device)
    drop(network, WAYS[unit["arm"]].pretraining, runtime.generator(unit.seed, device))
    for _ in train(network, texts.much, before["learning_rate"], before["steps"]):
        pass
    # A copy has no generator of its own masks: those cannot be copied.
    drop(network, 1.0, None)
    rows = [
        {**candidate, **fine_tuned(unit, network, texts, candidate["learning_rate"])}
        for candidate in unit["candidates"]
    ]
    return [{**row, "candidate": i} for i, row in enumerate(rows)] if unit.tunes else rows


def judge(table: pd.DataFrame) -> list[Finding]:
    return [
        Finding.lower(
            "Fine-tuned on few texts and stopped at the lowest validation loss, the loss is lower with dropout in fine-tuning.",
            difference(table, "test_excess", "in fine-tuning", "none"),
            "PaLM is pre-trained without dropout and fine-tuned with a rate of 0.1",
            primary="The recipes drop in fine-tuning because it is to lower the loss: any lowering agrees.",
        ),
        Finding.higher(
            "It is higher with dropout in pre-training, which reads each text once.",
            difference(table, "test_excess", "in pre-training", "none"),
            "better without (Liu et al. 2025)",
        ),
        Finding.lower(
            "After dropout in pre-training, too, dropout in fine-tuning lowers it.",
            difference(table, "test_excess", "in both", "in pre-training"),
        ),
        Finding.lower(
            "Where only small matrices beside frozen ones learn, dropout on their inputs lowers it.",
            difference(table, "test_excess", "LoRA, dropout", "LoRA, none"),
            "a rate of 0.1 or 0.05 (Hu et al. 2022; Dettmers et al. 2023)",
            primary="The recipes drop there because it is to lower the loss: any lowering agrees.",
        ),
        Finding.lower(
            "Not stopped, all weights end with a lower loss with dropout in fine-tuning.",
            difference(table, "end_excess", "in fine-tuning", "none"),
        ),
        Finding.lower(
            "Not stopped, small matrices end with a lower loss with dropout on their inputs.",
            difference(table, "end_excess", "LoRA, dropout", "LoRA, none"),
        ),
    ]


def draw(table: pd.DataFrame) -> Figure:
    pairs = {"in fine-tuning": "none", "in pre-training": "none", "in both": "none", "LoRA, dropout": "LoRA, none"}
    panels = {
        title: {arm: difference(table, column, arm, control) for arm, control in pairs.items()}
        for title, column in (("stopped", "test_excess"), ("at the end", "end_excess"))
    }
    return figures.interval_panels(panels, labels=dict.fromkeys(panels, "loss, minus that\nwithout dropout (nats)"))


_SHARED: dict[str, Any] = {
    "network": {**LANGUAGE, "width": 32, "depth": 2, "heads": 2},
    "pretraining": {"steps": 600, "learning_rate": 0.01},
    "changed": 16,
    "rank": 4,
    "batch": 16,
    "steps": 300,
    "sequences": 50,
    "checkpoints": 15,
    "learning_rates": [0.003, 0.001, 0.0003, 0.0001],
    "lora_rates": [0.01, 0.003, 0.001, 0.0003],
}

EXPERIMENT = Experiment(
    title="Fine-tuning on few texts: dropout before, after, or in a LoRA",
    source="Chowdhery et al. 2022 (PaLM); Hu et al. 2022 (LoRA); Dettmers et al. 2023 (QLoRA); Liu et al. 2025",
    claim="A transformer that was pre-trained in one pass without dropout is fine-tuned on few texts better with dropout.",
    reported=[
        Reported("dropout rate in pre-training PaLM; in fine-tuning it", "none; 0.1", "Chowdhery et al. 2022"),
        Reported("dropout rate in LoRA, up to 13 billion weights; for more", "0.1; 0.05", "Dettmers et al. 2023"),
    ],
    scales={
        "lecture": {
            **_SHARED,
            "pretraining": {"steps": 200, "learning_rate": 0.01},
            "steps": 100,
            "checkpoints": 5,
            "learning_rates": [0.001],
            "lora_rates": [0.003],
            "seeds": 5,
        },
        "workstation": {**_SHARED, "seeds": 10},
        "paper": {
            **_SHARED,
            "network": {**LANGUAGE, "symbols": 32, "context": 64, "width": 256, "depth": 6, "heads": 8},
            "pretraining": {"steps": 20_000, "learning_rate": 0.001},
            "changed": 256,
            "rank": 8,
            "batch": 64,
            "steps": 3000,
            "sequences": 500,
            "seeds": 5,
        },
    },
    origin="other",
    arms=arms,
    compute=compute,
    judge=judge,
    draw=draw,
    remark=(
        "A transformer of two blocks reads 9,600 texts of a made-up language once each, and is then fine-tuned on 50 texts of "
        "a dialect, in which other symbols follow a quarter of the pairs. All weights learn, or matrices of rank 4 beside "
        "frozen ones. Dropout has keep_prob 0.9, as in the recipes, and was not tuned; each arm has the best of four learning "
        "rates of fine-tuning, on validation texts, and is stopped where its validation loss is lowest. Pre-training has one "
        "learning rate for all. The rates to choose from were set after a trial of validation losses at one seed that is not "
        "reported."
    ),
)
