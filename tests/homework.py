"""A homework as tests hand it out, solve it and hand it in."""

import json
import os

import nbformat
import pytest

from dropout_lessons import exercises
from dropout_lessons.exercises.notebook import KEY, marker
from dropout_lessons.grading import sandbox
from dropout_lessons.grading.assignment import Assignment, student_notebook

IDS = ("training-1", "training-2", "training-4")
HOMEWORK = Assignment("Homework 2", IDS, (2, 2, 6), variant=7)
SHARED = """
import torch
def shared_dropout(x, keep_prob):
    return x * (torch.rand(x.shape[1]) < keep_prob) / keep_prob
"""
INPUTS, HIDDEN = (exercises.get("training-2").values(7)[name] for name in ("input_keep_prob", "keep_prob"))
RIGHT = {
    "training-1": SHARED,
    "training-2": f"left = ({INPUTS} * {HIDDEN}, {HIDDEN})",
    "training-4": "Paired, by seed.",
}
EMPTY = json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}).encode()

needs_sandbox = pytest.mark.skipif(
    sandbox.available() is not None and "CI" not in os.environ, reason=str(sandbox.available())
)


def solved(answers, *, change=lambda notebook: None):
    """The students' notebook with answers filled in, as bytes."""
    notebook = student_notebook(HOMEWORK)
    for cell in notebook.cells:
        place = cell.metadata.get(KEY, {})
        if place.get("role") == "answer" and place["exercise"] in answers:
            kept = f"{marker(place['exercise'])}\n\n" if cell.cell_type == "markdown" else ""
            cell.source = kept + answers[place["exercise"]]
    change(notebook)
    return nbformat.writes(notebook).encode()


def tree(folder, contents):
    """Files with these contents, by name."""
    for name, data in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder
