"""Dropout whose keep probability is learned with the weights."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dropout_lessons.arguments import check_generator, check_keep_prob, check_number
from dropout_lessons.layers.dropout import check_floating


class ConcreteDropout(nn.Module):
    r"""Dropout with soft masks, through which the gradient of the loss reaches the keep probability.

    .. math:: \tilde h_j = \frac{m_j}{p} h_j, \qquad
              m_j = \sigma\!\left(\frac{1}{t} \left(\log \frac{p}{1-p} + \log \frac{u_j}{1-u_j}\right)\right), \qquad
              u_j \sim \mathrm{U}(0, 1)

    :math:`m_j > 1/2` with probability :math:`p`, at every temperature :math:`t`; as it falls to zero the soft mask becomes
    that of :class:`Dropout`, and its gradient grows without bound. The loss alone would let :math:`p` rise to 1:
    ``entropy`` is what a Bayesian objective rewards. At test time the layer is the identity; for Monte Carlo samples build
    the network again with ``Dropout(layer.keep_prob)``.

    Args:
        keep_prob: :math:`p` in (0, 1) before training.
        temperature: :math:`t`, above 0.
        generator: Source of the uniform numbers; PyTorch's global one when None.

    Shape:
        Input and output: any shape, any floating-point type.

    Raises:
        ValueError: If ``keep_prob`` is outside (0, 1), ``temperature`` is not positive, or ``generator`` is no generator.
        TypeError: If the input is not floating point.

    Example:
        >>> layer = ConcreteDropout(keep_prob=0.8)
        >>> layer(torch.ones(100)).square().mean().backward()
        >>> round(layer.keep_prob, 3), layer.keep_logit.grad is not None
        (0.8, True)

    Source: Gal, Hron and Kendall 2017, "Concrete dropout", equation 5.
    """

    def __init__(
        self, keep_prob: float = 0.8, *, temperature: float = 0.1, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        start = check_keep_prob(keep_prob)
        if start == 1.0:
            raise ValueError(f"keep_prob must be below 1, where it could not be learned, got {keep_prob!r}")
        check_number("temperature", temperature, "a positive number, such as 0.1", above=0)
        check_generator(generator)
        self.temperature = float(temperature)
        self.generator = generator
        self.keep_logit = nn.Parameter(torch.tensor(math.log(start) - math.log1p(-start)))

    @property
    def keep_prob(self) -> float:
        """The keep probability that was learned so far."""
        return float(self.keep_logit.detach().sigmoid())

    def entropy(self) -> Float[Tensor, ""]:
        r"""Entropy of a mask's entry in nats, :math:`-p \log p - (1-p) \log(1-p)`, differentiable.

        Example:
            >>> round(ConcreteDropout(keep_prob=0.5).entropy().item(), 4) == round(math.log(2), 4)
            True
        """
        p = self.keep_logit.sigmoid()
        entropy: Tensor = torch.special.entr(p) + torch.special.entr(1 - p)
        return entropy

    def forward(self, x: Float[Tensor, " ..."]) -> Float[Tensor, " ..."]:
        """Multiply ``x`` by a soft mask over ``keep_prob`` in training mode; return it as it is in evaluation mode."""
        check_floating(x)
        if not self.training:
            return x
        dtype = torch.promote_types(x.dtype, torch.float32)  # half types have too few numbers near 1 for p near 1
        u = torch.rand(x.shape, generator=self.generator, dtype=dtype, device=x.device)
        noise = torch.logit(u, eps=torch.finfo(dtype).eps)
        mask = ((self.keep_logit + noise) / self.temperature).sigmoid()
        dropped: Tensor = x * (mask / self.keep_logit.sigmoid()).to(x.dtype)
        return dropped

    def extra_repr(self) -> str:
        return f"keep_prob={self.keep_prob:.3f}, temperature={self.temperature}"
