"""The book's page of the ledger, in Markdown."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, get_args

from dropout_lessons.claims.natural import typeset
from dropout_lessons.experiments.entries import Entry, beside_the_paper, costs, data_of, entries, in_order, place
from dropout_lessons.experiments.experiment import Experiment, Result, Verdict
from dropout_lessons.experiments.findings import Origin, Reported
from dropout_lessons.experiments.not_run import NOT_RUN
from dropout_lessons.experiments.records import is_recorded, reached, recorded
from dropout_lessons.experiments.registry import get, names
from dropout_lessons.experiments.tables import UNFINISHED

__all__ = ["ledger_page"]

_ORIGINS: dict[Origin, str] = {
    "paper": "What the paper says",
    "other": "What other papers say",
    "course": "What this course adds",
}
#: What was seen before the statements, the tuning and the recipes were as they are; to be kept true by whoever changes them.
_HISTORY = (
    "**What was seen first.** The verdict of an experiment is that of its one or two *primary statements*: a sentence of "
    "the paper, with a bound and its reason. For what is run at the paper's scale they were written down before the run; "
    "its recipes had been chosen on a pilot run of one seed each, whose test errors were seen. For most recorded results "
    "at the workstation scale they were named after the runs, and so were the reasons for their bounds; the bounds are as "
    "they were, and one statement was added, on Figure 9b. For later experiments, on uncertainty, on wider layers, on "
    "heads of attention and on three data sets, they were named before. Of the other statements, too, not all were fixed "
    "before any result was seen. They are the paper's where it makes them, and this course's elsewhere. Smaller trial runs "
    "came before the recorded ones. The recipes of Figures 9a and 9b and of Table 2 were chosen after trials on validation "
    "data. Statements on dropout's penalty in logistic regression were replaced twice after runs had not borne them out, "
    "once after a recorded run. One statement on co-adaptation, which is not the paper's, was dropped. Some experiments "
    "were run again with fairer tuning: the tuned penalties, whose first tuning gave the penalties too small learning "
    "rates; Figure 10 and the ten networks, where one recipe had served digits and clothes; Figures 9a and 9b, Table 9, "
    "Table 10 and the variance shift, where the best candidate had stood at the end of its range. So the intervals tell "
    "how far the chance of seeds goes, and not how far such choices do."
)
_INTRODUCTION = (
    "Each section compares one figure, table or section with what its experiment found. A statement *agrees* if the "
    "whole 95% interval of the effect over seeds lies where the paper says, it *differs* if the whole interval lies "
    "elsewhere, and it is *undecided* if the interval holds both. An experiment is *reproduced* if its primary statements "
    "agree, *not reproduced* if one of them differs, and *undecided* otherwise. The paper gives its errors without "
    "intervals, except for the standard errors of Table 10. *Best at an end* means that tuning chose a value at an end of "
    "what was tried, so that a better one may lie beyond; *by a thread*, that the interval ends within a tenth of its half "
    "width of the bound.\n\n"
    "An interval is over seeds: other initial weights, orders and masks, and other training examples, of which two seeds "
    "share many where most of a data set is used. Of images the test set is the same for all seeds, so that no interval "
    "tells what others would change; a tenth of a point is ten of 10,000. And each statement is judged by itself. An effect "
    "that lies at its bound is said to agree in one case of forty, and to differ in another; an experiment with two such "
    "statements comes out as *not reproduced* in about one case of twenty."
)
_WAITING = "No result was recorded yet."
_STATEMENT = ["statement", "the paper", "here", "effect", "agrees if", "verdict"]


def ledger_page() -> str:
    """Return the book's page of the ledger, in Markdown: what was found, experiment by experiment, and what it cost.

    Example:
        >>> ledger_page().startswith("# ")
        True
    """
    experiments = in_order(map(get, names()))
    results = [recorded(experiment.name) for experiment in experiments if is_recorded(experiment.name)]
    waiting = [experiment for experiment in experiments if not is_recorded(experiment.name)]
    missing = [
        *((one.title, one.source, one.claim, one.reported, one.not_run or _WAITING) for one in waiting),
        *((one.title, one.source, one.claim, one.reported, one.reason) for one in NOT_RUN),
    ]
    missing.sort(key=lambda entry: place(entry[1]))
    of_the_paper = len(NOT_RUN) + sum(one.origin == "paper" for one in waiting)
    return _paragraphs(
        "# The ledger: the paper, and what came out here",
        _at_the_papers_scale(experiments),
        "## How to read this page",
        _INTRODUCTION,
        "All of this page is computed from the recorded results. This writes it, and computes a result again:",
        _command("make ledger", "dropout-lessons experiments run table2_mnist --scale workstation"),
        _HISTORY,
        "## Verdicts",
        _counted(results, of_the_paper),
        *(_verdicts(results, origin) for origin in _ORIGINS),
        *(_on_other_data(result) for result in results if result.experiment.name == "three_data_sets"),
        _edges(results),
        *(_section(result) for result in results),
        "(ledger-not-run)=\n## Not run here",
        *(_section_not_run(*entry) for entry in missing),
        "## What it cost",
        _cost(results),
        end="\n",
    )


def _at_the_papers_scale(experiments: Sequence[Experiment]) -> str:
    """What runs at the paper's own scale have reached: its tables beside ours first, then statement by statement."""
    found = [
        result
        for experiment in experiments
        if "paper" in experiment.scales and (result := reached(experiment, "paper"))
    ]
    if not found:
        return ""
    found.sort(key=lambda result: not any(number.row for number in result.experiment.reported))
    beside = [
        _cells_beside(result, row)
        for result in found
        if any(number.row for number in result.experiment.reported)
        for row in beside_the_paper(result).itertuples()
    ]
    header = ["from", "row", "hidden units", "the paper", "here", "95% interval", "training error", "networks"]
    said = (
        "All of MNIST: 50,000 digits train, 10,000 tune, and the 10,000 of the test set are used once. The networks are as "
        "large as the paper's, but for the widest; the recipe is one that is usual today, with He's initial weights and a "
        "rate that falls to zero, and not the paper's million updates. The rows on clothes, which are not the paper's, have "
        "as many images of Fashion-MNIST. Test errors:"
    )
    sections = map(_section_at_the_papers_scale, found)
    return _paragraphs("## The paper's own scale", said if beside else "", _table(header, beside), *sections)


