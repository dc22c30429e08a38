"""A number with the error that comes from drawing."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Estimate:
    r"""A measured number and its Monte Carlo error.

    The error is that of drawing contexts, masks or orders, :math:`\sigma / \sqrt{\text{draws}}`. It says nothing of other
    examples, other seeds or other data.

    Args:
        value: The number.
        stderr: Its standard error; 0 where nothing was drawn, NaN where one draw does not tell.
        draws: Number of draws; None for an exact value.

    Example:
        >>> print(Estimate(0.1537, 0.0042, draws=8), "|", Estimate(0.1537))
        0.154 ± 0.004 | 0.154 (exact)
        >>> float(Estimate(0.25))
        0.25
    """

    value: float
    stderr: float = 0.0
    draws: int | None = None

    @property
    def exact(self) -> bool:
        """Whether nothing was drawn."""
        return self.draws is None

    def __float__(self) -> float:
        return float(self.value)

    def __str__(self) -> str:
        if self.exact or math.isnan(self.stderr) or not self.stderr:
            end = " (exact)" if self.exact else " ± ?" if math.isnan(self.stderr) else " ± 0"
            return _shown(self.value, _places(self.value, 3), "#.3g") + end
        # One digit of the error, or two if it begins with 1.
        places = _places(self.stderr, 2 if f"{self.stderr:e}"[0] == "1" else 1)
        return f"{_shown(self.value, places, '.3g')} ± {_shown(self.stderr, places, '.1g')}"


def _places(value: float, digits: int) -> int:
    """Decimal places that show this many significant digits."""
    return digits - 1 - math.floor(math.log10(abs(value))) if value and math.isfinite(value) else digits


def _shown(value: float, places: int, extreme: str) -> str:
    if value and math.isfinite(value) and not -6 <= places <= 7:
        return f"{value:{extreme}}"
    return f"{round(value, places) + 0.0:.{max(0, places)}f}"


def standard_error(values: Float[Tensor, " draws"]) -> float:
    """Of the mean of independent draws; NaN for a single one, which does not tell."""
    return values.std().item() / math.sqrt(len(values)) if len(values) > 1 else math.nan
