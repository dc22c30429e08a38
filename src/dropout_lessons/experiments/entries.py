"""The ledger: every statement of the paper that was tested, what came out, what it cost, and what was not run."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import groupby
from typing import Any, NamedTuple

import pandas as pd

from dropout_lessons.claims import FEWEST_SEEDS, Evidence, sampled
from dropout_lessons.experiments.experiment import Experiment, Result
from dropout_lessons.experiments.findings import Finding, Origin, Reported
from dropout_lessons.experiments.not_run import NOT_RUN
from dropout_lessons.experiments.records import is_recorded, recorded
from dropout_lessons.experiments.registry import get, names

__all__ = ["Cost", "Entry", "beside_the_paper", "cost", "costs", "data_of", "entries", "in_order", "ledger", "place"]

_HOLDS = {True: "agrees", False: "differs", None: "undecided"}
_DATA = {
    "mnist": "MNIST",
    "mnist_10k": "10,000 images of MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "fashion_10k": "10,000 images of Fashion-MNIST",
    "breast_cancer": "scikit-learn's 569 tumors",
}
_BESIDE = ("layers", "paper", "ours", "low", "high", "train", "networks")
_NOT_RUN = "not run here"
_WAITING = "No result was recorded yet."


class Entry(NamedTuple):
    """A statement as the ledger shows it.

    Attributes:
        statement: What would be true if the paper holds here.
        origin: Whose statement it is: ``"paper"``, ``"other"`` for another paper, or ``"course"``.
        primary: Why its bound; ``""`` if the experiment's verdict does not rest on it.
        paper: The paper's value or words.
        values: Ours, of control and treatment; the effect itself where there are no two.
        effect: The effect with its 95% interval and the number of seeds.
        relative: The effect as a fraction of the control's value; ``""`` where there is none.
        required: What agrees.
        verdict: ``"agrees"``, ``"differs"`` or ``"undecided"``.
        remarks: What was tuned to an end of its range, and whether the verdict hangs by a thread.
    """

    statement: str
    origin: Origin
    primary: str
    paper: str
    values: str
    effect: str
    relative: str
    required: str
    verdict: str
    remarks: str


def entries(result: Result) -> list[Entry]:
    """The statements of a result, those first on which its verdict rests."""
    found = [_entry(result.experiment, finding) for finding in result.findings]
    return sorted(found, key=lambda entry: not entry.primary)


def _entry(experiment: Experiment, finding: Finding) -> Entry:
    judgement, evidence = finding.judgement, finding.evidence
    words = judgement.words
    if math.isnan(evidence.effect):
        effect, verdict = f"{evidence.n} of the seeds that it takes", "not reached"
    elif evidence.atol is not None:
        effect, verdict = f"largest deviation {words.effect}, {words.n}", _HOLDS[finding.holds]
    else:
        effect, verdict = f"{words.effect}, 95% interval {words.interval}, {words.n}", _HOLDS[finding.holds]
    required = f"at most {words.required}" if evidence.atol is not None else words.required
    remarks = [evidence.note, "by a thread" if judgement.by_a_thread else ""]
    origin = finding.origin or (experiment.origin if finding.paper else "course")
    return Entry(
        finding.statement,
        origin,
        finding.primary,
        finding.paper,
        finding.here or _values(evidence) or words.effect,
        effect,
        _relative(evidence),
        required,
        verdict,
        "; ".join(remark for remark in remarks if remark),
    )


def _relative(evidence: Evidence) -> str:
    """The effect as a percentage of the control's mean, with a digit that tells it from none."""
    if evidence.relative is None or math.isnan(evidence.effect):
        return ""
    shown = (f"{evidence.relative:+.{decimals}%}" for decimals in (0, 1))
    return next((words for words in shown if float(words[:-1])), "less than 0.1%")


def _values(evidence: Evidence) -> str:
    """Means of control and treatment, with as many digits as the paper gives errors."""
    if evidence.arms is None:
        return ""
    percent = evidence.unit in ("%", "points", "percentage points")
    treatment, control = (f"{100 * mean:.2f}%" if percent else f"{mean:.3g}" for mean in evidence.arms)
    return f"{control} to {treatment}"


def ledger() -> pd.DataFrame:
    """Return the ledger: a row for each finding, and for each reported number that was not computed here.

    Returns:
        Columns: ``experiment``; ``source``; ``statement``; ``origin``, whose it is: the paper's, another paper's, or this
        course's; ``primary``, whether the experiment's verdict rests on it; ``paper``, its value or words; ``ours``, the
        effect with its 95% interval and the number of seeds; ``values``, ours of control and treatment; ``relative``, the
        effect as a fraction of the control's; ``required``, what agrees with the paper; ``scale``; ``data``; ``verdict``:
        agrees, differs, undecided or not run here; ``remarks``; and ``note``, the experiment's remark or why it was not run.

    Example:
        >>> set(ledger().verdict) <= {"agrees", "differs", "undecided", "not run here"}
        True
    """
    rows: list[dict[str, Any]] = []
    for experiment in in_order(map(get, names())):
        head = {"experiment": experiment.name, "source": experiment.source}
        if not is_recorded(experiment.name):
            rows += _rows_not_run(head, experiment.origin, experiment.reported, experiment.not_run or _WAITING)
            continue
        result = recorded(experiment.name)
        where = {"scale": result.scale, "data": data_of(result), "note": experiment.remark}
        for entry in entries(result):
            shown = entry._asdict()
            rows.append({**head, **shown, "ours": shown.pop("effect"), "primary": bool(entry.primary), **where})
    for missing in NOT_RUN:
        head = {"experiment": missing.title, "source": missing.source}
        rows += _rows_not_run(head, "paper", missing.reported, missing.reason)
    return pd.DataFrame(rows).drop(columns="effect", errors="ignore")