def _cells_beside(result: Result, row: Any) -> list[str]:
    link = f"[{_text(result.experiment.title.partition(':')[0])}](#{_at_scale(result)})"
    ours = [f"{row.ours:.2f}%", f"{row.low:.2f}% to {row.high:.2f}%", f"{row.train:.2f}%", str(row.networks)]
    return [link, _text(row.Index), row.layers, row.paper or "no number", *ours]


def _at_scale(result: Result) -> str:
    return f"{_label(result.experiment.name)}-at-scale"


def _section_at_the_papers_scale(result: Result) -> str:
    experiment, source = result.experiment, result.provenance
    missing, units, device = source.get(UNFINISHED, 0), len(source["units"]), source["device"]
    where = "of one core" if device == "cpu" else f"on {_text(device.replace(', cpu', ' and processor cores'))}"
    rest = f"{missing} are missing: this goes on with them:" if missing else "This computes them where there are none:"
    tried = f":::{{dropdown}} Candidates, by their error on 10,000 validation images\n{_tried(result)}\n:::"
    return _paragraphs(
        f"({_at_scale(result)})=\n### {_text(experiment.title)}",
        f"**{result.verdict.capitalize()}** on {_text(data_of(result))}: {units} of {units + missing} units are done, in "
        f"{_duration(source['seconds'])} {where}.",
        _statements(entries(result)) if len(result.table) else "",
        _text(experiment.remark_at_scale),
        tried if len(result.tuning) else "",
        rest,
        _command(f"dropout-lessons experiments run {experiment.name} --scale paper --record"),
    )


def _tried(result: Result) -> str:
    tuning = result.tuning
    name = next(column for column in ("row", "arm", "network") if column in tuning)
    of_sizes = "train" in tuning and tuning["train"].nunique() > 1
    measured = ["train_error", "validation_error"]
    fields = [column for column in ("learning_rate", "max_norm", "weight_decay", "l1") if column in tuning]
    rows = [
        [
            f"{row[name]}, {row['train']:,} examples" if of_sizes else str(row[name]),
            ", ".join(f"{field.replace('_', ' ')} {row[field]:g}" for field in fields if not math.isnan(row[field])),
            *(f"{100 * row[column]:.2f}%" for column in measured),
        ]
        for row in tuning.to_dict("records")
    ]
    return _table([name, "candidate", "training error", "validation error"], rows)


