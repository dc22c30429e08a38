"""Write all that grading hands back: tables, feedback, and the sheets for marks by hand."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from dropout_lessons.grading.assignment import Assignment
from dropout_lessons.grading.feedback import feedback_archives, feedback_html, feedback_markdown
from dropout_lessons.grading.marks import Marks, code_name, marked, read_marks, sheet, unknown
from dropout_lessons.grading.results import StudentResult
from dropout_lessons.grading.tables import canvas_csv, filled_in, grades_csv, gradescope_csv, read_table

__all__ = ["write_all"]


def write_all(
    assignment: Assignment,
    results: Sequence[StudentResult],
    out: Path,
    *,
    marks: Path | None = None,
    gradebook: Path | None = None,
    remarks: Sequence[str] = (),
) -> list[StudentResult]:
    """Merge what a human says, and write all reports.

    ``out/marks.csv`` has a row for each answer that waits for a human, and takes one for any other exercise. Filled in, it
    is merged the next time; what is filled in is never lost.

    Args:
        assignment: What was handed out.
        results: What grading found.
        out: Folder of the reports.
        marks: Another sheet of marks to merge, such as the one that ``out/marking.html`` saves.
        gradebook: Canvas's export of its grade book, or Moodle's grading worksheet, to be filled in.
        remarks: What an instructor should know.

    Returns:
        The results with the marks.

    Raises:
        ValueError: If a row of the sheet cannot be, or the grade book is none; nothing is merged or written then.
    """
    secret = (out / ".secret").read_bytes() if (out / ".secret").exists() else b""
    names = {code_name(secret, result.student): result.student for result in results}
    own = out / "marks.csv"
    given: Marks = read_marks(own, assignment, names) if own.exists() else {}
    delimiter = read_table(own).delimiter if own.exists() else ","
    if marks and marks.resolve() != own.resolve():
        given |= read_marks(marks, assignment, names)
    results = [marked(assignment, result, given) for result in results]
    said = [*remarks, *(f"{result.student}: {line}" for result in results for line in result.remarks)]
    said += [f"{result.student}: {result.exercises[0].reasons[0]}" for result in results if not result.file]
    files: dict[str, str | bytes] = {
        "grades.csv": grades_csv(assignment, results),
        "canvas.csv": canvas_csv(assignment, results),
        "gradescope.csv": gradescope_csv(assignment, results),
        "remarks.txt": "".join(f"{line}\n" for line in [*said, *unknown(results, given)]),
        "marks.csv": "\ufeff" + sheet(assignment, results, given, delimiter),
    }
    if gradebook:
        name, text = filled_in(assignment, results, gradebook)
        files[name] = text
    pages = {result.student: feedback_html(assignment, result) for result in results}
    for result in results:
        files[f"feedback/{result.student}.html"] = pages[result.student]
        files[f"feedback/{result.student}.md"] = feedback_markdown(assignment, result)
    files |= feedback_archives(results, pages)
    for name, content in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.new")
        aside.write_bytes(content if isinstance(content, bytes) else content.encode())
        os.replace(aside, path)
    return results
