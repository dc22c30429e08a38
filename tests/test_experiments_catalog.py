"""Every experiment of the catalog: its plan at each scale, its recorded result, and a unit of that computed again."""

from __future__ import annotations

import itertools
import json
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from dropout_lessons.experiments import (
    Arm,
    Experiment,
    Result,
    Unit,
    cost,
    entries,
    get,
    ledger,
    ledger_page,
    names,
    page,
    recorded,
    run,
)
from dropout_lessons.experiments.autoencoders import trained_autoencoder
from dropout_lessons.experiments.catalog import fig7_features, fig8_sparsity
from dropout_lessons.experiments.not_run import NOT_RUN
from dropout_lessons.experiments.records import RECORDS, is_recorded

ROOT = Path(__file__).resolve().parents[1]
NAMES = names()
SCALES = [(name, scale) for name in NAMES for scale in get(name).scales]
# What every machine has; test_experiments_placement.py runs those of CIFAR-10 and SVHN on images that it makes up.
EMBEDDED = {"mnist": "mnist_10k", "fashion_mnist": "fashion_10k"}
DOWNLOADED = {*EMBEDDED, "cifar10", "svhn"}


@cache
def plan_of(name: str, scale: str) -> list[Unit]:
    return get(name).plan(scale)


@cache
def result_of(name: str) -> Result:
    if not is_recorded(name):
        pytest.skip(f"{name} has no recorded result: {get(name).not_run or 'it is to be recorded'}")
    return recorded(name)


@cache
def page_of_the_ledger() -> str:
    return ledger_page()


def plain(value: Any) -> Any:
    """As it comes out of a file."""
    return json.loads(json.dumps(value))


def same_settings(unit: Mapping[str, Any]) -> str:
    return json.dumps(unit["settings"], sort_keys=True)


# Plans


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_says_where_its_claim_and_its_numbers_stand(name):
    experiment = get(name)
    assert experiment.name == name
    assert experiment.title
    assert experiment.source
    assert experiment.claim.endswith(".")
    assert experiment.reported
    assert all(number.what and number.value and number.where for number in experiment.reported)
    assert set(experiment.scales) == {"lecture", "workstation", "paper"} or experiment.not_run


@pytest.mark.parametrize(("name", "scale"), SCALES)
def test_units_can_be_kept_and_told_apart(name, scale):
    units = plan_of(name, scale)
    assert units
    for unit in units:
        assert plain(unit.settings) == json.loads(json.dumps(plain(unit.settings), allow_nan=False))
        assert isinstance(unit.seed, int)
        assert unit.work > 0
    assert max(Counter(unit.key() for unit in units).values()) == 1
    # Their rows can be told apart in the table, too.
    assert max(Counter(tuple(unit.columns.items()) for unit in units).values()) == 1


@pytest.mark.parametrize(("name", "scale"), SCALES)
def test_tuning_and_reporting_share_no_seeds_and_at_least_five_are_reported(name, scale):
    units = plan_of(name, scale)
    tuning = {unit.seed for unit in units if unit.settings.get("stage") == "tuning"}
    reported = {unit.seed for unit in units if unit.settings.get("stage") != "tuning"}
    assert reported == set(range(len(reported)))
    assert len(reported) >= 5
    assert not tuning & reported


SMALL = {
    "epochs": 1,
    "train": 200,
    "test": 100,
    "examples": 50,
    "damage": 0.001,
    "draws": 50,
    "members": 2,
    "steps": 4,
    "sequences": 32,
    "checkpoints": 2,
    "batch": 8,
    "width": 16,
    "depth": 1,
    "heads": 2,
    "context": 8,
}