def _rows_not_run(
    head: dict[str, str], origin: Origin, reported: Iterable[Reported], reason: str
) -> list[dict[str, Any]]:
    blank = dict.fromkeys(("values", "relative", "required", "scale", "data", "remarks"), "")
    same = {**head, "origin": origin, "primary": False, **blank, "ours": _NOT_RUN, "verdict": _NOT_RUN, "note": reason}
    return [{**same, "statement": number.what, "paper": number.value} for number in reported]


def beside_the_paper(result: Result) -> pd.DataFrame:
    """The test errors of a result's rows, the paper's beside ours where it has one.

    Returns:
        A row for each row or arm, by its name: ``layers``, the units of the hidden ones; ``paper``, as printed; ``ours``, the
        mean over seeds in percent; ``low`` and ``high``, the ends of its 95% interval; ``train``, the training error in
        percent; and ``networks``, their number.

    Example:
        >>> beside_the_paper(recorded("table9_regularizers")).paper["L2"]
        '1.62%'
    """
    name = "row" if "row" in result.table else "arm"
    paper = {number.row: number.value for number in result.experiment.reported if number.row}
    layers = {unit["settings"][name]: unit["settings"]["sizes"][1:-1] for unit in result.provenance["units"]}
    rows = []
    for row, of_row in result.table.groupby(name, sort=False) if "test_error" in result.table else ():
        if len(of_row) < FEWEST_SEEDS:  # of a run that is not finished
            continue
        errors = sampled(of_row["test_error"].to_numpy(float), unit="percentage points", over="seeds")
        low, high = errors.interval
        rows.append(
            {
                name: row,
                "layers": "-".join(map(str, layers[row])),
                "paper": paper.get(str(row), ""),
                "ours": 100 * errors.effect,
                "low": 100 * low,
                "high": 100 * high,
                "train": 100 * of_row["train_error"].mean(),
                "networks": len(of_row),
            }
        )
    return pd.DataFrame(rows, columns=[name, *_BESIDE]).set_index(name)


class Cost(NamedTuple):
    """What a scale of an experiment costs: its units, the seconds of one core, and on what that is based."""

    scale: str
    units: int
    seconds: float
    basis: str


def cost(experiment: Experiment) -> pd.DataFrame:
    """Return what an experiment costs at each of its scales.

    Args:
        experiment: An experiment.

    Returns:
        Columns: ``scale``; ``units``, their number; ``seconds`` of one core; and ``basis``: measured where a result is
        recorded, else estimated from it by the units' work, to three digits, or not measured.

    Example:
        >>> from dropout_lessons.experiments import get
        >>> cost(get("fig9a_keep_prob")).scale.tolist()
        ['lecture', 'workstation', 'paper']
    """
    return pd.DataFrame(costs(experiment))


def costs(experiment: Experiment) -> list[Cost]:
    """As ``cost``, scale by scale."""
    plans = {str(scale): experiment.plan(scale) for scale in experiment.scales}
    work = {scale: sum(unit.work for unit in units) for scale, units in plans.items()}
    if not is_recorded(experiment.name):
        return [Cost(scale, len(units), math.nan, "not measured") for scale, units in plans.items()]
    result = recorded(experiment.name)
    measured = Cost(result.scale, len(result.provenance["units"]), result.provenance["seconds"], "measured")
    rate = measured.seconds / work[result.scale]
    return [
        measured if scale == result.scale else Cost(scale, len(units), float(f"{rate * work[scale]:.3g}"), "estimated")
        for scale, units in plans.items()
    ]


def data_of(result: Result) -> str:
    """The data sets of a result, in words."""
    rows, config = result.rows, result.provenance["config"]
    found = rows["data"].unique().tolist() if "data" in rows else [config["data"]] if "data" in config else []
    return ", ".join(_DATA.get(name, str(name)) for name in found) or "its own data"


def in_order(experiments: Iterable[Experiment]) -> list[Experiment]:
    """The paper's figures, sections and tables first, each in its order."""
    return sorted(experiments, key=lambda experiment: (*place(experiment.source), experiment.name))


def place(source: str) -> tuple[Any, ...]:
    """Where a source stands: the paper's first, and numbers by their size."""
    runs = [(is_digit, "".join(run)) for is_digit, run in groupby(source, str.isdigit)]
    parts = [(int(run), "") if is_digit else (-1, run) for is_digit, run in runs]
    return (not source.startswith("Srivastava et al. 2014"), parts)
