"""Evidence from an experiment's table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dropout_lessons.claims import Evidence, paired


def values(table: pd.DataFrame, column: str, **where: Any) -> NDArray[np.float64]:
    """One column of the rows that fit, in the order of their seeds; each seed must be there once.

    Example:
        >>> table = pd.DataFrame({"arm": ["plain", "plain"], "seed": [1, 0], "test_error": [0.2, 0.1]})
        >>> values(table, "test_error", arm="plain").tolist()
        [0.1, 0.2]
    """
    return np.asarray(_of_seeds(table, column, where), dtype=np.float64)


def difference(
    table: pd.DataFrame, column: str, treatment: Mapping[str, Any], control: Mapping[str, Any], *, unit: str = ""
) -> Evidence:
    """Paired difference over seeds between two kinds of rows, each given by what its columns hold.

    Raises:
        ValueError: If a kind has no row, a seed has more than one, or the two have other seeds.

    Example:
        >>> rows = [{"arm": arm, "seed": seed, "test_error": 0.1} for arm in ("plain", "dropout") for seed in range(5)]
        >>> difference(pd.DataFrame(rows), "test_error", {"arm": "dropout"}, {"arm": "plain"}, unit="points").effect
        0.0
    """
    first, second = _of_seeds(table, column, treatment), _of_seeds(table, column, control)
    if not first.index.equals(second.index):
        raise ValueError(
            f"treatment and control must have the same seeds, got {first.index.tolist()} for {dict(treatment)} "
            f"and {second.index.tolist()} for {dict(control)}"
        )
    return paired(first.to_numpy(float), second.to_numpy(float), unit=unit)


def _of_seeds(table: pd.DataFrame, column: str, where: Mapping[str, Any]) -> pd.Series[float]:
    rows = table
    for name, value in where.items():
        rows = rows[rows[name] == value]
    found = rows.set_index("seed")[column].sort_index()
    if found.empty or not found.index.is_unique:
        raise ValueError(
            f"{dict(where)} must choose one row for each seed, got {len(found)} rows for {found.index.nunique()} seeds"
        )
    return found
