"""What the book's script does for who reads with a finger, on a page of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

STATIC = Path(__file__).resolve().parents[1] / "book/_static"
CELLS = "".join(f"<td>{number:_}</td>" for number in range(10**9, 10**9 + 12))
BODY = f"""<script>const TERMS = {{ mask: {{ meaning: "Which units are kept." }}, unit: {{ meaning: "A number." }} }};</script>
<article class="bd-article" style="margin: 16px">
  <p>Every <a class="term" href="glossary.html#mask">mask</a> drops some <a class="term" href="glossary.html#unit">unit</a>.</p>
  <div class="cell_output"><div class="output text_html wide"><table><tr>{CELLS}</tr></table></div></div>
  <div class="cell_output"><div class="output text_html narrow"><table><tr><td>1</td></tr></table></div></div>
  <div class="cell_output">
    <div class="output text_html"><div class="exercise-check">masks-1 is not solved yet</div></div>
    <div class="output stream"><pre>What the cell prints.</pre></div>
  </div>
</article>"""


@pytest.fixture
def page(browser: Browser):
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    html = f'<meta name="viewport" content="width=device-width"><body>{BODY}'
    context.route("**/*", lambda route: route.fulfill(body=html, content_type="text/html"))
    page = context.new_page()
    page.goto("https://book.example/chapter.html")
    page.add_style_tag(path=STATIC / "book.css")
    page.add_script_tag(path=STATIC / "book.js")
    page.evaluate("dispatchEvent(new Event('resize'))")
    yield page
    context.close()


def meaning(page: Page) -> list[str]:
    return page.locator("#term-meaning:visible").all_inner_texts()


def test_the_first_tap_on_a_term_shows_its_meaning_and_the_second_opens_the_glossary(page: Page) -> None:
    page.get_by_role("link", name="mask").tap()
    assert meaning(page) == ["Which units are kept."]
    page.get_by_role("link", name="unit").tap()
    page.wait_for_timeout(300)  # as long as a mouse may take from the first term into its note
    assert meaning(page) == ["A number."]
    assert page.url.endswith("/chapter.html")
    page.get_by_role("link", name="unit").tap()
    page.wait_for_url("**/glossary.html#unit")


def test_a_tap_elsewhere_closes_the_meaning(page: Page) -> None:
    page.get_by_role("link", name="mask").tap()
    assert meaning(page) == ["Which units are kept."]
    page.touchscreen.tap(200, 700)
    assert meaning(page) == []


@pytest.mark.parametrize("reach", ["keyboard", "mouse"])
def test_who_reads_with_the_keyboard_or_the_mouse_follows_a_term_at_once(page: Page, reach: str) -> None:
    link = page.get_by_role("link", name="mask")
    if reach == "mouse":
        link.click()
    else:
        link.press("Enter")
    page.wait_for_url("**/glossary.html#mask")


def test_what_is_cut_off_fades_out_until_it_is_scrolled_to_its_end(page: Page) -> None:
    fades = "element => getComputedStyle(element).maskImage !== 'none'"
    wide = page.locator(".wide")
    page.wait_for_function("document.querySelector('.wide').tabIndex === 0")
    assert wide.evaluate(fades)
    assert not page.locator(".narrow").evaluate(fades)
    wide.evaluate("element => element.scrollBy(element.scrollWidth, 0)")
    page.wait_for_function("!document.querySelector('.wide').matches('.goes-on')")
    assert not wide.evaluate(fades)
    wide.evaluate("element => element.scrollBy(-20, 0)")
    page.wait_for_function("document.querySelector('.wide').matches('.goes-on')")
    page.keyboard.press("Tab")
    wide.focus()
    assert not wide.evaluate(fades)  # nor what shows where the focus is


def test_a_check_that_nobody_can_answer_here_is_not_shown_and_nothing_else_is_hidden(page: Page) -> None:
    text = page.locator("article").inner_text()
    assert "not solved yet" not in text
    assert "What the cell prints." in text
