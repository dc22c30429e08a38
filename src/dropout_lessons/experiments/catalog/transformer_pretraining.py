"""A transformer reads as much text as it likes, or a little text again and again: with dropout, and without."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn

from dropout_lessons import figures, runtime
from dropout_lessons.claims import Evidence
from dropout_lessons.datasets import MarkovSource
from dropout_lessons.experiments import Arm, Experiment, Finding, Reported, Row, Unit
from dropout_lessons.experiments.tables import difference
from dropout_lessons.layers import Dropout
from dropout_lessons.networks import SmallTransformer, evaluating

TEXTS = ("single pass", "repeated")


def arms(config: Mapping[str, Any]) -> Iterator[Arm]:
    network, steps, batch = config["network"], config["steps"], config["batch"]
    weights = 12 * network["depth"] * network["width"] ** 2
    work = steps * batch * network["context"] * weights
    shared = {name: config[name] for name in ("network", "batch", "steps", "sequences", "checkpoints")}

    candidates = [{"learning_rate": rate} for rate in config["learning_rates"]]
    for text, keep_prob in itertools.product(TEXTS, config["keep_probs"]):
        settings = {"text": text, "keep_prob": keep_prob, **shared}
        seeds = range(config["seeds"])
        yield Arm(settings, seeds, candidates, together=False, tuned_by="validation_excess", work=work)


def compute(unit: Unit, device: torch.device) -> list[Row]:
    def generator(stream: int) -> torch.Generator:
        return runtime.generator(10 * unit.seed + stream)

    settings, steps, batch = unit["network"], unit["steps"], unit["batch"]
    source = MarkovSource(settings["symbols"], concentration=settings["concentration"], seed=unit.seed)
    length = settings["context"]
    validation, test = (source.sample(250, length, generator=generator(stream)).to(device) for stream in (1, 2))
    sequences = steps * batch if unit["text"] == "single pass" else unit["sequences"]
    corpus = source.sample(sequences, length, generator=generator(3)).to(device)
    batches = batches_of(corpus, steps, batch, generator(4))

    network = transformer(settings, generator(5)).to(device)
    drop(network, unit["keep_prob"], runtime.generator(unit.seed, device))
    rows: list[Row] = []
    for step in train(network, batches, unit["learning_rate"], steps):
        if step * unit["checkpoints"] // steps > len(rows):
            with evaluating(network), torch.no_grad():
                row: Row = {"step": step, "validation_excess": source.excess_loss(network(validation), validation)}
                if unit["stage"] == "report":
                    row["test_excess"] = source.excess_loss(network(test), test)
            rows.append(row)
    return rows if unit["stage"] == "report" else [min(rows, key=lambda row: row["validation_excess"])]


def transformer(settings: Mapping[str, Any], generator: torch.Generator) -> SmallTransformer:
    """The untrained network of an experiment's settings; it drops nothing yet."""
    sizes = {name: settings[name] for name in ("width", "depth", "heads")}
    return SmallTransformer(settings["symbols"], settings["context"], **sizes, generator=generator)


def drop(network: nn.Module, keep_prob: float, masks: torch.Generator | None) -> None:
    """Set the keep probability of all dropout layers, and draw their masks from one generator."""
    for layer in network.modules():
        if isinstance(layer, Dropout):
            layer.keep_prob, layer.generator = keep_prob, masks


