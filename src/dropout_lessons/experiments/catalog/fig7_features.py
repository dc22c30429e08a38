"""Figure 7: what the hidden units of an autoencoder draw, with dropout and without."""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from dropout_lessons import figures
from dropout_lessons.claims import Evidence, sampled
from dropout_lessons.experiments import Experiment, Finding, Reported, Row, Unit
from dropout_lessons.experiments.autoencoders import autoencoder_arms, trained_autoencoder
from dropout_lessons.experiments.tables import difference, values
from dropout_lessons.training import evaluate

SHOWN = 8  # features of the first seed
GRAYS = 7  # levels on either side of zero


def compute(unit: Unit, device: torch.device) -> list[Row]:
    data, network, validation = trained_autoencoder(unit, device)
    encoder, decoder = next(network.parameters()).detach(), network.output.weight.detach().T
    ink = encoder * data.train.x.std(0)
    row: Row = {
        "pixels_encoder": pixels_per_feature(ink),
        "pixels_decoder": pixels_per_feature(decoder),
        "test_unexplained": evaluate(network, data.test, outputs="values").error,
        "validation_unexplained": validation,
    }
    if unit.seed == 0:
        row["incoming"] = " ".join(written(feature) for feature in encoder[:SHOWN].cpu())
        row["outgoing"] = " ".join(written(feature) for feature in decoder[:SHOWN].cpu())
    return [row]


def pixels_per_feature(weights: Float[Tensor, "units pixels"]) -> float:
    r"""Over how many pixels a unit's weights spread, :math:`(\sum w^2)^2 / \sum w^4`, the mean over units."""
    squares = weights.double().square()
    return float((squares.sum(1).square() / squares.square().sum(1)).mean())


def written(feature: Float[Tensor, " pixels"]) -> str:
    """A feature as text, a hexadecimal digit for each pixel: 7 is zero, 0 and e are the largest absolute value."""
    levels = (feature / feature.abs().max() * GRAYS).round().int() + GRAYS
    return "".join(map("0123456789abcde".__getitem__, levels.tolist()))


def read(features: str) -> Float[Tensor, "features pixels"]:
    """The features that ``written`` wrote, separated by spaces; the largest absolute value of each is 1."""
    return torch.tensor([[int(digit, 16) / GRAYS - 1 for digit in feature] for feature in features.split()])


def judge(table: pd.DataFrame) -> list[Finding]:
    def compared(column: str, control: str) -> Evidence:
        return difference(table, column, "dropout", control, unit="pixels")

    dropout, plain = (values(table, "test_unexplained", arm=arm) for arm in ("dropout", "plain"))
    return [
        Finding.lower(
            "With dropout what a unit responds to, its incoming weights times the variation of the pixels, covers fewer pixels.",
            compared("pixels_encoder", "plain"),
            "edges, strokes and spots in different parts of the image",
            primary="The paper sees features of parts of the image, as against none: any decrease agrees.",
        ),
        Finding.lower(
            "With dropout what a unit draws, its outgoing weights, covers fewer pixels.",
            compared("pixels_decoder", "plain"),
            "edges, strokes and spots in different parts of the image",
        ),
        Finding.lower(
            "So it does where the network without dropout reconstructs as badly.",
            compared("pixels_decoder", "stopped early"),
        ),
        Finding(
            "Reconstructions are similar: with dropout at most a tenth more of the variance is left unexplained.",
            "similar reconstruction error",
            sampled(dropout / plain - 1, over="seeds"),
            within=(-0.1, 0.1),
            primary="The paper calls the errors similar; a tenth is what is taken for similar here.",
            here=f"{plain.mean():.2%} to {dropout.mean():.2%} unexplained",
        ),
    ]


def draw(table: pd.DataFrame) -> Figure:
    first = table[table.seed == 0].set_index("arm")
    rows = {
        f"{arm}: {kind} weights of {SHOWN} units": read(first[kind][arm])
        for kind in ("incoming", "outgoing")
        for arm in ("plain", "dropout")
    }
    side = round(next(iter(rows.values())).shape[1] ** 0.5)
    return figures.signed_images(rows, (side, side))


_ADAM = {"optimizer": "adam", "learning_rate": 1e-3, "decay": "none"}
_SHARED: dict[str, Any] = {"data": "mnist_10k", "hidden": 256, "keep_prob": 0.5, "early_epochs": 10}

EXPERIMENT = Experiment(
    title="Figure 7: features of an autoencoder with 256 hidden units",
    source="Srivastava et al. 2014, Figure 7 and Section 7.1",
    claim="Units trained with dropout detect edges, strokes and spots in different parts of the image; those trained without it "
    "do not detect a meaningful feature on their own, though both reconstruct about as well.",
    reported=[
        Reported("features with dropout", "edges, strokes and spots in different parts of the image", "Section 7.1"),
        Reported("test reconstruction error", "similar with and without dropout", "Section 7.1"),
    ],
    scales={
        "lecture": {**_SHARED, "train": 1000, "recipe": {"epochs": 20, **_ADAM}, "seeds": 5},
        "workstation": {**_SHARED, "train": 5000, "recipe": {"epochs": 40, **_ADAM}, "seeds": 6},
        "paper": {
            **_SHARED,
            "data": "mnist",
            "train": 50_000,
            "early_epochs": 20,
            "recipe": {"epochs": 100, **_ADAM},
            "seeds": 5,
        },
    },
    arms=autoencoder_arms,
    compute=compute,
    judge=judge,
    draw=draw,
    remark="The paper shows pictures; the number of pixels that a feature covers is this course's way to count them. Fewer "
    "examples and shorter training than the paper's, and Adam, which the paper does not use. The comparison with a network "
    "stopped early, at the reconstruction error that dropout reaches, is an addition: less training alone changes features. "
    "It does not show that local features are dropout's own: with an L2 penalty they cover as few pixels where copies are as "
    "good, and part of what vanishes is noise that the weights began with, on pixels without ink (chapter 6). "
    "Reconstructions are clearly worse with dropout here. The hidden layer has the same number of units with and without it, and "
    "the noise is still there at the end of training; what the paper did to reach similar errors it does not say.",
)
