"""RidgeExplorer: dropout's weights against ridge regression in closed form."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import traitlets
from interactives import (
    Open,
    all_masks,
    mask_probs,
    move_slider,
    number,
    output,
    press,
    ridge_explorer,
    text,
    two_features,
)
from playwright.sync_api import Page, expect

from dropout_lessons.widgets import RidgeExplorer


def centered() -> tuple[np.ndarray, np.ndarray]:
    x, y = two_features()["x"], two_features()["y"]
    return x - x.mean(0), y - y.mean()


def ridge(strength: float, penalty: str = "scaled") -> np.ndarray:
    x, y = centered()
    sizes = (x**2).sum(0)
    weighed = sizes if penalty == "scaled" else np.full(2, sizes.mean())
    return np.linalg.solve(x.T @ x + strength * np.diag(weighed), x.T @ y)


def dropout(keep_prob: float) -> np.ndarray:
    """The minimizer of the squared error averaged over the four masks of two inputs, by enumeration."""
    x, y = centered()
    masks = all_masks(2)
    probs = mask_probs(masks, keep_prob)
    seen = masks[:, None, :] * x / keep_prob  # (masks, examples, features)
    return np.linalg.solve(np.einsum("m,mij,mik->jk", probs, seen, seen), np.einsum("m,mij,i->j", probs, seen, y))


def shown(page: Page, row: str) -> np.ndarray:
    return np.array([number(page, f"{row}-{j}") for j in range(2)])


def last_digits(page: Page, row: str) -> np.ndarray:
    """Half a unit of the last digit shown."""
    return np.array([0.5 * 10.0 ** -len(text(page, f"{row}-{j}").split(".")[1]) + 1e-9 for j in range(2)])


def assert_shows(page: Page, row: str, expected: np.ndarray) -> None:
    assert (abs(shown(page, row) - expected) <= last_digits(page, row)).all(), (row, shown(page, row), expected)


@pytest.mark.parametrize("keep_prob", [0.2, 0.35, 0.5, 0.95, 1.0])
def test_dropout_and_the_linked_ridge_end_with_the_weights_that_all_masks_give(
    open_page: Open, keep_prob: float
) -> None:
    page = open_page(output(ridge_explorer()))
    move_slider(page, keep_prob)
    assert_shows(page, "squares", ridge(0.0))
    for row in ("dropout", "ridge"):
        assert_shows(page, row, dropout(keep_prob))
    assert number(page, "strength") == pytest.approx((1 - keep_prob) / keep_prob, abs=0.005 + 1e-9)
    assert "has the same weights" in text(page, "summary")


@pytest.mark.parametrize("strength", [0.0, 0.25, 1.0, 3.0])
def test_the_linked_strength_moves_keep_prob(open_page: Open, strength: float) -> None:
    page = open_page(output(ridge_explorer()))
    move_slider(page, strength, "Ridge strength λ")
    assert number(page, "keep_prob") == pytest.approx(1 / (1 + strength), abs=0.005 + 1e-9)
    for row in ("dropout", "ridge"):
        assert_shows(page, row, ridge(strength))


def test_a_free_strength_stays_where_it_was_and_parts_from_dropout(open_page: Open) -> None:
    page = open_page(output(ridge_explorer(keep_prob=0.8)))
    page.get_by_role("radio", name="free").check()
    assert number(page, "strength") == 0.25
    move_slider(page, 0.4)
    assert number(page, "strength") == 0.25
    assert_shows(page, "dropout", dropout(0.4))
    assert_shows(page, "ridge", ridge(0.25))
    assert "They meet at λ = 1.50" in text(page, "summary")
    move_slider(page, 1.5, "Ridge strength λ")
    assert number(page, "keep_prob") == 0.4
    assert "has the same weights" in text(page, "summary")
    page.get_by_role("radio", name="follows p").check()
    move_slider(page, 0.5)
    assert number(page, "strength") == 1.0


def test_a_penalty_that_weighs_both_weights_alike_is_never_dropouts(open_page: Open) -> None:
    page = open_page(output(ridge_explorer()))
    page.get_by_role("radio", name="both weights alike").check()
    page.get_by_role("radio", name="free").check()
    for strength in (0.0, 0.05, 0.5, 1.0, 2.0, 4.0):
        move_slider(page, strength, "Ridge strength λ")
        assert_shows(page, "ridge", ridge(strength, "plain"))
        assert "has the same weights" not in text(page, "summary")


def positions(page: Page, selector: str) -> np.ndarray:
    """Where dots stand, as weights, by the two axes' ticks."""
    read = "dots => dots.map(dot => [+dot.getAttribute('c{}')])"
    at = np.array([page.locator(selector).evaluate_all(read.format(axis)) for axis in "xy"])[..., 0].T
    ticks = page.locator(".dl-picture svg text").evaluate_all(
        "texts => texts.map(t => [t.textContent, +t.getAttribute('x'), +t.getAttribute('y'), t.getAttribute('text-anchor')])"
    )
    scale = []
    for axis, anchor, place in ((0, "middle", 1), (1, "end", 2)):
        marks = [
            (float(t[0].replace("−", "-")), t[place] - (5 if axis else 0))
            for t in ticks
            if t[3] == anchor and re.fullmatch(r"−?[\d.]+", t[0])
        ]
        values, places = np.array(marks).T
        slope, intercept = np.polyfit(places, values, 1)
        scale.append(slope * at[:, axis] + intercept)
    return np.stack(scale, axis=1)


