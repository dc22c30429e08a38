"""What is kept of a run: a file for each finished unit in a folder, and its table.

``FOLDER/NAME/SCALE/units/KEY.json`` holds a unit, its rows, how long they took and with which versions, and a SHA-256 of
all that. ``table.csv`` and ``provenance.json`` beside it are written when all units are done. Every file is written aside,
flushed and renamed, so that a killed run leaves none half written.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import platform
import shlex
import subprocess
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from filelock import FileLock, Timeout

from dropout_lessons import runtime
from dropout_lessons.experiments.arms import Row, Unit
from dropout_lessons.experiments.experiment import Experiment, Result
from dropout_lessons.runtime import replacing

__all__ = [
    "Damaged",
    "Done",
    "Store",
    "commit",
    "explained",
    "from_csv",
    "kept",
    "place",
    "provenance",
    "read_result",
    "tidy",
    "to_csv",
    "trusted",
    "versions",
    "write",
    "write_result",
]


@dataclass(frozen=True)
class Done:
    """A finished unit: what it is, its rows, the seconds of one core that they took, and on and with what.

    Attributes:
        settings: The unit's settings.
        seed: Its seed.
        rows: What was computed.
        seconds: Processor time; on a GPU, time.
        device: ``"cpu"``, or the GPU's name.
        versions: Of Python, PyTorch, NumPy and this package.
    """

    settings: Mapping[str, Any]
    seed: int
    rows: list[Row]
    seconds: float
    device: str
    versions: Mapping[str, str]


def versions() -> dict[str, str]:
    """The versions that may decide a result's last digits."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "dropout-lessons": runtime.own_version(),
    }


class Store:
    """The files of an experiment at a scale. Only the holder of a unit's lock writes its file, or moves it away.

    Raises:
        ValueError: If the folder cannot be made or written to.
    """

    def __init__(self, folder: str | os.PathLike[str], experiment: Experiment, scale: str) -> None:
        self.experiment, self.scale = experiment, scale
        self.folder = place(folder, experiment, scale)
        self._locks = self.folder / ".locks"
        with explained(self.folder):
            (self.folder / "units").mkdir(parents=True, exist_ok=True)
            self._locks.mkdir(exist_ok=True)
            tempfile.TemporaryFile(dir=self.folder / "units").close()

    def path(self, unit: Unit) -> Path:
        """Where a unit is kept."""
        return self.folder / "units" / f"{unit.key(self.experiment.version)}.json"

    def lock(self, name: str) -> FileLock | None:
        """The lock of a name, held; None if another runner holds it. The system frees it when its holder dies."""
        lock = FileLock(self._locks / f"{name}.lock", timeout=0, thread_local=False)
        with explained(self._locks):
            try:
                lock.acquire()
            except Timeout:
                return None
        return lock

    def read(self, unit: Unit) -> Done | None:
        """The finished unit, or None if there is none that can be trusted."""
        try:
            return trusted(self.path(unit), unit)
        except (FileNotFoundError, Damaged):
            return None

    def read_or_remove(self, unit: Unit) -> Done | None:
        """As ``read``; a file that cannot be trusted is named and moved aside. For the holder of the unit's lock."""
        path = self.path(unit)
        try:
            return trusted(path, unit)
        except FileNotFoundError:
            return None
        except Damaged as reason:
            aside = path.with_name(f"{path.name}.damaged")
            with explained(path):
                os.replace(path, aside)
            warnings.warn(f"{path} {reason}: it was moved to {aside.name}, and is computed again", stacklevel=2)
            return None

    def write(self, unit: Unit, done: Done) -> None:
        """Keep a finished unit. For the holder of its lock."""
        content = asdict(done)
        write(self.path(unit), json.dumps({**content, "sha256": _digest(content)}, indent=1) + "\n")

    def finish(self, result: Result) -> None:
        """Write the table and its provenance."""
        with explained(self._locks), FileLock(self._locks / "table.lock", thread_local=False):
            write_result(self.folder / "table.csv", self.folder / "provenance.json", result)


def kept(folder: str | os.PathLike[str], experiment: Experiment, scale: str) -> Result:
    """The table of a run that was finished in a folder, with its provenance.

    Raises:
        ValueError: If there is none, it was changed, or it is out of date.
    """
    command = f"dropout-lessons experiments run {experiment.name} --scale {scale} --folder {shlex.quote(str(folder))}"
    path = place(folder, experiment, scale)
    return read_result(path / "table.csv", path / "provenance.json", experiment, f"`{command}` makes it")


def tidy(units: Sequence[Unit], done: Mapping[str, Done], version: int) -> pd.DataFrame:
    """The rows of units, in their order, as they come out of a CSV file."""
    rows = [{**unit.columns, **row} for unit in units for row in done[unit.key(version)].rows]
    return from_csv(to_csv(pd.DataFrame(rows))) if rows else pd.DataFrame()


def to_csv(table: pd.DataFrame) -> str:
    """A table as text that gives every number back exactly."""
    return str(table.to_csv(index=False, lineterminator="\n"))


