"""Read a notebook that a student handed in, whatever state it is in; nothing of it is executed here."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dropout_lessons.exercises.notebook import ANSWER_HERE, KEY, marker

__all__ = ["LARGEST", "Notebook", "UnreadableNotebook", "read"]

LARGEST = 100 * 2**20  # bytes of a file
_MOST_CELLS, _LONGEST = 2000, 1_000_000  # cells, and characters of all code
_AGAIN = "Download it again (on Colab: File > Download > Download .ipynb) and hand in that file."


class UnreadableNotebook(ValueError):
    """A file that no code or text can be taken from; the message is for the student."""


@dataclass(frozen=True)
class Notebook:
    """What grading needs of a notebook.

    Attributes:
        code: Source of the code cells, in order, without the cells that check answers.
        written: Written answers by exercise id, where there are any.
    """

    code: tuple[str, ...]
    written: dict[str, str]


def read(data: bytes, exercises: Iterable[str] = ()) -> Notebook:
    """Read the bytes of an ``.ipynb`` file; outputs are ignored, however large.

    Written answers are found by the metadata of their cells or, where an editor has dropped these, by the line
    ``**Answer to ID**`` that they start with. An untouched template is no answer.

    Args:
        data: Content of the file.
        exercises: Ids whose written answers are looked for.

    Raises:
        UnreadableNotebook: If this is no notebook, or one for another language; the message says what to do.

    Example:
        >>> read(b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": ["x = 1"]}]}').code
        ('x = 1',)
    """
    content = _parse(data)
    cells = content.get("cells")
    if cells is None and isinstance(content.get("worksheets"), list):  # nbformat 3
        cells = [cell for sheet in content["worksheets"] if isinstance(sheet, dict) for cell in sheet.get("cells", [])]
    if not isinstance(cells, list):
        raise UnreadableNotebook(f"This file has no cells, so it is no notebook. {_AGAIN}")
    if len(cells) > _MOST_CELLS:
        raise UnreadableNotebook(
            f"This notebook has {len(cells):,} cells; {_MOST_CELLS:,} are the most that are graded."
        )
    language = _language(content.get("metadata"))
    if language not in (None, "python"):
        raise UnreadableNotebook(f"This notebook is for {language}, and the exercises are for Python.")
    code: list[str] = []
    written: dict[str, list[str]] = {}
    ids = list(exercises)
    for cell in cells:
        if not isinstance(cell, dict):
            continue
        text = _text(cell.get("source", cell.get("input")))
        exercise, role = _named(cell)
        if cell.get("cell_type") == "code":
            if role != "check" and text.strip():
                code.append(text)
        elif cell.get("cell_type") == "markdown":
            first = text.lstrip().split("\n", 1)[0].strip()
            for wanted in ids:
                if (exercise == wanted and role == "answer") or first == marker(wanted):
                    answer = text.replace(marker(wanted), "").replace(ANSWER_HERE, "").strip()
                    written.setdefault(wanted, []).extend([answer] if answer else [])
    if sum(map(len, code)) > _LONGEST:
        raise UnreadableNotebook(f"The code of this notebook has more than {_LONGEST:,} characters.")
    return Notebook(tuple(code), {key: "\n\n".join(parts) for key, parts in written.items() if parts})


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
        raise UnreadableNotebook(f"This file is damaged or no notebook ({str(error)[:100]}). {_AGAIN}") from None
    if not isinstance(content, dict):
        raise UnreadableNotebook(f"This file is no notebook. {_AGAIN}")
    return content


def _language(metadata: Any) -> str | None:
    for part, name in (("kernelspec", "language"), ("language_info", "name")):
        found = metadata.get(part) if isinstance(metadata, dict) else None
        if isinstance(found, dict) and isinstance(found.get(name), str):
            return str(found[name])[:50].lower()
    return None


def _named(cell: dict[str, Any]) -> tuple[Any, Any]:
    metadata = cell.get("metadata")
    ours = metadata.get(KEY) if isinstance(metadata, dict) else None
    return (ours.get("exercise"), ours.get("role")) if isinstance(ours, dict) else (None, None)


def _text(source: Any) -> str:
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    return source.encode("utf-8", "replace").decode("utf-8") if isinstance(source, str) else ""
