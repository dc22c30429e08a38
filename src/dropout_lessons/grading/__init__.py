"""The instructor's side: assignments, and grading of what comes back, apart from the grader."""

from dropout_lessons.grading.assignment import Assignment, LatePolicy, assign, read_assignment
from dropout_lessons.grading.export import publish
from dropout_lessons.grading.grader import grade
from dropout_lessons.grading.notebooks import Part
from dropout_lessons.grading.reports import Given, read_all, write_all
from dropout_lessons.grading.results import ExerciseResult, StudentResult
from dropout_lessons.grading.sandbox import Limits, SandboxUnavailable
from dropout_lessons.grading.statistics import Item, items, items_text
from dropout_lessons.grading.submissions import Submission, find

__all__ = [
    "Assignment",
    "ExerciseResult",
    "Given",
    "Item",
    "LatePolicy",
    "Limits",
    "Part",
    "SandboxUnavailable",
    "StudentResult",
    "Submission",
    "assign",
    "find",
    "grade",
    "items",
    "items_text",
    "publish",
    "read_all",
    "read_assignment",
    "write_all",
]
