"""Arithmetic on large arrays."""

from __future__ import annotations

from typing import Literal

import numpy as np
from torch import Tensor


def elementwise_(name: Literal["exp", "log"], x: Tensor) -> Tensor:
    """Exponentials or logarithms in place; on the CPU numpy's, which take a third of the time of torch's."""
    if x.device.type != "cpu":
        return x.exp_() if name == "exp" else x.log_()
    values = x.numpy()
    np.exp(values, out=values) if name == "exp" else np.log(values, out=values)
    return x
