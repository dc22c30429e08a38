"""The book as one file: bookmarks, tags, links that lead to its pages, and no line cut off.

`make book` builds what is printed here: two of its pages.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import build
import pdf
import pytest

pytestmark = pytest.mark.xdist_group("pdf")
PAGES = ["book/glossary", "chapters/05_model_averaging"]


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path: Path = tmp_path_factory.mktemp("pdf") / "two.pdf"
    pdf.print_book(PAGES, path)
    return path.read_bytes()


def test_headings_are_bookmarks(printed: bytes) -> None:
    assert b"/Outlines" in printed
    titles = re.findall(rb"/Title \((.*?)\)", printed)
    assert any(b"Glossary" in title for title in titles)
    assert any(b"5. Averaging models" in title for title in titles)


def test_the_file_is_tagged_and_says_its_language(printed: bytes) -> None:
    for part in (b"/StructTreeRoot", b"/MarkInfo", b"/Lang"):
        assert part in printed
    kinds = set(re.findall(rb"/S /(\w+)", printed))
    assert {b"H1", b"H2", b"P", b"Table", b"Figure", b"Link"} <= kinds


def test_links_between_pages_lead_to_places_in_the_file(printed: bytes) -> None:
    assert pdf.target("../chapters/05_model_averaging.html#exercises", PAGES[0], PAGES) == (
        "#chapters-05_model_averaging--exercises"
    )
    assert pdf.target("glossary.html", "book/reading", PAGES) == "#book-glossary"
    assert pdf.target("#symbols", PAGES[0], PAGES) == "#book-glossary--symbols"
    assert pdf.target("../_images/a.webp", PAGES[1], PAGES) == "_images/a.webp"
    assert pdf.target("https://example.org/x.html", PAGES[0], PAGES) == "https://example.org/x.html"
    assert printed.count(b"/Dest") > 20  # from terms to the glossary, and back
    assert b"file://" not in printed


def test_nothing_is_cut_off_on_paper_and_formulas_and_interactives_are_there() -> None:
    with pdf.opened(pdf.whole_book(PAGES)) as page:
        page.emulate_media(media="print")
        cut = page.locator("pre:visible").evaluate_all(
            "all => all.filter(pre => pre.scrollWidth > pre.clientWidth + 1).map(pre => pre.textContent)"
        )
        assert cut == []
        assert page.locator("article .math:not(:has(mjx-container))").count() == 0
        interactives = page.locator(".dropout-lessons-interactive")
        assert interactives.count() >= 1
        assert interactives.locator("svg, canvas, table").count() >= 1


def test_two_books_can_be_printed_at_a_time_and_leave_nothing_behind() -> None:
    with pdf.opened(pdf.whole_book(PAGES[:1])) as page:
        own = build.HTML / page.url.rpartition("/")[2]
        with ThreadPoolExecutor(1) as other:  # Playwright wants a thread of its own for each
            assert other.submit(open_and_name, PAGES[:1]).result() != own.name
        assert own.exists()
    assert not own.exists()


def open_and_name(pages: list[str]) -> str:
    with pdf.opened(pdf.whole_book(pages)) as page:
        return page.url.rpartition("/")[2]
