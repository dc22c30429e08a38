"""How the interactives' own source is written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dropout_lessons import widgets

FOLDER = Path(widgets.__file__).parent
LONGEST_FUNCTION, LONGEST_FILE = 70, 400


def top_level_blocks(module: str) -> dict[str, int]:
    """The lines of everything that a module says at its top level; what is nested is shorter."""
    lengths, name, start = {}, "", 0
    for number, line in enumerate(module.splitlines()):
        if re.match(r"(export |async )*(function|class|const|let|var)\b", line):
            name, start = line, number
        if re.match(r"[})\]]", line):
            lengths[name] = number - start + 1
    return lengths


def test_the_length_of_a_function_is_counted() -> None:
    lengths = top_level_blocks(
        "const A = 1;\n\nfunction f(x) {\n  if (x) {\n  }\n}\nconst g = (x) => {\n  return x;\n};\n"
    )
    assert lengths == {"function f(x) {": 4, "const g = (x) => {": 3}


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.js")), ids=lambda path: path.name)
def test_no_function_of_an_interactive_is_longer_than_a_screen(path: Path) -> None:
    lengths = top_level_blocks(path.read_text(encoding="utf-8"))
    assert lengths
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.*")), ids=lambda path: path.name)
def test_no_file_of_an_interactive_is_too_long_to_be_read(path: Path) -> None:
    if path.suffix in {".js", ".css", ".py"}:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE
