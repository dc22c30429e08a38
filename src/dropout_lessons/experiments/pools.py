"""Where units are computed: in this process, in several, side by side on a GPU, or on a cluster."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import json
import logging
import os
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple

import joblib
import numpy as np
import torch
from joblib.externals.loky.process_executor import BrokenProcessPool
from threadpoolctl import threadpool_limits

from dropout_lessons.experiments.arms import Row, Unit
from dropout_lessons.experiments.experiment import Experiment
from dropout_lessons.experiments.store import Done, versions

__all__ = ["PATIENCE", "Compute", "Outcome", "Outcomes", "Pool", "UnitsFailed", "cluster", "local", "side_by_side"]

Compute = Callable[[Unit, torch.device], list[Row]]
Outcomes = Generator["Outcome", None, None]
Pool = Callable[[Compute, Iterator[tuple[str, Unit]]], Outcomes]
_ONE_UNIT_AT_A_TIME = threading.Lock()
_LOST = (OSError, asyncio.CancelledError)  # what a Dask client raises, by chance either, when its scheduler is gone
SIDE_BY_SIDE = 48  # units that a GPU computes at once: enough for large stacks, and few are lost when it is stopped
PATIENCE = 10  # seconds for a scheduler to answer, and for its first worker to come


class UnitsFailed(RuntimeError):
    """Some units could not be computed; the others are done, and kept if there is a folder."""


class Outcome(NamedTuple):
    """What a worker sends back: a unit, by its key, done or with the cause why not."""

    key: str
    done: Done | None
    cause: str = ""
    trace: str = ""


def local(jobs: int, device: torch.device) -> Pool:
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


def side_by_side(experiment: Experiment, device: torch.device) -> Pool:
    """Compute in this process, several units at once if the experiment knows how; matrix products are in TF32."""

    def compute_all(compute: Compute, units: Iterator[tuple[str, Unit]]) -> Outcomes:
        together = experiment.compute_together
        while taken := list(itertools.islice(units, SIDE_BY_SIDE if together else 1)):
            started = time.perf_counter()
            try:
                with _products_in_tf32():
                    found = together([unit for _, unit in taken], device) if together else None
            except Exception:
                found = None  # whose fault it is shows when each is alone
            share = (time.perf_counter() - started) / len(taken)
            for i, (key, unit) in enumerate(taken):
                if found:
                    outcome = _kept(key, unit, found[i], share, device)
                else:
                    with _products_in_tf32():
                        outcome = _work(compute, key, unit, device)
                yield outcome

    return compute_all


@contextlib.contextmanager
def _products_in_tf32() -> Iterator[None]:
    """On a GPU: factors rounded to 10 bits, sums in float32; steps take two thirds of the time. Elsewhere nothing changes."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextlib.contextmanager
def cluster(address: str) -> Iterator[Pool]:
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
        rows = compute(unit, device)
    except Exception as error:
        return _failed(key, error)
    return _kept(key, unit, rows, clock() - started, device)


def _kept(key: str, unit: Unit, rows: list[Row], seconds: float, device: torch.device) -> Outcome:
    try:
        plain = [_plain_row(unit, row) for row in rows]
    except (TypeError, ValueError) as error:
        return _failed(key, error)
    where = "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device)
    # By way of text, so that what was just computed is what a file gives back.
    settings, rows = json.loads(json.dumps([dict(unit.settings), plain]))
    return Outcome(key, Done(settings, unit.seed, rows, seconds, where, versions()))


def _failed(key: str, error: Exception) -> Outcome:
    return Outcome(key, None, f"{type(error).__name__}: {error}", traceback.format_exc())


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
