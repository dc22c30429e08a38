"""The results that the package ships: a table for each experiment at the workstation's scale, and units of the paper's."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from dropout_lessons import runtime
from dropout_lessons.experiments.arms import Unit, planned
from dropout_lessons.experiments.experiment import Experiment, Result
from dropout_lessons.experiments.registry import get
from dropout_lessons.experiments.store import (
    Damaged,
    Done,
    explained,
    place,
    provenance,
    read_result,
    tidy,
    trusted,
    write_result,
)
from dropout_lessons.experiments.tables import UNFINISHED

__all__ = ["RECORDS", "UNITS", "is_recorded", "reached", "record", "recorded"]

RECORDS = Path(__file__).parent / "results"
#: Finished units of the paper's scale, which come one by one: the folder of a run that goes on wherever the package is.
UNITS = RECORDS / "units"


def record(result: Result) -> Path:
    """Make a result the one that the package ships, and return its table's path.

    Raises:
        ValueError: If it is of another scale than the workstation's: the lecture scale is too small to be reported, and
            what the paper's scale computes is kept unit by unit. Or if all seeds are moved.
    """
    if runtime.seed_offset():
        raise ValueError(
            f"DROPOUT_LESSONS_SEED_OFFSET must be unset for a result to be recorded, got {runtime.seed_offset()}"
        )
    if result.scale != "workstation":
        raise ValueError(f'scale must be "workstation" for a result to be recorded as a whole, got {result.scale!r}')
    path = RECORDS / f"{result.experiment.name}.csv"
    with explained(RECORDS):
        RECORDS.mkdir(exist_ok=True)
    write_result(path, path.with_suffix(".json"), result)
    return path


def is_recorded(name: str) -> bool:
    """Whether the package ships a result of an experiment."""
    return (RECORDS / f"{name}.csv").exists()


def recorded(name: str) -> Result:
    """The result of an experiment that the package ships: that of its workstation scale.

    Args:
        name: The experiment's name.

    Returns:
        Its table, findings, verdict, figure and provenance; nothing is computed anew but these.

    Raises:
        ValueError: If there is no such experiment, none is recorded, or what is recorded is damaged or out of date.

    Example:
        >>> recorded("fig9a_keep_prob").scale
        'workstation'
    """
    experiment = get(name)
    command = f"dropout-lessons experiments run {name} --scale workstation --record"
    path = RECORDS / f"{name}.csv"
    if experiment.not_run and not path.exists():
        raise ValueError(f"{name!r} has no recorded result: {experiment.not_run}")
    return read_result(path, path.with_suffix(".json"), experiment, f"`{command}` makes it")


def reached(experiment: Experiment | str, scale: str, folder: str | os.PathLike[str] = UNITS) -> Result | None:
    """What a run, or the package where no folder is named, has of an experiment; None if nothing, and provenance says what lacks.

    Example:
        >>> reached("table2_mnist", "paper").provenance["device"]
        'NVIDIA H100 80GB HBM3'
    """
    experiment = get(experiment) if isinstance(experiment, str) else experiment
    shipped = UNITS / experiment.name / scale  # where no seed is moved
    path = shipped if folder == UNITS else place(folder, experiment, scale)
    units: list[Unit] = []
    done: dict[str, Done] = {}

    def found(asked: Iterable[Unit]) -> bool:
        """Take the finished ones, and say whether all are."""
        asked = list(asked)
        for unit in asked:
            with suppress(FileNotFoundError, Damaged):
                key = unit.key(experiment.version)
                done[key] = trusted(path / "units" / f"{key}.json", unit)
                units.append(unit)
        return all(unit.key(experiment.version) in done for unit in asked)

    arms = sorted(experiment.arms(experiment.config(scale)), key=lambda arm: arm.rank)
    whole = {id(arm): found(arm.tuning()) for arm in arms}
    for arm in arms:
        table = tidy(units, done, experiment.version)
        if whole[id(arm)] and (arm.after is None or not table.empty):
            found(arm.reporting(arm.chosen(table), table))
    if not units:
        return None
    table = tidy(units, done, experiment.version)
    source = provenance(experiment, scale, units, done, table)
    return Result(experiment, scale, table, {**source, UNFINISHED: len(planned(arms)) - len(units)})
