"""Build the book into _build/html and check that nothing is missing from it: `make book`.

The chapters are run by nbval, as tests, and their outputs kept (outputs.py), so a change in prose runs none. Where
headings, labels and citations are what they were, it makes but the pages anew that were edited.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote

import joblib
import outputs
import plain
import psutil
import yaml
from bs4 import BeautifulSoup
from outputs import BUILD, ROOT, digest

HTML = BUILD / "html"
DOCTREES = BUILD / ".doctrees"
BUILT_FROM = BUILD / ".built-from"

# What other pages show or count of a page: headings, labels, directives with a title or a number, citations.
SKELETON = re.compile(r"^ *(?:#+ .+|\(\S+\)=|:label:.+|[:`]{3,}\{.+)|\{cite\S*?`[^`]*`", re.MULTILINE)


def pages(toc: dict | list) -> Iterator[str]:
    """The name of every page of the table of contents, without suffix."""
    for entry in toc if isinstance(toc, list) else [toc]:
        if "file" in entry or "root" in entry:
            yield entry.get("file") or entry["root"]
        for key in ("parts", "chapters", "sections"):
            yield from pages(entry.get(key, []))


def run(command: Sequence[str | Path], **options: object) -> int:
    """Run a command to its end, or end it with all that it started when this program is interrupted."""
    process = psutil.Popen(list(map(str, command)), start_new_session=True, **options)
    try:
        return process.wait()
    except KeyboardInterrupt:
        started = [process, *process.children(recursive=True)]
        for child in started:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(started, timeout=10)
        raise


def execute(notebooks: Sequence[Path]) -> None:
    """Let nbval run chapters, as many at a time as there are cores; it keeps the outputs of those that pass."""
    if not notebooks:
        return
    jobs = min(len(notebooks), joblib.cpu_count())
    print(f"Running {len(notebooks)} chapters, {jobs} at a time ...", flush=True)
    pytest = [sys.executable, "-m", "pytest", "--quiet", "-n", str(jobs), "--dist", "loadscope"]
    if run([*pytest, *notebooks], cwd=ROOT):
        sys.exit("The book was not built: these chapters failed.")


def make_pages() -> None:
    """Let Jupyter Book make the pages that changed."""
    print("Making the pages ...", flush=True)
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    if run([jupyter_book, "build", ROOT, "-W", "-n", "--keep-going", "-q"], stdout=subprocess.DEVNULL):
        shutil.rmtree(HTML)
        sys.exit("The book was not built: each of the warnings above is an error.")


def missing_outputs(notebook: Path, soup: BeautifulSoup) -> Iterator[str]:
    """What the code of a chapter should have put on its page, and did not."""
    executed = outputs.executed(notebook)
    if executed is None:
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
        expected_claims += outputs.claims(cell)
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
        draws = any(mime.startswith("image/") for output in cell.outputs for mime in output.get("data", {}))
        if draws and not alt:
            yield f"cell {number} draws a figure: describe it in the cell's metadata, mystnb.image.alt"
        if draws and alt and not cell.metadata["mystnb"].get("figure", {}).get("caption"):
            yield f"cell {number} draws a figure: say what to see in it in the cell's metadata, mystnb.figure.caption"
        if alt:
            expected_alts[" ".join(alt.split())] += 1
    pictures = [*soup.find_all("img"), *soup.find_all("svg", role="img")]
    found_alts = Counter(" ".join((each.get("alt") or each.get("aria-label", "")).split()) for each in pictures)
    for alt in expected_alts - found_alts:
        yield f"the figure described by {alt!r} is missing"
    found_claims = len(soup.select(".checked-claim"))
    if found_claims < expected_claims:
        yield f"{expected_claims} claims are checked, and {found_claims} of them are shown"


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


def skeleton(page: str) -> str:
    """What of a page other pages may show: its headings, labels, titled and numbered boxes, citations."""
    path = source(page)
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = (cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown")
        text = "\n\n".join("".join(cell["source"]) for cell in cells)
    if page == "book/glossary":  # every page marks its terms
        return "\n".join(re.findall(r"^\S.*", text, re.MULTILINE))
    return "\n".join(SKELETON.findall(text))


def source(page: str) -> Path:
    return next(path for suffix in (".ipynb", ".md") if (path := ROOT / f"{page}{suffix}").exists())


def built_from() -> dict[str, str]:
    """What the pages in _build/html were made from, by page; of what belongs to all of them, under ""."""
    try:
        return json.loads(BUILT_FROM.read_text()) if HTML.exists() else {}
    except (FileNotFoundError, ValueError):
        return {}


def build() -> None:
    names = list(pages(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))))
    frame = outputs.refresh() + digest("_config.yml", "_toc.yml", "book/_*/**/*", "book/*.bib", "book/*.py")
    frame += hashlib.sha256("\n".join(map(skeleton, names)).encode()).hexdigest()
    current = {"": frame, **{name: digest(str(source(name).relative_to(ROOT))) for name in names}}

    before = built_from()
    if before.get("") != frame:  # Sphinx warns of a page only when it makes it, and does not make it for others' sake
        before = {}
    changed = [name for name in names if before.get(name) != current[name]]
    if changed:
        execute([path for name in changed if (path := source(name)).suffix == ".ipynb" and not outputs.executed(path)])
        BUILT_FROM.unlink(missing_ok=True)  # until the pages are whole again
        if not before:
            shutil.rmtree(HTML, ignore_errors=True)
            shutil.rmtree(DOCTREES, ignore_errors=True)
        with ThreadPoolExecutor() as beside:  # while Jupyter Book has a process of its own
            notebooks = beside.submit(plain.write, HTML / "notebooks")  # the pages' download buttons lead there
            make_pages()
            notebooks.result()
        faults = {name: found for name in changed if (found := list(problems(name)))}
        for name in faults:
            del current[name]
            (DOCTREES / f"{name}.doctree").unlink(missing_ok=True)  # Sphinx reads the page again
        BUILT_FROM.write_text(json.dumps(current))
        if faults:
            lines = [f"{name}: {fault}" for name, found in faults.items() for fault in found]
            sys.exit("\n".join(["The book was built, but something is wrong with it.", *lines]))
    print(f"The first page of the book: {os.path.relpath(HTML / 'index.html')}")


def main() -> None:
    for name in ("SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.default_int_handler)
    place = BUILD if BUILD.exists() else ROOT
    if not os.access(place, os.W_OK):
        sys.exit(
            f"You may not write into {place}: clone the repository into a folder of your own, and make book there."
        )
    try:
        build()
    except KeyboardInterrupt:
        print("\nInterrupted. The chapters that are done are kept: make book goes on from there.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
