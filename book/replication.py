"""What came back with fresh seeds: read from replication.jsonl, written as a page, and put beside each claim.

``make replicate`` runs the chapters with seeds that nobody looked at when they were written (replicate.py). A line of the
file is a chapter run with one offset of all seeds, and has each of its claims that is computed there.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import nbformat

from dropout_lessons.claims.natural import typeset
from dropout_lessons.claims.showing import BACK
from dropout_lessons.runtime import replacing

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "book/replication.jsonl"
PAGE = ROOT / "book/replication.md"
#: A claim that comes back less often than in this share of the runs is to be reworded, or given more seeds.
ENOUGH = 0.9
PERCENT_UNITS = ("%", "points", "percentage points")


@dataclass(frozen=True)
class Run:
    """A chapter, run with one offset of all seeds.

    Attributes:
        chapter: The name of its file.
        offset: By how much all seeds were moved.
        code: A digest of the chapter's code as it was.
        commit: The commit that was run.
        seconds: How long it took.
        claims: Each claim that was computed, as ``replicate.py`` keeps it: ``key``, ``statement``, ``required``, ``unit``,
            ``exact``, ``effect``, ``interval``, ``holds``.
        errors: What raised, if anything did.
    """

    chapter: str
    offset: int
    code: str
    commit: str
    seconds: float
    claims: Sequence[Mapping[str, Any]]
    errors: Sequence[str]


@dataclass(frozen=True)
class Returned:
    """How often a claim came back.

    Attributes:
        statement: What is claimed.
        required: What its effect had to be.
        times: How often it held.
        runs: How often its chapter was run.
        effects: What came out each time; percents for percent units.
        unit: Their unit.
        exact: Whether it is an identity.
    """

    statement: str
    required: str
    times: int
    runs: int
    effects: Sequence[float]
    unit: str
    exact: bool

    @property
    def enough(self) -> bool:
        return self.times >= ENOUGH * self.runs


def read(path: Path = RECORD) -> list[Run]:
    """All runs that were kept."""
    return [Run(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def write(runs: Iterable[Run], path: Path = RECORD) -> None:
    """Keep runs, one for each chapter and offset, in order."""
    kept = {(run.chapter, run.offset): run for run in runs}
    with replacing(path) as aside:
        aside.write_text("".join(json.dumps(asdict(kept[key])) + "\n" for key in sorted(kept)), encoding="utf-8")


def code(chapter: Path) -> str:
    """A digest of what a chapter computes: its code without comments, reasons of bounds, and exercises."""
    cells = [
        re.sub(r"^(\s*)[%!].*", r"\1pass", cell.source, flags=re.MULTILINE)
        for cell in nbformat.read(chapter, as_version=4).cells
        if cell.cell_type == "code" and "dropout_lessons" not in cell.metadata
    ]
    tree = ast.parse("\n".join(cells))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            node.keywords = [keyword for keyword in node.keywords if keyword.arg != "reason"]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()[:12]


def returned(runs: Sequence[Run]) -> dict[str, Returned]:
    """How often each claim of a chapter came back, by its key; where a run did not reach it, it did not come back."""
    kept: dict[str, list[Mapping[str, Any]]] = {}
    for run in runs:
        for claim in run.claims:
            kept.setdefault(claim["key"], []).append(claim)
    found = {}
    for key, claims in kept.items():
        last = claims[-1]
        if not last["exact"] and len(claims) > 1 and len({claim["effect"] for claim in claims}) == 1:
            continue  # nothing of it is computed anew: it rests on recorded results
        scale = 100 if last["unit"] in PERCENT_UNITS else 1
        found[key] = Returned(
            last["statement"],
            last["required"],
            sum(claim["holds"] for claim in claims),
            len(runs),
            [scale * claim["effect"] for claim in claims],
            last["unit"],
            last["exact"],
        )
    return found


def covering(runs: Iterable[Run]) -> tuple[int, int]:
    """Of how many intervals of claims the mean effect of their chapter's other runs lies inside, and how many there are."""
    inside: list[bool] = []
    for mine in by_chapter(runs).values():
        for key, one in returned(mine).items():
            claims = [claim for run in mine for claim in run.claims if claim["key"] == key]
            if one.exact or len(claims) < 2:
                continue
            total = sum(claim["effect"] for claim in claims)
            for claim in claims:
                low, high = claim["interval"]
                inside.append(low <= (total - claim["effect"]) / (len(claims) - 1) <= high)
    return sum(inside), len(inside)


def by_chapter(runs: Iterable[Run]) -> dict[str, list[Run]]:
    chapters: dict[str, list[Run]] = {}
    for run in runs:
        chapters.setdefault(run.chapter, []).append(run)
    return dict(sorted(chapters.items()))


