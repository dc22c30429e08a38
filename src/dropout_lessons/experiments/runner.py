"""Run the units of an experiment: on one machine, on a cluster, and again after a kill."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping

import pandas as pd
import torch
from filelock import FileLock

from dropout_lessons.experiments.arms import Unit
from dropout_lessons.experiments.experiment import Experiment, Result
from dropout_lessons.experiments.pools import Outcome, Pool, UnitsFailed, cluster, local, side_by_side
from dropout_lessons.experiments.registry import get
from dropout_lessons.experiments.store import Done, Store, provenance, tidy
from dropout_lessons.runtime import work_bar

__all__ = ["UnitsFailed", "run"]


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
        device: ``"cpu"``, also when None, or ``"cuda"``, which computes units in this process, side by side where the experiment
            knows how.
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
        raise ValueError('device="cuda" computes units in this process: leave out jobs and scheduler')
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
    here = side_by_side(experiment, where) if where.type == "cuda" else local(jobs, where)
    with cluster(scheduler) if scheduler else contextlib.nullcontext(here) as pool:
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
