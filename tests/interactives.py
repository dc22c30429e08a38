"""The interactives that the tests look at, and how they read and move them in a page."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from playwright.sync_api import Locator, Page

from dropout_lessons.conventions import CONVENTIONS
from dropout_lessons.layers import Dropout
from dropout_lessons.networks import MLP
from dropout_lessons.widgets import (
    AverageSubnetworks,
    InteractionMatrix,
    KeepDropConverter,
    KeepProbSweep,
    Laboratory,
    MaskShapes,
    RemoveUnits,
    RidgeExplorer,
    ScalingExplorer,
    SubnetworkVisits,
    ThinnedNetwork,
    UncertaintyExplorer,
    VerdictExplorer,
)
from dropout_lessons.widgets.base import Interactive

Open = Callable[..., Page]  # the fixture open_page


def network_arrays() -> dict[str, Any]:
    generator = np.random.default_rng(5)
    return {
        "w1": generator.normal(size=(6, 4)),
        "b1": generator.normal(size=6),
        "w2": generator.normal(size=(3, 6)),
        "b2": generator.normal(size=3),
        "x": generator.normal(size=4),
        "target": 1,
    }


def thinned_network(**changes: Any) -> ThinnedNetwork:
    return ThinnedNetwork(**{**network_arrays(), **changes})


def unit_inputs() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(7)
    return np.maximum(generator.normal(0.5, 1, size=10), 0), generator.normal(0.4, 0.5, size=10)


def scaling_explorer(**changes: Any) -> ScalingExplorer:
    return ScalingExplorer(*unit_inputs(), **changes)


def keep_drop_converter(**changes: Any) -> KeepDropConverter:
    return KeepDropConverter(CONVENTIONS, **changes)


def subnetwork_visits(**changes: Any) -> SubnetworkVisits:
    return SubnetworkVisits(**changes)


def last_layer() -> dict[str, Any]:
    generator = np.random.default_rng(11)
    return {
        "h": np.maximum(generator.normal(0.5, 1, size=(3, 7)), 0),
        "w": generator.normal(size=(4, 7)),
        "b": generator.normal(size=4),
        "labels": [2, 0, 3],
    }


def average_subnetworks(**changes: Any) -> AverageSubnetworks:
    images = np.random.default_rng(12).random((3, 5, 6))
    return AverageSubnetworks(**{**last_layer(), "images": images, **changes})


def turned_examples() -> dict[str, Any]:
    """Two examples at five steps: one network, eight members and three members over four classes."""
    generator = np.random.default_rng(13)

    def members(count: int) -> np.ndarray:
        sharpness = generator.gamma(2.0, 2.0, size=(2, 5, 1, 1))
        exponentials = np.exp(sharpness * generator.normal(size=(2, 5, count, 4)))
        return exponentials / exponentials.sum(axis=-1, keepdims=True)

    return {
        "images": generator.random((2, 5, 6, 7)),
        "probs": {"weight scaling": members(1), "MC dropout": members(8), "ensemble": members(3)},
        "labels": [1, 3],
    }


def uncertainty_explorer(**changes: Any) -> UncertaintyExplorer:
    labels = [f"{15 * step}°" for step in range(5)]
    return UncertaintyExplorer(**{**turned_examples(), "step_labels": labels, "step_name": "Rotation", **changes})


def two_networks(*sizes: int) -> dict[str, MLP]:
    """Random networks, of 9 units in the first hidden layer unless said; one scales its dropout layers at test time."""

    def network(**changes: Any) -> MLP:
        made = MLP(sizes or (5, 9, 7, 4), generator=generator, **changes)
        with torch.no_grad():
            for parameter in made.parameters():
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator)  # biases too
        return made

    generator = torch.Generator().manual_seed(3)
    return {
        "plain": network(),
        "dropout": network(keep_prob=0.5, dropout=lambda keep_prob: Dropout(keep_prob, scaling="standard")),
    }


def few_examples(inputs: int = 5, classes: int = 4, examples: int = 30) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(examples, inputs, generator=generator)
    return {"x": x, "y": torch.randint(classes, (examples,), generator=generator)}


def remove_units(**changes: Any) -> RemoveUnits:
    return RemoveUnits(**{"networks": two_networks(), "layer": "hidden1", **few_examples(), **changes})


def interactions(units: int = 12, names: tuple[str, ...] = ("plain", "dropout")) -> dict[str, dict[str, np.ndarray]]:
    """Random interactions with the tails of real ones; the largest is 1.4 nats, and a quarter of it with dropout."""
    generator = np.random.default_rng(14)
    made: dict[str, dict[str, np.ndarray]] = {"matrices": {}, "strength": {}, "effects": {}}
    for name, most in zip(names, (1.4, 0.35), strict=False):
        matrix = np.triu(generator.normal(size=(units, units)) ** 3, 1)
        matrix = (matrix + matrix.T) * most / abs(matrix).max()
        extra = np.triu(generator.exponential(0.05, size=(units, units)), 1)
        made["matrices"][name] = matrix
        made["strength"][name] = np.minimum(abs(matrix) + extra + extra.T, 1.4)
        made["effects"][name] = generator.normal(0.1, 0.3, size=units)
    return made


def interaction_matrix(**changes: Any) -> InteractionMatrix:
    return InteractionMatrix(**{**interactions(), **changes})


def compared_arms() -> dict[str, dict[str, Any]]:
    """Differences in nats of ten seeds that are all on one side, and of seven around zero."""
    generator = np.random.default_rng(15)
    return {
        "noise": {
            "statement": "Noise raises the loss by more than 0.2 nats.",
            "differences": generator.normal(0.5, 0.2, size=10),
            "above": 0.2,
        },
        "two recipes": {
            "statement": "Two recipes differ by less than 0.1 nats.",
            "differences": generator.normal(0.0, 0.15, size=7),
            "within": (-0.1, 0.1),
        },
    }


def verdict_explorer(**changes: Any) -> VerdictExplorer:
    return VerdictExplorer(**{"effects": compared_arms(), "unit": "nats", "scale": 1, **changes})


def swept_errors() -> pd.DataFrame:
    """Errors that fall with data and width, lowest in the middle, with noise that the keep_probs of a seed share."""
    generator = np.random.default_rng(15)
    rows = []
    for (train, base), (width, least), held, seed in itertools.product(
        {100: 0.2, 1000: 0.1, 5000: 0.05}.items(), {16: 0.8, 64: 0.6}.items(), ("n", "p*n"), range(6)
    ):
        shared = generator.normal(0, 0.01)
        for keep_prob in np.arange(2, 11) / 10:
            below = max(least - keep_prob, 0) * (1 if held == "n" else 0.3)
            test_error = base * (
                1 + shared + 20 * below**3 + max(keep_prob - least, 0) ** 2 + generator.normal(0, 0.03)
            )
            units = width if held == "n" else round(width / 2 / keep_prob)
            place = {"train": train, "width": width, "held": held, "keep_prob": keep_prob, "seed": seed, "units": units}
            rows.append({**place, "train_error": min(below**2, 1), "test_error": min(test_error, 0.9)})
    return pd.DataFrame(rows)


def keep_prob_sweep(**changes: Any) -> KeepProbSweep:
    return KeepProbSweep(**{"table": swept_errors(), **changes})


def two_features() -> dict[str, Any]:
    """Correlated features of very different scale, not centered, and a target."""
    generator = np.random.default_rng(15)
    first = generator.normal(3, 1, size=30)
    second = 20 * (first + generator.normal(0, 1, size=30))
    return {
        "x": np.stack([first, second], axis=1),
        "y": 2 * first + 0.05 * second + generator.normal(0, 1, size=30),
        "names": ["rooms", "area"],
    }


def ridge_explorer(**changes: Any) -> RidgeExplorer:
    return RidgeExplorer(**{**two_features(), **changes})


def feature_maps() -> dict[str, np.ndarray]:
    """Smooth maps of one layer and rough ones of another, of two examples."""
    generator = np.random.default_rng(16)
    rough = np.maximum(generator.normal(0, 1, size=(2, 3, 7, 6)), 0)
    smooth = generator.random((2, 1, 10, 9)).cumsum(axis=2).cumsum(axis=3)
    return {"smooth": smooth, "rough": rough}


def mask_shapes(**changes: Any) -> MaskShapes:
    return MaskShapes(**{"maps": feature_maps(), "block_size": 3, **changes})


def laboratory(mode: str = "curve", **changes: Any) -> Laboratory:
    return Laboratory(mode, **{"width": 16, "epochs": 500, **changes})


@dataclass(frozen=True)
class Handle:
    """The slider that the tests of every interactive move."""

    trait: str
    name: str
    elsewhere: float
    shown: str
    after_arrow: str
    """What is shown one arrow key above 0.5."""


KEEP_PROB = Handle("keep_prob", "Keep probability p", 0.35, "0.35", "0.55")
HANDLES: dict[Callable[..., Interactive], Handle] = {
    thinned_network: KEEP_PROB,
    scaling_explorer: KEEP_PROB,
    keep_drop_converter: Handle("keep_prob", "Keep probability p", 0.35, "0.35", "0.51"),
    subnetwork_visits: KEEP_PROB,
    average_subnetworks: KEEP_PROB,
    ridge_explorer: KEEP_PROB,
    uncertainty_explorer: Handle("threshold", "Entropy threshold", 1.25, "1.25 nats", "0.55 nats"),
    keep_prob_sweep: Handle("keep_prob", "Keep probability p", 0.4, "0.40", "0.60"),
    interaction_matrix: Handle("threshold", "Threshold", 0.35, "0.35 nats", "0.51 nats"),
    verdict_explorer: Handle("bound", "Bound", 0.35, "0.35 nats", "0.51 nats"),
    mask_shapes: KEEP_PROB,
    laboratory: Handle("keep_hidden", "Keep a hidden unit with p", 0.35, "0.35", "0.55"),
}
BUILDS = (*HANDLES, remove_units)
every_interactive = pytest.mark.parametrize("build", BUILDS)
every_slider = pytest.mark.parametrize("build", HANDLES)


def output(widget: Interactive) -> str:
    html = widget._repr_mimebundle_()[0]["text/html"]
    assert isinstance(html, str)
    return html


def text(page: Page | Locator, name: str) -> str:
    return page.locator(f'[data-value="{name}"]').inner_text().replace("−", "-")


def number(page: Page | Locator, name: str) -> float:
    return float(text(page, name).replace(",", ""))


def move_slider(page: Page, value: float, name: str = "Keep probability p") -> None:
    slider = page.get_by_role("slider", name=name)
    slider.fill(str(value))
    assert float(slider.input_value()) == value


def move(page: Page, handle: Handle) -> None:
    move_slider(page, handle.elsewhere, handle.name)


def all_masks(units: int) -> np.ndarray:
    return np.array(list(itertools.product([False, True], repeat=units)))


def mask_probs(masks: np.ndarray, keep_prob: float) -> np.ndarray:
    return np.prod(np.where(masks, keep_prob, 1 - keep_prob), axis=1)


def press(page: Page, *names: str) -> None:
    for name in names:
        page.get_by_role("button", name=name, exact=True).click()


# A page with a stand-in for Jupyter's model, from an interactive's module, its state and the trait to watch.
LIVE_HOST = """
async ([source, state, trait]) => {
    const address = URL.createObjectURL(new Blob([source], {type: "text/javascript"}));
    const {default: widget} = await import(address);
    const listeners = [];
    window.saved = [];
    window.model = {
        get: (name) => state[name],
        set: (name, value) => {
            state[name] = value;
            for (const [event, listener] of listeners) if (event === `change:${name}`) listener();
        },
        on: (event, listener) => listeners.push([event, listener]),
        off: (event, listener) => listeners.splice(listeners.findIndex(([e, l]) => e === event && l === listener), 1),
        save_changes: () => window.saved.push(state[trait]),
    };
    const el = document.querySelector("main").appendChild(document.createElement("div"));
    const close = widget.render({model: window.model, el});
    window.close_view = () => { close(); return listeners.length; };
}
"""
