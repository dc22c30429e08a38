"""Claims and folded code on the built pages: the code of a claim is in its fold, and one switch unfolds all code."""

from __future__ import annotations

from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, expect

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "_build/html/chapters" / f"{path.stem}.html" for path in sorted(ROOT.glob("chapters/*.ipynb"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_that_checks_a_claim_is_in_its_fold_and_nowhere_else(page: Path) -> None:
    article = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").find("article")
    claims = article.select(".claims")
    assert claims
    for claim in claims:
        cell = claim.find_parent(class_="cell")
        assert len(cell.select(".cell_input")) == 1
        assert len(claim.select("details > .cell_input")) == 1


def test_one_switch_unfolds_all_code_and_is_remembered(browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(PAGES[1].as_uri())
    folds = page.locator(".cell details.hide, .claims details")
    closed = ".cell details.hide:not([open]), .claims details:not([open])"
    assert page.locator(closed).count() == folds.count() > 5
    page.get_by_role("button", name="Show all code").click()
    expect(page.locator(closed)).to_have_count(0)
    page.reload()
    expect(page.locator(closed)).to_have_count(0)
    page.get_by_role("button", name="Fold code").click()
    expect(page.locator(closed)).to_have_count(folds.count())
    page.close()
