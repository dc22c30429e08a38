"""What grading says of a student: plain data that is kept as JSON and that reports are made from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dropout_lessons.grading.assignment import Assignment
from dropout_lessons.grading.notebooks import Part
from dropout_lessons.runtime import replacing


@dataclass(frozen=True)
class ExerciseResult:
    """Points for one exercise, and the reason for each that was lost.

    Attributes:
        exercise: Id.
        title: Title.
        points: Points earned; None while the exercise waits for a human.
        out_of: Points to be earned.
        reasons: What cost points, in words, and what a human says of it.
        check: Call that repeats the check that found them; empty if there is none.
        answer: What stands under the exercise, for whoever marks it.
        by_hand: Whether only a human marks it.
        diagnoses: Codes of the problems that were found.
        bonus: Points beside those that the exercise is worth.
        excused: Whether it counts neither way.
    """

    exercise: str
    title: str
    points: float | None
    out_of: float
    reasons: tuple[str, ...] = ()
    check: str = ""
    answer: tuple[Part, ...] = ()
    by_hand: bool = False
    diagnoses: tuple[str, ...] = ()
    bonus: float = 0.0
    excused: bool = False


@dataclass(frozen=True)
class StudentResult:
    """All that grading says of one submission.

    Attributes:
        student: The student, as a file is named.
        name: The student's name in the export.
        file: The notebook that was graded; empty if there was none.
        key: Fingerprint of submission, assignment, limits and checks: the same key needs no grading again.
        exercises: The exercises, in order.
        ids: The student's numbers by platform, and the ``place`` in its export.
        late: Started days after the date that it was due; 1 if the export only says that it came late.
        penalty: Points that this costs.
        remarks: What else there is to say, such as cells that raised errors.
        seconds: Time that the sandbox took.
        complete: Whether it ended by itself; else it is graded again the next time.
        problem: Why nothing could be read or graded; empty if something was.
    """

    student: str
    name: str
    file: str
    key: str
    exercises: tuple[ExerciseResult, ...]
    ids: dict[str, str] = field(default_factory=dict)
    late: int = 0
    penalty: float = 0.0
    remarks: tuple[str, ...] = ()
    seconds: float = 0.0
    complete: bool = True
    problem: str = ""

    @property
    def points(self) -> float:
        """Points so far, after what coming late costs; what waits for a human counts nothing."""
        earned = sum((one.points or 0.0) + one.bonus for one in self.exercises if not one.excused)
        return round(earned - self.penalty, 2)

    @property
    def out_of(self) -> float:
        """Points to be earned."""
        return sum(one.out_of for one in self.exercises if not one.excused)

    @property
    def waits(self) -> bool:
        """Whether an exercise waits for a human."""
        return any(one.points is None and not one.excused for one in self.exercises)


def belongs(out: Path, assignment: Assignment, *, claim: bool = False) -> None:
    """Refuse a folder of results that another assignment has; one that nobody has may be claimed.

    Raises:
        ValueError: If the folder holds the results of another title or variant.
    """
    path = out / ".assignment"
    mine = f"{assignment.title!r}, variant {assignment.variant}"
    other = path.read_text(encoding="utf-8") if path.is_file() else ""
    if other and other != mine:
        raise ValueError(
            f"--out must be a folder of this assignment, {mine}; {str(out)!r} has the results of {other}: name another "
            f"folder with --out, such as --out graded-{assignment.slug}"
        )
    if claim and not other:
        with replacing(path) as aside:
            aside.write_text(mine, encoding="utf-8")


def save(result: StudentResult, path: Path) -> None:
    """Write a result aside, then rename it."""
    with replacing(path) as aside:
        aside.write_text(json.dumps(asdict(result), ensure_ascii=False, indent=1), encoding="utf-8")


def load(path: Path) -> StudentResult | None:
    """Read a result; None if there is none, or it is damaged and is to be made again."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        exercises = tuple(_exercise(row) for row in content["exercises"])
        return StudentResult(**{**content, "exercises": exercises, "remarks": tuple(content["remarks"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _exercise(row: dict[str, Any]) -> ExerciseResult:
    answer = tuple(Part(**part) for part in row["answer"])
    return ExerciseResult(
        **{**row, "answer": answer, "reasons": tuple(row["reasons"]), "diagnoses": tuple(row["diagnoses"])}
    )
