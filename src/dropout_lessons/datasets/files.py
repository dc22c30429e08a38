"""Files, and where they are. Wherever a file comes from, the SHA-256 of its content decides whether it is used."""

from __future__ import annotations

import gzip
import hashlib
import os
import sys
import tempfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class File(NamedTuple):
    """A file of a data set: its name, and the size in bytes and SHA-256 of its content.

    A gzipped file is served under its name and ``.gz``; size and digest are those of what it unpacks to, and it may lie in a
    folder in either form.
    """

    name: str
    size: int
    sha256: str
    gzipped: bool = False

    @property
    def names(self) -> list[str]:
        return [f"{self.name}.gz", self.name] if self.gzipped else [self.name]


# Both data sets in IDX files have the same names and sizes, here in the order of the fields of Raw.
_IDX = {
    "train-images-idx3-ubyte": 47_040_016,
    "train-labels-idx1-ubyte": 60_008,
    "t10k-images-idx3-ubyte": 7_840_016,
    "t10k-labels-idx1-ubyte": 10_008,
}


def _idx(*digests: str) -> tuple[File, ...]:
    return tuple(File(*of, digest, gzipped=True) for of, digest in zip(_IDX.items(), digests, strict=True))


FILES = {
    "mnist": _idx(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    "fashion_mnist": _idx(
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
    "cifar10": (
        File("cifar-10-binary.tar.gz", 170_052_171, "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"),
    ),
    "svhn": (
        File("train_32x32.mat", 182_040_794, "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8"),
        File("test_32x32.mat", 64_275_384, "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b"),
    ),
}
MIRRORS = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://raw.githubusercontent.com/fgnt/mnist/master/",
    ),
    "fashion_mnist": (
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    "cifar10": (
        "https://www.cs.toronto.edu/~kriz/",
        "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/",
    ),
    "svhn": ("http://ufldl.stanford.edu/housenumbers/",),
}
SYSTEM_FOLDERS = {"fashion_mnist": [Path("/usr/share/datasets/fashion-mnist")]}  # dataset-fashion-mnist, Debian
_EMBEDDED = {"mnist": "mnist_10k"}  # what to take instead of a data set that cannot be had; else fashion_10k


def content(name: str, file: File, folder: Path | None) -> bytes:
    """Return the verified content of a file: from the user's folder, or else the first place with it."""
    if folder is not None:
        return _content_in_folder(folder, file)
    cache = _root().expanduser() / name
    for place in (*SYSTEM_FOLDERS.get(name, []), cache):
        with suppress(OSError, ValueError):
            return _content_in_folder(place, file)
    return _download(name, file, cache)


def _root() -> Path:
    """Where what was downloaded is kept."""
    if chosen := os.environ.get("DROPOUT_LESSONS_DATA"):
        return Path(chosen)
    import pooch  # which takes a third of a second, as requests does

    return Path(pooch.os_cache("dropout-lessons"))


def _content_in_folder(folder: Path, file: File) -> bytes:
    paths = [folder / name for name in file.names if (folder / name).is_file()]
    if not paths:
        lacks = "neither " + " nor ".join(file.names) if len(file.names) > 1 else f"no {file.name}"
        problem = f"it has {lacks}" if folder.is_dir() else "there is no such folder"
        raise FileNotFoundError(f"folder must hold the files of the data set, got {str(folder)!r}: {problem}")
    try:
        return _verified(paths[0], file)
    except ValueError as error:
        raise ValueError(f"{paths[0]} is not the file of this data set: {error}") from error


def _verified(path: Path, file: File) -> bytes:
    """Return the content of a file, uncompressed; ValueError where it is not the expected one."""
    limit = file.size + 1  # an end to what a hostile gzip stream can unpack to
    with path.open("rb") as packed:
        found = packed.read(limit)
    if file.gzipped and found.startswith(b"\x1f\x8b"):  # not told by the name: some servers unpack what they send
        try:
            with gzip.open(path) as stream:
                found = stream.read(limit)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"damaged gzip file: {error}") from error
    sha256 = hashlib.sha256(found).hexdigest()
    if sha256 != file.sha256:
        size = f"more than {file.size}" if len(found) > file.size else len(found)
        what = "uncompressed content" if file.gzipped else "content"
        raise ValueError(f"its {what} ({size} bytes) has SHA-256 {sha256}, not {file.sha256}")
    return found


def _download(name: str, file: File, cache: Path) -> bytes:
    """Return the content of a file from the first mirror that has the right one, and keep it in the cache."""
    import pooch
    import requests

    try:
        cache.mkdir(parents=True, exist_ok=True)
        aside = tempfile.TemporaryDirectory(dir=cache, prefix="unverified-")
    except OSError as error:
        hint = "set DROPOUT_LESSONS_DATA to a folder that you may write to"
        raise OSError(f"the cache folder {cache} cannot be written to ({error}); {hint}") from error
    fetch = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=(10, 60))
    failures = []
    with aside as folder:
        path = Path(folder, file.names[0])
        for mirror in MIRRORS[name]:
            url = mirror + file.names[0]
            try:
                fetch(url, str(path), None)
                found = _verified(path, file)
            except (requests.RequestException, ValueError) as error:
                failures.append(f"\n  {url}: {error}")
                continue
            with suppress(PermissionError):  # Windows: another process is reading the same verified file
                os.replace(path, cache / path.name)
            return found
    raise ConnectionError(
        f"could not download {file.names[0]} of {name!r}:{''.join(failures)}\n"
        f'load("{_EMBEDDED.get(name, "fashion_10k")}") needs no network; load("{name}", folder=...) reads files that you have.'
    )
