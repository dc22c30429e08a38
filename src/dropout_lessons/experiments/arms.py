"""What is compared: arms, what is tuned of each, and the units of work that they are made of."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["Arm", "Candidate", "Row", "Unit", "fits", "planned", "scalars"]

#: One trained network, or whatever else is observed once: its coordinates and what was measured, by column.
Row = dict[str, Any]
#: What tells a candidate from the others: keep probabilities, and fields of ``Recipe``, by name.
Candidate = Mapping[str, Any]

_FIRST_TUNING_SEED = 1000  # what is tuned and what is reported share no seeds


@dataclass(frozen=True)
class Unit:
    """The smallest piece of work that is computed and kept as a whole: one configuration at one seed.

    Attributes:
        settings: What distinguishes it from the other units, by name; numbers, strings, booleans, None, or lists of them. Its
            scalars become columns of the experiment's table.
        seed: Decides everything that is drawn.
        work: How much there is to compute, in any unit that is the same for the whole experiment, such as examples times
            epochs times weights. It orders the units, and tells the time left and what other scales would cost.

    Example:
        >>> unit = Unit({"train": 1000, "arm": "dropout"}, seed=3)
        >>> unit["train"], unit.key()  # doctest: +ELLIPSIS
        (1000, 'train=1000,arm=dropout,seed=3-...')
    """

    settings: Mapping[str, Any]
    seed: int
    work: float = field(default=1.0, compare=False)

    def __getitem__(self, name: str) -> Any:
        return self.settings[name]

    @property
    def columns(self) -> Row:
        """What identifies the unit in a table: its scalar settings, and its seed."""
        return {**scalars(self.settings), "seed": self.seed}

    @property
    def tunes(self) -> bool:
        """Whether it tries candidates, at a seed that is not reported."""
        return self.settings.get("stage") == "tuning"

    def key(self, version: int = 1) -> str:
        """A name for a file: readable, and with a hash of everything that decides the result."""
        identity = json.dumps([dict(self.settings), self.seed, version], sort_keys=True)
        readable = ",".join(f"{name}={value}" for name, value in self.columns.items())
        safe = "".join(c if c.isalnum() or c in "=,.-_" else "_" for c in readable)
        return f"{safe[:100]}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class Arm:
    """One side of a comparison: what its units share, its seeds, and the candidates among which tuning chooses.

    The runner tries all candidates on training and validation examples only, at seeds of their own, and reports the one with
    the lowest mean validation error at the arm's seeds. One candidate needs no tuning; an arm without any has nothing
    to tune.

    Attributes:
        settings: What the arm's units share, by name; its scalars tell it from other arms.
        seeds: Those that are reported.
        candidates: What is chosen from.
        tuning_seeds: Number of seeds that each candidate is judged by.
        together: Whether a unit trains all candidates side by side, or one, whose fields are then settings of the unit.
        tuned_by: The column that tuning minimizes.
        work: Of a unit that tries one candidate; of an arm without candidates, of a unit.
        report_work: How many times that a reported unit takes.
        rank: Arms of a rank are tuned and reported before those of the next: the most worth knowing come first.
        after: Further settings of a unit, from the reported rows of lower ranks and its seed.

    Example:
        >>> arm = Arm({"arm": "plain"}, range(5), [{"learning_rate": 0.01}, {"learning_rate": 0.1}])
        >>> [(unit["stage"], unit.seed) for unit in arm.tuning()]
        [('tuning', 1000), ('tuning', 1001)]
    """

    settings: Mapping[str, Any]
    seeds: Sequence[int]
    candidates: Sequence[Candidate] = ()
    tuning_seeds: int = 2
    together: bool = True
    tuned_by: str = "validation_error"
    work: float | Callable[[Candidate], float] = 1.0
    report_work: float = 1.0
    rank: int = 0
    after: Callable[[pd.DataFrame, int], Mapping[str, Any]] | None = None

    def tuning(self) -> list[Unit]:
        """Units that try the candidates."""
        if len(self.candidates) < 2:
            return []
        tried = [self.candidates] if self.together else [[candidate] for candidate in self.candidates]
        seeds = range(_FIRST_TUNING_SEED, _FIRST_TUNING_SEED + self.tuning_seeds)
        return [self._unit("tuning", candidates, seed) for candidates in tried for seed in seeds]

    def reporting(self, chosen: Candidate | None = None, table: pd.DataFrame | None = None) -> list[Unit]:
        """Units that report a candidate; what other arms have reported decides the rest of their settings."""
        candidates = [] if chosen is None else [chosen]
        units = [self._unit("report", candidates, seed) for seed in self.seeds]
        if self.after is None or table is None:
            return units
        return [Unit({**unit.settings, **self.after(table, unit.seed)}, unit.seed, unit.work) for unit in units]

    def tried(self, table: pd.DataFrame) -> pd.DataFrame:
        """The arm's rows among those that tuned."""
        where = {"stage": "tuning", **scalars(self.settings)}
        return table[fits(table, where)] if where.keys() <= set(table) else table.iloc[:0]  # when no unit of it is done

    def chosen(self, table: pd.DataFrame) -> Candidate | None:
        """The candidate that tuning chose, once the table has all that it tried; None of an arm without candidates.

        One that has no number at a seed, where it diverged say, is chosen only if all have none.
        """
        if len(self.candidates) < 2:
            return next(iter(self.candidates), None)
        rows = self.tried(table)
        scores = []
        for i, candidate in enumerate(self.candidates):
            of_it = fits(rows, {"candidate": i} if self.together else candidate)
            score = float(rows[self.tuned_by][of_it].mean(skipna=False))
            scores.append(math.inf if math.isnan(score) else score)
        return self.candidates[min(range(len(scores)), key=scores.__getitem__)]

    def edges(self, chosen: Candidate) -> list[str]:
        """Which fields of a candidate are at an end of their range, where a better one may lie beyond it."""
        found = []
        for name, value in chosen.items():
            if isinstance(value, (list, str)) or value is None:
                continue
            others = {other[name] for other in self.candidates if name in other}
            natural = 1.0 if name.endswith("keep_prob") else 0.0  # beyond which there is nothing
            if len(others) > 1 and value in (min(others), max(others)) and value != natural:
                found.append(name)
        return found

    def _unit(self, stage: str, candidates: Sequence[Candidate], seed: int) -> Unit:
        each = [self.work(candidate) if callable(self.work) else self.work for candidate in candidates or [{}]]
        work = sum(each) * (self.report_work if stage == "report" else 1)
        settings = dict(self.settings)
        if self.candidates and self.together:
            settings |= {"stage": stage, "candidates": [dict(candidate) for candidate in candidates]}
        elif self.candidates:
            settings |= {"stage": stage, **candidates[0]}
        return Unit(settings, seed, work)


def scalars(settings: Mapping[str, Any]) -> Row:
    """Those settings that are columns of a table."""
    return {name: value for name, value in settings.items() if not isinstance(value, (list, tuple, dict))}


def fits(table: pd.DataFrame, where: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Which rows hold these values in these columns; compared as arrays, in a tenth of the time that series take.

    Example:
        >>> fits(pd.DataFrame({"arm": ["plain", "dropout"], "seed": [0, 0]}), {"arm": "plain", "seed": 0}).tolist()
        [True, False]
    """
    same = np.ones(len(table), dtype=bool)
    for name, value in where.items():
        same &= False if value is None else table[name].to_numpy() == value  # as for pandas, nothing equals None
    return same


def planned(arms: Iterable[Arm]) -> list[Unit]:
    """All units of arms, as they are if the first candidate of each arm wins its tuning."""
    return [unit for arm in arms for unit in (*arm.tuning(), *arm.reporting(next(iter(arm.candidates), None)))]
