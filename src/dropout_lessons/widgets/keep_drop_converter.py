"""One keep probability, as each library wants it written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from dropout_lessons.conventions import Convention
from dropout_lessons.widgets.base import Interactive, KeepProb, script


class KeepDropConverter(Interactive):
    """What to write in each library for one keep probability.

    Args:
        conventions: The rows of the table, such as ``CONVENTIONS`` of ``dropout_lessons.conventions``.
        keep_prob: Probability that a unit is kept, in (0, 1].

    Raises:
        ValueError: If there are no conventions.
        TraitError: If ``keep_prob`` is out of bounds, now or later.

    Example:
        >>> from dropout_lessons.conventions import CONVENTIONS
        >>> KeepDropConverter(CONVENTIONS, keep_prob=0.8).keep_prob
        0.8
    """

    _name = "keep_drop_converter"
    _esm = script("keep_drop_converter.js")

    keep_prob = KeepProb(0.8).tag(sync=True)

    def __init__(self, conventions: Sequence[Convention], keep_prob: float = 0.8) -> None:
        if not conventions:
            raise ValueError("conventions must have at least one entry, such as CONVENTIONS has, got none")
        rows = [asdict(convention) for convention in conventions]
        super().__init__(data={"conventions": rows}, keep_prob=keep_prob)

    def _sentence(self) -> str:
        conventions = [Convention(**row) for row in self.data["conventions"]]
        written = ", ".join(f"{row.code(self.keep_prob)} ({row.library})" for row in conventions)
        return f"Interactive: a keep probability of {self.keep_prob:g} is written {written}."
