"""Runs of experiments: the same table whatever happens on the way, nothing lost, nothing computed twice."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

TOYS = Path(__file__).parent / "toys"
sys.path.append(str(TOYS))

import tiny_training  # noqa: E402
import toy  # noqa: E402

from dropout_lessons.experiments import (  # noqa: E402
    Arm,
    Experiment,
    Row,
    Unit,
    UnitsFailed,
    pools,
    record,
    recorded,
    run,
    runner,
    store,
)
from dropout_lessons.experiments import records as shipped  # noqa: E402
from dropout_lessons.experiments.store import Store, from_csv, kept, to_csv  # noqa: E402
from dropout_lessons.experiments.tuning import train, train_together, tuned  # noqa: E402

N_UNITS = {"lecture": 6 + 5, "workstation": 6 + 14}


@pytest.fixture
def log(told: Path) -> Path:
    """Where the toy writes down what it computes."""
    return told / "log"


def computed(log: Path, event: str = "start") -> Counter[str]:
    """How often each unit was started, or done."""
    return Counter(line.split()[1] for line in log.read_text().splitlines() if line.startswith(event))


def unit_files(folder: Path, scale: str = "lecture") -> list[Path]:
    return sorted((folder / "toy" / scale / "units").glob("*.json"))


@pytest.fixture
def start(log: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command in a process group of its own, as a terminal does."""
    started = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", "import sys, toy; sys.exit(toy.command())", "experiments", *arguments],
            env={**os.environ, "PYTHONPATH": str(TOYS), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# What comes out


def test_a_run_tunes_first_and_then_reports_with_the_best_candidate_on_other_seeds(log):
    result = run(toy.EXPERIMENT)
    tuning, report = result.tuning, result.table
    assert set(tuning.rate) == {0.1, 0.2, 0.4}
    assert set(report.rate) == {0.2}  # the least validation error
    assert not set(tuning.seed) & set(report.seed)
    assert set(computed(log).values()) == {1}


def test_rows_carry_the_scalars_of_their_unit_in_the_order_of_the_plan():
    table = run(toy.EXPERIMENT).rows
    assert list(table.columns) == ["stage", "rate", "seed", "arm", "validation_error", "test_error", "extra"]
    assert table.seed.tolist() == [seed for seed in [1000, 1001] * 3 + list(range(5)) for _ in range(3)]


def test_a_table_has_the_numbers_that_were_computed_bit_for_bit():
    row = run(toy.EXPERIMENT).table.query("seed == 3 and arm == 'None'").iloc[0]
    draws = np.random.default_rng(3)
    assert row.validation_error == draws.random()
    assert row.test_error == 0.5 + draws.random() / 3


def test_csv_gives_back_every_number_and_the_word_none():
    rng = np.random.default_rng(0)
    floats = rng.integers(0, 2**64, 3000, dtype=np.uint64).view(np.float64)  # of any size, and some NaN
    table = pd.DataFrame(
        {"x": [*floats, np.inf, -np.inf, np.nan, -0.0, 5e-324], "arm": ["None", "NA", "nan", "", "a"] * 601}
    )
    table["arm"] = table["arm"].replace("", "null")
    back = from_csv(to_csv(table))
    # A NaN comes back as the one NaN that there is in text; everything else bit for bit.
    is_nan = np.isnan(table.x)
    assert np.array_equal(np.isnan(back.x), is_nan)
    assert np.array_equal(back.x[~is_nan].to_numpy().view(np.uint64), table.x[~is_nan].to_numpy().view(np.uint64))
    assert back.arm.tolist() == table.arm.tolist()
    assert to_csv(back) == to_csv(table)


def test_the_provenance_says_what_was_computed_with_what():
    result = run(toy.EXPERIMENT, "lecture")
    assert result.provenance["experiment"] == "toy"
    assert result.provenance["config"] == {"seeds": 5}
    assert result.provenance["versions"]["torch"] == torch.__version__
    assert result.provenance["device"] == "cpu"
    assert len(result.provenance["units"]) == N_UNITS["lecture"]
    assert result.provenance["units"][0]["settings"] == {"stage": "tuning", "rate": 0.1, "shape": [2, 3]}
    total = sum(unit["seconds"] for unit in result.provenance["units"])
    assert result.provenance["seconds"] == pytest.approx(total, abs=0.02)
    assert os.uname().nodename not in json.dumps(result.provenance)
    assert str(Path.cwd()) not in json.dumps(result.provenance)


@pytest.mark.parametrize("jobs", [1, 2])
def test_seconds_are_those_of_the_processor_and_not_of_waiting_for_it(jobs, log):
    log.with_name("seconds").write_text("0.2")
    seconds = [unit["seconds"] for unit in run(toy.EXPERIMENT, jobs=jobs).provenance["units"]]
    assert 0 <= min(seconds) <= max(seconds) < 0.15


def test_versions_devices_and_seconds_of_all_units_are_named(tmp_path):
    run(toy.EXPERIMENT, folder=tmp_path)
    elsewhere = {"device": "another", "seconds": 100.0, "versions": {**store.versions(), "torch": "0.1"}}
    for path in unit_files(tmp_path)[:2]:
        content = {**json.loads(path.read_text()), **elsewhere}
        del content["sha256"]
        path.write_text(json.dumps({**content, "sha256": store._digest(content)}))
    source = run(toy.EXPERIMENT, folder=tmp_path).provenance
    assert source["device"] == "another, cpu"
    assert source["versions"] == {**store.versions(), "torch": f"0.1, {torch.__version__}"}
    assert source["seconds"] == pytest.approx(200, abs=5)


@pytest.mark.parametrize(("status", "commit"), [("", "1234abcd"), (" M runner.py", "1234abcd, changed")])
def test_the_commit_says_whether_the_tree_was_changed_since(status, commit, monkeypatch):
    def git(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        answer = {"ls-files": "__init__.py", "status": status, "rev-parse": "1234abcd"}[command[3]]
        return subprocess.CompletedProcess(command, 0, stdout=f"{answer}\n")

    monkeypatch.setattr(store.subprocess, "run", git)
    assert store.commit.__wrapped__() == commit


def test_one_process_and_two_train_the_same_networks_bit_for_bit_with_one_thread(tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        here = run(tiny_training.EXPERIMENT)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    there = run(tiny_training.EXPERIMENT, jobs=2, folder=tmp_path)
    assert here.table[["test_nll", "weight"]].nunique().tolist() == [8, 8]
    assert set(here.table.torch_threads) == set(there.table.torch_threads) == {1}
    assert set(here.table.blas_threads) == set(there.table.blas_threads) == {1}
    pd.testing.assert_frame_equal(here.table, there.table, check_exact=True)


# What is kept


def test_what_is_kept_is_read_and_gives_the_same_files_again(log, tmp_path):
    first = run(toy.EXPERIMENT, folder=tmp_path)
    files = {path: path.read_bytes() for path in tmp_path.glob("toy/lecture/*.*") if path.is_file()}
    assert {path.name for path in files} == {"table.csv", "provenance.json"}
    again = run(toy.EXPERIMENT, folder=tmp_path)
    assert set(computed(log).values()) == {1}
    assert {path: path.read_bytes() for path in files} == files
    pd.testing.assert_frame_equal(first.table, again.table, check_exact=True)
    pd.testing.assert_frame_equal(first.table, kept(tmp_path, toy.EXPERIMENT, "lecture").table, check_exact=True)
    assert len(unit_files(tmp_path)) == N_UNITS["lecture"]


def test_a_run_without_a_folder_writes_nothing_and_gives_the_same_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = run(toy.EXPERIMENT).table
    assert list(tmp_path.iterdir()) == []
    pd.testing.assert_frame_equal(table, run(toy.EXPERIMENT, folder="kept").table, check_exact=True)


def test_another_version_of_an_experiment_is_computed_anew_beside_the_old_one(log, tmp_path):
    run(toy.EXPERIMENT, folder=tmp_path)
    newer = run(replace(toy.EXPERIMENT, version=2), folder=tmp_path)
    assert set(computed(log).values()) == {2}
    assert newer.provenance["version"] == 2
    with pytest.raises(ValueError, match="is of its version 2, and the experiment is at version 1"):
        kept(tmp_path, toy.EXPERIMENT, "lecture")


def truncate(path: Path, others: list[Path]) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def change_a_digit(path: Path, others: list[Path]) -> None:
    text = path.read_text()
    changed = re.sub(r'("test_error": 0\.)(\d)', lambda found: f"{found[1]}{(int(found[2]) + 1) % 10}", text, count=1)
    assert changed != text
    path.write_text(changed)


def empty(path: Path, others: list[Path]) -> None:
    path.write_text("")


def put_another_unit_there(path: Path, others: list[Path]) -> None:
    shutil.copy(others[0], path)


def put_something_else_there(path: Path, others: list[Path]) -> None:
    path.write_text('["this", "is", "no", "unit"]\n')


def put_bytes_there(path: Path, others: list[Path]) -> None:
    path.write_bytes(bytes(range(256)))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (truncate, "is no result of a unit"),
        (empty, "is no result of a unit"),
        (put_something_else_there, "is no result of a unit"),
        (put_bytes_there, "is no result of a unit"),
        (change_a_digit, "was changed after it was written"),
        (put_another_unit_there, "holds another unit"),
    ],
)
def test_a_damaged_file_is_named_moved_aside_and_computed_again(damage, reason, log, tmp_path):
    whole = run(toy.EXPERIMENT, folder=tmp_path).table
    path, *others = unit_files(tmp_path)
    before = path.read_bytes()
    damage(path, others)
    damaged = path.read_bytes()
    with pytest.warns(UserWarning, match=f"{re.escape(str(path))} {reason}.* is computed again"):
        table = run(toy.EXPERIMENT, folder=tmp_path).table
    pd.testing.assert_frame_equal(table, whole, check_exact=True)
    assert path.with_name(f"{path.name}.damaged").read_bytes() == damaged
    assert str(json.loads(path.read_text())["rows"]) == str(json.loads(before)["rows"])
    assert sorted(computed(log).values()) == [1] * (N_UNITS["lecture"] - 1) + [2]


def test_a_file_in_which_anything_was_changed_is_not_trusted(tmp_path):
    """Not its rows alone: the cost that the ledger tells is made of the seconds, and versions say what made them."""
    run(toy.EXPERIMENT, folder=tmp_path)
    path = unit_files(tmp_path)[0]
    whole = json.loads(path.read_text())
    assert set(whole) == {"settings", "seed", "rows", "seconds", "device", "versions", "sha256"}
    for name, other in {"seconds": 1e6, "device": "abacus", "versions": {**whole["versions"], "torch": "0.1"}}.items():
        path.write_text(json.dumps({**whole, name: other}))
        with pytest.warns(UserWarning, match="was changed after it was written"):
            run(toy.EXPERIMENT, folder=tmp_path)


def test_files_that_are_no_part_of_the_plan_are_not_counted(tmp_path):
    table = run(toy.EXPERIMENT, folder=tmp_path).table
    path = unit_files(tmp_path)[0]
    shutil.copy(path, path.with_name("a-copy.json"))
    path.with_name("notes.txt").write_text("mine")
    path.with_name(f".{path.name}.tmp").write_text("left by a runner that was kil")
    pd.testing.assert_frame_equal(run(toy.EXPERIMENT, folder=tmp_path).table, table, check_exact=True)


def test_a_table_that_was_changed_is_not_trusted(tmp_path):
    run(toy.EXPERIMENT, folder=tmp_path)
    path = tmp_path / "toy" / "lecture" / "table.csv"
    path.write_text(path.read_text().replace("0.", "1.", 1))
    with pytest.raises(
        ValueError, match=r"'toy' was changed .*: `dropout-lessons experiments run toy --scale lecture --folder .*`"
    ):
        kept(tmp_path, toy.EXPERIMENT, "lecture")


def test_a_table_of_another_configuration_is_not_shown_as_one_of_this(tmp_path):
    run(toy.EXPERIMENT, folder=tmp_path)
    changed = replace(toy.EXPERIMENT, scales={"lecture": {"seeds": 6}})
    with pytest.raises(ValueError, match=r"'toy' is of another configuration of the lecture scale .* anew"):
        kept(tmp_path, changed, "lecture")


def test_provenance_without_what_it_needs_is_named(tmp_path):
    run(toy.EXPERIMENT, folder=tmp_path)
    path = tmp_path / "toy" / "lecture" / "provenance.json"
    whole = json.loads(path.read_text())
    for name in ("scale", "config", "units", "settings"):
        path.write_text(json.dumps({key: value for key, value in whole.items() if key != name}))
        with pytest.raises(ValueError, match="the result of 'toy' cannot be read"):
            kept(tmp_path, toy.EXPERIMENT, "lecture")


def test_a_file_appears_under_its_name_only_when_it_is_whole(tmp_path, monkeypatch):
    seen: dict[str, str | None] = {}
    flushed = os.fsync
    renamed = os.replace

    def flush(descriptor: int) -> None:
        assert not path.exists()
        seen["flushed"] = next(path.parent.glob(".table.csv.*")).read_text()
        flushed(descriptor)

    def rename(source: Path, target: Path) -> None:
        assert not path.exists()
        seen["renamed"] = Path(source).read_text()
        renamed(source, target)

    path = tmp_path / "table.csv"
    monkeypatch.setattr(store.os, "fsync", flush)
    monkeypatch.setattr(store.os, "replace", rename)
    store.write(path, "x\n1\n")
    assert seen == {"flushed": "x\n1\n", "renamed": "x\n1\n"}
    assert path.read_text() == "x\n1\n"
    assert list(tmp_path.iterdir()) == [path]


# Progress


class Bar:
    """What a run tells its bar."""

    def __init__(self, total: float, _: str, *, done: float, show: bool) -> None:
        self.total, self.start, self.position, self.show = total, done, done, show

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, work: float) -> None:
        self.position += work

    def set_postfix_str(self, text: str, *, refresh: bool) -> None:
        self.text = text


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[Bar]:
    made: list[Bar] = []
    monkeypatch.setattr(runner, "work_bar", lambda *args, **kwargs: made.append(Bar(*args, **kwargs)) or made[-1])
    return made


