"""Every subnetwork of a few units, and how often training comes by."""

from __future__ import annotations

import traitlets

from dropout_lessons.masks import expected_distinct_masks
from dropout_lessons.widgets.base import Interactive, KeepProb, script, style

_MOST_STEPS = 100_000  # what a phone draws anew between two frames


class SubnetworkVisits(Interactive):
    r"""All :math:`2^n` subnetworks as a grid, each the stronger in color the more training steps have drawn it.

    The browser draws one mask a step, :math:`m_j \sim \mathrm{Bernoulli}(p)`, and shows how many subnetworks have been
    seen after :math:`T` steps beside the expected number, :math:`\sum_m [1 - (1 - \pi_m)^T]`. The masks follow from
    ``seed``, so that the first picture is the same on every visit; moving :math:`p` or :math:`n` shows :math:`T` steps
    at the new value, and starting again takes the next seed.

    Args:
        units: Number of units :math:`n` with dropout, 2 to 10.
        keep_prob: Probability that a unit is kept, in (0, 1].
        steps: Number of steps :math:`T` already done, 0 to 100,000.
        seed: Which masks are drawn, 0 to :math:`2^{32} - 1`.

    Raises:
        TraitError: If one of these is out of bounds, now or later.

    Example:
        >>> visits = SubnetworkVisits(units=6, keep_prob=0.5, steps=20)
        >>> visits.steps += 100
    """

    _name = "subnetwork_visits"
    _esm = script("subnetwork_visits.js")
    _css = style("subnetwork_visits.css")

    units = traitlets.Int(6, min=2, max=10).tag(sync=True)
    keep_prob = KeepProb(0.5).tag(sync=True)
    steps = traitlets.Int(20, min=0, max=_MOST_STEPS).tag(sync=True)
    seed = traitlets.Int(0, min=0, max=2**32 - 1).tag(sync=True)

    def __init__(self, units: int = 6, keep_prob: float = 0.5, steps: int = 20, seed: int = 0) -> None:
        super().__init__(data={"most_steps": _MOST_STEPS}, units=units, keep_prob=keep_prob, steps=steps, seed=seed)

    def _sentence(self) -> str:
        expected = expected_distinct_masks(self.units, self.keep_prob, self.steps)
        return (
            f"Interactive: the {2**self.units:,} subnetworks of {self.units} units and how often each is drawn in "
            f"{self.steps:,} training steps at keep_prob = {self.keep_prob:g}; {expected:,.1f} of them are expected to "
            "be seen."
        )
