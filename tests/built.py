"""The built book as files: its pages, each parsed once for all tests of one worker."""

from __future__ import annotations

from functools import cache

import build  # of the folder book
import pytest
import yaml
from bs4 import BeautifulSoup

ROOT, HTML = build.ROOT, build.HTML
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
PAGES = list(build.pages(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))))
CHAPTERS = [name for name in PAGES if name.startswith("chapters/")]


def each(names: list[str]) -> list:
    """Parameters for a test of these pages: whatever is tested of one page is tested in one worker."""
    return [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in names]


@cache
def soup(name: str) -> BeautifulSoup:
    return BeautifulSoup((HTML / f"{name}.html").read_text(encoding="utf-8"), "html.parser")