def test_progress_is_counted_in_work_and_what_was_kept_is_where_it_starts(tmp_path, bars):
    run(toy.EXPERIMENT, folder=tmp_path)
    assert [(bar.total, bar.start, bar.position) for bar in bars] == [(6, 0, 6), (5, 0, 5)]  # tuning, then reports
    assert [bar.text for bar in bars] == ["6/6 units", "5/5 units"]
    next((tmp_path / "toy/lecture/units").glob("*report*seed=2*.json")).unlink()
    bars.clear()
    run(toy.EXPERIMENT, folder=tmp_path)
    assert [(bar.total, bar.start, bar.position) for bar in bars] == [(6, 6, 6), (5, 4, 5)]
    assert all(bar.show for bar in bars)


def test_progress_counts_what_other_runners_have_done_meanwhile(log, tmp_path, bars, monkeypatch):
    run(toy.EXPERIMENT, folder=tmp_path)
    bars.clear()
    monkeypatch.setattr(Store, "read", lambda self, unit: None)  # as if all was finished after this run looked
    run(toy.EXPERIMENT, folder=tmp_path)
    assert [(bar.start, bar.position) for bar in bars] == [(0, 6), (0, 5)]
    assert set(computed(log).values()) == {1}


# What goes wrong


def test_a_unit_that_raises_is_named_and_the_others_are_done_and_kept(log, tmp_path):
    log.with_name("fails").write_text("report-1 report-3")
    with pytest.raises(UnitsFailed) as failure:
        run(toy.EXPERIMENT, folder=tmp_path)
    message = str(failure.value)
    assert message.startswith("2 of 5 units of 'toy' failed; the others are done and kept:")
    assert "stage=report, rate=0.2, seed=1: ArithmeticError: report-1 is told to fail" in message
    assert "seed=3: ArithmeticError" in message
    assert "raise ArithmeticError" in str(failure.value.__cause__)  # where it was raised
    assert len(unit_files(tmp_path)) == N_UNITS["lecture"] - 2
    log.with_name("fails").unlink()
    run(toy.EXPERIMENT, folder=tmp_path)
    assert computed(log) == {name: 1 + name.endswith(("0.2-1", "0.2-3")) for name in computed(log)}


