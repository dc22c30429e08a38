"""What a network is given: one tensor, several by position, several by name, or batches from a loader; and both together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.data import DataLoader

from dropout_lessons.running.checks import check_hookable, check_weights
from dropout_lessons.running.modes import unchanged
from dropout_lessons.running.outputs import Examples, Outputs, cloned

_KINDS = (
    "a tensor, a tuple of tensors (by position), a mapping of tensors (by keyword), or a DataLoader of such batches"
)


def tensors_of(x: Examples) -> list[Tensor]:
    """The tensors in it, in order."""
    return [x] if isinstance(x, Tensor) else [leaf for leaf in tree_leaves(_plain(x)) if isinstance(leaf, Tensor)]


def _plain(x: Examples) -> Examples:
    """Mappings of any kind, such as those of tokenizers, as dictionaries, which can be walked through."""
    return dict(x) if isinstance(x, Mapping) and not isinstance(x, dict) else x


def count_examples(x: Examples, batch_axis: int = 0) -> int:
    """How many examples there are: the length of the first tensor's axis of examples."""
    return tensors_of(x)[0].shape[batch_axis]


def check_examples(x: Examples, batch_axis: int = 0, *, finite: bool = False) -> Examples:
    """Return what a network can be given, or say what is wrong with it."""
    if not isinstance(x, (Tensor, tuple, list, Mapping)):
        hint = "; torch.from_numpy(x) makes a tensor of an array" if hasattr(x, "__array__") else ""
        raise ValueError(f"x must be {_KINDS}, got {type(x).__name__}{hint}")
    x = _plain(x)
    tensors = tensors_of(x)
    if not tensors:
        raise ValueError(f"x must be {_KINDS}, got {type(x).__name__} without a tensor")
    if tensors[0].dim() <= batch_axis:
        raise ValueError(
            f"x must have its examples on axis {batch_axis}, got a tensor of shape {tuple(tensors[0].shape)}; for a single "
            "example write x.unsqueeze(0)"
        )
    if tensors[0].shape[batch_axis] == 0:
        raise ValueError(
            f"x must have at least one example, got none: shape {tuple(tensors[0].shape)} with the examples on axis "
            f"{batch_axis}"
        )
    for tensor in tensors if finite else ():
        # A sum is infinite or NaN where a number is, or perhaps by itself; to look at each takes ten times as long.
        if not tensor.is_floating_point() or bool(tensor.sum().isfinite()):
            continue
        bad = int((~tensor.isfinite()).sum())
        if bad:
            raise ValueError(f"x must be finite, got {bad} NaN or infinite of {tensor.numel()} values")
    return x


def take(x: Examples, index: slice | Tensor, batch_axis: int = 0) -> Examples:
    """Some of the examples; tensors that have no axis of examples are for all of them, and stay as they are."""
    n = count_examples(x, batch_axis)

    def of(tensor: Tensor) -> Tensor:
        if tensor.dim() <= batch_axis or tensor.shape[batch_axis] != n:
            return tensor
        where = index.to(tensor.device) if isinstance(index, Tensor) else index
        taken: Tensor = tensor[(slice(None),) * batch_axis + (where,)]
        return taken

    return of(x) if isinstance(x, Tensor) else tree_map_only(Tensor, of, _plain(x))


def split_examples(x: Examples, size: int, batch_axis: int = 0) -> list[Examples]:
    """The examples in blocks of at most ``size``."""
    n = count_examples(x, batch_axis)
    if n <= size:
        return [x]
    return [take(x, slice(start, min(start + size, n)), batch_axis) for start in range(0, n, size)]


def moved(x: Examples, device: torch.device) -> Examples:
    """The same on another device."""
    return x.to(device) if isinstance(x, Tensor) else tree_map_only(Tensor, lambda tensor: tensor.to(device), _plain(x))


def device_of(network: nn.Module) -> torch.device:
    """Where a network computes: the device of its first parameter or buffer, else the CPU.

    Raises:
        ValueError: If that is Apple's GPU, which has none of the numbers in which errors are added up.
    """
    device = next((tensor.device for tensor in chain(network.parameters(), network.buffers())), torch.device("cpu"))
    if device.type == "mps":
        raise ValueError("network must not be on Apple's GPU (mps), which has no float64; move it with network.cpu()")
    return device


