"""What is handed back, and the last word: marks, overrides, grade books, feedback."""

import csv
import io
import json
import zipfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from homework import HOMEWORK

from dropout_lessons.grading import Given, write_all
from dropout_lessons.grading.assignment import LatePolicy, read_assignment
from dropout_lessons.grading.feedback import feedback_html, feedback_markdown, gradescope_json
from dropout_lessons.grading.marks import Mark, code_name, marked, read_marks
from dropout_lessons.grading.notebooks import Part
from dropout_lessons.grading.results import ExerciseResult, StudentResult, load, save
from dropout_lessons.grading.solutions import answers
from dropout_lessons.grading.tables import canvas_csv, filled_in

ROOT = Path(__file__).parents[1]
CODED, OTHER, WRITTEN = HOMEWORK.exercises
LOST = ("<script>alert(1)</script>\n```\n# not a heading",)
RESULT = StudentResult(
    "eve-7",
    "=HYPERLINK(1)",
    "hw.ipynb",
    "key",
    (
        ExerciseResult(CODED, "one mask", 1.0, 2.0, LOST, "exercises.check(1)", diagnoses=("in-place",)),
        ExerciseResult(OTHER, "what is left", 2.0, 2.0),
        ExerciseResult(WRITTEN, "how long", None, 6.0, answer=(Part("text", "Because."),), by_hand=True),
    ),
    {"canvas": "7", "place": "eve_7_99_hw.ipynb"},
)
BOB = replace(
    RESULT, student="bob-8", name="Bob", ids={"canvas": "8", "moodle": "31", "place": "Bob_31_assignsubmission_file_"}
)
HEADER = "student,exercise,points,bonus,excused,comment,out_of"


