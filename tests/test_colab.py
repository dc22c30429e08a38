"""A chapter run as Colab runs it: the notebook alone, ipywidgets 7, and a package that the set-up cell must install."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import nbformat
import plain
import pytest
from filelock import FileLock
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = sorted(ROOT.glob("chapters/*.ipynb"))
ALWAYS = ("00_ten_minutes",)  # the others every night: make test-colab

# Colab's kernel and its line of ipywidgets, and what they import.
COLAB = [
    "ipython==7.34.0",
    "ipykernel==6.17.1",
    "backcall==0.2.0",
    "pickleshare==0.7.5",
    "nest-asyncio==1.6.0",
    "ipywidgets==7.7.1",
    "widgetsnbextension==3.6.10",
    "jupyterlab_widgets==1.1.11",
    "ipython_genutils==0.2.0",
]
NOT_ON_COLAB = (
    "dropout_lessons", "__editable__", "IPython", "ipython", "ipykernel", "ipywidgets", "widgetsnbextension",
    "jupyterlab_widgets", "google",
)  # fmt: skip

# The part of google.colab.output that anywidget uses.
OUTPUT = """
from types import SimpleNamespace

_widgets = SimpleNamespace(_installed_url=None)

def enable_custom_widget_manager():
    _widgets._installed_url = "manager.js"
"""

WHERE = """
import json, IPython, dropout_lessons, google.colab.output, ipywidgets, torch
print(json.dumps({"package": dropout_lessons.__file__, "torch": torch.__file__, "ipywidgets": ipywidgets.__version__,
                  "ipython": IPython.__version__,
                  "widget manager": google.colab.output._widgets._installed_url}))
"""


# What a chapter finds out is tested where nbval runs it; here, that it runs, for which networks that are hardly trained will do,
# on few examples:
# what is claimed of them is judged, and not required.
SHORT = """
from dropout_lessons import claims, datasets
from dropout_lessons.training import Recipe

def _fewer(*named, load=datasets.load, **how):
    how |= {"train": min(how["train"], 200)} if how.get("train") else {}
    return load(*named, **how)

def _shorten(recipe, check=Recipe.__post_init__):
    check(recipe)
    object.__setattr__(recipe, "epochs", min(recipe.epochs, 2))

datasets.load = _fewer
Recipe.__post_init__ = _shorten
claims.check = claims.judge
"""


@dataclass
class Colab:
    """An environment like Colab's: the libraries of this one, but Colab's ipywidgets, and no dropout_lessons."""

    prefix: Path
    kernels: Path
    content: Path

    def run(self, chapter: Path, *, short: bool) -> NotebookNode:
        """Run the plain notebook of a chapter in an empty folder, and then ask where it ran."""
        notebook = plain.plain(nbformat.read(chapter, as_version=4), f"chapters/{chapter.stem}")
        set_up = next(number for number, cell in enumerate(notebook.cells) if cell.cell_type == "code")
        if short:
            notebook.cells.insert(set_up + 1, nbformat.v4.new_code_cell(SHORT))
        notebook.cells.append(nbformat.v4.new_code_cell(WHERE))
        self.content.mkdir()
        client = NotebookClient(
            notebook,
            kernel_name="colab",
            timeout=300,
            resources={"metadata": {"path": str(self.content)}},
        )
        with patch.dict(os.environ, JUPYTER_PATH=str(self.kernels)):
            return client.execute()


@pytest.fixture(scope="session")
def supplies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What all chapters need, made once: Colab's libraries in ``dist-packages``, the package as a wheel in ``wheels``."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "colab"  # one for all workers
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            making = own / "colab-in-the-making"
            shutil.rmtree(making, ignore_errors=True)
            make_supplies(making)
            making.rename(folder)
    return folder


def make_supplies(folder: Path) -> None:
    base = folder / "dist-packages"
    base.mkdir(parents=True)
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(NOT_ON_COLAB) and entry.suffix != ".pth":
            (base / entry.name).symlink_to(entry)

    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    command = [*pip, "install", "--no-deps", "--target", base, *COLAB]
    installed = subprocess.run(command, capture_output=True, text=True, timeout=240)
    if installed.returncode:
        message = (
            f"What Colab has, {COLAB[0]} and others, cannot be installed: {installed.stderr.strip().splitlines()[-1]}"
        )
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    # Colab has a notebook server, which ipywidgets 7 asks for; that pip sees one is enough.
    write(base / "notebook-6.5.7.dist-info" / "METADATA", "Metadata-Version: 2.1\nName: notebook\nVersion: 6.5.7\n")
    write(base / "google" / "colab" / "__init__.py", "from google.colab import output\n")
    write(base / "google" / "colab" / "output.py", OUTPUT)

    source = folder / "source"
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    for file in (ROOT / "pyproject.toml", ROOT / "README.md", *ROOT.glob("LICENSE*")):
        shutil.copy(file, source)
    wheel = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", folder / "wheels", source]
    subprocess.run(wheel, check=True, timeout=240)


def colab(supplies: Path, folder: Path) -> Colab:
    prefix = folder / "colab"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", prefix], check=True, timeout=120)
    # As on Colab, every kernel has google.colab imported before the first cell runs.
    here = next(prefix.glob("lib/python*/site-packages"))
    write(here / "colab.pth", f"{supplies / 'dist-packages'}\nimport google.colab\n")
    kernel = {
        "argv": [str(prefix / "bin" / "python"), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Colab",
        "language": "python",
        "env": {
            "DROPOUT_LESSONS_PACKAGE": "dropout-lessons",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(supplies / "wheels"),
            "PYTHONPATH": "",
        },
    }
    write(folder / "jupyter" / "kernels" / "colab" / "kernel.json", json.dumps(kernel))
    return Colab(prefix, folder / "jupyter", folder / "content")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    "chapter",
    [pytest.param(path, id=path.stem, marks=[] if path.stem in ALWAYS else pytest.mark.nightly) for path in CHAPTERS],
)
def test_a_chapter_runs_on_colab(chapter: Path, supplies: Path, tmp_path: Path) -> None:
    environment = colab(supplies, tmp_path / "short")
    try:
        notebook = environment.run(chapter, short=True)
    except CellExecutionError:  # it may need networks that are trained; if that is not why, it fails again
        environment = colab(supplies, tmp_path / "whole")
        notebook = environment.run(chapter, short=False)

    *cells, last = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    where = json.loads(last.outputs[-1].text)
    assert Path(where["package"]).is_relative_to(environment.prefix), "the set-up cell did not install the package"
    assert not Path(where["torch"]).is_relative_to(environment.prefix), "the set-up cell replaced Colab's PyTorch"
    assert (where["ipython"], where["ipywidgets"]) == ("7.34.0", "7.7.1")
    if chapter.stem not in ("07_the_verdict", "10_dropout_today"):  # these have no interactive
        assert where["widget manager"], "no interactive turned on Colab's manager for custom widgets"
        shown = [output.data.get("text/html", "") for cell in cells for output in cell.outputs if "data" in output]
        assert any("dropout-lessons-interactive" in html for html in shown), "ipywidgets 7 kept back the HTML form"
    assert list(environment.content.iterdir()) == [], "the chapter leaves files behind"
