"""What helps whoever marks: the sheet, statistics of a class, and answers that are alike."""

import csv
import re
from dataclasses import replace

from homework import HOMEWORK, SHARED, tree
from test_marks import BOB, CODED, RESULT, WRITTEN

from dropout_lessons.cli import main
from dropout_lessons.grading import Given, assign, items, items_text, write_all
from dropout_lessons.grading.grader import grade_one
from dropout_lessons.grading.notebooks import Part
from dropout_lessons.grading.results import save
from dropout_lessons.grading.similar import ALIKE, likeness, similar
from dropout_lessons.grading.statistics import items_page
from dropout_lessons.grading.submissions import Submission

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
RUBRIC = """# Reference

Because.

# Rubric

| points | what earns them |
| --- | --- |
| 4 | says why |
| 2.5 | says <b>how</b> |
"""
EVIL = (Part("text", "</pre><script>document.title = 'evil'</script>"), Part("figure", f"image/png;base64,{PIXEL}"))


def answering(result, *parts):
    rows = tuple(replace(one, answer=parts) if one.exercise == WRITTEN else one for one in result.exercises)
    return replace(result, exercises=rows)


def test_marks_are_given_on_a_page_without_names_and_come_back(tmp_path, browser):
    tree(tmp_path, {f"rubrics/{WRITTEN}.md": RUBRIC.encode(), ".secret": b"secret"})
    results = [answering(RESULT, *EVIL), answering(BOB, Part("code", "plot(1 < 2)"))]
    write_all(HOMEWORK, results, tmp_path, Given(rubrics=tmp_path / "rubrics"))
    text = (tmp_path / "marking.html").read_text(encoding="utf-8")
    assert not re.search(r"eve-7|bob-8|Bob|HYPERLINK", text)
    page = browser.new_context(offline=True, accept_downloads=True).new_page()
    page.set_default_timeout(10_000)
    complaints = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto((tmp_path / "marking.html").as_uri())
    assert page.title() == "Marking: Homework 2"
    assert page.locator("output").inner_text() == "0 of 2 marked"
    assert page.locator("img").evaluate("image => image.naturalWidth") == 1
    first = page.locator("article").filter(has=page.locator("img"))
    for words in ("says why", "says <b>how</b>"):
        first.get_by_label(words).check()
    assert first.get_by_label("Points, out of 6").input_value() == "6", "no more than there are"
    assert first.get_by_label("Comment").input_value() == "", "nothing is missing"
    first.get_by_label("says <b>how</b>").uncheck()
    assert first.get_by_label("Comment").input_value() == "Missing (2.5): says <b>how</b>"
    first.get_by_label("Comment").fill('=Good, "mostly"\nRead on.')
    page.reload()
    assert page.locator("output").inner_text() == "1 of 2 marked", "what was entered is kept"
    first.get_by_label("says why").uncheck()
    first.get_by_label("says why").check()
    assert first.get_by_label("Comment").input_value() == '=Good, "mostly"\nRead on.', "and what a human wrote stays"
    with page.expect_download() as download:
        page.get_by_role("button").click()
    download.value.save_as(tmp_path / "saved.csv")
    eve, bob = write_all(HOMEWORK, results, tmp_path, Given(marks=tmp_path / "saved.csv"))
    assert (eve.exercises[2].points, eve.exercises[2].reasons) == (4, ('=Good, "mostly"\nRead on.',))
    assert bob.exercises[2].points is None
    assert complaints == []


def test_the_sheet_says_why_there_is_no_answer_and_shows_text_from_elsewhere(tmp_path):
    rows = [replace(row, reasons=("Nothing was <found>.",)) if row.by_hand else row for row in RESULT.exercises]
    result = answering(replace(RESULT, exercises=tuple(rows)), Part("text", "Paired, by seed."))
    (tmp_path / "marks.csv").write_text(f"student,exercise,comment\neve-7,{WRITTEN},Where is it?\n")
    write_all(HOMEWORK, [result], tmp_path)
    page = (tmp_path / "marking.html").read_text(encoding="utf-8")
    assert "<em>Nothing was &lt;found&gt;.</em>" in page
    assert "Paired, by seed." in page
    assert page.count("Where is it?") == 1


def test_what_was_typed_into_the_platform_stands_on_the_sheet_where_there_is_no_notebook(tmp_path):
    typed = Submission(
        "eve-7", "Eve", "", "", None, problem="There is no notebook.", typed="(a) XOR.\n(b) <b>Damage</b>."
    )
    result = grade_one(HOMEWORK, typed)
    assert [one.points for one in result.exercises if not one.by_hand] == [0.0, 0.0]
    write_all(HOMEWORK, [result], tmp_path)
    page = (tmp_path / "marking.html").read_text(encoding="utf-8")
    assert "Typed into the platform:\n(a) XOR.\n(b) &lt;b&gt;Damage&lt;/b&gt;." in page