def written(folder, *rows, results=(RESULT, BOB), header=HEADER, homework=HOMEWORK):
    """Results with these rows in the sheet of marks, by student."""
    (folder / "marks.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return {result.student: result for result in write_all(homework, results, folder)}


def test_what_a_student_wrote_stays_text_in_feedback():
    page, text = feedback_html(HOMEWORK, RESULT), feedback_markdown(HOMEWORK, RESULT)
    assert "<script>" not in page
    assert "````text\n<script>" in text
    assert "3 of 10 points" in page


def test_a_name_is_no_formula():
    assert "'=HYPERLINK(1)" in canvas_csv(HOMEWORK, [RESULT])


# --- the last word


def test_a_human_has_the_last_word_on_any_exercise(tmp_path):
    found = written(
        tmp_path,
        f"eve-7,{CODED},2,,,The check was wrong.,",
        f"eve-7,{WRITTEN},5,0.5,,Well argued.,",
        f"*,{OTHER},,,yes,The question was unclear.,",
    )
    eve, bob = found["eve-7"], found["bob-8"]
    assert (eve.points, eve.out_of, eve.waits) == (7.5, 8, False)
    assert (bob.points, bob.out_of, bob.waits) == (1, 8, True)
    page = (tmp_path / "feedback" / "eve-7.md").read_text()
    assert all(
        said in page for said in ("The check was wrong.", "Well argued.", "excused, counts neither way", "and +0.5")
    )
    assert "not a heading" not in page


def test_what_a_human_wrote_is_applied_in_every_run_and_never_lost(tmp_path):
    rows = [f"eve-7,{CODED},2,,,Right.,", f"gone-9,{WRITTEN},4,,,Dropped out.,", f"bob-8,{WRITTEN},,,,Half read.,"]
    written(tmp_path, *rows)
    for results in ([BOB], [RESULT, BOB], [RESULT, BOB]):
        found = {result.student: result for result in write_all(HOMEWORK, results, tmp_path)}
    assert found["eve-7"].points == 4
    assert "Half read." in found["bob-8"].exercises[2].reasons
    assert "no submission of 'gone-9'" in (tmp_path / "remarks.txt").read_text()
    with (tmp_path / "marks.csv").open(encoding="utf-8-sig", newline="") as file:
        kept = {(row["student"], row["exercise"]): (row["points"], row["comment"]) for row in csv.DictReader(file)}
    assert kept[("eve-7", CODED)] == ("2.0", "Right.")
    assert kept[("gone-9", WRITTEN)] == ("4.0", "Dropped out.")
    assert kept[("bob-8", WRITTEN)] == ("", "Half read.")


def test_a_row_finds_its_student_by_the_one_who_is_called_so_and_says_if_there_is_none(tmp_path):
    said = []
    rows = [f"Bob,{CODED},2,,,,", f"31,{WRITTEN},4,,,,", f"Eev,{WRITTEN},5,,,,"]
    (tmp_path / "marks.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    _, bob = write_all(HOMEWORK, [RESULT, BOB], tmp_path, tell=said.append)
    assert (bob.exercises[0].points, bob.exercises[2].points) == (2, 4)
    assert len(said) == 1
    assert said[0].startswith("warning: marks.csv: no submission of 'Eev', so the row for training-4 counts nothing")
    (tmp_path / "marks.csv").write_text(f"{HEADER}\nBob,{WRITTEN},4,,,,\n")
    both = write_all(HOMEWORK, [BOB, replace(RESULT, student="joe", name="Bob")], tmp_path)
    assert all(one.waits for one in both), "a name of two is nobody's"


def test_who_is_missing_from_an_export_and_what_could_not_be_read_is_said(tmp_path):
    said = []
    (tmp_path / "results").mkdir()
    for result in (RESULT, BOB):
        save(result, tmp_path / "results" / f"{result.student}.json")
    unread = replace(BOB, problem="This file is empty.")
    write_all(HOMEWORK, [unread], tmp_path, tell=said.append)
    assert said == [
        "warning: 1 student graded before is not in this export, nor in the tables now: eve-7; give the whole new export"
    ]
    assert "bob-8: This file is empty." in (tmp_path / "remarks.txt").read_text()
    assert (tmp_path / "grades.csv").read_bytes().startswith(b"\xef\xbb\xbf"), "as Excel wants it"


TEXT = f"student;exercise;points;comment\r\neve-7;{WRITTEN};3,5;Gut, aber für später zu kurz\r\n"


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("cp1252"),
        TEXT.encode("utf-16"),
        TEXT.replace(";", "\t").encode("utf-16"),
        b"sep=;\r\n" + TEXT.encode("cp1252"),
        TEXT.replace("3,5", '"3,5"').replace("Gut,", '"Gut,').replace("kurz", 'kurz"').replace(";", ",").encode(),
    ],
)
def test_a_sheet_is_read_however_excel_has_saved_it(tmp_path, data):
    (tmp_path / "sheet.csv").write_bytes(data)
    (found,) = read_marks(tmp_path / "sheet.csv", HOMEWORK, {}).items()
    assert found == (("eve-7", WRITTEN), Mark(3.5, comment="Gut, aber für später zu kurz"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (f"eve-7,{WRITTEN},7,,,,", "row 2: points must be a number from 0 to 6, got '7'; more is a bonus"),
        (f"eve-7,{WRITTEN},nan,,,,", "points must be a number"),
        (f"eve-7,{WRITTEN},good,,,,", "points must be a number"),
        (f"eve-7,{WRITTEN},,inf,,,", "bonus must be a number"),
        (f"eve-7,{WRITTEN},,,maybe,,", "excused must be yes or empty"),
        ("eve-7,nothing,1,,,,", "exercise must be one of"),
    ],
)
def test_a_mark_that_cannot_be_is_refused_and_nothing_is_written(tmp_path, row, message):
    with pytest.raises(ValueError, match=message):
        written(tmp_path, row)
    assert [path.name for path in tmp_path.iterdir()] == ["marks.csv"]
    with pytest.raises(ValueError, match="must have the columns"):
        written(tmp_path, header="who,what")


def test_marks_of_anonymous_answers_find_their_students(tmp_path):
    (tmp_path / ".secret").write_bytes(b"secret")
    name = code_name(b"secret", "eve-7")
    (tmp_path / "saved.csv").write_text(f"student,exercise,points,comment\n{name},{WRITTEN},4,Good\n")
    (eve, _) = write_all(HOMEWORK, [RESULT, BOB], tmp_path, Given(marks=tmp_path / "saved.csv"))
    assert eve.points == 7
    (eve, _) = write_all(HOMEWORK, [RESULT, BOB], tmp_path)
    assert eve.points == 7, "it is kept"


