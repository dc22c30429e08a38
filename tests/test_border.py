"""What comes from outside: made plain, and handled apart, within limits."""

import time
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropout_lessons.grading import border
from dropout_lessons.grading.border import Overrun, apart, plain


def shown(character):
    return character.isprintable() or unicodedata.category(character) == "Zs"


@given(st.text(st.characters(), max_size=50))
def test_whatever_comes_from_outside_is_one_line_that_can_be_written(text):
    found = plain(text)
    assert found.encode().decode() == found
    assert all(map(shown, found))
    assert plain(found) == found


@given(st.binary(max_size=50))
def test_any_bytes_as_a_files_name_can_be_written(data):
    assert all(map(shown, plain(data.decode("utf-8", "surrogateescape"))))


def test_letters_of_all_languages_stay():
    assert plain("Zoë Łukasz 陳大文 محمد") == "Zoë Łukasz 陳大文 محمد"


def test_lines_stay_where_they_may():
    assert plain("a\n\tb\x1b", lines=True) == "a\n\tb\\x1b"
    assert plain("x" * 999, 10) == "x" * 9 + "…"


def test_time_of_what_is_done_apart_is_bounded(monkeypatch):
    monkeypatch.setattr(border, "SECONDS", 0.5)
    began = time.perf_counter()
    with pytest.raises(Overrun, match=r"longer than 0\.5 seconds"):
        apart(time.sleep, 60)
    assert time.perf_counter() - began < 20


def test_memory_of_what_is_done_apart_is_bounded():
    with pytest.raises(Overrun, match="more than 1 GB"):
        apart(np.ones, 2**28)


def test_an_error_comes_back():
    with pytest.raises(ValueError, match="invalid literal"):
        apart(int, "x")