def page(runs: Sequence[Run], chapters: Sequence[Path]) -> str:
    """The book's page, in Markdown."""
    chosen = [path for path in chapters if any(run.chapter == path.stem for run in runs)]
    waiting = [title(path) for path in chapters if path not in chosen]
    parts = [
        "# What came back with fresh seeds",
        "The claims of a chapter were written with one set of seeds, and a page is made only if all of them hold with "
        "those. So chapters are run again with seeds that nobody looked at: other training examples, other initial weights, "
        "another order of the examples, other masks. The test sets stay. A claim *came back* if its whole 95% interval "
        "was again where the claim requires it. One that comes back in fewer than nine of ten runs is to be reworded, or "
        "given more seeds.",
        "Claims on recorded results compute nothing anew, and are not counted. Exact statements, which hold for any seed, "
        "are counted apart. In a chapter each claim says how often it came back, as long as its sentence and its bound are "
        "those that were run. This runs what is missing and what a chapter computes in another way since, and writes the page:",
        "```bash\nmake replicate OFFSETS=20\n```",
        "A claim's fold gives the reason for its bound. Most bounds were set before the book's own results were seen; 62 of "
        "the reasons were written down after. Some claims of chapters 1 to 6, 8, 9 and 11 were restated, or given more seeds, "
        "because runs with offsets 1 to 6 had not borne them out; where a bound was loosened, the reason says what it was. For "
        "these claims only the offsets from 7 on are fresh. Two claims of chapter 5 and one of chapter 8 were "
        "restated after offsets up to 26 and 16; both chapters ran again with later ones.",
        _summary(runs, chosen),
        f"Not run so far: {'; '.join(waiting)}." if waiting else "",
        _seldom(runs),
        *(_section(path, [run for run in runs if run.chapter == path.stem]) for path in chosen),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _summary(runs: Sequence[Run], chapters: Sequence[Path]) -> str:
    rows, everywhere = [], []
    for path in chapters:
        mine = [run for run in runs if run.chapter == path.stem]
        found = returned(mine).values()
        measured, identities = ([one for one in found if one.exact == exact] for exact in (False, True))
        everywhere += measured
        link = f"[{title(path)}](../chapters/{path.name})"
        often = f"{sum(one.enough for one in measured)} of {len(measured)}" if measured else ""
        rows.append([link, str(len(mine)), _counted(measured), often, _counted(identities)])
    header = ["chapter", "runs", "claims that came back", "in 9 of 10 runs or more", "exact statements"]
    total = (
        f"Of {len(everywhere)} claims with an interval {sum(one.enough for one in everywhere)} came back in nine of ten runs "
        f"or more; counting each run of each claim, {_counted(everywhere)}."
    )
    held, intervals = covering(runs)
    fit = (
        f"Do the intervals go as far as chance does? Of {intervals:,} that these runs computed {held / intervals:.0%} hold the "
        "mean effect of the chapter's other runs. Of intervals that fit, about 94% would, since that mean is not known exactly "
        "either. Statements about one network, which is another one in each run, are among them, and do so less often."
        if intervals
        else ""
    )
    return "\n\n".join(filter(None, (total, fit, _table(header, rows)))) if rows else ""


def _counted(found: Sequence[Returned]) -> str:
    total = sum(one.runs for one in found)
    return f"{sum(one.times for one in found):,} of {total:,}" if total else ""


def _seldom(runs: Sequence[Run]) -> str:
    seldom = [
        [f"[{chapter[:2]}](../chapters/{chapter}.ipynb)", *_cells(one)]
        for chapter, mine in by_chapter(runs).items()
        for one in returned(mine).values()
        if not one.enough
    ]
    failed = [f"- Chapter {run.chapter[:2]}, offset {run.offset}: `{error}`" for run in runs for error in run.errors]
    parts = ["## Claims that came back seldom", _table(["chapter", *_HEADER], seldom) if seldom else "None so far."]
    if failed:
        parts += ["In these runs something else failed. What they did not reach did not come back:", "\n".join(failed)]
    return "\n\n".join(parts)


_HEADER = ["claim", "required", "effects", "came back"]


def _section(chapter: Path, runs: Sequence[Run]) -> str:
    found = sorted(returned(runs).values(), key=lambda one: (one.times / one.runs, one.exact))
    offsets = ", ".join(str(run.offset) for run in sorted(runs, key=lambda run: run.offset))
    commits = ", ".join(f"`{commit[:7]}`" for commit in dict.fromkeys(run.commit for run in runs))
    minutes = sum(run.seconds for run in runs) / 60
    said = f"Offsets {offsets}, at {commits}; {minutes:.0f} minutes together, on a core with other work."
    return "\n\n".join([f"## {title(chapter)}", said, _table(_HEADER, [_cells(one) for one in found])])


def _cells(one: Returned) -> list[str]:
    ends = dict.fromkeys(f"{effect:.3g}" for effect in (min(one.effects), max(one.effects)))
    unit = one.unit if one.unit in ("", "%") else f" {one.unit}"
    effects = f"at most {max(one.effects):.2g}{unit}" if one.exact else f"{' to '.join(ends)}{unit}"
    bound = re.sub(r"\d+\.\d{5,}", lambda number: f"{float(number[0]):.3g}", one.required)  # a logarithm, say
    required = f"at most {bound}" if one.exact else bound
    return [_text(one.statement), _text(required), _text(effects), f"{one.times} of {one.runs}"]


def title(chapter: Path) -> str:
    """The title of a chapter."""
    first = nbformat.read(chapter, as_version=4).cells[0].source
    return first.splitlines()[0].removeprefix("# ")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, ["---"] * len(header), *rows])


def _text(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>|$#~^])", r"\\\1", typeset(text))


@cache
def _badges(chapter: str) -> dict[str, str]:
    runs = by_chapter(read()).get(chapter, [])
    return {
        key: f'<a class="came-back{"" if one.enough else " seldom"}" href="../book/replication.html">'
        f"came back {one.times} of {one.runs}</a>"
        for key, one in returned(runs).items()
    }


def badged(body: str, chapter: str) -> str:
    """A page's HTML with, at each claim that was run again, how often it came back."""
    badges = _badges(chapter)
    return re.sub(BACK.format(key=r"(\w+)"), lambda found: badges.get(found[1], ""), body)


def setup(app: Any) -> dict[str, bool]:
    def show(app: Any, name: str, template: str, context: dict[str, Any], doctree: object) -> None:
        if name.startswith("chapters/") and "body" in context:
            context["body"] = badged(context["body"], name.removeprefix("chapters/"))

    app.connect("html-page-context", show)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
