"""Read what ``instructor/`` holds for an exercise: cells of code, or sections of prose."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_HEADING = {".py": r"^# %% ?(.*)\n", ".md": r"^# (.*)\n"}


@dataclass(frozen=True)
class Answer:
    """One part of an instructor's file.

    Attributes:
        exercise: Id of the exercise.
        kind: ``"reference"``, ``"correct"``, ``"wrong"`` or ``"rubric"``.
        title: What its heading says of it.
        text: Code, or Markdown.
        diagnosis: Of a wrong answer to a coded exercise, the code of the problem that a check should find.
    """

    exercise: str
    kind: str
    title: str
    text: str
    diagnosis: str | None = None

    @property
    def is_solution(self) -> bool:
        """Whether it gives the exercise away: what is wrong does not."""
        return self.kind != "wrong"


def answers(path: Path) -> list[Answer]:
    """The answers in one file, in its order.

    A coded exercise has ``# %% reference``, ``# %% correct: words`` and ``# %% wrong: diagnosis: words``; a written
    one ``# Reference``, ``# Correct: words``, ``# Wrong: words`` and ``# Rubric``.

    Raises:
        ValueError: If a heading is none of these, or the reference does not come first.
    """
    parts = re.split(_HEADING[path.suffix], path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = []
    for heading, text in zip(parts[1::2], parts[2::2], strict=True):
        kind, _, title = (part.strip() for part in heading.partition(":"))
        kind, diagnosis = kind.lower(), None
        if kind == "wrong" and path.suffix == ".py":
            diagnosis, _, title = (part.strip() for part in title.partition(":"))
        if kind not in ("reference", "correct", "wrong", "rubric") or (kind in ("correct", "wrong") and not title):
            raise ValueError(
                f"heading in {path.name} must be reference, correct: words, wrong: [diagnosis:] words or rubric, "
                f"got {heading!r}"
            )
        found.append(Answer(path.stem, kind, title or kind, text, diagnosis))
    if not found or found[0].kind != "reference":
        raise ValueError(
            f"{path.name} must begin with its reference, got {found[0].title if found else 'no heading'!r}"
        )
    return found
