"""The solutions and the checks judge each other: a sample of what ``make check-exercises`` counts in full."""

import ast
import io
import re
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest
import torch

from dropout_lessons import exercises, experiments
from dropout_lessons.exercises import Coded
from dropout_lessons.grading.export import leaks

sys.path.insert(0, str(Path(__file__).parents[1]))
import solutions

ROOT = Path(__file__).parents[2]
CODED = [exercise.id for exercise in solutions.coded()]
WRITTEN = [exercise.id for exercise in exercises.bank().values() if not isinstance(exercise, Coded)]
ANSWERS = [answer for exercise in CODED for answer in solutions.of(exercise)]


@pytest.fixture(scope="module", autouse=True)
def one_ledger():
    """An answer reads the ledger for each of ten variants of its exercise: its statements are judged once."""
    with pytest.MonkeyPatch.context() as patch:
        judged = cache(experiments.ledger)
        patch.setattr(experiments, "ledger", lambda: judged().copy())
        yield


def yardstick():
    """Processor seconds of a fixed piece of a check's work: 0.017 on the machine where checks take at most 0.11."""
    began = time.process_time()
    for seed in range(100):
        torch.manual_seed(seed)
        (torch.rand(64, 16) < 0.5).float().mean(0)
    return time.process_time() - began


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: f"{answer.exercise}-{answer.title}")
def test_an_answer_is_judged_as_it_should_be_and_within_two_tenths_of_a_second(answer):
    with ThreadPoolExecutor(1) as apart:  # where the stack is short: PyTorch writes it down whenever it is seeded
        counted = apart.submit(solutions.count, answer, 3 if answer.diagnosis else 8).result()
        assert counted.as_it_should, str(counted)
        # A busy machine slows a processor's own seconds, too: those of a yardstick as much.
        fastest = counted.seconds
        for _ in range(5):
            if fastest < 0.2 or fastest < 12 * min(apart.submit(yardstick).result() for _ in range(3)):
                return
            fastest = min(fastest, apart.submit(solutions.count, answer, 5).result().seconds)
    pytest.fail(f"the fastest check took {fastest:.2f} s")


@pytest.mark.parametrize("exercise", CODED)
def test_a_coded_exercise_has_enough_answers(exercise):
    found = solutions.of(exercise)
    assert sum(answer.is_solution for answer in found) >= 4, "the reference and three in other styles"
    assert sum(answer.diagnosis is not None for answer in found) >= 8


def diagnoses_in(path):
    """What a file of judges may say: first arguments of Problem, and keys of what is said of a mistake."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.Call)
            and getattr(node.func, "id", "") == "Problem"
            and isinstance(node.args[0], ast.Constant)
        ):
            yield node.args[0].value
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                words = value.elts[-1] if isinstance(value, ast.Tuple) else value
                if (
                    isinstance(key, ast.Constant)
                    and isinstance(getattr(words, "value", None), str)
                    and " " in words.value
                ):
                    yield key.value


JUDGES = Path(exercises.__file__).parent / "judges"


@pytest.mark.parametrize("path", sorted(JUDGES.glob("*.py")), ids=lambda path: path.stem)
def test_every_diagnosis_is_that_of_some_wrong_answer(path):
    mine = [exercise.id for exercise in solutions.coded() if exercise.topic == path.stem]
    known = {answer.diagnosis for exercise in mine or CODED for answer in solutions.of(exercise)}
    said = set(diagnoses_in(path))
    assert said <= known
    assert said or path.stem in ("__init__", "drawing")


@pytest.mark.parametrize("exercise", WRITTEN)
def test_a_written_exercise_has_a_reference_two_more_answers_and_a_rubric_that_adds_up(exercise):
    found = solutions.of(exercise)
    assert sum(answer.kind == "correct" for answer in found) >= 2
    (rubric,) = (answer.text for answer in found if answer.kind == "rubric")
    points = [int(number) for number in re.findall(r"^\| (\d+) \|", rubric, re.MULTILINE)]
    assert sum(points) == exercises.get(exercise).points


def test_every_file_of_answers_belongs_to_an_exercise():
    assert {path.stem for path in solutions.HERE.glob("*-[0-9]*.*")} == set(exercises.bank())


def test_no_solution_stands_in_a_public_file(tmp_path):
    command = ["git", "-C", ROOT, "archive", "--format=zip", "HEAD"]
    archive = subprocess.run(command, check=True, capture_output=True).stdout
    zipfile.ZipFile(io.BytesIO(archive)).extractall(tmp_path)
    assert not (tmp_path / "instructor").exists()
    files = sorted(solutions.HERE.glob("*-[0-9]*.*"))
    assert [str(leak) for leak in leaks(files, tmp_path)] == []


def test_the_page_keeps_the_rows_of_exercises_that_are_not_counted_anew(tmp_path, monkeypatch):
    page = tmp_path / "checks.md"

    def main(*arguments):
        monkeypatch.setattr(sys, "argv", ["solutions.py", *arguments, "--jobs", "1", "--out", str(page)])
        assert solutions.main() == 0
        return re.findall(r"^\| ([a-z]+-\d+) \|", page.read_text(encoding="utf-8"), re.MULTILINE)

    few, more = ("--right", "2", "--wrong", "2"), ("--right", "3", "--wrong", "2")
    assert main("scaling-1", *few) == ["scaling-1"]
    assert main("overfitting-1", *few) == ["overfitting-1", "scaling-1"]  # in the order of the book
    assert main("scaling-1", *more) == ["scaling-1"]  # counted otherwise: the page says one number for all


def test_the_page_of_the_book_counts_every_exercise_that_a_program_checks():
    counted = solutions.rows_of(ROOT / "book/checks.md", "each right answer 3,000 times and each wrong one 200 times")
    assert list(counted) == CODED
