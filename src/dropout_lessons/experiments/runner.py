"""Run the units of an experiment: on one machine, on a cluster, and again after a kill."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import json
import logging
import os
import re
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
import torch
from filelock import FileLock
from joblib.externals.loky.process_executor import BrokenProcessPool
from threadpoolctl import threadpool_limits

from dropout_lessons.experiments.arms import Row, Unit
from dropout_lessons.experiments.experiment import Experiment, Result
from dropout_lessons.experiments.registry import get
from dropout_lessons.experiments.store import Done, Store, provenance, tidy, versions
from dropout_lessons.runtime import work_bar

__all__ = ["PATIENCE", "Compute", "Outcome", "Outcomes", "Pool", "UnitsFailed", "run"]

Compute = Callable[[Unit, torch.device], list[Row]]
Outcomes = Generator["Outcome", None, None]
Pool = Callable[[Compute, Iterator[tuple[str, Unit]]], Outcomes]
_ONE_UNIT_AT_A_TIME = threading.Lock()
_LOST = (OSError, asyncio.CancelledError)  # what a Dask client raises, by chance either, when its scheduler is gone
PATIENCE = 10  # seconds for a scheduler to answer, and for its first worker to come


class UnitsFailed(RuntimeError):
    """Some units could not be computed; the others are done, and kept if there is a folder."""


class Outcome(NamedTuple):
    """What a worker sends back: a unit, by its key, done or with the cause why not."""

    key: str
    done: Done | None
    cause: str = ""
    trace: str = ""


def run(
    experiment: Experiment | str,
    scale: str = "lecture",
    *,
    folder: str | os.PathLike[str] | None = None,
    jobs: int = 1,
    device: str | torch.device | None = None,
    scheduler: str | None = None,
    progress: bool = True,
) -> Result:
    """Compute the units of an experiment that are not done yet, and put them together.

    The table depends on the experiment and the scale alone: not on how many units are computed at a time, where, in which
    order, or how often the run was killed and started again. On one kind of processor it is the same bit for bit, since
    a unit is computed in one process with one thread.

    Args:
        experiment: An experiment, or the name of one in the catalog.
        scale: ``"lecture"``, ``"workstation"`` or ``"paper"``.
        folder: Where finished units are kept, one file each, and read from when the run is repeated. Several runners may
            share it; they share the work. None keeps nothing.
        jobs: How many processes compute units. 1 computes in this one. Not with a scheduler, whose workers do.
        device: ``"cpu"``, also when None, or ``"cuda"``, which takes one unit at a time.
        scheduler: The address of a Dask scheduler, such as ``"tcp://10.0.0.1:8786"``, whose workers compute the units. Each
            needs this package; start them with one thread each.
        progress: Whether to show a bar with the time left.

    Returns:
        The table, with its provenance; findings, verdict and figure follow from it.

    Raises:
        ValueError: If there is no such experiment, scale, device or scheduler, or the folder cannot be written to.
        UnitsFailed: If units raised; it names them and says why. The others are done, and kept if there is a folder.

    Example:
        >>> result = run("fig9a_keep_prob", "lecture")  # doctest: +SKIP
        >>> result.verdict  # doctest: +SKIP
        'undecided'
    """
    experiment = get(experiment) if isinstance(experiment, str) else experiment
    config = experiment.config(scale)
    where = _checked_device(device)
    if not isinstance(jobs, int) or jobs < 1:
        raise ValueError(f"jobs must be an integer of at least 1, got {jobs!r}")
    if where.type == "cuda" and (jobs > 1 or scheduler):
        raise ValueError('device="cuda" computes one unit at a time in this process: leave out jobs and scheduler')
    if scheduler and jobs > 1:
        raise ValueError(f"jobs must be left out with a scheduler, whose workers compute the units, got {jobs}")
    store = None if folder is None else Store(folder, experiment, scale)
    arms = list(experiment.arms(config))
    units: dict[str, Unit] = {}
    done: dict[str, Done] = {}

    def complete(asked: Iterable[Unit]) -> pd.DataFrame:
        new = {unit.key(experiment.version): unit for unit in asked}
        units.update(new)
        _complete(new, done, experiment, store, pool, progress)
        return tidy(list(units.values()), done, experiment.version)

    table = pd.DataFrame()
    with _cluster(scheduler) if scheduler else contextlib.nullcontext(_local(jobs, where)) as pool:
        for rank in sorted({arm.rank for arm in arms}):
            of_rank = [arm for arm in arms if arm.rank == rank]
            table = complete(unit for arm in of_rank for unit in arm.tuning())
            table = complete(unit for arm in of_rank for unit in arm.reporting(arm.chosen(table), table))
    result = Result(experiment, scale, table, provenance(experiment, scale, list(units.values()), done, table))
    if store:
        store.finish(result)
    return result


def _complete(
    units: Mapping[str, Unit],
    done: dict[str, Done],
    experiment: Experiment,
    store: Store | None,
    pool: Pool,
    progress: bool,
) -> None:
    """Get all units done: here or, where another runner shares the folder, there."""
    done |= {key: kept for key, unit in units.items() if store and (kept := store.read(unit))}
    failed: dict[str, Outcome] = {}
    total, before = (sum(units[key].work for key in keys) for keys in (units, units.keys() & done.keys()))
    with work_bar(total, experiment.name, done=before, show=progress) as bar:
        while missing := [key for key in units if key not in done and key not in failed]:
            # Seed by seed, so that a run that is stopped has seen every arm at the seeds that it reached; and the largest
            # first, so that no process is left with one at the end.
            missing.sort(key=lambda key: (units[key].seed, -units[key].work))
            counter = _Counter({key: units[key] for key in missing}, store)
            with contextlib.closing(counter), contextlib.closing(pool(experiment.compute, counter)) as outcomes:
                for outcome in outcomes:
                    if outcome.done is None:
                        failed[outcome.key] = outcome
                    else:
                        if store:
                            store.write(units[outcome.key], outcome.done)
                        done[outcome.key] = outcome.done
                    counter.release(outcome.key)
                    bar.set_postfix_str(f"{len(units.keys() & done.keys())}/{len(units)} units", refresh=False)
                    bar.update(units[outcome.key].work)
            if counter.error:
                raise counter.error
            done |= counter.found
            bar.update(sum(units[key].work for key in counter.found))
            if done.keys().isdisjoint(missing) and failed.keys().isdisjoint(missing):
                time.sleep(0.2)  # the rest is in the hands of other runners
    if failed:
        _raise(experiment, units, failed, kept=store is not None)


class _Counter(Iterator[tuple[str, Unit]]):
    """Hands out units, each once and with its lock; what other runners have done meanwhile is found, not computed.

    Pools may ask for the next unit in threads of their own, where an exception would be lost: it is kept.
    """

    def __init__(self, units: Mapping[str, Unit], store: Store | None) -> None:
        self.found: dict[str, Done] = {}
        self.error: Exception | None = None
        self._store = store
        self._units = iter(units.items())
        self._locks: dict[str, FileLock] = {}

    def __next__(self) -> tuple[str, Unit]:
        for key, unit in self._units:
            try:
                if self._lock(key) and not self._find(key, unit):
                    return key, unit
            except Exception as error:
                self.error = error
                break
        raise StopIteration

    def _lock(self, key: str) -> bool:
        if self._store:
            lock = self._store.lock(key)
            if lock is None:
                return False
            self._locks[key] = lock
        return True

    def _find(self, key: str, unit: Unit) -> bool:
        kept = self._store.read_or_remove(unit) if self._store else None
        if kept is None:
            return False
        self.found[key] = kept
        self.release(key)
        return True

    def release(self, key: str) -> None:
        if lock := self._locks.pop(key, None):
            lock.release()

    def close(self) -> None:
        for key in list(self._locks):
            self.release(key)


def _local(jobs: int, device: torch.device) -> Pool:
    """Compute in this process, or in several of this machine."""

    def compute_all(compute: Compute, units: Iterator[tuple[str, Unit]]) -> Outcomes:
        here = jobs == 1
        work = joblib.delayed(_work if here else functools.partial(_work_in_child, os.getpid()))
        limits = _one_thread() if here and device.type == "cpu" else contextlib.nullcontext()
        with limits, joblib.parallel_config("loky", inner_max_num_threads=1):
            # A unit is handed out when a process is free for it, and not before: another runner may have one.
            parallel = joblib.Parallel(jobs, return_as="generator_unordered", pre_dispatch="n_jobs", batch_size=1)
            try:
                yield from parallel(work(compute, key, unit, device) for key, unit in units)
            except BrokenProcessPool as error:
                raise UnitsFailed(
                    f"a process that computed units ended: {str(error).strip().splitlines()[0]} "
                    "Was there too little memory? What was done is kept if there is a folder: run it again, with fewer jobs"
                ) from error

    return compute_all


@contextlib.contextmanager
def _cluster(address: str) -> Iterator[Pool]:
    """Compute on the workers of a Dask cluster.

    Not by way of joblib's backend for Dask: it waits forever for a unit that took its workers down with it.
    """
    try:
        import distributed
    except ImportError:
        raise ValueError("scheduler needs Dask: pip install 'dropout-lessons[cluster]'") from None
    from distributed.utils import LoopRunner

    async def ask() -> str:
        async with distributed.rpc(address, timeout=PATIENCE) as server:
            return str((await asyncio.wait_for(server.identity(), PATIENCE))["type"])

    try:
        # Before there is a client: one that finds no scheduler cannot be closed, and complains when Python ends.
        answer = LoopRunner().run_sync(ask)
        if answer != "Scheduler":
            raise ValueError(f"a {answer} answers")
        client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, TimeoutError, asyncio.TimeoutError) as error:
        raise ValueError(
            f'no Dask scheduler answers at {address!r}; `dask scheduler` starts one, at "tcp://HOST:8786"'
        ) from error

    def compute_all(compute: Compute, units: Iterator[tuple[str, Unit]]) -> Outcomes:
        gone = UnitsFailed(f"the Dask scheduler at {address!r} is gone; run it again to go on")
        keys: dict[Any, str] = {}
        completed = distributed.as_completed(loop=client.loop, with_results=True, raise_errors=False)

        def submit() -> None:
            # One for each thread and no more, since another runner may have them; workers come and go.
            try:
                threads = sum(client.nthreads().values())
            except _LOST:
                raise gone from None
            free = max(1, threads) - len(keys)
            for key, unit in itertools.islice(units, max(0, free)):
                future = client.submit(_work_elsewhere, compute, key, unit, torch.device("cpu"), pure=False)
                keys[future] = key
                completed.add(future)

        try:
            submit()
            for future, outcome in completed:
                key = keys.pop(future)
                if future.status == "error":
                    outcome = Outcome(key, None, f"{type(outcome[1]).__name__}: {outcome[1]}")
                elif future.status != "finished":
                    raise gone
                yield outcome
                submit()
        finally:
            with contextlib.suppress(*_LOST):
                client.cancel(list(keys))

    with _quiet("distributed.client"), client:
        if not client.nthreads():
            try:
                client.wait_for_workers(1, timeout=PATIENCE)
            except TimeoutError:
                raise ValueError(
                    f"the Dask scheduler at {address!r} has no workers: `dask worker` starts one"
                ) from None
        yield compute_all


@contextlib.contextmanager
def _quiet(name: str) -> Iterator[None]:
    """A logger silenced: what it would say with a traceback, an exception says here in a line."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _work_in_child(parent: int, compute: Compute, key: str, unit: Unit, device: torch.device) -> Outcome:
    """Work that ends when the runner is killed; by itself, the process would go on, and then wait for minutes."""
    _leave_with(parent)
    return _work_elsewhere(compute, key, unit, device)


