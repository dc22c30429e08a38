"""A small convolutional network, with dropout wherever it is wanted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dropout_lessons.arguments import check_count, check_keep_prob, checked_counts, is_count
from dropout_lessons.layers import Dropout
from dropout_lessons.networks.mlp import HiddenLayer, bare_linear, check_makes_layer, initialize, one_each

_POOL, _STRIDE = 3, 2


class ConvLayer(nn.Conv2d):
    r"""A convolution of ReLU units that keeps the image's size, with He's initial weights and zero biases.

    Args:
        in_channels: Number of input channels.
        out_channels: Number of feature maps.
        kernel_size: Side of the square receptive field, an odd number of pixels.
        batch_norm: Whether to normalize before the ReLU, by ``nn.BatchNorm2d`` under the name ``norm``.
        generator: Source of the initial weights; PyTorch's global generator when None.

    Shape:
        Input ``(batch, in_channels, height, width)``, output ``(batch, out_channels, height, width)``.

    Raises:
        ValueError: If ``kernel_size`` is not odd.

    Example:
        >>> ConvLayer(1, 16)(torch.rand(8, 1, 14, 14)).shape
        torch.Size([8, 16, 14, 14])

    Source: He et al. 2015 for the initialization; Ioffe and Szegedy 2015 for the normalization.
    """

    norm: nn.BatchNorm2d | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 5,
        *,
        batch_norm: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        check_count("in_channels", in_channels, at_least=1)
        check_count("out_channels", out_channels, at_least=1)
        if not is_count(kernel_size, at_least=1) or kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, so that the image keeps its size, got {kernel_size!r}")
        with torch.random.fork_rng(devices=[]):  # nn.Conv2d draws weights of its own, which are not used
            super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        initialize(self, generator)
        self.norm = nn.BatchNorm2d(out_channels) if batch_norm else None

    def forward(
        self, x: Float[Tensor, "batch in_channels height width"]
    ) -> Float[Tensor, "batch out_channels height width"]:
        """Compute the feature maps."""
        h = super().forward(x)
        return (h if self.norm is None else self.norm(h)).relu()


class ConvNet(nn.Module):
    r"""A convolutional network of ReLU units: convolutions, each pooled, then hidden layers as in an ``MLP``.

    The paper's layout: each convolution is followed by max pooling over 3 by 3 pixels at strides of 2. Dropout acts on what
    a layer hands to the next: on the image, on pooled feature maps, on hidden units. The modules are named
    ``input_dropout``, ``conv1``, ``conv1_pool``, ``conv1_dropout``, ..., ``hidden1``, ``hidden1_dropout``, ..., ``output``.

    Args:
        image_shape: ``(height, width)``, or ``(channels, height, width)``; a data set's own.
        n_classes: Number of outputs.
        channels: Number of feature maps of each convolution.
        hidden: Number of units of each hidden layer.
        kernel_size: Side of the receptive fields in pixels, an odd number.
        keep_prob: :math:`p` of the hidden layers, one for all or one for each.
        conv_keep_prob: :math:`p` of the convolutions, one for all or one for each.
        input_keep_prob: :math:`p` of the image's pixels.
        dropout: Makes a dropout layer for pixels or hidden units from its ``keep_prob``;
            :class:`~dropout_lessons.layers.Dropout` by default.
        conv_dropout: Makes one for feature maps, such as :class:`~dropout_lessons.layers.SpatialDropout`; by default
            single entries are dropped.
        batch_norm: Whether convolutions and hidden layers normalize before their ReLUs.
        generator: Source of the initial weights; PyTorch's global generator when None.

    Shape:
        Input ``(batch, pixels)``, flat as data sets have it, the channels one after the other; output
        ``(batch, n_classes)``: logits.

    Raises:
        ValueError: If a size or a keep probability is out of range, they do not fit each other, or the image is too small to
            be pooled so often.

    Example:
        >>> from dropout_lessons.layers import SpatialDropout
        >>> network = ConvNet((28, 28), keep_prob=0.5, conv_keep_prob=0.8, conv_dropout=SpatialDropout)
        >>> network(torch.rand(32, 784)).shape
        torch.Size([32, 10])

    Source: Srivastava et al. 2014, Appendix B.2, with 96, 128 and 256 feature maps and two hidden layers of 2048 units.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        n_classes: int = 10,
        *,
        channels: Sequence[int] = (16, 32),
        hidden: Sequence[int] = (128,),
        kernel_size: int = 5,
        keep_prob: float | Sequence[float] = 1.0,
        conv_keep_prob: float | Sequence[float] = 1.0,
        input_keep_prob: float = 1.0,
        dropout: Callable[[float], nn.Module] = Dropout,
        conv_dropout: Callable[[float], nn.Module] = Dropout,
        batch_norm: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        said = "(height, width) or (channels, height, width)"
        shape = checked_counts("image_shape", image_shape, said, fewest=2, most=3)
        channels = checked_counts("channels", channels, "positive integers")
        hidden = checked_counts("hidden", hidden, "positive integers")
        check_count("n_classes", n_classes, at_least=1)
        check_keep_prob(input_keep_prob, name="input_keep_prob")
        check_makes_layer("dropout", dropout)
        check_makes_layer("conv_dropout", conv_dropout)
        conv_keep_probs = one_each("conv_keep_prob", conv_keep_prob, len(channels), "convolutions")
        keep_probs = one_each("keep_prob", keep_prob, len(hidden), "hidden layers")
        self.image_shape = (1, *shape) if len(shape) == 2 else tuple(shape)
        self.conv_names = tuple(f"conv{i + 1}" for i in range(len(channels)))
        self.hidden_names = tuple(f"hidden{i + 1}" for i in range(len(hidden)))

        self.input_dropout = dropout(input_keep_prob)
        inputs, *size = self.image_shape
        for name, outputs, conv_keep in zip(self.conv_names, channels, conv_keep_probs, strict=True):
            if min(size) < _POOL:
                raise ValueError(
                    f"channels must be fewer for images of {tuple(shape)}: {name} gets {size[0]} x {size[1]} pixels, and pooling "
                    f"needs {_POOL} x {_POOL}"
                )
            layer = ConvLayer(inputs, outputs, kernel_size, batch_norm=batch_norm, generator=generator)
            self.add_module(name, layer)
            self.add_module(f"{name}_pool", nn.MaxPool2d(_POOL, _STRIDE))
            self.add_module(f"{name}_dropout", conv_dropout(conv_keep))
            inputs, size = outputs, [(side - _POOL) // _STRIDE + 1 for side in size]
        units = math.prod((inputs, *size))
        for name, outputs, keep in zip(self.hidden_names, hidden, keep_probs, strict=True):
            self.add_module(name, HiddenLayer(units, outputs, batch_norm=batch_norm, generator=generator))
            self.add_module(f"{name}_dropout", dropout(keep))
            units = outputs
        self.output = bare_linear(units, n_classes)
        initialize(self.output, generator)

    def forward(self, x: Float[Tensor, "batch pixels"]) -> Float[Tensor, "batch classes"]:
        """Compute logits."""
        pixels = math.prod(self.image_shape)
        if x.dim() != 2 or x.shape[1] != pixels:
            raise ValueError(f"x must be (batch, {pixels}), got shape {tuple(x.shape)}; images need x.flatten(1)")
        h: Tensor = self.input_dropout(x.view(len(x), *self.image_shape))
        for name in self.conv_names:
            for part in (name, f"{name}_pool", f"{name}_dropout"):
                h = self.get_submodule(part)(h)
        h = h.flatten(1)
        for name in self.hidden_names:
            for part in (name, f"{name}_dropout"):
                h = self.get_submodule(part)(h)
        logits: Tensor = self.output(h)
        return logits
