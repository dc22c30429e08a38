"""Answers of two students that are alike beyond what the exercise itself makes alike."""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from itertools import combinations

from dropout_lessons.exercises import Coded, Exercise, get
from dropout_lessons.grading.assignment import Assignment
from dropout_lessons.grading.results import StudentResult

_RUN = 5  # tokens: a shorter run says what everybody would
SHORTEST = 40  # tokens: shorter answers are alike by themselves
ALIKE = 0.8  # two of the book's own right answers in different styles share less (a test)
_COMMON = 0.2  # share of the class: what more have in common was most likely given to them
_OWN = ("code", "text")  # what a student has written; outputs and figures follow from it
_TOKEN = re.compile(r"\w+|[^\w\s]")
_KEYWORDS = frozenset(keyword.kwlist)


def similar(assignment: Assignment, results: Sequence[StudentResult]) -> list[str]:
    """Remarks on pairs of students whose answers share most of their runs of tokens, names of variables replaced.

    This proves nothing: it says whom to ask. What many in the class have in common is not counted.
    """
    return [
        f"{one} and {other}: {100 * share:.0f}% alike in {exercise}; look at both before you think anything of it"
        for exercise in assignment.exercises
        for one, other, share in _pairs(exercise, results)
    ]


def _pairs(exercise: str, results: Sequence[StudentResult]) -> Iterator[tuple[str, str, float]]:
    given = _runs(_given(get(exercise)))
    runs: dict[str, Counter[tuple[str, ...]]] = {}
    for result in results:
        for row in result.exercises:
            if row.exercise != exercise:
                continue
            found: Counter[tuple[str, ...]] = Counter()
            for part in row.answer:
                if part.kind in _OWN:
                    found += _runs(part.content, code=part.kind == "code")
            if found.total() >= SHORTEST:
                runs[result.student] = found - given
    spread = Counter(run for mine in runs.values() for run in mine)
    many = max(3, _COMMON * len(runs))
    rare = {
        student: Counter({run: count for run, count in mine.items() if spread[run] <= many})
        for student, mine in runs.items()
    }
    for one, other in combinations(sorted(rare), 2):
        share = _share(rare[one], rare[other])
        if share >= ALIKE and min(rare[one].total(), rare[other].total()) >= SHORTEST // 2:
            yield one, other, share


def likeness(one: str, other: str) -> float:
    """Share of runs of tokens that two texts have in common, from 0 to 1.

    Example:
        >>> likeness("total = 0\\nfor x in data: total += x", "s = 0\\nfor y in data: s += y")
        1.0
    """
    return _share(_runs(one), _runs(other))


def _share(one: Counter[tuple[str, ...]], other: Counter[tuple[str, ...]]) -> float:
    union = (one | other).total()
    return (one & other).total() / union if union else 0.0


def normalized(text: str) -> list[str]:
    """Tokens with comments left out and names replaced, but for keywords and what stands behind a dot."""
    text = re.sub(r"(?m)(^|\s)#.*$", "", text)
    return nameless(_TOKEN.findall(text), kept=_KEYWORDS)


def nameless(tokens: Sequence[str], kept: Container[str]) -> list[str]:
    """Tokens with names replaced, but for some and those behind a dot."""
    return [
        "name" if token.isidentifier() and token not in kept and before != "." else token
        for before, token in zip(("", *tokens), tokens, strict=False)
    ]


def _runs(text: str, *, code: bool = True) -> Counter[tuple[str, ...]]:
    tokens = normalized(text) if code else re.findall(r"\w+", text.lower())
    return Counter(zip(*(tokens[shift:] for shift in range(_RUN)), strict=False))


def _given(exercise: Exercise) -> str:
    return "\n".join((exercise.given, exercise.stub)) if isinstance(exercise, Coded) else ""
