"""What the built book says of itself: to search engines, to those who pass an address on, to those who are lost.

`make book` builds what is tested here.
"""

from __future__ import annotations

import base64
import io
import json
import re
from collections import Counter
from pathlib import Path
from urllib.parse import urljoin, urlsplit
from xml.etree import ElementTree

import build
import pytest
import yaml
from built import CONFIG, HTML, PAGES, each, soup
from fontTools.ttLib import TTFont
from PIL import Image
from playwright.sync_api import Browser

BASE = CONFIG["html"]["baseurl"]
REPOSITORY = CONFIG["repository"]["url"]

every_page = pytest.mark.parametrize("name", each(PAGES))


def said(name: str, key: str) -> str:
    """What a page's head says of the page."""
    (tag,) = soup(name).head.select(f'meta[name="{key}"], meta[property="{key}"]')
    return tag["content"]


@every_page
def test_a_page_has_one_title_and_no_id_twice(name: str) -> None:
    assert len(soup(name).select("h1")) == 1
    ids = Counter(element["id"] for element in soup(name).select("[id]"))
    assert [twice for twice, count in ids.items() if count > 1] == []


@every_page
def test_a_page_says_what_it_is_about_and_where_it_is(name: str) -> None:
    about = said(name, "description")
    assert len(about.split()) > 1 or name == "book/bibliography"
    assert len(about) <= 300
    assert said(name, "og:description") == about
    title = said(name, "og:title")
    assert title in soup(name).h1.get_text()
    assert "<" not in title
    (canonical,) = soup(name).head.select('link[rel="canonical"]')
    assert canonical["href"] == said(name, "og:url") == urljoin(BASE, f"{name}.html")


PICTURES = """() => [...document.querySelectorAll("*")].flatMap(element => ["::before", "::after"].map(
    which => getComputedStyle(element, which))).filter(style => /[\\uE000-\\uF8FF]/.test(style.content)).map(
    style => [style.content, style.fontFamily])"""


@pytest.mark.parametrize("name", ["book/index", "chapters/03_training_with_dropout"])
def test_every_picture_of_a_font_is_in_the_font_that_it_is_drawn_with(name: str, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto((HTML / f"{name}.html").as_uri())
    drawn = page.evaluate(PICTURES)
    page.close()
    assert drawn
    style = (HTML / "_static/icons.css").read_text(encoding="utf-8")
    fonts = {
        family: TTFont(io.BytesIO(base64.b64decode(data))).getBestCmap()
        for family, data in re.findall(r'font-family: "([^"]+)";[^}]*base64,([^)]+)\)', style)
    }
    for content, families in drawn:
        assert {ord(sign) for sign in content.strip('"')} <= fonts[families.strip('"')].keys(), (content, families)


def test_no_two_pages_say_the_same_of_themselves() -> None:
    assert len({said(name, "description") for name in PAGES}) == len(PAGES)


@every_page
def test_a_page_has_a_card(name: str) -> None:
    address = said(name, "og:image")
    assert address.startswith(BASE)
    with Image.open(HTML / address.removeprefix(BASE)) as card:
        assert card.size == (1200, 630)
        assert len(card.convert("RGB").getcolors()) > 10


@every_page
def test_a_page_says_what_is_missing_without_javascript(name: str) -> None:
    assert "JavaScript is off" in soup(name).find("main").find("noscript").get_text()


def test_the_site_map_lists_every_page_once() -> None:
    root = ElementTree.parse(HTML / "sitemap.xml").getroot()
    listed = [element.text for element in root.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")]
    assert sorted(listed) == sorted(urljoin(BASE, f"{name}.html") for name in PAGES)
    assert f"Sitemap: {urljoin(BASE, 'sitemap.xml')}" in (HTML / "robots.txt").read_text()


def test_the_page_of_the_lost_leads_back_from_any_address() -> None:
    page = soup("404")
    assert page.select("link, script, img") == []
    links = [link["href"] for link in page.select("a")]
    assert links
    for link in links:
        assert link.startswith(BASE)
        assert (HTML / (link.removeprefix(BASE) or "index.html")).exists()


def test_addresses_of_the_project_are_those_of_the_configuration() -> None:
    owner, project = urlsplit(REPOSITORY).path.strip("/").split("/")
    assert f"https://{owner}.github.io/{project}/" == BASE
    files = [build.ROOT / name for name in ("README.md", "CITATION.cff", "pyproject.toml", "_config.yml")]
    for path in [*files, *(build.ROOT / "book").glob("**/*.md")]:
        for found in re.findall(r"github\.com/([\w.-]+)/([\w.-]+)", path.read_text(encoding="utf-8")):
            assert found[0] != owner or found[1].removesuffix(".git") == project, f"{path.name}: {'/'.join(found)}"


def test_the_first_page_says_how_to_cite_the_book() -> None:
    citation = yaml.safe_load((build.ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    text = " ".join(soup(PAGES[0]).find("article").get_text().split())
    for part in (citation["title"], citation["version"], BASE, *(author["name"] for author in citation["authors"])):
        assert part in text


def test_every_term_names_a_page_of_the_book() -> None:
    text = (HTML / "_static" / "terms.js").read_text(encoding="utf-8")
    terms = json.loads(text.removeprefix("const TERMS = ").rstrip().removesuffix(";"))
    assert len(terms) >= 25
    names = [name.lower() for term in terms.values() for name in term["names"]]
    assert len(set(names)) == len(names)
    for key, term in terms.items():
        assert term["page"] in PAGES
        assert len(term["meaning"].split()) >= 8
        assert soup(term["glossary"]).find(id=key) is not None


@pytest.mark.parametrize("name", each([name for name in PAGES if re.match(r"chapters/(?!00)\d\d_", name)]))
def test_a_chapter_and_its_sections_carry_its_number(name: str) -> None:
    number = int(Path(name).name[:2])
    headings = soup(name).select("article h1, article h2")
    assert headings[0].get_text().startswith(f"{number}. ")
    for order, heading in enumerate(headings[1:], start=1):
        assert heading.get_text().startswith(f"{number}.{order}. ")


def test_what_interactives_share_comes_once() -> None:
    base = (build.ROOT / "src/dropout_lessons/widgets/base.js").read_text(encoding="utf-8")
    line = next(line for line in base.splitlines() if line.startswith("function "))
    for name in PAGES:
        assert line not in (HTML / f"{name}.html").read_text(encoding="utf-8")
    assert line in (HTML / "_static" / "interactive.js").read_text(encoding="utf-8")
