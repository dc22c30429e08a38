"""Find who handed in what: a folder or a zip as Canvas, Gradescope or Moodle exports it, or plain notebooks.

Layouts are told from names: Canvas has ``doejane_12345_67890_name.ipynb`` (with ``_LATE_`` where it was late),
Gradescope ``submission_123/`` beside ``submission_metadata.yml``, Moodle ``Jane Doe_123_assignsubmission_file_/``, and
beside it ``..._onlinetext_/`` for what was typed. In anything else a notebook, or a folder with one, is named after its
student; what may mean something else is refused.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
import weakref
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path, PurePosixPath

from dropout_lessons.grading.archives import people, typed, unpack, unpack_export
from dropout_lessons.grading.border import Overrun, apart, plain

_CANVAS = re.compile(r"(?P<name>[^_]+)_(?P<late>LATE_)?(?P<id>\d+)_(?P<upload>\d+)_(?P<file>.+)")
_MOODLE = re.compile(r"(?P<name>.+)_(?P<id>\d+)_assignsubmission_(?P<kind>file|onlinetext)_?(?P<file>.*)")
_GRADESCOPE = re.compile(r"submission_(?P<id>\d+)")
_JUNK = ("__MACOSX", ".ipynb_checkpoints", ".DS_Store", ".git", ".github", ".gitignore")
_PEOPLE = "submission_metadata.yml"
_WORDS = 500  # characters of an online text in a remark

Files = list[tuple[PurePosixPath, Path]]  # place in the export, and on this machine


@dataclass(frozen=True)
class Submission:
    """What one student handed in.

    Attributes:
        student: Name that is safe for a file, and the same in every run.
        name: Name as the export has it.
        file: Name of the notebook that is graded, the latest attempt; empty if there is none.
        digest: Fingerprint of its content.
        path: Where it is on this machine.
        ids: The student's numbers by platform: ``canvas`` (and that of the ``upload``), ``gradescope``, ``moodle``,
            ``email``, ``sid``; and ``place``, what the export calls it.
        late: Whether the export says that it came late.
        time: When it came, if the export says so.
        remarks: What an instructor should know: other attempts, files that are no notebooks.
        problem: Why there is nothing to grade; empty if there is.
        typed: What the student has typed into the platform beside the files.
    """

    student: str
    name: str
    file: str
    digest: str
    path: Path | None = field(repr=False)
    ids: dict[str, str] = field(default_factory=dict)
    late: bool = False
    time: datetime | None = None
    remarks: tuple[str, ...] = ()
    problem: str = ""
    typed: str = ""
    _unpacked: _Unpacked | None = field(default=None, repr=False, compare=False)


@dataclass
class _Student:
    """What is found of a student while looking."""

    name: str
    ids: dict[str, str]
    late: bool
    is_plain: bool
    time: datetime | None = None
    attempts: list[tuple[int, str, Path, str]] = field(default_factory=list)  # upload, name, where it is, export's name
    others: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    typed: str = ""


class _Unpacked:
    """A temporary folder that is gone with the last submission that refers to it."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="submissions-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def find(source: Path) -> tuple[list[Submission], list[str]]:
    """All submissions in a folder or a zip, sorted by student, and remarks on files that belong to nobody.

    Links, devices and pipes are not opened. Students' archives are unpacked in a process of its own, within limits, one
    level deep. If a student has several notebooks the last attempt counts, as the export numbers it; where no number
    tells them apart the student waits for a human.

    Args:
        source: Folder, zip or notebook.

    Raises:
        ValueError: If there is nothing to grade, or the folders may mean different things; the message names them.
    """
    remarks: list[str] = []
    unpacked = _Unpacked()
    is_zip = source.is_file() and source.suffix.lower() == ".zip"
    if source.is_dir():
        files = list(_folder(source, remarks))
    elif is_zip:
        try:
            files = list(unpack_export(source, unpacked.path, remarks))
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError) as error:
            raise ValueError(
                f"submissions must be a zip that can be read, got {str(source)!r}: {plain(error)}"
            ) from error
    elif source.is_file():
        files = [(PurePosixPath(plain(source.name)), source)]
    else:
        raise ValueError(f"submissions must be a folder, a zip or a notebook, got {str(source)!r}, which is none")
    files = _unwrapped([one for one in files if not _is_junk(one[0])], is_zip=is_zip)
    known = _people(files, remarks)
    students: dict[str, _Student] = {}
    for path, place in files:
        if str(path) == _PEOPLE:
            continue
        for student in _owners(path, known, students):
            _add(student, path, place, unpacked.path, remarks)
        if path.suffix.lower() not in (".ipynb", ".zip") and not _is_typed(path):
            remarks.append(f"{path}: is no notebook, and was left out")
    found = [_submission(key, student) for key, student in sorted(students.items())]
    _refuse_guesses(found, students)
    if not any(submission.file or submission.problem for submission in found):
        raise ValueError(f"submissions must hold notebooks (.ipynb), got none in {str(source)!r}")
    same: dict[str, list[str]] = {}
    for submission in found:
        if submission.digest:
            same.setdefault(submission.digest, []).append(submission.student)
    remarks += [f"{', '.join(who)}: handed in the very same file" for who in same.values() if len(who) > 1]
    return [replace(submission, _unpacked=unpacked) for submission in found], remarks


