"""All exercises, a file for each topic."""

from __future__ import annotations

import importlib
from difflib import get_close_matches
from functools import cache

from dropout_lessons.exercises.exercise import TOPICS, Exercise

__all__ = ["bank", "get"]


@cache
def bank() -> dict[str, Exercise]:
    """All exercises by id, in the order of the book.

    Example:
        >>> bank()["training-2"].level
        'core'
    """
    found: dict[str, Exercise] = {}
    for topic in TOPICS:
        for exercise in importlib.import_module(f"{__name__}.{topic}").EXERCISES:
            if exercise.id in found or exercise.topic != topic:
                raise ValueError(f"id in {topic}.py must be new and start with {topic!r}, got {exercise.id!r}")
            found[exercise.id] = exercise
    return found


def get(exercise: str) -> Exercise:
    """The exercise with this id.

    Raises:
        ValueError: If there is none.

    Example:
        >>> get("training-2").minutes > 0
        True
    """
    if exercise not in bank():
        close = get_close_matches(exercise, bank(), n=1)
        hint = f"; did you mean {close[0]!r}?" if close else "; `dropout-lessons exercises` lists them"
        raise ValueError(f"exercise must be an id of the bank, got {exercise!r}{hint}")
    return bank()[exercise]
