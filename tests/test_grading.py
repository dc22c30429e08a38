"""Assignments, and the way of submissions through grading: whatever they do, each has a result and stops nobody."""

import csv
import io
import json
import re
import shlex
import subprocess
import time
import zipfile
from pathlib import Path

import nbformat
import numpy as np
import pytest
import yaml
from homework import EMPTY, HIDDEN, HOMEWORK, IDS, INPUTS, RIGHT, SHARED, needs_sandbox, solved, tree
from repositories import commit, private_repository

from dropout_lessons import exercises
from dropout_lessons.cli import _parser, main
from dropout_lessons.grading import assign, find, grade, read_assignment, sandbox, write_all
from dropout_lessons.grading.assignment import Assignment, student_notebook
from dropout_lessons.grading.grader import _Grader
from dropout_lessons.grading.messages import cell_errors, encode
from dropout_lessons.grading.sandbox import Limits

ROOT = Path(__file__).parents[1]


# --- assignments


def test_a_students_notebook_is_valid_has_its_variants_numbers_and_no_outputs():
    notebook = student_notebook(HOMEWORK)
    nbformat.validate(notebook)
    text = "\n".join(cell.source for cell in notebook.cells)
    assert f"kept with probability {INPUTS}" in text
    assert 'exercises.check("training-2", left, variant=7)' in text
    assert "10 points, about 65 minutes" in text
    assert all(not cell.get("outputs") for cell in notebook.cells)


def test_an_assignment_comes_back_from_its_file(tmp_path):
    made = assign(IDS, "Homework 2", tmp_path / "hw2", variant=7, autograders=["gradescope"])
    assert read_assignment(tmp_path / "hw2" / "assignment.toml") == made == HOMEWORK
    with zipfile.ZipFile(tmp_path / "hw2" / "homework-2-gradescope.zip") as archive:
        assert sorted(archive.namelist()) == ["assignment.toml", "run_autograder", "setup.sh"]
        for name in ("run_autograder", "setup.sh"):
            assert archive.getinfo(name).external_attr >> 16 & 0o111
            subprocess.run(["bash", "-n"], input=archive.read(name), check=True)


def test_a_title_is_a_files_name_with_its_umlauts_spelled():
    titles = ("(Übung) 2", "Größe é", "作业")
    assert [Assignment(title, IDS[:1], (1,)).slug for title in titles] == ["uebung-2", "groesse-e", "assignment"]


@pytest.mark.parametrize("exercise", exercises.bank())
def test_an_assignment_says_no_outcome_unless_hints_are_wanted(exercise):
    homework = Assignment("One", (exercise,), (1,))
    bare, full = (student_notebook(homework, hints=hints).cells[2].source for hints in (False, True))
    assert not re.search(r"\*(Expect|You should find)\b", bare)
    assert bare.rstrip()[-1] in ".?!:|`)"
    assert len(bare) <= len(full)
    prompt = exercises.get(exercise).prompt
    assert ("*Expect" in prompt or "*You should find" in prompt) == (bare != full)


@pytest.mark.parametrize("exercise", exercises.bank())
def test_what_stands_above_in_a_chapter_is_a_link_to_it(exercise):
    (cell,) = student_notebook(Assignment("One", (exercise,), (1,))).cells[2:3]
    assert not re.search(r"\b(explorer|cell|digits|figure|table) above\b|\bfrom above\b", cell.source)
    (chapter, *_) = re.findall(r"\[chapter \d+\]\(\S+/(chapters/\S+)\)", cell.source)
    assert (ROOT / chapter).is_file()


