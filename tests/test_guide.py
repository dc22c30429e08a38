"""The instructor's guide: its commands print what it says, in the order in which it leads through an assignment."""

import csv
import io
import re
import shlex
import zipfile
from pathlib import Path

import nbformat
import pytest
import reading_time  # of the folder book
from homework import HOMEWORK, SHARED, needs_sandbox

from dropout_lessons import exercises, widgets
from dropout_lessons.cli import _parser, main
from dropout_lessons.exercises.exercise import KINDS, LEVELS, TOPICS
from dropout_lessons.exercises.notebook import KEY, marker
from dropout_lessons.grading import read_assignment
from dropout_lessons.grading.assignment import student_notebook
from dropout_lessons.grading.marks import code_name

BOOK = Path(__file__).parents[1] / "book"
GUIDE = (BOOK / "assigning.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"```bash\n(dropout-lessons [^\n]+)\n```\n\n```text\n(.*?)```", GUIDE, re.DOTALL)
EVERY = re.findall(r"^dropout-lessons ([^\n]+)$", GUIDE, re.MULTILINE)
LATE = re.search(r"```toml\n(.*?)```", GUIDE, re.DOTALL)[1]
ROWS = re.search(r"add:\n\n```text\n(.*?)```", GUIDE, re.DOTALL)[1]
PAGE = re.search(r"````markdown\n(.*?)````", GUIDE, re.DOTALL)[1]
CLASS = [  # Canvas's names, with what is answered, in the order of the assignment; None is a stub as it was
    ("annlee_101_1_homework-2.ipynb", (SHARED, "left = ({input_keep_prob} * {keep_prob}, {keep_prob})", None, "Half.")),
    ("boblee_LATE_102_2_homework-2.ipynb", (SHARED.replace(" / keep_prob", ""), "left = 0.5", None, "One, always.")),
]
MARKS = {"annlee-101": (3, "Say why."), "boblee-102": (1, "Which variance do you mean?")}


def handed_in(assignment):
    """The class of the guide, as Canvas exports it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, answers in CLASS:
            notebook = student_notebook(assignment)
            for exercise, answer in zip(assignment.definitions(), answers, strict=True):
                (cell,) = (
                    one for one in notebook.cells if one.metadata[KEY] == {"exercise": exercise.id, "role": "answer"}
                )
                if cell.cell_type == "markdown":
                    cell.source = f"{marker(exercise.id)}\n\n{answer}"
                elif answer:
                    values = exercise.values(assignment.variant)
                    cell.source = re.sub(r"\{(\w+)\}", lambda match, values=values: str(values[match[1]]), answer)
            archive.writestr(name, nbformat.writes(notebook))
        archive.writestr("evelee_103_3_homework-2.pdf", "%PDF-1.4")
    return buffer.getvalue()


def saved_by_the_marking_sheet(exercise):
    secret = Path("graded/.secret").read_bytes()
    rows = [(code_name(secret, student), exercise, *mark) for student, mark in MARKS.items()]
    buffer = io.StringIO()
    csv.writer(buffer).writerows([("student", "exercise", "points", "comment"), *rows])
    return buffer.getvalue()


def same_seed(text):
    return re.sub(r"seed=\d+", "seed=...", text)


@needs_sandbox
def test_the_guide_shows_what_its_commands_print_one_after_the_other(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assignment = HOMEWORK  # until the guide has made its own
    for command, shown in SHOWN:
        if "publish" in command:
            continue  # another test exports a repository
        if "--marks" in command:
            Path("marking.csv").write_text(saved_by_the_marking_sheet(assignment.exercises[-1]))
            assert same_seed(Path("graded/feedback/boblee-102.md").read_text()) == same_seed(PAGE)
        if command.endswith("submissions.zip"):
            with open("graded/marks.csv", "a", encoding="utf-8") as file:
                file.write(ROWS)
        assert main(shlex.split(command)[1:]) == 0, command
        printed = capsys.readouterr().out
        assert [line.rstrip() for line in printed.splitlines()] == shown.splitlines(), command
        if " assign " in command:
            with open("hw2/assignment.toml", "a", encoding="utf-8") as file:
                file.write(f"\n{LATE}")
            assignment = read_assignment(Path("hw2/assignment.toml"))
            Path("submissions.zip").write_bytes(handed_in(assignment))


@pytest.mark.parametrize("command", EVERY)
def test_every_command_of_the_guide_exists(command):
    assert _parser().parse_args(shlex.split(command)).command


@pytest.mark.parametrize("page", ["teaching.md", "assigning.md"])
def test_the_guide_names_exercises_that_there_are(page):
    named = set(re.findall(rf"\b(?:{'|'.join(TOPICS)})-\d+\b", (BOOK / page).read_text(encoding="utf-8")))
    assert named
    assert named <= set(exercises.bank())


def test_every_chapter_has_its_part_of_the_guide():
    found = re.findall(r"^### (\d+)\. ", (BOOK / "teaching.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert found == [str(number) for number in TOPICS.values()]


def test_every_chapter_has_exercises_of_each_level_and_two_that_a_program_checks():
    for number in set(TOPICS.values()) - {0}:  # chapter 0 is the way in
        mine = [one for one in exercises.bank().values() if one.chapter == number]
        assert {one.level for one in mine} == set(LEVELS), number
        assert sum(isinstance(one, exercises.Coded) for one in mine) >= 2, number
    assert {one.kind for one in exercises.bank().values()} == set(KINDS)
    assert len(exercises.bank()) >= 30


CHAPTERS = sorted((BOOK.parent / "chapters").glob("*.ipynb"))
PLAN = dict(
    re.findall(
        r"^\| \[[^\]]+\]\(\.\./chapters/(\w+)\) \| (.+ \| \d+ \| \d+) \|$",
        (BOOK / "teaching.md").read_text("utf-8"),
        re.M,
    )
)
FIRST_PAGE = (BOOK / "index.md").read_text("utf-8")
INTERACTIVE = {name for name in widgets.__all__ if name[0].isupper()}


def row_of(chapter: str) -> list[str]:
    """What the guide's table says of a chapter: what it needs, minutes to read, minutes to run."""
    assert chapter in PLAN, f"add a row for {chapter} to the table of chapters in book/teaching.md"
    return PLAN[chapter].split(" | ")


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_and_the_guide_say_how_long_it_takes_to_read_as_it_is_counted(path):
    chapter = nbformat.read(path, as_version=4)
    counted = reading_time.minutes(chapter, INTERACTIVE)
    assert f"Reading takes about {counted} minutes" in " ".join(chapter.cells[0].source.split())
    assert row_of(path.stem)[1] == str(counted)
    card = re.search(rf"^:link: \.\./chapters/{path.stem}$.*?^(\d+) minutes", FIRST_PAGE, re.M | re.DOTALL)
    assert card is not None, f"add a card for {path.stem} to book/index.md"
    assert card[1] == str(counted)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_and_the_guide_ask_for_the_same_chapters(path):
    first = " ".join(nbformat.read(path, as_version=4).cells[0].source.split())
    needs = re.search(r"You need (.+?)\. Reading", first)[1]
    linked = {int(number) for number in re.findall(r"\((\d\d)_\w+\.ipynb\)", needs)}
    asked = re.match(r"(?:chapters? ([\d, and]+))?", row_of(path.stem)[0])[1] or ""
    assert linked == {int(number) for number in re.findall(r"\d+", asked)}
