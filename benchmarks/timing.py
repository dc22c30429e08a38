"""What the benchmarks share: ways that are timed in turns, and whether the machine was quiet meanwhile."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

QUIET = 0.98  # of one core's time is this program's, and no other one waits


def medians(
    runs: dict[str, Callable[[], object]], *, repeats: int, warm: int = 1, calls: int = 1, at_least: float = 0.0
) -> dict[str, float]:
    """Median of each run's processor time in seconds.

    Args:
        runs: What is timed, in turns, by name.
        repeats: Turns that count.
        warm: Turns before them.
        calls: How often a run is called in a turn; its time is divided by that.
        at_least: Go on for so many seconds.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    end, turns = time.perf_counter() + at_least, 0
    while turns < warm + repeats or time.perf_counter() < end:
        for name, run in runs.items():
            started = time.process_time()
            for _ in range(calls):
                run()
            if turns >= warm:
                seconds[name].append((time.process_time() - started) / calls)
        turns += 1
    return {name: statistics.median(values) for name, values in seconds.items()}


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread, and say afterwards on what machine, and whether it did anything else."""
    torch.set_num_threads(1)
    wall, own = time.perf_counter(), time.process_time()
    yield
    share = (time.process_time() - own) / (time.perf_counter() - wall)
    waiting = max(os.getloadavg()[0] - 1 if hasattr(os, "getloadavg") else 0.0, 0.0)
    quiet = share >= QUIET and waiting < 0.5
    print(f"\nOn {_processor()}, torch {torch.__version__}, one thread.", end=" ")
    print(f"This program had {share:.0%} of a core's time; {waiting:.1f} others were running or waiting.")
    print("The machine was quiet." if quiet else "THE MACHINE WAS NOT QUIET: run it again when it is.")


def _processor() -> str:
    """Its name, as far as it is known, and what PyTorch uses of it."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text(encoding="utf-8").splitlines() if known.exists() else []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{name} ({torch.backends.cpu.get_cpu_capability()})"
