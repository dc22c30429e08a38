"""What the chapters put out when nbval runs them (``chapters/conftest.py``), kept until their code changes.

The cache is Jupyter Book's own. It knows the code of the cells alone, so it is emptied when the package, the
requirements or Python change.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import nbformat
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbformat import NotebookNode
from nbformat.reader import NotJSONError

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "_build"
CACHE = BUILD / ".jupyter_cache"
EXECUTED_WITH = BUILD / ".executed-with"
SECONDS = BUILD / ".seconds.json"


def digest(*patterns: str) -> str:
    """A hash of the Python version and of every file that matches, by name and content."""
    total = hashlib.sha256(sys.version.encode())
    for path in sorted({path for pattern in patterns for path in ROOT.glob(pattern)}):
        name = path.relative_to(ROOT)
        if path.is_file() and "__pycache__" not in name.parts and ".egg-info" not in str(name):
            total.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def refresh() -> str:
    """Drop what other code has put out; return the digest of the code as it is."""
    code = digest("src/**/*", "requirements.txt")
    if not EXECUTED_WITH.exists() or EXECUTED_WITH.read_text() != code:
        shutil.rmtree(CACHE, ignore_errors=True)
        get_cache(CACHE).db  # noqa: B018 - made here, or two processes would make it at once
        EXECUTED_WITH.write_text(code)
    return code


def executed(path: Path) -> NotebookNode | None:
    """A chapter with its outputs, or None if it is to be run."""
    try:
        _, notebook = get_cache(CACHE).merge_match_into_notebook(nbformat.read(path, as_version=4))
    except (KeyError, NotJSONError):  # never run, or the run was killed while it wrote
        return None
    return notebook


def keep(path: Path, notebook: NotebookNode, seconds: float) -> None:
    """Keep a chapter that was executed in so many seconds."""
    bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": seconds})
    get_cache(CACHE).cache_notebook_bundle(bundle, overwrite=True)


def seconds() -> dict[str, float]:
    """How long each chapter took when it last ran here, by its name."""
    return json.loads(SECONDS.read_text()) if SECONDS.exists() else {}


def note(measured: Mapping[str, float]) -> None:
    SECONDS.write_text(json.dumps({**seconds(), **measured}, indent=1))


def claims(cell: NotebookNode) -> int:
    """How many claims a cell checks."""
    source = re.sub(r"^(\s*)[%!].*", r"\1pass", cell.source, flags=re.MULTILINE)
    calls = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return sum(ast.unparse(function) in ("check", "claims.check") for function in calls)
