"""The dropout family as ``nn.Module``: the semantics of ``nn.Dropout``, written in terms of keeping.

Every layer is active in training mode and deterministic in evaluation mode. With ``scaling="inverted"``, the
convention of PyTorch, TensorFlow and JAX, what is kept is divided by ``keep_prob`` in training and the test-time layer
is the identity. With ``scaling="standard"``, the convention of the paper, training does not rescale and the test-time
layer multiplies by ``keep_prob``. The layers draw from PyTorch's global generator unless they are given their own.
"""

from __future__ import annotations

import functools
import math
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dropout_lessons.masks import check_keep_prob, sample_mask

__all__ = ["DropBlock", "DropConnect", "Dropout", "GaussianDropout", "Scaling", "SpatialDropout"]

Scaling = Literal["inverted", "standard"]


def _check_scaling(scaling: Scaling) -> Scaling:
    if scaling not in get_args(Scaling):
        raise ValueError(
            f'scaling must be "inverted" (divide by keep_prob in training) or "standard" (multiply by keep_prob at '
            f"test), got {scaling!r}"
        )
    return scaling


def _check_floating(x: Tensor) -> None:
    if not x.is_floating_point():
        raise TypeError(f"x must be a floating-point tensor, got {x.dtype}; convert with x.float()")


def _training_scale(keep_prob: float, scaling: Scaling, dtype: torch.dtype) -> float:
    # For keep_prob near 0 the scale is bounded by the largest finite number, since 0 * inf would be NaN.
    return min(1 / keep_prob, torch.finfo(dtype).max) if scaling == "inverted" else 1.0


