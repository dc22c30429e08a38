"""Data sets: splits that depend on their arguments alone, and downloads that survive bad luck."""

import gzip
import hashlib
import http.server
import importlib.resources
import io
import json
import random
import re
import subprocess
import sys
import tarfile
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.io import savemat
from scipy.stats import chisquare
from sklearn.datasets import load_breast_cancer, load_digits

from dropout_lessons import datasets
from dropout_lessons.datasets import files, formats, load, loading, sources
from dropout_lessons.datasets.files import File

unhurried = settings(deadline=None)  # a busy machine is no failure
FASHION = Path("/usr/share/datasets/fashion-mnist")


def same(a: datasets.Split, b: datasets.Split) -> bool:
    return torch.equal(a.x, b.x) and torch.equal(a.y, b.y)


# ------------------------------------------------------------------------------------------------------------
# What is in the data sets


def embedded(name: str) -> tuple[np.ndarray, np.ndarray]:
    with (importlib.resources.files("dropout_lessons") / "data" / f"{name}.npz").open("rb") as stream:
        arrays = np.load(stream, allow_pickle=False)
        return arrays["images"], arrays["labels"]


@pytest.mark.parametrize(
    ("name", "sha256", "class_sizes"),
    [
        (
            "mnist_10k",
            "8286fd496b49029178daa94f8d0ab36ee35c3fdd23ee9433ed97ccfa24129fa0",
            [1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978],
        ),
        (
            "fashion_10k",
            "e811e5a95e6d3243583426d06aee8bfe2400ea8a99984a9a96d73dff54a6abe1",
            [942, 1027, 1016, 1019, 974, 989, 1021, 1022, 990, 1000],
        ),
    ],
)
def test_the_embedded_arrays_never_change(name, sha256, class_sizes):
    images, labels = embedded(name)
    assert (images.shape, images.dtype, labels.dtype) == ((10_000, 28, 28), np.uint8, np.uint8)
    assert np.bincount(labels).tolist() == class_sizes
    assert hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest() == sha256


