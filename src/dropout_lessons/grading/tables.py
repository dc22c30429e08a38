"""Tables as spreadsheets and platforms have them: read however they were saved, written so that no text is a formula."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropout_lessons.grading.assignment import Assignment
from dropout_lessons.grading.results import StudentResult


@dataclass(frozen=True)
class Table:
    """A table from a file.

    Attributes:
        header: Names of the columns.
        rows: The rows below, each with a cell for each column.
        delimiter: What stood between cells.
    """

    header: list[str]
    rows: list[list[str]]
    delimiter: str = ","

    def dicts(self) -> list[dict[str, str]]:
        """The rows by the names of their columns."""
        names = [name.strip().lower() for name in self.header]
        return [dict(zip(names, row, strict=False)) for row in self.rows]


def read_table(path: Path) -> Table:
    """Read a table: UTF-8, UTF-16 or Windows-1252, with commas, semicolons or tabs, as Excel saves them.

    Raises:
        ValueError: If it is no table; the message names the file.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} must be a table, and cannot be read: {error.strerror}") from error
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = data.decode("utf-16", "replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("cp1252", "replace")
    if text[:4].lower() == "sep=":  # how Excel is told
        text = text.split("\n", 1)[-1]
    try:
        found = {mark: list(csv.reader(io.StringIO(text, newline=""), delimiter=mark)) for mark in ",;\t"}
    except csv.Error as error:
        raise ValueError(f"{path} must be a table, and cannot be read: {error}") from error
    delimiter = max(found, key=lambda mark: len(found[mark][0]) if found[mark] else 0)
    rows = [row for row in found[delimiter] if any(cell.strip() for cell in row)]
    if not rows:
        raise ValueError(f"{path} must have a row with the names of its columns, and is empty")
    width = max(map(len, rows))
    header, *rest = [row + [""] * (width - len(row)) for row in rows]
    return Table(header, rest, delimiter)


def number(text: str) -> float:
    """A number as a spreadsheet may write it, also ``3,5``; not a number if it is none.

    Example:
        >>> number("3,5"), number(" 4 "), number("good")
        (3.5, 4.0, nan)
    """
    try:
        return float(text.strip().replace(",", ".") if text.count(",") == 1 and "." not in text else text)
    except ValueError:
        return math.nan


def to_csv(rows: Iterable[Sequence[Any]], delimiter: str = ",") -> str:
    """Rows as CSV; text that a spreadsheet would take for a formula gets a quote before it."""
    return _written(([_harmless(cell) for cell in row] for row in rows), delimiter)


def _harmless(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in tuple("=+-@\t\r") and cell else cell


def _written(rows: Iterable[Sequence[Any]], delimiter: str = ",") -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n", delimiter=delimiter).writerows(rows)
    return buffer.getvalue()


def filled_in(assignment: Assignment, results: Sequence[StudentResult], path: Path) -> tuple[str, str]:
    """A platform's own table with the points filled in: a file's name, and its text. No other cell is changed.

    Args:
        assignment: What was handed out.
        results: What grading found.
        path: Canvas's export of its grade book, or Moodle's grading worksheet.

    Raises:
        ValueError: If it is neither, or it is out of another number of points.
    """
    table = read_table(path)
    if table.header[:2] == ["Student", "ID"]:
        _fill_canvas(table, assignment, results, path)
        return "canvas.csv", _written([table.header, *table.rows])
    if {"Identifier", "Grade"} <= set(table.header):
        _fill_moodle(table, assignment, results, path)
        return "moodle.csv", _written([table.header, *table.rows])
    raise ValueError(
        "gradebook must be Canvas's export, whose columns start with Student, ID, or Moodle's grading worksheet, with "
        "Identifier and Grade (in another language Moodle names them otherwise: choose English in your profile there, for the "
        f"download and for the upload); got {str(path)!r} with {', '.join(table.header[:6])}"
    )


def _fill_canvas(table: Table, assignment: Assignment, results: Sequence[StudentResult], path: Path) -> None:
    names = table.header
    title = assignment.title
    fits = [at for at, name in enumerate(names) if name == title or name.startswith(f"{title} (")]
    if len(fits) > 1:
        raise ValueError(
            f"{path} must have one column for {title!r}, got {[names[at] for at in fits]}; remove the others"
        )
    if not fits:
        names.append(title)
        for row in table.rows:
            row.append("")
    column = fits[0] if fits else len(names) - 1
    by_id = {result.ids["canvas"]: result for result in results if "canvas" in result.ids}
    for row in table.rows:
        if row[0].strip() == "Points Possible":
            row[column] = f"{assignment.out_of:g}"
        elif result := by_id.get(row[1].strip()):
            row[column] = str(total(assignment, result))


def _fill_moodle(table: Table, assignment: Assignment, results: Sequence[StudentResult], path: Path) -> None:
    at = {name: number for number, name in enumerate(table.header)}
    by_id = {result.ids["moodle"]: result for result in results if "moodle" in result.ids}
    for row in table.rows:
        result = by_id.get(row[at["Identifier"]].split()[-1] if row[at["Identifier"]].strip() else "")
        if result is None:
            continue
        most = number(row[at["Maximum Grade"]]) if "Maximum Grade" in at else assignment.out_of
        if not math.isclose(most, assignment.out_of):
            raise ValueError(
                f"{path} must be out of {assignment.out_of:g} points, as the assignment is, got {most:g}: change the maximum "
                "grade in Moodle, or the points in assignment.toml"
            )
        row[at["Grade"]] = str(total(assignment, result))
        if "Feedback comments" in at and not result.waits:
            reasons = (f"{one.title}: {reason}" for one in result.exercises for reason in one.reasons)
            row[at["Feedback comments"]] = str(_harmless("\n".join(reasons)))


def canvas_csv(assignment: Assignment, results: Sequence[StudentResult]) -> str:
    """The table that Canvas imports: columns Student, ID, SIS User ID, SIS Login ID, Section, and the assignment."""
    rows: list[Sequence[Any]] = [("Student", "ID", "SIS User ID", "SIS Login ID", "Section", assignment.title)]
    rows.append(("    Points Possible", "", "", "", "", assignment.out_of))
    rows += [
        (result.name, result.ids.get("canvas", ""), "", result.ids.get("email", ""), "", total(assignment, result))
        for result in results
    ]
    return to_csv(rows)


def gradescope_csv(assignment: Assignment, results: Sequence[StudentResult]) -> str:
    """A table with Gradescope's columns: name, SID, email, total, maximum, status, submission, and each question."""
    definitions = zip(assignment.definitions(), assignment.points, strict=True)
    questions = [f"{at}: {one.title} ({points:g} pts)" for at, (one, points) in enumerate(definitions, 1)]
    head = ["Name", "SID", "Email", "Total Score", "Max Points", "Status", "Submission ID", "Lateness", *questions]
    rows: list[Sequence[Any]] = [head]
    for result in results:
        ids = result.ids
        points = "" if result.waits else result.points  # beside the maximum that is the student's own
        facts = (result.name, ids.get("sid", ""), ids.get("email", ""), points, result.out_of)
        state = "Ungraded" if result.waits else "Graded"
        each = ("" if one.points is None or one.excused else one.points + one.bonus for one in result.exercises)
        rows.append((*facts, state, ids.get("gradescope", ""), result.late or "", *each))
    return to_csv(rows)


def grades_csv(assignment: Assignment, results: Sequence[StudentResult]) -> str:
    """The table for an instructor: a row for each student, readable file or not."""
    head = ("student", "name", "points", "out_of", "to_be_marked", "days_late", "late_costs", "file")
    rows: list[Sequence[Any]] = [(*head, *assignment.exercises)]
    for result in results:
        each = (
            "excused" if one.excused else "" if one.points is None else one.points + one.bonus
            for one in result.exercises
        )
        flags = ("yes" if result.waits else "", result.late or "", result.penalty or "")
        rows.append((result.student, result.name, result.points, result.out_of, *flags, result.file, *each))
    return to_csv(rows)


def total(assignment: Assignment, result: StudentResult) -> float | str:
    """Points for a grade book, which has one maximum for all: as a share of it where an exercise is excused.

    Nothing while a human has not decided, or where all is excused.
    """
    if result.waits or (assignment.out_of and not result.out_of):
        return ""
    return round(result.points * (assignment.out_of / result.out_of if result.out_of else 1.0), 2)