def shrunk(value: Any, name: str = "") -> Any:
    """The same work, as little of it as there can be: an epoch, a few examples, narrow layers."""
    if isinstance(value, Mapping):
        return {name: shrunk(inner, name) for name, inner in value.items()}
    if name == "sizes":
        return [value[0], *(min(width, 8) for width in value[1:-1]), value[-1]]
    if name in ("hidden", "channels", "samples"):
        return [min(inner, 4) for inner in value] if isinstance(value, (list, tuple)) else min(value, 8)
    if name == "candidates":
        return [shrunk(candidate) for candidate in value]
    if name == "grid":
        return [2, 2]
    if name == "data":
        return EMBEDDED.get(value, value)
    return min(value, SMALL[name]) if name in SMALL else value


# A candidate's fields, where a unit at the paper's scale trains one candidate.
PAPER_ONLY = {"learning_rate", "weight_decay", "max_norm", "l1"}


def only(experiment: Experiment, unit: Unit) -> Experiment:
    """The experiment with one unit."""
    return replace(experiment, arms=lambda config: [Arm(unit.settings, [unit.seed])])


def kinds(units: list[Unit]) -> Iterator[Unit]:
    """The first unit of each stage and part."""
    first: dict[Any, Unit] = {}
    for unit in units:
        first.setdefault((unit.settings.get("stage"), unit.settings.get("part")), unit)
    yield from first.values()


@pytest.mark.parametrize("name", NAMES)
def test_the_paper_scale_runs_when_it_is_shrunk(name):
    experiment = get(name)
    computed = 0
    for unit in kinds(plan_of(name, "paper")):
        small = Unit(shrunk(unit.settings), unit.seed)
        if small.settings.get("data") in DOWNLOADED:
            continue
        table = run(only(experiment, small), "paper").rows
        assert len(table) >= 1
        assert set(table.seed) == {unit.seed}
        if is_recorded(name):
            assert set(table) <= set(result_of(name).rows) | PAPER_ONLY
        computed += 1
    assert computed or name in ("cifar10_table4", "svhn_table3")


# Records


def test_every_record_is_of_an_experiment():
    files = {path.name for path in RECORDS.iterdir() if path.is_file()}
    recorded_names = {path.removesuffix(".csv") for path in files if path.endswith(".csv")}
    assert files == {f"{name}{suffix}" for name in recorded_names for suffix in (".csv", ".json")}
    assert recorded_names <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_record_is_complete_and_of_the_experiment_as_it_is(name):
    result = result_of(name)
    experiment = get(name)
    assert result.provenance["experiment"] == name
    assert result.provenance["config"] == plain(experiment.config(result.scale)), (
        "its configuration was changed: run it again"
    )
    planned = [
        {"settings": plain(unit.settings), "seed": unit.seed}
        for arm in experiment.arms(experiment.config(result.scale))
        for unit in (*arm.tuning(), *arm.reporting(arm.chosen(result.rows), result.rows))
    ]
    done = [{"settings": unit["settings"], "seed": unit["seed"]} for unit in result.provenance["units"]]
    assert sorted(json.dumps(unit, sort_keys=True) for unit in done) == sorted(
        json.dumps(unit, sort_keys=True) for unit in planned
    )
    rows = sum(len(rows_of(result, unit)) for unit in done)
    assert rows == len(result.rows)
    assert all(len(rows_of(result, unit)) for unit in done)
    assert result.provenance["seconds"] == pytest.approx(
        sum(unit["seconds"] for unit in result.provenance["units"]), abs=0.001 * len(done) + 0.01
    )