def _counted(results: Sequence[Result], missing: int) -> str:
    verdicts = Counter[str](result.verdict for result in results)
    measured = [finding for result in results for finding in result.findings if finding.evidence.atol is None]
    statements = Counter({True: "agrees", False: "differs", None: "undecided"}[finding.holds] for finding in measured)
    counted = ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in get_args(Verdict) if verdicts[verdict])
    tested = ", ".join(
        f"{n} {word.replace('agrees', 'agree').replace('differs', 'differ')}" for word, n in statements.items()
    )
    luck = round(statements.total() / 40)
    return (
        f"Of {len(results)} experiments: {counted}. Of their {statements.total()} statements with an interval, primary or "
        f"not: {tested}. If all effects lay at their bounds, about {luck} would agree by luck, and {luck} differ. "
        f"[{missing} results of the paper](#ledger-not-run) were not run here. The tables have the primary statements, and "
        "can be sorted and filtered where scripts run."
    )


def _verdicts(results: Sequence[Result], origin: Origin) -> str:
    """The primary statements of the experiments of an origin."""
    rows = []
    for result in results:
        if result.experiment.origin != origin:
            continue
        head = [f"[{_text(result.experiment.title)}](#{_label(result.experiment.name)})", f"**{result.verdict}**"]
        for entry in entries(result):
            if entry.primary:
                rows.append([*head, *_cells(entry)])
    header = ["experiment", "its verdict", *_STATEMENT]
    return f"### {_ORIGINS[origin]}\n\n{_table(header, rows)}" if rows else ""


def _on_other_data(result: Result) -> str:
    """The findings of an experiment whose statements begin with the data: a row for each, a column for each data set."""
    rows: dict[str, dict[str, str]] = {}
    for finding in result.findings:
        data, _, what = finding.statement.removesuffix(".").partition(": ")
        sign = {True: "−", False: "+", None: "?"}[finding.holds]
        words = finding.judgement.words
        rows.setdefault(what, {})[data] = _text(f"{sign} {words.effect} {words.interval}")
    columns = list(dict.fromkeys(data for row in rows.values() for data in row))
    holding = (
        f"{sum(row[data][0] == '−' for row in rows.values())} of {len(rows)} on {data.lower()}" for data in columns
    )
    return (
        "(ledger-other-data)=\n## The same findings on other data\n\n"
        "Each finding is put so that it holds if its effect lies below zero: − is an interval below zero, + one above it, and ? "
        "one that holds zero and decides nothing. Of every twenty such intervals one is expected to miss by luck. "
        f"Findings that hold: {', '.join(holding)}. The section on the three data sets says which networks these are.\n\n"
        + _table(["finding", *columns], [[_text(what), *row.values()] for what, row in rows.items()])
    )


def _edges(results: Sequence[Result]) -> str:
    """How many tuned arms chose a value at an end of what was tried, by experiment, in a fold."""
    rows, tuned, ended = [], 0, 0
    for result in results:
        arms = [
            arm for arm in result.experiment.arms(result.experiment.config(result.scale)) if len(arm.candidates) > 1
        ]
        found = [arm.edges(arm.chosen(result.rows) or {}) for arm in arms]
        here = sum(map(bool, found))
        tuned, ended = tuned + len(found), ended + here
        if here:
            fields = Counter(name.replace("_", " ") for edges in found for name in edges).most_common()
            of_which = ", ".join(f"{name} {n}" for name, n in fields)
            rows.append([f"`{result.experiment.name}`", f"{here} of {len(found)}", of_which])
    said = (
        f"Of {tuned} tuned arms {ended} chose a value at an end of what was tried, where a better one may lie beyond. "
        "Where only two values were tried, each is an end."
    )
    table = _table(["experiment", "arms at an end", "of what"], rows)
    return f":::{{dropdown}} Ends of ranges: {ended} of {tuned} tuned arms\n{said}\n\n{table}\n:::" if rows else ""


