"""Error against keep_prob, with the size of the data and of the network as handles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import traitlets
from scipy.special import stdtrit

from dropout_lessons.widgets.base import Interactive, KeepProb, OneOf, script, style

_COORDINATES = ("train", "width", "held", "keep_prob", "seed")
_VALUES = ("units", "train_error", "test_error")
_HELD = ("n", "p*n")
_MIN_SEEDS = 5
_UNIT = 1e-5  # errors are kept as multiples of it


class KeepProbSweep(Interactive):
    r"""Training and test error against ``keep_prob``, for every size of the training set and of the hidden layers.

    The reader chooses the number of training examples, the number of units :math:`n` in a hidden layer, and what is held
    while :math:`p` is swept: :math:`n`, or :math:`p n`, the number of units that are left on average. The browser shows the
    mean over seeds with its 95% interval, Student's, and marks the lowest mean test error. Other keep probabilities count as
    told apart from it where the 95% interval of their paired difference to it lies above 0. That is generous to the lowest
    one, which was chosen because it is the lowest.

    Args:
        table: A row for each network, complete: columns ``train`` (examples), ``width`` (units at every keep_prob where
            ``held`` is ``"n"``), ``held`` (``"n"`` or ``"p*n"``), ``keep_prob``, ``seed``, ``units`` (in fact),
            ``train_error`` and ``test_error`` (fractions). The keep probabilities must be evenly spaced.
        keep_prob: The one that is looked at.
        train: The number of examples shown first; the one in the middle if None.
        width: The number of units shown first; the one in the middle if None.
        held: What is held first.

    Raises:
        ValueError: If a column is missing, a network is missing or there twice, an error is no fraction, there are fewer than
            five seeds, or the keep probabilities are not evenly spaced.
        TraitError: If ``keep_prob``, ``train``, ``width`` or ``held`` is none of the table, now or later.

    Example:
        >>> table = pd.MultiIndex.from_product(
        ...     [[100, 1000], [8], ["n"], [0.5, 1.0], range(5)], names=["train", "width", "held", "keep_prob", "seed"]
        ... ).to_frame(index=False).assign(units=8, train_error=0.0, test_error=0.2)
        >>> KeepProbSweep(table, train=100).width
        8

    Source: Srivastava et al. 2014, Figure 9.
    """

    _name = "keep_prob_sweep"
    _esm = script("keep_prob_sweep.js")
    _css = style("keep_prob_sweep.css")

    keep_prob = KeepProb(0.5).tag(sync=True)
    train = OneOf("trains").tag(sync=True)
    width = OneOf("widths").tag(sync=True)
    held = OneOf("held").tag(sync=True)

    def __init__(
        self,
        table: pd.DataFrame,
        keep_prob: float = 0.5,
        train: int | None = None,
        width: int | None = None,
        held: str = "n",
    ) -> None:
        data = _arranged(table)
        super().__init__(
            data=data,
            keep_prob=keep_prob,
            train=data["trains"][len(data["trains"]) // 2] if train is None else train,
            width=data["widths"][len(data["widths"]) // 2] if width is None else width,
            held=held,
        )

    @traitlets.validate("keep_prob")
    def _one_of_the_table(self, proposal: Any) -> float:
        value, allowed = proposal["value"], self.data["keep_probs"]
        near = [known for known in allowed if abs(known - value) < 1e-9]
        if not near:
            raise traitlets.TraitError(f"keep_prob must be one of {allowed}, got {value!r}")
        return float(near[0])

    def _sentence(self) -> str:
        data = self.data
        sizes = [f"{data[name][0]:,} to {data[name][-1]:,}" for name in ("trains", "widths")]
        return (
            f"Interactive: training and test error against keep_prob from {data['keep_probs'][0]:g} to "
            f"{data['keep_probs'][-1]:g}, for {sizes[0]} training examples and {sizes[1]} units in a hidden layer; now "
            f"{self.train:,} examples and {self.width:,} units, looked at where keep_prob = {self.keep_prob:g}."
        )


def _arranged(table: pd.DataFrame) -> dict[str, Any]:
    """The table as nested lists: training examples, width, what is held, keep_prob, seed."""
    missing = [name for name in (*_COORDINATES, *_VALUES) if name not in table]
    if missing:
        raise ValueError(f"table must have the columns {[*_COORDINATES, *_VALUES]}, and {missing} are not there")
    levels = {name: sorted(table[name].unique().tolist()) for name in _COORDINATES}
    unknown = [held for held in levels["held"] if held not in _HELD]
    if unknown:
        raise ValueError(f"table's column held must be 'n' or 'p*n', got {unknown[0]!r}")
    levels["held"] = [held for held in _HELD if held in levels["held"]]
    if len(levels["seed"]) < _MIN_SEEDS:
        raise ValueError(f"table must have at least {_MIN_SEEDS} seeds, got {len(levels['seed'])}")
    steps = np.diff(levels["keep_prob"])
    if len(steps) and np.ptp(steps) > 1e-9:
        raise ValueError(f"table's keep_prob must be evenly spaced, as a slider's stops are, got {levels['keep_prob']}")
    shape = tuple(len(levels[name]) for name in _COORDINATES)
    places = [table[name].map({level: i for i, level in enumerate(levels[name])}).to_numpy() for name in _COORDINATES]
    counts = np.zeros(shape, dtype=int)
    np.add.at(counts, tuple(places), 1)
    if (counts != 1).any():
        index = tuple(np.argwhere(counts != 1)[0])
        where = {name: levels[name][i] for name, i in zip(_COORDINATES, index, strict=True)}
        raise ValueError(f"table must have one row for each network, got {counts[index]} for {where}")
    arranged = {name: np.empty(shape) for name in _VALUES}
    for name, array in arranged.items():
        array[tuple(places)] = table[name]
    for name in ("train_error", "test_error"):
        if not ((arranged[name] >= 0) & (arranged[name] <= 1)).all():
            raise ValueError(f"table's {name} must be fractions in [0, 1]; divide percents by 100")
    return {
        "trains": levels["train"],
        "widths": levels["width"],
        "held": levels["held"],
        "keep_probs": levels["keep_prob"],
        "seeds": len(levels["seed"]),
        "quantile": float(stdtrit(len(levels["seed"]) - 1, 0.975)),
        "unit": _UNIT,
        "units": arranged["units"][..., 0].astype(int).tolist(),
        **{name: np.rint(arranged[name] / _UNIT).astype(int).tolist() for name in ("train_error", "test_error")},
    }