@pytest.mark.skipif(not FASHION.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")
def test_fashion_10k_is_the_shuffled_beginning_of_fashion_mnists_training_set():
    raw = sources.read_idx_files(FASHION, name="fashion_mnist")
    order = np.random.default_rng(2014).permutation(10_000)
    images, labels = embedded("fashion_10k")
    np.testing.assert_array_equal(images, raw.pool_images[order])
    np.testing.assert_array_equal(labels, raw.pool_labels[order])


@pytest.mark.parametrize("name", ["mnist_10k", "fashion_10k"])
def test_an_embedded_set_holds_each_of_its_images_once_and_ends_with_the_test_set(name):
    images, labels = embedded(name)
    images = images.reshape(10_000, 784)
    data = load(name, seed=5)
    assert torch.equal(data.test.x, torch.from_numpy(images[6000:] / np.float32(255)))
    assert torch.equal(data.test.y, torch.from_numpy(labels[6000:].astype(np.int64)))
    pixels = torch.cat([data.train.x, data.validation.x]).mul(255).round().numpy().astype(np.uint8)
    classes = torch.cat([data.train.y, data.validation.y]).numpy()
    found = sorted((row.tobytes(), label) for row, label in zip(pixels, classes, strict=True))
    assert found == sorted((row.tobytes(), label) for row, label in zip(images[:6000], labels[:6000], strict=True))


def test_digits_holds_each_image_of_scikit_learn_once():
    data, digits = load("digits"), load_digits()
    x = torch.cat([data.train.x, data.validation.x, data.test.x]).mul(16).numpy()
    y = torch.cat([data.train.y, data.validation.y, data.test.y]).numpy()
    found = sorted((row.tobytes(), label) for row, label in zip(x, y, strict=True))
    expected = digits.data.astype(np.float32)
    assert found == sorted((row.tobytes(), label) for row, label in zip(expected, digits.target, strict=True))


def test_breast_cancer_holds_each_tumor_of_scikit_learn_once_and_can_be_standardized():
    data, tumors = load("breast_cancer"), load_breast_cancer()
    assert (data.n_classes, data.image_shape, [len(part.y) for part in (data.train, data.validation, data.test)]) == (
        2,
        (1, 30),
        [200, 100, 269],
    )
    x = torch.cat([data.train.x, data.validation.x, data.test.x]).numpy()
    y = torch.cat([data.train.y, data.validation.y, data.test.y]).numpy()
    found = sorted((row.tobytes(), label) for row, label in zip(x, y, strict=True))
    expected = tumors.data.astype(np.float32)
    assert found == sorted((row.tobytes(), label) for row, label in zip(expected, tumors.target, strict=True))
    standard = load("breast_cancer", standardize=True)
    assert standard.train.x.mean(0).abs().max() < 1e-4  # single precision, columns of up to 4,000
    assert torch.allclose(standard.train.x.std(0, correction=0), torch.ones(30), atol=1e-4)


def test_digits_test_set_mixes_the_writers():
    # The file is in order of writers; a test set taken from its end would have a mean position of 1498.
    digits, test = load_digits(), load("digits").test
    position = {row.tobytes(): i for i, row in enumerate(digits.data.astype(np.float32))}
    found = np.mean([position[row.tobytes()] for row in test.x.mul(16).numpy()])
    n, total = len(test.y), len(digits.target)
    sigma = np.sqrt((total + 1) * (total - n) / (12 * n))  # mean of n of the numbers 0..total-1, no replacement
    assert abs(found - (total - 1) / 2) < 4 * sigma


@pytest.mark.parametrize(
    ("name", "sizes", "image_shape"),
    [
        ("mnist_10k", (5000, 1000, 4000), (28, 28)),
        ("fashion_10k", (5000, 1000, 4000), (28, 28)),
        ("digits", (1000, 200, 597), (8, 8)),
    ],
)
def test_default_sizes_types_and_ranges(name, sizes, image_shape):
    data = load(name)
    assert (data.name, data.n_classes, data.image_shape) == (name, 10, image_shape)
    assert (len(data.train.y), len(data.validation.y), len(data.test.y)) == sizes
    for x, y in (data.train, data.validation, data.test):
        assert x.shape == (len(y), image_shape[0] * image_shape[1])
        assert (x.dtype, y.dtype) == (torch.float32, torch.int64)
        assert (x.min(), x.max()) == (0, 1)
        assert set(y.tolist()) == set(range(10))


def test_the_default_data_set_is_mnist_10k():
    assert same(load(train=10).train, load("mnist_10k", train=10).train)


def test_the_licenses_of_the_embedded_data_are_shipped_beside_them():
    notice = (importlib.resources.files("dropout_lessons") / "data" / "NOTICE.txt").read_text(encoding="utf-8")
    mnist, fashion = notice.split("fashion_10k.npz: ")
    for credit in ("LeCun", "Cortes", "CC BY-SA 3.0", "https://creativecommons.org/licenses/by-sa/3.0/"):
        assert credit in mnist
    for credit in (
        "Copyright © 2017 Zalando SE",
        "MIT License",
        "The above copyright notice and this permission notice",
    ):
        assert credit in fashion


@pytest.mark.skipif(not FASHION.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")
def test_the_real_fashion_mnist_has_7000_images_of_each_class():
    with mock.patch("requests.get", side_effect=AssertionError("downloaded")):
        data = load("fashion_mnist")
    assert repr(data) == (
        "Dataset('fashion_mnist': 50000 training, 10000 validation, 10000 test; 28 x 28 pixels, 10 classes)"
    )
    assert torch.cat([data.train.y, data.validation.y]).bincount().tolist() == [6000] * 10
    assert data.test.y.bincount().tolist() == [1000] * 10
    trousers, bags = (data.train.x[data.train.y == c].view(-1, 28, 28) for c in (1, 8))
    assert trousers[:, :, 10:18].mean() > trousers[:, :, :4].mean() * 10  # a narrow upright shape
    assert bags.mean(0)[:, :4].mean() > trousers.mean(0)[:, :4].mean()


# ------------------------------------------------------------------------------------------------------------
# Splits, on a data set whose images are their own numbers

POOL, TEST = 700, 50


def numbered(folder: Path | None) -> sources.Raw:
    """Image i is the two bytes of i, its label i mod 10; the test images are the last ones."""
    number = np.arange(POOL + TEST)
    images = np.stack([number // 256, number % 256], axis=1).reshape(-1, 2, 1).astype(np.uint8)
    labels = (number % 10).astype(np.uint8)
    return sources.Raw(images[:POOL], labels[:POOL], images[POOL:], labels[POOL:])


def numbers(split: datasets.Split) -> list[int]:
    high, low = split.x.mul(255).round().long().T
    return (256 * high + low).tolist()


@pytest.fixture(autouse=True, scope="module")
def _numbered_data_set() -> Iterator[None]:
    source = sources.Source(numbered, validation=100, white=255)
    with mock.patch.dict(loading.SOURCES, numbered=source):
        yield


seeds = st.integers(0, 2**40)
sizes = st.integers(1, POOL // 2)


@unhurried
@given(seeds, sizes, sizes)
def test_no_example_is_in_two_splits(seed, train, validation):
    data = load("numbered", seed=seed, train=train, validation=validation)
    trained, validated, tested = numbers(data.train), numbers(data.validation), numbers(data.test)
    assert (len(trained), len(validated), len(tested)) == (train, validation, TEST)
    assert len({*trained, *validated}) == train + validation
    assert max(trained + validated) < POOL
    assert tested == list(range(POOL, POOL + TEST))
    for split in (data.train, data.validation, data.test):
        assert split.y.tolist() == [number % 10 for number in numbers(split)]


@unhurried
@given(seeds, sizes, sizes, sizes, sizes)
def test_training_sets_of_one_seed_are_nested_and_validation_sets_too(seed, train, more, validation, other):
    small = load("numbered", seed=seed, train=train, validation=validation)
    large = load("numbered", seed=seed, train=max(train, more), validation=validation)
    assert numbers(large.train)[:train] == numbers(small.train)
    assert same(large.validation, small.validation)
    varied = load("numbered", seed=seed, train=train, validation=other)
    assert same(varied.train, small.train)
    assert set(numbers(varied.validation)) <= set(numbers(small.validation)) or other > validation


@unhurried
@given(seeds, seeds, st.floats(0, 1), st.booleans())
def test_a_load_neither_sees_nor_leaves_a_trace_of_other_randomness(seed, other, label_noise, standardize):
    arguments = {"seed": seed, "train": 200, "label_noise": label_noise, "standardize": standardize}
    first = load("numbered", **arguments)
    load("numbered", seed=other, label_noise=1.0)
    torch.manual_seed(other)
    random.seed(other)
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    second = load("numbered", **arguments)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), np.random.get_state()[1].tobytes()) == states[1:]  # noqa: NPY002
    assert same(first.train, second.train)
    assert same(first.validation, second.validation)
    assert same(first.test, second.test)
    assert torch.equal(first.noisy, second.noisy)


def test_every_example_is_a_training_example_for_some_seed():
    seen = [numbers(load("numbered", seed=seed, train=POOL // 2).train) for seed in range(30)]
    assert {number for one in seen for number in one} == set(range(POOL))  # missing one: 700 / 2^30
    assert len({tuple(one) for one in seen}) == 30


def test_splits_and_noise_are_the_same_on_every_machine_and_with_every_numpy():
    data = load("numbered", seed=2014, label_noise=0.5)
    assert numbers(data.train)[:8] == SPLIT_OF_SEED_2014
    assert data.train.y[:8].tolist() == LABELS_OF_SEED_2014
    assert load("digits").test.y[:12].tolist() == FIRST_DIGITS


# Recorded once: numpy may change its streams, and results that were published would change silently.
SPLIT_OF_SEED_2014 = [117, 622, 348, 109, 698, 648, 14, 522]
LABELS_OF_SEED_2014 = [7, 0, 8, 3, 8, 8, 8, 2]
FIRST_DIGITS = [4, 1, 1, 7, 1, 5, 3, 9, 8, 6, 8, 6]


# ------------------------------------------------------------------------------------------------------------
# Label noise


@unhurried
@given(seeds, st.integers(1, 600), st.floats(0, 1))
def test_label_noise_replaces_an_exact_number_of_training_labels_and_nothing_else(seed, train, label_noise):
    clean = load("numbered", seed=seed, train=train)
    data = load("numbered", seed=seed, train=train, label_noise=label_noise)
    assert not clean.noisy.any()
    assert abs(data.noisy.sum().item() - label_noise * train) <= 0.5
    assert torch.equal(data.train.y[~data.noisy], clean.train.y[~data.noisy])
    assert torch.equal(data.train.x, clean.train.x)
    assert same(data.validation, clean.validation)
    assert same(data.test, clean.test)


@unhurried
@given(seeds, st.floats(0, 1), st.floats(0, 1))
def test_more_noise_keeps_the_random_labels_of_less(seed, a, b):
    less, more = (load("numbered", seed=seed, label_noise=noise) for noise in sorted((a, b)))
    assert more.noisy[less.noisy].all()
    assert torch.equal(less.train.y[less.noisy], more.train.y[less.noisy])


def test_random_labels_are_uniform_over_all_classes_and_independent_of_the_true_ones():
    clean, data = (load("mnist_10k", seed=1, label_noise=noise).train.y for noise in (0.0, 1.0))
    pairs = torch.bincount(10 * clean + data, minlength=100).view(10, 10).double()
    expected = pairs.sum(1, keepdim=True).expand(10, 10) / 10
    assert chisquare(pairs.flatten(), expected.flatten(), ddof=9).pvalue > 1e-4  # row sums are given


def test_noisy_examples_are_spread_evenly_over_the_training_set():
    noisy = load("mnist_10k", seed=1, label_noise=0.3).noisy
    first = noisy[:2500].sum().item()  # hypergeometric: 2500 drawn of 5000, 1500 of them noisy
    assert abs(first - 750) < 4 * np.sqrt(750 * 0.7 * 2500 / 4999)


# ------------------------------------------------------------------------------------------------------------
# Standardization


@pytest.mark.parametrize("name", ["digits", "mnist_10k"])
def test_standardize_uses_mean_and_standard_deviation_of_the_training_examples_alone(name):
    plain, data = (load(name, train=300, standardize=on) for on in (False, True))
    x = plain.train.x.double().numpy()
    varies = x.min(0) < x.max(0)
    assert 0 < varies.sum() < x.shape[1]  # both cases occur
    for part in ("train", "validation", "test"):
        split, original = getattr(data, part), getattr(plain, part)
        expected = (original.x.double().numpy() - x.mean(0))[:, varies] / x.std(0)[varies]
        # float32: relative error of std near 1e-5 where a pixel is set in one image of 300
        np.testing.assert_allclose(split.x[:, varies].double().numpy(), expected, rtol=1e-4, atol=1e-4)
        assert (split.x[:, ~varies] == 0).all()
        assert torch.equal(split.y, original.y)


@unhurried
@given(hnp.arrays(np.uint8, (40, 2, 2)), st.integers(0, 255))
def test_standardized_inputs_are_finite_whatever_is_constant(images, constant):
    images[:, 0, 0] = constant
    images[30:, 0, 0] = 255 - constant  # the test images differ where the training images do not
    labels = np.arange(40, dtype=np.uint8) % 10
    raw = sources.Raw(images[:30], labels[:30], images[30:], labels[30:])
    source = sources.Source(lambda folder: raw, validation=5, white=255)
    with mock.patch.dict(loading.SOURCES, drawn=source):
        data = load("drawn", standardize=True)
    for x, _ in (data.train, data.validation, data.test):
        assert x.isfinite().all()
        assert (x[:, 0] == 0).all()
    assert (data.train.x.mean(0).abs() < 1e-4).all()


@pytest.mark.parametrize("examples", [2, 77, 1000, 4999])
def test_a_constant_pixel_standardizes_to_zero_at_every_gray_level_and_size(examples):
    x = (torch.arange(256) / 255).expand(examples, 256).contiguous()
    split = datasets.Split(x, torch.zeros(examples, dtype=torch.int64))
    assert (loading._standardized({"train": split})["train"].x == 0).all()


def test_one_training_example_standardizes_to_zero():
    assert (load("digits", train=1, standardize=True).train.x == 0).all()


# ------------------------------------------------------------------------------------------------------------
# The object


def test_repr_is_one_line_and_counts_the_random_labels():
    data = load("digits", train=100, label_noise=0.25)
    assert repr(data) == (
        "Dataset('digits': 100 training (25 with a random label), 200 validation, 597 test; 8 x 8 pixels, 10 classes)"
    )
    assert repr(data.test) == "Split(x: (597, 64) torch.float32, y: (597,) torch.int64)"


def test_to_moves_every_tensor_and_leaves_the_original():
    data = load("digits")
    moved = data.to("meta")
    tensors = [*moved.train, *moved.validation, *moved.test, moved.noisy]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert (moved.name, moved.n_classes, moved.image_shape) == ("digits", 10, (8, 8))
    assert data.train.x.device.type == "cpu"
    with pytest.raises(AttributeError):
        data.name = "other"


# ------------------------------------------------------------------------------------------------------------
# Bad arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "cifar"}, r"name must be one of \['mnist_10k', 'fashion_10k', 'digits', .*\], got 'cifar'"),
        ({"train": 5001}, r"train must be between 1 and 5000, got 5001; 'mnist_10k' has 6000 .* 1000 of them"),
        ({"train": 0}, "train must be between 1 and 5000, got 0"),
        ({"train": -1}, "train must be between 1 and 5000, got -1"),
        ({"validation": 0}, "validation must be between 1 and 5999, got 0"),
        ({"validation": 6000}, "validation must be between 1 and 5999, got 6000"),
        ({"train": 5000, "validation": 1001}, "train must be between 1 and 4999, got 5000"),
        ({"label_noise": 1.1}, r"label_noise must be in \[0, 1\], such as 0.3 for 30% of the labels, got 1.1"),
        ({"label_noise": -0.1}, r"label_noise must be in \[0, 1\], .*, got -0.1"),
        ({"label_noise": float("nan")}, r"label_noise must be in \[0, 1\], .*, got nan"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"folder": "here"}, "folder must be None for 'mnist_10k', which needs no files, got 'here'"),
    ],
)
def test_arguments_out_of_range_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        load(**arguments)


@pytest.mark.parametrize("arguments", [{"train": 10.0}, {"validation": 0.5}, {"seed": None}])
def test_counts_and_seeds_must_be_integers(arguments):
    with pytest.raises(ValueError, match="must be "):
        load(**arguments)


# ------------------------------------------------------------------------------------------------------------
# Files and downloads: a small data set in the format of MNIST, and a server with every fault


def idx(array: np.ndarray) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


rng = np.random.default_rng(0)
ARRAYS = {
    "train-images-idx3-ubyte": rng.integers(256, size=(60, 20, 20), dtype=np.uint8),
    "train-labels-idx1-ubyte": np.arange(60, dtype=np.uint8) % 10,
    "t10k-images-idx3-ubyte": rng.integers(256, size=(20, 20, 20), dtype=np.uint8),
    "t10k-labels-idx1-ubyte": np.arange(20, dtype=np.uint8) % 10,
}
CONTENT = {file: idx(array) for file, array in ARRAYS.items()}
FILES = [
    File(file, len(content), hashlib.sha256(content).hexdigest(), gzipped=True) for file, content in CONTENT.items()
]
FIRST = "train-images-idx3-ubyte"


def cifar_archive(batches: dict[str, np.ndarray]) -> bytes:
    """An archive in the format of CIFAR-10's, with another file before and after the batches."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in (
            ("cifar-10-batches-bin/readme.html", b"<html></html>"),
            *((f"cifar-10-batches-bin/{name}.bin", batch.tobytes()) for name, batch in batches.items()),
            ("elsewhere/test_batch.bin", b"another"),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def svhn_file(images: np.ndarray, labels: np.ndarray) -> bytes:
    """A file in the format of SVHN's: examples on the last axis, labels in a column, 10 for the digit 0."""
    packed = io.BytesIO()
    digits = np.where(labels == 0, 10, labels).astype(np.uint8)[:, np.newaxis]
    savemat(packed, {"X": images.transpose(2, 3, 1, 0), "y": digits}, do_compression=True)
    return packed.getvalue()


COLOR = {
    name: (rng.integers(256, size=(n, 3, 32, 32), dtype=np.uint8), np.arange(n, dtype=np.uint8) % 10)
    for name, n in (("pool", 100), ("test", 20))
}
BATCHES = {
    f"data_batch_{i + 1}": np.hstack([COLOR["pool"][1][rows, np.newaxis], COLOR["pool"][0][rows].reshape(20, -1)])
    for i, rows in enumerate(slice(20 * k, 20 * k + 20) for k in range(5))
} | {"test_batch": np.hstack([COLOR["test"][1][:, np.newaxis], COLOR["test"][0].reshape(20, -1)])}
ARCHIVES = {
    "cifar-10-binary.tar.gz": cifar_archive(BATCHES),
    "train_32x32.mat": svhn_file(*COLOR["pool"]),
    "test_32x32.mat": svhn_file(*COLOR["test"]),
}


class Server(http.server.ThreadingHTTPServer):
    """Serves the files at /FAULT/FILE.gz and keeps the paths that were asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.paths: list[str] = []
        self.both_are_here = threading.Barrier(2)
        self.half_is_sent = threading.Event()
        self.closing = threading.Event()

    def mirror(self, fault: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{fault}/"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        _, fault, name = self.path.split("/")
        file = name.removesuffix(".gz")
        body = ARCHIVES[name] if name in ARCHIVES else gzip.compress(CONTENT[file])
        headers = {}
        if fault == "missing":
            self.send_error(404)
            return
        if fault == "other":  # a file of the right format with other values
            body = bytes(reversed(body)) if name in ARCHIVES else gzip.compress(bytes(reversed(CONTENT[file])))
        elif fault == "flipped":
            body = body[:50] + bytes([body[50] ^ 1]) + body[51:]
        elif fault == "garbled":
            body = body[:10] + b"\xff" * (len(body) - 10)
        elif fault == "truncated":
            body = body[: len(body) // 2]
        elif fault == "page":  # what a hotel's network answers to everything
            body = b"<html>Please log in</html>"
        elif fault == "bomb":
            body = gzip.compress(bytes(2**26), compresslevel=1)
        elif fault == "unpacked":  # the client unpacks it, and the file that it saves is plain
            headers["Content-Encoding"] = "gzip"
        elif fault == "together" and file == FIRST:
            self.server.both_are_here.wait(timeout=120)
        length = 2 * len(body) if fault in ("cut", "stalled") else len(body)
        self.send_response(200)
        for key, value in {**headers, "Content-Length": str(length)}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)
        if fault == "stalled":
            self.wfile.flush()
            self.server.half_is_sent.set()
            self.server.closing.wait(timeout=120)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.closing.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """The folder that "mnist" is cached in; the data set itself is the small one."""
    monkeypatch.setenv("DROPOUT_LESSONS_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setitem(files.FILES, "mnist", FILES)
    return tmp_path / "cache" / "mnist"


@pytest.fixture
def use(monkeypatch, server):
    """Sets the mirrors of "mnist" to the server's, one for each of the faults."""

    def use(*faults: str) -> list[str]:
        mirrors = [server.mirror(fault) for fault in faults]
        monkeypatch.setitem(files.MIRRORS, "mnist", tuple(mirrors))
        return mirrors

    return use


def assert_is_the_small_data_set(data: datasets.Dataset) -> None:
    test = ARRAYS["t10k-images-idx3-ubyte"].reshape(20, 400) / np.float32(255)
    assert torch.equal(data.test.x, torch.from_numpy(test))
    assert data.test.y.tolist() == ARRAYS["t10k-labels-idx1-ubyte"].tolist()
    images = ARRAYS[FIRST].reshape(60, 400) / np.float32(255)
    label = {row.tobytes(): i % 10 for i, row in enumerate(images)}
    assert [label[row.tobytes()] for row in data.train.x.numpy()] == data.train.y.tolist()
    assert data.image_shape == (20, 20)


def assert_cache_is_right(cache: Path) -> None:
    assert {path.name for path in cache.iterdir()} == {f"{file}.gz" for file in CONTENT}
    for file, content in CONTENT.items():
        packed = (cache / f"{file}.gz").read_bytes()
        assert (gzip.decompress(packed) if packed.startswith(b"\x1f\x8b") else packed) == content


def small() -> datasets.Dataset:
    return load("mnist", validation=10)


def test_a_download_is_cached_and_not_repeated(cache, server, use):
    use("right")
    assert_is_the_small_data_set(small())
    assert_cache_is_right(cache)
    assert server.paths == [f"/right/{file}.gz" for file in CONTENT]
    assert_is_the_small_data_set(small())
    assert len(server.paths) == 4


FAULTS = {
    "missing": "404",
    "other": "SHA-256",
    "flipped": "damaged gzip file: CRC check failed",
    "garbled": "damaged gzip file: .*invalid block type",
    "truncated": "damaged gzip file: Compressed file ended",
    "cut": "IncompleteRead|damaged gzip file",
    "page": r"content \(26 bytes\) has SHA-256",
    "bomb": rf"\(more than {len(CONTENT[FIRST])} bytes\) has SHA-256",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_next_mirror_makes_up_for_a_faulty_one(cache, server, use, fault):
    use(fault, "right")
    assert_is_the_small_data_set(small())
    assert_cache_is_right(cache)
    assert server.paths[:2] == [f"/{fault}/{FIRST}.gz", f"/right/{FIRST}.gz"]


@pytest.mark.parametrize("pack", [bytes, lambda content: gzip.compress(content, compresslevel=1)])
def test_no_more_of_a_file_is_read_than_it_should_hold(tmp_path, pack):
    path = tmp_path / FIRST
    path.write_bytes(pack(bytes(2**26)))
    tracemalloc.start()
    with pytest.raises(ValueError, match=f"more than {len(CONTENT[FIRST])} bytes"):
        files._verified(path, FILES[0])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**23


def test_an_error_names_each_url_its_reason_and_the_ways_out(cache, use):
    mirrors = use(*FAULTS)
    with pytest.raises(ConnectionError) as caught:
        small()
    first, *reasons, last = str(caught.value).splitlines()
    assert first == f"could not download {FIRST}.gz of 'mnist':"
    for mirror, reason, expected in zip(mirrors, reasons, FAULTS.values(), strict=True):
        assert reason.startswith(f"  {mirror}{FIRST}.gz: ")
        assert re.search(expected, reason)
    assert 'load("mnist_10k")' in last
    assert 'load("mnist", folder=...)' in last
    assert list(cache.iterdir()) == []


def test_offline_is_one_clear_error(cache, server, monkeypatch):
    monkeypatch.setitem(files.MIRRORS, "mnist", ("http://127.0.0.1:9/", "http://host.invalid/"))
    monkeypatch.setenv("no_proxy", "127.0.0.1,host.invalid")
    with pytest.raises(ConnectionError, match=r"127.0.0.1:9/.*\n.*host.invalid/.*\n.*needs no network"):
        small()


def test_a_server_that_unpacks_what_it_sends_does_no_harm(cache, server, use):
    use("unpacked")
    assert_is_the_small_data_set(small())
    assert_is_the_small_data_set(small())
    assert_cache_is_right(cache)
    assert len(server.paths) == 4


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped", "other"])
def test_a_damaged_file_in_the_cache_is_downloaded_again(cache, server, use, damage):
    use("right")
    small()
    path = cache / f"{FIRST}.gz"
    packed = path.read_bytes()
    path.write_bytes(
        {
            "truncated": packed[:-100],
            "empty": b"",
            "flipped": packed[:-6] + bytes([packed[-6] ^ 255]) + packed[-5:],
            "other": gzip.compress(CONTENT["t10k-images-idx3-ubyte"]),
        }[damage]
    )
    assert_is_the_small_data_set(small())
    assert_cache_is_right(cache)
    assert server.paths[4:] == [f"/right/{FIRST}.gz"]


CHILD = """
import json, sys
from dropout_lessons import datasets
from dropout_lessons.datasets import files
mirrors, described = json.loads(sys.argv[1])
files.MIRRORS["mnist"], files.FILES["mnist"] = mirrors, [files.File(*file) for file in described]
data = datasets.load("mnist", validation=10)
print(data.train.x.double().sum().item(), data.test.x.double().sum().item())
"""


def start(mirrors: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, json.dumps([mirrors, FILES])]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_that_download_at_once_both_succeed(cache, server, use):
    mirrors = use("together")  # the server answers when both have asked
    processes = [start(mirrors) for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in processes]
    data = small()
    expected = f"{data.train.x.double().sum().item()} {data.test.x.double().sum().item()}\n"
    assert outputs == [(expected, "")] * 2
    assert_cache_is_right(cache)
    assert server.paths.count(f"/together/{FIRST}.gz") == 2


def test_what_a_killed_process_leaves_is_never_used(cache, server, use):
    with start(use("stalled")) as process:
        assert server.half_is_sent.wait(timeout=120)
        process.kill()
    left = [path for path in cache.rglob("*") if path.is_file()]
    assert all(path.parent.name.startswith("unverified-") for path in left)
    use("right")
    assert_is_the_small_data_set(small())
    assert len(server.paths) == 1 + 4


def test_a_cached_file_that_cannot_be_replaced_does_no_harm(cache, use, monkeypatch):
    # As on Windows, where a file that another process reads cannot be replaced.
    use("right")
    monkeypatch.setattr(files.os, "replace", mock.Mock(side_effect=PermissionError))
    assert_is_the_small_data_set(small())
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_written_to_is_named_with_the_fix(cache, use):
    use("right")
    cache.parent.write_text("a file where the folder should be")
    with pytest.raises(OSError, match=rf"{cache} cannot be written to .* set DROPOUT_LESSONS_DATA"):
        small()


def test_the_cache_is_the_users_own_unless_the_environment_names_another(cache, use, tmp_path, monkeypatch):
    use("right")
    monkeypatch.delenv("DROPOUT_LESSONS_DATA")
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / "user" / project)
    assert_is_the_small_data_set(small())
    assert_cache_is_right(tmp_path / "user" / "dropout-lessons" / "mnist")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_progress_bar_is_for_terminals_alone(cache, use, monkeypatch, capfd):
    use("right")
    small()
    assert capfd.readouterr() == ("", "")
    for path in cache.iterdir():
        path.unlink()
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    small()
    assert terminal.getvalue().count("100%") >= 4


# Folders


@pytest.fixture
def folder(tmp_path) -> Path:
    """A user's folder with the small data set, two files compressed and two not."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for i, (file, content) in enumerate(CONTENT.items()):
        if i % 2:
            (folder / file).write_bytes(content)
        else:
            (folder / f"{file}.gz").write_bytes(gzip.compress(content))
    return folder


def test_a_folder_of_the_user_is_read_and_nothing_is_downloaded_or_cached(cache, server, use, folder):
    use("right")
    assert_is_the_small_data_set(load("mnist", validation=10, folder=folder))
    assert_is_the_small_data_set(load("mnist", validation=10, folder=str(folder)))
    assert server.paths == []
    assert not cache.exists()


def test_a_file_with_the_wrong_content_in_a_folder_is_named(cache, use, folder):
    use("right")
    path = folder / "train-labels-idx1-ubyte"
    path.write_bytes(CONTENT["t10k-labels-idx1-ubyte"])
    with pytest.raises(ValueError, match=rf"{path} is not the file of this data set: .* has SHA-256"):
        load("mnist", validation=10, folder=folder)


def test_a_file_that_a_folder_lacks_is_named(cache, use, folder):
    use("right")
    (folder / "t10k-images-idx3-ubyte.gz").unlink()
    lacks = "it has neither t10k-images-idx3-ubyte.gz nor t10k-images-idx3-ubyte"
    with pytest.raises(FileNotFoundError, match=f"folder must hold .*, got '{folder}': {lacks}"):
        load("mnist", validation=10, folder=folder)


def test_a_folder_that_does_not_exist_is_named(cache, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"got '{tmp_path / 'none'}': there is no such folder"):
        load("mnist", folder=tmp_path / "none")


def test_the_systems_folder_is_used_when_it_is_right_and_passed_over_when_it_is_not(
    cache, server, use, folder, monkeypatch
):
    use("right")
    monkeypatch.setitem(files.SYSTEM_FOLDERS, "mnist", [folder])
    assert_is_the_small_data_set(small())
    assert server.paths == []
    (folder / f"{FIRST}.gz").write_bytes(b"another edition")
    assert_is_the_small_data_set(small())
    assert server.paths == [f"/right/{FIRST}.gz"]


# The IDX format


@unhurried
@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0)))
def test_idx_files_are_read_as_they_were_written(array):
    np.testing.assert_array_equal(formats.parse_idx(idx(array)), array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file"),
        (b"\x1f\x8b\x08\x00", "begins with 1f 8b 08, not 00 00 08"),
        (b"\0\0\x0d\x01" + bytes(8), "begins with 00 00 0d"),  # floats
        (idx(np.zeros((2, 3), np.uint8))[:9], "ends in its header: 9 bytes, expected at least 12"),
        (idx(np.zeros((2, 3), np.uint8))[:-1], r"has 5 values, but its header says \(2, 3\)"),
        (idx(np.zeros((2, 3), np.uint8)) + b"\0", r"has 7 values, but its header says \(2, 3\)"),
        (b"\0\0\x08\x04" + b"\xff" * 16, "has 0 values"),
    ],
)
def test_what_is_no_idx_file_of_bytes_is_refused(content, message):
    with pytest.raises(ValueError, match=message):
        formats.parse_idx(content)


# Color images: an archive of records, and MATLAB files


@pytest.fixture(params=["cifar10", "svhn"])
def color(request, tmp_path, monkeypatch) -> str:
    """The name of a data set of color images; the data set itself is the small one."""
    name = request.param
    monkeypatch.setenv("DROPOUT_LESSONS_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    bodies = [(file.name, ARCHIVES[file.name]) for file in files.FILES[name]]
    described = [File(file, len(body), hashlib.sha256(body).hexdigest()) for file, body in bodies]
    monkeypatch.setitem(files.FILES, name, described)
    return name


def test_color_images_are_what_the_files_hold_channel_by_channel(color, tmp_path):
    for file in files.FILES[color]:
        (tmp_path / file.name).write_bytes(ARCHIVES[file.name])
    data = load(color, validation=10, folder=tmp_path)
    assert repr(data) == (
        f"Dataset({color!r}: 90 training, 10 validation, 20 test; 32 x 32 pixels in 3 colors, 10 classes)"
    )
    images, labels = COLOR["test"]
    assert torch.equal(data.test.x.view(-1, *data.image_shape), torch.from_numpy(images / np.float32(255)))
    assert data.test.y.tolist() == labels.tolist()
    images, labels = COLOR["pool"]
    expected = {(row / np.float32(255)).tobytes(): label for row, label in zip(images, labels, strict=True)}
    for split in (data.train, data.validation):
        assert [expected[row.tobytes()] for row in split.x.numpy()] == split.y.tolist()


def test_color_images_are_downloaded_from_the_first_mirror_that_is_right_and_cached(
    color, server, tmp_path, monkeypatch
):
    faults = ("missing", "other", "truncated", "page", "right")
    monkeypatch.setitem(files.MIRRORS, color, tuple(server.mirror(fault) for fault in faults))
    names = [file.name for file in files.FILES[color]]
    load(color, validation=10)
    assert server.paths == [f"/{fault}/{name}" for name in names for fault in faults]
    assert {path.name: path.read_bytes() for path in (tmp_path / "cache" / color).iterdir()} == {
        name: ARCHIVES[name] for name in names
    }
    load(color, validation=10)
    assert len(server.paths) == len(names) * len(faults)


def test_what_is_wrong_with_a_color_file_is_said(color, server, tmp_path, monkeypatch):
    first = files.FILES[color][0].name
    with pytest.raises(FileNotFoundError, match=f"it has no {first}"):
        load(color, folder=tmp_path)
    (tmp_path / first).write_bytes(ARCHIVES[first] + b"more")
    with pytest.raises(ValueError, match=rf"{first} is not .*: its content \(more than \d+ bytes\) has SHA-256"):
        load(color, folder=tmp_path)
    monkeypatch.setitem(files.MIRRORS, color, (server.mirror("page"),))
    with pytest.raises(ConnectionError, match=rf'could not download {first} of .*\n.*\nload\("fashion_10k"\) needs'):
        load(color)


@pytest.mark.parametrize(
    "batches",
    [
        {name: batch for name, batch in BATCHES.items() if name != "data_batch_3"},
        BATCHES | {"data_batch_3": BATCHES["data_batch_3"].ravel()[:-1]},
        BATCHES | {"data_batch_3": np.zeros((10_001, 3073), np.uint8)},
    ],
    ids=["missing", "cut", "too long"],
)
def test_an_archive_without_one_of_its_batches_is_refused(batches):
    with pytest.raises(ValueError, match="lacks data_batch_3"):
        formats.parse_cifar10(cifar_archive(batches))


def test_a_matlab_file_whose_images_and_labels_do_not_fit_is_refused():
    images, labels = COLOR["test"]
    with pytest.raises(ValueError, match=r"X of shape \(32, 32, 3, 20\) and type uint8, and y of shape \(19,\)"):
        formats.parse_svhn(svhn_file(images, labels[1:]))


def test_digests_and_sizes_of_the_real_files_are_complete():
    for name, described in files.FILES.items():
        assert files.MIRRORS[name]
        for file in described:
            assert re.fullmatch("[0-9a-f]{64}", file.sha256)
            assert file.size > 10_000


# --- other inputs and labels ----------------------------------------------------------------------------------


def test_a_mapped_data_set_has_every_part_mapped_and_the_first_left_alone():
    data = datasets.load("digits", train=100, label_noise=0.2)
    copies = data.map(lambda x, y: (x, x))
    for name in ("train", "validation", "test"):
        assert getattr(copies, name).y is getattr(data, name).x
        assert getattr(data, name).y.dtype == torch.int64
    assert torch.equal(copies.noisy, data.noisy)
    assert copies.image_shape == data.image_shape


def test_a_map_may_leave_out_classes():
    def even(x, y):
        return x[y % 2 == 0], y[y % 2 == 0] // 2

    data = datasets.load("digits").map(even, n_classes=5)
    assert data.n_classes == 5
    assert data.train.y.unique().tolist() == data.test.y.unique().tolist() == [0, 1, 2, 3, 4]
    assert len(data.noisy) == len(data.train.y)
    with pytest.raises(ValueError, match="must keep all 100 training examples where some have a random label, got"):
        datasets.load("digits", train=100, label_noise=0.5).map(even)


def test_a_map_that_makes_other_images_says_their_shape():
    data = datasets.load("digits", train=100)
    assert data.map(lambda x, y: (x[:, :32], y), image_shape=(4, 8)).image_shape == (4, 8)
    with pytest.raises(
        ValueError, match=r"inputs of shape \(32,\), which are not images of shape \(8, 8\); pass image_"
    ):
        data.map(lambda x, y: (x[:, :32], y))
    with pytest.raises(ValueError, match=r"as many inputs as labels, got Split\(x: \(5, 64\)"):
        data.map(lambda x, y: (x[:5], y))


def test_inputs_may_be_several_tensors():
    data = datasets.load("digits", train=100).map(lambda x, y: ({"upper": x[:, :32], "lower": x[:, 32:]}, y))
    assert repr(data.train).startswith(
        "Split(x: {'upper': (100, 32) torch.float32, 'lower': (100, 32) torch.float32}, y"
    )
    moved = data.to("meta")
    assert moved.test.x["lower"].is_meta
    assert moved.noisy.is_meta
