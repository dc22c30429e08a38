"""AverageSubnetworks: means over subnetworks against enumeration, and weight scaling."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
import torch
import traitlets
from interactives import (
    Open,
    all_masks,
    average_subnetworks,
    last_layer,
    mask_probs,
    move_slider,
    number,
    output,
    press,
    text,
)
from playwright.sync_api import Page, expect

from dropout_lessons.widgets import AverageSubnetworks


def softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits)
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def member_probs(masks: np.ndarray, keep_prob: float, example: int, layer: dict[str, Any] | None = None) -> np.ndarray:
    """The classes' probabilities of these subnetworks, shape (masks, classes)."""
    layer = layer or last_layer()
    return softmax(masks * layer["h"][example] / keep_prob @ layer["w"].T + layer["b"])


def geometric(probs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    products = np.exp(weights @ np.log(probs))
    return products / products.sum()


ROUNDED = 0.00005 + 1e-9


@pytest.mark.parametrize("keep_prob", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("example", [0, 1, 2])
def test_exact_means_are_those_of_all_subnetworks(open_page: Open, keep_prob: float, example: int) -> None:
    page = open_page(output(average_subnetworks(example=example)))
    move_slider(page, keep_prob)
    masks = all_masks(7)
    probs, weights = member_probs(masks, keep_prob, example), mask_probs(masks, keep_prob)
    label = last_layer()["labels"][example]
    lines = {
        name: float(page.locator(f".dl-exact.dl-{name}[data-exact]").get_attribute("data-exact") or "nan")
        for name in ("arithmetic", "geometric")
    }
    # sums of 128 terms of at most 1, in float64 and another order
    assert lines["arithmetic"] == pytest.approx((weights @ probs)[label], rel=1e-12)
    assert lines["geometric"] == pytest.approx(geometric(probs, weights)[label], rel=1e-12)
    assert number(page, "exact-arithmetic") == pytest.approx(lines["arithmetic"], abs=ROUNDED)
    assert number(page, "exact-geometric") == pytest.approx(lines["geometric"], abs=ROUNDED)


@pytest.mark.parametrize("keep_prob", [0.05, 0.35, 0.5, 0.9, 1.0])
def test_weight_scaling_is_the_exact_geometric_mean(open_page: Open, keep_prob: float) -> None:
    page = open_page(output(average_subnetworks()))
    move_slider(page, keep_prob)
    layer = last_layer()
    one_pass = softmax(layer["w"] @ layer["h"][0] + layer["b"])[layer["labels"][0]]
    line = page.locator(".dl-exact.dl-geometric[data-exact]").get_attribute("data-exact")
    assert float(line or "nan") == pytest.approx(one_pass, rel=1e-11)
    assert number(page, "weight-scaling") == number(page, "exact-geometric") == pytest.approx(one_pass, abs=ROUNDED)


def press_units(page: Page, mask: np.ndarray) -> None:
    for toggle, kept in zip(page.locator("[aria-pressed]").all(), mask, strict=True):
        if (toggle.get_attribute("aria-pressed") == "true") != kept:
            toggle.press(" ")


def test_subnetworks_put_together_by_hand_are_averaged(open_page: Open) -> None:
    page = open_page(output(average_subnetworks(members=0, keep_prob=0.4)))
    assert text(page, "arithmetic") == "–"
    masks = np.random.default_rng(3).random((6, 7)) < 0.5
    probs, label = member_probs(masks, 0.4, 0), last_layer()["labels"][0]
    for k, mask in enumerate(masks, start=1):
        press_units(page, mask)
        assert number(page, "mask-class-prob") == pytest.approx(probs[k - 1, label], abs=ROUNDED)
        assert number(page, "mask-prob") == pytest.approx(mask_probs(mask[None], 0.4).item(), rel=0.005)
        press(page, "Add this subnetwork")
        assert number(page, "k") == number(page, "by-hand") == k
        even = np.full(k, 1 / k)
        for rule, mean in (("arithmetic", probs[:k].mean(axis=0)), ("geometric", geometric(probs[:k], even))):
            assert number(page, rule) == pytest.approx(mean[label], abs=ROUNDED)
            gap = mean[label] - number(page, f"exact-{rule}")
            assert number(page, f"difference-{rule}") == pytest.approx(gap, abs=2 * ROUNDED)


def test_averaging_every_subnetwork_once_is_exact_at_one_half(open_page: Open) -> None:
    page = open_page(output(average_subnetworks(members=all_masks(7).tolist(), keep_prob=0.5)))
    assert number(page, "k") == 2**7
    for rule in ("arithmetic", "geometric"):
        assert text(page, f"difference-{rule}") == "0.0000"
        end, line = page.locator(f"circle.dl-{rule}"), page.locator(f".dl-exact.dl-{rule}[data-exact]")
        height = re.fullmatch(r"M[\d.]+ ([\d.]+)H[\d.]+", line.get_attribute("d") or "")
        assert height is not None
        assert float(end.get_attribute("cy") or "nan") == pytest.approx(float(height[1]), abs=1e-9)


@pytest.mark.parametrize("keep_prob", [0.3, 0.8])
def test_random_subnetworks_settle_on_the_exact_mean(open_page: Open, keep_prob: float) -> None:
    page = open_page(output(average_subnetworks(members=0, keep_prob=keep_prob)))
    masks = all_masks(7)
    weights, label = mask_probs(masks, keep_prob), last_layer()["labels"][0]
    probs = member_probs(masks, keep_prob, 0)[:, label]
    sigma = math.sqrt(weights @ (probs - weights @ probs) ** 2)
    for _ in range(20):
        press(page, "Draw 100")
        k = number(page, "k")
        assert abs(number(page, "difference-arithmetic")) < 5 * sigma / math.sqrt(k) + 2 * ROUNDED
    assert k == 2000
    for name in ("Draw 1", "Draw 10", "Draw 100", "Add this subnetwork"):
        expect(page.get_by_role("button", name=name, exact=True)).to_be_disabled()
    press(page, "Start again")
    assert number(page, "k") == 0


def test_a_drawn_subnetwork_is_shown_and_is_what_was_averaged(open_page: Open) -> None:
    page = open_page(output(average_subnetworks(members=0)))
    masks = []
    for k in range(1, 9):
        press(page, "Draw 1")
        masks.append(
            [toggle.get_attribute("aria-pressed") == "true" for toggle in page.locator("[aria-pressed]").all()]
        )
        probs = member_probs(np.array(masks), 0.5, 0)[:, last_layer()["labels"][0]]
        assert number(page, "k") == k
        assert number(page, "mask-class-prob") == pytest.approx(probs[-1], abs=ROUNDED)
        assert number(page, "arithmetic") == pytest.approx(probs.mean(), abs=ROUNDED)
    assert len({tuple(mask) for mask in masks}) > 2
    press(page, "Start again", "Draw 10")
    assert number(page, "arithmetic") != pytest.approx(probs.mean(), abs=ROUNDED)  # other draws


def test_the_curve_has_a_point_for_each_member_on_a_log_axis(open_page: Open) -> None:
    page = open_page(output(average_subnetworks(members=30)))
    path = page.locator(".dl-picture path.dl-line.dl-arithmetic:not(.dl-exact)").first.get_attribute("d") or ""
    points = np.array(re.findall(r"[ML]([\d.]+) ([\d.]+)", path), dtype=float)
    assert len(points) == 30
    steps = np.diff(points[:, 0]) / np.diff(np.log10(np.arange(1, 31)))
    assert steps == pytest.approx(np.full(29, 150), rel=0.02)  # 300 units for two decades; written to 0.01
    page.get_by_role("slider", name="Keep probability p").fill("1")  # every member is the whole network
    path = page.locator(".dl-picture path.dl-line.dl-arithmetic:not(.dl-exact)").first.get_attribute("d") or ""
    assert len({height for _, height in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)}) == 1


def test_the_bars_are_the_running_mean_of_each_class(open_page: Open) -> None:
    masks = all_masks(7)[[5, 17, 99]]
    page = open_page(output(average_subnetworks(members=masks.tolist(), class_names=["a", "b", "c", "a long name"])))
    expected = member_probs(masks, 0.5, 0).mean(axis=0)
    bars = page.locator("rect.dl-bar[data-prob]")
    probs = bars.evaluate_all("bars => bars.map(bar => +bar.dataset.prob)")
    widths = np.array(bars.evaluate_all("bars => bars.map(bar => +bar.getAttribute('width'))"))
    assert probs == pytest.approx(expected, rel=1e-12)
    assert widths / widths.sum() == pytest.approx(expected, rel=1e-9)
    assert "P(class c)" in page.locator("thead").inner_text()


def test_another_example_is_averaged_over_the_same_subnetworks(open_page: Open) -> None:
    masks = all_masks(7)[[3, 40, 77, 126]]
    page = open_page(output(average_subnetworks(members=masks.tolist())))
    for example, label in enumerate(last_layer()["labels"]):
        page.get_by_role("radio", name=f"{label}", exact=True).check()
        expected = member_probs(masks, 0.5, example)[:, label].mean()
        assert number(page, "arithmetic") == pytest.approx(expected, abs=ROUNDED)


def test_the_examples_are_drawn_in_sixteen_grays(open_page: Open) -> None:
    images = np.random.default_rng(1).random((3, 4, 5))
    page = open_page(output(average_subnetworks(images=images)))
    read = """canvases => canvases.map(canvas =>
        [canvas.height, canvas.width, [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]])"""
    shown = page.locator("canvas").evaluate_all(read)
    assert len(shown) == 3
    for image, (height, width, data) in zip(images, shown, strict=True):
        assert (height, width) == (4, 5)
        pixels = np.array(data).reshape(4, 5, 4)
        assert (pixels[..., 3] == 255).all()
        for color in range(3):
            assert (pixels[..., color] == np.rint(15 * image) * 17).all()
    expect(open_page(output(average_subnetworks(images=None))).locator("canvas")).to_have_count(0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"h": np.ones((3, 13)), "w": np.ones((4, 13))}, "h must have at most 12 units.*got 13"),
        ({"h": np.ones(7)}, r"h must have shape \('any', 'any'\), got \(7,\)"),
        ({"w": np.ones((4, 6))}, r"w must have shape \('any', 7\), got \(4, 6\)"),
        ({"b": np.ones(3)}, r"b must have shape \(4,\), got \(3,\)"),
        ({"b": [0.0, np.inf, 0.0, 0.0]}, "b must be finite, got inf"),
        ({"labels": [0, 1]}, r"labels must have shape \(3,\), got \(2,\)"),
        ({"labels": [0, 1, 4]}, "labels must be classes from 0 to 3, got 4"),
        ({"labels": [0, 1, -1]}, "labels must be classes from 0 to 3, got -1"),
        ({"labels": [0, 1, 0.5]}, "labels must be classes from 0 to 3, got 0.5"),
        ({"images": np.ones((2, 4, 4))}, r"images must have shape \(3, 'any', 'any'\), got \(2, 4, 4\)"),
        ({"images": np.full((3, 4, 4), 255)}, r"images must be in \[0, 1\], got 255 to 255; divide bytes by 255"),
        ({"class_names": ["a", "b"]}, "class_names must be 4 names, got 2"),
    ],
)
def test_a_layer_that_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        average_subnetworks(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"example": 3}, "example must be from 0 to 2, got 3"),
        ({"members": [[True] * 6]}, "a mask in members must have one entry for each of the 7 units, got 6"),
        ({"members": 2001}, "members"),
        ({"seed": -1}, "seed"),
    ],
)
def test_handles_of_the_average_out_of_bounds_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(traitlets.TraitError, match=message):
        average_subnetworks(**changes)
    average = average_subnetworks()
    with pytest.raises(traitlets.TraitError, match="a mask in mask must have one entry for each of the 7 units, got 8"):
        average.mask = [True] * 8


def test_a_networks_own_tensors_are_taken(open_page: Open) -> None:
    generator = torch.Generator().manual_seed(0)
    output_layer = torch.nn.Linear(12, 10)
    h, labels = torch.rand(2, 12, generator=generator), torch.tensor([3, 9])
    page = open_page(output(AverageSubnetworks(h, output_layer.weight, output_layer.bias, labels, keep_prob=0.8)))
    probs = torch.softmax(output_layer(h), dim=1)[0, 3].item()
    assert number(page, "weight-scaling") == number(page, "exact-geometric") == pytest.approx(probs, abs=ROUNDED)
    assert (
        "4,096 subnetworks of 12 units"
        in average_subnetworks(h=h, w=output_layer.weight, b=output_layer.bias, labels=labels, images=None)._sentence()
    )
