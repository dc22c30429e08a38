"""Everything that can be read in a file: also what is packed, encoded, escaped, or marked up."""

from __future__ import annotations

import base64
import gzip
import html
import io
import json
import pickletools
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_DEEPEST, _LARGEST = 4, 100 * 2**20  # archives in archives; bytes of one file, unpacked
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{40,}={0,2}")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]+)\}|x([0-9a-fA-F]{2}))")
_PRINTABLE = re.compile(rb"[\t\n\r -~]{12,}")  # in what is no text
_IMAGES_TEXT = (b"tEXt", b"zTXt", b"iTXt")


def texts(path: Path) -> Iterator[str]:
    """The texts in a file, each in every form in which a reader, or a program, may see it."""
    yield from _texts(path.read_bytes(), 0)


def _texts(data: bytes, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    for inner in _unpacked(data[:_LARGEST]):
        yield from _texts(inner, depth + 1)
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return  # what is left are pixels
    text = _decoded(data)
    yield from _forms(text)
    for run in _BASE64.findall(text.encode("ascii", "ignore").replace(b"\\n", b"") if depth < _DEEPEST else b""):
        try:
            inner = base64.b64decode(
                run + b"=" * (-len(run) % 4), altchars=b"-_" if b"-" in run or b"_" in run else None
            )
        except ValueError:
            continue
        if inner[:8] == b"\x89PNG\r\n\x1a\n" or inner[:2] in (b"PK", b"\x1f\x8b") or _is_text(inner):
            yield from _texts(inner, depth + 1)


def _forms(text: str) -> Iterator[str]:
    yield text
    try:
        strings = list(_strings(json.loads(text))) if text.lstrip()[:1] in ("{", "[") else []
    except (ValueError, RecursionError):
        strings = []
    plain = "\n".join(strings)
    for form in (text, plain):
        if "<" in form and ">" in form:
            yield html.unescape(re.sub(r"<[^>]*>", "", form))  # highlighting splits what belongs together
        if "&" in form:
            yield html.unescape(form)
        if "\\" in form:
            yield _ESCAPE.sub(_character, form).replace("\\n", "\n").replace("\\t", " ").replace('\\"', '"')
    if plain:
        yield plain


def _character(match: re.Match[str]) -> str:
    number = int(next(filter(None, match.groups())), 16)
    return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else "?"


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        if all(isinstance(part, str) for part in value):
            yield "".join(value)
        for part in value:
            yield from _strings(part)
    elif isinstance(value, dict):
        for name, part in value.items():
            yield str(name)
            yield from _strings(part)


def _decoded(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    even, odd = (data[at:4000:2].count(0) / max(1, len(data[at:4000:2])) for at in (0, 1))
    if max(even, odd) > 0.8 and min(even, odd) < 0.1:  # UTF-16 without its mark
        return data.decode("utf-16-le" if odd > even else "utf-16-be", "replace")
    if not _is_text(data):
        data = b"\n".join(_PRINTABLE.findall(data))
    return data.decode("utf-8", "replace")


def _is_text(data: bytes) -> bool:
    """Whether there are few bytes that no text has."""
    start = data[:4000]
    return bool(start) and sum(byte < 9 or 13 < byte < 32 for byte in start) < 0.02 * len(start)


def _unpacked(data: bytes) -> Iterator[bytes]:
    """What an archive, a compressed file, a picture's comments or a PDF's streams hold; nothing of what is none."""
    try:
        if data[:2] == b"\x1f\x8b":
            yield gzip.GzipFile(fileobj=io.BytesIO(data)).read(_LARGEST)
        elif data[:2] == b"PK":
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for member in archive.infolist():
                    with archive.open(member) as file:
                        yield file.read(_LARGEST)
        elif data[257:262] == b"ustar":
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                for entry in archive:
                    content = archive.extractfile(entry) if entry.isfile() else None
                    if content:
                        yield content.read(_LARGEST)
        elif data[:1] == b"\x80":  # a pickle, as PyTorch saves; it is looked at, not loaded
            for _, value, _ in pickletools.genops(data):
                yield str(value).encode("utf-8", "replace") if isinstance(value, str) else b""
        elif data[:8] == b"\x89PNG\r\n\x1a\n":
            yield from _comments(data)
        elif data[:5] == b"%PDF-":
            for stream in re.findall(rb"stream\r?\n(.*?)endstream", data, re.DOTALL):
                yield _shown(zlib.decompressobj().decompress(stream, _LARGEST))
    except (
        OSError,
        EOFError,
        ValueError,
        zlib.error,
        zipfile.BadZipFile,
        tarfile.TarError,
        NotImplementedError,
        RuntimeError,
    ):
        return


def _comments(png: bytes) -> Iterator[bytes]:
    at = 8
    while at + 8 <= len(png):
        length, kind = int.from_bytes(png[at : at + 4], "big"), png[at + 4 : at + 8]
        body = png[at + 8 : at + 8 + length]
        if kind in _IMAGES_TEXT:
            name, _, rest = body.partition(b"\0")
            yield name + b" " + rest
            for start in (1, rest.find(b"\x78", 1)):  # zlib's first byte, after a flag or a language
                try:
                    yield zlib.decompressobj().decompress(rest[start:], _LARGEST)
                except zlib.error:
                    continue
        at += 12 + length


def _shown(stream: bytes) -> bytes:
    """The strings that a page shows, put together: kerning splits words."""
    strings = re.findall(rb"\((?:\\.|[^\\)])*\)|T[*dDm]\b|ET\b|'", stream)
    shown = b"".join(part[1:-1] if part[:1] == b"(" else b"\n" for part in strings)
    return re.sub(rb"\\([()\\])", rb"\1", shown)