def test_a_repository_for_github_classroom_checks_its_own_notebook(tmp_path):
    assign(IDS, "Homework 2", tmp_path / "hw2", variant=7, autograders=["github"])
    repository = tmp_path / "hw2" / "homework-2-github"
    workflow = yaml.safe_load((repository / ".github/workflows/classroom.yml").read_text())
    steps = workflow["jobs"]["check"]["steps"]
    for step in steps:
        subprocess.run(["bash", "-n"], input=step.get("run", ""), text=True, check=True)
    command = shlex.split(steps[-1]["run"].splitlines()[0])
    options = _parser().parse_args(command[1:])
    assert read_assignment(repository / options.assignment) == HOMEWORK
    assert (repository / options.submissions).read_bytes() == (tmp_path / "hw2" / "homework-2.ipynb").read_bytes()
    assert workflow["permissions"] == {"contents": "read"}


def test_the_image_is_made_of_files_that_there_are_and_of_no_solution():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY")]
    assert copied
    assert all((ROOT / name).exists() for names in copied for name in names)
    assert {"LICENSE", "LICENSE-DATA.md"} <= {name for names in copied for name in names}, (
        "the data have one of their own"
    )
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {"instructor", "data", "build", "dist"} <= set(ignored)
    installs = [line for line in lines if "pip install" in line]
    assert "https://download.pytorch.org/whl/cpu torch" in installs[0], "PyPI's PyTorch brings CUDA along on Linux"
    assert lines[-1] == 'ENTRYPOINT ["dropout-lessons"]'


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"exercises": ("training-1", "training-1")}, "got training-1 more than once"),
        ({"exercises": ()}, "exercises must name at least one"),
        ({"exercises": ("nothing-1",)}, "got 'nothing-1'"),
        ({"title": " "}, "title must be a line of text"),
        ({"variant": -1}, "variant must be at least 0"),
    ],
)
def test_a_bad_assignment_is_refused_and_leaves_nothing(tmp_path, settings, message):
    settings = {"exercises": IDS, "title": "Homework", **settings}
    with pytest.raises(ValueError, match=message):
        assign(settings.pop("exercises"), settings.pop("title"), tmp_path / "hw", **settings)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_not_written_to(tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ValueError, match="out must be a new or an empty folder"):
        assign(IDS, "Homework", tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = 3 3", "cannot be read"),
        ('title = "x"', "has no 'exercise'"),
        ('title="x"\nexercise=[3]', "cannot be read"),
    ],
)
def test_a_damaged_assignment_file_is_named(tmp_path, text, message):
    path = tmp_path / "assignment.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_assignment(path)


# --- the whole path


def shuffled(notebook):
    notebook.cells.reverse()


def untagged(notebook):
    for number, cell in enumerate(notebook.cells):
        cell.metadata, cell.id = {}, f"cell-{number}"


def other_kernel(notebook):
    notebook.metadata.kernelspec = {"name": "colab-gpu", "display_name": "GPU", "language": "python"}


def with_helpers(notebook):
    notebook.cells.insert(0, nbformat.v4.new_code_cell("1 / 0"))
    notebook.cells.append(nbformat.v4.new_code_cell("%matplotlib inline\nunknown_name"))


HANGING = "import signal, time\nsignal.setitimer = lambda *_: None\ntime.sleep(10_000)"
SUBMISSIONS = {  # what each student hands in, and the points of the two coded exercises
    "right": (solved(RIGHT), (2, 2)),
    "renamed": (solved(RIGHT, change=untagged), (2, 2)),
    "reordered": (solved(RIGHT, change=shuffled), (2, 2)),
    "kernel": (solved(RIGHT, change=other_kernel), (2, 2)),
    "extra": (solved(RIGHT, change=with_helpers), (2, 2)),
    "wrong": (solved({**RIGHT, "training-1": SHARED.replace(" / keep_prob", "")}), (0, 2)),
    "partly": (solved({**RIGHT, "training-1": SHARED.replace("return x *", "x *=") + "    return x\n"}), (1, 2)),
    "untouched": (solved({}), (0, 0)),
    "hangs": (solved({**RIGHT, "training-1": HANGING}), (0, 2)),
    "exits": (solved({**RIGHT, "training-2": "import os\nos._exit(0)"}), (2, 0)),
    "broken": (solved(RIGHT)[:500], (0, 0)),
}


@needs_sandbox
def test_list_assign_solve_grade_mark_return_and_publish(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["exercises", "--chapter", "3"]) == 0
    assert "what is left of the weights? (varies)" in capsys.readouterr().out
    assert main(["assign", *IDS, "--title", "Homework 2", "--out", "hw2", "--variant", "7"]) == 0
    for number, (name, (data, _)) in enumerate(SUBMISSIONS.items()):
        tree(tmp_path / "submissions", {f"{name}_{number}_1_homework-2.ipynb": data})

    def grading(*options):
        return main(["grade", "hw2/assignment.toml", "submissions", "--jobs", "2", "--seconds", "30", *options])

    assert grading() == 0
    assert "11 wait for marks by hand" in capsys.readouterr().out

    def rows():
        with open("graded/grades.csv", encoding="utf-8-sig", newline="") as file:
            return {row["name"]: row for row in csv.DictReader(file)}

    for name, (_, points) in SUBMISSIONS.items():
        assert (float(rows()[name]["training-1"]), float(rows()[name]["training-2"])) == points, name
    assert "Kept values are passed on as they are" in Path("graded/feedback/wrong-5.md").read_text()
    assert "damaged or no notebook" in Path("graded/feedback/broken-10.html").read_text()
    assert "No answer came: the notebook ended Python by itself" in Path("graded/feedback/exits-9.md").read_text()

    # Marks by hand are merged, and survive grading again.
    with open("graded/marks.csv", encoding="utf-8-sig", newline="") as file:
        sheet = list(csv.DictReader(file))
    assert [row["student"] for row in sheet] == sorted(f"{name}-{n}" for n, name in enumerate(SUBMISSIONS))
    for row in sheet:
        row["points"], row["comment"] = "5", "Say how you paired."
    with open("graded/marks.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, sheet[0].keys())
        writer.writeheader()
        writer.writerows(sheet)
    Path("submissions/hangs_8_1_homework-2.ipynb").unlink()  # a timeout is graded again; and a student may drop out
    kept = {path: path.stat().st_mtime_ns for path in Path("graded/results").iterdir()}
    assert grading() == 0
    assert rows()["right"]["points"] == "9.0"
    assert {path: path.stat().st_mtime_ns for path in Path("graded/results").iterdir()} == kept, (
        "nothing was graded again"
    )
    changed = "submissions/wrong_5_1_homework-2.ipynb"
    Path(changed).write_bytes(solved(RIGHT) + b" ")
    assert grading() == 0
    assert rows()["wrong"]["points"] == "9.0"
    assert "Say how you paired." in Path("graded/feedback/wrong-5.md").read_text()
    canvas_header, *canvas_rows = csv.reader(io.StringIO(Path("graded/canvas.csv").read_text(encoding="utf-8")))
    assert canvas_header[:2] == ["Student", "ID"]
    assert len(canvas_rows) == len(SUBMISSIONS)

    # The book and the assignment are published, and the solution is not, wherever it has got to.
    chapter = ROOT / "chapters" / "03_training_with_dropout.ipynb"
    root = private_repository(
        tmp_path / "private",
        {
            "chapters/03.ipynb": chapter.read_text(encoding="utf-8"),
            "homework.ipynb": Path("hw2/homework-2.ipynb").read_text(encoding="utf-8"),
            "instructor/training-1.py": f"# %% reference\n{SHARED}",
        },
    )
    monkeypatch.chdir(root)
    assert main(["publish", "../public"]) == 0
    assert (tmp_path / "public" / "homework.ipynb").exists()
    assert not (tmp_path / "public" / "instructor").exists()
    (root / "homework.ipynb").write_bytes(solved(RIGHT))
    commit(root)
    assert main(["publish", "../again"]) == 2
    assert "homework.ipynb: has a line of the solution of training-1" in capsys.readouterr().err
    assert not (tmp_path / "again").exists()


def test_a_submission_that_cannot_be_dealt_with_waits_for_a_human_and_stops_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "available", lambda: None)

    def grading(grader, submission):
        if submission.student == "eve":
            raise OverflowError("cannot convert float infinity to integer\ud800")
        return grader._result(submission, [])

    monkeypatch.setattr(_Grader, "_grade", grading)
    submissions, _ = find(tree(tmp_path / "in", {name: EMPTY + name.encode() for name in ("ann.ipynb", "eve.ipynb")}))
    for _ in range(2):
        ann, eve = grade(HOMEWORK, submissions, tmp_path / "out", jobs=1)
    assert ann.complete
    assert not eve.complete
    assert [one.points for one in eve.exercises] == [None] * 3
    assert "waits for a human (OverflowError: cannot convert float infinity" in eve.exercises[0].reasons[0]
    write_all(HOMEWORK, [ann, eve], tmp_path / "out")


