"""What goes in and out of the sandbox: inputs as files, answers as messages of plain arrays, read without pickle."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np

from dropout_lessons.exercises import Problem
from dropout_lessons.exercises.exercise import Inputs, Outputs
from dropout_lessons.grading.border import plain

WORDS = 1000  # of an error, at most
_LENGTH = struct.Struct("<Q")
_MOST_MEMBERS, _MOST_REPORT = 100, 60_000
_CODES = ("unsolved", "wrong-type", "raises", "too-slow", "not-found")


def pack_inputs(folder: Path, name: str, inputs: Inputs) -> None:
    """Write the inputs of one check for the worker: arrays as ``.npz``, the rest as JSON."""
    arrays = {key: value for key, value in inputs.items() if isinstance(value, np.ndarray)}
    rest = {key: value for key, value in inputs.items() if key not in arrays}
    np.savez(folder / f"{name}.npz", **arrays)  # type: ignore[arg-type]
    (folder / f"{name}.json").write_text(json.dumps(rest), encoding="utf-8")


def unpack_inputs(folder: Path, name: str) -> Inputs:
    """Read what ``pack_inputs`` wrote."""
    with np.load(folder / f"{name}.npz", allow_pickle=False) as arrays:
        inputs: Inputs = {key: arrays[key] for key in arrays.files}
    return {**json.loads((folder / f"{name}.json").read_text(encoding="utf-8")), **inputs}


def encode(arrays: Outputs) -> bytes:
    """A message: its length, then the arrays as an uncompressed ``.npz``."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, value in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(value), allow_pickle=False)  # type: ignore[no-untyped-call]
            archive.writestr(f"{name}.npy", member.getvalue())
    return _LENGTH.pack(len(buffer.getvalue())) + buffer.getvalue()


def decode(data: bytes) -> list[Outputs]:
    """The messages in a stream, up to the first that is cut off, forged or not made of plain arrays."""
    messages: list[Outputs] = []
    start = 0
    while len(data) - start >= _LENGTH.size:
        (length,) = _LENGTH.unpack_from(data, start)
        start += _LENGTH.size
        if length > len(data) - start:
            break
        try:
            messages.append(_arrays(data[start : start + length]))
        except Exception:  # whatever a forged archive makes zipfile and numpy raise
            break
        start += length
    return messages


def _arrays(data: bytes) -> Outputs:
    found: Outputs = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if len(members) > _MOST_MEMBERS:
            raise ValueError("too many members")
        for member in members:
            if member.compress_type != zipfile.ZIP_STORED or member.file_size > len(data):
                raise ValueError("a member is compressed, or claims to be larger than the message")
            content = archive.read(member)
            stream = io.BytesIO(content)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            version = np.lib.format.read_magic(stream)  # type: ignore[no-untyped-call]
            shape, fortran, dtype = read[version](stream)  # type: ignore[no-untyped-call]
            # numpy would make room for what the header claims before it reads: compare first.
            size = dtype.itemsize
            for length in shape:
                if length < 0:
                    raise ValueError("a negative length")
                size *= length
            rest = content[stream.tell() :]
            if dtype.kind not in "biufU" or dtype.itemsize == 0 or size != len(rest):
                raise ValueError("not a plain array")
            array = np.frombuffer(rest, dtype=dtype).reshape(shape, order="F" if fortran else "C")
            found[member.filename.removesuffix(".npy")] = array
    return found


def attempts(messages: list[Outputs]) -> dict[str, Outputs | Problem]:
    """What came of each run, by name: the last that is an answer counts, an unsolved stub never replaces one.

    The sandbox may have sent anything: whatever is not what it should be is left out.
    """
    came: dict[str, Outputs | Problem] = {}
    for message in messages:
        name = _word(message, "name")
        if _word(message, "kind") != "attempt" or not name:
            continue
        outcome: Outputs | Problem = {key[4:]: value for key, value in message.items() if key.startswith("out ")}
        if "code" in message:
            code = _word(message, "code")
            said = _word(message, "message", lines=True) or "It gives no answer, and no reason."
            outcome = Problem(code if code in _CODES else "raises", said)
            if code in ("unsolved", "not-found") and name in came:
                continue
        came[name] = outcome
    return came


def cell_errors(messages: list[Outputs]) -> list[str]:
    """What the cells raised, in words; the text comes from the sandbox and may be anything."""
    found = []
    for message in messages:
        report = message.get("errors")
        if report is None or report.dtype.kind != "U" or report.size != 1 or report.dtype.itemsize > 4 * _MOST_REPORT:
            continue
        try:
            rows = json.loads(str(report))
        except (ValueError, RecursionError):
            continue
        for row in rows[:20] if isinstance(rows, list) else ():
            if isinstance(row, dict) and type(row.get("cell")) is int and isinstance(row.get("error"), str):
                line = f", {plain(row['line'], 80)}" if isinstance(row.get("line"), str) and row["line"] else ""
                found.append(f"Code cell {row['cell'] % 10_000 + 1}{line}: {plain(row['error'])}")
    return found


def _word(message: Outputs, key: str, *, lines: bool = False) -> str:
    value = message.get(key)
    if value is None or value.dtype.kind != "U" or value.size != 1 or value.dtype.itemsize > 40 * WORDS:
        return ""
    return plain(value.reshape(-1)[0], WORDS, lines=lines)
