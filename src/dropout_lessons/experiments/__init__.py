"""The paper, run again: its figures and tables as programs at three scales, and the studies that chapters share."""

from dropout_lessons.experiments.arms import Arm, Row, Unit
from dropout_lessons.experiments.entries import beside_the_paper, cost, ledger
from dropout_lessons.experiments.experiment import Experiment, Result
from dropout_lessons.experiments.findings import Finding, Reported
from dropout_lessons.experiments.page import ledger_page
from dropout_lessons.experiments.records import reached, record, recorded
from dropout_lessons.experiments.registry import get, names
from dropout_lessons.experiments.runner import UnitsFailed, run

__all__ = [
    "Arm",
    "Experiment",
    "Finding",
    "Reported",
    "Result",
    "Row",
    "Unit",
    "UnitsFailed",
    "beside_the_paper",
    "cost",
    "get",
    "ledger",
    "ledger_page",
    "names",
    "reached",
    "record",
    "recorded",
    "run",
]
