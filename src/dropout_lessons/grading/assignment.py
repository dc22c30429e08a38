"""An assignment: chosen exercises, the notebook that students get, and a Gradescope autograder.

``assignment.toml`` holds all that grading needs: title, variant, and each exercise with its points. It has no solutions.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import sys
import tempfile
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from dropout_lessons.exercises import Exercise, get, judges
from dropout_lessons.exercises.exercise import CHAPTERS
from dropout_lessons.exercises.notebook import KEY, cells
from dropout_lessons.grading.autograders import REPOSITORY, github_folder, gradescope_zip, package

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TOML, NOTEBOOK = "assignment.toml", "{slug}.ipynb"
_SPELLED = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "ø": "oe", "å": "aa", "ł": "l"})
LAST_OF_OPENING = (
    "Where a text speaks of cells or names that are not here, such as `plain[0]`, they are those of its chapter: work in the "
    "chapter's notebook, and bring what you found here, with the code that shows it."
)


@dataclass(frozen=True)
class LatePolicy:
    """What coming late costs.

    Attributes:
        lost_per_day: Share of the earned points, for each day that has begun.
        most: Share that is lost at most.
        due: When it was due, where the export has times, as Gradescope's has; else what it marks as late is a day late.
        grace_minutes: Minutes after it that cost nothing.
    """

    lost_per_day: float = 0.0
    most: float = 1.0
    due: datetime | None = None
    grace_minutes: float = 0.0

    def __post_init__(self) -> None:
        for name in ("lost_per_day", "most"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} of [late] must be a share from 0 to 1, got {getattr(self, name)!r}")
        if not (self.due is None or isinstance(self.due, datetime)):
            raise ValueError(f"due of [late] must be a date with a time, such as 2026-10-02T23:59:00, got {self.due!r}")

    def days(self, marked: bool, time: datetime | None) -> int:
        """Days that have begun since it was due: by the time if that is known, else by the export's mark."""
        if self.due is None or time is None:
            return int(marked)
        due = self.due
        if (due.tzinfo is None) != (time.tzinfo is None):  # what names no zone is meant in this machine's
            due, time = due.astimezone(), time.astimezone()
        return max(0, math.ceil((time - due - timedelta(minutes=self.grace_minutes)) / timedelta(days=1)))

    def share(self, days: int) -> float:
        """Share of the earned points that so many days cost."""
        return min(self.most, days * self.lost_per_day)


