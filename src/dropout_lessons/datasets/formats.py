"""File formats, read in memory: nothing is extracted, nothing is unpickled."""

from __future__ import annotations

import io
import math
import tarfile

import numpy as np
import numpy.typing as npt


def parse_idx(content: bytes) -> npt.NDArray[np.uint8]:
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


_CIFAR10_PIXELS = (3, 32, 32)  # red, green, blue; each row by row


def parse_cifar10(content: bytes) -> tuple[npt.NDArray[np.uint8], ...]:
    """Return images and labels of the five training batches and of the test batch, from CIFAR-10's binary archive."""
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    record = 1 + math.prod(_CIFAR10_PIXELS)  # the label, then the pixels
    batches = {}
    with tarfile.open(fileobj=io.BytesIO(content), mode="r|gz") as archive:  # one pass, without going back
        for member in archive:
            folder, _, name = member.name.rpartition("/")
            stream = archive.extractfile(member) if folder == "cifar-10-batches-bin" and name in names else None
            if stream is not None:
                batches[name] = np.frombuffer(stream.read(10_000 * record + 1), dtype=np.uint8)
    wrong = [name for name in names if name not in batches or len(batches[name]) % record]
    if wrong:
        raise ValueError(
            f"CIFAR-10 archive lacks {wrong[0]}, or it is not made of at most 10,000 records of {record} bytes"
        )
    *train, test = (batches[name].reshape(-1, record) for name in names)
    pool = np.concatenate(train)
    return tuple(part for rows in (pool, test) for part in (rows[:, 1:].reshape(-1, *_CIFAR10_PIXELS), rows[:, 0]))


def parse_svhn(content: bytes) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return images and labels of a MATLAB file with ``X`` (height, width, channels, examples), and ``y``, 10 for the digit 0."""
    from scipy.io import loadmat  # only this data set needs it

    arrays = loadmat(io.BytesIO(content), variable_names=["X", "y"])
    images, labels = arrays["X"], arrays["y"].ravel()
    if images.ndim != 4 or images.dtype != np.uint8 or images.shape[3:] != labels.shape:
        raise ValueError(
            f"SVHN file has X of shape {images.shape} and type {images.dtype}, and y of shape {labels.shape}"
        )
    return np.ascontiguousarray(images.transpose(3, 2, 0, 1)), (labels % 10).astype(np.uint8)
