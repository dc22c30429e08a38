"""The page of what is measured counts what there is."""

from __future__ import annotations

import re
from pathlib import Path

import measured
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).resolve().parents[1]


def test_what_a_chapter_has_is_counted():
    drawn = {"mystnb": {"figure": {"caption": "A line."}}}
    cells = [
        new_markdown_cell(":::{prediction} this\n- a\n- b\n:::\n\n:::{prediction} that\n- a\n- b\n:::"),
        new_code_cell("Claims([check('A.', x, below=0), check('B.', y, below=0)])\ncheck_mask(m)"),
        new_code_cell("figures.line()", metadata=drawn),
    ]
    assert measured.counted(new_notebook(cells=cells)) == {"predictions": 2, "claims": 2, "figures": 1}


def test_every_chapter_has_a_row_and_the_last_row_adds_up():
    *rows, total = re.findall(r"^\| .*\d.*\|$", measured.by_chapter(), re.MULTILINE)
    assert len(rows) == len(list(ROOT.glob("chapters/*.ipynb")))
    numbers = [[int(cell.strip(" *")) for cell in row.split("|")[2:-1]] for row in (*rows, total)]
    assert [sum(column) for column in zip(*numbers[:-1], strict=True)] == numbers[-1]


def test_what_came_back_is_what_the_page_of_replication_says():
    page = measured.replication.PAGE.read_text(encoding="utf-8")
    among, often, returned, computed = re.search(
        r"Of (\d+) claims with an interval (\d+) came back .+?, ([\d,]+) of ([\d,]+)\.", page
    ).groups()
    row = f"| with an interval | {computed} | {returned} | {int(often):,} of {int(among):,} |"
    assert row in measured.by_return().splitlines()


def test_every_experiment_has_one_verdict():
    counts = re.findall(r"\| (\d+) \|$", measured.by_verdict(), re.MULTILINE)
    assert sum(map(int, counts)) == len(measured.experiments.names())


def test_every_row_of_the_checks_is_added():
    page = (ROOT / "book/checks.md").read_text(encoding="utf-8")
    sums = re.findall(r"\| (?:right|wrong) \| ([\d,]+) \| ([\d,]+) \|", measured.by_check())
    rows = re.findall(r"([\d,]+) of ([\d,]+)", page[page.index("| --- |") :])
    numbers = [int(all_.replace(",", "")) for _, all_ in rows]
    assert sum(int(judged.replace(",", "")) for judged, _ in sums) == sum(numbers[: 2 * page.count("%")])


@pytest.mark.parametrize("name", measured.TABLES)
def test_the_page_shows_every_table_as_one(name):
    page = (ROOT / "book/measured.md").read_text(encoding="utf-8")
    assert re.findall(r":::\{measured\} (\w+)", page) == list(measured.TABLES)
    head, rule, *rows = measured.TABLES[name]().splitlines()
    assert rows
    assert {line.count("|") for line in (head, rule, *rows)} == {head.count("|")}
