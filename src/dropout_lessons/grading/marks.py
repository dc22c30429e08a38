"""What a human says of an exercise: points, a bonus, an excuse, a comment. It has the last word, in every run.

``marks.csv`` has a row for each answer that only a human marks, and takes a row for any other exercise of any student: it
is the sheet of marks and the file of overrides in one. What is written there is never lost.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from pathlib import Path

from dropout_lessons.grading.assignment import Assignment
from dropout_lessons.grading.border import plain
from dropout_lessons.grading.results import ExerciseResult, StudentResult
from dropout_lessons.grading.tables import number, read_table, to_csv

COLUMNS = ("student", "exercise", "points", "bonus", "excused", "comment", "out_of")
EVERYBODY, LATE = "*", "late"  # as a student, and as an exercise
_YES, _NO = ("yes", "y", "x", "1", "true"), ("", "no", "n", "0", "false")


@dataclass(frozen=True)
class Mark:
    """What a human says of one exercise of one student.

    Attributes:
        points: Points; None leaves what the program found.
        bonus: Points beside those that the exercise is worth.
        excused: Whether the exercise counts neither way; for ``late``, whether coming late costs nothing.
        comment: What the student reads.
    """

    points: float | None = None
    bonus: float = 0.0
    excused: bool = False
    comment: str = ""


Marks = dict[tuple[str, str], Mark]  # by student and exercise


def read_marks(path: Path, assignment: Assignment, names: Mapping[str, str]) -> Marks:
    """Read a sheet of marks.

    Args:
        path: CSV with the columns student, exercise, and any of points, bonus, excused, comment. The student may be ``*``
            for everybody, the exercise ``late``.
        assignment: What was handed out.
        names: Students by the names that a sheet may have for them.

    Raises:
        ValueError: If a row has an exercise that was not handed out, or points that cannot be.
    """
    table = read_table(path)
    rows = table.dicts()
    if not {"student", "exercise"} <= {name.strip().lower() for name in table.header}:
        raise ValueError(f"{path} must have the columns {', '.join(COLUMNS[:-1])}, got {', '.join(table.header)}")
    worth = dict(zip(assignment.exercises, assignment.points, strict=True))
    marks: Marks = {}
    for at, row in enumerate(rows, 2):
        where = f"{path}, row {at}"
        said = {name: row.get(name, "").strip() for name in COLUMNS}
        if not any(said[name] for name in ("points", "bonus", "excused", "comment")):
            continue
        student, exercise = said["student"].removeprefix("'"), said["exercise"]
        if exercise not in worth and exercise != LATE:
            raise ValueError(f"{where}: exercise must be one of {', '.join(worth)} or {LATE}, got {exercise!r}")
        points, bonus = number(said["points"] or "0"), number(said["bonus"] or "0")
        most = worth.get(exercise, 0.0)
        if not 0 <= points <= most:
            raise ValueError(
                f"{where}: points must be a number from 0 to {most:g}, got {said['points']!r}; more is a bonus"
            )
        if not math.isfinite(bonus):
            raise ValueError(f"{where}: bonus must be a number, got {said['bonus']!r}")
        if said["excused"].lower() not in _YES + _NO:
            raise ValueError(f"{where}: excused must be yes or empty, got {said['excused']!r}")
        marks[names.get(student, student), exercise] = Mark(
            points if said["points"] else None,
            bonus,
            said["excused"].lower() in _YES,
            plain(said["comment"].removeprefix("'"), 5000, lines=True),
        )
    return marks


def merged(marks: Marks, newer: Marks) -> tuple[Marks, list[str]]:
    """Marks with what a newer sheet says, field by field, and what this replaces; what a sheet leaves empty stands."""
    found, replaced = dict(marks), []
    for key, mark in newer.items():
        old = marks.get(key, Mark())
        given = {one.name: getattr(mark, one.name) for one in fields(Mark)}
        given = {name: value for name, value in given.items() if value != getattr(Mark(), name)}
        for name, value in given.items():
            before = getattr(old, name)
            if before not in (value, getattr(Mark(), name)):
                shown = (f"{one:g}" if isinstance(one, float) else repr(one) for one in (before, value))
                replaced.append(f"{key[0]}, {key[1]}, {name}: {' -> '.join(shown)}")
        found[key] = replace(old, **given)
    return found, replaced


def marked(assignment: Assignment, result: StudentResult, marks: Marks) -> StudentResult:
    """A result as a human has it: marks on top of what the program found, and what coming late costs."""

    def mark(exercise: str) -> Mark:
        for student in (result.student, EVERYBODY):
            if found := marks.get((student, exercise)):
                return found
        return Mark()

    result = replace(result, exercises=tuple(_with(one, mark(one.exercise)) for one in result.exercises), penalty=0.0)
    late = mark(LATE)
    remarks = (*result.remarks, late.comment) if late.comment else result.remarks
    cost = 0.0 if late.excused else round(max(0.0, result.points) * assignment.late.share(result.late), 2)
    return replace(result, penalty=round(cost - late.bonus, 2), remarks=remarks)


def _with(result: ExerciseResult, mark: Mark) -> ExerciseResult:
    if mark == Mark():
        return result
    points = result.points if mark.points is None else mark.points
    # What the program said stands where a human has only added to it.
    reasons = result.reasons if mark.points is None else ()
    comment = (mark.comment,) if mark.comment else ()
    return replace(result, points=points, bonus=mark.bonus, excused=mark.excused, reasons=(*comment, *reasons))


def unknown(results: Sequence[StudentResult], marks: Marks) -> list[str]:
    """Rows of students who are not, or no longer, among the submissions: kept, and remarked."""
    there = {result.student for result in results} | {EVERYBODY}
    return [
        f"marks.csv: no submission of {student!r}, so the row for {exercise} counts nothing; it is kept"
        for student, exercise in marks
        if student not in there
    ]


def sheet(assignment: Assignment, results: Sequence[StudentResult], marks: Marks, delimiter: str = ",") -> str:
    """``marks.csv``: a row for each exercise that waits for a human, then all other rows that a human has written."""
    worth = dict(zip(assignment.exercises, assignment.points, strict=True))
    waiting = [(result.student, one.exercise) for result in results for one in result.exercises if one.by_hand]
    failed = [
        (result.student, one.exercise)
        for result in results
        for one in result.exercises
        if not one.by_hand and one.points is None and not one.excused
    ]
    rows: list[tuple[object, ...]] = [COLUMNS]
    for key in dict.fromkeys([*waiting, *failed, *marks]):
        mark = marks.get(key, Mark())
        points = "" if mark.points is None else mark.points
        excused = "yes" if mark.excused else ""
        rows.append((*key, points, mark.bonus or "", excused, mark.comment, worth.get(key[1], "")))
    return to_csv(rows, delimiter)


def code_name(secret: bytes, student: str) -> str:
    """A name under which a student's answers are marked, which says nothing of the student."""
    return f"answer-{sha256(secret + b'|' + student.encode()).hexdigest()[:10]}"