def test_a_sheet_replaces_the_fields_that_it_has_and_says_which(tmp_path):
    said = []
    (tmp_path / "marks.csv").write_text(f"{HEADER}\neve-7,{WRITTEN},4,1,,Read.,\nbob-8,{WRITTEN},,,yes,Ill.,\n")
    sheet = f"student,exercise,points,comment\neve-7,{WRITTEN},5,\nbob-8,{WRITTEN},3,Ill.\n"
    (tmp_path / "saved.csv").write_text(sheet)
    given = Given(marks=tmp_path / "saved.csv")
    eve, bob = write_all(HOMEWORK, [RESULT, BOB], tmp_path, given, tell=said.append)
    assert (eve.exercises[2].points, eve.exercises[2].bonus, eve.exercises[2].reasons) == (5, 1, ("Read.",))
    assert (bob.exercises[2].excused, bob.exercises[2].reasons) == (True, ("Ill.",))
    assert said == [f"1 mark replaced by {tmp_path / 'saved.csv'}:", f"  eve-7, {WRITTEN}, points: 4 -> 5"]


# --- coming late


def test_what_late_costs_stands_in_the_assignment(tmp_path):
    (tmp_path / "assignment.toml").write_text(
        f'''
title = "Homework 2"
[[exercise]]
id = "{CODED}"
points = 4
credit = {{ in-place = 0.75 }}
[late]
due = 2026-10-02T23:59:00
grace_minutes = 10
lost_per_day = 0.2
most = 0.5
'''
    )
    homework = read_assignment(tmp_path / "assignment.toml")
    assert homework.credit == {CODED: {"in-place": 0.75}}
    late = homework.late
    times = [datetime(2026, 10, 3, 0, 8), datetime(2026, 10, 3, 0, 10), datetime(2026, 10, 9)]
    assert [late.days(False, time) for time in times] == [0, 1, 6]
    assert late.days(True, None) == 1
    assert [late.share(days) for days in (0, 1, 2, 6)] == [0, 0.2, 0.4, 0.5]


def test_being_late_costs_a_share_of_what_was_earned_and_a_human_may_excuse_it(tmp_path):
    homework = replace(HOMEWORK, late=LatePolicy(lost_per_day=0.1))
    late = replace(RESULT, late=2)
    assert marked(homework, late, {}).points == pytest.approx(3 - 0.6)
    excused = marked(homework, late, {("eve-7", "late"): Mark(excused=True, comment="Ill.")})
    assert (excused.points, excused.remarks) == (3, ("Ill.",))
    assert "0.6 points (2 days late)" in feedback_markdown(homework, marked(homework, late, {}))


@pytest.mark.parametrize("line", ["lost_per_day = 3", "most = -1", "due = 3", "weeks = 1"])
def test_a_late_policy_that_cannot_be_is_refused(tmp_path, line):
    path = tmp_path / "assignment.toml"
    path.write_text(f'title = "x"\n[[exercise]]\nid = "{CODED}"\npoints = 1\n[late]\n{line}\n')
    with pytest.raises(ValueError, match=r"late|weeks"):
        read_assignment(path)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("[Late]\nmost = 0.5", "'Late' of the file is not known; did you mean 'late'"),
        ("[late]\nmots = 0.5", r"'mots' of \[late\] is not known; did you mean 'most'"),
        ("credit = { in-plaec = 0.5 }", f"'in-plaec' of credit of {CODED} is not known; did you mean 'in-place'"),
        ("credits = 3", r"'credits' of \[\[exercise\]\] is not known; did you mean 'credit'"),
        ("color = 3", r"is not known; there are credit, id, points"),
    ],
)
def test_a_name_that_an_assignment_does_not_know_is_refused(tmp_path, extra, message):
    path = tmp_path / "assignment.toml"
    path.write_text(f'title = "x"\n[[exercise]]\nid = "{CODED}"\npoints = 1\n{extra}\n')
    with pytest.raises(ValueError, match=message):
        read_assignment(path)


def test_each_diagnosis_that_the_solutions_name_may_have_credit(tmp_path):
    wrong = [one for path in (ROOT / "instructor").glob("*-[0-9]*.py") for one in answers(path) if one.diagnosis]
    path = tmp_path / "assignment.toml"
    for one in wrong:
        path.write_text(
            f'title = "x"\n[[exercise]]\nid = "{one.exercise}"\npoints = 1\ncredit = {{ {one.diagnosis} = 0.5 }}\n'
        )
        assert read_assignment(path).credit == {one.exercise: {one.diagnosis: 0.5}}


# --- grade books


