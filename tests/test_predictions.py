"""Predictions: what came out, the block that asks, and the page that hides what follows until the reader answers."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, Page
from sphinx.application import Sphinx

from dropout_lessons.predictions import outcome

ROOT = Path(__file__).resolve().parents[1]
SPEC = importlib.util.spec_from_file_location("predictions", ROOT / "book/_ext/predictions.py")
predictions = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(predictions)

# What came out


def shown(result) -> tuple[str, object]:
    """The words and the value that the page's script reads."""
    soup = BeautifulSoup(result._repr_html_(), "html.parser").div
    return soup.get_text(), json.loads(soup["data-found"])


def test_the_choice_that_came_true_is_the_one_whose_condition_holds():
    result = outcome("coins", {"heads": False, "tails": np.bool_(True)}, words="By a hair.")
    assert shown(result) == ("What came out: tails. By a hair.", "tails")
    assert repr(result) == "What came out of “coins”: tails. By a hair."


@pytest.mark.parametrize("holds", [(True, True), (False, False)])
def test_options_that_overlap_or_leave_a_gap_are_refused(holds):
    with pytest.raises(ValueError, match=f"just one option that came true, got {sum(holds)} of"):
        outcome("coins", dict(zip(("heads", "tails"), holds, strict=True)))


def test_a_number_and_a_curve_are_shown_with_their_unit():
    assert shown(outcome("n", np.float64(10.66), unit="%")) == ("What came out: 10.7%.", 10.66)
    assert shown(outcome("n", 7.0, unit="experiments"))[0] == "What came out: 7 experiments."
    assert shown(outcome("n", 60_000.4))[0] == "What came out: 60,000."
    assert (
        shown(outcome("c", [2.042, -0.156, 0.0]))[0]
        == "What came out, from left to right: 2.04, \N{MINUS SIGN}0.16, 0.00."
    )
    assert shown(outcome("c", np.array([1.0, 2.25]), unit="points")) == (
        "What came out, from left to right: 1.00, 2.25 points.",
        [1.0, 2.25],
    )


@pytest.mark.parametrize("found", [float("nan"), [1.0, float("inf")], [], [[1.0]]])
def test_what_is_no_number_and_no_curve_is_refused(found):
    with pytest.raises(ValueError, match="finite number, or a sequence of them"):
        outcome("n", found)


def test_names_and_words_cannot_end_their_element():
    soup = BeautifulSoup(outcome('<b>"', {"</div>": True}, words="<i>")._repr_html_(), "html.parser").div
    assert soup["data-prediction"] == '<b>"'
    assert "What came out: </div>. <i>" in soup.get_text()


# The block


@pytest.mark.parametrize(
    ("options", "content", "message"),
    [
        ({}, ["What?"], "ask for one thing"),
        ({"number": {}}, ["What?", "", "- a", "- b"], "ask for one thing"),
        ({}, ["What?", "", "- a"], "two to five different"),
        ({}, ["What?", "", "- a", "- a"], "two to five different"),
        ({}, ["What?", "", "- $a$", "- b"], "plain text"),
        ({"curve": ["1", "2"]}, ["What?"], "a curve has a scale"),
    ],
)
def test_a_block_that_asks_for_nothing_or_for_two_things_is_refused(options, content, message):
    with pytest.raises(ValueError, match=message):
        predictions.asked("a name", options, content)


@pytest.mark.parametrize("text", ["0 - 40 %", "40 to 0 %", "a to b"])
def test_a_scale_goes_from_low_to_high(text):
    with pytest.raises(ValueError, match=r"a scale|could not convert"):
        predictions.scale(text)


BLOCK = re.compile(r"^:::\{prediction\} (.+)\n((?::.+\n)*)([\s\S]*?)^:::$", re.MULTILINE)
OWN_EYES = {"dropped pixels"}  # nothing that could be computed comes out


@pytest.mark.parametrize("path", sorted(ROOT.glob("chapters/*.ipynb")), ids=lambda path: path.stem)
def test_every_prediction_of_a_chapter_has_its_outcome_below_it(path):
    asked, told = [], []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            asked += BLOCK.findall(cell.source)
        elif names := re.findall(r'^outcome\(\s*"(.+?)"', cell.source, re.MULTILINE):
            assert names[0] in {name for name, *_ in asked}, f"{names[0]} is told before it is asked"
            assert "remove-input" in cell.metadata.tags
            told += names
    names = [name for name, *_ in asked]
    assert len(set(names)) == len(names)
    assert sorted(set(names) - OWN_EYES) == sorted(told)


def test_the_book_asks_for_choices_numbers_and_curves():
    text = "\n\n".join(
        cell.source
        for path in ROOT.glob("chapters/*.ipynb")
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "markdown"
    )
    kinds = [
        "curve" if ":curve:" in options else "number" if ":number:" in options else "choice"
        for _, options, _ in BLOCK.findall(text)
    ]
    assert min(map(kinds.count, ("choice", "number", "curve"))) >= 5


# The page

