"""A verdict by hand: the differences between two arms, seed by seed, their interval, and the bound it is held against."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import traitlets
from numpy.typing import NDArray
from scipy.special import stdtrit

from dropout_lessons.claims import FEWEST_SEEDS, Evidence, judge, paired
from dropout_lessons.widgets.base import Interactive, OneOf, finite_array, nice_step, script, style

_MOST_SEEDS = 100  # a row each
_MOST_PLANNED = 1000
_BOUNDS = ("above", "below", "within")


class VerdictExplorer(Interactive):
    r"""Whether a statement of the paper holds, as an interval against a bound that the reader moves.

    Of the paired differences :math:`d_1, \dots, d_k` of the first :math:`k` seeds, the browser shows the mean
    :math:`\bar d` and Student's 95% interval :math:`\bar d \pm t_{0.975,\,k-1} \, s / \sqrt{k}`, to the last bit what
    ``claims.paired`` gives. The verdict is that of an experiment's finding: *agrees* if the whole interval lies beyond
    the bound, *disagrees* if no part of it does, else *undecided*; an end that touches the bound is not beyond it.

    It also shows how many seeds would decide if :math:`\bar d` and :math:`s` stayed as they are, up to 1,000. That is a
    plan for a new run: seeds that are added until the verdict suits are no test.

    Args:
        effects: For each statement, by a short name: ``"statement"``, one sentence; ``"differences"``, one for each seed, 5
            to 100, as fractions if ``scale`` is 100; and what the difference must be to agree with the paper, exactly one
            of ``"above"``, ``"below"`` and ``"within"`` (low, high).
        unit: Unit in which differences are shown.
        scale: What to multiply differences and bounds by to have them in the unit.
        effect: The name of the statement shown first; the first one if None.
        seeds: How many seeds are used, from 2; all if None.
        bound: What the difference must be above or below; for ``"within"``, half the width of the range about its center.
            In the unit of ``differences``; the statement's own if None, as also whenever ``effect`` changes.
        order: 0 for the seeds in the order given; any other number, to :math:`2^{32} - 1`, for an order drawn from it.

    Raises:
        ValueError: If there is no statement, a sentence or bound is missing, there are fewer than 5 or more than 100 seeds, a
            number is not finite, or numbers are no fractions though ``scale`` is 100.
        TraitError: If ``effect``, ``seeds``, ``bound`` or ``order`` is out of bounds, now or later.

    Example:
        >>> differences = [-0.013, -0.013, -0.017, -0.012, -0.017]
        >>> lower = {"statement": "Dropout lowers the test error.", "differences": differences, "below": 0}
        >>> explorer = VerdictExplorer({"dropout against plain": lower})
        >>> explorer.seeds = 3

    Source: Student 1908, "The probable error of a mean".
    """

    _name = "verdict_explorer"
    _esm = script("verdict_explorer.js")
    _css = style("verdict_explorer.css")

    effect = OneOf("effects").tag(sync=True)
    seeds = traitlets.Int(2).tag(sync=True)
    bound = traitlets.Float(0.0).tag(sync=True)
    order = traitlets.Int(0, min=0, max=2**32 - 1).tag(sync=True)

    def __init__(
        self,
        effects: Mapping[str, Mapping[str, Any]],
        unit: str = "points",
        scale: float = 100,
        effect: str | None = None,
        seeds: int | None = None,
        bound: float | None = None,
        order: int = 0,
    ) -> None:
        if not effects:
            raise ValueError("effects must have at least one statement, got none")
        if not 0 < scale < math.inf:
            raise ValueError(f"scale must be finite and above 0, got {scale}; it is 100 for fractions shown in points")
        described = [_described(name, each, scale) for name, each in effects.items()]
        effect = described[0]["name"] if effect is None else effect
        shown = _named(effect, described)
        super().__init__(
            data={
                "effects": described,
                "unit": unit,
                "scale": scale,
                "quantiles": stdtrit(np.arange(1, _MOST_PLANNED), 0.975).tolist(),
                "fewest": FEWEST_SEEDS,
            },
            effect=effect,
            seeds=len(shown["differences"]) if seeds is None else seeds,
            bound=shown["bound"] if bound is None else bound,
            order=order,
        )
        self.observe(self._start_anew, "effect")

    def _start_anew(self, _: Any) -> None:
        shown = self._shown
        self.seeds, self.bound = len(shown["differences"]), shown["bound"]

    @traitlets.validate("seeds")
    def _enough_for_a_spread(self, proposal: Any) -> int:
        count = len(self._shown["differences"])
        if not 2 <= proposal["value"] <= count:
            raise traitlets.TraitError(f"seeds must be from 2 to {count}, got {proposal['value']}")
        return int(proposal["value"])

    @traitlets.validate("bound")
    def _on_the_axis(self, proposal: Any) -> float:
        least, most = self._shown["min"], self._shown["max"]
        if not least <= proposal["value"] <= most:
            raise traitlets.TraitError(f"bound must be from {least:g} to {most:g}, got {proposal['value']}")
        return float(proposal["value"])

    @property
    def _shown(self) -> dict[str, Any]:
        return _named(self.effect, self.data["effects"])

    def _sentence(self) -> str:
        shown, unit = self._shown, f" {self.data['unit']}".rstrip()
        evidence = _evidence(shown["differences"])
        mean, low, high = (f"{self.data['scale'] * value:.3g}" for value in (evidence.effect, *evidence.interval))
        return (
            f"Interactive: the verdict on a statement as an interval against a bound, for {len(self.data['effects'])} "
            f"statement{'s' * (len(self.data['effects']) > 1)}. Now: {shown['statement'].rstrip('.')}; over all "
            f"{evidence.n} seeds the mean difference is {mean}{unit}, with a 95% interval from {low} to {high}{unit}. "
            f"Shown with seeds = {self.seeds} and bound = {self.bound:g} ({shown['kind']})."
        )


def _evidence(differences: Any) -> Evidence:
    return paired(differences, np.zeros(len(differences)))


def _named(name: str, described: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the statement of this name; the first one if there is none, of which the trait's validator complains."""
    return next((each for each in described if each["name"] == name), described[0])


