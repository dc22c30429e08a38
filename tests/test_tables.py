"""What the style sheet has to know of a table: which are read row by row on a phone, and by which names."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

sys.path.append(str(Path(__file__).resolve().parents[1] / "book/_ext"))

import tables

WORDS = "a fresh mask for each example"
HEAD = "<thead><tr><th><p>what</p></th><th><p>without</p></th><th><p>with</p></th></tr></thead>"


def table(*cells: str, head: str = HEAD) -> str:
    row = "".join(f"<td><p>{cell}</p></td>" for cell in cells)
    return f'<table class="table">{head}<tbody><tr>{row}</tr></tbody></table>'


def test_a_cell_of_a_table_of_words_names_its_column_and_stays_a_cell():
    made = BeautifulSoup(tables.prepared(table("forward", "nothing", WORDS)), "html.parser")
    assert "words" in made.table["class"]
    assert [p.get("data-column") for p in made.select("td > p")] == [None, "without", "with"]
    assert {element["role"] for element in made.find_all(["td", "th", "tr"])} == {"cell", "columnheader", "row"}
    assert made.table["role"] == "table"


@pytest.mark.parametrize(
    "other",
    [
        table("forward", "1", "2"),  # nothing to read
        table("forward", WORDS, head="<thead><tr><th>what</th><th>with</th></tr></thead>"),  # fits
        table("forward", "nothing", WORDS, head=HEAD.replace("without", '<span class="math">p</span>')),
        table("forward", "nothing", WORDS, head=HEAD.replace("without", "<button>sort</button>")),
        table("forward", "nothing", WORDS).replace('"table"', '"dataframe"'),
    ],
)
def test_other_tables_stay_as_they_are(other):
    assert tables.prepared(other) == other


NUMBERS = ("batch_normalization_variance_shift", "12", "reproduced elsewhere")


def frame(*rows: tuple[str, ...], attributes: str = "") -> str:
    """A table as pandas writes it."""
    body = "".join(f"<tr><th>{row[0]}</th>{''.join(f'<td>{cell}</td>' for cell in row[1:])}</tr>" for row in rows)
    return f'<table class="dataframe"{attributes}>{HEAD}<tbody>{body}</tbody></table>'


def test_a_table_of_numbers_that_is_too_wide_for_a_phone_names_its_columns_too():
    made = BeautifulSoup(tables.prepared(frame(NUMBERS, NUMBERS)), "html.parser")
    assert made.table["class"] == ["dataframe", "words", "short"]
    assert [cell.get("data-column") for cell in made.select("td")] == ["without", "with"] * 2
    assert [cell["role"] for cell in made.select("tr:last-child > *")][-3:] == ["rowheader", "cell", "cell"]


@pytest.mark.parametrize(
    "other",
    [
        frame(("batch normalization", *NUMBERS[1:])),  # breaks between words, and fits
        frame(NUMBERS, attributes=' id="T_1"'),  # a style of its own
        frame(NUMBERS)
        .replace("dataframe", "table")
        .replace("</tr></tbody>", "</tr>" + f"<tr>{'<td>1</td>' * 3}</tr>" * 7),
        frame((*NUMBERS, *"12345")).replace("</tr></thead>", "<th>more</th>" * 5 + "</tr></thead>"),
    ],
)
def test_a_table_that_fits_is_styled_is_sorted_or_has_many_columns_stays_a_table(other):
    assert "data-column" not in tables.prepared(other)


@pytest.mark.parametrize("cell", ["<td>{}</td>", "<td><p>{}</p></td>"])
def test_what_a_number_lacks_stands_in_its_own_line(cell):
    """In the cell, it would stand above the paragraph of a table that Markdown makes."""
    rows = "".join(f"<tr><td>row</td>{cell.format(number)}</tr>" for number in ("8", "11"))
    made = BeautifulSoup(tables.prepared(f'<table class="table">{rows}</table>'), "html.parser")
    lacking = made.find_all(attrs={"data-lacks": True})
    assert [(element.name, element["data-lacks"]) for element in lacking] == [("p" if "<p>" in cell else "td", "0")]
