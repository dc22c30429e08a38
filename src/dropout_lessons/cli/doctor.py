"""A glance at this machine: what works here, and what to do about what does not."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import NamedTuple

import torch
from packaging.requirements import Requirement

from dropout_lessons import datasets
from dropout_lessons.datasets.files import FILES
from dropout_lessons.grading import sandbox

_BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_LEAST_DISK = 2 * 2**30


class Finding(NamedTuple):
    """What was found of one thing.

    Attributes:
        topic: What was looked at.
        state: "ok"; "note" where something that is optional is absent; "bad" where the package does not work.
        found: What there is.
        advice: What to do about it.
    """

    topic: str
    state: str
    found: str
    advice: str = ""


Found = tuple[str, str] | tuple[str, str, str]  # state, found, advice


def _versions() -> Found:
    wrong = []
    for text in requires("dropout-lessons") or []:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            installed = "none"
        if installed == "none" or not requirement.specifier.contains(installed, prereleases=True):
            wrong.append(f"{requirement.name} {installed} (needs {requirement.specifier})")
    here = (
        f"Python {platform.python_version()}, dropout-lessons {version('dropout-lessons')}, torch {torch.__version__}"
    )
    if wrong:
        return "bad", f"{here}; {', '.join(wrong)}", "pip install --upgrade dropout-lessons, or make setup"
    return "ok", here


def _threads() -> Found:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = torch.get_num_threads()
    found = f"{threads} threads of PyTorch on {cores} cores"
    if threads > cores:
        return "note", found, f"they wait for each other: set OMP_NUM_THREADS={cores}"
    return "ok", found


def _device() -> Found:
    if torch.cuda.is_available():
        return "ok", f"{torch.cuda.get_device_name()}; chapters that gain from it use it"
    if torch.version.cuda and shutil.which("nvidia-smi"):
        return "note", "CPU, beside an NVIDIA card", "PyTorch does not see it: compare nvidia-smi's driver"
    if torch.backends.mps.is_available():
        return "ok", "CPU; Apple's GPU (MPS) is not used: it has no float64, which the exact means need"
    return "ok", "CPU; no chapter needs a GPU"


def _data() -> Found:
    try:
        for name in ("mnist_10k", "fashion_10k"):
            datasets.load(name, train=10)
    except (OSError, ValueError) as error:
        return "bad", f"the embedded digits and clothes cannot be read: {error}", "install the package again"
    return "ok", f"embedded: mnist_10k, fashion_10k; to download when asked for: {', '.join(FILES)}"


def _sandbox() -> Found:
    if why := sandbox.available():
        what, _, advice = why.partition(": ")
        return "note", what, f"{advice} Only `dropout-lessons grade` needs it."
    return "ok", "answers of students run apart from everything else"


def _browser() -> Found:
    if found := next(filter(None, map(shutil.which, _BROWSERS)), None):
        return "ok", found
    return "note", "no Chromium", "make pdf and the tests of the book need one: apt-get install chromium"


def _disk() -> Found:
    free = shutil.disk_usage(Path.cwd()).free
    found = f"{free / 2**30:.0f} GiB free here"
    return ("ok", found) if free > _LEAST_DISK else ("note", found, "the environment takes 1.8 GB")


def findings() -> Iterator[Finding]:
    """Look at everything in turn."""
    for look in (_versions, _threads, _device, _data, _sandbox, _browser, _disk):
        yield Finding(look.__name__.removeprefix("_"), *look())


def examine(options: argparse.Namespace) -> int:
    """Print what was found; the exit code is 1 if something is bad."""
    bad = False
    for each in findings():
        bad |= each.state == "bad"
        print(f"{each.state:<5} {each.topic:<9} {each.found}")
        if each.advice:
            print(f"{'':<15} -> {each.advice}")
    return int(bad)
