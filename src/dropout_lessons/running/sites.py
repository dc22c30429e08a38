"""The places where a network drops: calls of dropout that every forward pass makes, and modules that draw by themselves."""

from __future__ import annotations

import copy
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from dropout_lessons.layers import Dropout, GaussianDropout
from dropout_lessons.layers.dropout import training_scale
from dropout_lessons.masks import sample_mask
from dropout_lessons.masks.sampling import mask_stream
from dropout_lessons.running.calls import DropoutCall

Drops = Literal["units", "inputs", "weights"]

_BITS = ("unit", "channel", "channel1d", "channel3d")


@dataclass(frozen=True)
class Site:
    """One place where a network drops in training mode.

    Attributes:
        name: Name of the place: that of the module which calls dropout, or of the dropout layer without ``dropout`` at its end.
        path: Name of the layer, of the module with a functional call, or of the module that draws.
        index: Which call of dropout it is in a forward pass; for a module that draws, how many come before it.
        kind: What one entry of the mask covers: a ``"unit"`` or a ``"channel"``; or why there is none: the entries depend on
            each other (``"joint"``), it is ``"noise"``, ``"alpha"`` dropout, or the module draws by itself (``"drawn"``), as
            recurrent layers, attention and stochastic depth do.
        keep_prob: Probability of keeping; NaN for a module that draws by itself.
        drops: What is dropped: hidden ``"units"``, the network's ``"inputs"``, or its ``"weights"``; None where a module draws by
            itself and is not recurrent, so that it does not show.
        x_shape: Shape of what is dropped, for two examples.
        batch_axis: Axis of it that grows with the examples; None for what they share.
        rows: Length of that axis for one example.
        unit_shape: Shape of the mask, for two examples.
        dtype: Of what is dropped.
        scale: Factor of what is kept.
    """

    name: str
    path: str
    index: int
    kind: str
    keep_prob: float
    drops: Drops | None
    x_shape: tuple[int, ...] = ()
    batch_axis: int | None = None
    rows: int = 1
    unit_shape: tuple[int, ...] = ()
    dtype: torch.dtype = torch.float32
    scale: float = 1.0

    @property
    def is_random(self) -> bool:
        return self.kind == "drawn" or 0 < self.keep_prob < 1

    @property
    def is_enumerable(self) -> bool:
        """Whether the mask is independent bits."""
        return self.kind in _BITS

    @property
    def n_units(self) -> int:
        """Entries of the mask of one example; 0 for a module that draws."""
        return 0 if self.kind == "drawn" else math.prod(self.mask_shape(1))

    def mask_shape(self, examples: int) -> tuple[int, ...]:
        return self._for_examples(self.unit_shape, examples)

    def _for_examples(self, shape: Sequence[int], examples: int) -> tuple[int, ...]:
        axes = list(shape)
        if self.batch_axis is not None:
            axes[self.batch_axis] = self.rows * examples
        return tuple(axes)

    def draw_several(self, members: int, examples: int, generator: torch.Generator) -> Tensor:
        """Draw the masks of several members at once, as bytes, where masks are independent bits."""
        shape = (members, *self.mask_shape(examples))
        return sample_mask(shape, self.keep_prob, generator=generator).view(torch.uint8)

    def draws(self, network: nn.Module, examples: int, generator: torch.Generator) -> Iterator[Tensor]:
        """One member's masks for some examples after the other, as bytes, or its noise, as the network's floats."""
        if self.is_enumerable:
            yield from mask_stream(torch.Size(self.mask_shape(examples)), self.keep_prob, generator)
        while True:
            yield self._draw_by_layer(network, examples, generator)

    def _draw_by_layer(self, network: nn.Module, examples: int, generator: torch.Generator) -> Tensor:
        layer = copy.copy(network.get_submodule(self.path))
        assert isinstance(layer, (Dropout, GaussianDropout))
        layer.generator = generator  # of the copy: the network's own layer keeps, and does not use, its generator
        like = torch.ones((), dtype=self.dtype, device=generator.device)
        like = like.expand(self._for_examples(self.x_shape, examples))
        if isinstance(layer, GaussianDropout):
            layer.training = True
            noise: Tensor = layer(like)
            return noise
        return layer.sample_mask(like).view(torch.uint8)


