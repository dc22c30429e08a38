"""Where a notebook runs, and at which scale."""

from __future__ import annotations

import importlib.metadata
import os

import torch

__all__ = ["SEEDS", "describe", "device", "scale", "seeds"]

#: Number of seeds behind a comparison at each scale.
SEEDS = {"lecture": 5, "workstation": 20}


def device() -> torch.device:
    """Return the GPU if there is one, else the CPU.

    Example:
        >>> device().type in ("cuda", "cpu")
        True
    """
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def scale() -> str:
    """Return the scale of the experiments, from the environment variable ``DROPOUT_LESSONS_SCALE``.

    ``"lecture"``, the default, runs a chapter in under a minute on two cores; ``"workstation"`` uses more seeds.

    Raises:
        ValueError: If the variable is set to anything else.

    Example:
        >>> scale() in SEEDS
        True
    """
    value = os.environ.get("DROPOUT_LESSONS_SCALE", "lecture")
    if value not in SEEDS:
        raise ValueError(f"DROPOUT_LESSONS_SCALE must be one of {sorted(SEEDS)}, got {value!r}")
    return value


def seeds() -> range:
    """Return the seeds that a comparison in a chapter runs over: 0 to 4 at the lecture scale.

    Example:
        >>> len(seeds()) >= 5
        True
    """
    return range(SEEDS[scale()])


def describe() -> None:
    """Print the versions, the device and the scale that a notebook runs with.

    Example:
        >>> describe()  # doctest: +ELLIPSIS
        dropout_lessons ..., torch ..., device ..., scale ... (... seeds)
    """
    where = torch.cuda.get_device_name() if device().type == "cuda" else "CPU"
    print(
        f"dropout_lessons {importlib.metadata.version('dropout-lessons')}, torch {torch.__version__}, "
        f"device {where}, scale {scale()} ({len(seeds())} seeds)"
    )