def test_nothing_is_reported_from_a_tuning_that_failed(log):
    log.with_name("fails").write_text("tuning-1001")
    with pytest.raises(UnitsFailed, match="3 of 6 units of 'toy' failed:"):
        run(toy.EXPERIMENT)
    assert not any(name.startswith("report") for name in computed(log))


def test_a_row_that_no_table_can_hold_is_refused():
    bad = replace(toy.EXPERIMENT, compute=lambda unit, device: [{"weights": torch.zeros(3)}])
    with pytest.raises(UnitsFailed, match=r"TypeError: a row holds numbers, .*, got Tensor as 'weights'"):
        run(bad)


def test_a_row_that_contradicts_its_unit_is_refused():
    """It would be counted as of another unit."""
    bad = replace(toy.EXPERIMENT, compute=lambda unit, device: [{"rate": 0.3, "validation_error": 0.0}])
    with pytest.raises(UnitsFailed, match=r"ValueError: a row's 'rate' is 0\.3 and its unit's is 0\.1: rename one"):
        run(bad)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"file/toy/lecture cannot be written: Not a directory; .* another folder"):
        run(toy.EXPERIMENT, folder=tmp_path / "file")


@pytest.mark.parametrize("jobs", [1, 2])
def test_locks_that_cannot_be_had_are_named_whoever_asks_for_the_next_unit(jobs, tmp_path, monkeypatch):
    def refused(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(store.FileLock, "acquire", refused)
    with pytest.raises(ValueError, match=r"\.locks cannot be written: Permission denied; .* choose another folder"):
        run(toy.EXPERIMENT, folder=tmp_path, jobs=jobs)


def test_a_full_disk_is_named_and_leaves_no_half_written_file(log, tmp_path, monkeypatch):
    real = os.fsync

    def full(descriptor: int) -> None:
        if len(unit_files(tmp_path)) == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(store.os, "fsync", full)
    with pytest.raises(ValueError, match=r"units/.*\.json cannot be written: No space left on device; make room"):
        run(toy.EXPERIMENT, folder=tmp_path)
    assert len(list((tmp_path / "toy" / "lecture" / "units").iterdir())) == 4
    monkeypatch.undo()
    run(toy.EXPERIMENT, folder=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"experiment": "toy"}, "name must be one of .*, got 'toy'"),
        ({"scale": "paper"}, r"scale must be one of \['lecture', 'workstation'\] for 'toy', got 'paper'"),
        ({"jobs": 0}, "jobs must be an integer of at least 1, got 0"),
        ({"device": "mps"}, 'device must be "cpu" or "cuda", got \'mps\''),
        ({"device": "abacus"}, 'device must be "cpu" or "cuda", got \'abacus\''),
        ({"jobs": 2, "scheduler": "tcp://127.0.0.1:9"}, "jobs must be left out with a scheduler, .*, got 2"),
        ({"scheduler": "tcp://127.0.0.1:9"}, "no Dask scheduler answers at 'tcp://127.0.0.1:9'"),
    ],
)
def test_what_cannot_be_run_is_refused(arguments, message, monkeypatch):
    monkeypatch.setattr(pools, "PATIENCE", 1)
    with pytest.raises(ValueError, match=message):
        run(**{"experiment": toy.EXPERIMENT, **arguments})


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match='device must be "cpu" here, since PyTorch finds no GPU'):
        run(toy.EXPERIMENT, device="cuda")