def multiply(site: Site, x: Tensor, factor: Tensor | None) -> Tensor:
    """Drop ``x``: bytes are a mask, floats are a factor, and None drops everything."""
    if factor is None:
        return torch.zeros_like(x)
    if factor.dtype != torch.uint8 or site.scale == 1.0:
        return x * factor
    batched = torch._C._functorch.is_batchedtensor
    if batched(factor) and not batched(x):
        return (x * site.scale) * factor  # the members share x: scale it once
    return (x * factor).mul_(site.scale)


def place(path: str) -> str:
    """The name of a place, from that of a module: without ``dropout`` at its end, if something is left."""
    return re.sub(r"[._]dropout$", "", path)


def numbered(names: Sequence[str]) -> list[str]:
    """The names, with the number of the call from the second one on."""
    times: Counter[str] = Counter()
    result = []
    for name in names:
        times[name] += 1
        result.append(name if times[name] == 1 else f"{name} (call {times[name]})")
    return result


def site_of(name: str, path: str, keep_prob: float, drops: Drops, few: DropoutCall, more: DropoutCall) -> Site:
    """A site from its call in forward passes of two and of three examples."""
    axes = [i for i, (a, b) in enumerate(zip(few.mask_shape, more.mask_shape, strict=True)) if a != b]
    axis = axes[0] if axes else None
    rows = 1 if axis is None else more.mask_shape[axis] - few.mask_shape[axis]
    if len(axes) > 1 or (axis is not None and few.mask_shape[axis] != 2 * rows):
        raise ValueError(
            f"network gives dropout {name!r} shape {tuple(few.x.shape)} for 2 examples and {tuple(more.x.shape)} "
            "for 3; one axis must be proportional to the number of examples"
        )
    scaling = few.module.scaling if isinstance(few.module, Dropout) else "inverted"
    return Site(
        name=name,
        path=path,
        index=few.index,
        kind=few.kind,
        keep_prob=keep_prob,
        drops=drops,
        x_shape=tuple(few.x.shape),
        batch_axis=axis,
        rows=rows,
        unit_shape=few.mask_shape,
        dtype=few.x.dtype,
        scale=training_scale(keep_prob, scaling, few.x.dtype) if keep_prob else 0.0,
    )


def named(sites: Sequence[Site]) -> dict[str, Site]:
    """The sites by what they may be called: their names and, where these are no other's name, the modules that drop."""
    paths = numbered([site.path for site in sites])
    return dict(zip(paths, sites, strict=True)) | {site.name: site for site in sites}


def choose_sites(sites: Sequence[Site], layers: Sequence[str] | None) -> list[Site]:
    """Return the sites that are to be masked: those named, by place or by module, or all."""
    if not sites:
        raise ValueError(
            "network has no dropout: a forward pass calls no layer of dropout_lessons.layers or torch.nn (Dropout, "
            "Dropout1d, 2d, 3d) and no functional dropout, and no module draws random numbers in training mode"
        )
    if layers is None:
        chosen = list(sites)
    else:
        if isinstance(layers, str):
            raise ValueError(f"layers must be a sequence of names, got {layers!r}; write [{layers!r}]")
        by_name = named(sites)
        if not layers or any(name not in by_name for name in layers):
            known = [site.name for site in sites]
            raise ValueError(f"layers must name places where the network drops, got {list(layers)}; there are {known}")
        picked = {by_name[name].name for name in layers}
        chosen = [site for site in sites if site.name in picked]
    chosen = [site for site in chosen if site.kind == "drawn" or site.keep_prob < 1]
    alpha = [site.name for site in chosen if site.kind == "alpha"]
    if alpha:
        raise ValueError(
            f"network has alpha dropout, {alpha}, which does not set units to zero and cannot be masked; name the other "
            "sites with layers=[...], and it stays in evaluation mode"
        )
    return chosen


_WHY = {
    "noise": "multiplies by Gaussian noise",
    "joint": "draws masks whose entries depend on each other",
    "drawn": "draws by itself, where no mask can be put in",
}


def check_enumerable(network: nn.Module, sites: Sequence[Site]) -> None:
    """Say which sites' masks are no independent bits."""
    for site in sites:
        if not site.is_enumerable:
            layer = type(network.get_submodule(site.path)).__name__
            raise ValueError(
                f"{layer} {site.name!r} {_WHY[site.kind]}, so its subnetworks cannot be enumerated; use "
                "monte_carlo_average, or leave it in evaluation mode by naming other sites in layers=[...]"
            )
