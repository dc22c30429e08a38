"""What a student gets back: a page with points and reasons, in HTML and Markdown, and Gradescope's form of it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import PurePosixPath

from dropout_lessons.grading.assignment import Assignment
from dropout_lessons.grading.pages import page
from dropout_lessons.grading.results import ExerciseResult, StudentResult


def feedback_markdown(assignment: Assignment, result: StudentResult) -> str:
    """Feedback for a student in Markdown; what comes from the student's code is fenced."""
    lines = [f"# {assignment.title}: {result.points:g} of {result.out_of:g} points", ""]
    if result.waits:
        lines += ["Some answers are still to be marked by hand, and count nothing yet.", ""]
    if result.penalty:
        lines += [_late(result), ""]
    for one in result.exercises:
        lines += [f"## {one.exercise}, {one.title}: {_earned(one)}", ""]
        for reason in one.reasons:
            lines += [_fenced(reason), ""]
        if one.check:
            lines += ["To repeat this check with the same numbers:", "", _fenced(one.check), ""]
    if result.remarks:
        lines += ["## Remarks", "", _fenced("\n".join(result.remarks)), ""]
    return "\n".join(lines)


_STYLE = """
section { border-left: 0.3rem solid #2a7f9e; padding-left: 1rem; margin: 1.5rem 0; }
section.lost { border-color: #c2571a; }
p { margin: 0.4rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
pre { overflow-x: auto; padding: 0.5rem; border: 1px solid #8888; }
"""


def feedback_html(assignment: Assignment, result: StudentResult) -> str:
    """Feedback for a student as a page that needs nothing else; all text is escaped."""
    sections = []
    for one in result.exercises:
        lost = one.points is not None and one.points < one.out_of
        parts = [f"<h2>{escape(one.title[:1].upper() + one.title[1:])} <small>({one.exercise})</small></h2>"]
        parts.append(f"<p>{_earned(one)}</p>")
        parts += [f"<p>{escape(reason)}</p>" for reason in one.reasons]
        if one.check:
            parts.append(f"<p>To repeat this check with the same numbers:</p><pre>{escape(one.check)}</pre>")
        sections.append(f"<section{' class=lost' if lost else ''}>{''.join(parts)}</section>")
    if result.penalty:
        sections.append(f"<section class=lost><h2>{escape(_late(result))}</h2></section>")
    if result.remarks:
        lines = "".join(f"<p>{escape(remark)}</p>" for remark in result.remarks)
        sections.append(f"<section><h2>Remarks</h2>{lines}</section>")
    waits = "; some answers are still to be marked by hand" if result.waits else ""
    total = f"<p><strong>{result.points:g} of {result.out_of:g} points</strong>{waits}</p>"
    return page(escape(assignment.title), _STYLE, total, *sections)


def gradescope_json(assignment: Assignment, result: StudentResult) -> str:
    """``results.json`` for one submission, as Gradescope's autograder reads it."""
    tests = [
        {
            "name": f"{one.exercise}: {one.title}",
            "score": 0.0 if one.excused else (one.points or 0.0) + one.bonus,
            "max_score": 0.0 if one.excused else one.out_of,
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


def feedback_archives(results: Sequence[StudentResult], pages: Mapping[str, str]) -> dict[str, bytes]:
    """Zips of the students' pages to upload, named as Canvas and Moodle want them: after what they had exported."""
    found: dict[str, bytes] = {}
    for platform in ("canvas", "moodle"):
        mine = [result for result in results if platform in result.ids and "place" in result.ids]
        if not mine:
            continue
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for result in mine:
                place = PurePosixPath(result.ids["place"])
                if platform == "moodle":
                    name = f"{str(place).partition('_assignsubmission_')[0]}_assignsubmission_file_/feedback.html"
                else:
                    name = str(place.with_suffix(".html"))
                archive.writestr(zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0)), pages[result.student])
        found[f"feedback-{platform}.zip"] = buffer.getvalue()
    return found


def _earned(result: ExerciseResult) -> str:
    if result.excused:
        return "excused, counts neither way"
    bonus = f" and {result.bonus:+g}" if result.bonus else ""
    if result.points is None:
        return f"to be marked by hand, out of {result.out_of:g}{bonus}"
    return f"{result.points:g} of {result.out_of:g} points{bonus}"


def _late(result: StudentResult) -> str:
    days = f"{result.late} day{'' if result.late == 1 else 's'} late" if result.late else "by hand"
    return f"{'Lost' if result.penalty > 0 else 'Gained'} for the time of handing in: {abs(result.penalty):g} points ({days})."


def _fenced(text: str) -> str:
    """Text as a code block, whatever back quotes are in it."""
    longest = max((len(run) for run in "".join(c if c == "`" else " " for c in text).split()), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"
