"""The units of one layer of a network, on given examples, with any of them present."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dropout_lessons.coadaptation.additivity import agrees, look_above
from dropout_lessons.coadaptation.parts import Above, Part
from dropout_lessons.coadaptation.readout import Readout
from dropout_lessons.running import MaskedNetwork, Outputs
from dropout_lessons.running.checks import check_weights
from dropout_lessons.running.examples import (
    Examples,
    check_examples,
    count_examples,
    device_of,
    gathered,
    moved,
    split_examples,
    take,
)
from dropout_lessons.running.layer_passes import LayerPasses, Side
from dropout_lessons.running.masked import as_masked

__all__ = ["Clamp", "Layer", "LayerUnits", "check_choice"]

Clamp = Literal["zero", "mean"]

_BLOCK = 128  # examples that run together, at most


@dataclass(frozen=True)
class Layer:
    """Where the units of a layer are.

    Attributes:
        name: Name of a module that a forward pass calls once, as in ``network.named_modules()``.
        at: Whether the units are in the ``"output"`` of the module (the first tensor, if it returns several), or in the
            ``"input"`` that it is given.
        unit_axis: Axis that holds the units, as in ``(examples, units)`` and ``(examples, channels, height, width)``, where it is
            1 and need not be said. Of three axes it must be: -1 for tokens, 1 for channels of a sequence.
        groups: Number of equal slices of that axis that count as one unit each, such as the heads of attention; when None, each
            entry is a unit.

    Raises:
        ValueError: If an attribute is not one of these.

    Example:
        >>> from dropout_lessons.networks import SmallTransformer
        >>> network = SmallTransformer(symbols=8, context=16, width=32, heads=4)
        >>> heads = Layer("block1.attention.output", at="input", unit_axis=-1, groups=4)
        >>> masked = MaskedNetwork(network, outputs=Outputs(class_axis=-1))
        >>> LayerUnits(masked, heads, torch.tensor([[1, 5, 3, 7], [2, 2, 0, 6]])).n_units
        4
    """

    name: str
    at: Side = "output"
    unit_axis: int | None = None
    groups: int | None = None

    def __post_init__(self) -> None:
        check_choice("at", self.at, get_args(Side))
        if self.groups is not None and (not isinstance(self.groups, int) or self.groups < 1):
            raise ValueError(f"groups must be a number of slices of the unit axis, got {self.groups!r}")

    def axis(self, values: Tensor, batch_axis: int) -> int:
        """The axis of the units where the examples have been put first."""
        axes, unit_axis = values.dim(), self.unit_axis
        others = list(values.shape[1:])
        shape = ", ".join(map(str, [*others[:batch_axis], "examples", *others[batch_axis:]]))
        if unit_axis is None:
            if axes == 3:
                raise ValueError(
                    f"layer {self.name!r} has three axes, ({shape}), of which two may hold the units; say which: "
                    f"Layer({self.name!r}, unit_axis=-1) for the last, as in transformers, unit_axis=1 for channels of a "
                    "sequence"
                )
            return 1
        if not -axes <= unit_axis < axes or unit_axis % axes == batch_axis:
            raise ValueError(
                f"unit_axis must be an axis of {self.name!r} other than that of the examples, got {unit_axis} for shape "
                f"({shape}); dense and convolutional layers have their units on axis 1, transformers on axis -1"
            )
        axis = unit_axis % axes
        return axis if axis > batch_axis else axis + 1

    def count(self, entries: int) -> int:
        """Number of units on an axis of so many entries."""
        if self.groups is not None and entries % self.groups:
            raise ValueError(
                f"groups must divide the {entries} entries of the unit axis of {self.name!r}, got {self.groups}"
            )
        return entries if self.groups is None else self.groups


class LayerUnits:
    r"""The units of a layer on given examples; every measure is a question to it.

    Unit :math:`j` sends on :math:`z_j h_j + (1 - z_j)\, c_j`: its output where present, else its clamp. The network is in
    evaluation mode, dropout is inactive, and what lies below the layer runs once, for all questions. An example is worth
    :math:`v`, the log-probability of its label in nats, mean over positions where the network predicts at several; in a
    regression minus the squared error.

    Args:
        network: Any module; a :class:`~dropout_lessons.running.MaskedNetwork` where there is more to say: how it is called, what
            it returns (``outputs``), and the work space (``memory``).
        layer: Name of a module that a forward pass calls once, or a :class:`Layer`.
        x: What the network is given: a tensor, a tuple or mapping of tensors, or a DataLoader.
        y: Class of each example (and position), or real targets, other than zeros and ones, which make it a regression; the
            network's own predictions when None.
        clamp: ``"zero"`` for :math:`c_j = 0`, ``"mean"`` for the unit's mean over ``x`` and positions.
        temperature: Divides the logits. Compare networks at their best temperatures: a surer one has more to lose.

    Attributes:
        n_units: Number of units :math:`n`.
        n_examples: Number of examples.
        y: Classes, or targets ``(examples, outputs)``.
        output: What the intact network predicts, as its ``Outputs`` arranges it.
        axis: Axis of ``h`` that holds the units.

    Raises:
        ValueError: If an argument is not what it should be; the message says what would be.

    Example:
        Attention heads and hidden units of a transformer, and how much they rely on each other:

        >>> from dropout_lessons.coadaptation import compensation, interaction
        >>> from dropout_lessons.networks import SmallTransformer
        >>> network = MaskedNetwork(SmallTransformer(symbols=8, context=16, heads=4), outputs=Outputs(class_axis=-1))
        >>> text = torch.arange(48).view(6, 8) % 7
        >>> heads = Layer("block1.attention.output", at="input", unit_axis=-1, groups=4)
        >>> hidden = Layer("block1.hidden", unit_axis=-1)
        >>> for layer in (heads, hidden):
        ...     units = LayerUnits(network, layer, text)
        ...     pairs, sets = interaction(units, contexts=1), compensation(units, sizes=[2], progress=False)
        ...     print(layer.name, tuple(pairs.pairwise.shape), tuple(sets.ratio.shape))
        block1.attention.output (4, 4) (1,)
        block1.hidden (128, 128) (1,)

        A HuggingFace model takes ``dict(tokenizer(...))`` for ``x`` and ``Layer("encoder.layer.0.attention.output.dense", ...)``
        for its heads, a model of timm ``Layer("blocks.0.attn.proj", ...)``.

    Source: this course; McGrath et al. 2023, "The Hydra effect", remove layers of attention in the same way.
    """

    def __init__(
        self,
        network: nn.Module | MaskedNetwork,
        layer: str | Layer,
        x: Examples,
        y: Tensor | None = None,
        *,
        clamp: Clamp = "zero",
        temperature: float = 1.0,
    ) -> None:
        check_choice("clamp", clamp, get_args(Clamp))
        masked = as_masked(network)
        self.network = masked.network
        self.memory = masked.memory
        self.layer = layer if isinstance(layer, Layer) else Layer(layer)
        self.clamp = clamp
        check_weights(self.network)
        x, y = gathered(x, y, masked.says.batch_axis)
        self.outputs = _outputs_for(masked.says, y)
        self.readout = Readout(self.outputs, temperature)
        self.x = moved(check_examples(x, self.outputs.batch_axis, finite=True), device_of(self.network))
        self.n_examples = count_examples(self.x, self.outputs.batch_axis)
        self._blocks = self._passes(_BLOCK)
        values = self._blocks[0].activations
        self.axis = self.layer.axis(values, self.outputs.batch_axis)
        self.n_units = self.layer.count(values.shape[self.axis])
        bad = int((~self.h.isfinite()).sum())
        if bad:
            raise ValueError(
                f"the output of layer {self.layer.name!r} must be finite, got {bad} NaN or infinite values"
            )
        if clamp == "mean":
            self._check_means()
        self.output = self.outputs.checked(torch.cat([block.output for block in self._blocks]), self.n_examples)
        self.y = self.readout.targets(y, self.output)

    def _passes(self, size: int) -> list[LayerPasses]:
        """Forward passes of at most so many examples each, of nearly the same number."""
        size = -(-self.n_examples // -(-self.n_examples // size))
        functional, passes = True, []
        for block in split_examples(self.x, size, self.outputs.batch_axis):
            side = self.layer.at
            passes.append(
                LayerPasses(self.network, self.layer.name, block, self.outputs, side=side, functional=functional)
            )
            functional = passes[0].has_functional_dropout
        return passes

    @cached_property
    def _above(self) -> Above:
        """What lies above the layer; after it, blocks are small enough for it."""
        self._looked_at = self._blocks[0]
        above = look_above(Part(self._looked_at, self.axis, self.n_units, self.readout), self.memory)
        if above.examples_at_once < max(len(block.activations) for block in self._blocks):
            self._blocks = self._passes(above.examples_at_once)
        return above

    @cached_property
    def parts(self) -> list[Part]:
        """The examples, in parts that run together."""
        above = self._above
        parts = [Part(block, self.axis, self.n_units, self.readout) for block in self._blocks]
        clamps = self._means if self.clamp == "mean" else None
        for part, y in zip(parts, self.y.split([part.n_examples for part in parts]), strict=True):
            part.clamps, part.y, part.above = clamps, y, dataclasses.replace(above)
        # What was found of the first block, clamped to zero, must be so of all examples, and with these clamps.
        if not all(agrees(part, above) for part in parts if part.passes is not self._looked_at or clamps is not None):
            for part in parts:
                part.above = dataclasses.replace(above, cut=None, additive=False)
        return parts

    @cached_property
    def h(self) -> Float[Tensor, "examples ..."]:
        """What the layer sends on by itself, examples first."""
        return torch.cat([block.activations for block in self._blocks])

    @cached_property
    def _means(self) -> Tensor:
        rows = [axis for axis in range(self.h.dim()) if axis != self.axis]
        return self.h.double().mean(rows, keepdim=True).to(self.h.dtype)

    def _check_means(self) -> None:
        if self.n_examples < 2:
            raise ValueError('clamp="mean" needs the mean over two or more examples, got 1; give more, or clamp="zero"')

    def clamped(self, clamp: Clamp) -> LayerUnits:
        """The same units with another clamp; what was computed below the layer is shared."""
        check_choice("clamp", clamp, get_args(Clamp))
        if clamp == self.clamp:
            return self
        if clamp == "mean":
            self._check_means()
        assert self._above is not None  # found once, for both
        other = copy.copy(self)
        other.clamp = clamp
        other.__dict__.pop("parts", None)
        return other

    def first(self, examples: int) -> LayerUnits:
        """The same units on the first examples only; what was computed below the layer, and means over ``x``, are shared."""
        if examples >= self.n_examples:
            return self
        assert self._above is not None
        if self.clamp == "mean":
            assert self._means is not None
        other = copy.copy(self)
        other._blocks, left = [], examples
        for block in self._blocks:
            here = min(left, len(block.activations))
            if here:
                other._blocks.append(block if here == len(block.activations) else block.first(here))
            left -= here
        other.n_examples = examples
        other.x = take(self.x, slice(examples), self.outputs.batch_axis)
        other.y, other.output = self.y[:examples], self.output[:examples]
        for name in ("parts", "h", "activations", "rounding"):
            other.__dict__.pop(name, None)
        return other

    def judged_by_predictions(self) -> LayerUnits:
        """The same units, judged by what the intact network predicts; all that was computed is shared."""
        other = copy.copy(self)
        other.y = self.readout.targets(None, self.output)
        pieces = other.y.split([part.n_examples for part in self.parts])
        other.__dict__["parts"] = [part.judged_by(y) for part, y in zip(self.parts, pieces, strict=True)]
        return other

    @property
    def device(self) -> torch.device:
        return self.output.device

    @property
    def is_regression(self) -> bool:
        """Whether values are squared errors."""
        return self.readout.is_regression

    @property
    def is_additive(self) -> bool:
        """Whether units add to the logits, or to the values of a regression."""
        return self.parts[0].above.additive

    @cached_property
    def activations(self) -> Float[Tensor, "rows entries"]:
        """What the layer sends on by itself: a row for each example and position, a column for each entry of the unit axis."""
        return self.h.movedim(self.axis, -1).flatten(0, -2)

    @cached_property
    def rounding(self) -> float:
        """Differences of values that may be rounding: a unit whose effects are all this small has none."""
        dtype = max((self.h.dtype, self.output.dtype), key=lambda own: torch.finfo(own).eps)
        eps = torch.finfo(dtype).eps
        if eps > 1e-5:
            raise ValueError(
                f"network computes in {dtype}, whose rounding hides what single units do; give network.float(), x.float()"
            )
        return self.readout.rounding(self.output, self.y, eps)

    def predictions(self, presence: Tensor) -> Float[Tensor, "members examples ..."]:
        """What the network predicts, as its ``Outputs`` arranges it.

        Args:
            presence: How far each unit is present, 0 to 1 or bool: ``(members, units)``, or ``(members, examples, units)``.
        """
        return self._joined(presence, Part.predictions)

    def values(self, presence: Tensor) -> Float[Tensor, "members examples"]:
        r"""Value :math:`v` of each example: log-probability of the label in nats, or :math:`-\sum_k (y_k - f_k)^2`."""
        return self._joined(presence, Part.values)

    def scores(self, presence: Tensor) -> Float[Tensor, "members examples"]:
        """1 where the prediction is right, else 0, mean over positions; the squared error of a regression."""
        return self._joined(presence, Part.scores)

    def intact_values(self) -> Float[Tensor, "1 examples"]:
        """Values with all units present."""
        return self.values(torch.ones(1, self.n_units, dtype=torch.bool, device=self.device))

    def score(self, presence: Tensor) -> Float[Tensor, " members"]:
        """Accuracy, or the share of the variance that a regression explains."""
        return self.readout.total(self.scores(presence), self.y).cpu()

    def score_of(self, predictions: Float[Tensor, "members examples ..."]) -> Float[Tensor, " members"]:
        """The score of what perturbed networks predict."""
        return self.readout.total(self.readout.scores(self.readout.logits(predictions), self.y), self.y).cpu()

    def score_without(self, rank: Int[Tensor, " units"], counts: Int[Tensor, " counts"]) -> Float[Tensor, " counts"]:
        """The score without so many units, those of the lowest ranks."""
        rank, counts = rank.to(self.device), counts.to(self.device)
        scores = torch.cat([part.scores_without(rank, counts) for part in self.parts], dim=1)
        return self.readout.total(scores, self.y).cpu()

    @property
    def chance(self) -> float:
        """The score that needs no network: the share of the most frequent class, or 0, that of the mean of the targets."""
        return self.readout.chance(self.y)

    @property
    def metric(self) -> str:
        """What the score is."""
        return "R²" if self.is_regression else "accuracy"

    def _joined(self, presence: Tensor, of: Callable[[Part, Tensor], Tensor]) -> Tensor:
        return torch.cat([of(part, own) for part, own in self._split(presence)], dim=1)

    def _split(self, presence: Tensor) -> Iterator[tuple[Part, Tensor]]:
        if presence.shape[-1] != self.n_units or presence.shape[1:-1] not in ((), (self.n_examples,)):
            raise ValueError(
                f"presence must be (members, {self.n_units}) or (members, {self.n_examples}, {self.n_units}), got "
                f"{tuple(presence.shape)}"
            )
        presence = presence.to(self.device)
        sizes = [part.n_examples for part in self.parts]
        pieces: Sequence[Tensor] = presence.split(sizes, dim=1) if presence.dim() == 3 else [presence] * len(sizes)
        yield from zip(self.parts, pieces, strict=True)

    def __repr__(self) -> str:
        return f"LayerUnits({self.layer.name}: {self.n_units} units, {self.n_examples} examples, clamp {self.clamp})"


def _outputs_for(outputs: Outputs, y: Any) -> Outputs:
    """Real targets say that what looks like logits are the values of a regression."""
    if not isinstance(y, Tensor) or not y.is_floating_point() or outputs.is_regression:
        return outputs
    if bool(((y == 0) | (y == 1)).all()):
        return outputs  # labels of two classes, or one-hot ones, which are refused as labels are
    if outputs.kind != "logits":
        raise ValueError(
            f'y has dtype {y.dtype}, the targets of a regression, but outputs="{outputs.kind}"; give classes as int64, '
            'or say outputs="values"'
        )
    return dataclasses.replace(outputs, kind="values")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {list(choices)}, got {value!r}")


def check_count(name: str, value: int | None, *, at_least: int) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < at_least):
        raise ValueError(f"{name} must be a whole number of at least {at_least}, got {value!r}")
