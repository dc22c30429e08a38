"""Measure how the built chapters read, in Chromium: `make page-bars`.

For each chapter the share of its height that is prose, figures and interactives, code, and claims; its height on a laptop
and on a phone; open code cells in a row without a word between; code cells that are cut at the right; and how often the
sentence of a claim can be seen.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

import chromium
import nbformat
import pandas as pd
import reading_time
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
HTML = ROOT / "_build" / "html"
LAPTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}

#: The least or the most of each measure, for every chapter.
BARS = {
    "prose (%)": (45, None),
    "with figures (%)": (70, None),
    "height at 1280": (None, 16_000),
    "height at 390": (None, 24_000),
    "open code in a row": (None, 2),
    "cut at 1280": (None, 0),
    "cut at 390": (None, 0),
    "a sentence stands": (None, 1),
}

# Blocks of a chapter in the order of the page, each with its kind and where it begins. The space below belongs to it.
BLOCKS = """() => {
    const kinds = [
        ["claims", ".claims, .checked-claim, .judged-claim"],
        ["code", ".cell_input, details.hide"],
        ["figures", ".dropout-lessons-interactive, img, figure, svg, table.dataframe"],
    ];
    const inside = ".cell, .cell_output, section, .output, .container, .cell_output div, article > div";
    const found = [];
    const visit = node => {
        for (const child of node.children) {
            const box = child.getBoundingClientRect();
            if (box.height < 1 || ["SCRIPT", "STYLE"].includes(child.tagName)) continue;
            const kind = kinds.find(([, selector]) => child.matches(selector));
            if (kind) found.push({kind: kind[0], top: box.top, folded: child.matches("details:not([open])")});
            else if (child.matches(".cell_output pre, .cell_output .highlight")) found.push({kind: "output", top: box.top});
            else if (child.matches(inside)) visit(child);
            else found.push({kind: child.closest(".cell_output") ? "output" : "prose", top: box.top});
        }
    };
    const article = document.querySelector("article");
    visit(article);
    const end = article.getBoundingClientRect().bottom;
    return found.map((block, i) => ({...block, height: (found[i + 1]?.top ?? end) - block.top}));
}"""
CUT = """() => [...document.querySelectorAll("article .cell_input pre")]
    .filter(code => code.checkVisibility({contentVisibilityAuto: true}) && code.scrollWidth > code.clientWidth).length"""
SEEN = """() => {
    const walker = document.createTreeWalker(document.querySelector("article"), NodeFilter.SHOW_TEXT);
    let text = "";
    while (walker.nextNode())
        if (walker.currentNode.parentElement.checkVisibility({contentVisibilityAuto: true})) text += walker.currentNode.data;
    return text.replace(/"\\s*f?"/g, "").replace(/\\s+/g, " ");
}"""


def statements(chapter: Path) -> Iterator[str]:
    """The sentences of a chapter's claims."""
    for cell in nbformat.read(chapter, as_version=4).cells:
        if cell.cell_type == "code":
            yield from reading_time.claims(cell.source)


def longest_run(blocks: list[Mapping[str, object]]) -> int:
    """How many open code cells follow each other without a word between."""
    longest = run = 0
    for block in blocks:
        if block["kind"] == "prose":
            run = 0
        elif block["kind"] == "code" and not block["folded"]:
            run += 1
            longest = max(longest, run)
    return longest


def opened(browser: Browser, built: Path) -> Page:
    """A built page with all that a reader comes to see."""
    page = browser.new_page(viewport=LAPTOP)
    # Also what a prediction hides until it is answered.
    page.add_init_script("localStorage.setItem('dropout-lessons.predictions', '{\"open\": true}')")
    page.goto(built.as_uri(), wait_until="load")
    page.evaluate(
        "() => window.MathJax?.startup.promise.then(() => MathJax.startup.document.lazyTypesetAll()).then(() => null)"
    )
    page.evaluate("() => document.querySelectorAll('img').forEach(image => { image.loading = 'eager' })")
    page.wait_for_timeout(500)
    return page


def measures(page: Page, chapter: Path) -> dict[str, float]:
    """The measures of a chapter whose page is open in a window of a laptop; leaves the window a phone's."""
    blocks = page.evaluate(BLOCKS)
    total = sum(block["height"] for block in blocks)
    share = {
        kind: 100 * sum(block["height"] for block in blocks if block["kind"] == kind) / total
        for kind in ("prose", "figures", "code", "claims", "output")
    }
    text = page.evaluate(SEEN).replace("\N{MINUS SIGN}", "-")
    found = {
        "prose (%)": share["prose"],
        "with figures (%)": share["prose"] + share["figures"],
        "code (%)": share["code"],
        "claims (%)": share["claims"],
        "output (%)": share["output"],
        "height at 1280": page.evaluate("document.documentElement.scrollHeight"),
        "open code in a row": longest_run(blocks),
        "cut at 1280": page.evaluate(CUT),
        "a sentence stands": max((text.count(each) for each in statements(chapter)), default=0),
    }
    page.set_viewport_size(PHONE)
    page.wait_for_timeout(300)  # interactives lay themselves out anew
    return found | {
        "height at 390": page.evaluate("document.documentElement.scrollHeight"),
        "cut at 390": page.evaluate(CUT),
    }


def table(html: Path = HTML, chapters: Path = ROOT / "chapters") -> pd.DataFrame:
    """A row for each built chapter."""
    with sync_playwright() as playwright:
        browser = chromium.launch(playwright)
        rows = {}
        for path in sorted(chapters.glob("*.ipynb")):
            if (built := html / "chapters" / f"{path.stem}.html").exists():
                page = opened(browser, built)
                rows[path.stem[:2]] = measures(page, path)
                page.close()
        browser.close()
    return pd.DataFrame(rows).T.rename_axis(index="chapter")


def misses(measured: pd.DataFrame) -> pd.DataFrame:
    """For each bar, whether each chapter misses it."""
    return pd.DataFrame(
        {
            name: measured[name] < least if most is None else measured[name] > most
            for name, (least, most) in BARS.items()
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--html", type=Path, default=HTML, help="the built book")
    parser.add_argument("--chapters", type=Path, default=ROOT / "chapters", help="the notebooks that it was built from")
    options = parser.parse_args()
    measured = table(options.html, options.chapters)
    print(measured.round().astype(int).T.to_string())
    for name, missed in misses(measured).items():
        if missed.any():
            print(f"{name} misses its bar {BARS[name]} in chapters {', '.join(missed[missed].index)}")


if __name__ == "__main__":
    main()