def test_a_sheet_without_rubrics_says_how_to_show_them(tmp_path):
    write_all(HOMEWORK, [answering(RESULT, Part("text", "Paired."))], tmp_path)
    assert "grade --rubrics FOLDER" in (tmp_path / "marking.html").read_text(encoding="utf-8")


def test_what_a_browser_has_kept_takes_back_no_newer_mark(tmp_path, browser):
    write_all(HOMEWORK, [RESULT], tmp_path)
    page = browser.new_context(offline=True, accept_downloads=True).new_page()
    page.set_default_timeout(10_000)
    page.goto((tmp_path / "marking.html").as_uri())
    page.get_by_label("Points").fill("2")
    page.get_by_label("Comment").fill("Why?")
    rows = (tmp_path / "marks.csv").read_text(encoding="utf-8-sig").replace(f"{WRITTEN},,", f"{WRITTEN},5,")
    (tmp_path / "marks.csv").write_text(rows)
    write_all(HOMEWORK, [RESULT], tmp_path)
    page.goto((tmp_path / "marking.html").as_uri())
    assert page.get_by_label("Points").input_value() == "5"
    assert page.get_by_label("Comment").input_value() == "Why?"
    with page.expect_download() as download:
        page.get_by_role("button").click()
    download.value.save_as(tmp_path / "saved.csv")
    with (tmp_path / "saved.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [(row["points"], row["comment"]) for row in csv.DictReader(file)] == [("", "Why?")]


def test_statistics_say_what_the_class_did_not_understand(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assign(HOMEWORK.exercises, HOMEWORK.title, tmp_path / "hw2", variant=7)
    half = RESULT.exercises[0]
    rows = {
        "a": half,
        "b": half,
        "c": replace(half, points=2.0, diagnoses=()),
        "d": replace(half, points=0.0, diagnoses=("unscaled",)),
    }
    results = [
        replace(RESULT, student=name, ids={}, exercises=(row, *RESULT.exercises[1:])) for name, row in rows.items()
    ]
    (tmp_path / "graded" / "results").mkdir(parents=True)
    for result in results:
        save(result, tmp_path / "graded" / "results" / f"{result.student}.json")
    write_all(HOMEWORK, results, tmp_path / "graded")
    first, second, third = items(HOMEWORK, results)
    assert (first.right, first.mean, first.answered) == (0.25, 0.5, 4)
    assert first.diagnoses == (("in-place", 2), ("unscaled", 1))
    assert first.histogram == (1, 0, 2, 0, 1)
    assert (second.right, third.waiting) == (1, 4)
    assert main(["statistics", "hw2/assignment.toml"]) == 0
    assert capsys.readouterr().out == items_text([first, second, third]) + "\n"
    assert "in-place" in items_page(HOMEWORK, results)


COPY = SHARED.replace("x", "inputs").replace("keep_prob", "p") + "# my own work\n"
LONG = "\n".join(f"    total = total + weights[{number}] * values[{number}]  # {number}" for number in range(8))


def test_a_copy_with_other_names_and_comments_is_remarked_and_what_all_share_is_not():
    def answer(result, code):
        return replace(
            result, exercises=(replace(result.exercises[0], answer=(Part("code", code),)), *result.exercises[1:])
        )

    copied = LONG.replace("total", "s").replace("weights", "w").replace("#", "# copied")
    results = [answer(RESULT, LONG), answer(BOB, copied), answer(replace(BOB, student="joe"), "x = [1, 2, 3]\n" * 20)]
    assert similar(HOMEWORK, results) == [
        f"bob-8 and eve-7: 100% alike in {CODED}; look at both before you think anything of it"
    ]
    everybody = [replace(results[0], student=f"student-{number}") for number in range(20)]
    assert similar(HOMEWORK, everybody) == []


def test_short_answers_are_alike_by_themselves():
    assert likeness(SHARED, COPY) == 1
    assert likeness(SHARED, LONG) < ALIKE / 2


def test_remarks_are_written_with_the_others(tmp_path):
    results = [answering(RESULT, Part("text", "word " * 5 + "other words of an answer " * 20)) for _ in range(1)]
    results.append(replace(results[0], student="zoe", ids={}))
    write_all(HOMEWORK, results, tmp_path)
    assert f"eve-7 and zoe: 100% alike in {WRITTEN}" in (tmp_path / "remarks.txt").read_text()
    with (tmp_path / "grades.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row["student"] for row in csv.DictReader(file)] == ["eve-7", "zoe"]
