"""Read a notebook that a student handed in, whatever state it is in; nothing of it is executed here.

What stands between the prompt of an exercise and the next prompt belongs to the exercise: text, code, figures.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dropout_lessons.exercises import Exercise, get
from dropout_lessons.exercises.notebook import ANSWER_HERE, KEY, marker
from dropout_lessons.grading.assignment import LAST_OF_OPENING, assigned
from dropout_lessons.grading.border import plain

LARGEST = 100 * 2**20  # bytes of a file
_MOST_CELLS, _LONGEST = 2000, 1_000_000  # cells, and characters of all code
_MOST_TEXT, _MOST_OUTPUT, _MOST_FIGURES, _MOST_IMAGES = 100_000, 2_000, 20, 10 * 2**20  # of an answer; bytes of all
_AGAIN = "Download it again (on Colab: File > Download > Download .ipynb) and hand in that file."
_IMAGES = ["png", "jpeg", "gif", "webp", "svg+xml"]
_INLINE = re.compile(r"data:image/(png|jpeg|gif|webp|svg\+xml);base64,([A-Za-z0-9+/=]+)")
_CHECK = re.compile(r"(?m)^(?:dropout_lessons\.)?exercises\.check\(.*$\n?")
_CHECKED = re.compile(
    r"""(?m)^(?:dropout_lessons\.)?exercises\.check\(\s*["']([\w-]{1,40})["'], *([^\W\d]\w{0,79}) *[,)]"""
)
_TERMINAL = re.compile(r"\x1b\[[0-9;]*m")


class UnreadableNotebook(ValueError):
    """A file that no code or text can be taken from; the message is for the student."""


@dataclass(frozen=True)
class CodeCell:
    """A cell to run, and the exercise that it stands under, if any."""

    code: str
    exercise: str | None = None


@dataclass(frozen=True)
class Part:
    """A piece of an answer, as whoever marks it sees it.

    Attributes:
        kind: ``"text"``, ``"code"``, ``"output"`` or ``"figure"``.
        content: The text, or a figure as ``image/png;base64,...``.
    """

    kind: str
    content: str


@dataclass(frozen=True)
class Notebook:
    """What grading needs of a notebook.

    Attributes:
        code: The code cells, in order, without the calls that check answers.
        answers: By exercise, what stands under its prompt; exercises under which nothing was added are not there.
        texts: All text of the student's own, wherever it stands.
        checked: By exercise, the name that the student's own call of the check has.
    """

    code: tuple[CodeCell, ...]
    answers: dict[str, tuple[Part, ...]] = field(default_factory=dict)
    texts: tuple[Part, ...] = ()
    checked: dict[str, str] = field(default_factory=dict)


def read(data: bytes, exercises: Iterable[str] = (), variant: int = 0) -> Notebook:
    """Read the bytes of an ``.ipynb`` file.

    A prompt is known by its cell's metadata or, where an editor has dropped these, by its heading or by the line
    ``**Answer to ID**`` under it. An untouched template is no answer. What was written into a prompt's own cell is one.

    Args:
        data: Content of the file.
        exercises: Ids of the exercises that were handed out.
        variant: Variant of their constants.

    Raises:
        UnreadableNotebook: If this is no notebook, or one for another language; the message says what to do.

    Example:
        >>> read(b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": ["x = 1"]}]}').code
        (CodeCell(code='x = 1', exercise=None),)
    """
    found = _cells(_parse(data))
    code: list[CodeCell] = []
    answers: dict[str, list[Part]] = {}
    texts: list[Part] = []
    checked: dict[str, str] = {}
    prompts = [_Prompt(get(exercise), variant) for exercise in exercises]
    current: _Prompt | None = None
    images = _MOST_IMAGES
    for cell in found:
        text = _text(cell.get("source", cell.get("input")))
        place, role = _place(cell, text, prompts)
        if place or role in ("opening", "set-up"):
            current = place
        is_code = cell.get("cell_type") == "code"
        if is_code:
            checked.update(_CHECKED.findall(text))
            text = _CHECK.sub("", text)
            if text.strip():
                code.append(CodeCell(text, current.exercise.id if current else None))
        added = current.added(text, role) if current else "" if is_code else _before_all(text, role)
        parts = list(_parts(cell, added)) if current or added else []
        if not is_code and sum(len(one.content) for one in texts) <= _MOST_TEXT:
            texts += [part for part in parts if part.kind == "text"]
        if current is None:
            continue
        for part in parts:
            mine = answers.setdefault(current.exercise.id, [])
            if part.kind == "figure":
                images -= len(part.content)
                if images < 0 or sum(one.kind == "figure" for one in mine) == _MOST_FIGURES:
                    continue
            elif sum(len(one.content) for one in mine if one.kind != "figure") > _MOST_TEXT:
                continue
            mine.append(part)
    if sum(len(cell.code) for cell in code) > _LONGEST:
        raise UnreadableNotebook(f"The code of this notebook has more than {_LONGEST:,} characters.")
    kept = {exercise: tuple(parts) for exercise, parts in answers.items() if parts}
    return Notebook(tuple(code), kept, tuple(texts), checked)


def read_file(path: Path, exercises: Iterable[str] = (), variant: int = 0) -> Notebook:
    """Read a file with ``read``; no more of it than may be graded."""
    with path.open("rb") as file:
        return read(file.read(LARGEST + 1), exercises, variant)


class _Prompt:
    """An exercise as it was handed out: what of a cell is the exercise's, and what the student's."""

    def __init__(self, exercise: Exercise, variant: int) -> None:
        self.exercise = exercise
        title = re.escape(exercise.title)
        self.heading = re.compile(rf"#+\s*(\d+\.\s*)?({re.escape(exercise.id)}:?\s*)?{title}\s*", re.IGNORECASE)
        self.lines: set[str] = set()
        for form in (cell for hints in (True, False) for cell in assigned(exercise, variant, heading="", hints=hints)):
            self.lines.update(line.strip() for line in form.source.splitlines())
        self.lines |= {marker(exercise.id), ANSWER_HERE, ""}

    def added(self, text: str, role: object) -> str:
        """What the student has written into a cell."""
        if role == "prompt":
            kept = [line for line in text.splitlines() if line.strip() not in self.lines and not self._is_head(line)]
            return "\n".join(kept).strip()
        if all(line.strip() in self.lines for line in text.splitlines()):
            return ""
        return text.replace(marker(self.exercise.id), "").replace(ANSWER_HERE, "").strip()

    def _is_head(self, line: str) -> bool:
        return bool(self.heading.fullmatch(line.strip())) or line.startswith(f"*{self.exercise.level}, ")


def _before_all(text: str, role: object) -> str:
    """What the student has written under no exercise, in a cell that was not handed out or below what was."""
    if LAST_OF_OPENING in text:
        return text.partition(LAST_OF_OPENING)[2].strip()
    return "" if role in ("opening", "set-up") else text.strip()


def _place(cell: dict[str, Any], text: str, prompts: list[_Prompt]) -> tuple[_Prompt | None, object]:
    """The exercise that a cell names, and the cell's role."""
    exercise, role = _named(cell)
    first = text.lstrip().split("\n", 1)[0].strip()
    for prompt in prompts:
        if prompt.exercise.id == exercise:
            return prompt, role
    if cell.get("cell_type") != "code":
        for prompt in prompts:
            if first == marker(prompt.exercise.id):
                return prompt, "answer"
            if prompt.heading.fullmatch(first):
                return prompt, "prompt"
    return None, role


def _parts(cell: dict[str, Any], text: str) -> Iterator[Part]:
    is_code = cell.get("cell_type") == "code"
    figures = [f"image/{kind};base64,{data}" for kind, data in _INLINE.findall(text)]
    text = _INLINE.sub("figure", text)
    if text.strip():
        yield Part("code" if is_code else "text", plain(text, _MOST_TEXT, lines=True))
    attached = cell.get("attachments")
    bundles = list(attached.values()) if isinstance(attached, dict) else []
    outputs = cell.get("outputs")
    for output in outputs if is_code and text.strip() and isinstance(outputs, list) else ():
        if isinstance(output, dict):
            bundles.append(output.get("data") or {"text/plain": output.get("text")})
    for bundle in bundles:
        image = next((kind for kind in _IMAGES if isinstance(bundle, dict) and f"image/{kind}" in bundle), None)
        if image:
            content = _text(bundle[f"image/{image}"])
            if image == "svg+xml":
                content = base64.b64encode(content.encode()).decode()
            figures.append(f"image/{image};base64,{''.join(content.split())}")
        elif isinstance(bundle, dict) and (said := _TERMINAL.sub("", _text(bundle.get("text/plain"))).strip()):
            yield Part("output", plain(said, _MOST_OUTPUT, lines=True))
    for figure in figures:
        if re.fullmatch(r"image/[a-z+]+;base64,[A-Za-z0-9+/]+=*", figure):
            yield Part("figure", figure)


def _parse(data: bytes) -> dict[str, Any]:
    if not data.strip():
        raise UnreadableNotebook(f"This file is empty. {_AGAIN}")
    if len(data) > LARGEST:
        raise UnreadableNotebook(
            f"This file has {len(data) / 2**20:.0f} MB; {LARGEST // 2**20} are the most. Clear its outputs and hand it in again."
        )
    try:
        content = json.loads(data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UnreadableNotebook(f"This file is damaged or no notebook ({plain(error, 100)}). {_AGAIN}") from None
    if not isinstance(content, dict):
        raise UnreadableNotebook(f"This file is no notebook. {_AGAIN}")
    return content


def _cells(content: dict[str, Any]) -> list[dict[str, Any]]:
    found = content.get("cells")
    if found is None and isinstance(content.get("worksheets"), list):  # nbformat 3
        sheets = [sheet.get("cells") for sheet in content["worksheets"] if isinstance(sheet, dict)]
        found = [cell for sheet in sheets if isinstance(sheet, list) for cell in sheet]
    if not isinstance(found, list):
        raise UnreadableNotebook(f"This file has no cells, so it is no notebook. {_AGAIN}")
    if len(found) > _MOST_CELLS:
        raise UnreadableNotebook(
            f"This notebook has {len(found):,} cells; {_MOST_CELLS:,} are the most that are graded."
        )
    language = _language(content.get("metadata"))
    if language not in (None, "python"):
        raise UnreadableNotebook(f"This notebook is for {language}, and the exercises are for Python.")
    return [cell for cell in found if isinstance(cell, dict)]


def _language(metadata: Any) -> str | None:
    for part, name in (("kernelspec", "language"), ("language_info", "name")):
        found = metadata.get(part) if isinstance(metadata, dict) else None
        if isinstance(found, dict) and isinstance(found.get(name), str):
            return plain(found[name], 50).lower()
    return None


def _named(cell: dict[str, Any]) -> tuple[Any, Any]:
    metadata = cell.get("metadata")
    ours = metadata.get(KEY) if isinstance(metadata, dict) else None
    return (ours.get("exercise"), ours.get("role")) if isinstance(ours, dict) else (None, None)


def _text(source: Any) -> str:
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    return source.encode("utf-8", "replace").decode("utf-8") if isinstance(source, str) else ""
