"""What an experiment is: a claim of the paper, units of work that test it, and a judgement of what came out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd
import torch
from matplotlib.figure import Figure

from dropout_lessons.claims import Evidence

Scale = Literal["lecture", "workstation", "paper"]
SCALES: tuple[Scale, ...] = ("lecture", "workstation", "paper")
Verdict = Literal["reproduced", "partly", "not reproduced", "undecided", "not run here"]

#: One trained network, or whatever else is observed once: its coordinates and what was measured, by column.
Row = dict[str, Any]


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
        scalars = {name: value for name, value in self.settings.items() if not isinstance(value, (list, tuple, dict))}
        return {**scalars, "seed": self.seed}

    def key(self, version: int = 1) -> str:
        """A name for a file: readable, and with a hash of everything that decides the result."""
        identity = json.dumps([dict(self.settings), self.seed, version], sort_keys=True)
        readable = ",".join(f"{name}={value}" for name, value in self.columns.items())
        safe = "".join(c if c.isalnum() or c in "=,.-_" else "_" for c in readable)
        return f"{safe[:100]}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class Reported:
    """A number of the paper, and where it stands.

    Attributes:
        what: What the number is, such as ``"test error, dropout"``.
        value: As printed, with its unit, such as ``"1.05%"``.
        where: The figure, table or section.
    """

    what: str
    value: str
    where: str


@dataclass(frozen=True)
class Finding:
    """One statement of the paper as it came out here: what the paper says, our evidence, and what would agree with it.

    Attributes:
        statement: What was compared and would be true if the paper holds here, in one sentence.
        paper: The paper's value or words; ``""`` if it gives none.
        evidence: Made by :func:`~dropout_lessons.claims.paired`, ``sampled`` or ``exact``.
        above: What the effect must exceed to agree with the paper; a fraction if the unit is a percent unit.
        below: What the effect must stay under.
        within: What the effect must lie between.
    """

    statement: str
    paper: str
    evidence: Evidence
    above: float | None = None
    below: float | None = None
    within: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        bounds = [bound for bound in (self.above, self.below, self.within) if bound is not None]
        if len(bounds) != (self.evidence.atol is None):
            raise ValueError(
                "a finding needs exactly one of above, below and within, and none for an identity, "
                f"got above={self.above}, below={self.below}, within={self.within}"
            )

    @property
    def holds(self) -> bool | None:
        """True if the whole 95% interval agrees with the statement, False if all of it disagrees, None if it is undecided."""
        low, high = self.evidence.interval
        if self.evidence.atol is not None:
            return bool(self.evidence.effect <= self.evidence.atol)
        bottom = self.within[0] if self.within else -float("inf") if self.above is None else self.above
        top = self.within[1] if self.within else float("inf") if self.below is None else self.below
        if bottom < low and high < top:
            return True
        return False if high <= bottom or low >= top else None


@dataclass(frozen=True)
class Experiment:
    """A figure or table of a paper, or a study that chapters share, as a program: one file of the catalog.

    ``units(config, table)`` says what is to be computed. It is asked again, with the table so far, until it names nothing
    new, so that an experiment can tune first and report then. ``compute(unit, device)`` gives the rows of a unit. It depends
    on nothing else, so that units can be computed anywhere, in any order. ``judge(table)`` compares with the claim, and
    ``draw(table)`` draws.

    Attributes:
        title: What it is, such as ``"Figure 9a: error against keep_prob at a fixed width"``.
        source: Paper, section, figure or table.
        claim: What the paper says, in one sentence.
        reported: The paper's numbers.
        scales: For each scale that can be run, its configuration.
        units: Units of a configuration, given the table so far, which is empty at first.
        compute: Rows of a unit, computed on a device.
        judge: Findings, from the table of a scale; at least five seeds each.
        draw: A figure, from the table of a scale.
        remark: An honest word on what differs from the paper, and why.
        not_run: Why there are no results here and what it would take; only where there are none.
        version: To be raised when ``compute`` changes its results, so that old ones are not mixed with new ones.
    """

    title: str
    source: str
    claim: str
    reported: Sequence[Reported]
    scales: Mapping[Scale, Mapping[str, Any]]
    units: Callable[[Mapping[str, Any], pd.DataFrame], Iterable[Unit]]
    compute: Callable[[Unit, torch.device], list[Row]]
    judge: Callable[[pd.DataFrame], Sequence[Finding]]
    draw: Callable[[pd.DataFrame], Figure]
    remark: str = ""
    not_run: str = ""
    version: int = 1

    @property
    def name(self) -> str:
        """The name of its file."""
        return self.compute.__module__.rpartition(".")[2]

    def config(self, scale: str) -> Mapping[str, Any]:
        """The configuration of a scale.

        Raises:
            ValueError: If the experiment does not have the scale.
        """
        for name, config in self.scales.items():
            if name == scale:
                return config
        raise ValueError(f"scale must be one of {list(self.scales)} for {self.name!r}, got {scale!r}")


@dataclass(frozen=True)
class Result:
    """What came out of an experiment at one scale.

    Attributes:
        experiment: The experiment.
        scale: Its scale.
        table: Tidy: a row for each observation, with its coordinates and what was measured.
        provenance: Configuration, seeds, versions, commit, device, and the seconds of each unit.
    """

    experiment: Experiment
    scale: str
    table: pd.DataFrame
    provenance: Mapping[str, Any]

    @property
    def findings(self) -> Sequence[Finding]:
        """Each statement of the paper, as it came out."""
        return self.experiment.judge(self.table)

    @property
    def verdict(self) -> Verdict:
        """Reproduced if every finding holds, partly if some do, undecided if nothing can be said."""
        holds = [finding.holds for finding in self.findings]
        if holds and all(holds):
            return "reproduced"
        if any(holds):
            return "partly"
        return "not reproduced" if False in holds else "undecided"

    def draw(self) -> Figure:
        """The experiment's figure."""
        return self.experiment.draw(self.table)