def _unwrapped(files: Files, *, is_zip: bool) -> Files:
    """Without a folder around everything, where it says nothing."""
    while files and len({path.parts[0] for path, _ in files}) == 1 and all(len(path.parts) > 1 for path, _ in files):
        top = files[0][0].parts[0]
        if _GRADESCOPE.fullmatch(top) or _MOODLE.fullmatch(top):
            break
        inner: Files = [(PurePosixPath(*path.parts[1:]), place) for path, place in files]
        tops = {path.parts[0] for path, _ in inner}
        if not any(pattern.fullmatch(name) for name in tops for pattern in (_GRADESCOPE, _MOODLE, _CANVAS)):
            if not is_zip:
                break  # a folder in a folder is a student
            if len({path.parts[0] for path, _ in inner if path.suffix.lower() in (".ipynb", ".zip")}) < 2:
                raise ValueError(
                    f"submissions must say who handed in what, and {top}/ may be a student or a folder around the only one: "
                    "give the notebook itself, or a folder that holds a notebook or a folder for each student"
                )
            is_zip = False
        files = inner
    return files


def _owners(
    path: PurePosixPath, known: dict[str, list[dict[str, str]]], students: dict[str, _Student]
) -> Iterator[_Student]:
    """Whose file this is; a group has several owners."""
    top, rest = path.parts[0], len(path.parts) > 1
    rows: list[_Student] = []
    if match := _MOODLE.fullmatch(top):
        rows.append(_Student(match["name"], {"moodle": match["id"], "place": top}, late=False, is_plain=False))
    elif rest and (match := _GRADESCOPE.fullmatch(top)):
        for person in known.get(top, [{}]):
            ids = {"gradescope": match["id"], "place": top}
            ids |= {key: person[key] for key in ("email", "sid") if person.get(key)}
            student = _Student(person.get("name") or top, ids, late=False, is_plain=False)
            try:
                student.time = datetime.fromisoformat(person.get("time", ""))
            except ValueError:
                student.time = None
            rows.append(student)
    elif not rest and (match := _CANVAS.fullmatch(top)):
        ids = {"canvas": match["id"], "upload": match["upload"], "place": top}
        rows.append(_Student(match["name"], ids, late=bool(match["late"]), is_plain=False))
    elif rest or path.suffix.lower() in (".ipynb", ".zip"):
        rows.append(_Student(top if rest else path.stem, {}, late=False, is_plain=True))
    for row in rows:
        number = row.ids.get("canvas") or row.ids.get("gradescope") or row.ids.get("moodle")
        yield students.setdefault("-".join(filter(None, (_safe(row.name), number))), row)


def _add(student: _Student, path: PurePosixPath, place: Path, folder: Path, remarks: list[str]) -> None:
    match = _CANVAS.fullmatch(path.parts[0]) if len(path.parts) == 1 else None
    moodle = _MOODLE.fullmatch(path.parts[0]) if len(path.parts) == 1 else None
    upload = int(match["upload"][:18]) if match else 0
    if match:
        name = match["file"]
        student.late |= bool(match["late"])
    elif moodle:
        name = moodle["file"].strip("_")
    else:
        name = str(PurePosixPath(*path.parts[1:])) if len(path.parts) > 1 else path.name
    if path.suffix.lower() == ".ipynb":
        student.attempts.append((upload, name, place, path.parts[0]))
    elif path.suffix.lower() == ".zip":
        where = Path(tempfile.mkdtemp(dir=folder))
        try:
            inside, said = apart(unpack, place, where)
        except (Overrun, zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError) as error:
            inside, said = [], [f"{name}: is no zip that can be read ({plain(error, 100)})"]
        except Exception as error:  # zlib has errors of its own
            inside, said = [], [f"{name}: is damaged ({type(error).__name__})"]
        remarks += [f"{student.name}, {line}" for line in said]
        student.attempts += [(upload, plain(inner), found, path.parts[0]) for inner, found in inside]
        student.others += [] if inside else [name]
    else:
        student.others.append(name)
        if _is_typed(path):
            try:
                student.typed = apart(typed, place)
                words = plain(" ".join(student.typed.split()), _WORDS)
            except (Overrun, OSError) as error:
                words = f"it cannot be read ({plain(error, 100)})"
            # Moodle writes an empty page where nothing was typed.
            student.remarks += [f"There is an online text, which no program marks: {words}"] if words else []


