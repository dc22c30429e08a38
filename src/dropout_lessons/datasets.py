"""Data sets as tensors: embedded, from a folder, or downloaded and verified.

>>> from dropout_lessons import datasets
>>> datasets.load("mnist_10k", train=1000)
Dataset('mnist_10k': 1000 training, 1000 validation, 4000 test; 28 x 28 pixels, 10 classes)
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.resources
import math
import operator
import os
import sys
import tempfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pooch
import requests
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["Dataset", "Split", "load"]


class Split(NamedTuple):
    """Inputs and labels of one part of a data set.

    ``x`` has one row for each example: float32 pixels in [0, 1], or standardized ones. ``y`` has the int64
    labels, 0 to ``n_classes - 1``; in a ``Split`` of your own it may hold real numbers to be predicted, such as
    ``Split(x, x)`` for an autoencoder.

    Example:
        >>> x, y = load("digits").test
        >>> x.shape, y.shape
        (torch.Size([597, 64]), torch.Size([597]))
    """

    x: Float[Tensor, "examples features"]
    y: Int[Tensor, " examples"] | Float[Tensor, "examples outputs"]

    def __repr__(self) -> str:
        return f"Split(x: {tuple(self.x.shape)} {self.x.dtype}, y: {tuple(self.y.shape)} {self.y.dtype})"


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A training, a validation and a test set that have no example in common.

    Attributes:
        name: the name that it was loaded by.
        train: what a network is fitted to.
        validation: what hyperparameters are chosen on.
        test: what errors are reported on; the same examples for every seed.
        n_classes: number of classes.
        image_shape: height and width in pixels; ``height * width`` is the number of features.
        noisy: which training labels were replaced by random ones. A random label may equal the true one.

    Example:
        >>> data = load("mnist_10k", train=500)
        >>> data.train.x.view(-1, *data.image_shape).shape
        torch.Size([500, 28, 28])
    """

    name: str
    train: Split
    validation: Split
    test: Split
    n_classes: int
    image_shape: tuple[int, int]
    noisy: Bool[Tensor, " examples"] = field(kw_only=True)

    def to(self, device: torch.device | str) -> Dataset:
        """Return the data set with all of its tensors on ``device``.

        Example:
            >>> load("digits").to("cpu").train.x.device
            device(type='cpu')
        """
        return replace(
            self,
            train=Split(*(tensor.to(device) for tensor in self.train)),
            validation=Split(*(tensor.to(device) for tensor in self.validation)),
            test=Split(*(tensor.to(device) for tensor in self.test)),
            noisy=self.noisy.to(device),
        )

    def __repr__(self) -> str:
        height, width = self.image_shape
        noise = f" ({int(self.noisy.sum())} with a random label)" if self.noisy.any() else ""
        return (
            f"Dataset({self.name!r}: {len(self.train.y)} training{noise}, "
            f"{len(self.validation.y)} validation, {len(self.test.y)} test; "
            f"{height} x {width} pixels, {self.n_classes} classes)"
        )


