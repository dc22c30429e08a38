"""What the functions of masks are given, and its checks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch


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