def test_marks_stand_at_the_weights(open_page: Open) -> None:
    page = open_page(output(ridge_explorer(keep_prob=0.4)))
    for selector, expected in (("circle.dl-exact", dropout(0.4)), ("circle.dl-squares", ridge(0.0))):
        found = positions(page, f".dl-picture svg {selector}")
        assert found == pytest.approx(expected[None], rel=1e-6, abs=1e-9)
    path = page.locator(".dl-picture svg > g > .dl-path").get_attribute("d") or ""
    assert len(re.findall("[ML]", path)) == 49  # from least squares to zero


def test_trainings_on_more_copies_lie_closer_to_dropouts_weights(open_page: Open) -> None:
    page = open_page(output(ridge_explorer()))
    scale = abs(ridge(0.0))
    spreads = {}
    for copies in ("10", "100"):
        page.get_by_role("radio", name=copies, exact=True).check()
        off = (positions(page, ".dl-picture svg circle.dl-training") - dropout(0.5)) / scale
        assert len(off) == 40
        spreads[copies] = np.sqrt((off**2).mean())
        # The mean of 40 trainings, with what one in few copies is off on average left to the spread.
        assert (abs(shown(page, "trained") - dropout(0.5)) / scale < 4 * spreads[copies]).all()
    # Ten times as many copies: the spread falls by the square root of ten, and 40 trainings know it to 1/sqrt(80) each.
    assert spreads["10"] / spreads["100"] == pytest.approx(10**0.5, rel=0.5)


def test_other_masks_move_the_dots_and_nothing_else(open_page: Open) -> None:
    page = open_page(output(ridge_explorer()))
    rows = ("squares", "dropout", "ridge", "trained")
    before = {row: shown(page, row).tolist() for row in rows}
    press(page, "Draw other masks")
    after = {row: shown(page, row).tolist() for row in rows}
    assert before.pop("trained") != after.pop("trained")
    assert before == after


def test_without_dropout_every_training_is_least_squares(open_page: Open) -> None:
    page = open_page(output(ridge_explorer(keep_prob=1.0, copies=1)))
    assert_shows(page, "trained", ridge(0.0))
    expect(page.locator(".dl-picture svg .dl-training")).to_have_count(40)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": np.ones((30, 3))}, r"x must have shape \('any', 2\), got \(30, 3\)"),
        ({"y": np.ones(29)}, r"y must have shape \(30,\), got \(29,\)"),
        ({"y": np.full(30, np.nan)}, "y must be finite, got nan"),
        ({"x": np.arange(30)[:, None] * [1.0, 2.0]}, "two features that vary and are not multiples of each other"),
        ({"x": np.stack([np.arange(30.0), np.ones(30)], axis=1)}, "two features that vary"),
        ({"x": np.random.default_rng(0).random((61, 2)), "y": np.ones(61)}, "at most 60 examples, got 61"),
        ({"names": ["one"]}, "names must be 2 names, got 1"),
    ],
)
def test_data_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ridge_explorer(**changes)


@pytest.mark.parametrize(("trait", "value"), [("strength", -0.1), ("copies", 5), ("penalty", "L1"), ("seed", -1)])
def test_handles_of_the_ridge_out_of_bounds_are_refused(trait: str, value: Any) -> None:
    with pytest.raises(traitlets.TraitError, match=trait):
        ridge_explorer(**{trait: value})
    explorer = ridge_explorer()
    with pytest.raises(traitlets.TraitError, match=trait):
        setattr(explorer, trait, value)


def test_the_sentence_says_the_weights_that_dropout_ends_with() -> None:
    first, second = dropout(0.5)
    assert f"{first:.3g} and {second:.3g}" in ridge_explorer()._sentence()
    assert "keep_prob = 0.5" in RidgeExplorer(**two_features())._sentence()