def _described(key: str, effect: Mapping[str, Any], scale: float) -> dict[str, Any]:
    """Return what the browser needs of a statement: its own bound too, and the slider's range."""
    name = f"effects[{key!r}]"
    kinds = [kind for kind in _BOUNDS if effect.get(kind) is not None]
    if len(kinds) != 1 or not {"statement", "differences"} <= set(effect) <= {"statement", "differences", *_BOUNDS}:
        raise ValueError(f"{name} must have statement, differences and exactly one of {_BOUNDS}, got {list(effect)}")
    if not str(effect["statement"]).strip():
        raise ValueError(f"{name}['statement'] must be a sentence, got {effect['statement']!r}")
    differences = finite_array(f"{name}['differences']", effect["differences"], (None,))
    if not FEWEST_SEEDS <= len(differences) <= _MOST_SEEDS:
        raise ValueError(
            f"{name}['differences'] must be {FEWEST_SEEDS} to {_MOST_SEEDS}, one for each seed, got {len(differences)}"
        )
    sizes = abs(differences[differences != 0])
    if sizes.size and not 1e-100 <= sizes.min() <= sizes.max() <= 1e9:
        raise ValueError(
            f"{name}['differences'] must be 0 or from 1e-100 to 1e9 in size, got {sizes.min():g} to {sizes.max():g}"
        )
    (kind,) = kinds
    required = finite_array(f"{name}[{kind!r}]", np.atleast_1d(effect[kind]), (2 if kind == "within" else 1,))
    if kind == "within" and not required[0] < required[1]:
        raise ValueError(f"{name}['within'] must go from low to high, got {effect['within']}")
    for part, values in (("differences", differences), (kind, required)):
        if scale == 100 and abs(values).max() > 1:
            raise ValueError(
                f"{name}[{part!r}] must be fractions in [-1, 1], got {values[abs(values).argmax()]:g}; divide percents by "
                "100: they are shown times 100. For what is no fraction, set unit and scale"
            )

    bounds: dict[str, Any] = {kind: tuple(required.tolist()) if kind == "within" else float(required[0])}
    judgement = judge(str(effect["statement"]), _evidence(differences), **bounds)
    limits = np.array([limit for limit in judgement.limits if math.isfinite(limit)])
    low, high = _axis(differences, limits, scale)
    center, bound, step = float(limits.mean()), float(limits[0]), nice_step((high - low) / 200)
    start, end = low, high
    if kind == "within":
        bound = float(limits[1] - limits[0]) / 2
        start, end = step, max(center - low, high - center)
    # The slider has the statement's own bound among its places.
    digits = 6 - math.floor(math.log10(step))
    least = round(bound - max(0, math.floor((bound - start) / step)) * step, digits)
    most = round(bound + math.ceil((end - bound) / step) * step, digits)
    return {
        "name": str(key),
        "statement": str(effect["statement"]),
        "differences": differences.tolist(),
        # Every difference is a whole number of this power of one half, which is what the browser adds up.
        "bits": max(each.as_integer_ratio()[1].bit_length() - 1 for each in differences.tolist()),
        "kind": kind,
        "holds": judgement.holds,
        "limits": limits.tolist(),
        "center": center,
        "bound": bound,
        "min": min(least, bound),
        "max": max(most, bound),
        "step": round(step, digits),
        "axis": [low, high],
    }


def _axis(differences: NDArray[np.float64], limits: NDArray[np.float64], scale: float) -> tuple[float, float]:
    """Return the ends of an axis with room for zero, every difference, the interval of all of them and the bound."""
    interval = _evidence(differences).interval
    places = [0.0, *differences.tolist(), *interval, *limits.tolist()]
    low, high = min(places), max(places)
    margin = 0.08 * (high - low) or 1 / scale
    return low - margin, high + margin
