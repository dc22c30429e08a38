"""What grading hands back: feedback for each student, tables for Canvas and Gradescope, a sheet for marks by hand."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from dropout_lessons.grading.assignment import Assignment
from dropout_lessons.grading.results import StudentResult

__all__ = [
    "canvas_csv",
    "feedback_html",
    "feedback_markdown",
    "gradescope_csv",
    "gradescope_json",
    "read_marks",
    "write_all",
]

SHEET = ("student", "exercise", "points", "out_of", "comment")


def write_all(
    assignment: Assignment,
    results: Sequence[StudentResult],
    out: Path,
    *,
    marks: Path | None = None,
    gradebook: Path | None = None,
    remarks: Sequence[str] = (),
) -> list[StudentResult]:
    """Merge marks given by hand, and write all reports.

    ``out/marks.csv`` has a row for each written answer, with room for points and a comment. Filled in, it is merged the
    next time; what is filled in is never lost. ``out/answers`` has the answers to read.

    Args:
        assignment: What was handed out.
        results: What grading found.
        out: Folder of the reports.
        marks: Another sheet of marks to merge; by default the one in ``out``.
        gradebook: Canvas's own export of the grade book, to be filled in by ID.
        remarks: What an instructor should know.

    Returns:
        The results with the marks.

    Raises:
        ValueError: If a row of the sheet cannot be, or the grade book is none; nothing is merged or written then.
    """
    sheet = out / "marks.csv"
    given = read_marks(sheet, results) if sheet.exists() else {}
    if marks and marks.resolve() != sheet.resolve():
        given |= read_marks(marks, results)
    results = [result.marked(given) for result in results]
    files = {
        "grades.csv": _grades_csv(assignment, results),
        "canvas.csv": canvas_csv(assignment, results, gradebook),
        "gradescope.csv": gradescope_csv(assignment, results),
        "remarks.txt": "".join(f"{line}\n" for line in [*remarks, *_remarks(results)]),
    }
    by_hand = [(result, one) for result in results for one in result.exercises if one.answer]
    rows: list[Sequence[Any]] = [SHEET]
    answers: dict[str, list[str]] = {}
    for result, one in by_hand:
        points, comment = given.get((result.student, one.exercise), ("", ""))
        rows.append((result.student, one.exercise, points, one.out_of, comment))
        answers.setdefault(one.exercise, [f"# {one.exercise}: {one.title}\n"]).append(
            f"## {result.student}\n\n{_fenced(one.answer)}\n"
        )
    if by_hand:
        files["marks.csv"] = _csv(rows)
        files |= {f"answers/{exercise}.md": "\n".join(parts) for exercise, parts in answers.items()}
    for result in results:
        files[f"feedback/{result.student}.html"] = feedback_html(assignment, result)
        files[f"feedback/{result.student}.md"] = feedback_markdown(assignment, result)
    for name, text in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.new")
        aside.write_text(text, encoding="utf-8", newline="")
        os.replace(aside, path)
    return results


def read_marks(path: Path, results: Iterable[StudentResult]) -> dict[tuple[str, str], tuple[float, str]]:
    """Read a sheet of marks by (student, exercise): points and comment; rows without points are skipped.

    Raises:
        ValueError: If a row names nobody, an exercise that is not marked by hand, or points that cannot be.
    """
    allowed = {
        (result.student, one.exercise): one.out_of for result in results for one in result.exercises if one.answer
    }
    marks: dict[tuple[str, str], tuple[float, str]] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if not set(SHEET[:3]) <= set(reader.fieldnames or ()):
            raise ValueError(f"{path} must have the columns {', '.join(SHEET[:3])}, got {reader.fieldnames}")
        for number, row in enumerate(reader, 2):
            text = (row["points"] or "").strip()
            if not text:
                continue
            key = (row["student"] or "").lstrip("'"), row["exercise"] or ""
            if key not in allowed:
                raise ValueError(f"{path}, row {number}: there is no written answer of {key[0]!r} to {key[1]!r}")
            try:
                points = float(text)
            except ValueError:
                points = math.nan
            if not 0 <= points <= allowed[key]:
                raise ValueError(
                    f"{path}, row {number}: points must be a number from 0 to {allowed[key]:g}, got {text!r}"
                )
            marks[key] = points, (row.get("comment") or "").strip()
    return marks


def feedback_markdown(assignment: Assignment, result: StudentResult) -> str:
    """Feedback for a student in Markdown; what comes from the student's code is fenced."""
    lines = [f"# {assignment.title}: {result.points:g} of {result.out_of:g} points", ""]
    if result.waits:
        lines += ["Some answers are still to be marked by hand, and count nothing yet.", ""]
    for one in result.exercises:
        lines += [f"## {one.exercise}, {one.title}: {_earned(one.points, one.out_of)}", ""]
        for reason in one.reasons:
            lines += [_fenced(reason), ""]
        if one.check:
            lines += ["To repeat this check with the same numbers:", "", _fenced(one.check), ""]
    if result.remarks:
        lines += ["## Remarks", "", _fenced("\n".join(result.remarks)), ""]
    return "\n".join(lines)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 45rem; margin: 2rem auto; padding: 0 1rem; }}
