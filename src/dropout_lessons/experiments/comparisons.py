"""Arms against arms on each data set of a table: statements and a figure that experiments share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from dropout_lessons import figures
from dropout_lessons.claims import Evidence
from dropout_lessons.experiments.findings import Finding, Origin
from dropout_lessons.experiments.tables import difference

__all__ = ["NAMES", "TITLES", "Against", "against", "difference_panels", "error_panels", "findings_on_each"]

TITLES = {"mnist_10k": "MNIST", "mnist": "MNIST", "fashion_10k": "Fashion-MNIST", "fashion_mnist": "Fashion-MNIST"}

NAMES = {"mnist_10k": "digits", "mnist": "digits", "fashion_10k": "clothes", "fashion_mnist": "clothes"}


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
        origin: Whose statement it is, as of a ``Finding``.
    """

    arm: str
    control: str
    says: str
    paper: str = ""
    column: str = "test_error"
    primary: str = ""
    higher: bool = False
    origin: Origin | None = None


def against(
    table: pd.DataFrame, data: str, arm: str, control: str, column: str = "test_error", *, by: str = "arm"
) -> Evidence:
    """Paired difference of two arms, or of what another column tells apart, on one data set.

    Example:
        >>> rows = [{"data": "digits", "arm": arm, "seed": i, "test_nll": 0.1} for arm in "ab" for i in range(5)]
        >>> against(pd.DataFrame(rows), "digits", "b", "a", "test_nll").unit
        'nats'
    """
    return difference(table[table["data"] == data], column, {by: arm}, {by: control})


def findings_on_each(
    table: pd.DataFrame,
    pairs: Iterable[Against],
    titles: Mapping[str, str] = TITLES,
    *,
    first: bool = False,
    by: str = "arm",
) -> list[Finding]:
    """Each statement on each data set of the table, data set by data set.

    Args:
        table: With the columns ``data``, ``seed`` and what is compared.
        pairs: What is compared.
        titles: Of the data sets.
        first: Whether the primary statements are those on the first data set alone.
        by: The column that tells arms apart.

    Example:
        >>> rows = [{"data": "digits", "arm": arm, "seed": i, "test_error": 0.1} for arm in "ab" for i in range(5)]
        >>> [finding] = findings_on_each(pd.DataFrame(rows), [Against("b", "a", "b errs less")], {"digits": "Digits"})
        >>> finding.statement, finding.holds
        ('Digits: b errs less.', False)
    """
    pairs, kinds = list(pairs), table["data"].unique()
    return [
        (Finding.higher if pair.higher else Finding.lower)(
            f"{titles[data]}: {pair.says}.",
            against(table, data, pair.arm, pair.control, pair.column, by=by),
            pair.paper,
            primary=pair.primary if data == kinds[0] or not first else "",
            origin=pair.origin,
        )
        for data in kinds
        for pair in pairs
    ]


def difference_panels(table: pd.DataFrame, arms: Mapping[str, str], control: str, called: str) -> Figure:
    """Test errors and losses of arms, each by its name in the figure, against a control, on each data set."""
    panels = {
        panel: {
            f"{TITLES[data]}: {name}": against(table, data, arm, control, column)
            for data in table["data"].unique()
            for arm, name in arms.items()
        }
        for panel, column in (("test error", "test_error"), ("test loss", "test_nll"))
    }
    labels = {"test error": f"minus {called}\n(points)", "test loss": f"minus {called}\n(nats)"}
    return figures.interval_panels(panels, labels=labels, scales={"test error": 100.0})


def error_panels(table: pd.DataFrame, arms: Iterable[str], control: str) -> Figure:
    """Test errors of all arms against one of them, a panel for each data set."""
    others = [arm for arm in arms if arm != control]
    panels = {
        TITLES[data]: {arm: against(table, data, arm, control) for arm in others} for data in table["data"].unique()
    }
    labels = dict.fromkeys(panels, f"test error, minus\n{control} (points)")
    return figures.interval_panels(panels, labels=labels, scales=dict.fromkeys(panels, 100.0))
