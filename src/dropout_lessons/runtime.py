"""Where a notebook runs, at which scale, and how it shows that it is at work."""

from __future__ import annotations

import importlib.metadata
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import tqdm.auto

Item = TypeVar("Item")

__all__ = ["MOST_OFFSETS", "SEEDS", "describe", "device", "generator", "scale", "seed", "seed_offset", "seeds"]

#: Number of seeds behind a comparison at each scale.
SEEDS = {"lecture": 5, "workstation": 20}
#: Offsets of all seeds go up to this: PyTorch's generators tell seeds apart by their lower 32 bits.
MOST_OFFSETS = 400
_STRIDE = 10_000_000  # farther than any two seeds of a chapter or an experiment


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


def seed_offset() -> int:
    """Return by how much all seeds are moved, from the environment variable ``DROPOUT_LESSONS_SEED_OFFSET``; 0 by default.

    Every draw of a chapter or an experiment, of data, weights, order, masks and tuning, comes from a seed that ``seed`` or
    ``generator`` moved. So each offset is a run with fresh seeds, and with 0 all is as it is in the book. The test sets
    do not move.

    Raises:
        ValueError: If the variable is no integer from 0 to 400.

    Example:
        >>> 0 <= seed_offset() <= MOST_OFFSETS
        True
    """
    value = os.environ.get("DROPOUT_LESSONS_SEED_OFFSET", "0")
    if not value.isdecimal() or int(value) > MOST_OFFSETS:
        raise ValueError(f"DROPOUT_LESSONS_SEED_OFFSET must be an integer from 0 to {MOST_OFFSETS}, got {value!r}")
    return int(value)


def seed(number: int, stream: str = "") -> int:
    """Return the seed that a number stands for: the number itself, moved if all seeds are.

    Args:
        number: From 0 on.
        stream: What is drawn, such as ``"labels"``, where something else is drawn at the same number: a named stream has
            another seed, hashed from the number and the name. Adding a constant would not do: PyTorch's CPU generator
            reads the lower 32 bits of a seed alone, and sums of numbers meet.

    Raises:
        ValueError: As in ``seed_offset``.

    Example:
        >>> seed(3) - seed(0), seed(3, "labels") in (seed(3), seed(3, "masks"), seed(4, "labels"))
        (3, False)
    """
    moved = number + _STRIDE * seed_offset()
    if not stream:
        return moved
    return int(np.random.SeedSequence(moved, spawn_key=tuple(stream.encode())).generate_state(1)[0])


def generator(number: int, device: str | torch.device = "cpu", *, stream: str = "") -> torch.Generator:
    """Return PyTorch's generator on a device, seeded with what a number stands for.

    Args:
        number: From 0 on.
        device: Where the generator draws.
        stream: What is drawn, as in ``seed``.

    Raises:
        ValueError: As in ``seed_offset``.

    Example:
        >>> weights, labels = generator(3), generator(3, stream="labels")
        >>> weights.initial_seed() == seed(3), labels.initial_seed() == seed(3)
        (True, False)
    """
    return torch.Generator(device).manual_seed(seed(number, stream))


def describe(*, gpu: bool = False) -> None:
    """Print the versions, the scale, and the device that a notebook uses.

    Args:
        gpu: Whether the notebook moves its networks to ``device()``. One that does not leaves a GPU idle, and says so.

    Example:
        >>> describe()  # doctest: +ELLIPSIS
        dropout_lessons ..., torch ..., device CPU..., scale ... (... seeds)
    """
    card = torch.cuda.get_device_name() if device().type == "cuda" else ""
    where = card if gpu and card else f"CPU (this notebook leaves {card} idle)" if card else "CPU"
    print(
        f"dropout_lessons {own_version()}, torch {torch.__version__}, "
        f"device {where}, scale {scale()} ({len(seeds())} seeds)"
    )


def own_version() -> str:
    """The version of this package, also where it runs from its tree and was not installed."""
    try:
        return importlib.metadata.version("dropout-lessons")
    except importlib.metadata.PackageNotFoundError:
        project = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
        return str(re.findall(r'^version = "(.*)"$', project, re.MULTILINE)[0])


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside ``path`` to write: renamed to it when it is whole, removed when something goes wrong before.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "result.txt")
        >>> with replacing(path) as aside:
        ...     _ = aside.write_text("whole")
        >>> path.read_text(), len(list(path.parent.iterdir()))
        ('whole', 1)
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        yield aside
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def progress_bar(items: Sequence[Item], description: str, *, unit: str, show: bool = True) -> Iterator[Item]:
    """Iterate with a bar and the time left in a notebook or terminal, and without one elsewhere.

    The bar appears after half a second and goes when the work is done. It is never shown where the environment sets
    ``TQDM_DISABLE=1``.

    Args:
        items: What to iterate over.
        description: What is being done, in a word or two.
        unit: What one item is.
        show: Whether to show a bar at all.

    Example:
        >>> sum(progress_bar(range(4), "adding", unit="number"))
        6
    """
    hidden = _no_bar(show)
    if hidden:  # a bar is not even made, which takes as long as a small network's forward pass
        yield from items
    else:
        yield from tqdm.auto.tqdm(items, desc=description, unit=unit, leave=False, delay=0.5, disable=hidden)


def work_bar(total: float, description: str, *, done: float = 0, show: bool = True) -> tqdm.std.tqdm[Any]:
    """A bar that its owner moves by amounts of work, as ``progress_bar`` is shown and hidden.

    Args:
        total: All work.
        description: What is being done, in a word or two.
        done: What of it is done already; it does not count in the speed.
        show: Whether to show a bar at all.

    Example:
        >>> with work_bar(10.0, "adding") as bar:
        ...     _ = bar.update(2.5)
    """
    layout = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left{postfix}"
    return tqdm.auto.tqdm(
        desc=description,
        total=total,
        initial=done,
        leave=False,
        delay=0.5,
        bar_format=layout,
        disable=_no_bar(show),
    )


def _no_bar(show: bool) -> bool | None:
    # By name: to import tqdm.notebook takes a second elsewhere, for IPython and ipywidgets.
    in_notebook = any(base.__module__ == "tqdm.notebook" for base in tqdm.auto.tqdm.__mro__)
    show = show and os.environ.get("TQDM_DISABLE", "0") in ("", "0")
    # None lets tqdm find out whether the output is a terminal; in a notebook it never is, and the bar shows all the same.
    return (False if in_notebook else None) if show else True