section {{ border-left: 0.3rem solid #2a7f9e; padding-left: 1rem; margin: 1.5rem 0; }}
section.lost {{ border-color: #c2571a; }}
h1 {{ font-size: 1.5rem; }} h2 {{ font-size: 1.1rem; margin: 0; }}
p {{ margin: 0.4rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }}
pre {{ overflow-x: auto; padding: 0.5rem; border: 1px solid #8888; }}
</style></head><body>
<main>
<h1>{title}</h1>
<p><strong>{points:g} of {out_of:g} points</strong>{waits}</p>
{sections}
</main></body></html>
"""


def feedback_html(assignment: Assignment, result: StudentResult) -> str:
    """Feedback for a student as a page that needs nothing else; all text is escaped."""
    sections = []
    for one in result.exercises:
        lost = one.points is not None and one.points < one.out_of
        parts = [f"<h2>{escape(one.title[:1].upper() + one.title[1:])} <small>({one.exercise})</small></h2>"]
        parts.append(f"<p>{_earned(one.points, one.out_of)}</p>")
        parts += [f"<p>{escape(reason)}</p>" for reason in one.reasons]
        if one.check:
            parts.append(f"<p>To repeat this check with the same numbers:</p><pre>{escape(one.check)}</pre>")
        sections.append(f"<section{' class=lost' if lost else ''}>{''.join(parts)}</section>")
    if result.remarks:
        lines = "".join(f"<p>{escape(remark)}</p>" for remark in result.remarks)
        sections.append(f"<section><h2>Remarks</h2>{lines}</section>")
    return _PAGE.format(
        title=escape(assignment.title),
        points=result.points,
        out_of=result.out_of,
        waits="; some answers are still to be marked by hand" if result.waits else "",
        sections="\n".join(sections),
    )


def canvas_csv(assignment: Assignment, results: Sequence[StudentResult], gradebook: Path | None = None) -> str:
    """The table that Canvas imports: columns Student, ID, SIS User ID, SIS Login ID, Section, and the assignment.

    With Canvas's own export of the grade book its rows are filled in by ID; students without a submission stay as they are.
    """
    by_id = {result.ids["canvas"]: result for result in results if "canvas" in result.ids}
    if gradebook is None:
        rows: list[Sequence[Any]] = [("Student", "ID", "SIS User ID", "SIS Login ID", "Section", assignment.title)]
        rows.append(("    Points Possible", "", "", "", "", assignment.out_of))
        rows += [
            (result.name, result.ids.get("canvas", ""), "", result.ids.get("email", ""), "", _number(result))
            for result in results
        ]
        return _csv(rows)
    with gradebook.open(encoding="utf-8-sig", newline="") as file:
        table = list(csv.reader(file))
    if not table or table[0][:2] != ["Student", "ID"]:
        raise ValueError(
            f"gradebook must be Canvas's export, whose columns start with Student, ID; got {str(gradebook)!r}"
        )
    header = table[0]
    column = next(
        (
            number
            for number, name in enumerate(header)
            if name == assignment.title or name.startswith(f"{assignment.title} (")
        ),
        len(header),
    )
    if column == len(header):
        header.append(assignment.title)
    for row in table[1:]:
        row += [""] * (len(header) - len(row))
        if row[0].strip() == "Points Possible":
            row[column] = f"{assignment.out_of:g}"
        elif result := by_id.get(row[1].strip()):
            row[column] = str(_number(result))
    return _csv(table)


def gradescope_csv(assignment: Assignment, results: Sequence[StudentResult]) -> str:
    """A table with Gradescope's columns: name, SID, email, total, maximum, status, submission, and each question."""
    definitions = zip(assignment.definitions(), assignment.points, strict=True)
    questions = [f"{number}: {one.title} ({points:g} pts)" for number, (one, points) in enumerate(definitions, 1)]
    head = ["Name", "SID", "Email", "Total Score", "Max Points", "Status", "Submission ID", "Lateness", *questions]
    rows: list[Sequence[Any]] = [head]
    for result in results:
        ids = result.ids
        rows.append(
            [
                result.name,
                ids.get("sid", ""),
                ids.get("email", ""),
                _number(result),
                assignment.out_of,
                "Ungraded" if result.waits else "Graded",
                ids.get("gradescope", ""),
                "late" if result.late else "",
                *("" if one.points is None else one.points for one in result.exercises),
            ]
        )
    return _csv(rows)


def gradescope_json(assignment: Assignment, result: StudentResult) -> str:
    """``results.json`` for one submission, as Gradescope's autograder reads it."""
    tests = [
        {
            "name": f"{one.exercise}: {one.title}",
            "score": one.points or 0.0,
            "max_score": one.out_of,
            "output": "\n\n".join([*map(_fenced, one.reasons), *([_fenced(one.check)] if one.check else [])])
            or ("To be marked by hand." if one.points is None else "Right."),
            "output_format": "md",
            "visibility": "visible",
        }
        for one in result.exercises
    ]
    content = {
        "score": result.points,
        "output": _fenced("\n".join(result.remarks)) if result.remarks else assignment.title,
        "output_format": "md",
        "stdout_visibility": "hidden",
        "tests": tests,
    }
    return json.dumps(content, ensure_ascii=False, indent=1)


def _grades_csv(assignment: Assignment, results: Sequence[StudentResult]) -> str:
    head = ("student", "name", "points", "out_of", "to_be_marked", "late", "file", *assignment.exercises)
    rows: list[Sequence[Any]] = [head]
    for result in results:
        each = ("" if one.points is None else one.points for one in result.exercises)
        flags = ("yes" if result.waits else "", "yes" if result.late else "")
        rows.append((result.student, result.name, result.points, result.out_of, *flags, result.file, *each))
    return _csv(rows)


def _remarks(results: Iterable[StudentResult]) -> Iterable[str]:
    return (f"{result.student}: {remark}" for result in results for remark in result.remarks)


def _number(result: StudentResult) -> float | str:
    return "" if result.waits else result.points


def _earned(points: float | None, out_of: float) -> str:
    return f"to be marked by hand, out of {out_of:g}" if points is None else f"{points:g} of {out_of:g} points"


def _csv(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV; text that a spreadsheet would take for a formula gets a quote before it."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    for row in rows:
        writer.writerow(
            [f"'{cell}" if isinstance(cell, str) and cell[:1] in tuple("=+-@\t\r") and cell else cell for cell in row]
        )
    return buffer.getvalue()


def _fenced(text: str) -> str:
    """Text as a code block, whatever back quotes are in it."""
    longest = max((len(run) for run in "".join(c if c == "`" else " " for c in text).split()), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"
