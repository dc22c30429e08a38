"""Rehearse a release with the book that is built: `make rehearse`. Nothing leaves this machine, and nothing stays.

From a tag in a clone: the package is built and checked as an index would, the plain notebooks are put on their branch, one
of them is run where only its first cell can install the package, from that wheel, and the site is served.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import urllib.request
from collections.abc import Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import release
from outputs import BUILD, ROOT, seconds

NOT_BORROWED = ("dropout_lessons", "__editable__")


def run(command: Sequence[str | Path], **options: object) -> str:
    """Run a command, and return what it prints; stop the rehearsal where it fails."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    if done.returncode:
        sys.exit(f"The rehearsal ends here: {' '.join(map(str, command))}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


@contextmanager
def step(what: str):
    since = time.monotonic()
    yield
    print(f"{what} ({time.monotonic() - since:.0f} s)", flush=True)


def tagged_clone(folder: Path) -> Path:
    """A clone of what is committed here, with a release in it, tagged."""
    clone = folder / "clone"
    release.git(ROOT, "clone", "--quiet", "--no-tags", str(ROOT), str(clone))
    for key, value in release.NOBODY:
        release.git(clone, "config", key, value)
    major, minor, patch = map(int, release.facts(clone).version.split("."))
    options = argparse.Namespace(version=f"{major}.{minor}.{patch + 1}", repository="", site="", contact="")
    release.prepare(clone, release.intended(options, release.facts(clone)), ["true"])
    release.git(clone, "checkout", "--quiet", f"v{options.version}")
    release.tagged(clone)
    return clone


def wheel_of(clone: Path) -> Path:
    """The package of the tag, as an index would take it."""
    run([sys.executable, "-m", "build", "--no-isolation", clone])
    run([sys.executable, "-m", "twine", "check", "--strict", *clone.glob("dist/*")])
    return next(clone.glob("dist/*.whl"))


def bare_python(folder: Path) -> Path:
    """A Python that sees the libraries of this environment, so that none is downloaded, and not the package."""
    borrowed = folder / "borrowed"
    borrowed.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(NOT_BORROWED) and entry.suffix != ".pth":
            (borrowed / entry.name).symlink_to(entry)
    run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"])
    (next(folder.glob("venv/lib/python3*/site-packages")) / "borrowed.pth").write_text(f"{borrowed}\n")
    return folder / "venv/bin/python"


def run_notebook(python: Path, notebook: Path, wheel: Path) -> None:
    """Run a plain notebook from top to bottom, in an empty folder, with a network that is closed."""
    alone = Path(tempfile.mkdtemp(dir=python.parents[2]))
    shutil.copy(notebook, alone)
    kernels = alone.parent / "jupyter"
    spec = {
        "argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "",
        "language": "python",
    }
    (kernels / "kernels/bare").mkdir(parents=True)
    (kernels / "kernels/bare/kernel.json").write_text(json.dumps(spec))
    closed = {
        "PIP_NO_INDEX": "1",
        "DROPOUT_LESSONS_PACKAGE": str(wheel),
        "JUPYTER_PATH": str(kernels),
        "PYTHONPATH": "",
    }
    execute = [sys.executable, "-m", "jupyter", "execute", "--kernel_name=bare", "--timeout=300", notebook.name]
    run(execute, cwd=alone, env={**os.environ, "TQDM_DISABLE": "1", **closed})
    where = run(
        [python, "-c", "import dropout_lessons; print(dropout_lessons.__file__)"], env={**os.environ, "PYTHONPATH": ""}
    )
    assert Path(where.strip()).is_relative_to(python.parents[1]), f"the first cell did not install the package: {where}"


def served(site: Path) -> int:
    """Serve the site, and ask for its first page and all that it links to; return how many pages answered."""
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        origin = f"http://127.0.0.1:{server.server_port}/"
        with urllib.request.urlopen(f"{origin}index.html", timeout=10) as answer:
            first = answer.read().decode()
        links = set(re.findall(r'(?:href|src)="((?!https?:|#|mailto:|data:)[^"#?]+)', first))
        for link in sorted(links):
            urllib.request.urlopen(origin + link, timeout=10).close()  # raises where there is none
        server.shutdown()
    return len(links) + 1


def rehearse(site: Path) -> None:
    notebooks = site / "notebooks"
    took = seconds()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with step("A release is tagged in a clone"):
            clone = tagged_clone(folder)
        with step("Its package is built, and an index would take it"):
            wheel = wheel_of(clone)
        with step("The plain notebooks are on their branch"):
            release.git(folder, "init", "--quiet", "--bare", "remote.git")
            release.git(clone, "config", "user.name", "")  # a runner has none; a commit without one is refused
            branch = release.push_notebooks(clone, notebooks, str(folder / "remote.git"))
            found = release.git(folder / "remote.git", "ls-tree", "--name-only", branch).split()
            assert found == sorted(path.name for path in notebooks.iterdir())
        with step("The site is served, and every link of its first page answers"):
            served(site)
        quickest = min(sorted(notebooks.glob("*.ipynb")), key=lambda path: took.get(path.stem, 1e3))
        with step(f"{quickest.name} installs the wheel in its first cell, and runs"):
            python = bare_python(folder)
            run_notebook(python, quickest, wheel)
        with step("The installed command answers"):
            assert "usage: dropout-lessons" in run([python.with_name("dropout-lessons"), "--help"])
            run([python.with_name("dropout-lessons"), "doctor"])
    print("The release can be made.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--site", type=Path, default=BUILD / "html", help="the built book (default: %(default)s)")
    site = parser.parse_args().site
    if not (site / "notebooks").is_dir():
        sys.exit(f"There is no built book in {site}: make book builds it")
    try:
        rehearse(site.resolve())
    except release.ReleaseError as error:
        sys.exit(f"The rehearsal ends here: {error}")


if __name__ == "__main__":
    main()
