"""Runs of experiments on a real Dask cluster: a scheduler and two workers, each a process of this machine."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TOYS = Path(__file__).parent / "toys"
sys.path.append(str(TOYS))

import toy  # noqa: E402

from dropout_lessons.experiments import Unit, UnitsFailed, pools, run, runner  # noqa: E402
from dropout_lessons.experiments.store import to_csv  # noqa: E402

pytestmark = [
    pytest.mark.xdist_group("cluster"),  # one cluster for all
    # What Dask's own threads leave behind when its processes are killed.
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
    ),
]


def dask(*command: str, env: dict[str, str]) -> subprocess.Popen[bytes]:
    program = [sys.executable, "-m", "dask", *command]
    return subprocess.Popen(
        program, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder by which the toy is told what to do, and where it logs what it did."""
    folder = tmp_path_factory.mktemp("told")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOY", str(folder))
        yield folder


@pytest.fixture(scope="module")
def scheduler(told: Path) -> Iterator[str]:
    """Two workers with a thread each; nannies start a worker again that was killed."""
    env = {**os.environ, "PYTHONPATH": str(TOYS), "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
    contact = told / "scheduler.json"
    scheduling = ("scheduler", "--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0")
    working = (
        "worker",
        "--host",
        "127.0.0.1",
        "--nworkers",
        "2",
        "--nthreads",
        "1",
        "--dashboard-address",
        "127.0.0.1:0",
    )
    processes = [
        dask(*scheduling, "--scheduler-file", str(contact), env=env),
        dask(*working, "--scheduler-file", str(contact), "--local-directory", str(told), env=env),
    ]
    deadline = time.monotonic() + 60
    while not contact.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    address = json.loads(contact.read_text())["address"]
    try:
        yield address
    finally:
        for process in processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(autouse=True)
def _start_over(told: Path) -> None:
    for name in ("seconds", "fails", "kills"):
        (told / name).unlink(missing_ok=True)
    (told / "log").write_text("")


def events(told: Path, event: str) -> list[tuple[str, int]]:
    lines = (line.split() for line in (told / "log").read_text().splitlines())
    return [(name, int(pid)) for what, name, pid in lines if what == event]


def test_a_cluster_of_which_a_worker_is_killed_loses_nothing_and_gives_the_same_table(scheduler, told, tmp_path):
    killed: list[int] = []

    def kill_one_in_the_middle() -> None:
        while len(events(told, "done")) < 9:
            time.sleep(0.01)
        killed.append(events(told, "start")[-1][1])
        os.kill(killed[0], signal.SIGKILL)

    (told / "seconds").write_text("0.2")
    killer = threading.Thread(target=kill_one_in_the_middle, daemon=True)
    killer.start()
    result = run(toy.EXPERIMENT, "workstation", folder=tmp_path, scheduler=scheduler)
    killer.join()
    (told / "seconds").unlink()
    workers = [pid for _, pid in events(told, "start")]
    assert len(set(workers)) >= 2
    assert killed[0] in workers
    assert os.getpid() not in workers
    starts = Counter(name for name, _ in events(told, "start"))
    assert len(starts) == 20
    assert 21 <= sum(starts.values()) <= 22  # again: the one that was lost, and one that it had not handed over yet
    assert len(list(tmp_path.glob("toy/workstation/units/*.json"))) == 20
    assert len(result.provenance["units"]) == 20
    alone = to_csv(run(toy.EXPERIMENT, "workstation").rows)
    assert to_csv(result.rows) == alone
    assert (tmp_path / "toy/workstation/table.csv").read_text() == alone


def test_a_cluster_takes_no_more_units_than_it_has_threads_free(scheduler, told, tmp_path, monkeypatch):
    """What one runner has taken, another that shares the folder cannot."""
    held = []

    class Counter(runner._Counter):
        def __next__(self) -> tuple[str, Unit]:
            unit = super().__next__()
            held.append(len(self._locks))
            return unit

    monkeypatch.setattr(runner, "_Counter", Counter)
    run(toy.EXPERIMENT, "workstation", folder=tmp_path, scheduler=scheduler)
    assert len(held) == 20
    assert max(held) <= 2


def test_a_unit_that_takes_its_workers_down_is_named_and_the_others_are_done_and_kept(scheduler, told, tmp_path):
    (told / "kills").write_text("report-2")
    with pytest.raises(UnitsFailed, match=r"1 of 5 units .* kept:\n.*seed=2: KilledWorker"):
        run(toy.EXPERIMENT, folder=tmp_path, scheduler=scheduler)
    assert len(list(tmp_path.glob("toy/lecture/units/*.json"))) == 10


def test_a_unit_that_raises_on_a_cluster_is_named(scheduler, told, tmp_path):
    (told / "fails").write_text("report-0 report-4")
    with pytest.raises(UnitsFailed, match=r"2 of 5 units .* kept:\n.*seed=0: ArithmeticError.*\n.*seed=4: Arith"):
        run(toy.EXPERIMENT, folder=tmp_path, scheduler=scheduler)
    assert len(list(tmp_path.glob("toy/lecture/units/*.json"))) == 9


def test_threads_of_one_worker_compute_one_unit_at_a_time(told):
    units = next(toy.arms({"seeds": 5})).tuning()
    (told / "seconds").write_text("0.05")
    work = pools._work_elsewhere
    threads = [
        threading.Thread(target=work, args=(toy.compute, unit.key(), unit, pools.torch.device("cpu"))) for unit in units
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whats = [line.split()[0] for line in (told / "log").read_text().splitlines()]
    assert whats == ["start", "done"] * len(units)


def test_a_scheduler_without_workers_is_named(told, tmp_path, monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr(pools, "PATIENCE", 1)
    cluster = LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0", silence_logs=50)
    with cluster, pytest.raises(ValueError, match="has no workers: `dask worker` starts one"):
        run(toy.EXPERIMENT, scheduler=cluster.scheduler_address)


def test_a_scheduler_that_goes_away_is_named_and_what_was_done_is_kept(told, tmp_path, monkeypatch):
    from distributed import LocalCluster

    (told / "seconds").write_text("0.2")
    cluster = LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0")

    def close() -> None:
        while len(events(told, "done")) < 3:
            time.sleep(0.01)
        cluster.close()

    closer = threading.Thread(target=close)
    closer.start()
    with pytest.raises(UnitsFailed, match=r"the Dask scheduler at .* is gone"):
        run(toy.EXPERIMENT, folder=tmp_path, scheduler=cluster.scheduler_address)
    closer.join()


@pytest.mark.parametrize("lost", [OSError("no connection"), asyncio.CancelledError()])
def test_a_scheduler_that_is_gone_when_it_is_asked_for_its_threads_is_named(
    lost, scheduler, told, tmp_path, monkeypatch
):
    from distributed import Client

    asked = Client.nthreads

    def nthreads(self: Client) -> Any:
        if len(list(tmp_path.glob("toy/lecture/units/*.json"))) >= 3:
            raise lost
        return asked(self)

    monkeypatch.setattr(Client, "nthreads", nthreads)
    with pytest.raises(UnitsFailed, match=r"the Dask scheduler at .* is gone; run it again"):
        run(toy.EXPERIMENT, folder=tmp_path, scheduler=scheduler)
    assert len(list(tmp_path.glob("toy/lecture/units/*.json"))) >= 3
