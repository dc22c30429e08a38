"""The sweep of keep probabilities: what it shows is what the table says."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
import traitlets
from interactives import Open, keep_prob_sweep, move_slider, number, output, swept_errors, text
from playwright.sync_api import Page, expect

from dropout_lessons.claims import Evidence, paired, sampled
from dropout_lessons.widgets import KeepProbSweep

KEEP_PROBS = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
PLACES = list(itertools.product([100, 1000, 5000], [16, 64], ["n", "p*n"]))


def errors(train: int, width: int, held: str, column: str = "test_error") -> pd.DataFrame:
    table = swept_errors()
    rows = table[(table.train == train) & (table.width == width) & (table.held == held)]
    return rows.pivot(index="keep_prob", columns="seed", values=column)


def told_apart(train: int, width: int, held: str) -> tuple[float, list[float]]:
    """The keep_prob of the lowest mean, and those whose paired interval above it reaches 0, itself included."""
    test = errors(train, width, held)
    lowest = test.mean(axis=1).idxmin()
    tied = [p for p in KEEP_PROBS if p == lowest or paired(test.loc[p], test.loc[lowest]).interval[0] <= 0]
    return lowest, tied


def choose(page: Page, train: int, width: int, held: str) -> None:
    page.get_by_label(f"{train:,}", exact=True).check()
    page.get_by_label(str(width), exact=True).check()
    page.get_by_label("n, the units" if held == "n" else "pn, the units", exact=held == "n").check()


def points(page: Page, kind: str) -> list[float]:
    places = page.locator(f'[data-keep-prob][data-kind="{kind}"]').all()
    return [float(place.get_attribute("data-keep-prob") or "nan") for place in places]


def above(page: Page) -> list[float]:
    return [float(place.get_attribute("data-above") or "nan") for place in page.locator("[data-above]").all()]


@pytest.mark.parametrize(("train", "width", "held"), PLACES)
def test_the_lowest_and_those_not_told_apart_are_those_of_paired_intervals(
    open_page: Open, train: int, width: int, held: str
) -> None:
    page = open_page(output(keep_prob_sweep()))
    choose(page, train, width, held)
    lowest, tied = told_apart(train, width, held)
    assert points(page, "lowest") == [lowest]
    assert points(page, "tied") == [p for p in tied if p != lowest]
    assert sorted(points(page, "worse") + above(page)) == [p for p in KEEP_PROBS if p not in tied]
    shown = page.locator(f'[data-best="{train},{width}"]').inner_text()
    best, ranges = re.fullmatch(r"([\d.]+) \((.+)\)", shown).groups()  # type: ignore[union-attr]
    assert float(best) == lowest
    within = []
    for part in ranges.split(", "):
        ends = [float(end) for end in part.split("–")]
        within += [p for p in KEEP_PROBS if ends[0] <= p <= ends[-1]]
    assert within == tied
    assert f"is at {lowest:g};" in text(page, "summary")


def test_the_cases_have_both_what_is_told_apart_and_what_is_not() -> None:
    tied = [told_apart(*place)[1] for place in PLACES]
    assert all(1 <= len(each) < len(KEEP_PROBS) for each in tied)
    assert any(len(each) > 2 for each in tied)
    assert len({told_apart(*place)[0] for place in PLACES}) > 1


@pytest.mark.parametrize("keep_prob", [0.3, 0.6, 1.0])
def test_the_numbers_are_means_and_students_intervals(open_page: Open, keep_prob: float) -> None:
    page = open_page(output(keep_prob_sweep()))
    choose(page, 5000, 16, "p*n")
    move_slider(page, keep_prob)

    def shown(name: str) -> tuple[float, float]:
        mean, margin = text(page, name).rstrip("%").split(" ± ")
        return float(mean), float(margin)

    def expected(evidence: Evidence) -> Any:
        return pytest.approx([100 * evidence.effect, 50 * np.diff(evidence.interval)[0]], abs=0.05 + 2e-3)

    test = errors(5000, 16, "p*n")
    assert list(shown("test")) == expected(sampled(test.loc[keep_prob].to_numpy()))
    training = errors(5000, 16, "p*n", "train_error")
    assert list(shown("training")) == expected(sampled(training.loc[keep_prob].to_numpy()))
    lowest = told_apart(5000, 16, "p*n")[0]
    assert lowest not in (0.3, 1.0)
    if keep_prob == lowest:
        assert text(page, "behind") == "it is the lowest"
    else:
        assert list(shown("behind")) == expected(paired(test.loc[keep_prob], test.loc[lowest]))
    assert number(page, "units") == round(8 / keep_prob)
    assert number(page, "left") == 8


def test_a_point_is_as_high_as_its_error_and_one_off_the_scale_is_written_above(open_page: Open) -> None:
    page = open_page(output(keep_prob_sweep()))
    choose(page, 1000, 16, "n")
    test = errors(1000, 16, "n").mean(axis=1)
    read = "all => all.map(each => [+each.dataset.keepProb, +each.getAttribute('cx'), +each.getAttribute('cy')])"
    drawn = np.array(page.locator("[data-keep-prob]").evaluate_all(read))
    heights = test.loc[drawn[:, 0]].to_numpy()
    # A straight scale: y falls by as much for every point of error, x rises by as much for every keep_prob.
    for values, pixels in ((heights, drawn[:, 2]), (drawn[:, 0], drawn[:, 1])):
        slope, intercept = np.polyfit(values, pixels, 1)
        assert pixels == pytest.approx(slope * values + intercept, abs=0.1)  # errors are kept to 1e-5
    off_scale = [p for p in KEEP_PROBS if p not in drawn[:, 0]]
    assert off_scale
    assert above(page) == off_scale
    written = page.locator("[data-above]").all_text_contents()
    assert written == [f"↑{100 * test[p]:.0f}" for p in off_scale]


def test_the_scale_is_the_same_for_all_networks_of_a_size_of_data(open_page: Open) -> None:
    page = open_page(output(keep_prob_sweep()))
    ticks = ".dl-picture svg text"
    scales = {}
    for train, width, held in PLACES:
        choose(page, train, width, held)
        labels = page.locator(ticks).all_text_contents()
        scales.setdefault(train, set()).add(tuple(label for label in labels if label.isdigit() and label != "1"))
    assert all(len(scale) == 1 for scale in scales.values())
    assert len({*map(tuple, scales.values())}) > 1


def test_without_a_second_thing_to_hold_there_is_nothing_to_choose(open_page: Open) -> None:
    table = swept_errors()
    page = open_page(output(KeepProbSweep(table[table.held == "n"])))
    expect(page.get_by_text("Held fixed")).to_have_count(0)
    expect(page.get_by_role("group", name="Training examples:")).to_have_count(1)


def test_the_widths_are_named_by_what_they_are(open_page: Open) -> None:
    page = open_page(output(keep_prob_sweep()))
    expect(page.get_by_role("columnheader", name="64 units")).to_have_count(1)
    choose(page, 100, 64, "p*n")
    expect(page.get_by_role("columnheader", name="32 left on average")).to_have_count(1)
    expect(page.get_by_text("Units in a hidden layer at p = 0.5:")).to_have_count(1)


def test_the_order_of_the_rows_does_not_matter() -> None:
    shuffled = swept_errors().sample(frac=1, random_state=0)
    assert keep_prob_sweep(table=shuffled).data == keep_prob_sweep().data


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="units"), r"\['units'\] are not there"),
        (lambda table: table[table.seed < 4], "at least 5 seeds, got 4"),
        (lambda table: table.iloc[1:], "one row for each network, got 0 for {'train': 100, 'width': 16, 'held': 'n'"),
        (lambda table: pd.concat([table, table.iloc[:1]]), "one row for each network, got 2 for"),
        (lambda table: table[table.keep_prob != 0.3], "evenly spaced"),
        (lambda table: table.assign(test_error=100 * table.test_error), "fractions in .* divide percents by 100"),
        (lambda table: table.assign(train_error=np.nan), "train_error must be fractions"),
        (lambda table: table.assign(held="width"), "'n' or 'p\\*n', got 'width'"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(change: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KeepProbSweep(change(swept_errors()))


@pytest.mark.parametrize(
    ("trait", "value"), [("keep_prob", 0.55), ("train", 200), ("width", 32), ("held", "pn"), ("keep_prob", 0.1)]
)
def test_a_choice_that_is_not_in_the_table_is_refused(trait: str, value: Any) -> None:
    with pytest.raises(traitlets.TraitError, match=rf"{trait} must be one of \[.*\], got"):
        keep_prob_sweep(**{trait: value})
    widget = keep_prob_sweep()
    before = getattr(widget, trait)
    with pytest.raises(traitlets.TraitError, match=rf"{trait} must be one of \[.*\], got"):
        setattr(widget, trait, value)
    assert getattr(widget, trait) == before
