"""What is measured, counted: the tables of book/measured.md, made from the sources whenever the page is."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain

import nbformat
import replication
from nbformat import NotebookNode
from outputs import ROOT, claims

from dropout_lessons import exercises, experiments
from dropout_lessons.experiments.records import is_recorded


def chapters() -> Iterator[tuple[str, Counter[str]]]:
    """For each chapter a link to it, and what it has of what can be counted."""
    bank = Counter(one.chapter for one in exercises.bank().values() if isinstance(one, exercises.Coded))
    for path in sorted(ROOT.glob("chapters/*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        title = re.match(r"# (.+)", notebook.cells[0].source)[1]
        yield f"[{title}](../chapters/{path.name})", counted(notebook) + Counter(exercises=bank[int(path.stem[:2])])


def counted(notebook: NotebookNode) -> Counter[str]:
    """The claims, figures and predictions of a chapter."""
    found: Counter[str] = Counter()
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            found["predictions"] += len(re.findall(r"^:::\{prediction\}", cell.source, re.MULTILINE))
        else:
            found["claims"] += claims(cell)
            found["figures"] += "caption" in cell.metadata.get("mystnb", {}).get("figure", {})
    return found


def by_chapter() -> str:
    columns = ("claims", "predictions", "figures", "exercises")
    lines = ["| chapter | claims | predictions | figures | exercises with a check |", "| --- " * 5 + "|"]
    total: Counter[str] = Counter()
    for link, found in chapters():
        total += found
        lines.append(f"| {link} | " + " | ".join(str(found[column]) for column in columns) + " |")
    return "\n".join([*lines, "| **in all** | " + " | ".join(f"**{total[column]}**" for column in columns) + " |"])


def by_return() -> str:
    """The sums of the page of replication, which ``make replicate`` writes."""
    runs = replication.by_chapter(replication.read())
    found = list(chain.from_iterable(replication.returned(mine).values() for mine in runs.values()))
    lines = [
        "| claims | computed | came back | in 9 of 10 runs or more |",
        "| --- " * 4 + "|",
    ]
    for what, exact in (("with an interval", False), ("exact statements", True)):
        mine = [one for one in found if one.exact == exact]
        enough = f"{sum(one.enough for one in mine):,} of {len(mine):,}"
        lines.append(f"| {what} | {sum(one.runs for one in mine):,} | {sum(one.times for one in mine):,} | {enough} |")
    return "\n".join(lines)


def by_verdict() -> str:
    verdicts = Counter(str(experiments.recorded(name).verdict) for name in experiments.names() if is_recorded(name))
    verdicts["not run here"] = sum(not is_recorded(name) for name in experiments.names())
    return "\n".join(
        ["| verdict | experiments |", "| --- | --- |", *(f"| {each} | {n} |" for each, n in verdicts.most_common())]
    )


def by_check() -> str:
    """The sums of the table of checks, which `make check-exercises` writes."""
    table = (ROOT / "book/checks.md").read_text(encoding="utf-8")
    rows = re.findall(r"\| ([\d,]+) of ([\d,]+) \| \d+ \| ([\d,]+) of ([\d,]+) \|", table)
    accepted, right, rejected, wrong = (sum(int(row[i].replace(",", "")) for row in rows) for i in range(4))
    lines = ["| answers | judged | as they should be |", "| --- | --- | --- |"]
    return "\n".join([*lines, f"| right | {right:,} | {accepted:,} |", f"| wrong | {wrong:,} | {rejected:,} |"])


def by_benchmark() -> str:
    lines = ["| `make bench` asks | in |", "| --- | --- |"]
    for path in sorted(ROOT.glob("benchmarks/*.py")):
        question = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("?")[0]
        if question.startswith("How"):  # others prepare or run something
            lines.append(f"| {question}? | `{path.name}` |")
    return "\n".join(lines)


def by_size() -> str:
    def lines_of(pattern: str) -> int:
        return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in ROOT.glob(pattern))

    package, tests = lines_of("src/dropout_lessons/**/*.py"), lines_of("tests/*.py")
    claimed = sum(path.read_text(encoding="utf-8").count("\ndef test_") for path in ROOT.glob("tests/*.py"))
    data = sum(path.stat().st_size for path in ROOT.glob("src/dropout_lessons/data/*.npz"))
    rows = [
        ("lines of the package", f"{package:,}"),
        ("lines of its tests", f"{tests:,}"),
        ("tests, each a claim on the code", f"{claimed:,}"),
        ("embedded data", f"{data / 1e6:.1f} MB"),
    ]
    return "\n".join(["| what | how much |", "| --- | --- |", *(f"| {what} | {size} |" for what, size in rows)])


TABLES = {
    "chapters": by_chapter,
    "returns": by_return,
    "verdicts": by_verdict,
    "checks": by_check,
    "benchmarks": by_benchmark,
    "sizes": by_size,
}