def _submission(key: str, student: _Student) -> Submission:
    """The attempt that counts."""
    said = tuple(student.remarks)
    empty = Submission(
        key, student.name, "", "", None, student.ids, student.late, student.time, said, "", student.typed
    )
    if not student.attempts:
        listed = ", ".join(student.others[:5])
        return replace(empty, problem=f"There is no notebook (.ipynb) in what was handed in ({listed}).")
    stems = {PurePosixPath(name).stem for _, name, _, _ in student.attempts}
    student.attempts.sort(key=lambda attempt: (attempt[0], _copy(PurePosixPath(attempt[1]).stem, stems)[1], attempt[1]))
    upload, name, path, top = student.attempts[-1]
    names = [name for _, name, _, _ in student.attempts]
    last = {PurePosixPath(name).stem for number, name, _, _ in student.attempts if number == upload}
    if len({_copy(stem, last)[0] for stem in last}) > 1:  # of one upload, no number says which is the later
        return replace(empty, problem=f"It is not clear which notebook counts: {', '.join(names[:10])}.")
    ids = {**student.ids, **({"upload": str(upload), "place": top} if upload else {})}
    other = (f"{len(names)} notebooks: {name} was graded, not {', '.join(names[:-1])}",) if len(names) > 1 else ()
    try:
        with path.open("rb") as file:
            digest = sha256()
            while chunk := file.read(2**20):
                digest.update(chunk)
    except OSError as error:
        return replace(empty, problem=f"The file cannot be read: {plain(error)}.")
    return replace(empty, file=name, digest=digest.hexdigest(), path=path, ids=ids, remarks=(*other, *empty.remarks))


def _refuse_guesses(found: list[Submission], students: dict[str, _Student]) -> None:
    """Folders of which most hold several notebooks are no students' folders."""
    folders = [one for one in found if students[one.student].is_plain and "/" not in one.file]
    unclear = [one for one in found if "not clear which" in one.problem and students[one.student].is_plain]
    if unclear and 2 * len(unclear) >= len(folders):
        listed = "; ".join(f"{one.name}/: {one.problem.split(': ', 1)[1]}" for one in unclear[:5])
        raise ValueError(
            "submissions must say who handed in what, and these folders hold several notebooks, of one student or of a "
            f"section: {listed} Give one section at a time, or a folder with one notebook for each student"
        )


def _copy(stem: str, stems: set[str]) -> tuple[str, int]:
    """The name, and the number that a platform or a browser has added to it since it was taken: name-1, name (2)."""
    match = re.fullmatch(r"(.+?)(?:-(\d{1,3})| ?\((\d{1,3})\))", stem)
    return (match[1], int(match[2] or match[3])) if match and match[1] in stems else (stem, 0)


def _safe(name: str) -> str:
    """A name as that of a file: letters, digits and dashes, and a fingerprint if that lost something."""
    short = re.sub(r"[^\w.-]+", "-", name).strip(".-")[:80]
    return short if short == name else "-".join(filter(None, (short, sha256(name.encode()).hexdigest()[:6])))


def _is_typed(path: PurePosixPath) -> bool:
    """Whether this is what a student has typed into Moodle, beside the files."""
    match = _MOODLE.fullmatch(path.parts[0])
    return match is not None and match["kind"] == "onlinetext" and path.suffix.lower() in (".html", ".htm")


def _is_junk(path: PurePosixPath) -> bool:
    return any(part in _JUNK or part.startswith("._") for part in path.parts)


def _people(files: Files, remarks: list[str]) -> dict[str, list[dict[str, str]]]:
    """Who submitted, by the list beside the submissions' folders; a student's own file of that name says nothing."""
    for path, place in files:
        if str(path) == _PEOPLE:
            try:
                return apart(people, place)
            except Exception as error:  # any that the YAML library has
                remarks.append(f"{_PEOPLE}: cannot be read, so folders stand for names ({plain(error, 100)})")
    return {}


def _folder(folder: Path, remarks: list[str]) -> Iterator[tuple[PurePosixPath, Path]]:
    for root, folders, names in os.walk(folder, followlinks=False):
        for name in [name for name in folders if Path(root, name).is_symlink()]:
            remarks.append(f"{_shown(Path(root, name), folder)}: is a link, and was left out")
        folders[:] = sorted(name for name in folders if name not in _JUNK)
        for name in sorted(names):
            path = Path(root, name)
            try:
                kind = path.lstat().st_mode
                if not stat.S_ISREG(kind):
                    what = "a link" if stat.S_ISLNK(kind) else "no ordinary file"
                    remarks.append(f"{_shown(path, folder)}: is {what}, and was left out")
                    continue
            except OSError:
                remarks.append(f"{_shown(path, folder)}: cannot be read, and was left out")
                continue
            yield _shown(path, folder), path


def _shown(path: Path, folder: Path) -> PurePosixPath:
    """The place of a file as text that can be written anywhere."""
    return PurePosixPath(*(plain(part) for part in path.relative_to(folder).parts))
