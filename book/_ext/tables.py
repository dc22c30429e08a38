"""Numbers that stand under each other in a table, aligned on their decimal points.

CSS cannot do it, so a cell names what its number lacks on the left: as many digits as in the widest of its column. The
style sheet lets them take up room without being seen.
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
            cell["data-lacks"] = lack
    return True


def signs(left: tuple[str, str]) -> int:
    return len(left[0])


def digits(left: tuple[str, str]) -> int:
    return len(left[1]) - commas(left)


def commas(left: tuple[str, str]) -> int:
    return left[1].count(",")


SLOTS = (("−", signs), ("0", digits), (",", commas))


def aligned(body: str) -> str:
    """A page's HTML with the numbers of its tables aligned."""

    def one(found: re.Match[str]) -> str:
        soup = BeautifulSoup(found[0], "html.parser")
        changed = [align(cells) for cells in columns(soup)]
        return str(soup) if any(changed) else found[0]

    return TABLE.sub(one, body)
