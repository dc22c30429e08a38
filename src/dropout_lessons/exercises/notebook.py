"""The cells that show an exercise in a notebook: a chapter of the book, or an assignment."""

from __future__ import annotations

import re

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from dropout_lessons.exercises.exercise import Coded, Exercise

KEY = "dropout_lessons"  # in the cells' metadata: the exercise, and the cell's role: prompt, answer or check
_HINT = re.compile(r"\s*\*(?:Expect|You should find)\b[^*]*\*")
ANSWER_HERE = "*Write your answer here.*"


def marker(exercise: str) -> str:
    """First line of a written answer: it tells whose answer a cell is when an editor has dropped the metadata."""
    return f"**Answer to {exercise}**"


def cells(
    exercise: Exercise, variant: int = 0, *, heading: str | None = None, hints: bool = True
) -> list[NotebookNode]:
    """The cells of an exercise: prompt, then stub and check, or a place for a written answer.

    Args:
        exercise: The exercise.
        variant: Variant of its constants; 0 is the book's.
        heading: Heading of the prompt in an assignment; None gives a chapter's form, an admonition with a label, and
            no place for written answers, since the page is not handed in.
        hints: Whether the prompt says what to expect: right for a reader, and for most assignments wrong.

    Returns:
        The cells, each with the exercise and its role in its metadata.

    Example:
        >>> from dropout_lessons.exercises import get
        >>> [cell.metadata["dropout_lessons"]["role"] for cell in cells(get("training-1"))]
        ['prompt', 'answer', 'check']
    """

    def named(role: str) -> dict[str, object]:
        return {"id": f"{exercise.id}-{role}", "metadata": {KEY: {"exercise": exercise.id, "role": role}}}

    prompt = exercise.fill(exercise.prompt.strip(), variant)
    if not hints:
        prompt = _HINT.sub("", prompt)
    if heading is None:
        title = f"{exercise.id}, {exercise.level}: {exercise.title}"
        fence = "::::" if ":::" in prompt else ":::"
        text = f"{fence}{{exercise}} {title}\n:label: {exercise.id}\n:nonumber:\n{prompt}\n{fence}"
    else:
        # Outside of the book there is no bibliography: {cite}`bishop1995training` reads Bishop 1995.
        plain = re.sub(r"{cite(?::t)?}`([a-z]+)(\d{4})\w*`", lambda key: f"{key[1].capitalize()} {key[2]}", prompt)
        text = f"{heading}\n\n{plain}"
    found = [new_markdown_cell(text, **named("prompt"))]
    if isinstance(exercise, Coded):
        found.append(new_code_cell(exercise.code(variant), **named("answer")))
        checked = new_code_cell(exercise.check_code(variant), **named("check"))
        if heading is None and exercise.kind == "find the bug":
            checked.metadata["tags"] = ["remove-output"]  # a page would say what the bug is before anyone has looked
        found.append(checked)
    elif heading is not None:
        found.append(new_markdown_cell(f"{marker(exercise.id)}\n\n{ANSWER_HERE}", **named("answer")))
    return found
