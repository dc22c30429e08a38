"""How the book is made: nbval runs what changed, keeps what passed, and an interruption leaves nothing behind."""

from __future__ import annotations

import ast
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import build
import nbformat
import outputs
import psutil
import pytest
import replication
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from replication import Run

ROOT = Path(__file__).resolve().parents[1]
BESIDE = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A repository with a chapter that passes and one that fails."""
    for name in ("book/outputs.py", "book/replication.py", "chapters/conftest.py", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("src/package.py", "requirements.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    write(tmp_path / "chapters/01_passes.ipynb", "x = 6\nprint('six')", "from time import sleep\nsleep(0.2)\nx * 7")
    write(tmp_path / "chapters/02_fails.ipynb", "print('before')", "1 / 0", "print('after')")
    return tmp_path


def write(path: Path, *cells: str) -> None:
    notebook = new_notebook(cells=[new_markdown_cell("Prose"), *map(new_code_cell, cells)], metadata=BESIDE)
    nbformat.write(notebook, path)


def nbval(book: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, "chapters"]
    return subprocess.run(command, cwd=book, capture_output=True, text=True, timeout=200, check=False)


def kept(book: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> nbformat.NotebookNode | None:
    monkeypatch.setattr(outputs, "CACHE", book / "_build/.jupyter_cache")
    return outputs.executed(book / "chapters" / f"{name}.ipynb")


def test_a_chapter_that_passes_is_kept_with_its_outputs_and_one_that_fails_is_not(book, monkeypatch):
    done = nbval(book, "-n", "2", "--dist", "loadscope")
    assert done.returncode == 1
    assert re.search(r"^01_passes ran in \d+ s", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r"^02_fails FAILED after \d+ s", done.stdout, re.MULTILINE), done.stdout
    assert "ZeroDivisionError" in done.stdout
    _, first, second = kept(book, "01_passes", monkeypatch).cells
    assert (first.execution_count, second.execution_count) == (1, 2)
    assert first.outputs == [{"output_type": "stream", "name": "stdout", "text": "six\n"}]
    assert second.outputs[0].data == {"text/plain": "42"}
    assert kept(book, "01_passes", monkeypatch).metadata.language_info.pygments_lexer == "ipython3"
    assert kept(book, "02_fails", monkeypatch) is None
    assert list(json.loads((book / "_build/.seconds.json").read_text())) == ["01_passes"]


def test_what_took_longest_runs_first_and_what_never_ran_before_it(book):
    (book / "_build").mkdir()
    write(book / "chapters/03_new.ipynb", "1")
    write(book / "chapters/04_replicated.ipynb", "1")
    runs = [
        Run(chapter, 1, "", "", seconds, [], []) for chapter, seconds in (("04_replicated", 20.0), ("01_passes", 99.0))
    ]
    replication.write(runs, book / "book/replication.jsonl")
    (book / "_build/.seconds.json").write_text('{"01_passes": 3, "02_fails": 50}')
    order = re.findall(r"(\d\d_\w+)\.ipynb::Cell 0", nbval(book, "--collect-only").stdout)
    assert order == ["03_new", "02_fails", "04_replicated", "01_passes"]


def test_tests_of_a_group_have_one_worker(tmp_path):
    lines = ["import os, pytest", "@pytest.mark.xdist_group('one')", "@pytest.mark.parametrize('number', range(6))"]
    lines += ["def test_where(number):", "    open(os.environ['PYTEST_XDIST_WORKER'], 'a').close()"]
    (tmp_path / "test_group.py").write_text("\n".join(lines))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "--dist", "loadgroup"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=100)
    assert len(list(tmp_path.glob("gw*"))) == 1


def test_outputs_are_dropped_when_the_package_changes_and_kept_when_prose_does(book, monkeypatch):
    for name in ("ROOT", "BUILD"):
        monkeypatch.setattr(outputs, name, book if name == "ROOT" else book / "_build")
    for name in ("CACHE", "EXECUTED_WITH", "SECONDS"):
        monkeypatch.setattr(outputs, name, book / "_build" / getattr(outputs, name).name)
    path = book / "chapters/01_passes.ipynb"
    first = outputs.refresh()
    notebook = nbformat.read(path, as_version=4)
    for count, cell in enumerate(notebook.cells[1:], start=1):
        cell.execution_count = count
    outputs.keep(path, notebook, 1.0)

    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source = "Better prose"
    nbformat.write(notebook, path)
    assert outputs.refresh() == first
    assert outputs.executed(path) is not None

    (book / "src/package.py").write_text("CHANGED = 1")
    assert outputs.refresh() != first
    assert outputs.executed(path) is None


@pytest.mark.parametrize(
    ("edit", "seen"),
    [
        ("Another sentence, with $x$ and `code`.", False),
        ("# no heading in\ncode", True),  # rather once too often
        ("## Another heading", True),
        ("(another-label)=", True),
        (":::{exercise} Another\n:label: overfitting-9\n:::", True),
        ("As shown by {cite:t}`hinton2012`.", True),
    ],
)
def test_other_pages_are_made_anew_only_for_what_they_may_show_of_an_edit(edit, seen, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "ROOT", tmp_path)
    page = "# Title\n\n(label)=\n## Section\n\nProse.\n"
    (tmp_path / "page.md").write_text(page)
    before = build.skeleton("page")
    (tmp_path / "page.md").write_text(page + "\n" + edit + "\n")
    assert (build.skeleton("page") != before) == seen


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a build has done in a book of two pages, the second a chapter, and where it is told to fail; built once."""
    done: list[str] = []

    def step(name: str) -> None:
        done.append(name)
        if (tmp_path / f"{name} fails").exists():
            sys.exit(name)

    def make_pages() -> None:
        (tmp_path / "html").mkdir(exist_ok=True)
        try:
            step("pages")
        except SystemExit:
            shutil.rmtree(tmp_path / "html")
            raise

    (tmp_path / "_toc.yml").write_text("root: page\nchapters: [{file: chapter}]")
    (tmp_path / "page.md").write_text("# A page")
    write(tmp_path / "chapter.ipynb", "1")
    for module in (build, outputs):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    for name, path in (("HTML", "html"), ("DOCTREES", "doctrees"), ("BUILT_FROM", "built-from")):
        monkeypatch.setattr(build, name, tmp_path / path)
    monkeypatch.setattr(outputs, "refresh", lambda: "code")
    monkeypatch.setattr(outputs, "executed", lambda path: None)
    monkeypatch.setattr(build.plain, "write", lambda folder: None)
    monkeypatch.setattr(build, "execute", lambda notebooks: step("chapters") if notebooks else None)
    monkeypatch.setattr(build, "make_pages", make_pages)
    monkeypatch.setattr(
        build, "problems", lambda page: ["a fault"] if (tmp_path / f"{page} is faulty").exists() else []
    )
    build.build()
    assert done == ["chapters", "pages"]
    done.clear()
    (tmp_path / "doctrees").mkdir()  # as Sphinx leaves it, of which build.py removes what is to be read again
    for name in ("page", "chapter"):
        (tmp_path / f"doctrees/{name}.doctree").touch()
    return done


