"""The paper's own scale: units that come one by one, what they say so far, and the page that shows it."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

sys.path.append(str(Path(__file__).parent / "toys"))

import toy

from dropout_lessons import cli, datasets
from dropout_lessons.cli import experiments as commands
from dropout_lessons.experiments import Result, Row, Unit, UnitsFailed, get, names, page, run
from dropout_lessons.experiments.records import UNITS, reached

TABLES = ("table2_mnist", "table9_regularizers")


@pytest.mark.parametrize("name", TABLES)
def test_a_unit_trains_one_network_so_that_little_is_lost_and_the_arms_of_primary_statements_come_first(name):
    experiment = get(name)
    arms = list(experiment.arms(experiment.config("paper")))
    assert all(len(unit.settings.get("candidates", [{}])) == 1 for unit in experiment.plan("paper"))
    # As many for each arm of a rank: the widest networks, which take six times as long, have fewer.
    for rank in {arm.rank for arm in arms}:
        assert len({len(arm.candidates) for arm in arms if arm.rank == rank}) == 1
    assert all(len(arm.seeds) >= 5 and len(arm.candidates) > 1 for arm in arms)
    table = pd.DataFrame(
        {**unit.columns, "test_error": np.random.default_rng(unit.seed).random()}
        for arm in arms
        if arm.rank == 0
        for unit in arm.reporting(arm.candidates[0])
    )
    table.attrs["unfinished"] = True
    for finding in experiment.judge(table):
        if finding.primary:
            assert math.isfinite(finding.evidence.effect), f"{finding.statement} waits for later arms"


def test_what_is_reached_is_what_was_computed_and_nothing_is_reported_before_its_tuning_is_done(told, tmp_path):
    assert reached(toy.EXPERIMENT, "lecture", tmp_path) is None
    (told / "fails").write_text("tuning-1001")
    with pytest.raises(UnitsFailed):
        run(toy.EXPERIMENT, folder=tmp_path)
    result = reached(toy.EXPERIMENT, "lecture", tmp_path)
    assert (len(result.provenance["units"]), result.provenance["unfinished"], len(result.table)) == (3, 8, 0)
    (told / "fails").write_text("report-3 report-4")
    with pytest.raises(UnitsFailed):
        run(toy.EXPERIMENT, folder=tmp_path)
    result = reached(toy.EXPERIMENT, "lecture", tmp_path)
    assert (len(result.provenance["units"]), result.provenance["unfinished"]) == (9, 2)
    assert sorted(result.table.seed.unique()) == [0, 1, 2]
    (told / "fails").unlink()
    whole = run(toy.EXPERIMENT, folder=tmp_path)
    again = reached(toy.EXPERIMENT, "lecture", tmp_path)
    assert again.provenance["unfinished"] == 0
    pd.testing.assert_frame_equal(again.rows, whole.rows, check_exact=True)
    assert again.verdict == whole.verdict


def test_a_damaged_unit_is_not_reached(told, tmp_path):
    run(toy.EXPERIMENT, folder=tmp_path)
    path = next((tmp_path / "toy/lecture/units").glob("*report*seed=2*.json"))
    path.write_text(path.read_text().replace('"seconds": 0', '"seconds": 1'))
    result = reached(toy.EXPERIMENT, "lecture", tmp_path)
    assert result.provenance["unfinished"] == 1
    assert 2 not in result.table.seed.tolist()


def part_of_table_2(seeds: int) -> Result:
    """Table 2 at the paper's scale as it is after some seeds, with errors that are made up."""
    experiment = get("table2_mnist")
    rows: list[Row] = []
    units: list[dict[str, object]] = []
    for arm in experiment.arms(experiment.config("paper")):
        if arm.rank:
            continue
        for unit in (*arm.tuning(), *arm.reporting(arm.candidates[1])[:seeds]):
            error = 0.016 - 0.003 * ("dropout" in arm.settings["row"][:7]) + 1e-4 * (unit.seed % 5)
            measured = {"train_error": 0.0, "validation_error": error + 0.01 * (unit["stage"] == "tuning")}
            candidate = unit.settings == arm.tuning()[1].settings
            measured["validation_error"] -= 0.01 * candidate
            rows.append({**unit.columns, **measured, "test_error": None if unit.tunes else error})
            units.append({"settings": unit.settings, "seed": unit.seed})
    source = {"units": units, "unfinished": 7, "seconds": 7200.0, "device": "cpu", "config": {"data": "mnist"}}
    table = pd.DataFrame(rows).astype({"test_error": float})
    return Result(experiment, "paper", table if seeds else table.drop(columns="test_error"), source)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[[Result], str]:
    """The page's part on the paper's scale, as if a result of Table 2 had been reached."""

    def show(part: Result) -> str:
        monkeypatch.setattr(page, "reached", lambda experiment, scale: part)
        return page._at_the_papers_scale([get("table2_mnist")])

    return show


