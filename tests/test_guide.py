"""The instructor's guide: its commands exist and print what it says, and it names exercises that there are."""

import re
import shlex
from pathlib import Path

import pytest

from dropout_lessons import exercises
from dropout_lessons.cli import _parser, main
from dropout_lessons.exercises.exercise import KINDS, LEVELS

BOOK = Path(__file__).parents[1] / "book"
GUIDE = (BOOK / "assigning.md").read_text(encoding="utf-8")
SHOWN = dict(re.findall(r"```bash\n(dropout-lessons [^\n]+)\n```\n\n```text\n(.*?)```", GUIDE, re.DOTALL))
EVERY = re.findall(r"^dropout-lessons ([^\n]+)$", GUIDE, re.MULTILINE)


@pytest.mark.parametrize("command", [command for command in SHOWN if "exercises" in command or "assign " in command])
def test_the_guide_shows_what_a_command_prints(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(command)[1:]) == 0
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == SHOWN[command].splitlines()


@pytest.mark.parametrize("command", EVERY)
def test_every_command_of_the_guide_exists(command):
    assert _parser().parse_args(shlex.split(command)).command


@pytest.mark.parametrize("page", ["teaching.md", "assigning.md"])
def test_the_guide_names_exercises_that_there_are(page):
    named = set(re.findall(r"\bch\d\d-q\d+\b", (BOOK / page).read_text(encoding="utf-8")))
    assert named
    assert named <= set(exercises.bank())


def test_every_chapter_has_its_part_of_the_guide():
    found = re.findall(r"^### (\d+)\. ", (BOOK / "teaching.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert found == [str(number) for number in range(1, 12)]


def test_every_chapter_has_exercises_of_each_level_and_two_that_a_program_checks():
    for number in range(1, 12):
        mine = [one for one in exercises.bank().values() if one.chapter == number]
        assert {one.level for one in mine} == set(LEVELS), number
        assert sum(isinstance(one, exercises.Coded) for one in mine) >= 2, number
    assert {one.kind for one in exercises.bank().values()} == set(KINDS)
    assert len(exercises.bank()) >= 30
