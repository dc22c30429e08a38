"""Checks of answers: instant feedback in a notebook, and the same judgement for the grader.

A check draws random inputs from a fresh seed, lets the answer work on them, and judges what came back. Whatever the
answer does to the random number generators is undone.
"""

from __future__ import annotations

import contextlib
import importlib
import numbers
import os
import random
import re
import secrets
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dropout_lessons.exercises.bank import get
from dropout_lessons.exercises.exercise import Coded, Examiner, Exercise, Inputs, Outputs, Problem, WrongKind
from dropout_lessons.exercises.trials import kind_of

_PACKAGE = str(Path(__file__).parents[1])
_BANK = str(Path(__file__).parent / "bank")  # what calls answers, and reads what they return
_LIBRARIES = (sys.prefix, sys.base_prefix)
_LARGEST = 10_000_000  # elements of one output
_ASKED = "where a number or a tensor is asked for."


class CheckFailed(AssertionError):
    """An answer is wrong or missing, and the check is strict."""


@dataclass(frozen=True, repr=False)
class Feedback:
    """What a check found; a notebook shows it as a box.

    Attributes:
        exercise: The exercise.
        problems: What is wrong, the most telling first; empty if the answer is right.
        seed: Seed of the inputs: ``check(..., seed=seed)`` repeats the check.
        variant: Variant of the exercise's constants.
    """

    exercise: Exercise
    problems: tuple[Problem, ...]
    seed: int
    variant: int = 0

    @property
    def passed(self) -> bool:
        """Whether the answer is right in every respect."""
        return not self.problems

    @property
    def share(self) -> float:
        """Share of the points that the answer earns, in [0, 1]."""
        return max(0.0, 1.0 - sum(problem.lost for problem in self.problems))

    @property
    def headline(self) -> str:
        """The result in a few words."""
        if self.passed:
            return f"{self.exercise.id} passed: {self.exercise.title}"
        if self.problems[0].code == "unsolved":
            return f"{self.exercise.id} is not solved yet: {self.exercise.title}"
        return f"{self.exercise.id} is not right yet: {self.exercise.title}"

    def _lines(self) -> list[str]:
        lines = [problem.message for problem in self.problems]
        if lines and self.problems[0].code != "unsolved":
            lines.append(f"Seed {self.seed}: add seed={self.seed} to the check to repeat it with the same numbers.")
        return lines

    def __repr__(self) -> str:
        return "\n".join([self.headline, *(f"  {line}" for line in self._lines())])

    def _repr_html_(self) -> str:
        sign = "✓" if self.passed else "○" if self.problems[0].code == "unsolved" else "✗"
        lines = "".join(
            f'<p style="margin: 0.25em 0; white-space: pre-wrap">{escape(line)}</p>' for line in self._lines()
        )
        return (
            '<div class="exercise-check" role="status" style="margin: 0.5em 0; padding: 0.5em 1em; '
            'border: 1px solid currentColor; border-left-width: 0.4em; color: inherit">'
            f'<p style="margin: 0; font-weight: bold"><span aria-hidden="true">{sign}</span> {escape(self.headline)}</p>'
            f"{lines}</div>"
        )


def check(
    exercise: str, answer: Any, *, variant: int = 0, seed: int | None = None, strict: bool | None = None
) -> Feedback:
    """Check an answer with random inputs, and say which property fails and the likely mistake.

    A wrong answer costs no exception, so that a notebook runs to its end; with ``strict`` it does.

    Args:
        exercise: Id of the exercise, such as ``"training-1"``.
        answer: The answer: a function, a class or a value, as the exercise asks.
        variant: Variant of the exercise's constants; 0 is the book's.
        seed: Seed of the inputs; by default a fresh one, which the feedback names.
        strict: Whether a wrong or missing answer raises; by default only where the environment variable
            ``DROPOUT_LESSONS_STRICT`` is set.

    Returns:
        What was found.

    Raises:
        ValueError: If there is no such exercise, or it is marked by hand.
        CheckFailed: If the check is strict and the answer is not right.

    Example:
        >>> check("training-2", (0.8, 0.5), seed=1)  # doctest: +ELLIPSIS
        training-2 is not right yet: ...
    """
    found = get(exercise)
    if not isinstance(found, Coded):
        raise ValueError(f"exercise must be one that a program checks, got {exercise!r}, which is marked by hand")
    seed = secrets.randbelow(2**31) if seed is None else seed
    try:
        inputs = inputs_of(found, seed, variant)
    except ModuleNotFoundError:  # in a sandbox, which hides the judges
        return Feedback(
            found, (Problem("not-judged", "Nobody judges here: the grader does, elsewhere."),), seed, variant
        )
    outputs = attempt(found, answer, inputs, seed)
    problems = (outputs,) if isinstance(outputs, Problem) else judged(found, inputs, outputs)
    feedback = Feedback(found, problems, seed, variant)
    if not feedback.passed and (strict or (strict is None and os.environ.get("DROPOUT_LESSONS_STRICT"))):
        raise CheckFailed(repr(feedback))
    return feedback


