"""Assignments, submissions as platforms export them, notebooks in any state, grading, and what is handed back."""

import contextlib
import csv
import io
import json
import os
import subprocess
import time
import zipfile
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from repositories import commit, private_repository

from dropout_lessons import exercises
from dropout_lessons.cli import main
from dropout_lessons.exercises.notebook import KEY, marker
from dropout_lessons.grading import assign, find, read_assignment, sandbox, write_all
from dropout_lessons.grading.assignment import Assignment, student_notebook
from dropout_lessons.grading.notebooks import UnreadableNotebook, read
from dropout_lessons.grading.reports import canvas_csv, feedback_html, feedback_markdown, gradescope_json, read_marks
from dropout_lessons.grading.results import ExerciseResult, StudentResult, load, save

ROOT = Path(__file__).parents[1]
IDS = ("ch03-q1", "ch03-q2", "ch03-q4")
HOMEWORK = Assignment("Homework 2", IDS, (2, 2, 6), variant=7)
SHARED = """
import torch
def shared_dropout(x, keep_prob):
    return x * (torch.rand(x.shape[1]) < keep_prob) / keep_prob
"""
INPUTS, HIDDEN = (exercises.get("ch03-q2").values(7)[name] for name in ("input_keep_prob", "keep_prob"))
RIGHT = {"ch03-q1": SHARED, "ch03-q2": f"left = ({INPUTS} * {HIDDEN}, {HIDDEN})", "ch03-q4": "Paired, by seed."}
EMPTY = json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}).encode()

needs_sandbox = pytest.mark.skipif(
    sandbox.available() is not None and "CI" not in os.environ, reason=str(sandbox.available())
)


def solved(answers, *, change=lambda notebook: None):
    """The students' notebook with answers filled in, as bytes."""
    notebook = student_notebook(HOMEWORK)
    for cell in notebook.cells:
        place = cell.metadata.get(KEY, {})
        if place.get("role") == "answer" and place["exercise"] in answers:
            kept = f"{marker(place['exercise'])}\n\n" if cell.cell_type == "markdown" else ""
            cell.source = kept + answers[place["exercise"]]
    change(notebook)
    return nbformat.writes(notebook).encode()


# --- assignments


def test_a_students_notebook_is_valid_has_its_variants_numbers_and_no_outputs():
    notebook = student_notebook(HOMEWORK)
    nbformat.validate(notebook)
    text = "\n".join(cell.source for cell in notebook.cells)
    assert f"kept with probability {INPUTS}" in text
    assert 'exercises.check("ch03-q2", left, variant=7)' in text
    assert "10 points, about 65 minutes" in text
    assert all(not cell.get("outputs") for cell in notebook.cells)


def test_an_assignment_comes_back_from_its_file(tmp_path):
    made = assign(IDS, "Homework 2", tmp_path / "hw2", variant=7, gradescope=True)
    assert read_assignment(tmp_path / "hw2" / "assignment.toml") == made == HOMEWORK
    with zipfile.ZipFile(tmp_path / "hw2" / "homework-2-gradescope.zip") as archive:
        assert sorted(archive.namelist()) == ["assignment.toml", "run_autograder", "setup.sh"]
        for name in ("run_autograder", "setup.sh"):
            assert archive.getinfo(name).external_attr >> 16 & 0o111
            subprocess.run(["bash", "-n"], input=archive.read(name), check=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"exercises": ("ch03-q1", "ch03-q1")}, "got ch03-q1 more than once"),
        ({"exercises": ()}, "exercises must name at least one"),
        ({"exercises": ("ch99-q1",)}, "got 'ch99-q1'"),
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


# --- submissions


def files(folder, **contents):
    for name, data in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def tree(folder, contents):
    return files(folder, **contents)


