"""The marking sheet: one static page with all answers, without names, the rubric as boxes, and a button that saves the marks."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files
from pathlib import Path

from dropout_lessons.grading.assignment import Assignment
from dropout_lessons.grading.marks import Mark, Marks, code_name
from dropout_lessons.grading.notebooks import Part
from dropout_lessons.grading.results import ExerciseResult, StudentResult
from dropout_lessons.grading.solutions import answers

_NO_RUBRIC = "None was found: <code>grade --rubrics FOLDER</code> says where rubrics are."
Criterion = tuple[float, str]  # points, and what earns them

_STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 0 1rem 6rem; }
article { border: 1px solid #8888; border-radius: 0.3rem; padding: 0 1rem 1rem; margin: 1rem 0; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 3rem; } h3 { font-size: 1rem; }
pre { overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; padding: 0.5rem; border-left: 0.2rem solid #8888; }
pre.code { border-color: #2a7f9e; } img { max-width: 100%; background: #fff; }
label { display: block; margin: 0.4rem 0; } textarea { width: 100%; min-height: 3rem; font: inherit; }
fieldset { border: 0; padding: 0; }
footer { position: fixed; inset: auto 0 0; padding: 0.7rem 1rem; background: Canvas; border-top: 1px solid #8888; }
"""


def rubrics(folder: Path, assignment: Assignment) -> dict[str, list[Criterion]]:
    """The rubrics of an assignment's exercises, from a folder like ``instructor/``; those that are not there have none."""
    found: dict[str, list[Criterion]] = {}
    for exercise in assignment.exercises:
        path = folder / f"{exercise}.md"
        if path.is_file():
            texts = [answer.text for answer in answers(path) if answer.kind == "rubric"]
            rows = re.findall(r"(?m)^\|\s*(\d+(?:\.\d+)?)\s*\|\s*(.+?)\s*\|\s*$", "\n".join(texts))
            found[exercise] = [(float(points), what) for points, what in rows]
    return found


def marking_page(
    assignment: Assignment,
    results: Sequence[StudentResult],
    marks: Marks,
    criteria: Mapping[str, Sequence[Criterion]],
    secret: bytes,
) -> str:
    """The page, with the marks that were given before and the rubrics by exercise.

    It needs no server, asks for nothing, and runs no script but its own. The names and the order of answers depend on a
    secret.
    """
    script = files("dropout_lessons.grading").joinpath("marking.js").read_text(encoding="utf-8")
    allowed = base64.b64encode(sha256(script.encode()).digest()).decode()
    body = "\n".join(_sections(assignment, results, marks, criteria, secret))
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'"
    key = sha256(secret + assignment.title.encode()).hexdigest()[:16]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Marking: {escape(assignment.title)}</title>\n<style>{_STYLE}</style></head>\n"
        f'<body data-key="marks-{key}"><main>\n<h1>Marking: {escape(assignment.title)}</h1>\n'
        "<p>Answers stand in an order that says nothing of who wrote them. What you enter is kept in this browser; save it, "
        "and give the file to <code>grade --marks</code>.</p>\n"
        f'{body}\n</main>\n<footer><button type="button">Save marking.csv</button> <output></output></footer>\n'
        f"<script>{script}</script>\n</body></html>\n"
    )


def _sections(
    assignment: Assignment,
    results: Sequence[StudentResult],
    marks: Marks,
    criteria: Mapping[str, Sequence[Criterion]],
    secret: bytes,
) -> Iterator[str]:
    for one in assignment.definitions():
        mine = [
            (code_name(secret, result.student), row, marks.get((result.student, one.id), Mark()))
            for result in results
            for row in result.exercises
            if row.exercise == one.id and (row.by_hand or row.points is None) and not row.excused
        ]
        if mine:
            yield f"<h2>{escape(one.title)} <small>({escape(one.id)})</small></h2>"
            prompt = escape(one.fill(one.prompt.strip(), assignment.variant))
            yield f"<details><summary>The prompt</summary><pre>{prompt}</pre></details>"
            mine.sort(key=lambda found: sha256(f"{one.id}|{found[0]}".encode()).hexdigest())
            for number, (name, row, mark) in enumerate(mine, 1):
                yield _answer(number, name, row, mark, criteria.get(one.id, ()))


def _answer(number: int, name: str, row: ExerciseResult, mark: Mark, criteria: Sequence[Criterion]) -> str:
    said = [f"<p><em>{escape(reason)}</em></p>" for reason in row.reasons if reason != mark.comment]
    nothing = "" if said else "<p><em>Nothing was found under this exercise.</em></p>"
    parts = "\n".join([*said, *map(_part, row.answer)]) or nothing
    ticks = "".join(
        f'<label><input type="checkbox" value="{points:g}"> {points:g}: {escape(what)}</label>'
        for points, what in criteria
    )
    points = "" if mark.points is None else f"{mark.points:g}"
    return (
        f'<article id="{row.exercise}-{name}" data-student="{name}" data-exercise="{row.exercise}">\n'
        f"<h3>Answer {number}</h3>\n{parts}\n"
        f"<fieldset><legend>Rubric</legend>{ticks or _NO_RUBRIC}</fieldset>\n"
        f'<label>Points, out of {row.out_of:g} <input name="points" type="number" min="0" max="{row.out_of:g}" step="any" '
        f'value="{points}"></label>\n'
        f'<label>Comment, for the student <textarea name="comment">{escape(mark.comment)}</textarea></label>\n</article>'
    )


def _part(part: Part) -> str:
    if part.kind == "figure":
        return f'<img src="data:{escape(part.content)}" alt="A figure of the answer">'
    return f'<pre class="{part.kind}">{escape(part.content)}</pre>'
