"""The solutions and the checks judge each other: a sample of what ``make check-exercises`` counts in full."""

import io
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from dropout_lessons import exercises
from dropout_lessons.exercises import Coded
from dropout_lessons.grading.publish import leaks

sys.path.insert(0, str(Path(__file__).parents[1]))
import solutions

ROOT = Path(__file__).parents[2]
CODED = [exercise.id for exercise in solutions.coded()]
WRITTEN = [exercise.id for exercise in exercises.bank().values() if not isinstance(exercise, Coded)]
ANSWERS = [answer for exercise in CODED for answer in solutions.of(exercise)]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: f"{answer.exercise}-{answer.title}")
def test_an_answer_is_judged_as_it_should_be(answer):
    counted = solutions.count(answer, runs=20 if answer.diagnosis else 100)
    assert counted.as_it_should, str(counted)
    assert counted.seconds < 1


@pytest.mark.parametrize("exercise", CODED)
def test_a_coded_exercise_has_enough_answers(exercise):
    found = solutions.of(exercise)
    assert sum(answer.is_solution for answer in found) >= 3, "the reference and two in other styles"
    assert sum(answer.diagnosis is not None for answer in found) >= 5


@pytest.mark.parametrize("exercise", WRITTEN)
def test_a_written_exercise_has_a_reference_two_more_answers_and_a_rubric_that_adds_up(exercise):
    found = solutions.of(exercise)
    assert sum(answer.kind == "correct" for answer in found) >= 2
    (rubric,) = (answer.text for answer in found if answer.kind == "rubric")
    points = [int(number) for number in re.findall(r"^\| (\d+) \|", rubric, re.MULTILINE)]
    assert sum(points) == exercises.get(exercise).points


def test_every_file_of_answers_belongs_to_an_exercise():
    assert {path.stem for path in solutions.HERE.glob("ch*.*")} == set(exercises.bank())


def test_no_solution_stands_in_a_public_file(tmp_path):
    archive = subprocess.run(["git", "-C", ROOT, "archive", "HEAD"], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(tmp_path, filter="data")
    assert not (tmp_path / "instructor").exists()
    files = sorted(solutions.HERE.glob("ch*.*"))
    assert [str(leak) for leak in leaks(files, tmp_path)] == []