@pytest.mark.parametrize(("seeds", "verdict"), [(0, "Not run"), (2, "Not run"), (5, "Not reproduced")])
def test_the_page_shows_our_errors_at_the_papers_scale_as_far_as_it_is_reached(seeds, verdict, shown):
    text = shown(part_of_table_2(seeds))
    units = 15 + 3 * seeds
    assert f"**{verdict}** on MNIST: {units} of {units + 7} units are done, in 2 hours of one core" in text
    assert "--scale paper --record" in text
    assert ("1.62% to 1.32%" in text) == (seeds == 5)
    assert ("2 of the seeds that it takes" in text) == (seeds == 2)
    assert "learning rate 0.1" in text  # what was tried


def test_the_papers_scale_comes_first_on_the_page(monkeypatch):
    part = part_of_table_2(5)
    monkeypatch.setattr(page, "reached", lambda experiment, scale: part if experiment.name == "table2_mnist" else None)
    text = page.ledger_page()
    assert text.index("## The paper's own scale") < text.index("| statement |") < text.index("## Verdicts")


@pytest.mark.parametrize("row", ["no dropout", "dropout, max-norm"])
def test_one_arm_alone_can_be_shown(row, shown):
    part = part_of_table_2(5)
    rows = part.rows[part.rows.row == row].dropna(axis=1, how="all")
    units = [unit for unit in part.provenance["units"] if unit["settings"]["row"] == row]
    part = replace(part, rows=rows, provenance={**part.provenance, "units": units})
    assert part.verdict == "not run"
    assert set(part.table.edge) == {""}
    assert shown(part).count(f"| {row} |") == 6  # in the table of errors, and each candidate


def test_recording_at_the_papers_scale_keeps_each_unit_with_the_package(tmp_path, monkeypatch, capsys):
    experiment = replace(toy.EXPERIMENT, scales={"paper": {"seeds": 5}})
    monkeypatch.setattr(commands.experiments, "get", lambda name: experiment)
    monkeypatch.setattr(commands, "UNITS", tmp_path / "units")
    assert cli.main(["experiments", "run", "toy", "--scale", "paper", "--record", "--jobs", "1"]) == 0
    assert len(list((tmp_path / "units/toy/paper/units").glob("*.json"))) == 11
    assert str(tmp_path / "units") in str(Path(capsys.readouterr().out.split("kept in ")[1].strip()).resolve())


def test_units_that_the_package_ships_are_of_the_plan():
    for folder in sorted(UNITS.glob("*/paper")) if UNITS.exists() else []:
        result = reached(get(folder.parent.name), "paper")
        assert result is not None
        assert len(result.provenance["units"]) == len(list((folder / "units").glob("*.json")))


def test_what_the_package_ships_is_there_wherever_seeds_are_moved(monkeypatch):
    shipped = reached("table2_mnist", "paper").table
    monkeypatch.setenv("DROPOUT_LESSONS_SEED_OFFSET", "7")
    pd.testing.assert_frame_equal(reached("table2_mnist", "paper").table, shipped)


def test_a_network_learns_the_papers_own_digits():
    """On all 60,000 of MNIST, where they are: a folder ``mnist`` in the one that ``DROPOUT_LESSONS_DATA`` names."""
    folder = Path(os.environ.get("DROPOUT_LESSONS_DATA", "nowhere"), "mnist")
    if not folder.is_dir():
        pytest.skip("DROPOUT_LESSONS_DATA names no folder with mnist in it")
    data = datasets.load("mnist", folder=folder)
    assert (len(data.train.y), len(data.validation.y), len(data.test.y)) == (50_000, 10_000, 10_000)
    settings = get("table2_mnist").plan("paper")[0].settings
    unit = Unit({**settings, "train": 2000, "sizes": [784, 32, 10], "recipe": {"epochs": 3}}, 1000)
    (row,) = get("table2_mnist").compute(unit, torch.device("cpu"))
    assert row["validation_error"] < 0.3


@pytest.mark.parametrize("name", names())
def test_before_anything_is_reported_every_experiment_is_not_run(name):
    rows = pd.DataFrame({"stage": ["tuning"], "seed": [1000], "validation_error": [0.1]})
    for scale in get(name).scales:
        assert Result(get(name), scale, rows, {"unfinished": 1}).verdict == "not run"
