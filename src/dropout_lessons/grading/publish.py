"""Publish the repository without its solutions: an export of the last commit, refused if a solution is found in it."""

from __future__ import annotations

import base64
import contextlib
import html
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropout_lessons.exercises import Coded, Exercise, bank
from dropout_lessons.grading.solutions import answers

__all__ = ["Leak", "leaks", "publish"]

SOLUTIONS = "instructor"  # .gitattributes keeps it out of exports
SHORTEST = 8  # tokens or words; shorter lines say what everybody would
_VARIANTS = 10  # of an exercise's constants that are looked for
_IGNORED = re.compile(r"[\s,()'\"`\\“”‘’]+")  # what formatters and typesetters add, drop or change
_BINARY = {".png", ".jpg", ".gif", ".ico", ".woff", ".woff2", ".ttf", ".eot", ".gz", ".zip", ".pt", ".pdf", ".npz"}


@dataclass(frozen=True)
class Leak:
    """A piece of a solution that stands in a public file."""

    file: Path
    exercise: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}: has a line of the solution of {self.exercise}: {self.text}"


def publish(destination: Path, *, root: Path = Path(), built: Path | None = None) -> int:
    """Export the last commit without ``instructor/`` to a folder: new, empty, or a clean clone of the public repository.

    In a clone, files that git ignores stay, and what has changed is left to be looked at and committed. The export is
    made aside and searched for solutions, and so is the built book, before anything is written.

    Args:
        destination: Folder to export to.
        root: The repository.
        built: The book as it was built from this commit; by default ``_build/html`` of the repository.

    Returns:
        The number of exported files.

    Raises:
        ValueError: If the repository has changes that are not committed, the built book is missing or older than what
            it was built from, the destination holds what would be lost, or a solution would become public.
    """
    root, destination = root.resolve(), destination.resolve()
    built = (built or root / "_build" / "html").resolve()
    _check_repository(root)
    is_clone = _check_destination(destination, root)
    solutions = sorted((root / SOLUTIONS).glob("ch*.*"))
    if not solutions:
        raise ValueError(
            f"publish needs the solutions in {SOLUTIONS}/ to look for them, got none; an export has no solutions to hide"
        )
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".publish-") as folder:
        export = Path(folder, "export")
        archive = subprocess.run(["git", "-C", root, "archive", "HEAD"], check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(export, filter="data")
        if (export / SOLUTIONS).exists():
            raise ValueError(
                f"{SOLUTIONS}/ must be marked export-ignore in .gitattributes, and is not: it was exported"
            )
        files = sorted(path.relative_to(export) for path in export.rglob("*") if not path.is_dir())
        _check_book(built, root, files)
        found = [*leaks(solutions, export), *leaks(solutions, built)]
        if found:
            raise ValueError(
                "\n".join(
                    [f"solutions would be published, so nothing was; {len(found)} to take out:", *map(str, found)]
                )
            )
        if is_clone:
            _into_clone(export, files, destination)
        else:
            if destination.exists():
                destination.rmdir()
            os.replace(export, destination)
    return len(files)


def leaks(solutions: Iterable[Path], tree: Path) -> list[Leak]:
    """Pieces of solutions in the files of a folder: each line, statement and whole answer, however it is formatted.

    Read are the texts of web pages, with and without their markup, and every string of a notebook, so also metadata,
    outputs and attachments. What an exercise itself says in public, in its prompt or its stub, is no leak.

    Args:
        solutions: Files of ``instructor/``.
        tree: A source tree or a built book.
    """
    wanted = {code: _index(_pieces(solutions, code=code)) for code in (True, False)}
    found: dict[Leak, None] = {}
    for path in sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink()):
        if path.suffix in _BINARY:
            continue
        for text in _texts(path):
            for code, index in wanted.items():
                for exercise, piece in _search(_tokens(text, code=code), index):
                    found[Leak(path.relative_to(tree), exercise, piece)] = None
    return list(found)


Piece = tuple[str, tuple[str, ...], str]  # exercise, its tokens, and as it reads


def _pieces(solutions: Iterable[Path], *, code: bool) -> Iterator[Piece]:
    for path in solutions:
        if (path.suffix == ".py") != code:
            continue
        exercise = bank().get(path.stem)
        public = " ".join(_tokens(_public(exercise), code=code)) if exercise else ""
        for answer in answers(path):
            if not answer.is_solution:
                continue
            text = re.sub(r"(?m)(^|\s)#\s.*$", "", answer.text) if code else answer.text
            fillings = [exercise.fill(text, variant) for variant in range(_VARIANTS)] if exercise else [text]
            for filled in dict.fromkeys(fillings):
                for part in dict.fromkeys(_parts(filled, code=code)):
                    tokens = _tokens(part, code=code)
                    if len(tokens) >= SHORTEST and " ".join(tokens) not in public:
                        yield path.stem, tokens, " ".join(part.split())[:100]


