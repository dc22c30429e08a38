"""Load a data set, split it, and spoil its labels where asked to."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from dropout_lessons import runtime
from dropout_lessons.arguments import check_choice, check_count, check_number, is_count
from dropout_lessons.datasets.dataset import Dataset, Split
from dropout_lessons.datasets.files import FILES
from dropout_lessons.datasets.sources import SOURCES


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
    breast_cancer  269      300                    100                  in scikit-learn; a table, no image
    mnist          10,000   60,000                 10,000               ``folder``, or a download
    fashion_mnist  10,000   60,000                 10,000               ``folder``, or a download
    cifar10        10,000   50,000                 10,000               ``folder``, or a download (170 MB)
    svhn           26,032   73,257                 6,000                ``folder``, or a download (246 MB)
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
        folder: where the files of a data set are that is not in the package; their content is verified. "mnist" and
            "fashion_mnist" are four files such as ``train-images-idx3-ubyte.gz``, compressed or not; "cifar10" is
            ``cifar-10-binary.tar.gz``; "svhn" is ``train_32x32.mat`` and ``test_32x32.mat``.

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
        (1998), UCI. breast_cancer: Street, Wolberg and Mangasarian (1993), UCI; its 30 columns are of very different size:
        standardize them. CIFAR-10: Krizhevsky (2009). SVHN: Netzer, Wang, Coates, Bissacco, Wu and Ng (2011); its 531,131
        extra images, which the paper trained on as well, are left out.
    """
    check_choice("name", name, tuple(SOURCES))
    if folder is not None and name not in FILES:
        raise ValueError(f"folder must be None for {name!r}, which needs no files, got {os.fspath(folder)!r}")
    check_count("seed", seed, at_least=0)
    check_number("label_noise", label_noise, "in [0, 1], such as 0.3 for 30% of the labels", at_least=0, at_most=1)
    source = SOURCES[name]
    raw = source.read(None if folder is None else Path(folder).expanduser())

    pool = len(raw.pool_labels)
    validation = source.validation if validation is None else validation
    if not is_count(validation, at_least=1, at_most=pool - 1):
        raise ValueError(
            f"validation must be between 1 and {pool - 1}, got {validation!r}; "
            f"{name!r} has {pool} examples that are not test examples"
        )
    left = pool - validation
    train = left if train is None else train
    if not is_count(train, at_least=1, at_most=left):
        raise ValueError(
            f"train must be between 1 and {left}, got {train!r}; {name!r} has {pool} examples that are not "
            f"test examples, and {validation} of them are used for validation"
        )

    order = np.random.default_rng(runtime.seed(seed)).permutation(pool)
    parts = {"train": order[:train], "validation": order[pool - validation :]}
    splits = {
        part: _tensors(raw.pool_images[chosen], raw.pool_labels[chosen], source.white) for part, chosen in parts.items()
    }
    splits["test"] = _tensors(raw.test_images, raw.test_labels, source.white)
    n_classes = 1 + int(max(raw.pool_labels.max(), raw.test_labels.max()))

    rng = np.random.default_rng([runtime.seed(seed), 1])  # its own stream: noise does not change the split
    noisy = torch.from_numpy(rng.permutation(train) < round(label_noise * train))
    random_labels = torch.from_numpy(rng.integers(n_classes, size=train, dtype=np.int64))
    clean = splits["train"]
    splits["train"] = clean._replace(y=torch.where(noisy, random_labels, clean.y))

    if standardize:
        splits = _standardized(splits)
    return Dataset(name, **splits, n_classes=n_classes, image_shape=raw.test_images.shape[1:], noisy=noisy)


def _tensors(
    images: npt.NDArray[np.uint8] | npt.NDArray[np.float64], labels: npt.NDArray[np.uint8], white: int
) -> Split:
    x = torch.from_numpy(images.reshape(len(images), -1).astype(np.float32)).div_(white)
    return Split(x, torch.from_numpy(labels.astype(np.int64)))


def _standardized(splits: dict[str, Split]) -> dict[str, Split]:
    x = splits["train"].x
    std, mean = torch.std_mean(x, dim=0, correction=0)
    scale = torch.where(std > 0, 1 / std, 0.0)  # torch's running mean makes std exactly 0 for a constant
    return {part: split._replace(x=(split.x - mean) * scale) for part, split in splits.items()}
