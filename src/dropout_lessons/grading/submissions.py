"""Find who handed in what: a folder or a zip as Canvas, Gradescope or Moodle exports it, or plain notebooks.

Layouts are told from names: Canvas has ``doejane_12345_67890_name.ipynb`` (with ``_LATE_`` where it was late),
Gradescope ``submission_123/`` beside ``submission_metadata.yml``, Moodle ``Jane Doe_123_assignsubmission_file_/``. In
anything else a file, or a folder of files, is named after its student.
"""

from __future__ import annotations

import os
import re
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from pathlib import Path, PurePosixPath

import yaml

from dropout_lessons.grading.notebooks import LARGEST

__all__ = ["Submission", "find"]

_MOST_FILES, _MOST_BYTES = 20_000, 4 * 2**30  # of a zip, unpacked
_CANVAS = re.compile(r"(?P<name>[^_]+)_(?P<late>LATE_)?(?P<id>\d+)_(?P<upload>\d+)_(?P<file>.+)")
_MOODLE = re.compile(r"(?P<name>.+)_(?P<id>\d+)_assignsubmission_file_?(?P<file>.*)")
_GRADESCOPE = re.compile(r"submission_(?P<id>\d+)")
_JUNK = ("__MACOSX", ".ipynb_checkpoints", ".DS_Store", "submission_metadata.yml")


@dataclass(frozen=True)
class Submission:
    """What one student handed in.

    Attributes:
        student: Name that is safe for a file, and the same in every run.
        name: Name as the export has it.
        file: Name of the notebook that is graded, the latest attempt.
        data: Its content.
        ids: The student's numbers by platform: ``canvas`` (and that of the ``upload``), ``gradescope``, ``moodle``, and
            ``email``, ``sid``.
        late: Whether the export says that it came late.
        remarks: What an instructor should know: other attempts, files that are no notebooks.
    """

    student: str
    name: str
    file: str
    data: bytes
    ids: dict[str, str] = field(default_factory=dict)
    late: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Fingerprint of the content."""
        return sha256(self.data).hexdigest()


def find(source: Path) -> tuple[list[Submission], list[str]]:
    """All submissions in a folder or a zip, sorted by student, and remarks on files that belong to nobody.

    Links, devices and pipes are not opened; archives are read in memory, within limits, one level deep. If a student
    has several notebooks the last attempt counts, as the export numbers it, else the last by name.

    Args:
        source: Folder, zip or notebook.

    Raises:
        ValueError: If there is nothing to grade.
    """
    remarks: list[str] = []
    if source.is_dir():
        files = list(_folder(source, remarks))
    elif source.is_file():
        data = source.read_bytes()
        is_zip = source.suffix.lower() == ".zip"
        files = list(_archive(data, source.name, remarks)) if is_zip else [(PurePosixPath(source.name), data)]
    else:
        raise ValueError(f"submissions must be a folder, a zip or a notebook, got {str(source)!r}, which is none")
    people = _gradescope_people(files)
    # A folder around everything says nothing.
    while files and len({path.parts[0] for path, _ in files}) == 1 and all(len(path.parts) > 1 for path, _ in files):
        if any(pattern.fullmatch(files[0][0].parts[0]) for pattern in (_GRADESCOPE, _MOODLE)):
            break
        files = [(PurePosixPath(*path.parts[1:]), data) for path, data in files]
    handed_in: dict[str, list[tuple[PurePosixPath, bytes, dict[str, str], str, bool]]] = {}
    for path, data in files:
        if any(part in _JUNK or part.startswith("._") for part in path.parts):
            continue
        name, ids, late, file = _whose(path, people)
        if path.suffix.lower() == ".zip":
            inner = [(inside, content) for inside, content in _archive(data, str(path), remarks)]
        else:
            inner = [(PurePosixPath(file), data)]
        for inside, content in inner:
            if any(part in _JUNK or part.startswith("._") for part in inside.parts):
                continue
            key = "-".join(filter(None, (_safe(name), ids.get("canvas") or ids.get("gradescope") or ids.get("moodle"))))
            if inside.suffix.lower() == ".ipynb":
                handed_in.setdefault(key, []).append((inside, content, ids, name, late))
            else:
                remarks.append(f"{path}: is no notebook, and was left out")
    if not handed_in:
        raise ValueError(f"submissions must hold notebooks (.ipynb), got none in {str(source)!r}")
    found = []
    for student, attempts in sorted(handed_in.items()):
        stems = {attempt[0].stem for attempt in attempts}
        attempts.sort(
            key=lambda attempt: (int(attempt[2].get("upload", 0)), _copy(attempt[0].stem, stems), str(attempt[0]))
        )
        path, data, ids, name, late = attempts[-1]
        others = ", ".join(str(attempt[0]) for attempt in attempts[:-1])
        said = (f"{len(attempts)} notebooks: {path} was graded, not {others}",) if others else ()
        found.append(Submission(student, name, str(path), data, ids, late, said))
    same: dict[str, list[str]] = {}
    for submission in found:
        same.setdefault(submission.digest, []).append(submission.student)
    remarks += [
        f"{', '.join(students)}: handed in the very same file" for students in same.values() if len(students) > 1
    ]
    return found, remarks


def _whose(path: PurePosixPath, people: dict[str, dict[str, str]]) -> tuple[str, dict[str, str], bool, str]:
    """Name, numbers, whether it was late, and the file's own name."""
    top = path.parts[0]
    rest = str(PurePosixPath(*path.parts[1:])) if len(path.parts) > 1 else ""
    if match := _MOODLE.fullmatch(top):
        return match["name"], {"moodle": match["id"]}, False, rest or match["file"].strip("_")
    if len(path.parts) > 1 and (match := _GRADESCOPE.fullmatch(top)):
        person = people.get(top, {})
        ids = {"gradescope": match["id"], **{key: person[key] for key in ("email", "sid") if person.get(key)}}
        return person.get("name") or top, ids, False, rest
    if len(path.parts) == 1 and (match := _CANVAS.fullmatch(top)):
        return match["name"], {"canvas": match["id"], "upload": match["upload"]}, bool(match["late"]), match["file"]
    return (top if rest else path.stem), {}, False, rest or path.name


