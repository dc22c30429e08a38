"""Dropout boosting: dropout's masks, without its objective."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dropout_lessons.layers import Dropout
from dropout_lessons.masks import sample_mask
from dropout_lessons.networks import MLP

__all__ = ["DropoutBoosting"]


class DropoutBoosting(nn.Module):
    r"""A network whose masks choose which weights an example trains, and do not change what it predicts.

    Dropout trains each thinned network to predict the label by itself. Here the whole network, the approximate ensemble,
    predicts, and of the gradient of its loss an example's thinned network gets the part that belongs to its weights:

    .. math:: \Delta W^{(l)} \propto (m^{(l)} \odot \delta^{(l)}) \, (m^{(l-1)} \odot h^{(l-1)})^\top,

    with :math:`h` and :math:`\delta` the activations and the back-propagated errors of the network without masks. The noise
    is that of dropout; what is missing is that each member must do well alone.

    Args:
        network: A multilayer perceptron with :class:`~dropout_lessons.layers.Dropout`, whose keep probabilities are used.

    Example:
        >>> boosted = DropoutBoosting(MLP([4, 8, 3], keep_prob=0.5))
        >>> bool((boosted(torch.ones(2, 4)) == boosted.network.eval()(torch.ones(2, 4))).all())
        True

    Source: Warde-Farley et al. 2013, Section 6.
    """

    def __init__(self, network: MLP) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch outputs"]:
        """Compute the logits of the whole network; in training their gradient is masked."""
        if not self.training:
            logits: Tensor = self.network(x)
            return logits
        h, kept_below = x, self._mask("input", x.shape, x.device)
        for name, width in zip(self.network.hidden_names, self.network.sizes[1:], strict=False):
            kept = self._mask(name, (len(x), width), x.device)
            h = _masked_gradient(self.network.get_submodule(name), h, kept_below, kept).relu()
            kept_below = kept
        return _masked_gradient(self.network.output, h, kept_below, torch.ones((), dtype=torch.bool, device=x.device))

    def _mask(self, name: str, shape: Sequence[int], device: torch.device) -> Bool[Tensor, "batch units"]:
        layer = self.network.get_submodule(f"{name}_dropout")
        assert isinstance(layer, Dropout)
        return sample_mask(shape, layer.keep_prob, device=device)


def _masked_gradient(layer: nn.Module, h: Tensor, kept_below: Tensor, kept: Tensor) -> Tensor:
    """The layer's output without masks; its weights get the gradient of those between kept units, what is below gets all."""
    assert isinstance(layer, nn.Linear)
    output = F.linear(h, layer.weight.detach(), layer.bias.detach())
    own = F.linear((h * kept_below).detach(), layer.weight, layer.bias) * kept
    return output + (own - own.detach())
