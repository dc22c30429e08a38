"""Publish the repository without its solutions: an export of the last commit, refused if a solution is found in it."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

from dropout_lessons.grading.leaks import leaks

SOLUTIONS = "instructor"  # .gitattributes keeps it out of exports


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
    solutions = sorted((root / SOLUTIONS).glob("*-[0-9]*.*"))
    if not solutions:
        raise ValueError(
            f"publish needs the solutions in {SOLUTIONS}/ to look for them, got none; an export has no solutions to hide"
        )
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".publish-") as folder:
        export = Path(folder, "export")
        archive = subprocess.run(["git", "-C", root, "archive", "HEAD"], check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extraction_filter = getattr(tarfile, "data_filter", None)  # Debian 12's Python 3.11.2 has none
            tar.extractall(export)
        if (export / SOLUTIONS).exists():
            raise ValueError(
                f"{SOLUTIONS}/ must be marked export-ignore in .gitattributes, and is not: it was exported"
            )
        files = sorted(path.relative_to(export) for path in export.rglob("*") if not path.is_dir())
        _check_book(built, root, files)
        found = [*leaks(solutions, export), *leaks(solutions, built)]
        if found:
            listed = "\n".join(map(str, found))
            raise ValueError(f"solutions would be published, so nothing was; {len(found)} to take out:\n{listed}")
        if is_clone:
            _into_clone(export, files, destination)
        else:
            if destination.exists():
                destination.rmdir()
            os.replace(export, destination)
    return len(files)


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
