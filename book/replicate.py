"""Run the chapters with seeds that nobody looked at, and keep which claims came back: `make replicate OFFSETS=20`.

Each chapter runs with each offset of all seeds from 1; what is done, and of the chapter as it is now, is not run again. A
claim that does not hold is kept, and the chapter goes on. It can be stopped at any time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat
import replication
from nbclient import NotebookClient
from replication import ROOT, Run

from dropout_lessons import claims
from dropout_lessons.claims.showing import key_of
from dropout_lessons.runtime import MOST_OFFSETS

CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
#: What a kernel runs before a chapter.
FIRST = "import sys; sys.path.insert(0, {book!r}); import replicate; replicate.keep({path!r})"


def keep(path: str) -> None:
    """In the kernel of a chapter: write each claim that is checked, whether it holds or not, to a file."""

    def check(statement: str, evidence: claims.Evidence, **bound: Any) -> claims.Judgement:
        judgement = claims.judge(statement, evidence, **bound)
        if not evidence.recorded:
            kept = {
                "key": key_of(judgement.statement, judgement.words.required),
                "statement": judgement.statement,
                "required": judgement.words.required,
                "unit": judgement.unit,
                "exact": evidence.atol is not None,
                "effect": float(f"{judgement.effect:.4g}"),
                "interval": [float(f"{end:.4g}") for end in judgement.interval],
                "holds": bool(judgement.holds),
            }
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(json.dumps(kept) + "\n")
        return judgement

    claims.check = check


def run(chapter: Path, offset: int) -> Run:
    """Run a chapter with all seeds moved."""
    notebook = nbformat.read(chapter, as_version=4)
    notebook.cells = [
        cell for cell in notebook.cells if cell.cell_type == "code" and "dropout_lessons" not in cell.metadata
    ]
    environment = {
        **os.environ,
        "DROPOUT_LESSONS_SEED_OFFSET": str(offset),
        "TQDM_DISABLE": "1",
        "OMP_NUM_THREADS": "1",
    }
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "claims.jsonl")
        path.touch()
        first = nbformat.v4.new_code_cell(FIRST.format(book=str(ROOT / "book"), path=str(path)))
        notebook.cells.insert(0, first)
        client = NotebookClient(
            notebook,
            timeout=3600,
            allow_errors=True,
            extra_arguments=["--IPKernelApp.log_level=ERROR"],  # a kernel warns that it can be reached on this machine
            resources={"metadata": {"path": str(chapter.parent)}},
        )
        client.execute(env=environment)
        found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    errors = [
        f"{output.ename}: {output.evalue}".splitlines()[0]
        for cell in notebook.cells
        for output in cell.outputs
        if output.output_type == "error"
    ]
    seconds = round(time.monotonic() - start, 1)
    return Run(chapter.stem, offset, replication.code(chapter), commit(), seconds, found, errors)


def commit() -> str:
    command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def offsets(first: int, fresh: int, runs: Iterable[Run]) -> list[int]:
    """The first so many offsets, and so many drawn from those with which no chapter was ever run."""
    never = set(range(first + 1, MOST_OFFSETS + 1)) - {run.offset for run in runs}
    return [*range(1, first + 1), *random.sample(sorted(never), fresh)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--offsets", type=int, default=20, help="run with so many offsets (default: %(default)s)")
    parser.add_argument("--fresh", type=int, default=0, help="and with so many that no chapter was ever run with")
    parser.add_argument("--chapters", nargs="+", metavar="NAME", help="of these chapters alone, such as 03")
    options = parser.parse_args()
    chosen = [
        path
        for path in CHAPTERS
        if not options.chapters or any(path.stem.startswith(name) for name in options.chapters)
    ]
    for offset in offsets(options.offsets, options.fresh, replication.read()):
        for chapter in chosen:
            known = {(one.chapter, one.offset, one.code) for one in replication.read()}
            if (chapter.stem, offset, replication.code(chapter)) in known:
                continue
            done = run(chapter, offset)
            replication.write([*replication.read(), done])
            held = sum(claim["holds"] for claim in done.claims)
            print(
                f"{chapter.stem}, offset {offset}: {held} of {len(done.claims)} claims came back, "
                f"{len(done.errors)} errors, {done.seconds:.0f} s",
                flush=True,
            )
            replication.PAGE.write_text(replication.page(replication.read(), CHAPTERS), encoding="utf-8")
    replication.PAGE.write_text(replication.page(replication.read(), CHAPTERS), encoding="utf-8")


if __name__ == "__main__":
    main()
