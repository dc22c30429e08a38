"""The table that `make page-bars` prints; test_book.py holds every chapter to the bars."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import chromium  # of the folder book
import measure
import pytest


def test_the_table_has_a_row_for_a_built_chapter_and_a_column_for_each_bar(tmp_path: Path) -> None:
    if not chromium.installed() and not os.environ.get("CI"):
        pytest.skip(chromium.MISSING)
    chapter = measure.ROOT / "chapters/07_the_verdict.ipynb"
    shutil.copy(chapter, tmp_path)
    shutil.copy(chapter, tmp_path / "99_not_built.ipynb")
    table = measure.table(chapters=tmp_path)
    assert list(table.index) == ["07"]
    assert set(measure.BARS) <= set(table)
    assert not measure.misses(table).any(axis=None)
