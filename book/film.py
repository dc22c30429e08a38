"""Film the laboratory for the README, in Chromium, into book/_static/laboratory.gif: `make film`."""

from __future__ import annotations

import io
from collections.abc import Iterator

import chromium
from outputs import ROOT
from PIL import Image
from playwright.sync_api import Locator, Page, sync_playwright

from dropout_lessons.widgets import Laboratory

FILM = ROOT / "book" / "_static" / "laboratory.gif"
WIDTH, COLORS = 800, 64
SHORT, LONG = 120, 1800  # milliseconds that a picture stays
PAGE = "<!doctype html><meta charset='utf-8'><style>body {{ font: 16px sans-serif; margin: 12px; }}</style>{}"


def picture(laboratory: Locator) -> Image.Image:
    return Image.open(io.BytesIO(laboratory.screenshot(animations="allow"))).convert("RGB")


def scenes(page: Page) -> Iterator[tuple[Image.Image, int]]:
    """Pictures, and how long each stays: training once as it is, and once with units that are kept less often."""
    laboratory = page.locator(".dropout-lessons-interactive").first
    for lower in (0, 6):
        for _ in range(lower):
            laboratory.get_by_label("Keep a hidden unit").first.press("ArrowLeft")
        yield picture(laboratory), LONG // 2
        laboratory.get_by_role("button", name="Train", exact=True).click()
        stop = laboratory.get_by_role("button", name="Stop", exact=True)
        while stop.count():
            yield picture(laboratory), SHORT
        yield picture(laboratory), LONG


def main() -> None:
    with sync_playwright() as playwright:
        browser = chromium.launch(playwright)
        page = browser.new_page(viewport={"width": WIDTH, "height": 900})
        page.set_content(PAGE.format(Laboratory("curve")._repr_mimebundle_()[0]["text/html"]))
        pictures, stay = zip(*scenes(page), strict=True)
        browser.close()
    size = min(each.size for each in pictures)
    palette = pictures[-1].quantize(COLORS)
    first, *rest = [each.crop((0, 0, *size)).quantize(palette=palette, dither=Image.Dither.NONE) for each in pictures]
    first.save(FILM, save_all=True, append_images=rest, duration=list(stay), loop=0, optimize=True)
    print(f"{FILM.relative_to(ROOT)}: {len(stay)} pictures, {FILM.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
