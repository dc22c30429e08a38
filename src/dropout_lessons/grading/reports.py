"""Write all that grading hands back: tables, feedback, and the sheets for marks by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dropout_lessons.grading.assignment import Assignment
from dropout_lessons.grading.feedback import feedback_archives, feedback_html, feedback_markdown
from dropout_lessons.grading.marking import marking_page, rubrics
from dropout_lessons.grading.marks import EVERYBODY, Marks, code_name, marked, merged, read_marks, sheet, unknown
from dropout_lessons.grading.results import StudentResult, belongs, load
from dropout_lessons.grading.similar import similar
from dropout_lessons.grading.statistics import items_page
from dropout_lessons.grading.tables import canvas_csv, filled_in, grades_csv, gradescope_csv, read_table
from dropout_lessons.runtime import replacing


@dataclass(frozen=True)
class Given:
    """What an instructor gives beside the submissions.

    Attributes:
        marks: A sheet of marks, such as the one that ``marking.html`` saves, beside ``marks.csv`` in the results.
        gradebook: Canvas's export of its grade book, or Moodle's grading worksheet, to be filled in.
        rubrics: Folder with rubrics, like ``instructor/``.
    """

    marks: Path | None = None
    gradebook: Path | None = None
    rubrics: Path | None = None


def write_all(
    assignment: Assignment,
    results: Sequence[StudentResult],
    out: Path,
    given: Given | None = None,
    remarks: Sequence[str] = (),
    tell: Callable[[str], object] = lambda line: None,
) -> list[StudentResult]:
    """Merge what a human says, and write all reports.

    ``out/marks.csv`` has a row for each answer that waits for a human, and takes one for any other exercise. Filled in, it
    is merged the next time; what is filled in is never lost.

    Args:
        assignment: What was handed out.
        results: What grading found.
        out: Folder of the reports.
        given: What an instructor gives beside the submissions.
        remarks: What an instructor should know.
        tell: Called with each line that an instructor should see at once, such as ``print``.

    Returns:
        The results with the marks.

    Raises:
        ValueError: If a row of the sheet cannot be, or the grade book is none; nothing is merged or written then.
    """
    given = given or Given()
    marks, delimiter, replaced = _marks(assignment, results, out, given.marks)
    results = [marked(assignment, result, marks) for result in results]
    said = [*remarks, *(f"{result.student}: {line}" for result in results for line in result.remarks)]
    said += similar(assignment, results)
    said += [f"{result.student}: {result.problem}" for result in results if result.problem]
    nobody = unknown(results, marks)
    there = {result.student for result in results}
    before = sorted(path.stem for path in (out / "results").glob("*.json") if path.stem not in there)
    files: dict[str, str | bytes] = {
        "grades.csv": "\ufeff" + grades_csv(assignment, results),
        "canvas.csv": canvas_csv(assignment, results),
        "statistics.html": items_page(assignment, results),
        "gradescope.csv": gradescope_csv(assignment, results),
        "remarks.txt": "".join(f"{line}\n" for line in [*said, *nobody]),
        "marks.csv": "\ufeff" + sheet(assignment, results, marks, delimiter),
    }
    if any(one.by_hand or one.points is None for result in results for one in result.exercises):
        criteria = rubrics(given.rubrics, assignment) if given.rubrics else {}
        files["marking.html"] = marking_page(assignment, results, marks, criteria, secret_of(out))
    if given.gradebook:
        name, text = filled_in(assignment, results, given.gradebook)
        files[name] = text
        empty = ", without points for those who wait for marks" * any(result.waits for result in results)
        tell(f"{given.gradebook} is filled in as {out / name}{empty}: upload that")
    pages = {result.student: feedback_html(assignment, result) for result in results}
    for result in results:
        files[f"feedback/{result.student}.html"] = pages[result.student]
        files[f"feedback/{result.student}.md"] = feedback_markdown(assignment, result)
    files |= feedback_archives(results, pages)
    if before:
        more = ", ..." if len(before) > 10 else ""
        are = "student graded before is" if len(before) == 1 else "students graded before are"
        tell(
            f"warning: {len(before)} {are} not in this export, nor in the tables now: {', '.join(before[:10])}{more}; "
            "give the whole new export"
        )
    for line in nobody:
        tell(f"warning: {line}")
    if replaced:
        tell(f"{len(replaced)} mark{'s' * (len(replaced) > 1)} replaced by {given.marks}:")
    for line in replaced:
        tell(f"  {line}")
    for name, content in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as aside:
            aside.write_bytes(content if isinstance(content, bytes) else content.encode())
    return results


def read_all(assignment: Assignment, out: Path) -> list[StudentResult]:
    """The results that ``write_all`` has reported last, with the marks as they are now.

    Raises:
        ValueError: If nothing was graded into the folder, or another assignment was.
    """
    belongs(out, assignment)
    if not (out / "grades.csv").is_file():
        raise ValueError(f"--out must be a folder that `grade` has filled, got {str(out)!r}; run `grade` first")
    students = [row["student"].removeprefix("'") for row in read_table(out / "grades.csv").dicts()]
    found = [load(out / "results" / f"{student}.json") for student in students]
    results = [result for result in found if result]
    marks, *_ = _marks(assignment, results, out, None)
    return [marked(assignment, result, marks) for result in results]


def secret_of(out: Path) -> bytes:
    """What seeds and anonymous names depend on; the first grading makes it."""
    path = out / ".secret"
    return path.read_bytes() if path.exists() else b""


def _marks(
    assignment: Assignment, results: Sequence[StudentResult], out: Path, other: Path | None
) -> tuple[Marks, str, list[str]]:
    """What is in ``marks.csv`` and in another sheet, what stands between the cells of the first, and what it loses."""
    names = {code_name(secret_of(out), result.student): result.student for result in results} | _also(results)
    own = out / "marks.csv"
    marks: Marks = read_marks(own, assignment, names) if own.exists() else {}
    delimiter = read_table(own).delimiter if own.exists() else ","
    replaced: list[str] = []
    if other and other.resolve() != own.resolve():
        marks, replaced = merged(marks, read_marks(other, assignment, names))
    return marks, delimiter, replaced


def _also(results: Sequence[StudentResult]) -> dict[str, str]:
    """Students by what else they are called, in the export or by a platform, where that names only one."""
    called: dict[str, set[str]] = {}
    for result in results:
        numbers = (result.ids.get(name, "") for name in ("canvas", "gradescope", "moodle", "sid", "email"))
        for name in filter(None, (result.name, *numbers)):
            called.setdefault(name, set()).add(result.student)
    taken = {result.student for result in results} | {EVERYBODY}
    return {name: min(who) for name, who in called.items() if len(who) == 1 and name not in taken}