def batches_of(corpus: Tensor, steps: int, size: int, order: torch.Generator) -> Iterator[Tensor]:
    """Batches for so many steps, of all texts in a new order again and again."""
    passes = -(-steps * size // len(corpus))
    drawn = torch.cat([torch.randperm(len(corpus), generator=order) for _ in range(passes)])[: steps * size]
    return (corpus[batch] for batch in drawn.to(corpus.device).split(size))


def train(network: SmallTransformer, batches: Iterable[Tensor], learning_rate: float, steps: int) -> Iterator[int]:
    """Take a step on each batch, and say after each how many were taken."""
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(learning, lr=learning_rate, fused=True)
    # The learning rate rises over the first steps, and falls linearly to zero.
    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1, (step + 1) / 20) * (1 - step / steps))
    for step, batch in enumerate(batches, 1):
        loss = next_symbol_loss(network, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rates.step()
        yield step


def next_symbol_loss(network: SmallTransformer, text: Tensor) -> Tensor:
    """Cross-entropy of the third symbol and all that follow, in nats: what the two before a symbol decide."""
    return F.cross_entropy(network(text)[:, 1:-1].flatten(0, 1), text[:, 2:].flatten())


def final(table: pd.DataFrame) -> pd.DataFrame:
    """Each network after its last step."""
    last: pd.DataFrame = table[table.step == table.step.max()]
    return last


def early_stopped(table: pd.DataFrame) -> pd.DataFrame:
    """Each network at the checkpoint where its validation loss is lowest."""
    lowest = table.groupby(["text", "keep_prob", "seed"]).validation_excess.idxmin()
    stopped: pd.DataFrame = table.loc[lowest.tolist()]
    return stopped


def judge(table: pd.DataFrame) -> list[Finding]:
    def against(rows: pd.DataFrame, text: str, keep_prob: float, control: float) -> Evidence:
        rows = rows[rows.text == text]
        return difference(rows, "test_excess", {"keep_prob": keep_prob}, {"keep_prob": control})

    last, stopped = final(table), early_stopped(table)
    return [
        Finding.higher(
            "In a single pass over fresh text, the loss is higher with keep_prob 0.9 than without dropout.",
            against(last, "single pass", 0.9, 1.0),
            "higher (Liu et al. 2025); PaLM is trained without dropout",
            primary="The papers say that it hurts: any cost agrees.",
        ),
        Finding.higher(
            "In a single pass, more dropout is worse: the loss is higher with keep_prob 0.8 than with 0.9.",
            against(last, "single pass", 0.8, 0.9),
            "best without dropout, of several rates (Liu et al. 2025)",
        ),
        Finding.lower(
            "After as many steps on repeated text, the loss is lower with keep_prob 0.9 than without dropout.",
            against(last, "repeated", 0.9, 1.0),
            "dropout relieves what many epochs do (Xue et al. 2023)",
            primary="The papers say that it helps: any gain agrees.",
        ),
        Finding.lower(
            "On repeated text it is lower also where every network is stopped at its lowest validation loss.",
            against(stopped, "repeated", 0.9, 1.0),
        ),
    ]


def draw(table: pd.DataFrame) -> Figure:
    def curves(text: str, keep_prob: float) -> NDArray[np.float64]:
        rows = table[(table.text == text) & (table.keep_prob == keep_prob)]
        return rows.pivot(index="step", columns="seed", values="test_excess").to_numpy(np.float64)

    keep_probs = sorted(table.keep_prob.unique().tolist())
    panels = {
        f"{name} text": {keep_prob: curves(text, keep_prob) for keep_prob in keep_probs}
        for text, name in zip(TEXTS, ("fresh", "repeated"), strict=True)
    }
    return figures.excess_loss_curves(sorted(table.step.unique().tolist()), panels)


LANGUAGE = {"symbols": 8, "concentration": 0.3, "context": 16}
_SHARED: dict[str, Any] = {
    "network": {**LANGUAGE, "width": 32, "depth": 2, "heads": 2},
    "batch": 16,
    "steps": 1000,
    "sequences": 400,
    "checkpoints": 10,
    "keep_probs": [0.8, 0.9, 1.0],
    "learning_rates": [0.003, 0.01, 0.03],
}

EXPERIMENT = Experiment(
    title="Pre-training a transformer: fresh text or repeated text",
    source="Liu, Bauer and Manning 2025; Chowdhery et al. 2022 (PaLM); Xue et al. 2023",
    claim="Where every batch is new, a transformer learns better without dropout; where text repeats, dropout helps.",
    reported=[
        Reported("dropout in single-epoch pre-training", "hurts, in BERT and Pythia 160M and 1.4B", "Liu et al. 2025"),
        Reported("dropout rate in pre-training PaLM; in fine-tuning it", "none; 0.1", "Chowdhery et al. 2022"),
        Reported("dropout where pre-training text is repeated", "remarkably effective", "Xue et al. 2023, abstract"),
    ],
    scales={
        "lecture": {**_SHARED, "steps": 300, "sequences": 200, "checkpoints": 6, "learning_rates": [0.01], "seeds": 5},
        "workstation": {**_SHARED, "seeds": 10},
        "paper": {
            **_SHARED,
            "network": {"symbols": 32, "concentration": 0.1, "context": 128, "width": 384, "depth": 6, "heads": 6},
            "batch": 32,
            "steps": 10_000,
            "sequences": 4000,
            "checkpoints": 20,
            "learning_rates": [0.0003, 0.001, 0.003],
            "seeds": 5,
        },
    },
    origin="other",
    arms=arms,
    compute=compute,
    judge=judge,
    draw=draw,
    remark=(
        "The papers train on natural language with models thousands of times as large, and measure other tasks as well. "
        "Here the text comes from a random source in which two symbols decide the next, so that fresh text never runs "
        "out and the least possible loss is known. Each arm has the best of three learning rates on fresh text, judged at "
        "two seeds. In a single pass, networks then come close to the least possible loss, and of what a tenth of dropout "
        "costs too little is left to be told from nothing; the lecture scale, with fewer steps, shows more of it. Models "
        "in pre-training stop far from the least possible loss. The scale called paper is one for a GPU, and not theirs either."
    ),
)
