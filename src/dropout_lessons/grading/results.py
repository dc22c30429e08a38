"""What grading says of a student: plain data that is kept as JSON and that reports are made from."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

__all__ = ["ExerciseResult", "StudentResult", "load", "save"]


@dataclass(frozen=True)
class ExerciseResult:
    """Points for one exercise, and the reason for each that was lost.

    Attributes:
        exercise: Id.
        title: Title.
        points: Points earned; None while an answer waits to be marked by hand.
        out_of: Points to be earned.
        reasons: What cost points, in words.
        check: Call that repeats the check that found them; empty if there is none.
        answer: The written answer, for whoever marks it.
    """

    exercise: str
    title: str
    points: float | None
    out_of: float
    reasons: tuple[str, ...] = ()
    check: str = ""
    answer: str = ""


@dataclass(frozen=True)
class StudentResult:
    """All that grading says of one submission.

    Attributes:
        student: The student, as a file is named.
        name: The student's name in the export.
        file: The notebook that was graded.
        key: Fingerprint of submission, assignment and checks: the same key needs no grading again.
        exercises: The exercises, in order.
        ids: The student's numbers by platform.
        late: Whether the submission came late.
        remarks: What else there is to say, such as cells that raised errors.
        seconds: Time that the sandbox took.
    """

    student: str
    name: str
    file: str
    key: str
    exercises: tuple[ExerciseResult, ...]
    ids: dict[str, str] = field(default_factory=dict)
    late: bool = False
    remarks: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def points(self) -> float:
        """Points so far; what waits to be marked counts nothing."""
        return sum(result.points or 0.0 for result in self.exercises)

    @property
    def out_of(self) -> float:
        """Points to be earned."""
        return sum(result.out_of for result in self.exercises)

    @property
    def waits(self) -> bool:
        """Whether an answer waits to be marked by hand."""
        return any(result.points is None for result in self.exercises)

    def marked(self, marks: dict[tuple[str, str], tuple[float, str]]) -> StudentResult:
        """The same with marks given by hand, by (student, exercise): points and a comment."""
        exercises = []
        for result in self.exercises:
            if mark := marks.get((self.student, result.exercise)):
                result = replace(result, points=mark[0], reasons=(mark[1],) if mark[1] else ())
            exercises.append(result)
        return replace(self, exercises=tuple(exercises))


def save(result: StudentResult, path: Path) -> None:
    """Write a result aside, then rename it."""
    aside = path.with_name(f".{path.name}.new")
    aside.write_text(json.dumps(asdict(result), ensure_ascii=False, indent=1), encoding="utf-8")
    os.replace(aside, path)


def load(path: Path) -> StudentResult | None:
    """Read a result; None if there is none, or it is damaged and is to be made again."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        exercises = tuple(ExerciseResult(**{**row, "reasons": tuple(row["reasons"])}) for row in content["exercises"])
        return StudentResult(**{**content, "exercises": exercises, "remarks": tuple(content["remarks"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
