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

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = sorted(ROOT.glob("chapters/*.ipynb"))

# Colab's line of ipywidgets, and what it imports.
COLAB_WIDGETS = [
    "ipywidgets==7.7.1",
    "widgetsnbextension==3.6.10",
    "jupyterlab_widgets==1.1.11",
    "ipython_genutils==0.2.0",
]
NOT_ON_COLAB = ("dropout_lessons", "__editable__", "ipywidgets", "widgetsnbextension", "jupyterlab_widgets", "google")

# The part of google.colab.output that anywidget uses.
OUTPUT = """
from types import SimpleNamespace

_widgets = SimpleNamespace(_installed_url=None)

def enable_custom_widget_manager():
    _widgets._installed_url = "manager.js"
"""

WHERE = """
import json, dropout_lessons, google.colab.output, ipywidgets, torch
print(json.dumps({"package": dropout_lessons.__file__, "torch": torch.__file__, "ipywidgets": ipywidgets.__version__,
                  "widget manager": google.colab.output._widgets._installed_url}))
"""


@dataclass
class Colab:
    """An environment like Colab's: the libraries of this one, but Colab's ipywidgets, and no dropout_lessons."""

    prefix: Path
    kernels: Path


@pytest.fixture
def colab(tmp_path: Path) -> Colab:
    base, prefix, wheels = tmp_path / "dist-packages", tmp_path / "colab", tmp_path / "wheels"
    base.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(NOT_ON_COLAB) and entry.suffix != ".pth":
            (base / entry.name).symlink_to(entry)

    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    command = [*pip, "install", "--no-deps", "--target", base, *COLAB_WIDGETS]
    installed = subprocess.run(command, capture_output=True, text=True, timeout=240)
    if installed.returncode:
        message = (
            f"{COLAB_WIDGETS[0]}, which Colab has, cannot be installed: {installed.stderr.strip().splitlines()[-1]}"
        )
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    # Colab has a notebook server, which ipywidgets 7 asks for; that pip sees one is enough.
    write(base / "notebook-6.5.7.dist-info" / "METADATA", "Metadata-Version: 2.1\nName: notebook\nVersion: 6.5.7\n")
    write(base / "google" / "colab" / "__init__.py", "from google.colab import output\n")
    write(base / "google" / "colab" / "output.py", OUTPUT)

    source = tmp_path / "source"
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    for file in (ROOT / "pyproject.toml", ROOT / "README.md", *ROOT.glob("LICENSE*")):
        shutil.copy(file, source)
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", wheels, source], check=True, timeout=240)

    subprocess.run([sys.executable, "-m", "venv", "--without-pip", prefix], check=True, timeout=120)
    python = prefix / "bin" / "python"
    # As on Colab, every kernel has google.colab imported before the first cell runs.
    write(next(prefix.glob("lib/python*/site-packages")) / "colab.pth", f"{base}\nimport google.colab\n")
    kernel = {
        "argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Colab",
        "language": "python",
        "env": {
            "DROPOUT_LESSONS_PACKAGE": "dropout-lessons",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(wheels),
            "PYTHONPATH": "",
        },
    }
    write(tmp_path / "jupyter" / "kernels" / "colab" / "kernel.json", json.dumps(kernel))
    return Colab(prefix, tmp_path / "jupyter")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_runs_on_colab(chapter: Path, colab: Colab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "content"
    folder.mkdir()
    notebook = nbformat.read(chapter, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(WHERE))
    monkeypatch.setenv("JUPYTER_PATH", str(colab.kernels))
    NotebookClient(notebook, kernel_name="colab", timeout=120, resources={"metadata": {"path": str(folder)}}).execute()

    *cells, last = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    where = json.loads(last.outputs[-1].text)
    assert Path(where["package"]).is_relative_to(colab.prefix), "the set-up cell did not install the package"
    assert not Path(where["torch"]).is_relative_to(colab.prefix), "the set-up cell replaced Colab's PyTorch"
    assert where["ipywidgets"] == "7.7.1"
    assert where["widget manager"], "no interactive turned on Colab's manager for custom widgets"
    shown = [output.data.get("text/html", "") for cell in cells for output in cell.outputs if "data" in output]
    assert any("dropout-lessons-interactive" in html for html in shown), "ipywidgets 7 kept back the HTML form"
    assert list(folder.iterdir()) == [], "the chapter leaves files behind"
