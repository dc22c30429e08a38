"""The interactives that the tests look at, and how they read and move them in a page."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, Page

from dropout_lessons.conventions import CONVENTIONS
from dropout_lessons.widgets import (
    AverageSubnetworks,
    KeepDropConverter,
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
}
every_interactive = pytest.mark.parametrize("build", HANDLES)


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