def load(
    name: str = "mnist_10k",
    *,
    train: int | None = None,
    seed: int = 0,
    validation: int | None = None,
    label_noise: float = 0.0,
    standardize: bool = False,
    folder: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Load a data set, split into training, validation and test examples.

    ============== ======== ====================== ==================== ==============================
    name           test     training + validation  default validation   where it comes from
    ============== ======== ====================== ==================== ==============================
    mnist_10k      4,000    6,000                  1,000                in the package
    fashion_10k    4,000    6,000                  1,000                in the package
    digits         597      1,200                  200                  in scikit-learn
    mnist          10,000   60,000                 10,000               ``folder``, or a download
    fashion_mnist  10,000   60,000                 10,000               ``folder``, or a download
    ============== ======== ====================== ==================== ==============================

    The test set is fixed. ``seed`` orders the other examples: training examples are taken from the front of
    that order and validation examples from its end. So with one seed a smaller training set is the beginning
    of a larger one, and neither of the two sets changes with the size of the other.

    Downloads are verified and kept in the user's cache folder, or in the folder that the environment variable
    ``DROPOUT_LESSONS_DATA`` names.

    Args:
        name: one of the names above.
        train: number of training examples; None takes all that are not used for validation.
        seed: orders the examples that are not test examples, and draws the label noise; an integer >= 0.
        validation: number of validation examples; None takes the data set's default.
        label_noise: fraction of the training labels, in [0, 1], that are replaced by labels drawn uniformly
            from all classes, the true one included. Their number is exact; of :math:`c` classes, a share of
            :math:`1/c` of them stays true on average. With the same seed and sizes, more noise keeps the
            random labels of less noise. Validation and test labels are never touched.
        standardize: give every feature mean 0 and standard deviation 1 over the training examples, and apply
            the same shift and scale to the other examples. Features that are constant in training become 0
            everywhere. Pixels that are almost constant in training, as at the border of MNIST's images, can
            be thousands of standard deviations away in the other examples.
        folder: where the four files of "mnist" or "fashion_mnist" are, compressed or not, for example
            ``train-images-idx3-ubyte.gz``; their content is verified.

    Returns:
        The data set, on the CPU.

    Raises:
        ValueError: an argument is out of its range, or a file in ``folder`` has the wrong content.
        FileNotFoundError: ``folder`` or one of its files does not exist.
        ConnectionError: no mirror gave a file with the right content.

    Example:
        >>> data = load("mnist_10k", train=1000, seed=3, label_noise=0.3)
        >>> data.train
        Split(x: (1000, 784) torch.float32, y: (1000,) torch.int64)
        >>> int(data.noisy.sum())
        300

    Source:
        MNIST: LeCun, Bottou, Bengio and Haffner (1998). Fashion-MNIST: Xiao, Rasul and Vollgraf (2017).
        mnist_10k and fashion_10k are the first 10,000 of their training examples. digits: Alpaydin and Kaynak
        (1998), UCI.
    """
    if name not in _SOURCES:
        raise ValueError(f"name must be one of {', '.join(map(repr, _SOURCES))}, got {name!r}")
    if folder is not None and name not in _SHA256:
        raise ValueError(f"folder must be None for {name!r}, which needs no files, got {os.fspath(folder)!r}")
    if operator.index(seed) < 0:
        raise ValueError(f"seed must be a non-negative integer, got {seed}")
    if not 0 <= label_noise <= 1:
        raise ValueError(f"label_noise must be in [0, 1], got {label_noise}; 0.3 replaces 30% of the labels")
    source = _SOURCES[name]
    raw = source.read(None if folder is None else Path(folder).expanduser())

    pool = len(raw.pool_labels)
    validation = source.validation if validation is None else operator.index(validation)
    if not 1 <= validation < pool:
        raise ValueError(
            f"validation must be between 1 and {pool - 1}, got {validation}; "
            f"{name!r} has {pool} examples that are not test examples"
        )
    left = pool - validation
    train = left if train is None else operator.index(train)
    if not 1 <= train <= left:
        raise ValueError(
            f"train must be between 1 and {left}, got {train}; {name!r} has {pool} examples that are not "
            f"test examples, and {validation} of them are used for validation"
        )

    order = np.random.default_rng(seed).permutation(pool)
    parts = {"train": order[:train], "validation": order[pool - validation :]}
    splits = {
        part: _tensors(raw.pool_images[chosen], raw.pool_labels[chosen], source.white) for part, chosen in parts.items()
    }
    splits["test"] = _tensors(raw.test_images, raw.test_labels, source.white)
    n_classes = 1 + int(max(raw.pool_labels.max(), raw.test_labels.max()))

    rng = np.random.default_rng([seed, 1])  # its own stream: noise does not change the split
    noisy = torch.from_numpy(rng.permutation(train) < round(label_noise * train))
    random_labels = torch.from_numpy(rng.integers(n_classes, size=train, dtype=np.int64))
    clean = splits["train"]
    splits["train"] = clean._replace(y=torch.where(noisy, random_labels, clean.y))

    if standardize:
        splits = _standardized(splits)
    height, width = raw.test_images.shape[1:]
    return Dataset(name, **splits, n_classes=n_classes, image_shape=(height, width), noisy=noisy)


def _tensors(images: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8], white: int) -> Split:
    x = torch.from_numpy(images.reshape(len(images), -1).astype(np.float32)).div_(white)
    return Split(x, torch.from_numpy(labels.astype(np.int64)))


def _standardized(splits: dict[str, Split]) -> dict[str, Split]:
    x = splits["train"].x
    std, mean = torch.std_mean(x, dim=0, correction=0)
    scale = torch.where(std > 0, 1 / std, 0.0)  # torch's running mean makes std exactly 0 for a constant
    return {part: split._replace(x=(split.x - mean) * scale) for part, split in splits.items()}


# ------------------------------------------------------------------------------------------------------------
# Where the data come from: pixels and labels as uint8.


class _Raw(NamedTuple):
    pool_images: npt.NDArray[np.uint8]
    pool_labels: npt.NDArray[np.uint8]
    test_images: npt.NDArray[np.uint8]
    test_labels: npt.NDArray[np.uint8]


class _Source(NamedTuple):
    read: Callable[[Path | None], _Raw]
    validation: int
    white: int  # the largest pixel value


def _read_embedded(folder: Path | None, *, name: str) -> _Raw:
    images, labels = _unpacked(name)
    return _Raw(images[:-4000], labels[:-4000], images[-4000:], labels[-4000:])


@cache  # a comparison loads the same 8 MB for every seed and arm, and unpacking is most of the time that takes
def _unpacked(name: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    archive = importlib.resources.files("dropout_lessons") / "data" / f"{name}.npz"
    with archive.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    images.flags.writeable = labels.flags.writeable = False
    return images, labels


def _read_digits(folder: Path | None) -> _Raw:
    from sklearn.datasets import load_digits  # half a second, which only this data set needs

    digits = load_digits()
    order = np.random.default_rng(2014).permutation(len(digits.target))  # the file is ordered by writer
    images, labels = digits.images[order].astype(np.uint8), digits.target[order].astype(np.uint8)
    return _Raw(images[:-597], labels[:-597], images[-597:], labels[-597:])


def _read_idx_files(folder: Path | None, *, name: str) -> _Raw:
    return _Raw(*(_parse_idx(_content(name, file, folder)) for file in _SHA256[name]))


_SOURCES = {
    "mnist_10k": _Source(partial(_read_embedded, name="mnist_10k"), validation=1_000, white=255),
    "fashion_10k": _Source(partial(_read_embedded, name="fashion_10k"), validation=1_000, white=255),
    "digits": _Source(_read_digits, validation=200, white=16),
    "mnist": _Source(partial(_read_idx_files, name="mnist"), validation=10_000, white=255),
    "fashion_mnist": _Source(partial(_read_idx_files, name="fashion_mnist"), validation=10_000, white=255),
}

# ------------------------------------------------------------------------------------------------------------
# Files. Wherever a file comes from, the SHA-256 of its uncompressed content decides whether it is used.

# In the order of the fields of _Raw.
_SHA256 = {
    "mnist": {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    "fashion_mnist": {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
}
_MIRRORS = {
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
}
_SYSTEM_FOLDERS = {"fashion_mnist": [Path("/usr/share/datasets/fashion-mnist")]}  # dataset-fashion-mnist, Debian
_MAX_BYTES = 2**26  # no file is larger: an end to what a hostile gzip stream can unpack to


def _content(name: str, file: str, folder: Path | None) -> bytes:
    """Return the verified content of a file: from the user's folder, or else the first place with it."""
    sha256 = _SHA256[name][file]
    if folder is not None:
        return _content_in_folder(folder, file, sha256)
    root = os.environ.get("DROPOUT_LESSONS_DATA") or pooch.os_cache("dropout-lessons")
    cache = Path(root).expanduser() / name
    for place in (*_SYSTEM_FOLDERS.get(name, []), cache):
        with suppress(OSError, ValueError):
            return _content_in_folder(place, file, sha256)
    return _download(name, file, sha256, cache)


def _content_in_folder(folder: Path, file: str, sha256: str) -> bytes:
    paths = [path for path in (folder / f"{file}.gz", folder / file) if path.is_file()]
    if not paths:
        problem = f"it has neither {file}.gz nor {file}" if folder.is_dir() else "there is no such folder"
        raise FileNotFoundError(f"folder must hold the data set's four files, got {str(folder)!r}: {problem}")
    try:
        return _verified(paths[0], sha256)
    except ValueError as error:
        raise ValueError(f"{paths[0]} is not the file of this data set: {error}") from error


def _verified(path: Path, sha256: str) -> bytes:
    """Return the uncompressed content of a file; ValueError where it is not the expected one."""
    content = path.read_bytes()
    if content.startswith(b"\x1f\x8b"):  # not told by the name: some servers unpack what they send
        try:
            with gzip.open(path) as stream:
                content = stream.read(_MAX_BYTES)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"damaged gzip file: {error}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ValueError(f"its uncompressed content ({len(content)} bytes) has SHA-256 {found}, not {sha256}")
    return content


def _download(name: str, file: str, sha256: str, cache: Path) -> bytes:
    """Return the content of a file from the first mirror that has the right one, and keep it in the cache."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        aside = tempfile.TemporaryDirectory(dir=cache, prefix="unverified-")
    except OSError as error:
        hint = "set DROPOUT_LESSONS_DATA to a folder that you may write to"
        raise OSError(f"the cache folder {cache} cannot be written to ({error}); {hint}") from error
    fetch = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=(10, 60))
    failures = []
    with aside as folder:
        path = Path(folder, f"{file}.gz")
        for mirror in _MIRRORS[name]:
            url = f"{mirror}{file}.gz"
            try:
                fetch(url, str(path), None)
                content = _verified(path, sha256)
            except (requests.RequestException, ValueError) as error:
                failures.append(f"\n  {url}: {error}")
                continue
            with suppress(PermissionError):  # Windows: another process is reading the same verified file
                os.replace(path, cache / path.name)
            return content
    raise ConnectionError(
        f"could not download {file}.gz of {name!r}:{''.join(failures)}\n"
        f'load("{name.removesuffix("_mnist")}_10k") needs no network; load("{name}", folder=...) reads files that you have.'
    )


def _parse_idx(content: bytes) -> npt.NDArray[np.uint8]:
    """Return the array of an IDX file: two zero bytes, type, number of axes, sizes (big-endian), values."""
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise ValueError(f"not an IDX file of unsigned bytes: begins with {content[:3].hex(' ')}, not 00 00 08")
    values_at = 4 + 4 * content[3]
    if len(content) < values_at:
        raise ValueError(f"IDX file ends in its header: {len(content)} bytes, expected at least {values_at}")
    shape = tuple(int(size) for size in np.frombuffer(content[4:values_at], dtype=">u4"))
    values = np.frombuffer(content, dtype=np.uint8, offset=values_at)
    if len(values) != math.prod(shape):
        raise ValueError(f"IDX file has {len(values)} values, but its header says {shape}")
    return values.reshape(shape)
