"""Dropout of more than single units, or of less: channels, blocks, weights."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dropout_lessons.arguments import check_count
from dropout_lessons.layers.capture import Capturable, is_symbolic
from dropout_lessons.layers.dropout import Dropout, Scaling
from dropout_lessons.masks import sample_mask


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
        check_count("block_size", block_size, at_least=1)
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


class DropConnect(nn.Linear, Capturable):
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
        check_count("in_features", in_features, at_least=1)
        check_count("out_features", out_features, at_least=1)
        super().__init__(in_features, out_features, bias=bias, device=device, dtype=dtype)
        self.weight_dropout = Dropout(keep_prob, scaling=scaling, generator=generator)

    def forward(
        self,
        x: Float[Tensor, "*batch in_features"],
        mask: Bool[Tensor, "out_features in_features"] | None = None,
    ) -> Float[Tensor, "*batch out_features"]:
        """Apply the layer with dropped weights; a given ``mask`` is used in either mode."""
        if is_symbolic(x):
            return self._recorded(x, mask)
        return F.linear(x, self.weight_dropout(self.weight, mask), self.bias)
