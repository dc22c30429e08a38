"""Write the exercises of the bank into the chapters: `make exercises`.

An exercise stays where it stands in its chapter; a new one goes before the summary. `--check` writes nothing, and fails
if a chapter does not show what the bank says.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from dropout_lessons.exercises import bank
from dropout_lessons.exercises.notebook import KEY, cells

ROOT = Path(__file__).resolve().parents[1]


def placed(chapter: NotebookNode, number: int) -> list[NotebookNode]:
    """The cells that a chapter should have."""
    wanted = {exercise.id: cells(exercise) for exercise in bank().values() if exercise.chapter == number}
    if not wanted:
        return list(chapter.cells)
    found: list[NotebookNode] = []
    for cell in chapter.cells:
        exercise = cell.metadata.get(KEY, {}).get("exercise")
        if exercise is None:
            if re.match(r"## Summary\b", cell.source):
                for new in list(wanted):
                    found += wanted.pop(new)
            found.append(cell)
        else:
            found += wanted.pop(exercise, [])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    changed = []
    for path in sorted(ROOT.glob("chapters/*.ipynb")):
        chapter = nbformat.read(path, as_version=4)
        before = nbformat.writes(chapter)
        chapter.cells = placed(chapter, int(path.stem[:2]))
        if nbformat.writes(chapter) == before:
            continue
        changed.append(path.name)
        if not check:
            aside = path.with_suffix(".new")
            aside.write_text(nbformat.writes(chapter) + "\n", encoding="utf-8")
            aside.replace(path)
    print(f"{len(changed)} chapters {'differ from the bank' if check else 'written'}: {', '.join(changed) or 'none'}")
    return int(check and bool(changed))


if __name__ == "__main__":
    sys.exit(main())