def test_a_folder_has_the_results_of_one_assignment(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sandbox, "available", lambda: None)
    monkeypatch.setattr(_Grader, "_grade", lambda grader, submission: grader._unread(submission, "No."))
    tree(tmp_path, {"subs/ann.ipynb": EMPTY})
    for number, variant in ((2, 7), (3, 7), (2, 8)):
        title, folder = f"Homework {number}", tmp_path / f"hw{number}-{variant}"
        assign(IDS, title, folder, variant=variant)
    assert main(["grade", "hw2-7/assignment.toml", "subs"]) == 0
    before = {path: path.read_bytes() for path in Path("graded").rglob("*") if path.is_file()}
    capsys.readouterr()
    for other, name in (("hw3-7", "'Homework 3', variant 7"), ("hw2-8", "'Homework 2', variant 8")):
        for command in (["grade", f"{other}/assignment.toml", "subs"], ["statistics", f"{other}/assignment.toml"]):
            assert main(command) == 2
            said = capsys.readouterr().err
            assert f"of this assignment, {name}; 'graded' has the results of 'Homework 2', variant 7: name" in said
    assert {path: path.read_bytes() for path in Path("graded").rglob("*") if path.is_file()} == before
    assert main(["grade", "hw3-7/assignment.toml", "subs", "--out", "graded-homework-3"]) == 0


def coded(**outputs):
    """What a worker, or a student's forgery of it, sends for the first exercise."""
    return b"".join(
        encode({"kind": np.array("attempt"), "name": np.array(f"{IDS[0]}-{number}"), **outputs}) for number in range(3)
    )


LARGE = np.zeros(200_000)
FORGED = {
    "text for numbers": {"out y": np.array("x"), "out after x": np.array("x")},
    "a shape to be broadcast": {"out y": LARGE[None], "out again": LARGE[:, None], "out after x": LARGE[:, None, None]},
    "many dimensions": {"out y": np.zeros((1,) * 30)},
    "nothing": {},
    "a code that is an array": {"code": np.zeros(9), "message": np.zeros(9)},
    "half a character": {"code": np.array("raises"), "message": np.frombuffer(b"\x00\xd8\x00\x00", "<U1")},
}


@pytest.mark.parametrize("forged", FORGED)
def test_whatever_a_submission_sends_is_judged_in_bounded_time(forged):
    grader = _Grader(HOMEWORK, b"", Limits(), (), unsafe=False)
    began = time.perf_counter()
    result = grader._judged(exercises.get(IDS[0]), coded(**FORGED[forged]), [1, 2, 3], "it ended")
    assert result.points == 0
    assert all(reason.encode() for reason in result.reasons)
    assert time.perf_counter() - began < 40


@pytest.mark.parametrize(
    "report",
    [
        '[{"cell": 1e999, "error": "x"}]',
        '[{"cell": "1", "error": "x"}]',
        '{"cell": 1}',
        "[" * 50_000,
        "3",
        "NaN",
        '[{"cell": 1, "error": 3}]',
        "[null]",
    ],
)
def test_a_forged_report_of_cells_is_left_out(report):
    assert cell_errors([{"errors": np.array(report)}, {"errors": np.zeros(3)}]) == []