@dataclass(frozen=True)
class Assignment:
    """Exercises that are handed out together.

    Attributes:
        title: Title, as students and grade books show it.
        exercises: Ids, in order.
        points: Points of each exercise.
        variant: Variant of the exercises' constants.
        late: What coming late costs.
        credit: By exercise and diagnosis, the share of the points that an answer with this fault keeps.
    """

    title: str
    exercises: tuple[str, ...]
    points: tuple[float, ...]
    variant: int = 0
    late: LatePolicy = field(default_factory=lambda: LatePolicy())
    credit: dict[str, dict[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.title.strip() or "\n" in self.title:
            raise ValueError(f"title must be a line of text, got {self.title!r}")
        if not self.exercises:
            raise ValueError("exercises must name at least one; `dropout-lessons exercises` lists them")
        twice = sorted({one for one in self.exercises if self.exercises.count(one) > 1})
        if twice:
            raise ValueError(f"exercises must differ, got {', '.join(twice)} more than once")
        if len(self.points) != len(self.exercises) or min(self.points) < 0:
            raise ValueError(f"points must give a number, at least 0, for each of {len(self.exercises)} exercises")
        for exercise in self.exercises:
            get(exercise).values(self.variant)  # or says what is wrong with either
        for exercise, shares in self.credit.items():
            for code, share in shares.items():
                if exercise not in self.exercises or not 0 <= share <= 1:
                    raise ValueError(f"credit of {exercise} for {code!r} must be a share from 0 to 1, got {share}")

    @property
    def slug(self) -> str:
        """The title as the name of a file."""
        spelled = self.title.lower().translate(_SPELLED)
        plain = unicodedata.normalize("NFKD", spelled).encode("ascii", "ignore").decode()
        return re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "assignment"

    @property
    def out_of(self) -> float:
        """Points of the whole."""
        return sum(self.points)

    def definitions(self) -> list[Exercise]:
        """The exercises themselves."""
        return [get(exercise) for exercise in self.exercises]


def assign(
    exercises: Sequence[str],
    title: str,
    out: Path,
    *,
    variant: int = 0,
    hints: bool = False,
    autograders: Collection[str] = (),
) -> Assignment:
    """Make an assignment: a folder with the students' notebook, ``assignment.toml`` and, if asked for, autograders.

    Args:
        exercises: Ids of exercises, in the order in which students see them.
        title: Title of the assignment.
        out: Folder to make; it must not exist or be empty.
        variant: Variant of the exercises' constants, so that two sections get different numbers.
        hints: Whether prompts say what to expect, as they do for readers of the book.
        autograders: ``"gradescope"`` for its zip, ``"github"`` for a repository for GitHub Classroom.

    Returns:
        The assignment.

    Raises:
        ValueError: If an exercise is unknown or named twice, or the folder holds something.

    Example:
        >>> folder = Path(tempfile.mkdtemp()) / "hw2"
        >>> assign(["training-1", "training-2"], "Homework 2", folder).out_of
        4
        >>> sorted(path.name for path in folder.iterdir())
        ['assignment.toml', 'homework-2.ipynb']
    """
    assignment = Assignment(title, tuple(exercises), tuple(get(exercise).points for exercise in exercises), variant)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"out must be a new or an empty folder, got {str(out)!r}; name another, or remove it")
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        notebook = student_notebook(assignment, hints=hints)
        nbformat.validate(notebook)
        name, text = NOTEBOOK.format(slug=assignment.slug), nbformat.writes(notebook) + "\n"
        (aside / name).write_text(text, encoding="utf-8")
        (aside / TOML).write_text(to_toml(assignment), encoding="utf-8")
        if "gradescope" in autograders:
            gradescope_zip(to_toml(assignment), aside / f"{assignment.slug}-gradescope.zip")
        if "github" in autograders:
            github_folder(to_toml(assignment), text, name, aside / f"{assignment.slug}-github")
        aside.chmod(0o755)
        aside.replace(out)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return assignment


def to_toml(assignment: Assignment) -> str:
    """The file ``assignment.toml``."""
    lines = [
        f"title = {json.dumps(assignment.title, ensure_ascii=False)}",
        f"variant = {assignment.variant}",
        f'package = "{version("dropout-lessons")}"  # it was made with this version of dropout-lessons',
    ]
    for exercise, points in zip(assignment.definitions(), assignment.points, strict=True):
        lines += ["", "[[exercise]]", f'id = "{exercise.id}"', f"points = {points:g}  # {exercise.title}"]
    return "\n".join(lines) + "\n"


def read_assignment(path: Path) -> Assignment:
    """Read ``assignment.toml``; points may have been changed there.

    Raises:
        ValueError: If the file is missing, is no TOML, or says something that no assignment can.
    """
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        rows = content["exercise"]
        _known(path, "the file", content, ("title", "variant", "package", "exercise", "late"))
        _known(path, "[late]", content.get("late", {}), [one.name for one in fields(LatePolicy)])
        for row in rows:
            _known(path, "[[exercise]]", row, ("id", "points", "credit"))
            _known(path, f"credit of {row['id']}", row.get("credit", {}), _diagnoses())
        return Assignment(
            content["title"],
            tuple(row["id"] for row in rows),
            tuple(row["points"] for row in rows),
            content.get("variant", 0),
            LatePolicy(**content.get("late", {})),
            {row["id"]: row["credit"] for row in rows if "credit" in row},
        )
    except OSError as error:
        raise ValueError(
            f"assignment must be a file that `assign` made, got {str(path)!r}: {error.strerror}"
        ) from error
    except KeyError as error:
        raise ValueError(f"{path} has no {error.args[0]!r}; `assign` writes it") from error
    except (tomllib.TOMLDecodeError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error


def _known(path: Path, where: str, names: Iterable[str], allowed: Collection[str]) -> None:
    """Refuse a name that nothing reads: it would be left out without a word."""
    for name in names:
        if name not in allowed:
            near = get_close_matches(name, allowed, n=1) or get_close_matches(name.lower(), allowed, n=1)
            few = ", ".join(sorted(allowed)) if len(allowed) < 10 else "those that `statistics` shows"
            meant = f"did you mean {near[0]!r}?" if near else f"there are {few}"
            raise ValueError(f"{path}: {name!r} of {where} is not known; {meant}")


@cache
def _diagnoses() -> frozenset[str]:
    """What a check may call a mistake: each name is written out where the mistake is known, alone or before its words."""
    folder = Path(judges.__file__).parents[1]
    text = "\n".join(source.read_text(encoding="utf-8") for source in folder.rglob("*.py"))
    found = re.findall(r'\bProblem\(\s*"([a-z-]+)"|"([a-z-]+)":', text)
    return frozenset(alone or key for alone, key in found) | {"not-found", "too-slow", "no-answer", "unreadable"}


def student_notebook(assignment: Assignment, *, hints: bool = False) -> NotebookNode:
    """The notebook that students get; it runs on Colab with only the package installed."""
    count = len(assignment.exercises)
    minutes = sum(exercise.minutes for exercise in assignment.definitions())
    opening = (
        f"# {assignment.title}\n\n"
        f"{count} exercise{'s' if count > 1 else ''}, {assignment.out_of:g} points, about {minutes} minutes. "
        "Run the first cell, then write each answer in the cell that asks for it, under the name that is there; helpers and "
        "notes may go into cells of your own. The cell below an answer checks it as often as you like, each time with other "
        "numbers, and says what is not right yet. Grading runs the same checks with numbers of its own, on what your cells "
        "define when they are run once from top to bottom: run all of them (**Runtime > Restart and run all** on Colab) "
        f"before you hand in the `.ipynb` file.\n\n{LAST_OF_OPENING}"
    )
    found = [
        new_markdown_cell(opening, id="opening", metadata={KEY: {"role": "opening"}}),
        new_code_cell(_set_up(), id="set-up", metadata={KEY: {"role": "set-up"}}),
    ]
    for number, (exercise, points) in enumerate(zip(assignment.definitions(), assignment.points, strict=True), 1):
        worth = f"{points:g} point{'' if points == 1 else 's'}"
        title = exercise.title[:1].upper() + exercise.title[1:]
        heading = (
            f"## {number}. {title}\n\n*{exercise.level}, {exercise.minutes} minutes, {worth}; {_chapter(exercise)}*"
        )
        found += assigned(exercise, assignment.variant, heading=heading, hints=hints)
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook: NotebookNode = new_notebook(cells=found, metadata={**metadata, "language_info": {"name": "python"}})
    return notebook


def assigned(exercise: Exercise, variant: int, *, heading: str, hints: bool) -> list[NotebookNode]:
    """The cells of an exercise in an assignment: what a prompt calls "above" stands in the chapter, and is a link there."""
    found = cells(exercise, variant, heading=heading, hints=hints)
    found[0].source = re.sub(
        r"\b(explorer|cell|digits|figure|table) above\b|\bfrom above\b",
        lambda match: f"{match[1]} of {_chapter(exercise)}" if match[1] else f"from {_chapter(exercise)}",
        found[0].source,
    )
    return found


def _chapter(exercise: Exercise) -> str:
    name = [*CHAPTERS.values()][exercise.chapter]
    return f"[chapter {exercise.chapter}]({REPOSITORY}/blob/v{version('dropout-lessons')}/chapters/{name}.ipynb)"


def _set_up() -> str:
    return (
        "import importlib.util, os\n"
        'if importlib.util.find_spec("dropout_lessons") is None:\n'
        f'    package = os.environ.get("DROPOUT_LESSONS_PACKAGE", "{package()}")\n'
        '    %pip install -q "{package}"\n'
        '    if importlib.util.find_spec("dropout_lessons") is None:\n'
        '        raise SystemExit("Turn the network on, or pip install the wheel that you were given; run this again.")\n'
        "from dropout_lessons import exercises, runtime\n"
        "runtime.describe()"
    )