def _parts(text: str, *, code: bool) -> Iterator[str]:
    """Lines, what is longer than a line and belongs together, and (of code) the whole."""
    yield from text.splitlines()
    if code:
        yield from re.split(r"\n(?!\s|[)\]}])", text)  # statements of the outermost level
        yield text
    else:
        for paragraph in re.split(r"\n\s*\n|\|", text):
            yield from re.split(r"(?<=[.?!:])\s", paragraph)


def _public(exercise: Exercise) -> str:
    parts = [exercise.prompt, *((exercise.given, exercise.stub) if isinstance(exercise, Coded) else ())]
    return "\n".join(exercise.fill(part, variant) for variant in range(_VARIANTS) for part in parts)


def _tokens(text: str, *, code: bool) -> tuple[str, ...]:
    text = _IGNORED.sub(" ", text)
    return tuple(re.findall(r"\w+|[^\w\s]", text) if code else re.findall(r"\w+", text.lower()))


def _index(pieces: Iterable[Piece]) -> dict[tuple[str, ...], list[Piece]]:
    index: dict[tuple[str, ...], list[Piece]] = {}
    for piece in pieces:
        index.setdefault(piece[1][:SHORTEST], []).append(piece)
    return index


def _search(tokens: tuple[str, ...], index: dict[tuple[str, ...], list[Piece]]) -> Iterator[tuple[str, str]]:
    for start, head in enumerate(zip(*(tokens[shift:] for shift in range(SHORTEST)), strict=False)):
        for exercise, piece, text in index.get(head, ()):
            if tokens[start : start + len(piece)] == piece:
                yield exercise, text


def _texts(path: Path) -> Iterator[str]:
    """What can be read in a file."""
    text = path.read_bytes().decode("utf-8", "replace")
    if path.suffix == ".ipynb":
        try:
            yield "\n".join(_strings(json.loads(text)))
        except ValueError:
            yield text
        return
    if path.suffix in (".html", ".svg", ".xml"):
        yield html.unescape(re.sub(r"<[^>]*>", "", text))  # highlighting splits what belongs together
        text = html.unescape(text)
    yield text.replace("\\n", "\n") if path.suffix in (".html", ".js", ".json") else text


def _strings(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, str):
        yield value
        if key.startswith("text/") or key == "application/json":  # an attachment
            with contextlib.suppress(ValueError):
                yield base64.b64decode(value, validate=True).decode("utf-8", "replace")
    elif isinstance(value, list) and all(isinstance(part, str) for part in value):
        yield from _strings("".join(value), key)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _strings(part, str(name))


def _check_repository(root: Path) -> None:
    top = _git(root, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != root:
        raise ValueError(f"publish must be run at the top of the repository, got {str(root)!r}")
    if changed := _git(root, "status", "--porcelain"):
        raise ValueError(
            f"the repository must have no changes, since the last commit is exported; commit these:\n{changed}"
        )


def _check_destination(destination: Path, root: Path) -> bool:
    """Whether it is a clone, and not merely new or empty."""
    if destination == root or root in destination.parents:
        raise ValueError(f"destination must be outside of the repository, got {str(destination)!r}")
    if not destination.exists() or (destination.is_dir() and not any(destination.iterdir())):
        return False
    if not (destination / ".git").exists():
        raise ValueError(
            f"destination must be new, empty or a clone, got {str(destination)!r}, which holds other files"
        )
    if changed := _git(destination, "status", "--porcelain"):
        raise ValueError(f"the clone in {str(destination)!r} has changes that would be lost; commit them:\n{changed}")
    return True


def _check_book(built: Path, root: Path, files: Iterable[Path]) -> None:
    if not (built / "index.html").is_file():
        raise ValueError(f"the built book must be in {str(built)!r} to be searched, and is not there; run `make book`")
    made = (built / "index.html").stat().st_mtime
    shown = ("chapters", "book", "src", "_config.yml", "_toc.yml")
    newer = [str(file) for file in files if file.parts[0] in shown and (root / file).stat().st_mtime > made]
    if newer:
        raise ValueError(f"the built book is older than {newer[0]} and what may be in it; run `make book`")


def _into_clone(export: Path, files: list[Path], clone: Path) -> None:
    """Replace what the clone tracks, file by file: git has the old ones, and a second run finishes an interrupted one."""
    tracked = {Path(name) for name in (_git(clone, "ls-files", "-z") or "").split("\0") if name}
    for file in files:
        (clone / file).parent.mkdir(parents=True, exist_ok=True)
        os.replace(export / file, clone / file)
    for file in sorted(tracked - set(files)):
        (clone / file).unlink(missing_ok=True)
        for folder in (clone / file).parents:
            if folder == clone or any(folder.iterdir()):
                break
            folder.rmdir()


def _git(folder: Path, *arguments: str) -> str | None:
    git = shutil.which("git")
    if git is None:
        raise ValueError("publish needs git, which is not installed")
    done = subprocess.run([git, "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