def batches(x: Examples | DataLoader[Any]) -> Iterator[tuple[Examples, Any]]:
    """What a loader yields, as inputs and what stands beside them; anything else is one batch with nothing beside it.

    A batch of a loader is a pair of inputs and labels, a mapping whose ``"labels"`` are no input, or inputs alone.
    """
    if not isinstance(x, DataLoader):
        yield x, None
        return
    any_batch = False
    for batch in x:
        any_batch = True
        y = None
        if isinstance(batch, (tuple, list)) and len(batch) == 2:
            batch, y = batch
        elif isinstance(batch, (tuple, list)) and len(batch) == 1:
            batch = batch[0]
        elif isinstance(batch, Mapping) and "labels" in batch:
            batch = dict(batch)
            y = batch.pop("labels")
        yield batch, y
    if not any_batch:
        raise ValueError("x must have at least one example, got a DataLoader that yields no batch")


def gathered(x: Examples | DataLoader[Any], y: Any = None, batch_axis: int = 0) -> tuple[Examples, Any]:
    """All examples at once, and their labels: those that are given, or else those that a loader yields."""
    if not isinstance(x, DataLoader):
        return x, y
    parts = list(batches(x))
    inputs = _joined([part for part, _ in parts], batch_axis)
    labels = [own for _, own in parts]
    if y is None and all(isinstance(own, Tensor) for own in labels):
        y = torch.cat(labels)
    return inputs, y


def _joined(parts: list[Examples], batch_axis: int) -> Examples:
    first = parts[0]
    if isinstance(first, Tensor):
        if first.dim() > batch_axis:
            return torch.cat(parts, dim=batch_axis)
        same = all(part is first or torch.equal(part, first) for part in parts)
        return first if same else _refuse(parts)
    if isinstance(first, Mapping):
        return {key: _joined([part[key] for part in parts], batch_axis) for key in first}
    if isinstance(first, (tuple, list)):
        return tuple(_joined(list(own), batch_axis) for own in zip(*parts, strict=True))
    plain = isinstance(first, (bool, int, float, str, type(None)))
    return _refuse(parts) if plain and any(part != first for part in parts) else first


def _refuse(parts: list[Examples]) -> Examples:
    raise ValueError(
        "x must be a DataLoader whose batches agree in what has no axis of examples, such as numbers and flags, got "
        f"{parts[0]} and other values; give it for each example, as a tensor of shape (examples,), or run batch by batch"
    )


@dataclass(frozen=True, eq=False)
class Given:
    """A network and what it is given; made at the entry by :meth:`checked`, and cut into smaller ones from there on.

    Attributes:
        network: Any module.
        x: Examples, on the network's device.
        outputs: How the network is called, and what it returns.
    """

    network: nn.Module
    x: Examples
    outputs: Outputs

    @classmethod
    def checked(cls, network: nn.Module, x: Examples, outputs: Outputs, *, finite: bool = False) -> Given:
        """Check the examples, with ``finite`` their numbers and the network's too, and move them to the network."""
        x = moved(check_examples(x, outputs.batch_axis, finite=finite), device_of(network))
        if finite:
            check_hookable(network)
            check_weights(network)
        return cls(network, x, outputs)

    def __len__(self) -> int:
        return count_examples(self.x, self.outputs.batch_axis)

    def take(self, index: slice | Tensor) -> Given:
        """The network with some of the examples."""
        return replace(self, x=take(self.x, index, self.outputs.batch_axis))

    def split(self, size: int) -> list[Given]:
        """The network with blocks of at most ``size`` examples."""
        if len(self) <= size:
            return [self]
        return [replace(self, x=block) for block in split_examples(self.x, size, self.outputs.batch_axis)]

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return tensors_of(self.x)[0].device

    def returned(self) -> Any:
        """Run the network, and pick its predictions: a tensor, or a pair of them for a mean and a variance."""
        with unchanged(self.network):
            return cloned(self.outputs.returned(self.network, self.x))  # they may be a buffer of the network

    def output(self) -> Float[Tensor, "examples *positions outputs"]:
        """Run the network, and put examples first and classes last."""
        return self.outputs.arranged(self.returned())