def test_canvas_is_read(tmp_path):
    tree(
        tmp_path,
        {
            "doejane_101_555_homework-2.ipynb": EMPTY,
            "doejane_101_556_homework-2-1.ipynb": EMPTY + b" ",
            "roejim_LATE_102_557_my homework.ipynb": EMPTY + b"  ",
            "roejim_LATE_102_558_notes.pdf": b"%PDF",
        },
    )
    found, remarks = find(tmp_path)
    assert [(one.student, one.ids, one.late, one.file) for one in found] == [
        ("doejane-101", {"canvas": "101", "upload": "556"}, False, "homework-2-1.ipynb"),
        ("roejim-102", {"canvas": "102", "upload": "557"}, True, "my homework.ipynb"),
    ]
    assert found[0].remarks == ("2 notebooks: homework-2-1.ipynb was graded, not homework-2.ipynb",)
    assert remarks == ["roejim_LATE_102_558_notes.pdf: is no notebook, and was left out"]


def test_gradescope_is_read(tmp_path):
    metadata = """
submission_7:
  :submitters:
  - :name: Jane Doe
    :email: jane@example.org
    :sid: '42'
  :created_at: 2026-01-01 10:00:00
"""
    content = {"export/submission_metadata.yml": metadata.encode(), "export/submission_7/hw.ipynb": EMPTY}
    ((found,), remarks) = find(tree(tmp_path, content))
    assert (found.name, found.ids) == ("Jane Doe", {"gradescope": "7", "email": "jane@example.org", "sid": "42"})
    assert remarks == []


def test_moodle_is_read(tmp_path):
    content = {
        "Jane Doe_31_assignsubmission_file_/hw.ipynb": EMPTY,
        "Zoë B._32_assignsubmission_file_hw.ipynb": EMPTY + b" ",
    }
    found, _ = find(tree(tmp_path, content))
    assert [(one.name, one.ids["moodle"], one.file) for one in found] == [
        ("Jane Doe", "31", "hw.ipynb"),
        ("Zoë B.", "32", "hw.ipynb"),
    ]
    assert all("/" not in one.student and " " not in one.student for one in found)


def test_plain_files_folders_and_zips_of_them_are_read(tmp_path):
    content = {"ann.ipynb": EMPTY, "bob/work.ipynb": EMPTY + b" ", "bob/.ipynb_checkpoints/work.ipynb": EMPTY}
    plain = tree(tmp_path / "plain", content)
    packed = tmp_path / "all.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in plain.rglob("*.ipynb"):
            archive.write(path, Path("export", path.relative_to(plain)))
    for source in (plain, packed):
        assert [one.student for one in find(source)[0]] == ["ann", "bob"]
    assert [one.student for one in find(plain / "ann.ipynb")[0]] == ["ann"]


def test_a_zip_handed_in_by_a_student_is_opened(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("work/hw.ipynb", EMPTY)
    ((found,), _) = find(tree(tmp_path, {"doe_1_2_hw.zip": buffer.getvalue()}))
    assert (found.student, found.data) == ("doe-1", EMPTY)


def test_the_same_file_from_two_students_is_remarked_and_both_count(tmp_path):
    found, remarks = find(tree(tmp_path, {"ann.ipynb": EMPTY, "bob.ipynb": EMPTY}))
    assert len(found) == 2
    assert remarks == ["ann, bob: handed in the very same file"]


def test_links_pipes_and_zip_tricks_are_left_out(tmp_path):
    secret = tmp_path / "secret.ipynb"
    secret.write_bytes(EMPTY)
    folder = tree(tmp_path / "subs", {"ann.ipynb": EMPTY})
    (folder / "eve.ipynb").symlink_to(secret)
    (folder / "eve").symlink_to(tmp_path)
    os.mkfifo(folder / "mallory.ipynb")
    with zipfile.ZipFile(folder / "oscar.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../up.ipynb", EMPTY)
        archive.writestr("/etc/abs.ipynb", EMPTY)
        link = zipfile.ZipInfo("link.ipynb")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, str(secret))
    (folder / "trudy.zip").write_bytes(b"PK\x03\x04 nothing")
    found, remarks = find(folder)
    assert [one.student for one in found] == ["ann"]
    assert len(remarks) == 7
    assert not (tmp_path / "up.ipynb").exists()


