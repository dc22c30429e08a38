"""Give a claim another sentence and keep what its runs found: ``make reword OLD="It is so." NEW="The error is so."``.

A chapter whose code changes has to run again with all offsets of its seeds. Where nothing changes but the sentence of a claim,
its numbers stay what they were: here the sentence is changed in the chapter and in its runs, and nothing else is.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import nbformat
import replication
from replicate import CHAPTERS

from dropout_lessons.claims.showing import key_of
from dropout_lessons.runtime import replacing

WIDTH = 79  # of code on the page


def reword(old: str, new: str, chapters: Sequence[Path] = CHAPTERS, record: Path = replication.RECORD) -> Path:
    """Change the sentence of a claim, and return its chapter.

    Raises:
        ValueError: If the sentence is not that of one claim, as a text that no value is put into.
    """
    found = [
        (chapter, number, place)
        for chapter in chapters
        for number, cell in enumerate(nbformat.read(chapter, as_version=4).cells)
        for place in (places(cell.source, old) if cell.cell_type == "code" else ())
    ]
    if len(found) != 1:
        raise ValueError(
            f"OLD must be the whole sentence of one claim, with no value in it, got {old!r}, which {len(found)} have"
        )
    ((path, number, (start, stop)),) = found
    before, chapter = replication.code(path), nbformat.read(path, as_version=4)
    source = chapter.cells[number].source
    column = start - (source.rfind("\n", 0, start) + 1)
    chapter.cells[number].source = source[:start] + wrapped(new, column) + source[stop:]
    with replacing(path) as aside:
        aside.write_text(nbformat.writes(chapter) + "\n", encoding="utf-8")

    def renamed(run: replication.Run) -> replication.Run:
        claims = [
            {**claim, "key": key_of(new, claim["required"]), "statement": new} if claim["statement"] == old else claim
            for claim in run.claims
        ]
        return replace(run, code=replication.code(path), claims=claims)

    runs = replication.read(record)
    replication.write([renamed(run) if (run.chapter, run.code) == (path.stem, before) else run for run in runs], record)
    return path


def places(source: str, sentence: str) -> list[tuple[int, int]]:
    """Where in a cell's source the sentence stands as that of a claim, from its first quotation mark to its last."""
    code = re.sub(
        r"^(\s*)[%!].*", lambda line: line[1] + "pass".ljust(len(line[0]) - len(line[1]), "#"), source, flags=re.M
    )
    starts = [0]
    for line in code.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def at(line: int, column: int) -> int:  # Python counts columns in bytes
        text = code[starts[line - 1] : starts[line]]
        return starts[line - 1] + len(text.encode()[:column].decode())

    return [
        (at(said.lineno, said.col_offset), at(said.end_lineno or 0, said.end_col_offset or 0))
        for call in ast.walk(ast.parse(code))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "check" and call.args
        for said in call.args[:1]
        if isinstance(said, ast.Constant) and said.value == sentence
    ]


def wrapped(sentence: str, column: int) -> str:
    """The sentence as code: in one line if the page has room for it, else in several."""

    def quoted(text: str) -> str:
        return json.dumps(text, ensure_ascii=False)

    lines = [""]
    for word in re.findall(r"\S+\s*", sentence):
        if lines[-1] and column + len(quoted(lines[-1] + word)) + 1 > WIDTH:  # a comma follows the last
            lines.append("")
        lines[-1] += word
    return ("\n" + " " * column).join(map(quoted, lines))


def main() -> None:
    if len(sys.argv) != 3 or not all(sys.argv[1:]):
        sys.exit('Say the sentence that stands and the new one: make reword OLD="It is so." NEW="The error is so."')
    try:
        chapter = reword(*sys.argv[1:])
    except ValueError as error:
        sys.exit(str(error))
    replication.PAGE.write_text(replication.page(replication.read(), CHAPTERS), encoding="utf-8")
    print(f"{chapter.name} says it now, and so do its runs")


if __name__ == "__main__":
    main()
