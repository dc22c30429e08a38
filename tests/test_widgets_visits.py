"""SubnetworkVisits: which subnetworks are drawn, how often, and how many are expected."""

from __future__ import annotations

import itertools
import math
import re

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
    subnetwork_visits,
    text,
)
from playwright.sync_api import Page, expect
from scipy import stats

from dropout_lessons.masks import expected_distinct_masks
from dropout_lessons.widgets import SubnetworkVisits
from dropout_lessons.widgets.base import source


def move_units(page: Page, units: int) -> None:
    move_slider(page, units, "Units n")


# The stream of random numbers


def test_the_streams_are_uniform_and_independent_within_and_between_seeds(open_page: Open) -> None:
    draws, seeds = 20_000, (0, 1, 2, 2014, 0x9E3779B9, 2**32 - 1)  # the constant by which a stream goes on
    program = """([source, seeds, draws]) => {
        const stream = new Function(source + "; return uniformStream;")();
        return seeds.map((seed) => { const u = stream(seed); return Array.from({length: draws}, (_, i) => u(i)); });
    }"""
    streams = np.array(open_page().evaluate(program, [source("base.js"), seeds, draws]))
    assert streams.min() >= 0
    assert streams.max() < 1
    standardized = (streams - 0.5) * math.sqrt(12)
    for stream, scores in zip(streams, standardized, strict=True):
        assert stats.kstest(stream, "uniform").pvalue > 1e-6
        for lag in (*range(1, 25), 100):  # a correlation of n independent pairs has standard error 1 / sqrt(n)
            assert abs(np.mean(scores[lag:] * scores[:-lag])) < 5.5 / math.sqrt(draws - lag)
    for (a, b), lag in itertools.product(itertools.combinations(standardized, 2), range(-3, 4)):
        assert abs(np.mean(a * np.roll(b, lag))) < 5.5 / math.sqrt(draws)


# The visits


def visits_by_mask(page: Page) -> dict[str, int]:
    read = "cells => cells.map(cell => [cell.dataset.mask, Number(cell.dataset.visits)])"
    return dict(page.locator("[data-mask]").evaluate_all(read))


@pytest.mark.parametrize(
    ("units", "keep_prob", "steps"), [(2, 0.5, 3), (6, 0.5, 20), (7, 0.8, 500), (10, 0.05, 100_000)]
)
def test_every_step_is_one_visit_and_the_numbers_say_so(
    open_page: Open, units: int, keep_prob: float, steps: int
) -> None:
    page = open_page(output(SubnetworkVisits(units, keep_prob, steps)))
    visits = visits_by_mask(page)
    assert set(visits) == {"".join(map(str, mask.astype(int))) for mask in all_masks(units)}
    seen = sum(count > 0 for count in visits.values())
    assert sum(visits.values()) == steps
    assert text(page, "steps") == f"{steps:,}"
    assert text(page, "seen") == f"{seen:,}"
    assert text(page, "subnetworks") == f"{2**units:,}"
    assert text(page, "repeats") == f"{steps - seen:,}"
    assert text(page, "most") == f"{max(visits.values()):,}"
    assert number(page, "expected") == pytest.approx(
        np.sum(1 - (1 - mask_probs(all_masks(units), keep_prob)) ** steps), abs=0.05 + 1e-9
    )


def test_the_expected_number_is_right_at_the_edges(open_page: Open) -> None:
    page = open_page(output(subnetwork_visits(steps=0)))
    assert number(page, "expected") == number(page, "seen") == number(page, "most") == 0
    assert "No step yet" in text(page, "summary")
    press(page, "1 step")
    assert number(page, "expected") == number(page, "seen") == 1
    press(page, "10 steps")
    move_slider(page, 1.0)  # the one subnetwork that keeps every unit
    assert number(page, "expected") == number(page, "seen") == 1
    assert number(page, "most") == 11
    assert visits_by_mask(page)["1" * 6] == 11


@pytest.mark.parametrize("keep_prob", [0.3, 0.5, 0.85])
def test_a_subnetwork_is_visited_as_often_as_its_probability_says(open_page: Open, keep_prob: float) -> None:
    steps = 50_000
    page = open_page(output(SubnetworkVisits(4, keep_prob, steps)))
    visits = visits_by_mask(page)
    masks = np.array([[digit == "1" for digit in mask] for mask in visits])
    expected = steps * mask_probs(masks, keep_prob)
    assert expected.min() > 5  # so that the statistic has the chi-squared distribution
    statistic = np.sum((np.array(list(visits.values())) - expected) ** 2 / expected)
    assert stats.chi2.sf(statistic, 15) > 1e-6


def test_starting_again_draws_other_masks_and_the_seen_ones_number_what_is_expected(open_page: Open) -> None:
    page = open_page(output(subnetwork_visits()))
    runs = 80
    program = """(runs) => {
        const button = (name) => [...document.querySelectorAll("button")].find((each) => each.textContent === name);
        return Array.from({length: runs}, () => {
            button("Start again").click();
            button("10 steps").click();
            button("10 steps").click();
            return Number(document.querySelector('[data-value="seen"]').textContent);
        });
    }"""
    seen = np.array(page.evaluate(program, runs))
    assert abs(seen.mean() - expected_distinct_masks(6, 0.5, 20)) < 5 * seen.std(ddof=1) / math.sqrt(runs)
    assert seen.std() > 0.5


def test_the_first_picture_is_the_same_on_every_visit_and_the_seeds_own(open_page: Open) -> None:
    first, again, other = (visits_by_mask(open_page(output(subnetwork_visits(seed=seed)))) for seed in (3, 3, 4))
    assert first == again != other


def test_cells_stand_in_a_column_for_each_number_of_kept_units(open_page: Open) -> None:
    page = open_page(output(subnetwork_visits()))
    for units in range(2, 11):
        move_units(page, units)
        read = "cells => cells.map(cell => [cell.dataset.mask, +cell.getAttribute('x'), +cell.getAttribute('width')])"
        columns: dict[int, list[tuple[float, float]]] = {kept: [] for kept in range(units + 1)}
        for mask, x, width in page.locator("[data-mask]").evaluate_all(read):
            columns[mask.count("1")].append((x, x + width))
        assert [len(columns[kept]) for kept in columns] == [math.comb(units, kept) for kept in columns]
        edges = [(min(left for left, _ in cells), max(right for _, right in cells)) for cells in columns.values()]
        assert all(before[1] < after[0] for before, after in itertools.pairwise(edges))
        assert page.locator(".dl-count").all_text_contents() == [str(math.comb(units, kept)) for kept in columns]
        box = page.locator(".dl-picture svg").first.bounding_box()
        assert box is not None
        assert box["height"] < 500
        overlapping = page.locator("[data-mask]").evaluate_all(
            "cells => new Set(cells.map(cell => cell.getAttribute('x') + ' ' + cell.getAttribute('y'))).size"
        )
        assert overlapping == 2**units


def test_a_cell_is_the_stronger_in_color_the_more_visits_it_has(open_page: Open) -> None:
    page = open_page(output(SubnetworkVisits(6, 0.8, 300)))
    read = "cells => cells.map(cell => [+cell.dataset.visits, +cell.getAttribute('fill-opacity')])"
    pairs = sorted(set(map(tuple, page.locator("[data-mask]").evaluate_all(read))))
    visits, opacities = zip(*pairs, strict=True)
    assert len(set(visits)) == len(visits) > 5  # one opacity for one number of visits
    assert list(opacities) == sorted(opacities)
    assert opacities[0] == visits[0] == 0
    assert opacities[-1] == pytest.approx(1)


def test_the_last_mask_is_drawn_unit_by_unit_and_framed_in_the_grid(open_page: Open) -> None:
    page = open_page(output(subnetwork_visits()))
    for _ in range(5):
        press(page, "1 step")
        units = [unit.get_attribute("data-unit") for unit in page.locator(".dl-last [data-unit]").all()]
        mask = "".join("1" if unit == "kept" else "0" for unit in units)
        cell, frame = page.locator(f'[data-mask="{mask}"]'), page.locator(".dl-picture > svg > .dl-frame")
        for name in ("x", "y"):
            assert float(frame.get_attribute(name) or "nan") == float(cell.get_attribute(name) or "nan") - 1
        kept = [str(unit + 1) for unit, digit in enumerate(mask) if digit == "1"]
        said = re.search(r"The last mask (?:keeps units? ([\d, and]+)|(keeps|drops) every unit)", text(page, "summary"))
        assert said is not None
        if said[1]:
            assert re.findall(r"\d+", said[1]) == kept
        else:
            assert len(kept) == (6 if said[2] == "keeps" else 0)
    press(page, "Start again")
    expect(page.locator(".dl-picture > svg > .dl-frame")).to_be_hidden()


def test_the_buttons_add_their_steps_up_to_the_most_and_work_by_keyboard(open_page: Open) -> None:
    page = open_page(output(subnetwork_visits(steps=99_850)))
    press(page, "100 steps")
    assert text(page, "steps") == "99,950"
    expect(page.get_by_role("button", name="100 steps")).to_be_disabled()
    page.get_by_role("button", name="10 steps", exact=True).press("Enter")
    page.get_by_role("button", name="1 step", exact=True).press(" ")
    assert text(page, "steps") == "99,961"
    page.get_by_role("button", name="Start again").press("Enter")
    assert text(page, "steps") == "0"
    expect(page.get_by_role("button", name="100 steps")).to_be_enabled()


def test_the_sizes_in_numbers_add_up(open_page: Open) -> None:
    page = open_page(output(SubnetworkVisits(5, 0.7, 200)))
    page.get_by_text("Every size in numbers").click()
    rows = [row.locator("th, td").all_inner_texts() for row in page.locator("details tbody tr").all()]
    kept, subnetworks, prob, seen, visits = np.array(rows, dtype=float).T
    assert list(kept) == list(range(6))
    assert list(subnetworks) == [math.comb(5, k) for k in range(6)]
    assert prob == pytest.approx(0.7**kept * 0.3 ** (5 - kept), rel=0.05)  # two digits
    assert seen.sum() == number(page, "seen")
    assert visits.sum() == 200


@pytest.mark.parametrize(
    ("trait", "value"), [("units", 1), ("units", 11), ("steps", -1), ("steps", 100_001), ("seed", -1), ("units", 2.5)]
)
def test_visits_out_of_bounds_are_refused(trait: str, value: float) -> None:
    with pytest.raises(traitlets.TraitError, match=f"'{trait}' trait of a SubnetworkVisits instance"):
        subnetwork_visits(**{trait: value})


def test_the_sentence_of_the_visits_tells_what_is_expected() -> None:
    assert "17.3 of them" in subnetwork_visits()._sentence()
    assert expected_distinct_masks(6, 0.5, 20) == pytest.approx(17.3, abs=0.05)
