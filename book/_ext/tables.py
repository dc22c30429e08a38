"""What the style sheet has to know of a table: how wide its numbers are, and the names of its columns.

Numbers that stand under each other are aligned on their decimal points: a cell names what its number lacks on the left, as
many digits as in the widest of its column, and those take up room without being seen. A table of words is read row by row
on a phone: there each cell shows the name of its column. So is one of a few columns that would be too wide.
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


def name_columns(table: Tag, *, words: bool) -> bool:
    """Give cells the names of their columns, and roles, which they lose where they are no table.

    Only in a table of words, and in one that is too wide for a phone and has few columns, none to be sorted by.
    """
    heads = [head.get_text().strip() for head in table.select("thead tr:only-child > th")]
    rows = [row.find_all(["td", "th"], recursive=False) for row in table.select("tbody > tr")]
    texts = [cell.get_text().strip() for cells in rows for cell in cells]
    regular = all(len(cells) == len(heads) for cells in rows) and not table.select(
        "[colspan], [rowspan], th .math, button"
    )
    if len(heads) < 3 or not rows or not regular:
        return False
    if words and max(map(len, texts)) >= WORDS:
        table["class"] = [*table.get("class", []), "words"]
    elif shortened(table, heads, rows):
        table["class"] = [*table.get("class", []), "words", "short"]
    else:
        return False
    for kind, role in ROLES.items():
        for element in [table, *table.find_all(True)]:
            if element.name == kind:
                element["role"] = "rowheader" if kind == "th" and element.find_parent("tbody") else role
    for cells in rows:
        for cell, head in zip(cells[1:], heads[1:], strict=True):
            if head and cell.get_text().strip():
                (cell.p or cell)["data-column"] = head
    return True


def is_frame(table: Tag) -> bool:
    """Whether a table is one that pandas wrote."""
    return "dataframe" in table.get("class", [])


def shortened(table: Tag, heads: list[str], rows: list[list[Tag]]) -> bool:
    """Whether cells are to follow each other on a phone, where the table would be too wide."""
    styled = table.get("id", "").startswith("T_")  # pandas's, with letters as small as its author wants them
    sortable = not is_frame(table) and len(rows) >= LONG
    return len(heads) <= FEW and not styled and not sortable and narrowest(table, heads, rows) > ROOM


def narrowest(table: Tag, heads: list[str], rows: list[list[Tag]]) -> int:
    """Letters of a line of the table where every cell breaks wherever it may; pandas's stand close."""
    texts = zip(heads, *([cell.get_text() for cell in row] for row in rows), strict=True)
    words = ([len(word) for text in column for word in BREAK.split(text)] for column in texts)
    return sum(map(max, words)) + (0 if is_frame(table) else 2 * len(heads))


BREAK = re.compile(r"\s+|(?<=[-–])")
WORDS = 25  # letters of a cell that is more than a number or a name
FEW = 6  # columns that can be told apart where their cells follow each other
ROOM = 41  # letters of a line on a phone
LONG = 8  # rows of a table whose head sorts it (book/_static/tables.js)
ROLES = {"table": "table", "thead": "rowgroup", "tbody": "rowgroup", "tr": "row", "th": "columnheader", "td": "cell"}


def prepared(body: str) -> str:
    """A page's HTML with what the style sheet has to know of its tables."""

    def one(found: re.Match[str]) -> str:
        soup = BeautifulSoup(found[0], "html.parser")
        changed = [align(cells) for cells in columns(soup)]
        words = not any(changed) and not is_frame(soup.table)
        changed.append(name_columns(soup.table, words=words))
        return str(soup) if any(changed) else found[0]

    return TABLE.sub(one, body)