def test_a_zip_bomb_is_not_unpacked(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("bomb.ipynb", "w") as file:
        for _ in range(300):
            file.write(bytes(2**20))
    began = time.perf_counter()
    found, _ = find(tree(tmp_path, {"eve.zip": buffer.getvalue()}))
    assert len(found[0].data) <= 101 * 2**20
    with pytest.raises(UnreadableNotebook, match="100 are the most"):
        read(found[0].data)
    assert time.perf_counter() - began < 10


def test_nothing_to_grade_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="must hold notebooks"):
        find(tmp_path)
    with pytest.raises(ValueError, match="which is none"):
        find(tmp_path / "nowhere")


# --- notebooks

NAMES = ["cells", "cell_type", "source", "metadata", KEY, "exercise", "role"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "This file is empty"),
        (solved(RIGHT)[:-20], "damaged or no notebook"),
        (b"\x00\xff\x00", "damaged or no notebook"),
        (b"[" * 100_000, "damaged or no notebook"),
        (b"[1, 2]", "no notebook"),
        (b'{"cells": 3}', "no cells"),
        (b'{"cells": [], "metadata": {"kernelspec": {"name": "ir", "language": "R"}}}', "is for r"),
        (json.dumps({"cells": [{}] * 3000}).encode(), "3,000 cells"),
    ],
)
def test_a_file_that_is_no_notebook_gets_a_reason(data, message):
    with pytest.raises(UnreadableNotebook, match=message):
        read(data)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(NAMES),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_no_json_breaks_reading(content):
    with contextlib.suppress(UnreadableNotebook):
        read(json.dumps(content).encode(), IDS)


@given(st.binary(max_size=200))
def test_no_bytes_break_reading(data):
    with pytest.raises(UnreadableNotebook):
        read(data)


def test_fifty_megabytes_of_output_are_read_quickly_and_dropped():
    cell = {
        "cell_type": "code",
        "source": "x = 1",
        "outputs": [{"output_type": "stream", "text": ["x" * 1000] * 50_000}],
    }
    data = json.dumps({"cells": [cell]}).encode()
    assert len(data) > 50 * 10**6
    began = time.perf_counter()
    assert read(data).code == ("x = 1",)
    assert time.perf_counter() - began < 5


def test_written_answers_are_found_with_and_without_metadata():
    def lose(notebook):
        for cell in notebook.cells:
            cell.metadata = {}

    for change in (lambda notebook: None, lose):
        assert read(solved(RIGHT, change=change), IDS).written == {"ch03-q4": "Paired, by seed."}
    assert read(solved({}), IDS).written == {}


def test_cells_that_check_are_not_run_again():
    assert not any("exercises.check" in cell for cell in read(solved(RIGHT)).code)


def test_old_notebooks_and_other_encodings_are_read():
    old = {"nbformat": 3, "worksheets": [{"cells": [{"cell_type": "code", "input": ["x = 1"]}]}]}
    assert read(json.dumps(old).encode()).code == ("x = 1",)
    for encoding in ("utf-16", "utf-8-sig"):
        assert read(
            json.dumps({"cells": [{"cell_type": "code", "source": "é"}]}, ensure_ascii=False).encode(encoding)
        ).code == ("é",)


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


