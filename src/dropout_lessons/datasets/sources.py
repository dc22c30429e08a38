"""Where the data come from: pixels, or the numbers of a table, and labels."""

from __future__ import annotations

import importlib.resources
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dropout_lessons.datasets.files import FILES, content
from dropout_lessons.datasets.formats import parse_cifar10, parse_idx, parse_svhn


class Raw(NamedTuple):
    """Images (examples, height, width) or (examples, channels, height, width), or rows (examples, 1, numbers); their labels."""

    pool_images: npt.NDArray[np.uint8] | npt.NDArray[np.float64]
    pool_labels: npt.NDArray[np.uint8]
    test_images: npt.NDArray[np.uint8] | npt.NDArray[np.float64]
    test_labels: npt.NDArray[np.uint8]


class Source(NamedTuple):
    """How a data set is read, from the user's folder if there is one, and what it is like."""

    read: Callable[[Path | None], Raw]
    validation: int
    white: int  # the largest pixel value


def read_embedded(folder: Path | None, *, name: str) -> Raw:
    images, labels = _unpacked(name)
    return Raw(images[:-4000], labels[:-4000], images[-4000:], labels[-4000:])


@cache  # a comparison loads the same 8 MB for every seed and arm, and unpacking is most of the time that takes
def _unpacked(name: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    archive = importlib.resources.files("dropout_lessons") / "data" / f"{name}.npz"
    with archive.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    images.flags.writeable = labels.flags.writeable = False
    return images, labels


def read_digits(folder: Path | None) -> Raw:
    from sklearn.datasets import load_digits  # half a second, which only this data set needs

    digits = load_digits()
    order = np.random.default_rng(2014).permutation(len(digits.target))  # the file is ordered by writer
    images, labels = digits.images[order].astype(np.uint8), digits.target[order].astype(np.uint8)
    return Raw(images[:-597], labels[:-597], images[-597:], labels[-597:])


def read_breast_cancer(folder: Path | None) -> Raw:
    from sklearn.datasets import load_breast_cancer

    tumors = load_breast_cancer()
    order = np.random.default_rng(2014).permutation(len(tumors.target))
    rows, labels = tumors.data[order][:, None], tumors.target[order].astype(np.uint8)
    return Raw(rows[:-269], labels[:-269], rows[-269:], labels[-269:])


def read_idx_files(folder: Path | None, *, name: str) -> Raw:
    return Raw(*(parse_idx(content(name, file, folder)) for file in FILES[name]))


def read_cifar10(folder: Path | None) -> Raw:
    (archive,) = FILES["cifar10"]
    return Raw(*parse_cifar10(content("cifar10", archive, folder)))


def read_svhn(folder: Path | None) -> Raw:
    train, test = FILES["svhn"]
    return Raw(*parse_svhn(content("svhn", train, folder)), *parse_svhn(content("svhn", test, folder)))


SOURCES = {
    "mnist_10k": Source(partial(read_embedded, name="mnist_10k"), validation=1_000, white=255),
    "fashion_10k": Source(partial(read_embedded, name="fashion_10k"), validation=1_000, white=255),
    "digits": Source(read_digits, validation=200, white=16),
    "breast_cancer": Source(read_breast_cancer, validation=100, white=1),
    "mnist": Source(partial(read_idx_files, name="mnist"), validation=10_000, white=255),
    "fashion_mnist": Source(partial(read_idx_files, name="fashion_mnist"), validation=10_000, white=255),
    "cifar10": Source(read_cifar10, validation=10_000, white=255),
    "svhn": Source(read_svhn, validation=6_000, white=255),
}