def _section(result: Result) -> str:
    experiment, found = result.experiment, entries(result)
    seeds = len({unit["seed"] for unit in result.provenance["units"] if unit["settings"].get("stage") != "tuning"})
    measured = next(row for row in costs(experiment) if row.scale == result.scale)
    why = [f"*{_text(entry.statement)}* {_text(entry.primary)}" for entry in found if entry.primary]
    others = [
        f"{_ORIGINS[origin]}, besides:\n\n{_statements(chosen)}"
        for origin in _ORIGINS
        if (chosen := [entry for entry in found if entry.origin == origin and not entry.primary])
    ]
    edges = result.table["edge"].ne("").tolist() if "edge" in result.table else []
    edge = (
        f"Of {len(edges)} reported rows {sum(edges)} are of arms that chose an end of what was tried."
        if any(edges)
        else ""
    )
    return _paragraphs(
        f"({_label(experiment.name)})=\n## {_text(experiment.title)}",
        f"**{result.verdict.capitalize()}** on {_text(data_of(result))}, {seeds} seeds. Source: {_text(experiment.source)}.",
        f"The claim: {_text(experiment.claim)}",
        _table(["reported", "value", "where"], _reported(experiment.reported)),
        f"Primary statements, on which the verdict rests:\n\n{_statements([entry for entry in found if entry.primary])}",
        f"Why these bounds: {' '.join(why)}",
        *others,
        _text(experiment.remark),
        edge,
        f"Cost: {measured.units} units, {_duration(measured.seconds)} of one core at the {result.scale} scale.",
        _command(f"dropout-lessons experiments run {experiment.name} --scale {result.scale}"),
    )


def _statements(found: Sequence[Entry]) -> str:
    return _table(_STATEMENT, [_cells(entry) for entry in found])


def _cells(entry: Entry) -> list[str]:
    effect = f"{entry.effect}; {entry.relative} of the first" if entry.relative else entry.effect
    verdict = f"{entry.verdict} ({entry.remarks})" if entry.remarks else entry.verdict
    required = re.sub(r"\d+\.\d{5,}", lambda bound: f"{float(bound[0]):.3g}", entry.required)
    return [
        _text(cell) for cell in (entry.statement, entry.paper or "no number", entry.values, effect, required, verdict)
    ]


def _section_not_run(title: str, source: str, claim: str, reported: Sequence[Reported], reason: str) -> str:
    return _paragraphs(
        f"### {_text(title)}",
        f"Source: {_text(source)}. The claim: {_text(claim)}",
        _table(["reported", "value", "where"], _reported(reported)),
        f"Not run here. {_text(reason)}",
    )


def _cost(results: Sequence[Result]) -> str:
    rows, total = [], 0.0
    for result in results:
        for row in costs(result.experiment):
            total += row.seconds if row.basis == "measured" else 0.0
            rows.append([f"`{result.experiment.name}`", row.scale, str(row.units), _duration(row.seconds), row.basis])
    devices = sorted({result.provenance["device"] for result in results})
    gpu = "" if devices in ([], ["cpu"]) else f"Devices: {', '.join(devices)}."
    return (
        f"All recorded results took {_duration(total)} of one core together. Other scales are estimated from that by their "
        "arithmetic, examples times epochs times weights or the like. Wide layers use a core better than narrow ones, so "
        "that an estimate may be several times off: it says whether to start a run, no more. "
        f"{gpu}\n\n" + _table(["experiment", "scale", "units", "time of one core", "basis"], rows)
    )


def _paragraphs(*parts: str, end: str = "") -> str:
    """Those that say something, with an empty line between them."""
    return "\n\n".join(part.strip() for part in parts if part) + end


def _command(*lines: str) -> str:
    return "\n".join(["```bash", *lines, "```"])


def _label(name: str) -> str:
    return f"ledger-{name.replace('_', '-')}"


def _reported(numbers: Sequence[Reported]) -> list[list[str]]:
    return [[_text(number.what), _text(number.value), _text(number.where)] for number in numbers]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(text: str) -> str:
    """Text that Markdown shows as it is, with the minus sign of the claims; what stands between backticks is code."""
    parts = " ".join(text.split()).split("`")
    shown = [re.sub(r"([\\*_{}\[\]<>|$#~^])", r"\\\1", typeset(part)) for part in parts[::2]]
    code = [f"`{part}`" for part in parts[1::2]]
    return "".join(part for pair in zip(shown, [*code, ""], strict=True) for part in pair)


def _duration(seconds: float) -> str:
    if math.isnan(seconds):
        return "unknown"
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.0f} seconds"
