"""The chapters as files, not executed: each has the shape that the book promises, and the configuration agrees."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
import yaml
from build import pages
from nbformat import NotebookNode

from dropout_lessons import exercises

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = sorted(ROOT.glob("chapters/*.ipynb"))
MOST_LINES = 25  # of a cell that a reader sees; 12 is the aim
MOST_COLUMNS = 79
MOST_IN_A_ROW = 2
FOLDED = {"hide-input", "hide-cell", "remove-input", "remove-cell"}

CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
VERSION = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)[1]
SET_UP = f"""\
import importlib.util, os
if importlib.util.find_spec("dropout_lessons") is None:
    release = "git+{CONFIG["repository"]["url"]}@v{VERSION}"
    package = os.environ.get(
        "DROPOUT_LESSONS_PACKAGE", f"dropout-lessons @ {{release}}"
    )
    %pip install -q "{{package}}"
    if importlib.util.find_spec("dropout_lessons") is None:
        raise SystemExit(
            "Turn the network on (Kaggle: Settings, Internet), or upload the"
            " wheel and %pip install it; then run this cell again."
        )
from dropout_lessons import exercises, runtime
runtime.describe(USES)"""


@pytest.fixture(params=CHAPTERS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def chapter(path: Path) -> NotebookNode:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def code_cells(chapter: NotebookNode) -> Iterator[tuple[int, NotebookNode]]:
    return ((number, cell) for number, cell in enumerate(chapter.cells) if cell.cell_type == "code")


def text(chapter: NotebookNode) -> str:
    return "\n\n".join(cell.source for cell in chapter.cells if cell.cell_type == "markdown")


def calls(cell: NotebookNode) -> set[str]:
    """The names of what a cell calls, such as `ax.plot`."""
    source = re.sub(r"^(\s*)[%!].*", r"\1pass", cell.source, flags=re.MULTILINE)
    return {ast.unparse(node.func) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)}


def test_the_table_of_contents_lists_every_chapter_and_page_once() -> None:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [*CHAPTERS, *ROOT.glob("book/**/*.md")]
    assert sorted(pages(toc)) == sorted(str(file.relative_to(ROOT).with_suffix("")) for file in files)
    assert CHAPTERS


def test_nothing_that_a_run_leaves_is_stored(chapter: NotebookNode) -> None:
    for number, cell in code_cells(chapter):
        assert cell.outputs == [], f"cell {number} has stored outputs: clear them"
        assert cell.execution_count is None, f"cell {number} has an execution count: clear it"
    # Colab stores widgets without their state, which no viewer can read.
    assert "widgets" not in chapter.metadata, "the metadata describe widgets of a past run: remove them"


def test_the_kernel_is_the_one_that_every_machine_has(chapter: NotebookNode) -> None:
    assert chapter.metadata.kernelspec.name == "python3"


def test_cell_ids_are_unique(chapter: NotebookNode) -> None:
    ids = [cell.id for cell in chapter.cells]
    assert len(set(ids)) == len(ids)


def test_a_chapter_begins_with_its_question_and_what_it_asks_of_the_reader(chapter: NotebookNode) -> None:
    opening = chapter.cells[0].source
    assert re.match(r"# .+\n\n\*\*.+\?\*\*\n", opening), "the title must be followed by the question: **...?**"
    objectives = re.search(r"After this chapter you can\n\n((?:- .*\n(?:  .*\n)*)+)", opening)
    assert objectives, "the first cell must list what the reader can do after this chapter"
    assert 3 <= len(re.findall(r"^- ", objectives[1], re.MULTILINE)) <= 5, "list three to five objectives"
    assert "\nYou need " in opening, "the first cell must say what the reader needs: You need ..."
    minutes = r"Reading takes about \d+ minutes, running (about|under) (a|one|\d+)\s+minutes?\b"
    assert re.search(minutes, opening), "the first cell must say how long reading and running take"


def test_the_set_up_cell_is_the_same_everywhere(chapter: NotebookNode) -> None:
    """But for one word: whether the chapter moves its networks to a GPU, if there is one."""
    (_, first), *others = code_cells(chapter)
    uses = any("runtime.device" in calls(cell) for _, cell in others)
    assert first.source == SET_UP.replace("USES", "gpu=True" if uses else "")


def test_no_chapter_asks_colab_for_a_gpu(chapter: NotebookNode) -> None:
    """None was measured to gain from one, and Colab has few to give."""
    assert "accelerator" not in chapter.metadata


def test_where_nothing_can_be_installed_the_set_up_cell_says_in_one_line_what_to_do(monkeypatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as stopped:
        exec(SET_UP.replace("%pip", "pass #").replace("USES", ""), {})
    assert str(stopped.value).startswith("Turn the network on")
    assert "\n" not in str(stopped.value)


def test_no_cell_is_empty(chapter: NotebookNode) -> None:
    assert [cell.id for cell in chapter.cells if not cell.source.strip()] == []


def is_open(cell: NotebookNode) -> bool:
    return cell.cell_type == "code" and not FOLDED & set(cell.metadata.get("tags", []))


def test_code_cells_are_short(chapter: NotebookNode) -> None:
    for number, cell in code_cells(chapter):
        lines = len(cell.source.splitlines())
        assert lines <= MOST_LINES or not is_open(cell), f"cell {number} has {lines} lines; {MOST_LINES} is the most"


def test_all_code_fits_the_page(chapter: NotebookNode) -> None:
    for number, cell in code_cells(chapter):
        for line in cell.source.splitlines():
            assert len(line) <= MOST_COLUMNS, f"cell {number}: {len(line)} columns, {MOST_COLUMNS} fit: {line}"


def test_a_word_stands_between_code_cells(chapter: NotebookNode) -> None:
    """Folded cells are not seen; what they show is no word either."""
    run = 0
    for number, cell in enumerate(chapter.cells):
        run = 0 if cell.cell_type == "markdown" else run + is_open(cell)
        assert run <= MOST_IN_A_ROW, f"cell {number} is open code number {run} in a row: merge, fold, or say why"


def test_a_cell_that_checks_a_claim_is_folded_and_its_sentence_is_whole(chapter: NotebookNode) -> None:
    """Where it is open, or the sentence begins in another cell, the page says it twice or in parts."""
    for number, cell in code_cells(chapter):
        source = re.sub(r"^(\s*)[%!].*", r"\1pass", cell.source, flags=re.MULTILINE)
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "check":
                assert not is_open(cell), f"cell {number} checks a claim: tag it hide-input"
                assert "..." not in ast.unparse(node.args[0]), f"cell {number}: say the whole sentence"


def test_figures_are_described(chapter: NotebookNode) -> None:
    """What is drawn is known when the chapter runs: book/build.py compares; this finds most of it at once."""
    for number, cell in code_cells(chapter):
        told = cell.metadata.get("mystnb", {})
        alt = told.get("image", {}).get("alt", "")
        draws = any(re.match(r"(plt|figures)\.|.*\.(plot|imshow|hist|bar|scatter)$", name) for name in calls(cell))
        if draws or told.keys() & {"image", "figure"}:
            assert len(alt.split()) >= 8, f"cell {number} draws: say what is to be seen in mystnb.image.alt"


def test_a_chapter_asks_for_predictions_and_checks_its_claims(chapter: NotebookNode) -> None:
    assert re.search(r"^:::\{prediction\} ", text(chapter), re.MULTILINE), "there is no prediction"
    names = set().union(*(calls(cell) for _, cell in code_cells(chapter)))
    assert names & {"claims.check", "check"}, "no claim is checked"


def test_a_chapter_has_an_exercise_with_a_label_of_its_own(chapter: NotebookNode, path: Path) -> None:
    labels = re.findall(r"^[`:]{3,}\{exercise(?:-start)?\}.*\n(?::.*\n)*?:label: (\S+)", text(chapter), re.MULTILINE)
    assert labels, "there is no exercise with a label"
    assert {exercises.get(label).chapter for label in labels} == {int(path.stem[:2])}


def test_a_chapter_ends_with_a_summary(chapter: NotebookNode) -> None:
    summaries = [
        number
        for number, cell in enumerate(chapter.cells)
        if cell.cell_type == "markdown" and re.search(r"^## Summary\b", cell.source, re.MULTILINE)
    ]
    assert len(summaries) == 1, "there must be one section: ## Summary"
    assert all(number < summaries[0] for number, _ in code_cells(chapter)), "code follows after the summary"


def test_no_chapter_depends_on_one_machine(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    absolute = re.findall(
        r"""(?:(?<=["'\s(=])/(?:home|root|tmp|usr|content|mnt|Users|work)/|[A-Z]:\\\\|file://)\S*""", source
    )
    assert absolute == []


@pytest.mark.parametrize("page", [*CHAPTERS, *sorted(ROOT.glob("book/**/*.md"))], ids=lambda path: path.stem)
def test_a_link_that_gives_the_number_of_a_chapter_leads_there(page):
    links = re.findall(r"\[[^\]\[]*?(\d+)\]\((?:\.\./chapters/)?(\d\d)_", page.read_text(encoding="utf-8"))
    assert [int(said) for said, _ in links] == [int(file) for _, file in links]