def inputs_of(exercise: Coded, seed: int, variant: int = 0) -> Inputs:
    """The inputs of one check: the variant's constants, and what the exercise draws."""
    constants = exercise.values(variant)
    return {**constants, **_examiner(exercise).draw(np.random.default_rng(seed), **constants)}


def _examiner(exercise: Coded) -> Examiner:
    if exercise.examiner is not None:
        return exercise.examiner
    judges = importlib.import_module(f"dropout_lessons.exercises.judges.{exercise.topic}")
    judge, draw = (getattr(judges, f"{part}_{exercise.answer}", None) for part in ("judge", "draw"))
    if judge is None:
        raise AttributeError(
            f"{exercise.id} has no judge: add judge_{exercise.answer}(inputs, outputs), and draw_{exercise.answer}(rng) if "
            f"its inputs are drawn, to exercises/judges/{exercise.topic}.py"
        )
    return Examiner(judge, draw) if draw else Examiner(judge)


def attempt(exercise: Coded, answer: Any, inputs: Inputs, seed: int) -> Outputs | Problem:
    """Let an answer work on inputs; everything it returns comes back as plain arrays.

    This is the only part that touches the answer. It runs in the student's kernel, or in the grader's sandbox.

    Args:
        exercise: The exercise.
        answer: The student's function, class or value.
        inputs: What ``inputs_of`` gave.
        seed: Seed of the generators that the answer draws from.

    Returns:
        The outputs by name, with the input arrays as the answer left them under ``"after NAME"``; or the problem
        that kept the answer from returning any.
    """
    if answer is None or answer is ...:
        return Problem("unsolved", f"Give {exercise.answer} a value, and run the check again.")
    try:
        try:
            return _used(exercise, answer, inputs, seed)
        except RuntimeError as error:
            if not re.search("dtype|scalar type", str(error)):
                raise
        wide = {name: _double(value) for name, value in inputs.items()}
        return _used(exercise, answer, wide, seed)  # an answer may have been written for either precision
    except NotImplementedError:
        return Problem(
            "unsolved", f"{exercise.answer} still raises NotImplementedError: write it, and run the check again."
        )
    except WrongKind as error:
        return Problem("wrong-type", str(error))
    except Exception as error:  # whatever an answer raises is the answer's problem
        if _had_returned(error):
            what = f"What it returns is not of the form that is asked for ({str(error)[:200]})."
            return Problem("wrong-type", what)
        return Problem("raises", _told(error))


def _used(exercise: Coded, answer: Any, inputs: Inputs, seed: int) -> Outputs:
    given = {name: torch.tensor(value) if isinstance(value, np.ndarray) else value for name, value in inputs.items()}
    with _generators_from(seed):
        found = exercise.use(answer, dict(given))
        outputs = {name: _plain(value, _whose(exercise, name)) for name, value in found.items()}
    for name, value in outputs.items():
        if value.dtype.kind == "U" and not exercise.words and name != "trouble":  # which the bank notes, not the answer
            text = str(value.flat[0])[:30]
            raise WrongKind(f"{_whose(exercise, name)} has text in it ({text!r}), where numbers alone are asked for.")
    left = {f"after {name}": _plain(value, name) for name, value in given.items() if isinstance(value, torch.Tensor)}
    return {**outputs, **left}


def _whose(exercise: Coded, name: str) -> str:
    """What an output is to the student, at the start of a sentence."""
    if name != "answer":
        return f"What it returns as {name}"
    return exercise.answer if exercise.holds_value else "What it returns"


def _double(value: Any) -> Any:
    return value.astype(np.float64) if isinstance(value, np.ndarray) and value.dtype == np.float32 else value


def judged(exercise: Coded, inputs: Inputs, outputs: Outputs) -> tuple[Problem, ...]:
    """What is wrong with outputs that ``attempt`` returned, wherever that ran: an empty tuple if nothing is."""
    problems = []
    try:
        for problem in _problems(exercise, inputs, outputs):
            problems.append(problem)
            if problem.lost >= 1:
                break
    except Exception as error:  # outputs may have any shape and type
        message = f"The check cannot read what came back ({type(error).__name__}): look at its shape and type."
        problems.append(Problem("unreadable", message))
    return tuple(problems)


def _problems(exercise: Coded, inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    left = {name: outputs[f"after {name}"] for name in inputs if f"after {name}" in outputs}
    changed = [name for name, value in left.items() if not np.array_equal(value, inputs[name], equal_nan=True)]
    if changed:  # one mistake, in however many arguments
        known = sorted({argument for name in changed if (argument := exercise.argument_of(name))})
        names = (
            " ".join([f"its argument{'s' if known[1:] else ''}", " and ".join(known)]) if known else "what it is given"
        )
        message = f"It changes {names} in place: whoever called it still needs the old values."
        yield Problem("in-place", message, lost=0.5)
    for name, value in outputs.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            where = f"what came back ({name})" if name != "answer" else "what came back"
            where = exercise.answer if exercise.holds_value else where
            yield Problem("not-finite", f"There are NaN or infinite values in {where}: is something divided by 0?")
    yield from _examiner(exercise).judge(inputs, outputs)


def _plain(value: Any, whose: str, at: tuple[int, ...] = ()) -> NDArray[Any]:
    """A value as an array of plain numbers or words; ``whose`` and ``at`` say of another kind where it stands."""

    def unfit(what: str) -> WrongKind:
        return WrongKind(f"{whose} {f'holds {what} at {list(at)}' if at else f'is {what}'}, {_ASKED}")

    kind = type(value)  # the exact type of arrays: a subclass may lie about itself
    if kind.__module__.partition(".")[0] == "pandas" and hasattr(value, "to_numpy"):
        value = value.to_numpy()
        kind = type(value)
    if kind in (torch.Tensor, nn.Parameter):
        value = value.detach().cpu()
        value = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    elif isinstance(value, (list, tuple)) and value:
        value = _stacked([_plain(part, whose, (*at, i)) for i, part in enumerate(value)], whose)
    elif kind in (bool, int, float, str) or isinstance(value, np.generic):
        value = np.asarray(value)
    elif isinstance(value, (numbers.Real, Decimal)):  # a fraction, an exact number
        value = np.asarray(float(value))
    elif kind is not np.ndarray:
        raise unfit(f"an empty {kind.__name__}" if kind in (list, tuple) else kind_of(value))
    elif value.dtype == object and value.size:
        parts = [
            _plain(part, whose, (*at, *map(int, np.unravel_index(i, value.shape)))) for i, part in enumerate(value.flat)
        ]
        value = _stacked(parts, whose).reshape(value.shape)
    if value.dtype.kind not in "biufU":
        raise unfit(f"an array of {value.dtype}")
    if value.size > _LARGEST:
        raise WrongKind(f"It returns {value.size:,} numbers, far more than were asked for.")
    return np.array(value)


def _stacked(parts: list[NDArray[Any]], whose: str) -> NDArray[Any]:
    if all(part.size == 1 for part in parts):  # tensor(1.) and tensor([2.]) are two numbers
        parts = [part.reshape(()) for part in parts] if len({part.shape for part in parts}) > 1 else parts
    if len({part.shape for part in parts}) > 1:
        raise WrongKind(f"{whose} has parts of different shapes in it: {_each(parts)}.")
    return np.stack(parts)


def _each(parts: list[NDArray[Any]]) -> str:
    shapes = ", ".join(str(part.shape) if part.shape else "a number" for part in parts[:4])
    return shapes + ", ..." * (len(parts) > 4)


@contextlib.contextmanager
def _generators_from(seed: int) -> Iterator[None]:
    # The legacy generator is the one that an answer's np.random.rand draws from.
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=[]):
            torch.random.set_rng_state(torch.Generator().manual_seed(seed).get_state())
            np.random.set_state(np.random.RandomState(seed % 2**32).get_state())  # noqa: NPY002
            random.seed(seed)
            yield
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)


def _had_returned(error: Exception) -> bool:
    """Whether an error is of the bank, as it reads what an answer returned: no frame of the answer is left."""
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    first = next((place for place, file in enumerate(files) if file.startswith(_BANK)), len(files))
    return first < len(files) and all(file.startswith((_PACKAGE, *_LIBRARIES)) for file in files[first:])


def _told(error: Exception) -> str:
    """An error in a student's words: what it is, and the line of the answer that raised it."""
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.line and not frame.filename.startswith((_PACKAGE, *_LIBRARIES, "<"))
    ]
    where = f"\n  in the line: {own[-1].line}" if own else ""
    return f"It raises {type(error).__name__}: {str(error)[:500]}{where}"
