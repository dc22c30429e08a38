"""What came out of a prediction that the reader made: shown in a notebook, and on the page beside the reader's answer.

A chapter asks with a ``{prediction}`` block, and says later, with a value that it computed, what happened. The block's
form and the reader's answers belong to the page (``book/_ext/predictions.py``, ``book/_static/predictions.js``).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

__all__ = ["Outcome", "outcome"]


@dataclass(frozen=True, repr=False)
class Outcome:
    """What came out of a prediction. Made by ``outcome``.

    Attributes:
        name: The name of the prediction.
        found: The choice that came true, a number, or the heights of a curve.
        unit: Unit of the number or of the curve.
        words: What a reader should know besides.
    """

    name: str
    found: str | float | tuple[float, ...]
    unit: str = ""
    words: str = ""

    def _said(self) -> str:
        if isinstance(self.found, str):
            return self.found
        heights = self.found if isinstance(self.found, tuple) else (self.found,)
        sign = self.unit if self.unit in ("", "%") else f" {self.unit}"
        largest = max(map(abs, heights))
        whole = largest == 0 or all(height == round(height) for height in heights)
        decimals = 0 if whole else max(0, 2 - math.floor(math.log10(largest)))  # three digits of the largest
        return ", ".join(f"{height:,.{decimals}f}" for height in heights).replace("-", "\N{MINUS SIGN}") + sign

    def _order(self) -> str:
        return ", from left to right" if isinstance(self.found, tuple) else ""

    def __repr__(self) -> str:
        words = f". {self.words}" if self.words else ""
        return f"What came out of “{self.name}”{self._order()}: {self._said()}{words}"

    def _repr_html_(self) -> str:
        words = f" {escape(self.words)}" if self.words else ""
        return (
            f'<div class="prediction-outcome" data-prediction="{escape(self.name)}" '
            f'data-found="{escape(json.dumps(self.found))}" '
            'style="margin: 0.5em 0; padding: 0.4em 0.8em; border-left: 0.25em solid #c98500; color: inherit">'
            f'<p style="margin: 0">What came out{self._order()}: <b>{escape(self._said())}</b>.{words}</p></div>'
        )


def outcome(
    name: str,
    found: Mapping[str, bool] | float | Sequence[float] | NDArray[np.float64],
    *,
    unit: str = "",
    words: str = "",
) -> Outcome:
    """Say what came out of a prediction.

    Args:
        name: The name of the prediction, as its block has it.
        found: Of a choice, for each option whether it came true, by what was computed: just one does. Of a number, the
            number. Of a curve, its heights, from left to right.
        unit: Unit of the number or of the heights.
        words: What a reader should know besides, in a sentence.

    Raises:
        ValueError: If not just one option came true, or a number is not finite.

    Example:
        >>> error = 0.107
        >>> outcome("new digits", 100 * error, unit="%")
        What came out of “new digits”: 10.7%
        >>> outcome("the lower half", {"below 0.2": error < 0.2, "from 0.2": error >= 0.2})
        What came out of “the lower half”: below 0.2
    """
    if isinstance(found, Mapping):
        true = [choice for choice, holds in found.items() if holds]
        if len(true) != 1:
            raise ValueError(
                f"found must have just one option that came true, got {len(true)} of {list(found)} for {name!r}: {true}; "
                f"make the options cover all cases, and none of them twice"
            )
        return Outcome(name, true[0], unit, words)
    heights = np.asarray(found, dtype=np.float64)
    if heights.ndim > 1 or not heights.size or not all(map(math.isfinite, heights.ravel().tolist())):
        raise ValueError(f"found must be a finite number, or a sequence of them, got {found!r} for {name!r}")
    return Outcome(name, tuple(heights.tolist()) if heights.ndim else float(heights), unit, words)