@functools.cache
def _leave_with(parent: int) -> None:
    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    if os.name == "posix":
        threading.Thread(target=watch, daemon=True).start()


def _work_elsewhere(compute: Compute, key: str, unit: Unit, device: torch.device) -> Outcome:
    with _ONE_UNIT_AT_A_TIME:  # a Dask worker may have several threads, and they share PyTorch's global generator
        torch.set_num_threads(1)
        threadpool_limits(1)
        return _work(compute, key, unit, device)


def _work(compute: Compute, key: str, unit: Unit, device: torch.device) -> Outcome:
    clock = time.thread_time if device.type == "cpu" else time.perf_counter
    started = clock()
    try:
        rows = [_plain_row(unit, row) for row in compute(unit, device)]
    except Exception as error:
        return Outcome(key, None, f"{type(error).__name__}: {error}", traceback.format_exc())
    where = "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device)
    # By way of text, so that what was just computed is what a file gives back.
    settings, rows = json.loads(json.dumps([dict(unit.settings), rows]))
    return Outcome(key, Done(settings, unit.seed, rows, clock() - started, where, versions()))


def _plain_row(unit: Unit, row: Row) -> Row:
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in row.items()}
    for name, value in plain.items():
        if not isinstance(value, (bool, int, float, str, type(None))):
            raise TypeError(f"a row holds numbers, strings, booleans and None, got {type(value).__name__} as {name!r}")
        if name in unit.columns and value != unit.columns[name]:
            raise ValueError(
                f"a row's {name!r} is {value!r} and its unit's is {unit.columns[name]!r}: rename one of them"
            )
    return plain


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)


def _checked_device(device: str | torch.device | None) -> torch.device:
    name = "cpu" if device is None else str(device)
    if not re.fullmatch(r"(cpu|cuda)(:\d+)?", name):
        raise ValueError(f'device must be "cpu" or "cuda", got {name!r}')
    where = torch.device(name)
    if where.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f'device must be "cpu" here, since PyTorch finds no GPU, got {str(device)!r}')
    return where


def _raise(experiment: Experiment, units: Mapping[str, Unit], failed: Mapping[str, Outcome], *, kept: bool) -> None:
    def name(key: str) -> str:
        return ", ".join(f"{name}={value}" for name, value in units[key].columns.items())

    in_order = [key for key in units if key in failed]
    causes = "".join(f"\n  {name(key)}: {failed[key].cause}" for key in in_order)
    rest = "; the others are done and kept" if kept else ""
    first = failed[in_order[0]]
    error = UnitsFailed(f"{len(failed)} of {len(units)} units of {experiment.name!r} failed{rest}:{causes}")
    raise error from RuntimeError(f"\n{first.trace}")
