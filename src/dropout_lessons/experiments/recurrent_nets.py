"""Recurrent networks that read an image row by row, with dropout at one of several places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dropout_lessons import datasets, runtime
from dropout_lessons.arguments import check_keep_prob
from dropout_lessons.experiments.arms import Row, Unit
from dropout_lessons.experiments.conv_nets import shrunk
from dropout_lessons.experiments.tuning import train_each
from dropout_lessons.masks import sample_mask
from dropout_lessons.networks.mlp import bare_linear

__all__ = ["PLACES", "RowReader", "train_row_readers"]

#: Where masks act, by name.
PLACES = ("none", "not recurrent", "fresh on the cell", "fresh on the state", "locked on the state", "zoneout")


class RowReader(nn.Module):
    r"""An LSTM that reads the rows of an image, one a step, and names its class after the last.

    .. math:: c_t = f_t \odot c_{t-1} + i_t \odot g_t, \qquad h_t = o_t \odot \tanh c_t

    The gates see the row and the state :math:`h_{t-1}`. Masks are drawn for each sequence and unit, with inverted scaling:

    ==========================  ================================================================================
    ``"not recurrent"``         on the rows and on the last state, what goes from layer to layer
    ``"fresh on the cell"``     on :math:`c_{t-1}`, a new mask at each step
    ``"fresh on the state"``    on :math:`h_{t-1}` where the gates read it, a new mask at each step
    ``"locked on the state"``   the same, with one mask for the sequence
    ``"zoneout"``               units with a 0 in the mask keep :math:`c_{t-1}, h_{t-1}`; the mean at test time
    ==========================  ================================================================================

    Args:
        rows: Number of rows, and of pixels in each.
        units: Size of cell and state.
        classes: Number of classes.
        place: One of ``PLACES``.
        keep_prob: :math:`p`; in zoneout the probability of an update.
        generator: Source of the initial weights; PyTorch's global generator when None.

    Shape:
        Input ``(batch, pixels)``, output ``(batch, classes)``, logits.

    Raises:
        ValueError: If there is no such place, or ``keep_prob`` is out of range.

    Example:
        >>> RowReader(rows=14, units=8, place="zoneout", keep_prob=0.9)(torch.rand(5, 196)).shape
        torch.Size([5, 10])

    Source: Zaremba et al. 2014; Gal and Ghahramani 2016; Krueger et al. 2017.
    """

    def __init__(
        self,
        rows: int,
        units: int,
        *,
        classes: int = 10,
        place: str = "none",
        keep_prob: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if place not in PLACES:
            raise ValueError(f"place must be one of {PLACES}, got {place!r}")
        self.rows, self.units, self.place = rows, units, place
        self.keep_prob = check_keep_prob(keep_prob)
        # As PyTorch's LSTM begins, but with a forget gate that is open, so that something is remembered from the start.
        bound = units**-0.5
        self.from_row, self.from_state, self.output = (
            _uniform(bare_linear(inputs, outputs), bound, generator)
            for inputs, outputs in ((rows, 4 * units), (units, 4 * units), (units, classes))
        )
        with torch.no_grad():
            self.from_row.bias[units : 2 * units] += 1

    def forward(self, x: Float[Tensor, "batch pixels"]) -> Float[Tensor, "batch classes"]:
        """Compute logits after the last row."""
        sequence = x.view(len(x), -1, self.rows)
        drives = self.from_row(self._dropped(sequence, "not recurrent")).unbind(1)
        cell = state = x.new_zeros(len(x), self.units)
        is_locked = self.training and self.place == "locked on the state"
        locked = self._mask(state) / self.keep_prob if is_locked else torch.ones_like(state)
        for drive in drives:
            read = self._dropped(state * locked, "fresh on the state")
            gates = drive + self.from_state(read)
            open_input, forget, output = gates[:, : 3 * self.units].sigmoid().chunk(3, dim=1)
            new_cell = (
                forget * self._dropped(cell, "fresh on the cell") + open_input * gates[:, 3 * self.units :].tanh()
            )
            new_state = output * new_cell.tanh()
            cell, state = self._updated(cell, new_cell), self._updated(state, new_state)
        logits: Tensor = self.output(self._dropped(state, "not recurrent"))
        return logits

    def _mask(self, x: Tensor) -> Bool[Tensor, " ..."]:
        return sample_mask(x.shape, self.keep_prob, device=x.device)

    def _dropped(self, x: Tensor, place: str) -> Tensor:
        if place != self.place or not self.training:
            return x
        return x * self._mask(x) / self.keep_prob

    def _updated(self, before: Tensor, after: Tensor) -> Tensor:
        if self.place != "zoneout":
            return after
        if not self.training:
            return self.keep_prob * after + (1 - self.keep_prob) * before
        return torch.where(self._mask(after), after, before)


def _uniform(layer: nn.Linear, bound: float, generator: torch.Generator | None) -> nn.Linear:
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -bound, bound, generator=generator)
    return layer


def build(unit: Unit, candidate: Mapping[str, Any], rows: int) -> RowReader:
    """The untrained network of a unit's candidate; with the seed, all have the same initial weights."""
    chosen = {**unit.settings, **candidate}
    return RowReader(
        rows,
        unit["units"],
        place=unit["arm"],
        keep_prob=chosen.get("keep_prob", 1.0),
        generator=runtime.generator(unit.seed),
    )


def train_row_readers(unit: Unit, device: torch.device) -> list[Row]:
    """Train a unit's candidates, one after the other: rows as those of ``tuning.train``."""
    data = shrunk(datasets.load(unit["data"], train=unit["train"], seed=unit.seed).to(device))
    return train_each(unit, data, lambda candidate: build(unit, candidate, data.image_shape[-1]))
