"""The answer that counts is the one under its exercise, as it was when its cell had run."""

import nbformat
import pytest
from homework import EMPTY, HOMEWORK, IDS, RIGHT, SHARED, needs_sandbox

from dropout_lessons.exercises.notebook import KEY
from dropout_lessons.grading import find
from dropout_lessons.grading.assignment import Assignment
from dropout_lessons.grading.grader import _Grader, grade_one
from dropout_lessons.grading.sandbox import Limits

SAME_NAME = ("scaling-1", "coadaptation-1")


def under(exercises_and_cells):
    """A notebook with these cells, as (exercise, code), as bytes."""
    cells = []
    for exercise, code in exercises_and_cells:
        metadata = {KEY: {"exercise": exercise, "role": "answer"}} if exercise else {}
        cells.append(nbformat.v4.new_code_cell(code, metadata=metadata))
    return nbformat.writes(nbformat.v4.new_notebook(cells=cells)).encode()


@pytest.fixture
def points(tmp_path):
    """Grade cells in the sandbox: the points of the two coded exercises, and the result."""

    def grade_cells(*cells, homework=HOMEWORK, **limits):
        path = tmp_path / "ann.ipynb"
        path.write_bytes(under(cells))
        ((submission,), _) = find(path)
        result = grade_one(homework, submission, limits=Limits(**{"seconds": 120, **limits}))
        return [one.points for one in result.exercises if not one.by_hand], result

    return grade_cells


@needs_sandbox
def test_later_cells_take_nothing_from_an_answer(points):
    first, second, written = IDS
    found, result = points(
        (
            first,
            f"%matplotlib widget\nfrom google.colab import drive\ndrive.mount('/content')\n!pip install x\n{SHARED}",
        ),
        (second, f"import os; os.chdir('/content')\nname = input()\n{RIGHT[second]}"),
        (written, "left, right = 1, 2\nshared_dropout = None"),
        (written, "import torch\ntorch.rand = None\nlong = [0] * 10\n1 / 0"),
        (None, "while True: pass"),
        *[(None, "from time import sleep; sleep(60)")] * 3,  # each is ended after a third of the time
        seconds=21,
    )
    assert found == [2, 2]
    assert not result.complete, "a timeout is no result that is kept"
    assert "The notebook ran for longer than 21 seconds." in result.remarks


@needs_sandbox
def test_what_is_not_there_costs_its_own_line_and_the_remark_names_it(points):
    first, second, _ = IDS
    lines = ["!pip install x", "%pip install x", "files = !ls", "%matplotlib widget", "name = input()"]
    lines += ["from google.colab import drive", "import os; os.chdir('/content')"]
    found, result = points(*((first, f"{line}\n{SHARED}") for line in lines), (second, RIGHT[second]))
    assert found == [2, 2]
    assert [remark.split(": ")[0] for remark in result.remarks] == [
        f"Code cell {number}, {line}" for number, line in enumerate(lines, 1)
    ]
    assert result.complete


@needs_sandbox
def test_answers_of_one_name_to_two_exercises_do_not_meet(points):
    homework = Assignment("Two", SAME_NAME, (2, 2))
    one, two = homework.definitions()
    assert one.answer == two.answer
    _, result = points((one.id, f"{one.answer} = [1, 2]"), (two.id, f"{two.answer} = 'x'"), homework=homework)
    _, alone = points((two.id, f"{two.answer} = 'x'"), (one.id, f"{one.answer} = [1, 2]"), homework=homework)
    assert [row.diagnoses for row in result.exercises] == [row.diagnoses for row in alone.exercises]
    assert result.exercises[0].diagnoses != result.exercises[1].diagnoses


RENAMED = SHARED.replace("shared_dropout", "my_dropout") + '\nexercises.check("training-1", my_dropout, variant=7)'


@needs_sandbox
@pytest.mark.parametrize("stub", ["", "def shared_dropout(x, keep_prob):\n    raise NotImplementedError\n"])
def test_an_answer_under_another_name_is_told_its_name(points, stub):
    found, result = points((IDS[0], f"{stub}{RENAMED}"), (IDS[1], "rest = 1"))
    said = "You defined my_dropout; it must be called shared_dropout."
    assert found == [0, 0]
    assert result.exercises[0].reasons[0] == said
    assert f"training-1: {said}" in result.remarks
    assert [row.check for row in result.exercises[:2]] == ["", ""], "no check of a name that is not there"


def test_limits_are_part_of_what_makes_a_result(tmp_path):
    path = tmp_path / "ann.ipynb"
    path.write_bytes(EMPTY)
    ((submission,), _) = find(path)
    keys = {_Grader(HOMEWORK, b"", Limits(seconds=s), (), unsafe=False).key(submission) for s in (60, 60, 120)}
    assert len(keys) == 2
