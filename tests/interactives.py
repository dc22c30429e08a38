"""The interactives that the tests look at, and how they read and move them in a page."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
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
    RemoveUnits,
    ScalingExplorer,
    SubnetworkVisits,
    ThinnedNetwork,
    UncertaintyExplorer,
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
    uncertainty_explorer: Handle("threshold", "Entropy threshold", 1.25, "1.25 nats", "0.55 nats"),
    interaction_matrix: Handle("threshold", "Threshold", 0.35, "0.35 nats", "0.51 nats"),
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
