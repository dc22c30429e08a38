"""Inputs that let mistakes show: numbers away from zero, keep probabilities away from 1/2 and from round numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dropout_lessons.exercises.exercise import Inputs

CALLS, _ROWS, _UNITS = 4, 512, 128  # 262,144 coins: enough to see a rate that is one point off
SHARED_CALLS, _SHARED_ROWS, _SHARED_UNITS = 256, 2, 1024  # as many, where the rows of a call share their coins


def away_from_zero(rng: np.random.Generator, *size: int) -> NDArray[np.float32]:
    """Random numbers of both signs with absolute values from 0.5 to 2: none can be mistaken for a dropped one."""
    numbers: NDArray[np.float32] = (rng.uniform(0.5, 2, size) * rng.choice([-1, 1], size)).astype(np.float32)
    return numbers


def band(rng: np.random.Generator) -> float:
    """A keep probability from .15-.35 or .65-.85, three points or more from what rounding to one digit makes of it."""
    low = rng.choice([0.16, 0.25, 0.34]) + rng.uniform(-0.01, 0.01)
    return round(float(low if rng.integers(2) else 1 - low), 3)


def _other(keep_prob: float) -> float:
    """A keep probability from the other band, which nobody can take for this one's probability of dropping."""
    opposite = (keep_prob + 0.5) % 1
    return round(opposite + 0.09 if abs(opposite - (1 - keep_prob)) < 0.05 else opposite, 3)


def layer(rng: np.random.Generator, *, calls: int = CALLS, rows: int = _ROWS, units: int = _UNITS) -> Inputs:
    """What ``trials.try_layer`` needs: inputs of three sizes, half of one zero, and two keep probabilities."""
    keep_prob = band(rng)
    sparse = away_from_zero(rng, 61, 53) * rng.integers(0, 2, (61, 53)).astype(np.float32)
    return {
        "x": away_from_zero(rng, rows, units),
        "upstream": away_from_zero(rng, rows, units),
        "sparse": sparse,
        "sparse_upstream": away_from_zero(rng, *sparse.shape),
        "narrow": away_from_zero(rng, 2048, 2),
        "keep_prob": keep_prob,
        "other_keep_prob": _other(keep_prob),
        "calls": calls,
    }


def shared_layer(rng: np.random.Generator) -> Inputs:
    """The same for a layer whose rows share one mask: more calls, wider rows."""
    return layer(rng, calls=SHARED_CALLS, rows=_SHARED_ROWS, units=_SHARED_UNITS)
