"""Build the book into _build/html and check that nothing is missing from it: `make book`.

The chapters are executed in parallel and their outputs cached, so a change in prose costs no execution. The cache
knows only the code of the cells: when the package or the requirements change, it is dropped. When anything else
changes, the pages are made anew from it; when nothing does, they are only checked.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote

import nbformat
import yaml
from bs4 import BeautifulSoup
from jupyter_cache import get_cache
from jupyter_cache.executors import load_executor
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "_build"
HTML = BUILD / "html"
CACHE = BUILD / ".jupyter_cache"


def digest(*patterns: str) -> str:
    """A hash of the Python version and of every file that matches, by name and content."""
    total = hashlib.sha256(sys.version.encode())
    for path in sorted({path for pattern in patterns for path in ROOT.glob(pattern)}):
        name = path.relative_to(ROOT)
        if path.is_file() and "__pycache__" not in name.parts and ".egg-info" not in str(name):
            total.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def remove(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def pages(toc: dict | list) -> Iterator[str]:
    """The name of every page of the table of contents, without suffix."""
    for entry in toc if isinstance(toc, list) else [toc]:
        if "file" in entry or "root" in entry:
            yield entry.get("file") or entry["root"]
        for key in ("parts", "chapters", "sections"):
            yield from pages(entry.get(key, []))


def execute(notebooks: Iterable[Path], timeout: int) -> None:
    """Run the notebooks that the cache does not know, as many at a time as there are cores."""
    cache = get_cache(CACHE)
    uris = [cache.add_nb_to_project(str(path)).uri for path in notebooks]
    print(f"Running {len(cache.list_unexecuted(filter_uris=uris))} of {len(uris)} chapters ...", flush=True)
    result = load_executor("local-parallel", cache).run_and_cache(filter_uris=uris, timeout=timeout)
    failed = result.excepted + result.errored
    for uri in failed:
        print(cache.get_project_record(uri).traceback or f"{uri} could not be run", file=sys.stderr)
    if failed:
        sys.exit(f"Failed: {', '.join(Path(uri).name for uri in sorted(failed))}")


def claims(cell: NotebookNode) -> int:
    """How many claims a cell checks."""
    source = re.sub(r"^(\s*)[%!].*", r"\1pass", cell.source, flags=re.MULTILINE)
    calls = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return sum(ast.unparse(function) in ("check", "claims.check") for function in calls)


def missing_outputs(notebook: Path, soup: BeautifulSoup) -> Iterator[str]:
    """What the code of a chapter should have put on its page, and did not."""
    try:
        _, executed = get_cache(CACHE).merge_match_into_notebook(nbformat.read(notebook, as_version=4))
    except KeyError:
        yield "the chapter was not executed"
        return
    expected_alts: Counter[str] = Counter()
    expected_claims = 0
    for number, cell in enumerate(executed.cells):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        if cell.execution_count is None:
            yield f"cell {number} was not executed"
        if "remove-cell" in cell.metadata.get("tags", []) or "remove-output" in cell.metadata.get("tags", []):
            continue
        expected_claims += claims(cell)
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
        draws = any(mime.startswith("image/") for output in cell.outputs for mime in output.get("data", {}))
        if draws and not alt:
            yield f"cell {number} draws a figure: describe it in the cell's metadata, mystnb.image.alt"
        if alt:
            expected_alts[" ".join(alt.split())] += 1
    found_alts = Counter(" ".join(image.get("alt", "").split()) for image in soup.find_all("img"))
    for alt in expected_alts - found_alts:
        yield f"the figure described by {alt!r} is missing"
    found_claims = len(soup.select(".checked-claim"))
    if found_claims < expected_claims:
        yield f"{expected_claims} claims are checked, and {found_claims} of their boxes are there"


def problems(page: str) -> Iterator[str]:
    """What is wrong with a built page."""
    path = HTML / f"{page}.html"
    if not path.exists():
        yield "the page was not built"
        return
    soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser").find("article")
    for image in soup.find_all("img"):
        source, alt = image["src"], image.get("alt", "")
        if not source.startswith("data:") and not (path.parent / unquote(source.split("?")[0])).exists():
            yield f"the image {source} is missing"
        if not alt.strip() or "_images/" in alt:
            yield f"the image {source} has no alternative text"
    if " object at 0x" in soup.get_text():
        yield "an output shows a bare object, with its address"
    if (notebook := ROOT / f"{page}.ipynb").exists():
        yield from missing_outputs(notebook, soup)


def main() -> None:
    os.environ["TQDM_DISABLE"] = "1"  # progress bars write to stderr, which counts as an error in a chapter
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a chapter for each core; with more threads they wait for each other
    names = list(pages(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))))
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    notebooks = [path for name in names if (path := ROOT / f"{name}.ipynb").exists()]

    executed_with, built_from = BUILD / ".executed-with", BUILD / ".built-from"
    code = digest("src/**/*", "requirements.txt")
    if not executed_with.exists() or executed_with.read_text() != code:
        remove(BUILD)
        BUILD.mkdir()
        executed_with.write_text(code)

    everything = code + digest("_config.yml", "_toc.yml", "book/**/*", "chapters/*")
    if not HTML.exists() or not built_from.exists() or built_from.read_text() != everything:
        # Whole, since Sphinx repeats no warning of a page that it does not build again.
        built_from.unlink(missing_ok=True)
        remove(HTML, BUILD / ".doctrees")
        execute(notebooks, config["execute"]["timeout"])
        jupyter_book = Path(sys.executable).with_name("jupyter-book")
        command = [jupyter_book, "build", ROOT, "-W", "-n", "--keep-going", "-q"]
        if subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
            remove(HTML)
            sys.exit("The book was not built: each of the warnings above is an error.")
        built_from.write_text(everything)

    found = [f"{name}: {problem}" for name in names for problem in problems(name)]
    if found:
        built_from.unlink()
        sys.exit("\n".join(["The book was built, but something is wrong with it.", *found]))
    print(f"The first page of the book: {os.path.relpath(HTML / 'index.html')}")


if __name__ == "__main__":
    main()
