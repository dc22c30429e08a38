"""The layers in the words of TorchScript."""

# No `from __future__ import annotations`: TorchScript wants the annotations of `forward` themselves, and no shapes.

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dropout_lessons.layers.dropout import Dropout, GaussianDropout
from dropout_lessons.layers.structured import DropBlock, DropConnect, SpatialDropout


def scriptable(layer: nn.Module) -> nn.Module:
    """Return the layer with a forward pass that TorchScript can read; it shares everything else."""
    name = type(layer).__name__
    form = type(layer) if type(layer) in _FORMS.values() else _FORMS.get(type(layer))
    if form is None:
        known = ", ".join(known.__name__ for known in _FORMS)
        raise ValueError(
            f"torch.jit.script can read {known}, got {name}; script the other parts of the network, or use torch.compile"
        )
    if getattr(layer, "generator", None) is not None:
        raise ValueError(
            f"generator must be None under torch.jit.script, which cannot keep one, got {name} with its own; set its "
            "generator to None and seed with torch.manual_seed, or use torch.compile"
        )
    twin = copy.copy(layer)
    twin.__class__ = form
    return twin


def _masked(x: Tensor, mask: Tensor, keep_prob: float, scaling: str) -> Tensor:
    return x * mask / keep_prob if scaling == "inverted" else x * mask


class _Dropout(Dropout):
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is not None:
            return _masked(x, mask, self.keep_prob, self.scaling)
        dropped = F.dropout(x, 1 - self.keep_prob, self.training)
        return dropped if self.scaling == "inverted" else dropped * self.keep_prob


class _SpatialDropout(SpatialDropout):
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is not None:
            return _masked(x, mask, self.keep_prob, self.scaling)
        dropped = torch.feature_dropout(x, 1 - self.keep_prob, self.training)
        return dropped if self.scaling == "inverted" else dropped * self.keep_prob


class _DropBlock(DropBlock):
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None and not self.training:
            return x if self.scaling == "inverted" else x * self.keep_prob
        if mask is None:
            size = self.block_size
            shape = [x.size(0), x.size(1), x.size(2) + size - 1, x.size(3) + size - 1]
            mask = torch.empty(shape, device=x.device).bernoulli_(self.keep_prob ** (1 / size**2))
            for axis in (2, 3):
                free = mask.narrow(axis, 0, x.size(axis))
                for offset in range(1, size):
                    free = free * mask.narrow(axis, offset, x.size(axis))
                mask = free
        return _masked(x, mask, self.keep_prob, self.scaling)


class _DropConnect(DropConnect):
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return F.linear(x, self.weight_dropout(self.weight, mask), self.bias)


class _GaussianDropout(GaussianDropout):
    def forward(self, x: Tensor) -> Tensor:
        std = ((1 - self.keep_prob) / self.keep_prob) ** 0.5
        return x * (1 + std * torch.randn_like(x)) if self.training else x


_FORMS: dict[type[nn.Module], type[nn.Module]] = {
    Dropout: _Dropout,
    SpatialDropout: _SpatialDropout,
    DropBlock: _DropBlock,
    DropConnect: _DropConnect,
    GaussianDropout: _GaussianDropout,
}
