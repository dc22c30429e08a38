"""What numbers and choices functions are given, and their checks: an error has the name, the value and what is allowed."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from numbers import Real
from typing import Any

import numpy as np
import torch

__all__ = [
    "check_choice",
    "check_count",
    "check_generator",
    "check_keep_prob",
    "check_kind",
    "check_number",
    "checked_counts",
    "is_axis",
    "is_count",
    "own_generator",
]


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Say which values there are, if it is none of them."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {list(choices)}, got {value!r}")


def check_kind(name: str, value: object, kind: type, fix: str) -> None:
    """Say what to give, if it is no object of this kind."""
    if not isinstance(value, kind):
        got = f"the class {value.__name__}" if isinstance(value, type) else f"an object of type {type(value).__name__}"
        raise TypeError(f"{name} must be of type {kind.__name__}, got {got}; {fix}")


def is_count(value: Any, *, at_least: int = 0, at_most: float = sys.maxsize) -> bool:
    """Whether it is a whole number of this range, Python's, numpy's or in a tensor; True and False are none."""
    if isinstance(value, (bool, np.bool_)):
        return False
    try:
        return at_least <= operator.index(value) <= at_most
    except TypeError:
        return False


def is_axis(value: Any) -> bool:
    """Whether it may be the number of an axis, from either end."""
    return is_count(value, at_least=-64, at_most=63)


def check_count(name: str, value: Any, *, at_least: int, optional: bool = False) -> None:
    """Say what is wrong with what is no such number, nor None where that is allowed."""
    if not (is_count(value, at_least=at_least) or (value is None and optional)):
        raise ValueError(
            f"{name} must be a whole number of at least {at_least}{', or None' if optional else ''}, got {value!r}"
        )


def checked_counts(
    name: str,
    values: Any,
    allowed: str,
    *,
    fewest: int = 0,
    most: float = math.inf,
    at_least: int = 1,
    at_most: int = sys.maxsize,
) -> list[int]:
    """Return several whole numbers as Python's, or say what is wrong with them."""
    several = isinstance(values, Iterable) and not isinstance(values, (str, Mapping)) and getattr(values, "ndim", 1) > 0
    listed = list(values) if several else []
    if not several or not (
        fewest <= len(listed) <= most and all(is_count(value, at_least=at_least, at_most=at_most) for value in listed)
    ):
        raise ValueError(f"{name} must be {allowed}, got {values!r}")
    return [operator.index(value) for value in listed]


def check_number(
    name: str,
    value: Any,
    allowed: str,
    *,
    above: float = -math.inf,
    below: float = math.inf,
    at_least: float = -math.inf,
    at_most: float = math.inf,
) -> None:
    """Say what is wrong with what is no finite number of this range."""
    number = math.nan
    if isinstance(value, Real) and value is not True and value is not False:
        with suppress(OverflowError):  # of a whole number beyond all others
            number = float(value)
    if not (math.isfinite(number) and above < number < below and at_least <= number <= at_most):
        raise ValueError(f"{name} must be {allowed}, got {value!r}")


def own_generator(generator: torch.Generator | None, device: torch.device | str = "cpu") -> torch.Generator:
    """The generator that was given, or else a copy of the device's global one, which stays as it is."""
    check_generator(generator)
    if generator is not None:
        return generator
    device = torch.device(device)
    generator = torch.Generator(device)
    states: Any = torch if device.type == "cpu" else torch.get_device_module(device)
    at = (device,) if device.type == "cuda" else ()  # other devices have one state
    generator.set_state(states.get_rng_state(*at))
    return generator


def check_generator(generator: Any, *, optional: bool = True) -> None:
    """Say what is wrong with what is no generator."""
    if not (isinstance(generator, torch.Generator) or (generator is None and optional)):
        allowed = "a torch.Generator, or None for PyTorch's global one" if optional else "a torch.Generator"
        seed = generator if isinstance(generator, int) else 0
        raise ValueError(
            f"generator must be {allowed}, got {generator!r}; write torch.Generator().manual_seed({seed:d})"
        )


def check_keep_prob(keep_prob: float, *, name: str = "keep_prob") -> float:
    """Return ``keep_prob`` as a float, or say what is wrong with it."""
    if not isinstance(keep_prob, (int, float, np.floating)) or isinstance(keep_prob, bool):
        raise TypeError(f"{name} must be a number in (0, 1], got {keep_prob!r}")
    value = float(keep_prob)
    if not 0.0 < value <= 1.0:
        raise ValueError(f"{name} must be in (0, 1], got {keep_prob}; PyTorch's p=0.2 is keep_prob=0.8")
    return value