def _copy(stem: str, stems: set[str]) -> int:
    """Number that a platform or a browser has added to a name that was taken: name-1, name (2)."""
    match = re.fullmatch(r"(.+?)(?:-(\d{1,3})| ?\((\d{1,3})\))", stem)
    return int(match[2] or match[3]) if match and match[1] in stems else 0


def _safe(name: str) -> str:
    """A name as that of a file: letters, digits and dashes, and a fingerprint if that lost something."""
    plain = re.sub(r"[^\w.-]+", "-", name).strip(".-")[:80]
    return (
        plain
        if plain == name
        else "-".join(filter(None, (plain, sha256(name.encode("utf-8", "replace")).hexdigest()[:6])))
    )


def _folder(folder: Path, remarks: list[str]) -> Iterator[tuple[PurePosixPath, bytes]]:
    for root, folders, names in os.walk(folder, followlinks=False):
        for name in [name for name in folders if Path(root, name).is_symlink()]:
            remarks.append(f"{Path(root, name).relative_to(folder)}: is a link, and was left out")
        folders[:] = sorted(name for name in folders if name not in _JUNK)
        for name in sorted(names):
            path = Path(root, name)
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            except OSError:
                remarks.append(f"{path.relative_to(folder)}: is a link or cannot be read, and was left out")
                continue
            with os.fdopen(descriptor, "rb") as file:
                found = os.fstat(descriptor)
                if not stat.S_ISREG(found.st_mode):
                    remarks.append(f"{path.relative_to(folder)}: is no ordinary file, and was left out")
                    continue
                yield PurePosixPath(path.relative_to(folder).as_posix()), file.read(LARGEST + 1)


def _archive(data: bytes, name: str, remarks: list[str]) -> Iterator[tuple[PurePosixPath, bytes]]:
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > _MOST_FILES or sum(member.file_size for member in members) > _MOST_BYTES:
                remarks.append(f"{name}: holds too much, and was left out")
                return
            for member in members:
                path = PurePosixPath(member.filename.replace("\\", "/"))
                mode = member.external_attr >> 16
                if member.is_dir():
                    continue
                if path.is_absolute() or ".." in path.parts or stat.S_ISLNK(mode) or member.flag_bits & 1:
                    remarks.append(
                        f"{name}, {member.filename!r}: points outside, is a link or is encrypted, and was left out"
                    )
                    continue
                with archive.open(member) as file:
                    yield path, file.read(LARGEST + 1)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError) as error:
        remarks.append(f"{name}: is no zip that can be read ({str(error)[:100]})")
    except Exception as error:  # zlib has errors of its own
        remarks.append(f"{name}: is damaged ({type(error).__name__})")


def _gradescope_people(files: list[tuple[PurePosixPath, bytes]]) -> dict[str, dict[str, str]]:
    """By folder, who submitted, from ``submission_metadata.yml``."""
    people: dict[str, dict[str, str]] = {}
    for path, data in files:
        if path.name != "submission_metadata.yml":
            continue
        try:
            content = yaml.safe_load(data)
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
            continue
        for folder, entry in content.items() if isinstance(content, dict) else ():
            submitters = entry.get(":submitters") if isinstance(entry, dict) else None
            if isinstance(submitters, list) and submitters and isinstance(submitters[0], dict):
                person = {str(key).lstrip(":"): str(value) for key, value in submitters[0].items() if value is not None}
                people[str(folder)] = person
    return people
