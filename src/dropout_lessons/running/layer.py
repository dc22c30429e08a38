"""Where the units of a layer are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import Tensor

from dropout_lessons.arguments import check_choice, check_count, check_kind, is_axis
from dropout_lessons.running.examples import Given

#: Where a layer's values are taken and replaced: in what it returns, or in the first argument that it is given.
Side = Literal["output", "input"]


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
        >>> import torch
        >>> from dropout_lessons.coadaptation import LayerUnits
        >>> from dropout_lessons.networks import SmallTransformer
        >>> from dropout_lessons.running import MaskedNetwork, Outputs
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
        check_kind("name", self.name, str, "network.named_modules() has the names")
        check_choice("at", self.at, get_args(Side))
        check_count("groups", self.groups, at_least=1, optional=True)
        if self.unit_axis is not None and not is_axis(self.unit_axis):
            raise ValueError(f"unit_axis must be the number of an axis, or None, got {self.unit_axis!r}")

    def values(self, found: Any, given: Given) -> Tensor:
        """The tensor with the units, examples first, of all that the module returned or was given."""
        verb = "return" if self.at == "output" else "be given"
        if self.at == "output" and isinstance(found, (tuple, list)) and found:
            found = found[0]
        if not isinstance(found, Tensor):
            raise ValueError(
                f"layer must {verb} a tensor, or a tuple that starts with one, got {type(found).__name__} for {self.name!r}; "
                "name a module that takes its output, or wrap it in one that returns the tensor alone"
            )
        shape, axis, examples = tuple(found.shape), given.outputs.batch_axis, len(given)
        if not found.is_floating_point():
            raise ValueError(f"layer must {verb} floating-point numbers, got {found.dtype} for {self.name!r}")
        if len(shape) < 2 or len(shape) <= axis or shape[axis] != examples:
            raise ValueError(
                f"layer must {verb} (examples, units) or (examples, channels, ...), with the examples on axis {axis}, but for "
                f"{examples} examples {self.name!r} has shape {shape}"
            )
        return found.movedim(axis, 0)

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
