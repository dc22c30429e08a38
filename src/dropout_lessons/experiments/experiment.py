"""What an experiment is: a claim of the paper, arms that test it, and a judgement of what came out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from dropout_lessons.experiments.arms import Arm, Row, Unit, fits, planned, scalars
from dropout_lessons.experiments.findings import Finding, Origin, Reported
from dropout_lessons.experiments.tables import UNFINISHED

__all__ = ["SCALES", "Experiment", "Result", "Scale", "Verdict"]

Scale = Literal["lecture", "workstation", "paper"]
SCALES: tuple[Scale, ...] = ("lecture", "workstation", "paper")
Verdict = Literal["reproduced", "not reproduced", "undecided", "not run"]


@dataclass(frozen=True)
class Experiment:
    """A figure or table of a paper, or a study that chapters share, as a program: one file of the catalog.

    ``arms(config)`` declares what is compared and what is tuned of it; the runner tunes, and then reports.
    ``compute(unit, device)`` gives the rows of a unit. It depends on nothing else, so that units can be computed
    anywhere, in any order. ``judge(table)`` compares with the claim, and ``draw(table)`` draws.

    Attributes:
        title: What it is, such as ``"Figure 9a: error against keep_prob at a fixed width"``.
        source: Paper, section, figure or table.
        claim: What the paper says, in one sentence.
        reported: The paper's numbers.
        scales: For each scale that can be run, its configuration.
        arms: Arms of a configuration.
        compute: Rows of a unit, computed on a device.
        judge: Findings, from the reported rows of a scale. One or two of them are primary: the paper's own sentence, named
            before the run, with the reason for its bound. The verdict is theirs alone.
        draw: A figure, from the reported rows of a scale.
        compute_together: Rows of several units, for a device that is idle with one; when None, units are computed one by one.
        origin: Whose claim it is: the paper's, another paper's, or this course's own.
        remark: An honest word on what differs from the paper, and why.
        remark_at_scale: The same of the paper's scale.
        not_run: Why there are no results here and what it would take; only where there are none.
        version: To be raised when ``compute`` changes its results, so that old ones are not mixed with new ones.
    """

    title: str
    source: str
    claim: str
    reported: Sequence[Reported]
    scales: Mapping[Scale, Mapping[str, Any]]
    arms: Callable[[Mapping[str, Any]], Iterable[Arm]]
    compute: Callable[[Unit, torch.device], list[Row]]
    judge: Callable[[pd.DataFrame], Sequence[Finding]]
    draw: Callable[[pd.DataFrame], Figure]
    compute_together: Callable[[Sequence[Unit], torch.device], list[list[Row]]] | None = None
    origin: Origin = "paper"
    remark: str = ""
    remark_at_scale: str = ""
    not_run: str = ""
    version: int = 1

    @property
    def name(self) -> str:
        """The name of its file."""
        return self.judge.__module__.rpartition(".")[2]

    def config(self, scale: str) -> Mapping[str, Any]:
        """The configuration of a scale.

        Raises:
            ValueError: If the experiment does not have the scale.
        """
        for name, config in self.scales.items():
            if name == scale:
                return config
        raise ValueError(f"scale must be one of {list(self.scales)} for {self.name!r}, got {scale!r}")

    def plan(self, scale: str) -> list[Unit]:
        """All units of a scale, as they are if the first candidate of each arm wins its tuning."""
        return planned(self.arms(self.config(scale)))


@dataclass(frozen=True)
class Result:
    """What came out of an experiment at one scale.

    Attributes:
        experiment: The experiment.
        scale: Its scale.
        rows: Tidy, as in the file: a row for each observation, those of tuning too.
        provenance: Configuration, seeds, versions, commit, device, and the seconds of each unit.
    """

    experiment: Experiment
    scale: str
    rows: pd.DataFrame
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def table(self) -> pd.DataFrame:
        """The rows that are reported; of arms that were tuned, ``edge`` names what was chosen at an end of its range."""
        table = self.rows.copy()
        table.attrs[UNFINISHED] = bool(self.provenance.get(UNFINISHED))
        if "stage" not in table:
            return table
        table = table[table["stage"] != "tuning"]  # what was not tuned has no stage
        table = table.drop(columns=["stage", "candidate"], errors="ignore")
        return table.assign(edge=_edges(self.experiment.arms(self.experiment.config(self.scale)), self.rows, table))

    @cached_property
    def tuning(self) -> pd.DataFrame:
        """The rows of candidates that were tried, at seeds that are not reported."""
        rows = self.rows
        return rows[rows["stage"] == "tuning"].dropna(axis=1, how="all") if "stage" in rows else rows.iloc[:0]

    @cached_property
    def findings(self) -> Sequence[Finding]:
        """Each statement of the paper, as it came out; none before anything is reported."""
        found = self.experiment.judge(self.table) if len(self.table) else []
        return [replace(each, evidence=replace(each.evidence, recorded=True)) for each in found]

    @property
    def verdict(self) -> Verdict:
        """What the primary statements say: reproduced if all hold, not reproduced if one does not, else undecided."""
        primary = [finding for finding in self.findings if finding.primary]
        if not self.findings or any(math.isnan(finding.evidence.effect) for finding in primary):
            return "not run"
        holds = [finding.holds for finding in primary]
        if False in holds:
            return "not reproduced"
        return "reproduced" if holds and all(holds) else "undecided"

    def draw(self) -> Figure:
        """The experiment's figure."""
        return self.experiment.draw(self.table)


def _edges(arms: Iterable[Arm], rows: pd.DataFrame, table: pd.DataFrame) -> pd.Series[str]:
    """For each reported row, the fields of its candidate that stand at an end of what was tried."""
    tuning = rows[rows["stage"] == "tuning"]
    edges = np.full(len(table), "", dtype=object)
    for arm in arms:
        if len(arm.candidates) > 1 and len(tried := arm.tried(tuning)):
            chosen = arm.chosen(tried)
            assert chosen is not None
            edges[fits(table, scalars(arm.settings))] = ", ".join(arm.edges(chosen))
    return pd.Series(edges, index=table.index)