CHAPTER = """# A chapter

## First

:::{prediction} a number
:number: 0 to 100 %

How many?
:::

After the number.

:::{prediction} a choice
Which one?

- heads
- tails
:::

After the choice.

## Second

:::{prediction} a curve
:curve: low, high
:axis: place
:height: 0 to 10 nats

What shape?
:::

(deep)=
### Deep

After the curve.

## Summary

The end.
"""
OUTCOMES = {
    "After the number.": outcome("a number", 30.0, unit="%"),
    "After the choice.": outcome("a choice", {"heads": True, "tails": False}),
    "After the curve.": outcome("a curve", [5.0, 0.0], unit="nats"),
}


@pytest.fixture(scope="module")
def chapter(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a page that Sphinx made, with what came out."""
    folder = tmp_path_factory.mktemp("chapter")
    text = CHAPTER
    for words, result in OUTCOMES.items():
        text = text.replace(words, f"{words}\n\n```{{raw}} html\n{result._repr_html_()}\n```")
    (folder / "index.md").write_text(text, encoding="utf-8")
    settings = {
        "extensions": ["myst_parser", "predictions"],
        "myst_enable_extensions": ["colon_fence"],
        "html_static_path": [str(ROOT / "book/_static")],
        "html_theme": "basic",
        "html_title": "A book",
        "language": "en",
        "smartquotes": False,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "book/_ext"))
        app = Sphinx(
            folder, None, folder / "html", folder / "trees", "html", settings, status=None, warningiserror=True
        )
        app.build()
    return (folder / "html/index.html").as_uri()


@pytest.fixture
def visit(browser: Browser, chapter: str) -> Iterator[Callable[..., Page]]:
    """Open the page, in one browser that remembers."""
    contexts, complaints = [], []

    def visit(anchor: str = "", *, scripts: bool = True, dark: bool = False, width: int = 1000) -> Page:
        if not contexts:
            contexts.append(browser.new_context(java_script_enabled=scripts, viewport={"width": width, "height": 800}))
        page = contexts[0].new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(chapter + anchor)
        if dark:
            page.evaluate("document.documentElement.dataset.theme = 'dark'")
        return page

    yield visit
    contexts[0].close()
    assert complaints == []


def seen(page: Page, words: str) -> bool:
    return words in page.evaluate("document.body.innerText")


def box(page: Page, name: str):
    return page.locator(".admonition.prediction", has_text=f"Predict: {name}")


def press(page: Page, name: str, label: str) -> None:
    box(page, name).get_by_role("button", name=label).click()


def test_what_follows_a_question_is_hidden_until_it_is_answered(visit):
    page = visit()
    assert not seen(page, "After the number.")
    assert not seen(page, "Predict: a choice")
    assert not seen(page, "After the curve.")
    assert seen(page, "The end.")  # another section
    press(page, "a number", "Show me")
    assert seen(page, "After the number.")
    assert seen(page, "Predict: a choice")
    assert not seen(page, "After the choice.")


def test_an_answer_is_committed_shown_beside_what_came_out_and_survives_a_new_visit(visit):
    page = visit()
    press(page, "a number", "Show me")
    assert box(page, "a choice").get_by_role("button", name="Commit").is_disabled()
    box(page, "a choice").get_by_label("tails").check()
    press(page, "a choice", "Commit")
    for each in (page, visit()):
        assert seen(each, "After the choice.")
        assert box(each, "a choice").get_by_label("tails").is_checked()
        assert box(each, "a choice").get_by_label("heads").is_disabled()
        told = each.locator(".prediction-outcome", has_text="heads")
        assert "You said: tails. A surprise." in told.inner_text()


def test_numbers_and_curves_are_answered_with_the_keyboard_alone(visit):
    page = visit()
    while page.evaluate("document.activeElement.type") != "range":  # the first slider, from the top of the page
        page.keyboard.press("Tab")
    for _ in range(17):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    number = page.locator(".prediction-outcome", has_text="30%")
    assert "You said: 33%. As you thought." in number.inner_text()
    assert "You said: 33%" in page.evaluate("document.activeElement.textContent")
    assert "Your number: 33%. What came out: 30%." in number.locator("svg").get_attribute("aria-label")

    point = box(page, "a curve").get_by_role("slider", name="at high")
    point.focus()
    page.keyboard.press("PageDown")
    assert point.get_attribute("aria-valuetext") == "4 nats"
    for key in ("ArrowUp", "ArrowDown"):
        box(page, "a curve").get_by_role("slider", name="at low").press(key)
    press(page, "a curve", "Commit")
    curve = page.locator(".prediction-outcome", has_text="5, 0 nats")
    assert "Your curve: 5 nats, 4 nats. What came out: 5 nats, 0 nats." in curve.locator("svg").get_attribute(
        "aria-label"
    )
    point.press("ArrowUp")
    assert point.get_attribute("aria-valuetext") == "4 nats"  # committed


def test_a_curve_is_drawn_with_the_pointer_in_one_sweep_or_point_by_point(visit):
    page = visit()
    area = box(page, "a curve").locator("svg").bounding_box()
    commit = box(page, "a curve").get_by_role("button", name="Commit")

    def sweep(*places: tuple[float, float]) -> list[str]:
        for i, (x, y) in enumerate(places):
            page.mouse.move(area["x"] + x * area["width"], area["y"] + y * area["height"])
            if i == 0:
                page.mouse.down()
        page.mouse.up()
        return [point.get_attribute("aria-valuetext") for point in box(page, "a curve").get_by_role("slider").all()]

    assert sweep((0.9, 0.5), (0.9, 0)) == ["5 nats", "10 nats"]
    assert commit.is_disabled()  # one point may be a slip
    assert sweep((0.2, 0.0), (0.9, 1.0)) == ["10 nats", "0 nats"]
    assert commit.is_enabled()
    assert box(page, "a curve").evaluate("e => e.scrollWidth <= e.clientWidth")


def test_the_summary_counts_and_tells_what_surprised(visit):
    page = visit()
    summary = page.locator(".prediction-summary")
    assert "You have committed to none" in summary.inner_text()
    slider = box(page, "a number").get_by_role("slider")
    slider.fill("25")
    press(page, "a number", "Commit")
    box(page, "a choice").get_by_label("tails").check()
    press(page, "a choice", "Commit")
    words = summary.inner_text()
    assert "1 of 2 as you thought; here is what surprised you:" in words
    assert "a choice: you said “tails”; it came out “heads”" in words
    assert "Not answered: a curve." in words
    summary.get_by_role("button", name="Forget my answers").click()
    assert "You have committed to none" in summary.inner_text()
    assert not seen(page, "After the number.")


def test_a_reader_can_have_nothing_hidden(visit):
    page = visit()
    press(page, "a number", "Show all results of this book")
    for each in (page, visit()):
        assert all(seen(each, words) for words in OUTCOMES)
        assert box(each, "a number").get_by_role("button", name="Commit").is_visible()
    page.get_by_role("button", name="Hide results until I answer").click()
    assert not seen(page, "After the number.")


def test_who_showed_everything_by_mistake_undoes_it_at_the_same_place(visit):
    page = visit()
    press(page, "a number", "Show me")
    everything = box(page, "a curve").get_by_role("button", name="Show all results of this book")
    everything.scroll_into_view_if_needed()
    place = box(page, "a curve").bounding_box()["y"]
    everything.click()
    assert "All results are shown." in box(page, "a curve").inner_text()
    assert page.get_by_role("button", name="Undo").count() == 1
    assert seen(page, "After the choice.")
    assert box(page, "a curve").bounding_box()["y"] == pytest.approx(place, abs=1)  # although more stands above it
    page.keyboard.press("Enter")
    assert not seen(page, "After the choice.")
    assert not seen(page, "All results are shown.")
    assert page.evaluate("document.activeElement.textContent") == "Show all results of this book"
    assert box(page, "a curve").bounding_box()["y"] == pytest.approx(place, abs=1)
    page.keyboard.press("Enter")
    assert seen(page, "After the choice.")
    page.locator(".prediction-summary").get_by_role("button", name="Hide results until I answer").click()
    assert not page.get_by_role("button", name="Undo").is_visible()


def test_a_link_to_a_hidden_place_shows_it(visit):
    page = visit("#deep")
    assert seen(page, "After the curve.")
    assert not seen(page, "After the number.")
    assert seen(visit(), "After the curve.")


def test_on_paper_and_without_scripts_everything_is_there(visit):
    page = visit()
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert all(seen(page, words) for words in OUTCOMES)
    assert not page.get_by_role("button", name="Commit").first.is_visible()


def test_without_scripts_a_question_is_text_and_nothing_is_hidden(visit):
    page = visit(scripts=False)
    assert all(seen(page, words) for words in OUTCOMES)
    assert "A number from 0 to 100%." in box(page, "a number").inner_text()
    assert "A curve over place, from 0 to 10 nats." in box(page, "a curve").inner_text()
    assert box(page, "a choice").locator("li").all_inner_texts() == ["heads", "tails"]


@pytest.mark.parametrize(("dark", "width"), [(False, 1000), (True, 360)])
def test_the_page_is_accessible_before_and_after_the_answers(visit, dark, width):
    page = visit(dark=dark, width=width)

    def findings() -> list[dict]:  # the bare theme of this test has no landmarks; test_book.py looks at the book's
        return [each for each in Axe().run(page, ".body").response["violations"] if each["id"] != "region"]

    assert findings() == []
    box(page, "a number").get_by_role("slider").fill("10")
    press(page, "a number", "Commit")
    box(page, "a choice").get_by_label("heads").check()
    press(page, "a choice", "Commit")
    for point in box(page, "a curve").get_by_role("slider").all():
        point.press("ArrowUp")
    press(page, "a curve", "Commit")
    assert findings() == []
    too_wide = (
        "[...document.querySelectorAll('.prediction, .prediction-outcome')].filter(e => e.scrollWidth > e.clientWidth)"
    )
    assert page.evaluate(f"{too_wide}.length") == 0
