"""Arms against arms on each data set of a table: statements and a figure that experiments share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from dropout_lessons import figures
from dropout_lessons.claims import Evidence
from dropout_lessons.experiments.findings import Finding
from dropout_lessons.experiments.tables import difference

__all__ = ["Against", "against", "difference_panels", "findings_on_each"]


class Against(NamedTuple):
    """An arm against a control, on any data set.

    Attributes:
        arm: Whose column is to be lower.
        control: Than whose.
        says: The statement, without the data set and the full stop.
        paper: The paper's value or words.
        column: What is compared.
        primary: Why the bound, if the experiment's verdict rests on it.
        higher: Whether the arm's column is to be higher instead.
    """

    arm: str
    control: str
    says: str
    paper: str = ""
    column: str = "test_error"
    primary: str = ""
    higher: bool = False


def against(table: pd.DataFrame, data: str, arm: str, control: str, column: str = "test_error") -> Evidence:
    """Paired difference of two arms on one data set: of losses in nats, of errors in points.

    Example:
        >>> rows = [{"data": "digits", "arm": arm, "seed": i, "test_nll": 0.1} for arm in "ab" for i in range(5)]
        >>> against(pd.DataFrame(rows), "digits", "b", "a", "test_nll").unit
        'nats'
    """
    unit = "nats" if column.endswith("nll") else "percentage points"
    return difference(table[table["data"] == data], column, {"arm": arm}, {"arm": control}, unit=unit)


def findings_on_each(
    table: pd.DataFrame, titles: Mapping[str, str], pairs: Iterable[Against], *, first: bool = False
) -> list[Finding]:
    """Each statement on each data set of the table, data set by data set.

    Args:
        table: With the columns ``data``, ``arm``, ``seed`` and those that are compared.
        titles: Of the data sets.
        pairs: What is compared.
        first: Whether the primary statements are those on the first data set alone.

    Example:
        >>> rows = [{"data": "digits", "arm": arm, "seed": i, "test_error": 0.1} for arm in "ab" for i in range(5)]
        >>> [finding] = findings_on_each(pd.DataFrame(rows), {"digits": "Digits"}, [Against("b", "a", "b errs less")])
        >>> finding.statement, finding.holds
        ('Digits: b errs less.', False)
    """
    pairs, kinds = list(pairs), table["data"].unique()
    return [
        Finding(
            f"{titles[data]}: {pair.says}.",
            pair.paper,
            against(table, data, pair.arm, pair.control, pair.column),
            above=0 if pair.higher else None,
            below=None if pair.higher else 0,
            primary=pair.primary if data == kinds[0] or not first else "",
        )
        for data in kinds
        for pair in pairs
    ]


def difference_panels(
    table: pd.DataFrame, titles: Mapping[str, str], arms: Mapping[str, str], control: str, called: str
) -> Figure:
    """Test errors and losses of arms against a control on each data set.

    Args:
        table: With the columns ``test_error`` and ``test_nll``.
        titles: Of the data sets.
        arms: For each arm what the figure calls it.
        control: What is subtracted.
        called: What the figure calls that.
    """
    panels = {
        panel: {
            f"{titles[data]}: {name}": against(table, data, arm, control, column)
            for data in table["data"].unique()
            for arm, name in arms.items()
        }
        for panel, column in (("test error", "test_error"), ("test loss", "test_nll"))
    }
    labels = {"test error": f"minus {called}\n(points)", "test loss": f"minus {called}\n(nats)"}
    return figures.interval_panels(panels, labels=labels, scales={"test error": 100.0})