def test_a_remark_is_one_line_that_any_file_and_terminal_can_take():
    report = json.dumps([{"cell": 0, "line": "raise", "error": "ValueError: \ud800\x1b[2J\nann: 9 points"}])
    assert cell_errors([{"errors": np.array(report)}]) == ["Code cell 1, raise: ValueError: ?\\x1b[2J\\nann: 9 points"]


STEALING = """
import glob, json
found = []
for path in glob.glob({here!r} + "/**", recursive=True) + [{here!r} + "/instructor/training-2.py"]:
    try:
        found.append(open(path).read())
    except OSError:
        pass
    try:
        open(path, "w").write('{{"points": 2}}')
    except OSError:
        pass
for text in found:
    for line in text.replace('\\\\n', '\\n').splitlines():
        if line.strip(' ",').startswith("left ="):
            exec(line.strip(' ",'))
print(len(found), "files were read")
"""
FLOODING = """
import os
for _ in range(200):
    for descriptor in range(64):
        try:
            os.write(descriptor, b'x' * 10**6)
        except OSError:
            pass
"""


@needs_sandbox
def test_a_submission_reaches_neither_others_nor_their_results_nor_the_instructors_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assign(IDS, "Homework 2", tmp_path / "hw2", variant=7)
    right = solved({**RIGHT, "training-2": f"left = ({INPUTS * HIDDEN}, {HIDDEN})"})
    thief = solved({**RIGHT, "training-2": STEALING.format(here=str(tmp_path))})
    flood = solved({**RIGHT, "training-2": FLOODING})
    handed_in = {
        "a_1_1_hw.ipynb": right,
        "b_2_2_hw.ipynb": thief,
        "c_3_3_hw.ipynb": flood,
        "d_4_4_hw.ipynb": right + b" ",
    }
    tree(tmp_path / "submissions", handed_in)
    tree(tmp_path, {"instructor/training-2.py": f"left = ({INPUTS * HIDDEN}, {HIDDEN})".encode()})
    assert main(["grade", "hw2/assignment.toml", "submissions", "--jobs", "1", "--seconds", "60"]) == 0
    with open("graded/grades.csv", encoding="utf-8-sig", newline="") as file:
        points = {row["name"]: (float(row["training-1"]), float(row["training-2"])) for row in csv.DictReader(file)}
    assert points["a"] == points["d"] == (2, 2)
    assert points["b"] == (2, 0)
    assert points["c"][1] == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "submissions").iterdir()} == handed_in
    assert b"left" in (tmp_path / "instructor" / "training-2.py").read_bytes()


@needs_sandbox
def test_one_submission_is_graded_for_gradescope(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assign(IDS, "Homework 2", tmp_path / "hw2", variant=7)
    tree(tmp_path, {"submission/anything.ipynb": solved(RIGHT)})
    assert main(["grade", "hw2/assignment.toml", "submission", "--gradescope", "results/results.json"]) == 0
    content = json.loads(Path("results/results.json").read_text())
    assert content["score"] == 4
    assert [test["score"] for test in content["tests"]] == [2, 2, 0]
    assert not Path("graded").exists()


def test_without_a_sandbox_grading_is_refused(tmp_path, monkeypatch, capsys):
    assign(IDS, "Homework 2", tmp_path / "hw2")
    tree(tmp_path, {"subs/ann.ipynb": EMPTY})
    monkeypatch.setattr(sandbox, "available", lambda: "There is no bubblewrap: install it.")
    code = main(
        ["grade", str(tmp_path / "hw2" / "assignment.toml"), str(tmp_path / "subs"), "--out", str(tmp_path / "out")]
    )
    assert code == 3
    assert "install it. --unsafe grades without a sandbox" in capsys.readouterr().err
