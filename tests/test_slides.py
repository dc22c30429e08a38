"""Slides: the sessions of the plans, and what of a page is on a slide; that they are printed needs a built book."""

from __future__ import annotations

import pdf
import slides  # of the folder book
from bs4 import BeautifulSoup

PAGE = """<article><h1>3. Chapter</h1><p><strong>Why?</strong></p><ul><li>do this</li></ul>
<div class="prediction" id="a">guess</div><p>prose</p><figure id="fig-one">one</figure><div class="claims">holds</div>
<figure id="fig-two">two</figure><img src="no.png"></article>"""


def articles(numbers: range = range(14)) -> dict[int, BeautifulSoup]:
    return {number: BeautifulSoup(PAGE, "html.parser").find("article") for number in numbers}


def plan() -> dict[str, slides.Session]:
    return {session.name: session for session in slides.sessions(slides.PLAN.read_text(encoding="utf-8"))}


def test_there_is_a_deck_for_every_session_of_the_plans() -> None:
    names = ["lecture", *(f"week-{i}" for i in (1, 2, 3)), *(f"month-{i}" for i in range(1, 9))]
    assert list(plan()) == names
    assert sum(part.minutes or 0 for part in plan()["lecture"].parts) == 90


def test_a_session_shows_the_chapters_that_its_plan_names() -> None:
    shown = {name: [part.chapter for part in session.parts] for name, session in plan().items()}
    assert shown["week-3"] == [4, 5, 9]
    assert shown["month-6"] == [6, 7]
    assert shown["month-7"] == [8, 9], "chapter 10 is only read"
    assert set().union(*shown.values()) <= set(range(14))


def test_a_deck_has_what_to_predict_the_figures_and_the_claims_in_the_order_of_the_page() -> None:
    session = slides.Session("week-1", "Session 1", [slides.Part(3, "in class")])
    deck = slides.deck(session, articles())
    assert ["Session 1" in deck[0] and "in class" in deck[0], "Why?" in deck[1], "do this" in deck[1]] == [True] * 3
    assert [text in shown for text, shown in zip(("guess", "one", "holds", "two"), deck[2:], strict=True)] == [True] * 4
    assert "prose" not in "".join(deck)


def test_the_lecture_takes_as_much_of_a_chapter_as_there_is_time_and_goes_on_where_it_was() -> None:
    session = slides.Session("lecture", "One lecture", [slides.Part(3, "first", 6), slides.Part(3, "then", 6)])
    deck = slides.deck(session, articles())
    order = ["One lecture", "first", "guess", "one", "then", "two"]
    assert [text in shown for text, shown in zip(order, deck, strict=True)] == [True] * 6


def test_a_plan_is_shown_with_its_bold_print_code_and_formulas_and_as_text_otherwise() -> None:
    shown = slides.written("**Predict** `p` for $p < 1$ & more")
    assert shown == '<b>Predict</b> <code>p</code> for <span class="math">\\(p &lt; 1\\)</span> &amp; more'


def test_a_drawing_keeps_the_names_that_it_refers_to_its_parts_by() -> None:
    drawing = '<svg><defs><path id="mark"/></defs><use xlink:href="#mark"/></svg>'
    page = BeautifulSoup(f'<article><p id="here">{drawing}</p></article>', "html.parser")
    shown = pdf.article("chapters/page", page, ["chapters/page"])
    assert (shown.p["id"], shown.path["id"], shown.use["xlink:href"]) == ("chapters-page--here", "mark", "#mark")
