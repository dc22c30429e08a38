"""What the style sheet has to know of a table: how wide its numbers are, and the names of its columns.

Numbers that stand under each other are aligned on their decimal points: a cell names what its number lacks on the left, as
many digits as in the widest of its column, and those take up room without being seen. A table of words is read row by row
on a phone: there each cell shows the name of its column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bs4 import BeautifulSoup, Tag

TABLE = re.compile(r"<table\b.*?</table>", re.DOTALL)
NUMBER = re.compile(r"([-−+]?)(\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?=$|%| *±| [\[(]| (?:points|nats|s)\b)")


def columns(table: Tag) -> Iterator[list[Tag]]:
    """The cells of each column, below the head, of a table in which every row has as many."""
    rows = [row.find_all(["td", "th"], recursive=False) for row in table.find_all("tr")]
    rows = [cells for cells in rows if any(cell.name == "td" for cell in cells)]
    if len({len(cells) for cells in rows}) == 1 and len(rows) > 1:
        yield from map(list, zip(*rows, strict=True))


def align(cells: list[Tag]) -> bool:
    """Align a column's numbers, if it has nothing else in it."""
    numbers = [
        (cell, NUMBER.match(text)) for cell in cells if (text := cell.get_text().strip()) not in ("", "—", "nan")
    ]
    if len(numbers) < 2 or not all(number for _, number in numbers):
        return False
    lefts = [(number[1], number[2]) for _, number in numbers if number]
    most = [max(map(measure, lefts)) for measure in (signs, digits, commas)]
    for (cell, _), left in zip(numbers, lefts, strict=True):
        lack = "".join(mark * (most[i] - measure(left)) for i, (mark, measure) in enumerate(SLOTS))
        cell["class"] = [*cell.get("class", []), "number"]
        if lack:
            (cell.find("p", recursive=False) or cell)["data-lacks"] = lack  # what holds the number
    return True


def signs(left: tuple[str, str]) -> int:
    return len(left[0])


def digits(left: tuple[str, str]) -> int:
    return len(left[1]) - commas(left)


def commas(left: tuple[str, str]) -> int:
    return left[1].count(",")


SLOTS = (("−", signs), ("0", digits), (",", commas))


def name_columns(table: Tag) -> bool:
    """Give the cells of a table of words the names of their columns, and roles, which they lose where they are no table."""
    heads = [head.get_text().strip() for head in table.select("thead tr:only-child > th")]
    rows = [row.find_all("td", recursive=False) for row in table.select("tbody > tr")]
    texts = [cell.get_text().strip() for cells in rows for cell in cells]
    regular = all(len(cells) == len(heads) for cells in rows) and not table.select(
        "[colspan], [rowspan], th .math, button"
    )
    if len(heads) < 3 or not rows or not regular or max(map(len, texts)) < WORDS:
        return False
    table["class"] = [*table.get("class", []), "words"]
    for kind, role in ROLES.items():
        for element in [table, *table.find_all(True)]:
            if element.name == kind:
                element["role"] = role
    for cells in rows:
        for cell, head in zip(cells[1:], heads[1:], strict=True):
            if head and cell.get_text().strip():
                (cell.p or cell)["data-column"] = head
    return True


WORDS = 25  # letters of a cell that is more than a number or a name
ROLES = {"table": "table", "thead": "rowgroup", "tbody": "rowgroup", "tr": "row", "th": "columnheader", "td": "cell"}


def prepared(body: str) -> str:
    """A page's HTML with what the style sheet has to know of its tables."""

    def one(found: re.Match[str]) -> str:
        soup = BeautifulSoup(found[0], "html.parser")
        changed = [align(cells) for cells in columns(soup)]
        if not any(changed) and "dataframe" not in soup.table.get("class", []):
            changed.append(name_columns(soup.table))
        return str(soup) if any(changed) else found[0]

    return TABLE.sub(one, body)
