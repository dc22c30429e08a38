"""UncertaintyExplorer: what each method says of an example that is changed step by step."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
import torch
import traitlets
from interactives import Open, move_slider, number, output, text, turned_examples, uncertainty_explorer
from playwright.sync_api import Locator, Page, expect
from scipy.stats import entropy

from dropout_lessons.widgets import UncertaintyExplorer

ROUNDED = 0.005 + 1e-9


def kept(probs: np.ndarray) -> np.ndarray:
    """The probabilities that the browser has: 4 digits, made to sum to 1 again."""
    rounded = np.round(np.asarray(probs), 4)
    return rounded / rounded.sum(axis=-1, keepdims=True)


def mutual_information(members: np.ndarray) -> np.ndarray:
    return entropy(members.mean(axis=-2), axis=-1) - entropy(members, axis=-1).mean(axis=-1)


def card(page: Page, method: str) -> Locator:
    return page.locator(f'.dl-method[data-method="{method}"]')


def show(page: Page, example: int, step: int) -> None:
    page.get_by_role("radio").nth(example).check()
    move_slider(page, step, "Rotation")
    assert text(page, "step") == f"{15 * step}°"


def test_every_number_is_that_of_the_members_probabilities(open_page: Open) -> None:
    page = open_page(output(uncertainty_explorer()))
    for example in range(2):
        for step in range(5):
            show(page, example, step)
            for method, probs in turned_examples()["probs"].items():
                members = kept(probs[example, step])
                mean = members.mean(axis=0)
                shown = card(page, method)
                assert number(shown, "entropy") == pytest.approx(entropy(mean), abs=ROUNDED)
                assert number(shown, "mutual-information") == pytest.approx(mutual_information(members), abs=ROUNDED)
                drawn = shown.locator("[data-prob]").evaluate_all("bars => bars.map(bar => +bar.dataset.prob)")
                assert drawn == pytest.approx(mean, rel=1e-12)
                if entropy(mean) <= 0.5:
                    right = mean.argmax() == turned_examples()["labels"][example]
                    assert text(shown, "answer") == f"answers {mean.argmax()}"
                    assert text(shown, "verdict") == ("(right)" if right else "(wrong)")
                else:
                    assert text(shown, "answer") == "does not answer"
                    assert text(shown, "verdict") == ""
                assert f"{method} {text(shown, 'answer')}" in text(page, "summary")


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.9, 1.35])
def test_answers_and_errors_are_counted_over_all_pictures(open_page: Open, threshold: float) -> None:
    page = open_page(output(uncertainty_explorer()))
    move_slider(page, threshold, "Entropy threshold")
    labels = np.array(turned_examples()["labels"])[:, None]
    for method, probs in turned_examples()["probs"].items():
        mean = kept(probs).mean(axis=2)
        answered = entropy(mean, axis=-1) <= threshold
        row = page.locator(f'tr[data-method="{method}"]')
        assert number(row, "answered") == answered.sum()
        assert number(row, "wrong") == (answered & (mean.argmax(axis=-1) != labels)).sum()


def test_members_that_agree_have_no_mutual_information_and_those_that_do_not_have_log_k(open_page: Open) -> None:
    agreeing = np.tile([0.7, 0.2, 0.1, 0.0], (1, 1, 6, 1))
    certain_of_different_classes = np.eye(4)[None, None]
    page = open_page(
        output(
            UncertaintyExplorer(
                np.zeros((1, 1, 4, 4)), {"agree": agreeing, "differ": certain_of_different_classes}, threshold=1.3
            )
        )
    )
    assert number(card(page, "agree"), "mutual-information") == 0
    assert number(card(page, "agree"), "entropy") == pytest.approx(entropy([0.7, 0.2, 0.1]), abs=ROUNDED)
    assert number(card(page, "differ"), "mutual-information") == pytest.approx(math.log(4), abs=ROUNDED)
    assert number(card(page, "differ"), "entropy") == pytest.approx(math.log(4), abs=ROUNDED)
    assert text(card(page, "differ"), "answer") == "does not answer"
    assert text(card(page, "agree"), "answer") == "answers 0"


def test_four_digits_move_an_entropy_over_ten_classes_by_less_than_the_docstring_says() -> None:
    generator = np.random.default_rng(0)
    rows = [generator.dirichlet(np.full(10, sharpness), size=2000) for sharpness in (0.01, 0.05, 0.1, 1.0)]
    worst = np.full((1, 10), 0.5e-4 * 0.999)  # nine probabilities that are rounded to 0
    worst[0, 0] = 1 - worst[0, 1:].sum()
    probs = np.concatenate([*rows, worst])
    explorer = UncertaintyExplorer(np.zeros((1, 1, 2, 2)), {"one": probs[None, None]})
    stored = np.array(explorer.data["methods"][0]["probs"][0][0], dtype=float)
    assert (stored == np.rint(probs * 1e4)).all()
    moved = abs(entropy(stored, axis=-1) - entropy(probs, axis=-1))
    assert 0.004 < moved.max() < 0.005


def test_a_page_with_four_examples_stays_small() -> None:
    generator = np.random.default_rng(0)
    probs = {
        name: generator.dirichlet(np.ones(10), size=(4, 13, members))  # no zeros: the longest numbers
        for name, members in (("weight scaling", 1), ("MC dropout", 20), ("ensemble", 5))
    }
    html = output(UncertaintyExplorer(generator.random((4, 13, 28, 28)), probs))
    state = re.search(r"startStatic\(\"[\w-]+\", (.*), render\)", html)
    assert state is not None
    assert 80_000 < len(state[1]) < 130_000
    assert len(html) < 160_000


def test_dots_stand_at_the_members_probabilities(open_page: Open) -> None:
    page = open_page(output(uncertainty_explorer(step=2)))
    for method, probs in turned_examples()["probs"].items():
        members = kept(probs[0, 2])
        dots = card(page, method).locator("circle.dl-member")
        x = np.array(dots.evaluate_all("dots => dots.map(dot => +dot.getAttribute('cx'))"))
        bars = card(page, method).locator("[data-prob]")
        left = float(bars.first.get_attribute("x") or "nan")
        widths = np.array(bars.evaluate_all("bars => bars.map(bar => +bar.getAttribute('width'))"))
        assert (x - left) / widths.sum() == pytest.approx(members.T.ravel(), abs=1e-9)  # bars sum to 1
        y = dots.evaluate_all("dots => dots.map(dot => +dot.getAttribute('cy'))")
        assert len(set(y)) == len(y)  # equal probabilities do not hide each other


def test_the_chart_has_each_methods_entropy_at_each_step(open_page: Open) -> None:
    page = open_page(output(uncertainty_explorer(example=1, step=3)))
    chart = page.locator(".dl-picture svg")
    paths = [path.get_attribute("d") or "" for path in chart.locator("path.dl-of-method").all()]
    points = np.array([re.findall(r"[ML]([\d.]+) ([\d.]+)", path) for path in paths], dtype=float)
    entropies = [entropy(kept(probs[1]).mean(axis=1), axis=-1) for probs in turned_examples()["probs"].values()]
    # 160 units for log(4) nats, from the axis at 188 up; written to 0.01
    assert points[..., 1] == pytest.approx(188 - 160 * np.array(entropies) / math.log(4), abs=0.006)
    here = chart.locator("circle.dl-here").evaluate_all("dots => dots.map(dot => +dot.getAttribute('cx'))")
    assert here == pytest.approx(points[:, 3, 0], abs=0.006)
    band = chart.locator(".dl-band")
    assert float(band.get_attribute("height") or "nan") == pytest.approx(160 * (1 - 0.5 / math.log(4)))
    colors = chart.locator("path.dl-of-method").evaluate_all("all => all.map(path => getComputedStyle(path).stroke)")
    dashes = [path.get_attribute("stroke-dasharray") for path in chart.locator("path.dl-of-method").all()]
    assert len(set(colors)) == len(set(dashes)) == 3  # told apart without color too


def test_the_picture_is_that_of_the_example_at_the_step(open_page: Open) -> None:
    page = open_page(output(uncertainty_explorer()))
    # copied first: Chromium complains of a canvas that is read several times
    read = """canvas => {
        const copy = document.createElement("canvas").getContext("2d");
        copy.drawImage(canvas, 0, 0);
        return [...copy.getImageData(0, 0, canvas.width, canvas.height).data];
    }"""
    for example, step in ((0, 0), (1, 4), (0, 2)):
        show(page, example, step)
        canvas = page.get_by_role("img", name=f"Example of class {turned_examples()['labels'][example]}, ")
        pixels = np.array(canvas.evaluate(read)).reshape(6, 7, 4)[..., 0]
        assert (pixels == 17 * np.rint(15 * turned_examples()["images"][example, step])).all()
        assert f"rotation {15 * step}°" in (canvas.get_attribute("aria-label") or "")


def test_without_labels_nothing_is_called_right_or_wrong(open_page: Open) -> None:
    page = open_page(output(uncertainty_explorer(labels=None, threshold=1.38)))
    expect(page.get_by_role("radio", name="image 1", exact=True)).to_be_checked()
    expect(page.locator('[data-value="wrong"]')).to_have_count(0)
    answered = page.locator('tr [data-value="answered"]').all_inner_texts()
    assert sum(map(int, answered)) > 20
    said = page.locator("[data-interactive]").inner_text()
    assert "answers" in said
    assert not re.search(r"right|wrong", said)


def test_tensors_and_class_names_are_taken(open_page: Open) -> None:
    probs = torch.tensor([0.1, 0.9]).expand(1, 3, 2, 2).clone().requires_grad_()
    page = open_page(
        output(
            UncertaintyExplorer(
                torch.rand(1, 3, 4, 4), {"MC": probs}, class_names=["Shirt", "Ankle boot"], colors=["dropout"], step=0
            )
        )
    )
    assert text(card(page, "MC"), "answer") == "answers Ankle boot"
    assert text(page, "step") == "0"
    color = card(page, "MC").locator(".dl-mean").first.evaluate("bar => getComputedStyle(bar).fill")
    assert color == "rgb(213, 94, 0)"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": np.zeros((2, 6, 7))}, r"images must have shape \('any', 'any', 'any', 'any'\), got \(2, 6, 7\)"),
        ({"images": np.full((2, 5, 6, 7), 2.0)}, r"images must be in \[0, 1\], got 2 to 2"),
        ({"probs": {}}, "probs must have at least one method, got none"),
        ({"probs": {"one": np.full((2, 4, 1, 4), 0.25)}}, r"probs\['one'\] must have shape \(2, 5, 'any', 'any'\)"),
        (
            {"probs": {"one": np.full((2, 5, 1, 4), 0.25), "two": np.full((2, 5, 1, 2), 0.5)}},
            r"probs\['two'\] must have shape \(2, 5, 'any', 4\), got \(2, 5, 1, 2\)",
        ),
        ({"probs": {"one": np.full((2, 5, 1, 4), 0.3)}}, r"must be probabilities that sum to 1.*sums from 1.2 to 1.2"),
        ({"probs": {"one": np.tile([1.5, -0.5, 0, 0], (2, 5, 1, 1))}}, "a least one of -0.5"),
        ({"probs": {"one": np.full((2, 5, 1, 4), -1.4)}}, r"log-probabilities need exp\(\)"),
        ({"colors": ["plain", "dropout"]}, "colors must be one of .* for each of 3 methods"),
        ({"colors": ["plain", "dropout", "red"]}, "colors must be one of .*'red'"),
        ({"labels": [0, 4]}, "labels must be classes from 0 to 3, got 4"),
        ({"class_names": ["a"]}, "class_names must be 4 names, got 1"),
        ({"step_labels": ["0°"]}, "step_labels must be 5 names, got 1"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        uncertainty_explorer(**changes)


@pytest.mark.parametrize(
    ("trait", "value", "message"),
    [
        ("threshold", -0.1, r"threshold must be an entropy in nats from 0 to log\(classes\) = 1.386, got -0.1"),
        ("threshold", 1.5, "got 1.5"),
        ("threshold", math.nan, "got nan"),
        ("example", 2, "example must be from 0 to 1, got 2"),
        ("step", 5, "step must be from 0 to 4, got 5"),
        ("step", -1, "step must be from 0 to 4, got -1"),
    ],
)
def test_handles_out_of_bounds_are_refused_and_change_nothing(trait: str, value: float, message: str) -> None:
    with pytest.raises(traitlets.TraitError, match=message):
        uncertainty_explorer(**{trait: value})
    explorer = uncertainty_explorer()
    before = getattr(explorer, trait)
    with pytest.raises(traitlets.TraitError, match=message):
        setattr(explorer, trait, value)
    assert getattr(explorer, trait) == before
