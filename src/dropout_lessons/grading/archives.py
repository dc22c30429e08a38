"""Open what a student or a platform has packed: archives within limits, and a platform's list of people.

These functions are called through ``border.apart``.
"""

from __future__ import annotations

import re
import shutil
import stat
import zipfile
from collections.abc import Iterator
from datetime import date
from html import unescape
from pathlib import Path, PurePosixPath

import yaml

from dropout_lessons.grading.border import plain
from dropout_lessons.grading.notebooks import LARGEST

MOST_FILES, MOST_BYTES = 1_000, LARGEST  # of a student's archive; bytes of its notebooks, unpacked
_LIST = 20 * 2**20  # bytes of a list of people
_PAGE, _WORDS = 2**20, 20_000  # bytes of a typed text that are read, and characters that are shown


def unpack(archive: Path, folder: Path) -> tuple[list[tuple[str, Path]], list[str]]:
    """Unpack the notebooks of a student's zip.

    Args:
        archive: The zip.
        folder: Where its notebooks go, under numbers.

    Returns:
        Each notebook's name in the archive and where it is now, and remarks on what was left out.
    """
    remarks: list[str] = []
    found: list[tuple[str, Path]] = []
    left = MOST_BYTES
    with zipfile.ZipFile(archive) as opened:
        if len(opened.infolist()) > MOST_FILES:
            return [], [f"{archive.name}: holds more than {MOST_FILES:,} files, and was left out"]
        for member, path in members(opened, archive.name, remarks):
            if path.suffix.lower() != ".ipynb" or "__MACOSX" in path.parts or path.name.startswith("._"):
                continue
            place = folder / f"{len(found)}.ipynb"
            with opened.open(member) as source, place.open("wb") as target:
                while chunk := source.read(2**20):
                    left -= len(chunk)
                    if left < 0:
                        place.unlink()
                        remarks.append(
                            f"{archive.name}: its notebooks have more than {MOST_BYTES // 2**20} MB; the rest was left out"
                        )
                        return found, remarks
                    target.write(chunk)
            found.append((str(path), place))
    return found, remarks


def members(opened: zipfile.ZipFile, name: str, remarks: list[str]) -> Iterator[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """The files of an archive that lie within it; the others are remarked."""
    for member in opened.infolist():
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if member.is_dir():
            continue
        if path.is_absolute() or ".." in path.parts or stat.S_ISLNK(member.external_attr >> 16) or member.flag_bits & 1:
            what = "points outside, is a link or is encrypted, and was left out"
            remarks.append(f"{plain(name)}, {plain(member.filename, 100)}: {what}")
            continue
        yield member, path


def unpack_export(archive: Path, folder: Path, remarks: list[str]) -> Iterator[tuple[PurePosixPath, Path]]:
    """Unpack a platform's export: each file with its place in the export and where it is now."""
    with zipfile.ZipFile(archive) as opened:
        for number, (member, path) in enumerate(members(opened, archive.name, remarks)):
            if member.file_size > LARGEST:
                remarks.append(f"{plain(path)}: has more than {LARGEST // 2**20} MB, and was left out")
                continue
            place = folder / f"{number}{path.suffix if path.suffix.isalnum() else ''}"
            with opened.open(member) as source, place.open("wb") as target:
                shutil.copyfileobj(source, target)
            yield path, place


def people(path: Path) -> dict[str, list[dict[str, str]]]:
    """By folder, who submitted and when, from Gradescope's ``submission_metadata.yml``."""
    with path.open("rb") as file:
        content = yaml.load(file.read(_LIST), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    found: dict[str, list[dict[str, str]]] = {}
    for folder, entry in content.items() if isinstance(content, dict) else ():
        submitters = entry.get(":submitters") if isinstance(entry, dict) else None
        for one in submitters if isinstance(submitters, list) else ():
            if isinstance(one, dict):
                row = {**one, "time": entry.get(":created_at")}
                facts = {str(key).lstrip(":"): plain(_word(value)) for key, value in row.items() if _word(value)}
                found.setdefault(plain(folder), []).append(facts)
    return found


def typed(path: Path) -> str:
    """The text of a page that a student has typed into a platform, without its tags, a paragraph a line."""
    with path.open("rb") as file:
        text = file.read(_PAGE).decode("utf-8-sig", "replace")
    text = re.sub(r"<(?:br|/p|/div|/li|/h\d|/tr)\b[^<>]*>", "\0", " ".join(text.split()))
    text = re.sub(r"<(style|script|title)\b[^<>]*>[^<]*|<[^<>]*>", " ", text)
    lines = (" ".join(unescape(line).split()) for line in text.split("\0"))
    return plain("\n".join(filter(None, lines)), _WORDS, lines=True)


def _word(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, str | int) else ""
