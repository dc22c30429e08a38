"""Claims and folded code on the built pages: the code of a claim is in its fold, and one switch unfolds all code."""

from __future__ import annotations

import measure  # of the folder book
import pytest
from built import CHAPTERS, HTML, each, soup
from playwright.sync_api import Browser, expect


@pytest.mark.parametrize("name", each(CHAPTERS))
def test_the_code_that_checks_a_claim_is_in_its_fold_and_nowhere_else(name: str) -> None:
    claims = soup(name).find("article").select(".claims")
    assert claims
    for claim in claims:
        cell = claim.find_parent(class_="cell")
        assert len(cell.select(".cell_input")) == 1
        assert len(claim.select("details > .cell_input")) == 1


def test_one_switch_unfolds_all_code_and_is_remembered(browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto((HTML / f"{CHAPTERS[1]}.html").as_uri())
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


def test_on_a_phone_code_that_would_be_cut_is_folded_until_it_is_opened(browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto((HTML / f"{CHAPTERS[3]}.html").as_uri())
    assert page.evaluate(measure.CUT) == 0
    fold = page.locator("details.on-phones:visible").first
    code = fold.locator("pre")
    expect(code).to_be_hidden()
    fold.locator("summary").click()
    expect(code).to_be_visible()
    assert page.evaluate(measure.CUT) == 1
    page.set_viewport_size({"width": 1280, "height": 800})  # turned, or a window made wide: all is as it is on a laptop
    expect(code).to_be_visible()
    expect(fold.locator("summary")).to_be_hidden()
    page.set_viewport_size({"width": 390, "height": 844})
    expect(code).to_be_hidden()
    page.close()