def test_a_gpu_takes_one_unit_at_a_time(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(ValueError, match="leave out jobs and scheduler"):
        run(toy.EXPERIMENT, device="cuda", jobs=2)


def test_a_gpu_is_what_a_unit_computes_on_and_what_its_provenance_names(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"a GPU, {device}")
    devices = []

    def compute(unit: Unit, device: torch.device) -> list[Row]:
        devices.append(device)
        return toy.compute(unit, device)

    result = run(replace(toy.EXPERIMENT, compute=compute), device="cuda")
    assert devices == [torch.device("cuda")] * N_UNITS["lecture"]
    assert result.provenance["device"] == "a GPU, cuda"


@pytest.fixture
def as_a_gpu(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The processor taken for a GPU; what comes back fills with the sizes of what is computed side by side."""
    sizes = []
    monkeypatch.setattr(runner, "_checked_device", lambda device: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
    return sizes


def side_by_side(sizes: list[int]) -> Experiment:
    def together(units: Sequence[Unit], device: torch.device) -> list[list[Row]]:
        sizes.append(len(units))
        return [toy.compute(unit, device) for unit in units]

    return replace(toy.EXPERIMENT, compute_together=together)


def test_a_gpu_computes_units_side_by_side_and_the_table_is_the_same(as_a_gpu):
    result = run(side_by_side(as_a_gpu), "workstation")
    assert sum(as_a_gpu) == N_UNITS["workstation"]
    assert max(as_a_gpu) > 1
    assert to_csv(result.rows) == to_csv(run(replace(toy.EXPERIMENT), "workstation").rows)


def test_a_unit_that_fails_beside_others_is_named_and_the_others_are_done_and_kept(as_a_gpu, log, tmp_path):
    log.with_name("fails").write_text("report-2")
    with pytest.raises(UnitsFailed, match=r"1 of 5 units .* kept:\n.*seed=2: ArithmeticError"):
        run(side_by_side(as_a_gpu), folder=tmp_path)
    assert len(list(tmp_path.glob("toy/lecture/units/*.json"))) == N_UNITS["lecture"] - 1


def test_networks_of_several_units_trained_side_by_side_are_those_trained_alone():
    recipe = {"epochs": 2, "batch_size": 50}
    settings = {"data": "digits", "train": 200, "sizes": [64, 16, 10], "recipe": recipe, "keep_prob": 0.5}
    units = [Unit({**settings, "stage": "report", "max_norm": 2.0}, seed) for seed in range(2)]
    units += [Unit({**settings, "stage": "tuning", "candidates": [{"learning_rate": 0.1}, {}]}, 1000)]
    for unit, rows in zip(units, train_together(units, torch.device("cpu")), strict=True):
        for row, alone in zip(rows, train(unit, torch.device("cpu")), strict=True):
            assert row == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize("together", [True, False])
def test_a_candidate_that_diverges_is_never_chosen_and_stops_nothing(together):
    settings = {"data": "digits", "train": 200, "sizes": [64, 16, 10], "recipe": {"epochs": 3, "momentum": 0.0}}
    candidates = [{"learning_rate": 1e30}, {"learning_rate": 0.1}]
    arm = tuned(settings, candidates, seeds=5, tuning_seeds=1, together=together)
    units = arm.tuning()
    rows = [unit.columns | row for unit in units for row in train(unit, torch.device("cpu"))]
    assert [row["validation_error"] == 1.0 for row in rows] == [True, False]
    if not together:
        beside = [row for of_unit in train_together(units, torch.device("cpu")) for row in of_unit]
        assert [row["validation_error"] for row in beside] == [row["validation_error"] for row in rows]
    assert arm.chosen(pd.DataFrame(rows)) == candidates[1]
    with pytest.raises(FloatingPointError, match="diverged"):
        train(arm.reporting(candidates[0])[0], torch.device("cpu"))


# The order of the work


def test_units_come_rank_by_rank_then_seed_by_seed_and_the_largest_of_a_seed_first():
    order = []

    def compute(unit: Unit, device: torch.device) -> list[Row]:
        order.append((unit["arm"], unit.settings.get("stage"), unit.seed))
        return [{"validation_error": 0.0, "found": 10.0 + unit.seed}]

    def arms(config):
        rates = [{"rate": rate} for rate in (0.1, 0.2)]
        yield Arm({"arm": "late"}, range(2), rank=1, after=lambda rows, seed: {"found_by_small": found(rows, seed)})
        yield Arm({"arm": "small"}, range(2), rates, tuning_seeds=1, together=False)
        yield Arm({"arm": "large"}, range(2), work=7.0)

    def found(rows: pd.DataFrame, seed: int) -> float:
        return float(rows[(rows.arm == "small") & (rows.seed == seed)].found.item())

    result = run(replace(toy.EXPERIMENT, arms=arms, compute=compute))
    assert order[:2] == [("small", "tuning", 1000)] * 2
    assert order[2:] == [
        (arm, stage, seed)
        for ranked in ([("large", None), ("small", "report")], [("late", None)])
        for seed in range(2)
        for arm, stage in ranked
    ]
    assert result.rows[result.rows.arm == "late"].found_by_small.tolist() == [10.0, 11.0]


def test_units_are_taken_when_a_process_is_free_and_not_before(log, tmp_path, monkeypatch):
    """What one runner has taken, another that shares the folder cannot."""
    busy = []

    class Counter(runner._Counter):
        def __next__(self) -> tuple[str, Unit]:
            unit = super().__next__()
            busy.append(len(busy) + 1 - computed(log, "done").total())
            return unit

    monkeypatch.setattr(runner, "_Counter", Counter)
    log.with_name("seconds").write_text("0.05")
    run(toy.EXPERIMENT, "workstation", folder=tmp_path, jobs=2)
    assert len(busy) == N_UNITS["workstation"]
    assert max(busy) <= 3  # one for each process, and one in hand; however slow this process is to hear of what is done


# Kills, interruptions, and other runners, with real processes


def test_a_killed_run_goes_on_and_gives_the_table_of_one_that_was_not_killed(start, log, tmp_path):
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    run(toy.EXPERIMENT, "workstation", folder=whole)
    log.write_text("")
    command = ("run", "toy", "--scale", "workstation", "--folder", str(folder), "--jobs", "2")
    log.with_name("seconds").write_text("0.2")
    process = start(*command)
    wait_until(lambda: len(unit_files(folder, "workstation")) >= 8)
    process.send_signal(signal.SIGKILL)
    process.wait()
    children = {int(line.split()[2]) for line in log.read_text().splitlines()}
    finished = unit_files(folder, "workstation")
    assert 8 <= len(finished) < N_UNITS["workstation"]
    assert not (folder / "toy" / "workstation" / "table.csv").exists()
    wait_until(lambda: not any(is_alive(pid) for pid in children), seconds=10)  # they do not go on without a runner
    before = {path: path.stat().st_mtime_ns for path in finished}
    started = computed(log)
    log.with_name("seconds").unlink()
    second = start(*command)
    assert second.wait(60) == 0, second.stderr.read()
    assert {path: path.stat().st_mtime_ns for path in finished} == before
    # Started again: those two, at most, that the kill caught in the middle, and none that was done.
    twice = {name for name, times in computed(log).items() if times > 1}
    assert len(twice) <= 2
    assert len(started) - len(finished) <= 2
    assert len(computed(log)) == N_UNITS["workstation"]
    tables = [(path / "toy" / "workstation" / "table.csv").read_bytes() for path in (folder, whole)]
    assert tables[0] == tables[1]


def is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[0]
    except OSError:
        return False


def test_two_runners_share_the_work_compute_nothing_twice_and_end_with_the_same_table(start, log, tmp_path):
    command = ("run", "toy", "--scale", "workstation", "--folder", str(tmp_path), "--jobs", "1")
    log.with_name("seconds").write_text("0.3")
    runners = [start(*command), start(*command)]
    outputs = [runner.communicate(timeout=60) for runner in runners]
    assert [runner.returncode for runner in runners] == [0, 0], outputs
    assert computed(log) == dict.fromkeys(computed(log), 1)
    assert len(computed(log)) == N_UNITS["workstation"]
    shares = Counter(line.split()[2] for line in log.read_text().splitlines() if line.startswith("done"))
    assert len(shares) == 2
    (first, _), (second, _) = outputs
    assert first == second
    log.with_name("seconds").unlink()
    alone = run(toy.EXPERIMENT, "workstation").rows
    assert (tmp_path / "toy/workstation/table.csv").read_text() == to_csv(alone)


def test_a_unit_whose_runner_died_is_taken_over(log, tmp_path):
    folder = Store(tmp_path, toy.EXPERIMENT, "lecture")
    unit = Unit({"stage": "tuning", "rate": 0.1, "shape": (2, 3)}, 1000)
    code = (
        "import sys, time; from filelock import FileLock; lock = FileLock(sys.argv[1]); lock.acquire(); "
        "print('held', flush=True); time.sleep(60)"
    )
    lock = folder.folder / ".locks" / f"{unit.key()}.lock"
    holder = subprocess.Popen([sys.executable, "-c", code, str(lock)], stdout=subprocess.PIPE)
    try:
        holder.stdout.readline()
        assert folder.lock(unit.key()) is None

        def kill_when_the_rest_is_done() -> None:
            wait_until(lambda: len(computed(log, "done")) == 5)
            time.sleep(0.5)  # for the runner to find that only the held one is left
            holder.kill()

        watcher = threading.Thread(target=kill_when_the_rest_is_done)
        watcher.start()
        run(toy.EXPERIMENT, folder=tmp_path)
        watcher.join()
    finally:
        holder.kill()
        holder.communicate()
    assert list(computed(log))[5] == "tuning-0.1-1000"  # the first of its stage came last
    assert set(computed(log).values()) == {1}


def test_an_interrupted_run_says_what_is_kept_and_how_to_go_on(start, log, tmp_path):
    command = ("run", "toy", "--scale", "workstation", "--folder", str(tmp_path), "--jobs", "2")
    log.with_name("seconds").write_text("0.3")
    process = start(*command)
    wait_until(lambda: len(unit_files(tmp_path, "workstation")) >= 5)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl+C does, to the children too
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    finished = len(unit_files(tmp_path, "workstation"))
    assert f"interrupted; {finished} finished units of toy are kept in" in errors
    assert f"To go on: dropout-lessons experiments {' '.join(command)}" in errors
    assert "Traceback" not in errors
    children = {int(line.split()[2]) for line in log.read_text().splitlines()}
    wait_until(lambda: not any(is_alive(pid) for pid in children), seconds=10)


def test_a_process_that_dies_stops_the_run_which_keeps_what_is_done(start, log, tmp_path):
    log.with_name("kills").write_text("report-4")
    process = start("run", "toy", "--folder", str(tmp_path), "--jobs", "2")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "a process that computed units ended" in errors
    assert "Traceback" not in errors
    assert len(unit_files(tmp_path)) >= 6
    log.with_name("kills").unlink()
    run(toy.EXPERIMENT, folder=tmp_path)


# What the package ships


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(shipped, "RECORDS", tmp_path / "records")
    monkeypatch.setattr(shipped, "get", lambda name: {"toy": toy.EXPERIMENT}[name])
    return tmp_path / "records"


def test_a_recorded_result_is_the_one_that_was_computed(records):
    result = run(toy.EXPERIMENT, "workstation")
    assert record(result) == records / "toy.csv"
    again = recorded("toy")
    pd.testing.assert_frame_equal(again.table, result.table, check_exact=True)
    assert json.dumps(again.provenance) == json.dumps(result.provenance)
    assert again.findings == result.findings
    assert again.verdict == "reproduced"


def test_a_record_names_each_unit_whatever_their_order(records):
    result = run(toy.EXPERIMENT, "workstation")
    units = result.provenance["units"]
    units = units[::2] + units[1::2]  # settings come back after others
    record(replace(result, provenance={**result.provenance, "units": units}))
    assert recorded("toy").provenance["units"] == json.loads(json.dumps(units))


def test_what_cannot_be_recorded_or_found_is_refused(records):
    with pytest.raises(ValueError, match=r"scale must be \"workstation\" for .*, got 'lecture'"):
        record(run(toy.EXPERIMENT))
    command = "`dropout-lessons experiments run toy --scale workstation --record` makes it"
    with pytest.raises(ValueError, match=f"there is no result of 'toy': {command}"):
        recorded("toy")
    record(run(toy.EXPERIMENT, "workstation"))
    (records / "toy.json").write_text("{")
    with pytest.raises(ValueError, match="cannot be read"):
        recorded("toy")


def test_an_experiment_that_was_not_run_says_why(records, monkeypatch):
    missing = replace(toy.EXPERIMENT, not_run="It needs a GPU.")
    monkeypatch.setattr(shipped, "get", lambda name: missing)
    with pytest.raises(ValueError, match="'toy' has no recorded result: It needs a GPU"):
        recorded("toy")
