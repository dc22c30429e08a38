"""Right answers in different styles are not taken for copies."""

from itertools import combinations
from pathlib import Path

import pytest

from dropout_lessons.grading.similar import ALIKE, SHORTEST, likeness, normalized
from dropout_lessons.grading.solutions import answers

FILES = sorted(path for path in Path(__file__).parents[1].glob("*.py") if path.name != "solutions.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_two_right_answers_in_different_styles_are_not_alike(path):
    right = [one.text for one in answers(path) if one.is_solution and len(normalized(one.text)) >= SHORTEST]
    shares = [likeness(one, other) for one, other in combinations(right, 2)]
    assert max(shares, default=0.0) < ALIKE
