"""Print the whole book into _build/dropout-measured.pdf: `make pdf`, which builds the book first.

Chromium prints one page that holds all the others in the order of the table of contents, so that headings become
bookmarks, links between pages lead to places in the file, and the text keeps its tags for screen readers.
"""

from __future__ import annotations

import argparse
import html
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from urllib.parse import urljoin

import build
import chromium
import yaml
from bs4 import BeautifulSoup, Tag
from outputs import BUILD, ROOT
from playwright.sync_api import Browser, Page, sync_playwright

CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
PDF = BUILD / "dropout-measured.pdf"
REFERRING = {"for", "aria-labelledby", "aria-describedby", "aria-controls"}
"""Attributes that name elements by their ids."""

# As a reader has it who wants nothing hidden behind a prediction.
NOTHING_HIDDEN = "localStorage.setItem('dropout-lessons.predictions', '{\"open\": true}')"

FOOT = """<p style="width: 100%; font: 8px sans-serif; text-align: center; color: #555">
<span class="pageNumber"></span></p>"""


def place(page: str, name: str = "") -> str:
    """The id, in the whole book, of a page or of what has an id of its own there."""
    return "--".join(filter(None, [page.replace("/", "-"), name]))


def target(link: str, page: str, pages: Iterable[str]) -> str:
    """Where a link of a page leads in the whole book."""
    if re.match(r"[a-z]+:", link):
        return link
    file, _, name = link.partition("#")
    other = posixpath.normpath(posixpath.join(posixpath.dirname(page), file)).removesuffix(".html") if file else page
    if other in pages:
        return f"#{place(other, name)}"
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), link))


def article(page: str, soup: BeautifulSoup, pages: Iterable[str]) -> Tag:
    """The text of a built page as a part of the whole book."""
    text = soup.find("article")
    # A drawing refers to its own parts, by names that are made of what they are: the same name is the same part.
    drawn = {id(element) for element in text.select("svg *")}
    for element in text.find_all(True):
        if "id" in element.attrs and id(element) not in drawn:
            element["id"] = place(page, element["id"])
        for name in REFERRING & element.attrs.keys():
            element[name] = " ".join(place(page, part) for part in element[name].split())
        if "src" in element.attrs:
            element["src"] = target(element["src"], page, pages)
        if "href" in element.attrs:  # what is not in the file is on the site
            link = target(element["href"], page, pages)
            element["href"] = link if link.startswith("#") else urljoin(CONFIG["html"]["baseurl"], link)
        del element["loading"]
        if element.name == "script" and element.string:  # where an interactive says what it loads
            element.string = element.string.replace('"../_static/', '"_static/')
    for link in text.select("a.headerlink"):
        link.decompose()
    for span in text.select(
        "dl.py :is(span, em):not([id], .math)"
    ):  # a tag for each word of the reference: too many to print
        span.unwrap()
    text["id"] = place(page)
    return text


def needs(page: str, soup: BeautifulSoup) -> Iterator[str]:
    """The style sheets and scripts of a page, in their order. Formulas are typeset at once, not when they are seen."""
    for element in soup.head.find_all(["link", "script"]):
        if element.name == "link" and "stylesheet" not in element["rel"]:
            continue
        for name in {"href", "src"} & element.attrs.keys():
            element[name] = target(element[name], page, ())
        yield str(element).replace(', "ui/lazy"', "")


def whole_book(pages: Sequence[str]) -> str:
    """One page with the text of all of these."""
    soups = {page: BeautifulSoup((build.HTML / f"{page}.html").read_bytes(), "html.parser") for page in pages}
    head = dict.fromkeys(line for page, soup in soups.items() for line in needs(page, soup))
    title = html.escape(CONFIG["title"])
    parts = (str(article(page, soup, pages)) for page, soup in soups.items())
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en" data-theme="light" data-mode="light" data-content_root="./">',
            f'<head><meta charset="utf-8"><title>{title}</title>',
            *head,
            '</head>\n<body class="whole-book"><main class="bd-content"><div class="bd-article-container">',
            *parts,
            "</div></main></body></html>\n",
        ]
    )


@contextmanager
def opened(text: str) -> Iterator[Page]:
    """Open a page that refers to files of the built book, and wait until all of it is there.

    With reduced motion, an interactive shows one state. The file lies beside what it refers to, under a name of its
    own: two may be printed at a time.
    """
    with NamedTemporaryFile("w", encoding="utf-8", dir=build.HTML, prefix="whole-", suffix=".html") as file:
        file.write(text)
        file.flush()
        with sync_playwright() as playwright:
            browser = chromium.launch(playwright)
            try:
                yield load(browser, Path(file.name))
            finally:
                browser.close()


def load(browser: Browser, path: Path) -> Page:
    page = browser.new_page(viewport={"width": 760, "height": 1075}, reduced_motion="reduce")
    page.set_default_timeout(600_000)
    page.goto(path.as_uri())
    page.evaluate("() => window.MathJax?.startup.promise.then(() => null)")
    page.evaluate("() => Promise.all([...document.images].map(image => image.decode())).then(() => null)")
    page.evaluate("() => document.fonts.ready.then(() => null)")
    page.wait_for_load_state("networkidle")
    return page


def print_book(pages: Sequence[str], path: Path) -> None:
    """Print these pages of the built book into one file."""
    margins = {"top": "18mm", "bottom": "18mm", "left": "17mm", "right": "17mm"}
    with opened(whole_book(pages)) as page:
        page.pdf(
            path=path, format="A4", margin=margins, tagged=True, outline=True, print_background=True,
            display_header_footer=True, header_template="<span></span>", footer_template=FOOT,
        )  # fmt: skip


def main() -> None:
    toc = list(build.pages(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="*", default=toc, help="print these pages alone, as _toc.yml names them")
    parser.add_argument("--out", type=Path, default=PDF)
    arguments = parser.parse_args()
    print_book(arguments.pages, arguments.out)
    print(f"The book as one file: {arguments.out} ({arguments.out.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
