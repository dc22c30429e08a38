"""How the built chapters read, held by bars: `make page-bars` prints what is measured."""

from __future__ import annotations

import os

import chromium  # of the folder book
import measure
import pandas as pd
import pytest


@pytest.fixture(scope="module")
def measured() -> pd.DataFrame:
    if not (measure.HTML / "index.html").exists():
        pytest.fail("there is no book in _build/html to measure: run `make book`")
    if not chromium.installed() and not os.environ.get("CI"):
        pytest.skip(chromium.MISSING)
    return measure.table()


@pytest.mark.xdist_group("bars")
@pytest.mark.parametrize("bar", measure.BARS)
def test_chapters_pass_the_bars_of_reading(measured: pd.DataFrame, bar: str) -> None:
    missed = measure.misses(measured)[bar]
    assert not missed.any(), f"{bar}\n{measured[bar].round(1).to_string()}"
