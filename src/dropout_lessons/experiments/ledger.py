"""The ledger: every statement of the paper that was tested, what came out, what it cost, and what was not run."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import pandas as pd

from dropout_lessons.experiments.experiment import Experiment, Result
from dropout_lessons.experiments.findings import Finding, Reported
from dropout_lessons.experiments.not_run import NOT_RUN
from dropout_lessons.experiments.registry import get, names
from dropout_lessons.experiments.store import is_recorded, recorded

_HOLDS = {True: "agrees", False: "differs", None: "undecided"}
_DATA = {
    "mnist": "MNIST",
    "mnist_10k": "10,000 images of MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "fashion_10k": "10,000 images of Fashion-MNIST",
}
_NOT_RUN = "not run here"
#: What was seen before the statements, the tuning and the recipes were as they are; to be kept true by whoever changes them.
_HISTORY = (
    "**What was seen first.** Not all statements were fixed before any result was seen. They are the paper's where it makes "
    "them, and this course's elsewhere. Smaller trial runs came before the recorded ones. The recipes of Figures 9a and 9b and "
    "of Table 2 were chosen after trials on validation data. Statements on dropout's penalty in logistic regression were "
    "replaced twice after runs had not borne them out, once after a recorded run. One statement on co-adaptation, which is "
    "not the paper's, was dropped. Some experiments were run again with fairer tuning: the tuned penalties, whose first "
    "tuning gave the penalties too small learning rates; Figure 10 and the ten networks, where one recipe had served digits "
    "and clothes; Figures 9a and 9b, Table 9 and Table 10, where the best candidate had stood at the end of its range. "
    "So the intervals tell how far chance goes, and not how far such choices do."
)
_WAITING = "No result was recorded yet."


def ledger() -> pd.DataFrame:
    """Return the ledger: a row for each finding, and for each result of the paper that was not run here.

    Returns:
        Columns: ``experiment``; ``source``; ``statement``; ``paper``, its value or words; ``ours``, the effect with its 95%
        interval and the number of seeds; ``required``, what agrees with the paper; ``scale``; ``data``; ``verdict``: agrees,
        differs, undecided or not run here; and ``note``, the experiment's remark or why it was not run.

    Example:
        >>> set(ledger().verdict) <= {"agrees", "differs", "undecided", "not run here"}
        True
    """
    rows: list[dict[str, str]] = []
    for experiment in _sorted(map(get, names())):
        head = {"experiment": experiment.name, "source": experiment.source}
        if not is_recorded(experiment.name):
            rows += _rows_not_run(head, experiment.reported, experiment.not_run or _WAITING)
            continue
        result = recorded(experiment.name)
        for finding in result.findings:
            ours, required = _measured(finding)
            rows.append(
                {
                    **head,
                    "statement": finding.statement,
                    "paper": finding.paper,
                    "ours": ours,
                    "required": required,
                    "scale": result.scale,
                    "data": _data(result),
                    "verdict": _HOLDS[finding.holds],
                    "note": experiment.remark,
                }
            )
    for missing in NOT_RUN:
        head = {"experiment": missing.title, "source": missing.source}
        rows += _rows_not_run(head, missing.reported, missing.reason)
    return pd.DataFrame(rows)


def cost(experiment: Experiment) -> pd.DataFrame:
    """Return what an experiment costs at each of its scales.

    Args:
        experiment: An experiment.

    Returns:
        Columns: ``scale``; ``units``, their number; ``seconds`` of one core; and ``basis``: measured where a result is
        recorded, else estimated from it by the units' work, or not measured.

    Example:
        >>> cost(get("fig9a_keep_prob")).scale.tolist()
        ['lecture', 'workstation', 'paper']
    """
    return pd.DataFrame(_costs(experiment))


class _Cost(NamedTuple):
    scale: str
    units: int
    seconds: float
    basis: str


def _costs(experiment: Experiment) -> list[_Cost]:
    plans = {str(scale): experiment.plan(scale) for scale in experiment.scales}
    work = {scale: sum(unit.work for unit in units) for scale, units in plans.items()}
    if not is_recorded(experiment.name):
        return [_Cost(scale, len(units), math.nan, "not measured") for scale, units in plans.items()]
    result = recorded(experiment.name)
    measured = _Cost(result.scale, len(result.provenance["units"]), result.provenance["seconds"], "measured")
    rate = measured.seconds / work[result.scale]
    return [
        measured if scale == result.scale else _Cost(scale, len(units), round(rate * work[scale], 1), "estimated")
        for scale, units in plans.items()
    ]


def ledger_page() -> str:
    """Return the book's page of the ledger, in Markdown: what was found, experiment by experiment, and what it cost.

    Example:
        >>> ledger_page().startswith("# ")
        True
    """
    experiments = _sorted(map(get, names()))
    results = [recorded(experiment.name) for experiment in experiments if is_recorded(experiment.name)]
    waiting = [experiment for experiment in experiments if not is_recorded(experiment.name)]
    missing = [
        *((one.title, one.source, one.claim, one.reported, one.not_run or _WAITING) for one in waiting),
        *((one.title, one.source, one.claim, one.reported, one.reason) for one in NOT_RUN),
    ]
    missing.sort(key=lambda entry: _place(entry[1]))
    parts = [
        "# The ledger: the paper, and what came out here",
        "Each section compares one figure, table or section with what its experiment found. A statement *agrees* if the "
        "whole 95% interval of the effect over seeds lies where the paper says, it *differs* if the whole interval lies "
        "elsewhere, and it is *undecided* if the interval holds both. An experiment is "
        "*reproduced* if all its statements agree, and *partly* if some do. All of this page is computed from the "
        "recorded results: `make ledger` writes it, and "
        "`dropout-lessons experiments run NAME --scale workstation` computes a result again.",
        _HISTORY,
        "## Verdicts",
        _verdicts(results, len(missing)),
        _table(
            ["experiment", "verdict", "data", "seeds"],
            [
                [
                    f"[{_text(result.experiment.title)}](#{_label(result.experiment.name)})",
                    result.verdict,
                    _text(_data(result)),
                    str(_seeds(result)),
                ]
                for result in results
            ],
        ),
        *(_section(result) for result in results),
        "(ledger-not-run)=\n## Not run here",
        *(_section_not_run(*entry) for entry in missing),
        "## What it cost",
        _cost(results),
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _section(result: Result) -> str:
    experiment = result.experiment
    rows = []
    for finding in result.findings:
        ours, required = _measured(finding)
        verdict = _HOLDS[finding.holds]
        rows.append([finding.statement, finding.paper or "no number", f"{ours}; agrees if {required}", verdict])
    costs = {row.scale: row for row in _costs(experiment)}
    measured = costs[result.scale]
    words = [f"{measured.units} units, {_duration(measured.seconds)} of one core at the {result.scale} scale."]
    if "paper" in costs and costs["paper"].basis == "estimated":
        paper = costs["paper"]
        words.append(
            f"At the paper's own scale: {paper.units} units, {_duration(paper.seconds)} of one core, estimated."
        )
    return "\n\n".join(
        [
            f"({_label(experiment.name)})=\n## {_text(experiment.title)}",
            f"**{result.verdict.capitalize()}** on {_text(_data(result))}, {_seeds(result)} seeds. "
            f"Name: `{experiment.name}`. Source: {_text(experiment.source)}.",
            f"The claim: {_text(experiment.claim)}",
            _table(["reported", "value", "where"], _reported(experiment.reported)),
            _table(["statement", "the paper", "here", "verdict"], [[_text(cell) for cell in row] for row in rows]),
            _text(experiment.remark),
            f"Cost: {' '.join(words)}",
        ]
    )


def _section_not_run(title: str, source: str, claim: str, reported: Sequence[Reported], reason: str) -> str:
    return "\n\n".join(
        [
            f"### {_text(title)}",
            f"Source: {_text(source)}. The claim: {_text(claim)}",
            _table(["reported", "value", "where"], _reported(reported)),
            f"Not run here. {_text(reason)}",
        ]
    )


def _verdicts(results: Sequence[Result], missing: int) -> str:
    verdicts = Counter[str](result.verdict for result in results)
    findings = Counter(_HOLDS[finding.holds] for result in results for finding in result.findings)
    counted = [
        f"{verdicts[verdict]} {verdict}"
        for verdict in ("reproduced", "partly", "not reproduced", "undecided")
        if verdicts[verdict]
    ]
    tested = ", ".join(
        f"{findings[word]} {word.replace('agrees', 'agree').replace('differs', 'differ')}" for word in findings
    )
    return (
        f"Of {len(results)} experiments: {', '.join(counted)}. Of their {sum(findings.values())} statements: {tested}. "
        f"[{missing} results of the paper](#ledger-not-run) were not run here."
    )


def _cost(results: Sequence[Result]) -> str:
    rows, total = [], 0.0
    for result in results:
        for row in _costs(result.experiment):
            total += row.seconds if row.basis == "measured" else 0.0
            rows.append([f"`{result.experiment.name}`", row.scale, str(row.units), _duration(row.seconds), row.basis])
    devices = sorted({result.provenance["device"] for result in results})
    gpu = (
        "Nothing was measured on a GPU: how much faster one is, nobody has tried here."
        if devices in ([], ["cpu"])
        else f"Devices: {', '.join(devices)}."
    )
    return (
        f"All recorded results took {_duration(total)} of one core together. Other scales are estimated from that by their "
        "arithmetic, examples times epochs times weights or the like. Wide layers use a core better than narrow ones, so "
        "that an estimate may be several times off: it says whether to start a run, no more. "
        f"{gpu}\n\n" + _table(["experiment", "scale", "units", "time of one core", "basis"], rows)
    )


def _rows_not_run(head: dict[str, str], reported: Iterable[Reported], reason: str) -> list[dict[str, str]]:
    return [
        {
            **head,
            "statement": number.what,
            "paper": number.value,
            "ours": _NOT_RUN,
            "required": "",
            "scale": "",
            "data": "",
            "verdict": _NOT_RUN,
            "note": reason,
        }
        for number in reported
    ]


def _measured(finding: Finding) -> tuple[str, str]:
    """Effect with interval and count, and what was required of it."""
    words = finding.judgement.words
    if finding.evidence.atol is not None:
        return f"largest deviation {words.effect}, {words.n}", f"at most {words.required}"
    return f"{words.effect}, 95% interval {words.interval}, {words.n}", words.required


def _data(result: Result) -> str:
    table, config = result.table, result.provenance["config"]
    found = table["data"].unique().tolist() if "data" in table else [config["data"]] if "data" in config else []
    return ", ".join(_DATA.get(name, str(name)) for name in found) or "its own data"


def _seeds(result: Result) -> int:
    return len({unit["seed"] for unit in result.provenance["units"] if unit["settings"].get("stage") != "tuning"})


def _sorted(experiments: Iterable[Experiment]) -> list[Experiment]:
    return sorted(experiments, key=lambda experiment: (*_place(experiment.source), experiment.name))


def _place(source: str) -> tuple[Any, ...]:
    """The paper's figures, sections and tables first, each in its order."""
    parts = [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", source)]
    return (not source.startswith("Srivastava et al. 2014"), parts)


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
    """Text that Markdown shows as it is, with the minus sign of the claims."""
    text = re.sub(r"(?<![\w)])-(?=\d)", "\N{MINUS SIGN}", " ".join(text.split()))
    return re.sub(r"([\\`*_{}\[\]<>|$#~^])", r"\\\1", text)


def _duration(seconds: float) -> str:
    if math.isnan(seconds):
        return "unknown"
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.0f} seconds"