def test_only_the_assignments_own_column_of_canvas_grade_book_is_changed(tmp_path):
    book = tmp_path / "book.csv"
    rows = [
        ["Student", "ID", "Section", "Homework 2 (99)", "Adjustment", "Homework 3"],
        ["    Points Possible", "", "", "10", "5", "5"],
        ["Eve, E.", "7", "=A", "", "-5", "+3"],
        ["Bob, B.", "9", "A", "4", "@x", "4"],
    ]
    with book.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    full = marked(HOMEWORK, RESULT, {("eve-7", WRITTEN): Mark(5.0)})
    name, text = filled_in(HOMEWORK, [full], book)
    expected = [row[:] for row in rows]
    expected[2][3] = "8.0"
    assert (name, list(csv.reader(io.StringIO(text)))) == ("canvas.csv", expected)
    for other in ("Name,Score\n", "ID,Bewertung,Bestwertung\n"):
        book.write_text(other)
        with pytest.raises(ValueError, match=r"gradebook must be Canvas's export.*in another language.*choose English"):
            filled_in(HOMEWORK, [RESULT], book)


def test_grading_says_which_file_is_the_grade_book_filled_in_and_that_some_are_left_empty(tmp_path):
    book = tmp_path / "book.csv"
    book.write_text("Student,ID,Homework 2 (99)\n,,\nEve,7,\n")
    told = []
    write_all(HOMEWORK, [RESULT], tmp_path / "out", Given(gradebook=book), tell=told.append)
    assert told == [
        f"{book} is filled in as {tmp_path / 'out' / 'canvas.csv'}, without points for those who wait for marks: upload that"
    ]


def test_moodles_grading_worksheet_is_filled_in(tmp_path):
    book = tmp_path / "book.csv"
    head = "Identifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,Feedback comments"
    book.write_text(
        f"{head}\nParticipant 31,Bob,-b@x,Submitted,,10.00,Yes,\nParticipant 32,Ann,a@x,No,3,10.00,Yes,old\n"
    )
    full = marked(HOMEWORK, BOB, {("bob-8", WRITTEN): Mark(5.0, comment="Good.")})
    name, text = filled_in(HOMEWORK, [full], book)
    first, second = list(csv.DictReader(io.StringIO(text)))
    assert (name, first["Grade"], first["Email address"], second["Grade"]) == ("moodle.csv", "8.0", "-b@x", "3")
    assert "how long: Good." in first["Feedback comments"]
    assert second["Feedback comments"] == "old"
    book.write_text(f"{head}\nParticipant 31,Bob,b@x,Submitted,,100.00,Yes,\n")
    with pytest.raises(ValueError, match="must be out of 10 points, as the assignment is, got 100"):
        filled_in(HOMEWORK, [full], book)


def test_a_grade_book_gets_the_share_of_what_was_not_excused(tmp_path):
    full = marked(HOMEWORK, BOB, {("bob-8", WRITTEN): Mark(excused=True)})
    assert (full.points, full.out_of) == (3, 4)
    assert list(csv.reader(io.StringIO(canvas_csv(HOMEWORK, [full]))))[1:] == [
        ["    Points Possible", "", "", "", "", "10"],
        ["Bob", "8", "", "", "", "7.5"],
    ]
    (tmp_path / "canvas.csv").write_text('Student,ID,Homework 2\n"Bob, B.",8,\n')
    (tmp_path / "moodle.csv").write_text("Identifier,Full name,Grade,Maximum Grade\nParticipant 31,Bob,,10.00\n")
    for book in ("canvas.csv", "moodle.csv"):
        assert "7.5" in filled_in(HOMEWORK, [full], tmp_path / book)[1]
    nothing = marked(HOMEWORK, BOB, {("bob-8", one): Mark(excused=True) for one in HOMEWORK.exercises})
    assert list(csv.reader(io.StringIO(canvas_csv(HOMEWORK, [nothing]))))[2][-1] == ""


def test_feedback_is_packed_under_the_platforms_own_names(tmp_path):
    write_all(HOMEWORK, [RESULT, replace(BOB, ids={key: BOB.ids[key] for key in ("moodle", "place")})], tmp_path)
    names = {kind: zipfile.ZipFile(tmp_path / f"feedback-{kind}.zip").namelist() for kind in ("canvas", "moodle")}
    assert names == {"canvas": ["eve_7_99_hw.html"], "moodle": ["Bob_31_assignsubmission_file_/feedback.html"]}


def test_gradescope_gets_scores_that_add_up():
    content = json.loads(gradescope_json(HOMEWORK, RESULT))
    assert content["score"] == sum(test["score"] for test in content["tests"]) == 3


def test_a_result_survives_its_file_and_a_damaged_one_is_made_again(tmp_path):
    path = tmp_path / "eve.json"
    save(RESULT, path)
    assert load(path) == RESULT
    path.write_text(path.read_text()[:-5])
    assert load(path) is None
