"""What the paper says, in its numbers, and what came out here, statement by statement."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from dropout_lessons.claims import Evidence, Judgement, judge

__all__ = ["Finding", "Origin", "Reported"]

#: Whose statement it is: Srivastava et al. 2014, another paper's, or this course's own.
Origin = Literal["paper", "other", "course"]


@dataclass(frozen=True)
class Reported:
    """A number of the paper, and where it stands.

    Attributes:
        what: What the number is, such as ``"test error, dropout"``.
        value: As printed, with its unit, such as ``"1.05%"``.
        where: The figure, table or section.
        row: Of a test error: the row or arm of the experiment's table that it is beside.
    """

    what: str
    value: str
    where: str
    row: str = ""


@dataclass(frozen=True)
class Finding:
    """One statement as it came out here: what the paper says, our evidence, and what would agree with it.

    Attributes:
        statement: What was compared and would be true if the paper holds here, in one sentence.
        paper: The paper's value or words; ``""`` if it gives none, and the statement is this course's own.
        evidence: Made by :func:`~dropout_lessons.claims.paired`, ``sampled`` or ``exact``.
        above: What the effect must exceed to agree with the paper; a fraction if the unit is a percent unit.
        below: What the effect must stay under.
        within: What the effect must lie between.
        primary: Of a primary statement, on which the experiment's verdict rests, why this bound; ``""`` of the others.
        here: Our values, where the evidence is no difference of two arms that has them.
        origin: Whose statement it is; when None the experiment's, or this course's where the paper says nothing.
    """

    statement: str
    paper: str
    evidence: Evidence
    above: float | None = None
    below: float | None = None
    within: tuple[float, float] | None = None
    primary: str = ""
    here: str = ""
    origin: Origin | None = None

    def __post_init__(self) -> None:
        bounds = [bound for bound in (self.above, self.below, self.within) if bound is not None]
        if len(bounds) != (self.evidence.atol is None):
            raise ValueError(
                "a finding needs exactly one of above, below and within, and none for an identity, "
                f"got above={self.above}, below={self.below}, within={self.within}"
            )

    @classmethod
    def lower(cls, statement: str, evidence: Evidence, paper: str = "", **others: Any) -> Finding:
        """A statement that agrees with the paper if the effect is below zero; ``others`` are further attributes."""
        return cls(statement, paper, evidence, below=0, **others)

    @classmethod
    def higher(cls, statement: str, evidence: Evidence, paper: str = "", **others: Any) -> Finding:
        """A statement that agrees with the paper if the effect is above zero."""
        return cls(statement, paper, evidence, above=0, **others)

    @cached_property
    def judgement(self) -> Judgement:
        """The statement judged by its evidence."""
        return judge(self.statement, self.evidence, above=self.above, below=self.below, within=self.within)

    @property
    def holds(self) -> bool | None:
        """True if the whole 95% interval agrees with the statement, False if all of it disagrees, None if it is undecided."""
        return self.judgement.holds