def edit(path: Path) -> None:
    path.write_text(path.read_text().replace("Prose", "Better prose"))


def test_a_chapter_that_fails_costs_no_page_that_was_made(made, tmp_path):
    edit(tmp_path / "chapter.ipynb")
    (tmp_path / "chapters fails").touch()
    with pytest.raises(SystemExit):
        build.build()
    (tmp_path / "chapters fails").unlink()
    build.build()
    assert made == ["chapters", "chapters", "pages"]
    assert (tmp_path / "doctrees").exists()


def test_a_page_with_a_fault_is_looked_at_until_it_has_none_and_no_other_is_made_anew(made, tmp_path):
    edit(tmp_path / "chapter.ipynb")
    (tmp_path / "chapter is faulty").touch()
    for _ in range(2):
        with pytest.raises(SystemExit, match=r"something is wrong with it\.\nchapter: a fault"):
            build.build()
    assert [path.stem for path in (tmp_path / "doctrees").iterdir()] == ["page"]
    (tmp_path / "chapter is faulty").unlink()
    build.build()
    assert made == ["chapters", "pages"] * 3
    build.build()
    assert made == ["chapters", "pages"] * 3


def test_pages_that_could_not_be_made_are_all_made_anew(made, tmp_path):
    edit(tmp_path / "chapter.ipynb")
    (tmp_path / "pages fails").touch()
    with pytest.raises(SystemExit):
        build.build()
    (tmp_path / "pages fails").unlink()
    build.build()
    assert not (tmp_path / "doctrees").exists()
    assert build.built_from().keys() == {"", "page", "chapter"}


WITH_GRANDCHILD = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("ready", flush=True)
time.sleep(600)
"""

BUILD = f"""
import sys
sys.path.append({str(ROOT / "book")!r})
import build
build.build = lambda: build.run([sys.executable, "-c", {WITH_GRANDCHILD!r}])
build.main()
"""


def test_a_tree_that_may_not_be_written_is_named_with_what_to_do(monkeypatch):
    monkeypatch.setattr(build.os, "access", lambda place, mode: False)
    monkeypatch.setattr(build.signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit, match=r"You may not write into \S+: clone .+ into a folder of your own"):
        build.main()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interruption_ends_everything_with_one_line(name):
    process = subprocess.Popen([sys.executable, "-c", BUILD], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    started = psutil.Process(process.pid).children(recursive=True)
    assert len(started) == 2
    since = time.monotonic()
    process.send_signal(getattr(signal, name))
    _, complaints = process.communicate(timeout=60)
    assert time.monotonic() - since < 30
    assert process.returncode == 130
    assert complaints.strip().splitlines() == [
        "Interrupted. The chapters that are done are kept: make book goes on from there."
    ]
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in started)


def test_no_page_needs_a_module_whose_name_is_that_of_something_a_release_installs():
    """Sphinx looks in book/ after the installed packages; `make package` installs build."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    installed = set(" ".join(re.findall(r"pip install --quiet ([a-z ]+)$", makefile, re.MULTILINE)).split())
    assert installed == {"build", "twine", "uv"}
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    waiting = [ROOT / folder / f"{name}.py" for name, folder in config["sphinx"]["local_extensions"].items()]
    reached: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path in reached or not path.exists():
            continue
        reached.add(path)
        parts = ast.parse(path.read_text(encoding="utf-8")).body  # main is run as a script, which finds book/ first
        for node in (node for part in parts if getattr(part, "name", "") != "main" for node in ast.walk(part)):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            waiting += [folder / f"{name}.py" for name in names for folder in (ROOT / "book", ROOT / "book/_ext")]
    assert ROOT / "book/measured.py" in reached
    assert installed.isdisjoint(path.stem for path in reached)