def rows_of(result: Result, unit: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of a unit in a table."""
    chosen = pd.Series(True, index=result.rows.index)
    for column, value in Unit(unit["settings"], unit["seed"]).columns.items():
        same = result.rows[column].isna() if value is None else result.rows[column] == value
        chosen &= same
    return result.rows[chosen]


@pytest.mark.parametrize("name", NAMES)
def test_a_record_is_judged_and_drawn(name):
    result = result_of(name)
    assert result.findings
    for finding in result.findings:
        assert finding.statement.endswith(".")
        assert finding.evidence.n >= 5
        assert np.isfinite(finding.evidence.interval).all()
    assert result.verdict in ("reproduced", "not reproduced", "undecided")
    assert 1 <= sum(bool(finding.primary) for finding in result.findings) <= 2, "one or two primary statements"
    figure = result.draw()
    assert isinstance(figure, Figure)
    assert figure.axes
    plt.close(figure)


def is_numeric(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and column.dtype != bool


def labels(column: pd.Series) -> list[Any]:
    return column.fillna("").tolist()


def numbers(column: pd.Series) -> np.ndarray:
    """The numbers of a column, also those that are written as text, such as the counts of a histogram."""
    if is_numeric(column):
        return column.to_numpy(float)
    assert not column.isna().any(), f"{column.name} is missing for some seeds: choose a unit without it"
    return np.array([float(number) for text in column for number in str(text).split()])


# Quick ones of each kind, and counts written as text: `make test-rounding` computes them as another processor would.
ROUNDED = {"batchnorm_variance_shift", "fig8_sparsity", "fig10_data_size", "section9_ridge", "tuned_penalties"}
ROUNDED |= {"early_dropout", "fig9b_keep_prob_times_width", "warde_farley_averages", "where_dropout_hurts"}


# Figure 8 is of the networks of Figure 7: with the same unit for both, its network is trained once.
OF_THE_NETWORKS = {"fig8_sparsity": "fig7_features"}


@pytest.fixture(scope="module")
def trained_once() -> Iterator[None]:
    trained: dict[str, Any] = {}

    def train(unit: Unit, device: torch.device) -> Any:
        if unit.key() not in trained:
            trained[unit.key()] = trained_autoencoder(unit, device)
        return trained[unit.key()]

    with pytest.MonkeyPatch.context() as patch:
        for figure in (fig7_features, fig8_sparsity):
            patch.setattr(figure, "trained_autoencoder", train)
        yield


def marks_of(name: str) -> list[pytest.MarkDecorator]:
    together = name in {*OF_THE_NETWORKS, *OF_THE_NETWORKS.values()}
    return [pytest.mark.rounding] * (name in ROUNDED) + [pytest.mark.xdist_group("autoencoders")] * together


@pytest.mark.usefixtures("trained_once")
@pytest.mark.parametrize("name", [pytest.param(name, marks=marks_of(name)) for name in NAMES])
def test_the_cheapest_unit_of_a_record_comes_out_again(name):
    """On one kind of processor bit for bit; on another one, training amplifies what it rounds differently.

    How far it can, is not known, but it is no more than what another seed does: that changes the data, the initial weights
    and every mask besides. So each column must come out within five times its standard deviation over the seeds, in
    the mean square over the unit's rows. What does not depend on the seed must come out as it was. Text is a label, the
    same for every seed, or numbers, which are compared as such.
    """
    result = result_of(name)
    experiment = get(name)
    timed = result_of(OF_THE_NETWORKS.get(name, name)).provenance["units"]
    own = [unit for unit in timed if unit["settings"].get("data") not in DOWNLOADED]
    seeds = Counter(map(same_settings, own))
    often = [unit for unit in own if seeds[same_settings(unit)] >= 5]
    cheapest = min(often, key=lambda unit: unit["seconds"])
    assert cheapest["seconds"] < 15, "the cheapest unit is to take at most a few seconds: divide it"

    unit = Unit(cheapest["settings"], cheapest["seed"])
    again = run(only(experiment, unit), result.scale).rows
    before = rows_of(result, cheapest)
    assert len(again) == len(before)
    others = [rows_of(result, other) for other in own if same_settings(other) == same_settings(cheapest)]
    others = [rows for rows in others if len(rows) == len(before)]  # such as one for each member that is left
    for column in again.columns.difference(list(unit.columns)):
        if not is_numeric(again[column]) and all(labels(rows[column]) == labels(before[column]) for rows in others):
            assert labels(again[column]) == labels(before[column]), column
            continue
        new, old = numbers(again[column]), numbers(before[column])
        assert np.array_equal(np.isfinite(new), np.isfinite(old)), column
        finite = np.isfinite(old)
        spread = np.stack([numbers(rows[column])[finite] for rows in others]).std(axis=0, ddof=1)
        off = (new - old)[finite]
        assert np.sqrt(np.mean(off**2)) <= 5 * np.sqrt(np.mean(spread**2)) + 1e-6 * np.abs(old[finite]).max(
            initial=1
        ), column


# The ledger

# In one worker, which judges each record once for all of these.
of_the_ledger = pytest.mark.xdist_group("ledger")


def test_a_ledger_without_a_record_says_of_each_number_that_it_was_not_run(monkeypatch):
    monkeypatch.setattr("dropout_lessons.experiments.entries.is_recorded", lambda name: False)
    assert set(ledger().verdict) == {"not run here"}


@of_the_ledger
def test_the_ledger_has_a_row_for_each_finding_and_for_each_number_that_was_not_run():
    table = ledger()
    for name in NAMES:
        rows = table[table.experiment == name]
        if is_recorded(name):
            result = result_of(name)
            words = {True: "agrees", False: "differs", None: "undecided"}
            findings = sorted(result.findings, key=lambda finding: not finding.primary)
            assert rows.verdict.tolist() == [words[finding.holds] for finding in findings]
            assert rows.statement.tolist() == [finding.statement for finding in findings]
            assert rows.primary.tolist() == [bool(finding.primary) for finding in findings]
            assert (rows.scale == result.scale).all()
            inexact = [finding.evidence.atol is None for finding in findings]
            assert rows.ours[inexact].str.contains(r"95% interval \[.+, .+\], \d+ (?:seeds|draws)").all()
            assert (rows.data != "").all()
        else:
            assert rows.paper.tolist() == [number.value for number in get(name).reported]
            assert (rows.verdict == "not run here").all()
    for missing in NOT_RUN:
        rows = table[table.experiment == missing.title]
        assert rows.paper.tolist() == [number.value for number in missing.reported]
        assert (rows.note == missing.reason).all()


def test_a_claim_of_the_course_that_waits_for_its_record_is_listed_and_not_counted_as_a_result_of_the_paper(
    monkeypatch,
):
    waiting = replace(get("svhn_table3"), title="One of our own", origin="course")
    for module in (entries, page):
        monkeypatch.setattr(module, "names", lambda: ["fig9a_keep_prob", waiting.name])
        monkeypatch.setattr(module, "get", lambda name: waiting if name == waiting.name else get(name))
    text = ledger_page()
    assert f"[{len(NOT_RUN)} results of the paper](#ledger-not-run)" in text
    assert "\n### One of our own\n" in text.partition("## Not run here")[2]
    table = ledger()
    assert set(table[table.experiment == waiting.name].origin) == {"course"}
    assert set(table[table.experiment != waiting.name].origin) == {"paper"}


@of_the_ledger
def test_the_page_of_the_ledger_is_what_the_records_give():
    assert (ROOT / "book" / "ledger.md").read_text(encoding="utf-8") == page_of_the_ledger(), "run `make ledger`"


def test_readers_can_guess_that_every_recorded_experiment_was_reproduced():
    chapter = (ROOT / "chapters" / "13_reproducing_the_paper.ipynb").read_text(encoding="utf-8")
    (most,) = re.findall(r":number: 0 to (\d+) experiments", chapter)
    assert int(most) >= sum(is_recorded(name) for name in NAMES)


@of_the_ledger
def test_chapter_13_gives_the_verdicts_of_the_papers_tables_and_figures():
    chapter = nbformat.read(ROOT / "chapters" / "13_reproducing_the_paper.ipynb", as_version=4)
    answer = re.search(r"\*\*Does the paper hold up here\?\*\*(.*)", chapter.cells[-1].source)
    assert answer is not None
    said = {
        place: verdict
        for sentence in answer[1].split(". ")
        for verdict in re.findall(r"not reproduced|reproduced|undecided", sentence)
        for place in re.findall(r"(?:Table|Figure) \d+[ab]?", sentence)
    }
    assert len(said) >= 10
    for name in filter(is_recorded, NAMES):
        place = get(name).title.split(":")[0]
        assert said.pop(place, result_of(name).verdict) == result_of(name).verdict, place
    assert not said


@of_the_ledger
def test_the_page_of_the_ledger_has_a_section_for_each_experiment_and_links_that_lead_there():
    page = page_of_the_ledger()
    for name in NAMES:
        label = f"ledger-{name.replace('_', '-')}"
        primary = sum(bool(finding.primary) for finding in result_of(name).findings) if is_recorded(name) else 0
        assert page.count(f"({label})=\n## ") == is_recorded(name)
        assert page.count(f"](#{label})") == primary  # each row of the first tables, so that they can be sorted
    lines = page.splitlines()
    widths = [line.replace("\\|", "").count("|") for line in lines if line.startswith("|")]
    assert min(widths) >= 4
    for line, below in itertools.pairwise(lines):
        if line.startswith("|") and below.startswith("|"):
            assert line.replace("\\|", "").count("|") == below.replace("\\|", "").count("|"), line


@of_the_ledger
def test_commands_on_the_page_can_be_pasted():
    """In blocks of code they keep their hyphens; elsewhere two become a dash."""
    blocks = [line for block in page_of_the_ledger().split("```")[1::2] for line in block.splitlines()[1:]]
    commands = [shlex.split(line) for line in blocks if line.startswith("dropout-lessons experiments run")]
    assert len(commands) >= len([name for name in NAMES if is_recorded(name)])
    for _, _, _, name, _, scale, *rest in commands:
        assert scale in get(name).scales
        assert rest in ([], ["--record"])
    prose = re.sub(r"```.*?```|`[^`]*`", "", page_of_the_ledger(), flags=re.DOTALL)
    assert not re.search(r"(?<!\S)--\w", prose)


@pytest.mark.parametrize("name", NAMES)
def test_the_cost_is_measured_where_there_is_a_record_and_estimated_by_work_elsewhere(name):
    table = cost(get(name)).set_index("scale")
    assert list(table.index) == list(get(name).scales)
    if not is_recorded(name):
        assert (table.basis == "not measured").all()
        assert table.seconds.isna().all()
        return
    result = result_of(name)
    assert table.basis.to_dict() == {
        scale: "measured" if scale == result.scale else "estimated" for scale in table.index
    }
    assert table.seconds[result.scale] == result.provenance["seconds"]
    work = {scale: sum(unit.work for unit in plan_of(name, scale)) for scale in table.index}
    for scale in table.index:
        expected = result.provenance["seconds"] * work[scale] / work[result.scale]
        assert table.seconds[scale] == pytest.approx(expected, rel=5e-3)  # three digits


@of_the_ledger
def test_the_page_counts_the_arms_that_were_tuned_to_an_edge():
    results = [result_of(name) for name in NAMES if is_recorded(name)]
    ended = tuned = 0
    for result in results:
        for arm in result.experiment.arms(result.experiment.config(result.scale)):
            if len(arm.candidates) > 1:
                tuned += 1
                ended += bool(arm.edges(arm.chosen(result.rows)))
    assert f"Of {tuned} tuned arms {ended} chose a value at an end" in page_of_the_ledger()


@of_the_ledger
def test_the_signs_of_the_table_of_data_sets_are_those_of_the_intervals():
    result = result_of("three_data_sets")
    table = page_of_the_ledger().split("(ledger-other-data)=")[1].split("\n:::")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    columns = rows[0][1:]
    shown = {(cells[0], column): cell[0] for cells in rows[2:] for column, cell in zip(columns, cells[1:], strict=True)}
    signs = {True: "−", False: "+", None: "?"}
    expected = {
        (what.replace("_", "\\_"), data): signs[finding.holds]
        for finding in result.findings
        for data, _, what in [finding.statement.removesuffix(".").partition(": ")]
    }
    assert shown == expected