class Dropout(nn.Module):
    r"""Drop each entry of the input independently, :math:`\tilde h_j = m_j h_j / p` with :math:`m_j \sim \mathrm{Bernoulli}(p)`.

    A drop-in for ``nn.Dropout(1 - keep_prob)``, in eager mode, ``torch.compile`` and ``torch.func``. On the CPU it is
    several times as fast from about 10,000 entries on (``make bench``), and keeps one byte an entry for the backward
    pass instead of four.

    Args:
        keep_prob: Probability :math:`p \in (0, 1]` of keeping a unit; 1 makes the layer the identity.
        scaling: ``"inverted"`` divides by :math:`p` in training and is the identity at test time; ``"standard"`` does not
            scale in training and multiplies by :math:`p` at test time.
        generator: Source of the masks; PyTorch's global generator when None. Leave it None under
            ``torch.utils.checkpoint``, which replays the global generators only: another one would draw a second mask.

    Shape:
        Input and output: any shape, any floating-point type.

    Raises:
        ValueError: If ``keep_prob`` is outside (0, 1] or ``scaling`` is unknown.
        TypeError: If the input is not floating point, or a given mask is not bool.

    Example:
        >>> layer = Dropout(keep_prob=0.5, generator=torch.Generator().manual_seed(0))
        >>> sorted(set(layer(torch.ones(1000)).tolist()))  # dropped, or kept and doubled
        [0.0, 2.0]
        >>> layer.eval()(torch.ones(3)).tolist()
        [1.0, 1.0, 1.0]

    Source: Srivastava et al. 2014, Section 4, where scaling is "standard"; Section 10 describes "inverted".
    """

    def __init__(
        self,
        keep_prob: float = 0.5,
        *,
        scaling: Scaling = "inverted",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.keep_prob = check_keep_prob(keep_prob)
        self.scaling = _check_scaling(scaling)
        self.generator = generator

    def sample_mask(self, x: Tensor) -> Bool[Tensor, " ..."]:
        """Draw a mask that broadcasts to the shape of ``x``."""
        return sample_mask(x.shape, self.keep_prob, generator=self.generator, device=x.device)

    def forward(self, x: Float[Tensor, " ..."], mask: Bool[Tensor, " ..."] | None = None) -> Float[Tensor, " ..."]:
        """Apply dropout to ``x``; a given ``mask`` is used in either mode, which runs one named subnetwork."""
        _check_floating(x)
        if mask is None:
            if not self.training:
                return x if self.scaling == "inverted" else x * self.keep_prob
            if self.keep_prob == 1.0:
                return x
            if self._has_native_kernel(x):
                return F.dropout(x, 1 - self.keep_prob)
            mask = self.sample_mask(x)
        elif mask.dtype != torch.bool:
            raise TypeError(f"mask must be bool (True = kept), got {mask.dtype}; convert with mask.bool()")
        scale = _training_scale(self.keep_prob, self.scaling, x.dtype)
        # As bytes, since torch multiplies floats by bytes several times as fast as by bools. Scaling in place saves
        # a tensor: the product's gradient needs the mask, not the product.
        dropped = x * (mask if torch.compiler.is_compiling() else mask.view(torch.uint8))
        return dropped if scale == 1.0 else dropped.mul_(scale)

    def _has_native_kernel(self, x: Tensor) -> bool:
        # On a GPU PyTorch draws, multiplies and scales in one kernel; it knows neither generators nor other masks.
        plain = type(self) is Dropout and self.generator is None and self.scaling == "inverted"
        return plain and x.is_cuda

    def extra_repr(self) -> str:
        return f"keep_prob={self.keep_prob}, scaling={self.scaling!r}"


class SpatialDropout(Dropout):
    r"""Drop whole channels, :math:`\tilde h_{c} = m_{c} h_{c} / p`: one mask entry for each example and channel.

    Neighboring pixels of a feature map are correlated, so dropping them one by one hides little. ``nn.Dropout1d``,
    ``2d`` and ``3d`` in one layer.

    Args:
        keep_prob: Probability :math:`p \in (0, 1]` of keeping a channel.
        scaling: As in :class:`Dropout`.
        generator: As in :class:`Dropout`.

    Shape:
        Input and output: ``(batch, channels, ...)`` with one or more spatial axes.

    Raises:
        ValueError: If the input has fewer than three axes, or as in :class:`Dropout`.

    Example:
        >>> layer = SpatialDropout(keep_prob=0.5, generator=torch.Generator().manual_seed(0))
        >>> out = layer(torch.ones(8, 16, 5, 5))
        >>> sorted(set(out.sum(dim=(2, 3)).flatten().tolist()))  # a channel is dropped or kept as a whole
        [0.0, 50.0]

    Source: Tompson et al. 2015.
    """

    def sample_mask(self, x: Float[Tensor, "batch channels *space"]) -> Bool[Tensor, "batch channels *ones"]:
        """Draw one entry for each example and channel."""
        if x.dim() < 3:
            raise ValueError(
                f"x must be (batch, channels, ...) with at least one spatial axis, got shape {tuple(x.shape)}; "
                "use Dropout for inputs without one, x.unsqueeze(0) for a single example"
            )
        shape = (*x.shape[:2], *(1,) * (x.dim() - 2))
        return sample_mask(shape, self.keep_prob, generator=self.generator, device=x.device)


class DropBlock(Dropout):
    r"""Drop square blocks of a feature map, so that each position is kept with probability exactly :math:`p`.

    A block of side :math:`b` is centered on each position independently with probability :math:`\gamma = 1 - p^{1/b^2}`, centers
    up to half a block outside the map included; a position is kept if none of the :math:`b^2` blocks that would cover it
    is there, hence with probability :math:`(1 - \gamma)^{b^2} = p`.

    Two departures from the paper. It only places blocks inside the map, and its :math:`\gamma` is an approximation; and it
    rescales by the fraction of positions that happened to survive, which is undefined when none does. Dividing by :math:`p`
    is right on average, linear and never NaN.

    Args:
        keep_prob: Probability :math:`p \in (0, 1]` of keeping a position.
        block_size: Side :math:`b \ge 1` of a block in pixels; 1 is :class:`Dropout`.
        scaling: As in :class:`Dropout`.
        generator: As in :class:`Dropout`.

    Shape:
        Input and output: ``(batch, channels, height, width)``; each channel has blocks of its own.

    Raises:
        ValueError: If ``block_size`` is not a positive integer, the input is not four-dimensional, or as in
            :class:`Dropout`.

    Example:
        >>> layer = DropBlock(keep_prob=0.7, block_size=3, generator=torch.Generator().manual_seed(0))
        >>> kept = layer(torch.ones(50, 4, 16, 16)) > 0
        >>> round(kept.float().mean().item(), 2)
        0.7

    Source: Ghiasi et al. 2018.
    """

    def __init__(
        self,
        keep_prob: float = 0.5,
        block_size: int = 7,
        *,
        scaling: Scaling = "inverted",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(keep_prob, scaling=scaling, generator=generator)
        if not isinstance(block_size, int) or isinstance(block_size, bool) or block_size < 1:
            raise ValueError(f"block_size must be a positive integer, got {block_size!r}")
        self.block_size = block_size

    def sample_mask(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Bool[Tensor, "batch channels height width"]:
        """Draw block centers and mark what they cover."""
        if x.dim() != 4:
            raise ValueError(f"x must be (batch, channels, height, width), got shape {tuple(x.shape)}")
        size = self.block_size
        *leading, height, width = x.shape
        # Probability that one position is no center; at least the smallest double, whatever keep_prob is.
        no_center = self.keep_prob ** (1 / size**2)
        centers = (*leading, height + size - 1, width + size - 1)
        mask = sample_mask(centers, no_center, generator=self.generator, device=x.device)
        # A position is kept if its whole window is free of centers: first along rows, then along columns.
        for axis, length in ((2, height), (3, width)):
            windows = [mask.narrow(axis, offset, length) for offset in range(size)]
            mask = functools.reduce(torch.logical_and, windows)
        return mask

    def extra_repr(self) -> str:
        return f"keep_prob={self.keep_prob}, block_size={self.block_size}, scaling={self.scaling!r}"


class GaussianDropout(nn.Module):
    r"""Multiply by Gaussian noise with the moments of inverted dropout, :math:`\tilde h_j = h_j\,\mathcal N(1, (1-p)/p)`.

    Nothing is rescaled, in training or at test time, since the noise has mean 1.

    Args:
        keep_prob: :math:`p \in (0, 1]`; the noise has variance :math:`(1-p)/p`, that of :class:`Dropout` with the same :math:`p`.
        generator: As in :class:`Dropout`.

    Shape:
        Input and output: any shape, any floating-point type.

    Raises:
        ValueError: If ``keep_prob`` is outside (0, 1].
        TypeError: If the input is not floating point.

    Example:
        >>> layer = GaussianDropout(keep_prob=0.8, generator=torch.Generator().manual_seed(0))
        >>> noise = layer(torch.ones(100_000))
        >>> round(noise.mean().item(), 2), round(noise.var().item(), 2)
        (1.0, 0.25)

    Source: Srivastava et al. 2014, Section 10.
    """

    def __init__(self, keep_prob: float = 0.5, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.keep_prob = check_keep_prob(keep_prob)
        self.generator = generator

    def forward(self, x: Float[Tensor, " ..."]) -> Float[Tensor, " ..."]:
        """Multiply ``x`` by noise in training mode; return it as it is in evaluation mode."""
        _check_floating(x)
        if not self.training or self.keep_prob == 1.0:
            return x
        # For keep_prob near 0 the standard deviation is bounded, so that its products stay finite.
        std = min(math.sqrt((1 - self.keep_prob) / self.keep_prob), math.sqrt(torch.finfo(x.dtype).max))
        source: dict[str, Any] = {} if self.generator is None else {"generator": self.generator}
        noise: Tensor = torch.randn(x.shape, dtype=x.dtype, device=x.device, **source)
        return x * noise.mul_(std).add_(1)

    def extra_repr(self) -> str:
        return f"keep_prob={self.keep_prob}"


class DropConnect(nn.Linear):
    r"""A linear layer that drops weights instead of units, :math:`y = x (M \odot W)^\top / p + b`.

    One mask :math:`M` is drawn for each forward pass and shared by the batch. The paper draws one for each example, at
    ``batch`` times the memory, drops biases as well, and samples a Gaussian at test time where this layer uses the
    mean weights.

    Args:
        in_features: Number of inputs.
        out_features: Number of outputs.
        keep_prob: Probability :math:`p \in (0, 1]` of keeping a weight.
        bias: Whether to add a bias; it is never dropped.
        scaling: As in :class:`Dropout`, applied to the weights.
        generator: As in :class:`Dropout`.
        device: As in ``nn.Linear``.
        dtype: As in ``nn.Linear``.

    Shape:
        Input ``(..., in_features)``, output ``(..., out_features)``.

    Raises:
        ValueError: If ``keep_prob`` is outside (0, 1] or ``scaling`` is unknown.

    Example:
        >>> layer = DropConnect(20, 10, keep_prob=0.5)
        >>> layer(torch.ones(4, 20)).shape
        torch.Size([4, 10])

    Source: Wan et al. 2013.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        keep_prob: float = 0.5,
        *,
        bias: bool = True,
        scaling: Scaling = "inverted",
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(in_features, out_features, bias=bias, device=device, dtype=dtype)
        self.weight_dropout = Dropout(keep_prob, scaling=scaling, generator=generator)

    def forward(
        self,
        x: Float[Tensor, "*batch in_features"],
        mask: Bool[Tensor, "out_features in_features"] | None = None,
    ) -> Float[Tensor, "*batch out_features"]:
        """Apply the layer with dropped weights; a given ``mask`` is used in either mode."""
        return F.linear(x, self.weight_dropout(self.weight, mask), self.bias)
