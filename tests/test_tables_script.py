"""Long tables are sorted and filtered in the page, by mouse and by keyboard; without the script they are plain tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

SCRIPT = Path(__file__).resolve().parents[1] / "book/_static/tables.js"
ROWS = [
    ("Table 2", "2 days", "−0.38 points", "reproduced"),
    ("Table 9", "3 minutes", "1.63 points", "not reproduced"),
    ("Figure 4", "12 seconds", "20 points", "undecided"),
    ("Figure 7", "4 hours", "−1,200 points", "reproduced"),
    ("Figure 8", "35 minutes", "", "undecided"),
    ("Figure 10", "1 days", "0 points", "reproduced"),
    ("Figure 11", "90 seconds", "2.5e-3 points", "undecided"),
    ("Section 9", "6 seconds", "+3% of it", "reproduced"),
]


def table(rows: list[tuple[str, ...]]) -> str:
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    head = "".join(f"<th>{name}</th>" for name in ("what", "time", "effect", "verdict"))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


@pytest.fixture
def page(browser: Browser):
    page = browser.new_page()
    page.set_content(f'<article class="bd-article">{table(ROWS)}{table(ROWS[:3])}</article>')
    page.add_script_tag(path=SCRIPT)
    yield page
    page.close()


def column(page: Page, number: int) -> list[str]:
    return page.locator(f"table >> nth=0 >> tbody tr:visible td:nth-child({number})").all_inner_texts()


def test_a_column_is_sorted_by_size_up_and_down_and_as_it_stood(page: Page) -> None:
    button = page.get_by_role("button", name="effect")
    head = page.get_by_role("columnheader", name="effect").first
    up = ["−1,200 points", "−0.38 points", "0 points", "2.5e-3 points", "1.63 points", "+3% of it", "20 points"]
    button.click()
    assert column(page, 3) == [*up, ""]
    expect(head).to_have_attribute("aria-sort", "ascending")
    button.click()
    assert column(page, 3) == [*reversed(up), ""]
    expect(head).to_have_attribute("aria-sort", "descending")
    button.click()
    assert column(page, 3) == [row[2] for row in ROWS]
    assert head.get_attribute("aria-sort") is None


def test_times_are_sorted_by_their_length_and_words_by_their_letters(page: Page) -> None:
    page.get_by_role("button", name="time").click()
    seconds = {row[1]: n for row, n in zip(ROWS, (172800, 180, 12, 14400, 2100, 86400, 90, 6), strict=True)}
    assert column(page, 2) == sorted(seconds, key=seconds.__getitem__)
    page.get_by_role("button", name="verdict").click()
    assert column(page, 4) == sorted(row[3] for row in ROWS)
    assert page.locator("[aria-sort]").count() == 1


def test_the_keyboard_sorts_and_filters(page: Page) -> None:
    page.keyboard.press("Tab")
    page.keyboard.type("repro TABLE")
    assert column(page, 1) == ["Table 2", "Table 9"]
    expect(page.locator("output")).to_have_text("2 of 8")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert column(page, 1) == ["Table 9", "Table 2"]
    page.get_by_role("searchbox").fill("-0.38")  # a hyphen finds a minus sign
    assert column(page, 1) == ["Table 2"]
    page.get_by_role("searchbox").fill("")
    assert len(column(page, 1)) == len(ROWS)
    expect(page.locator("output")).to_have_text("")


def test_a_short_table_is_left_alone(page: Page) -> None:
    assert page.locator("table").nth(1).get_by_role("button").count() == 0
    assert page.get_by_role("searchbox").count() == 1
