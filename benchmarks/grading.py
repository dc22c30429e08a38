"""How long does a class take? A hundred submissions of four coded exercises, right and wrong ones, graded from nothing.

Needs the folder `instructor/`: the answers are taken from there in turn.
"""

import subprocess
import sys
import tempfile
import time
from itertools import cycle
from pathlib import Path

import nbformat

from dropout_lessons.exercises.notebook import KEY
from dropout_lessons.grading.assignment import Assignment, read_assignment, student_notebook
from dropout_lessons.grading.solutions import answers

INSTRUCTOR = Path(__file__).parents[1] / "instructor"
EXERCISES = ("subnetworks-1", "training-1", "scaling-1", "averaging-1")
STUDENTS = 100
COMMAND = str(Path(sys.executable).with_name("dropout-lessons"))


def hand_in(folder: Path, assignment: Assignment) -> None:
    """A notebook of each student."""
    given = {exercise: cycle(answers(INSTRUCTOR / f"{exercise}.py")) for exercise in EXERCISES}
    for student in range(STUDENTS):
        notebook = student_notebook(assignment)
        for cell in notebook.cells:
            place = cell.metadata.get(KEY, {})
            if place.get("role") == "answer":
                cell.source = next(given[place["exercise"]]).text
        (folder / f"student{student:03}.ipynb").write_text(nbformat.writes(notebook), encoding="utf-8")


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        assign = [COMMAND, "assign", *EXERCISES, "--title", "Homework"]
        subprocess.run([*assign, "--out", str(folder / "homework")], check=True, stdout=subprocess.DEVNULL)
        (folder / "submissions").mkdir()
        assignment = read_assignment(folder / "homework" / "assignment.toml")
        hand_in(folder / "submissions", assignment)
        grade = [COMMAND, "grade", str(folder / "homework" / "assignment.toml")]
        for run in ("from nothing", "again, all cached"):
            start = time.perf_counter()
            command = [*grade, str(folder / "submissions"), "--out", str(folder / "graded")]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            graded = next(line for line in said.splitlines() if "on average" in line)
            print(f"{time.perf_counter() - start:.0f} s {run}: {graded}")


if __name__ == "__main__":
    main()
