"""Notebooks in any state: what is read of them, and what is said of those that cannot be."""

import contextlib
import json
import time

import pytest
from homework import IDS, RIGHT, solved
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output, new_raw_cell

from dropout_lessons.exercises.notebook import KEY
from dropout_lessons.grading.notebooks import CodeCell, Part, UnreadableNotebook, read

WRITTEN = IDS[2]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
NAMES = ["cells", "cell_type", "source", "metadata", KEY, "exercise", "role"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "This file is empty"),
        (solved(RIGHT)[:-20], "damaged or no notebook"),
        (b"\x00\xff\x00", "damaged or no notebook"),
        (b"[" * 100_000, "damaged or no notebook"),
        (b"[1, 2]", "no notebook"),
        (b'{"cells": 3}', "no cells"),
        (b'{"cells": [], "metadata": {"kernelspec": {"name": "ir", "language": "R"}}}', "is for r"),
        (json.dumps({"cells": [{}] * 3000}).encode(), "3,000 cells"),
    ],
)
def test_a_file_that_is_no_notebook_gets_a_reason(data, message):
    with pytest.raises(UnreadableNotebook, match=message):
        read(data)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(NAMES),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_no_json_breaks_reading(content):
    with contextlib.suppress(UnreadableNotebook):
        read(json.dumps(content).encode(), IDS)


@given(st.binary(max_size=200))
def test_no_bytes_break_reading(data):
    with pytest.raises(UnreadableNotebook):
        read(data)


def test_fifty_megabytes_of_output_are_read_quickly_and_dropped():
    cell = {
        "cell_type": "code",
        "source": "x = 1",
        "outputs": [{"output_type": "stream", "text": ["x" * 1000] * 50_000}],
    }
    data = json.dumps({"cells": [cell]}).encode()
    assert len(data) > 50 * 10**6
    began = time.process_time()
    assert read(data).code == (CodeCell("x = 1"),)
    assert time.process_time() - began < 5


def test_written_answers_are_found_with_and_without_metadata():
    def lose(notebook):
        for cell in notebook.cells:
            cell.metadata = {}

    for change in (lambda notebook: None, lose):
        assert read(solved(RIGHT, change=change), IDS, 7).answers[WRITTEN] == (Part("text", RIGHT[WRITTEN]),)
    assert WRITTEN not in read(solved({}), IDS, 7).answers


def test_cells_that_check_are_not_run_again():
    assert not any("exercises.check" in cell.code for cell in read(solved(RIGHT)).code)


def test_old_notebooks_and_other_encodings_are_read():
    old = {"nbformat": 3, "worksheets": [{"cells": [{"cell_type": "code", "input": ["x = 1"]}]}]}
    assert read(json.dumps(old).encode()).code == (CodeCell("x = 1"),)
    for encoding in ("utf-16", "utf-8-sig"):
        assert read(
            json.dumps({"cells": [{"cell_type": "code", "source": "é"}]}, ensure_ascii=False).encode(encoding)
        ).code == (CodeCell("é"),)


def in_the_next_cell(notebook):
    notebook.cells.append(new_markdown_cell("Paired, by seed."))


def as_raw_text(notebook):
    notebook.cells[-1] = new_raw_cell("Paired, by seed.")


def as_a_comment(notebook):
    notebook.cells.append(new_code_cell("# Paired, by seed."))


def with_the_cell_replaced(notebook):
    notebook.cells[-1] = new_markdown_cell("Paired, by seed.")


def in_the_prompt(notebook):
    notebook.cells[-2].source += "\n\nPaired, by seed."


def without_the_prompt(notebook):
    del notebook.cells[-2]
    notebook.cells[-1].source += "\n\nPaired, by seed."


def before_the_template(notebook):
    notebook.cells.insert(-1, new_markdown_cell("Paired, by seed."))


ELSEWHERE = (
    in_the_next_cell,
    as_raw_text,
    as_a_comment,
    with_the_cell_replaced,
    in_the_prompt,
    without_the_prompt,
    before_the_template,
)


@pytest.mark.parametrize("change", ELSEWHERE, ids=lambda change: change.__name__)
@pytest.mark.parametrize("tagged", [True, False])
def test_an_answer_anywhere_between_its_prompt_and_the_next_is_collected(change, tagged):
    def changed(notebook):
        change(notebook)
        for cell in notebook.cells if not tagged else ():
            cell.metadata = {}

    answers = read(solved({}, change=changed), IDS, 7).answers
    assert [part.content.lstrip("# ") for part in answers[WRITTEN]] == [RIGHT[WRITTEN]]


@pytest.mark.parametrize("tagged", [True, False])
def test_all_text_of_the_students_own_is_collected_wherever_it_stands(tagged):
    def change(notebook):
        notebook.cells.insert(0, new_markdown_cell("Ann Lee"))
        notebook.cells[1].source += "\n\nPaired, by seed."
        notebook.cells.insert(5, new_markdown_cell("By seed, paired."))
        for cell in notebook.cells if not tagged else ():
            cell.metadata = {}

    found = read(solved({}, change=change), IDS, 7)
    assert found.texts == tuple(Part("text", said) for said in ("Ann Lee", "Paired, by seed.", "By seed, paired."))
    assert read(solved({}), IDS, 7).texts == ()


def test_figures_code_outputs_and_attachments_are_part_of_an_answer():
    def change(notebook):
        shown = new_output("display_data", {"image/png": PIXEL, "text/plain": "<Figure>"})
        printed = new_output("stream", text="0.25\n")
        notebook.cells.append(new_code_cell("plot()", outputs=[shown, printed]))
        notebook.cells.append(new_markdown_cell("See", attachments={"a.png": {"image/png": PIXEL}}))
        notebook.cells.append(new_markdown_cell(f"![image](data:image/png;base64,{PIXEL})"))
        wrong = new_output("display_data", {"image/png": '"><script>alert(1)</script>'})
        notebook.cells.append(new_code_cell("evil()", outputs=[wrong]))

    figure = Part("figure", f"image/png;base64,{PIXEL}")
    assert read(solved({}, change=change), IDS, 7).answers[WRITTEN] == (
        Part("code", "plot()"),
        Part("output", "0.25"),
        figure,
        Part("text", "See"),
        figure,
        Part("text", "![image](figure)"),
        figure,
        Part("code", "evil()"),
    )


def test_cells_belong_to_the_exercise_that_they_stand_under():
    found = read(solved(RIGHT, change=lambda notebook: notebook.cells.append(new_code_cell("x = 1"))), IDS, 7)
    assert [cell.exercise for cell in found.code] == [None, IDS[0], IDS[1], WRITTEN]


def test_an_answer_in_the_cell_that_checks_counts():
    def change(notebook):
        for cell in notebook.cells:
            if cell.metadata.get(KEY, {}).get("role") == "check":
                cell.source = f"answer_of = 1\n{cell.source}"

    assert [cell.code for cell in read(solved({}, change=change)).code].count("answer_of = 1\n") == 2
