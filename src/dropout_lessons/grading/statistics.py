"""What a class did not understand: for each exercise the share that is right, its diagnoses, and how points are spread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from dropout_lessons.grading.assignment import Assignment
from dropout_lessons.grading.pages import page
from dropout_lessons.grading.results import StudentResult

_BINS = 5  # of the histogram, from none of the points to all


@dataclass(frozen=True)
class Item:
    """One exercise in a class.

    Attributes:
        exercise: Id.
        title: Title.
        answered: Students with points for it, excused ones not counted.
        waiting: Students whose answer waits for a human.
        right: Share of the answered that has all points; not a number if there are none.
        mean: Mean share of the points.
        diagnoses: How often each problem was the first, the most frequent first.
        histogram: Students by the share of the points: from 0 to 1 in equal bins, all points in the last.
    """

    exercise: str
    title: str
    answered: int
    waiting: int
    right: float
    mean: float
    diagnoses: tuple[tuple[str, int], ...]
    histogram: tuple[int, ...]


def items(assignment: Assignment, results: Sequence[StudentResult]) -> list[Item]:
    """The statistics of each exercise, in the order of the assignment."""
    found = []
    for one in assignment.definitions():
        rows = [row for result in results for row in result.exercises if row.exercise == one.id and not row.excused]
        shares = [row.points / row.out_of if row.out_of else 1.0 for row in rows if row.points is not None]
        bins = Counter(min(_BINS - 1, int(share * _BINS)) for share in shares)
        counted = Counter(row.diagnoses[0] for row in rows if row.diagnoses)
        nothing = float("nan")
        found.append(
            Item(
                one.id,
                one.title,
                len(shares),
                len(rows) - len(shares),
                sum(share >= 1 for share in shares) / len(shares) if shares else nothing,
                sum(shares) / len(shares) if shares else nothing,
                tuple(counted.most_common()),
                tuple(bins[number] for number in range(_BINS)),
            )
        )
    return found


def items_text(found: Sequence[Item]) -> str:
    """The statistics as a table for a terminal."""
    lines = [f"{'exercise':<14} {'right':>5} {'mean':>5} {'marked':>6} {'waits':>5}  {'0 to all points':<18} diagnoses"]
    for one in found:
        spread = " ".join(f"{count:>3}" for count in one.histogram)
        said = ", ".join(f"{code} {count}" for code, count in one.diagnoses[:4])
        numbers = f"{_percent(one.right):>5} {_percent(one.mean):>5} {one.answered:>6} {one.waiting:>5}"
        lines.append(f"{one.exercise:<14} {numbers}  {spread:<18} {said}".rstrip())
    return "\n".join(lines)


_STYLE = """
section { margin: 2rem 0; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; font-weight: normal; width: 14rem; }
td { padding: 0.1rem 0; } meter { width: 70%; height: 1rem; }
"""


def items_page(assignment: Assignment, results: Sequence[StudentResult]) -> str:
    """The statistics as a page that needs nothing else."""
    sections = []
    for one in items(assignment, results):
        waiting = f"; {one.waiting} wait for marks" if one.waiting else ""
        spread = [(_range(number), count) for number, count in enumerate(one.histogram)]
        sections.append(
            f"<section><h2>{escape(one.title)} <small>({escape(one.exercise)})</small></h2>"
            f"<p>{_percent(one.right)} right, {_percent(one.mean)} of the points on average{waiting}.</p>"
            f"{_bars('Points', spread)}{_bars('Diagnoses', one.diagnoses)}</section>"
        )
    title = f"{escape(assignment.title)}: what the class did"
    advice = f"<p>{len(results)} submissions. Begin the next session with the diagnosis that came up most.</p>"
    return page(title, _STYLE, advice, *sections)


def _range(number: int) -> str:
    low, high = 100 * number // _BINS, 100 * (number + 1) // _BINS
    return f"{low}% to {'all' if high == 100 else f'under {high}%'}"


def _bars(caption: str, rows: Sequence[tuple[str, int]]) -> str:
    most = max((count for _, count in rows), default=0) or 1
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        f'<td><meter min="0" max="{most}" value="{count}">{count}</meter> {count}</td></tr>'
        for name, count in rows
    )
    return f"<table><caption>{caption}</caption>{lines}</table>" if rows else ""


def _percent(share: float) -> str:
    return "-" if share != share else f"{100 * share:.0f}%"