SUBMISSIONS = {  # what each student hands in, and the points of the two coded exercises
    "right": (solved(RIGHT), (2, 2)),
    "renamed": (solved(RIGHT, change=untagged), (2, 2)),
    "reordered": (solved(RIGHT, change=shuffled), (2, 2)),
    "kernel": (solved(RIGHT, change=other_kernel), (2, 2)),
    "extra": (solved(RIGHT, change=with_helpers), (2, 2)),
    "wrong": (solved({**RIGHT, "ch03-q1": SHARED.replace(" / keep_prob", "")}), (0, 2)),
    "partly": (solved({**RIGHT, "ch03-q1": SHARED.replace("return x *", "x *=") + "    return x\n"}), (1, 2)),
    "untouched": (solved({}), (0, 0)),
    "loops": (
        solved({**RIGHT, "ch03-q1": "import signal\nsignal.setitimer = lambda *_: None\nwhile True: pass"}),
        (0, 0),
    ),
    "exits": (solved({**RIGHT, "ch03-q2": "import os\nos._exit(0)"}), (0, 0)),
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
        return main(["grade", "hw2/assignment.toml", "submissions", "--jobs", "2", "--seconds", "20", *options])

    assert grading() == 0
    assert "9 wait for marks by hand" in capsys.readouterr().out

    def rows():
        with open("graded/grades.csv", newline="") as file:
            return {row["name"]: row for row in csv.DictReader(file)}

    for name, (_, points) in SUBMISSIONS.items():
        assert (float(rows()[name]["ch03-q1"]), float(rows()[name]["ch03-q2"])) == points, name
    assert "Kept values are passed on as they are" in Path("graded/feedback/wrong-5.md").read_text()
    assert "damaged or no notebook" in Path("graded/feedback/broken-10.html").read_text()
    assert "No answer came: the notebook ended Python by itself" in Path("graded/feedback/exits-9.md").read_text()

    # Marks by hand are merged, and survive grading again.
    with open("graded/marks.csv", newline="") as file:
        sheet = list(csv.DictReader(file))
    assert {row["student"] for row in sheet} == {
        f"{name}-{n}" for n, name in enumerate(SUBMISSIONS) if name not in ("untouched", "broken")
    }
    for row in sheet:
        row["points"], row["comment"] = "5", "Say how you paired."
    with open("graded/marks.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, sheet[0].keys())
        writer.writeheader()
        writer.writerows(sheet)
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
    assert len(canvas_rows) == 1 + len(SUBMISSIONS)

    # The book and the assignment are published, and the solution is not, wherever it has got to.
    chapter = ROOT / "chapters" / "03_training_with_dropout.ipynb"
    root = private_repository(
        tmp_path / "private",
        {
            "chapters/03.ipynb": chapter.read_text(encoding="utf-8"),
            "homework.ipynb": Path("hw2/homework-2.ipynb").read_text(encoding="utf-8"),
            "instructor/ch03-q1.py": f"# %% reference\n{SHARED}",
        },
    )
    monkeypatch.chdir(root)
    assert main(["publish", "../public"]) == 0
    assert (tmp_path / "public" / "homework.ipynb").exists()
    assert not (tmp_path / "public" / "instructor").exists()
    (root / "homework.ipynb").write_bytes(solved(RIGHT))
    commit(root)
    assert main(["publish", "../again"]) == 2
    assert "homework.ipynb: has a line of the solution of ch03-q1" in capsys.readouterr().err
    assert not (tmp_path / "again").exists()


STEALING = """
import glob, json
found = []
for path in glob.glob({here!r} + "/**", recursive=True) + [{here!r} + "/instructor/ch03-q2.py"]:
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
    right = solved({**RIGHT, "ch03-q2": f"left = ({INPUTS * HIDDEN}, {HIDDEN})"})
    thief = solved({**RIGHT, "ch03-q2": STEALING.format(here=str(tmp_path))})
    flood = solved({**RIGHT, "ch03-q2": FLOODING})
    handed_in = {
        "a_1_1_hw.ipynb": right,
        "b_2_2_hw.ipynb": thief,
        "c_3_3_hw.ipynb": flood,
        "d_4_4_hw.ipynb": right + b" ",
    }
    tree(tmp_path / "submissions", handed_in)
    tree(tmp_path, {"instructor/ch03-q2.py": f"left = ({INPUTS * HIDDEN}, {HIDDEN})".encode()})
    assert main(["grade", "hw2/assignment.toml", "submissions", "--jobs", "1", "--seconds", "60"]) == 0
    with open("graded/grades.csv", newline="") as file:
        points = {row["name"]: (float(row["ch03-q1"]), float(row["ch03-q2"])) for row in csv.DictReader(file)}
    assert points["a"] == points["d"] == (2, 2)
    assert points["b"] == (2, 0)
    assert points["c"][1] == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "submissions").iterdir()} == handed_in
    assert b"left" in (tmp_path / "instructor" / "ch03-q2.py").read_bytes()


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


# --- reports

RESULT = StudentResult(
    "eve-7",
    "=HYPERLINK(1)",
    "hw.ipynb",
    "key",
    (
        ExerciseResult(
            "ch03-q1", "one mask", 1.0, 2.0, ("<script>alert(1)</script>\n```\n# not a heading",), "exercises.check(1)"
        ),
        ExerciseResult("ch03-q4", "how long", None, 6.0, answer="Because."),
    ),
    {"canvas": "7"},
)


def test_what_a_student_wrote_stays_text_in_feedback():
    page, text = feedback_html(HOMEWORK, RESULT), feedback_markdown(HOMEWORK, RESULT)
    assert "<script>" not in page
    assert "````text\n<script>" in text
    assert "1 of 8 points" in page


def test_a_name_is_no_formula():
    assert "'=HYPERLINK(1)" in canvas_csv(HOMEWORK, [RESULT])


def test_canvas_grade_book_is_filled_in_by_id(tmp_path):
    book = tmp_path / "book.csv"
    book.write_text(
        'Student,ID,Section,Homework 2 (99),Homework 3\n"    Points Possible",,,10,5\n"Eve, E.",7,A,,3\n"Bob, B.",8,A,4,4\n'
    )
    marked = RESULT.marked({("eve-7", "ch03-q4"): (5.0, "")})
    table = list(csv.reader(io.StringIO(canvas_csv(HOMEWORK, [marked], book))))
    assert table[1][3] == "10"
    assert table[2:] == [["Eve, E.", "7", "A", "6.0", "3"], ["Bob, B.", "8", "A", "4", "4"]]
    book.write_text("Name,Score\n")
    with pytest.raises(ValueError, match="gradebook must be Canvas's export"):
        canvas_csv(HOMEWORK, [RESULT], book)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("eve-7,ch03-q4,7,6,", "row 2: points must be a number from 0 to 6, got '7'"),
        ("eve-7,ch03-q4,nan,6,", "points must be a number"),
        ("eve-7,ch03-q4,good,6,", "points must be a number"),
        ("bob,ch03-q4,3,6,", "there is no written answer of 'bob'"),
        ("eve-7,ch03-q1,1,2,", "there is no written answer of 'eve-7' to 'ch03-q1'"),
    ],
)
def test_a_mark_that_cannot_be_is_refused_and_nothing_is_written(tmp_path, row, message):
    sheet = tmp_path / "marks.csv"
    sheet.write_text(f"student,exercise,points,out_of,comment\n{row}\n")
    with pytest.raises(ValueError, match=message):
        write_all(HOMEWORK, [RESULT], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["marks.csv"]
    sheet.write_text("who,what\n")
    with pytest.raises(ValueError, match="must have the columns"):
        read_marks(sheet, [RESULT])


def test_gradescope_gets_scores_that_add_up():
    content = json.loads(gradescope_json(HOMEWORK, RESULT))
    assert content["score"] == sum(test["score"] for test in content["tests"]) == 1


def test_a_result_survives_its_file_and_a_damaged_one_is_made_again(tmp_path):
    path = tmp_path / "eve.json"
    save(RESULT, path)
    assert load(path) == RESULT
    path.write_text(path.read_text()[:-5])
    assert load(path) is None
