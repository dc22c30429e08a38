"""Evidence from an experiment's table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dropout_lessons.claims import FEWEST_SEEDS, Evidence, paired, sampled
from dropout_lessons.experiments.arms import fits

__all__ = ["UNFINISHED", "difference", "noting_ends", "over_seeds", "values"]

_UNITS = {  # by how the name of a column ends
    "error": "percentage points",
    "ece": "percentage points",
    "nll": "nats",
    "excess": "nats",
    "set_size": "classes",
}
#: What a table's attributes say of a run of which some units are still to be computed.
UNFINISHED = "unfinished"


def values(table: pd.DataFrame, column: str, **where: Any) -> NDArray[np.float64]:
    """One column of the rows that fit, in the order of their seeds; each seed must be there once.

    Example:
        >>> table = pd.DataFrame({"arm": ["plain", "plain"], "seed": [1, 0], "test_error": [0.2, 0.1]})
        >>> values(table, "test_error", arm="plain").tolist()
        [0.1, 0.2]
    """
    return np.asarray(_of_seeds(table, column, where), dtype=np.float64)


def difference(
    table: pd.DataFrame,
    column: str,
    treatment: str | Mapping[str, Any],
    control: str | Mapping[str, Any],
    *,
    unit: str | None = None,
) -> Evidence:
    """Paired difference over seeds between two kinds of rows, each given by the name of its arm, or by what its columns hold.

    Of a run that is not finished it is that of the seeds that both kinds have, and unknown if these are fewer than five.
    Errors are in percentage points and losses in nats where no unit is given.

    Raises:
        ValueError: If a kind has no row, a seed has more than one, or the two have other seeds.

    Example:
        >>> rows = [{"arm": arm, "seed": seed, "test_error": 0.1} for arm in ("plain", "dropout") for seed in range(5)]
        >>> found = difference(pd.DataFrame(rows), "test_error", "dropout", "plain")
        >>> found.effect, found.unit
        (0.0, 'percentage points')
    """
    treatment, control = ({"arm": kind} if isinstance(kind, str) else kind for kind in (treatment, control))
    if unit is None:
        unit = next((unit for end, unit in _UNITS.items() if column.endswith(end)), "")
    first, second = _of_seeds(table, column, treatment), _of_seeds(table, column, control)
    if table.attrs.get(UNFINISHED):
        shared = first.index.intersection(second.index)
        first, second = first[shared], second[shared]
        if len(shared) < FEWEST_SEEDS:
            means = (float(first.mean()), float(second.mean())) if len(shared) else None
            return replace(_unknown(len(shared), unit), arms=means)
    if not first.index.equals(second.index):
        raise ValueError(
            f"treatment and control must have the same seeds, got {first.index.tolist()} for {dict(treatment)} "
            f"and {second.index.tolist()} for {dict(control)}"
        )
    edges = {", ".join(map(str, where.values())): _edges(table[fits(table, where)]) for where in (treatment, control)}
    return _recorded(paired(first.to_numpy(float), second.to_numpy(float), unit=unit), edges)


def noting_ends(rows: pd.DataFrame, evidence: Evidence, *, by: str = "arm") -> Evidence:
    """Evidence that rows gave in another way than as a ``difference``: recorded, and noting what their arms chose at an end.

    Example:
        >>> rows = pd.DataFrame({"arm": ["plain", "dropout"], "edge": ["learning_rate", ""]})
        >>> noting_ends(rows, sampled([0.1, 0.2, 0.3, 0.4, 0.5])).note
        'best at an end of what was tried: learning rate of plain'
    """
    names = rows[by].unique().tolist() if "edge" in rows else []
    return _recorded(evidence, {str(name): _edges(rows[rows[by] == name]) for name in names})


def _recorded(evidence: Evidence, edges: Mapping[str, str]) -> Evidence:
    ends = " and ".join(f"{edge} of {name}" for name, edge in edges.items() if edge)
    notes = [f"best at an end of what was tried: {ends}" if ends else "", evidence.note]
    return replace(evidence, note="; ".join(filter(None, notes)), recorded=True)


def over_seeds(table: pd.DataFrame, values: pd.Series[float], *, unit: str) -> Evidence:
    """The mean of values of a table, one for each seed that has it; of a run that is not finished as ``difference`` says.

    Example:
        >>> over_seeds(pd.DataFrame(), pd.Series([0.1, 0.2, 0.3, 0.2, 0.2]), unit="%").effect
        0.2
    """
    known = values.dropna()
    if table.attrs.get(UNFINISHED) and len(known) < FEWEST_SEEDS:
        return _unknown(len(known), unit)
    return sampled(known.to_numpy(float), unit=unit, over="seeds")


def _unknown(n: int, unit: str) -> Evidence:
    return Evidence(math.nan, (math.nan, math.nan), n, "seeds", unit)


def _edges(rows: pd.DataFrame) -> str:
    """What tuning chose at an end of its range."""
    found: list[str] = rows["edge"].unique().tolist() if "edge" in rows else []
    return ", ".join(sorted(edge.replace("_", " ") for edge in found if edge))


def _of_seeds(table: pd.DataFrame, column: str, where: Mapping[str, Any]) -> pd.Series[float]:
    if table.attrs.get(UNFINISHED) and not {column, *where} <= set(table):  # nothing was reported of it so far
        return pd.Series(dtype=float)
    chosen = fits(table, where)
    found = table[column][chosen].set_axis(pd.Index(table["seed"][chosen])).sort_index()  # no other column is copied
    if (found.empty and not table.attrs.get(UNFINISHED)) or not found.index.is_unique:
        raise ValueError(
            f"{dict(where)} must choose one row for each seed, got {len(found)} rows for {found.index.nunique()} seeds"
        )
    return found
