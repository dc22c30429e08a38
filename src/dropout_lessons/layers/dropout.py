"""Dropout of single units: Bernoulli and Gaussian."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from dropout_lessons.arguments import check_generator, check_keep_prob
from dropout_lessons.layers.capture import Capturable, is_symbolic
from dropout_lessons.masks import sample_mask
from dropout_lessons.masks.sampling import as_factor, is_traced, sample_factor, sample_noise

Scaling = Literal["inverted", "standard"]


def check_scaling(scaling: Scaling) -> Scaling:
    if scaling not in get_args(Scaling):
        raise ValueError(
            f'scaling must be "inverted" (divide by keep_prob in training) or "standard" (multiply by keep_prob at '
            f"test), got {scaling!r}"
        )
    return scaling


def check_floating(x: Tensor) -> None:
    if not isinstance(x, Tensor):
        raise TypeError(f"x must be a floating-point tensor, got {type(x).__name__}; convert with torch.as_tensor(x)")
    if not x.is_floating_point():
        raise TypeError(f"x must be a floating-point tensor, got {x.dtype}; convert with x.float()")


def check_mask(mask: Tensor, x: Tensor) -> None:
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        got, fix = (mask.dtype, "mask.bool()") if isinstance(mask, Tensor) else (type(mask), "torch.tensor(mask)")
        raise TypeError(f"mask must be bool (True = kept), got {got}; convert with {fix}")
    if is_traced() or mask.shape == x.shape:
        return
    fits = mask.dim() <= x.dim() and all(
        a in (1, b) for a, b in zip(reversed(mask.shape), reversed(x.shape), strict=False)
    )
    if not fits:
        raise ValueError(
            f"mask must broadcast to the shape of x, {tuple(x.shape)}, and not enlarge it, got {tuple(mask.shape)}; for "
            "several masks of one input, give as many copies of it, x.expand(...)"
        )


def training_scale(keep_prob: float, scaling: Scaling, dtype: torch.dtype) -> float:
    if scaling == "standard":
        return 1.0
    # For keep_prob near 0 the scale is bounded by the largest finite number, since 0 * inf would be NaN.
    return 1 / keep_prob if keep_prob > 1e-4 else min(1 / keep_prob, torch.finfo(dtype).max)


def noise_scale(keep_prob: float, dtype: torch.dtype) -> float:
    # For keep_prob near 0 the standard deviation is bounded, so that its products stay finite.
    return min(math.sqrt((1 - keep_prob) / keep_prob), math.sqrt(torch.finfo(dtype).max))


class Dropout(Capturable):
    r"""Drop each entry of the input independently, :math:`\tilde h_j = m_j h_j / p` with :math:`m_j \sim \mathrm{Bernoulli}(p)`.

    A drop-in for ``nn.Dropout(1 - keep_prob)``, in eager mode, ``torch.compile``, ``torch.func``, ``torch.fx`` and
    TorchScript. On the CPU it takes about 10 microseconds longer than ``F.dropout`` for a few entries, and is faster from
    about 1,000 entries on with ``keep_prob`` 0.5, from 6,000 on with 0.9: ``make bench`` prints by how much. It keeps as many
    bytes for the backward pass as ``F.dropout``. Its mask there is what :func:`~dropout_lessons.masks.sample_mask` draws.

    Args:
        keep_prob: Probability :math:`p \in (0, 1]` of keeping a unit; 1 makes the layer the identity.
        scaling: ``"inverted"`` divides by :math:`p` in training and is the identity at test time; ``"standard"`` does not
            scale in training and multiplies by :math:`p` at test time.
        generator: Source of the masks; PyTorch's global generator when None. Leave it None under
            ``torch.utils.checkpoint``, which replays the global generators only: another one would draw a second mask.

    Shape:
        Input and output: any shape, any floating-point type.

    Raises:
        ValueError: If ``keep_prob`` is outside (0, 1], ``scaling`` is unknown, ``generator`` is no generator, or a mask
            would enlarge the input.
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
        self.scaling = check_scaling(scaling)
        check_generator(generator)
        self.generator = generator

    def sample_mask(self, x: Tensor) -> Bool[Tensor, " ..."]:
        """Draw a mask that broadcasts to the shape of ``x``."""
        return sample_mask(x.shape, self.keep_prob, generator=self.generator, device=x.device)

    def forward(self, x: Float[Tensor, " ..."], mask: Bool[Tensor, " ..."] | None = None) -> Float[Tensor, " ..."]:
        """Apply dropout to ``x``; a given ``mask`` is used in either mode, which runs one named subnetwork."""
        if is_symbolic(x):
            return self._recorded(x, mask)
        check_floating(x)
        if mask is None:
            if not self.training:
                return x if self.scaling == "inverted" else x * self.keep_prob
            if self.keep_prob == 1.0:
                return x
            if self._has_native_kernel(x):
                return F.dropout(x, 1 - self.keep_prob)
        scale = training_scale(self.keep_prob, self.scaling, x.dtype)
        if mask is None and type(self).sample_mask is Dropout.sample_mask:
            return x * sample_factor(x, self.keep_prob, scale=scale, generator=self.generator)
        mask = self.sample_mask(x) if mask is None else mask
        check_mask(mask, x)
        return x * as_factor(mask, scale, x.dtype)

    def _has_native_kernel(self, x: Tensor) -> bool:
        # On a GPU PyTorch draws, multiplies and scales in one kernel; it knows neither generators nor other masks.
        fits = x.is_cuda or x.is_nested  # which nothing else here knows
        return fits and type(self) is Dropout and self.generator is None and self.scaling == "inverted"

    def extra_repr(self) -> str:
        return f"keep_prob={self.keep_prob}, scaling={self.scaling!r}"


class GaussianDropout(Capturable):
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
        check_generator(generator)
        self.generator = generator

    def forward(self, x: Float[Tensor, " ..."]) -> Float[Tensor, " ..."]:
        """Multiply ``x`` by noise in training mode; return it as it is in evaluation mode."""
        if is_symbolic(x):
            return self._recorded(x)
        check_floating(x)
        if not self.training or self.keep_prob == 1.0:
            return x
        return x * sample_noise(x, generator=self.generator).mul_(noise_scale(self.keep_prob, x.dtype)).add_(1)

    def extra_repr(self) -> str:
        return f"keep_prob={self.keep_prob}"
