"""The book's exercises: a bank of definitions, and checks that answer at once.

``exercises.check("training-1", dropout)`` says in a notebook whether an answer is right, and otherwise which property fails
and the likely mistake. Solutions are not in this package.
"""

from dropout_lessons.exercises.bank import bank, get
from dropout_lessons.exercises.checking import CheckFailed, Feedback, check
from dropout_lessons.exercises.exercise import Coded, Examiner, Exercise, Problem, Written

__all__ = ["CheckFailed", "Coded", "Examiner", "Exercise", "Feedback", "Problem", "Written", "bank", "check", "get"]