def from_csv(text: str) -> pd.DataFrame:
    """The table that ``to_csv`` wrote: only an empty field is missing, so that an arm may be called "None"."""
    # To the last bit, which pandas does by itself from 3.1 on, and warns of being told.
    is_told = tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1)
    precision: dict[str, Any] = {"float_precision": "round_trip"} if is_told else {}
    table: pd.DataFrame = pd.read_csv(io.StringIO(text), keep_default_na=False, na_values=[""], **precision)
    return table


def provenance(
    experiment: Experiment, scale: str, units: Sequence[Unit], done: Mapping[str, Done], table: pd.DataFrame
) -> dict[str, Any]:
    """Where a table comes from: what was computed, with what, and for how long."""
    parts = [done[unit.key(experiment.version)] for unit in units]

    def all_of(values: Iterator[str]) -> str:
        return ", ".join(sorted(set(values)))

    return {
        "experiment": experiment.name,
        "version": experiment.version,
        "scale": scale,
        "config": _plain(experiment.config(scale)),
        "versions": {name: all_of(part.versions[name] for part in parts) for name in versions()},
        "commit": commit(),
        "device": all_of(part.device for part in parts),
        "seconds": round(sum(part.seconds for part in parts), 2),
        "sha256": hashlib.sha256(to_csv(table).encode()).hexdigest(),
        "units": [{"settings": part.settings, "seed": part.seed, "seconds": round(part.seconds, 3)} for part in parts],
    }


@functools.cache
def commit() -> str | None:
    """The commit of the package's tree, and whether it was changed since; None outside of a repository."""
    package = Path(__file__).parents[1]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(package), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "__init__.py")  # an installed package may lie within a repository of others
        changed = git("status", "--porcelain", "--", ".", ":!experiments/results")
        return git("rev-parse", "HEAD") + (", changed" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None


def write(path: Path, text: str) -> None:
    """Write a file aside, flush it, and rename it."""
    with explained(path), replacing(path) as aside, aside.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


class Damaged(Exception):
    """Why a file cannot be trusted."""


def trusted(path: Path, unit: Unit) -> Done:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        digest = content.pop("sha256")
        done = Done(**content)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(f"is no result of a unit ({type(error).__name__})") from error
    if digest != _digest(content):
        raise Damaged("was changed after it was written")
    if (done.settings, done.seed) != (_plain(unit.settings), unit.seed):
        raise Damaged("holds another unit")
    return done


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def place(folder: str | os.PathLike[str], experiment: Experiment, scale: str) -> Path:
    """The files of an experiment at a scale; with all seeds moved they are others."""
    offset = runtime.seed_offset()
    return Path(folder) / experiment.name / (f"{scale}-seeds-{offset}" if offset else scale)


def _plain(values: Mapping[str, Any]) -> Any:
    """As it comes out of a file: with lists for tuples."""
    return json.loads(json.dumps(values))


def write_result(path: Path, provenance_path: Path, result: Result) -> None:
    """Write a table and its provenance, in which each unit is a number of its settings, its seed, and its seconds."""
    settings: list[Mapping[str, Any]] = []
    units = []
    for unit in result.provenance["units"]:
        if unit["settings"] not in settings:
            settings.append(unit["settings"])
        units.append([settings.index(unit["settings"]), unit["seed"], unit["seconds"]])
    write(path, to_csv(result.rows))
    lists: dict[str, list[Any]] = {"settings": settings, "units": units}
    content = {name: json.dumps(value) for name, value in result.provenance.items()}
    content |= {name: "[\n  " + ",\n  ".join(map(json.dumps, values)) + "\n ]" for name, values in lists.items()}
    write(provenance_path, "{\n" + ",\n".join(f' "{name}": {value}' for name, value in content.items()) + "\n}\n")


def read_result(path: Path, provenance_path: Path, experiment: Experiment, remedy: str) -> Result:
    try:
        text = path.read_text(encoding="utf-8")
        source = json.loads(provenance_path.read_text(encoding="utf-8"))
        settings = source.pop("settings")
        source["units"] = [
            {"settings": settings[number], "seed": seed, "seconds": seconds}
            for number, seed, seconds in source["units"]
        ]
        scale, config = source["scale"], source["config"]
    except FileNotFoundError:
        raise ValueError(f"there is no result of {experiment.name!r}: {remedy}") from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"the result of {experiment.name!r} cannot be read ({error}): {remedy} anew") from error
    if source.get("version") != experiment.version:
        raise ValueError(
            f"the result of {experiment.name!r} is of its version {source.get('version')}, "
            f"and the experiment is at version {experiment.version}: {remedy} anew"
        )
    if config != _plain(experiment.config(scale)):
        raise ValueError(
            f"the result of {experiment.name!r} is of another configuration of the {scale} scale than it has now: "
            f"{remedy} anew"
        )
    if source.get("sha256") != hashlib.sha256(text.encode()).hexdigest():
        raise ValueError(f"the result of {experiment.name!r} was changed after it was written: {remedy} anew")
    return Result(experiment, scale, from_csv(text), source)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ValueError(
            f"{path} cannot be written: {error.strerror or error}; make room or choose another folder"
        ) from error
