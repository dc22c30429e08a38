"""A small transformer that predicts the next symbol of a text."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dropout_lessons.arguments import check_count, check_keep_prob
from dropout_lessons.layers import Dropout
from dropout_lessons.networks.mlp import HiddenLayer, bare_linear


class CausalAttention(nn.Module):
    r"""Attention of each position to itself and those before it, :math:`\tilde A V` with
    :math:`A = \mathrm{softmax}(Q K^\top / \sqrt{d})`, in several heads; dropout acts on the weights :math:`A`.
    """

    def __init__(self, width: int, heads: int, keep_prob: float, generator: torch.Generator | None) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.output = (_linear(width, width, generator) for _ in range(4))
        self.weight_dropout = Dropout(keep_prob)

    def forward(self, x: Float[Tensor, "batch positions width"]) -> Float[Tensor, "batch positions width"]:
        query, key, value = (
            layer(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(diagonal=1)
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[3])
        weights = self.weight_dropout(scores.masked_fill(later, -math.inf).softmax(dim=3))
        mixed: Tensor = self.output((weights @ value).transpose(1, 2).flatten(2))
        return mixed


class TransformerBlock(nn.Module):
    """Attention, then a layer of ReLU units at each position; each adds to the residual stream what dropout leaves of it."""

    def __init__(self, width: int, heads: int, keep_prob: float, generator: torch.Generator | None) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = CausalAttention(width, heads, keep_prob, generator)
        self.attention_dropout = Dropout(keep_prob)
        self.hidden_norm = nn.LayerNorm(width)
        self.hidden = HiddenLayer(width, 4 * width, generator=generator)
        self.hidden_output = _linear(4 * width, width, generator)
        self.hidden_dropout = Dropout(keep_prob)

    def forward(self, x: Float[Tensor, "batch positions width"]) -> Float[Tensor, "batch positions width"]:
        x = x + self.attention_dropout(self.attention(self.attention_norm(x)))
        updated: Tensor = x + self.hidden_dropout(self.hidden_output(self.hidden(self.hidden_norm(x))))
        return updated


class SmallTransformer(nn.Module):
    r"""A decoder-only transformer: from each beginning of a text, the logits of the next symbol.

    Dropout acts on the sum of the embeddings of symbol and position, on the attention weights, and on what each sublayer
    adds to the residual stream.

    The modules are named ``symbol_embedding``, ``embedding_dropout``, ``block1``, ``block2``, ..., ``norm``, ``output``,
    and in a block ``attention_norm``, ``attention``, ``attention_dropout``, ``hidden_norm``, ``hidden``,
    ``hidden_output``, ``hidden_dropout``.

    Args:
        symbols: Number of different symbols.
        context: Most symbols that it can read.
        width: Size of the residual stream; a multiple of ``heads``.
        depth: Number of blocks.
        heads: Number of attention heads.
        keep_prob: :math:`p` of all dropout layers.
        generator: Source of the initial weights; PyTorch's global generator when None.

    Shape:
        Input ``(batch, positions)``, int64 from 0 to ``symbols - 1``, at most ``context`` positions; output
        ``(batch, positions, symbols)``, logits of the symbol that comes next.

    Raises:
        ValueError: If a size or ``keep_prob`` is out of range.

    Example:
        >>> network = SmallTransformer(symbols=8, context=16, keep_prob=0.9)
        >>> network(torch.tensor([[1, 5, 3, 7]])).shape
        torch.Size([1, 4, 8])

    Source: Vaswani et al. 2017, whose base model has ``keep_prob`` 0.9. Two departures: layers are normalized at their input, not
    at their output, and positions are learned.
    """

    def __init__(
        self,
        symbols: int,
        context: int,
        *,
        width: int = 32,
        depth: int = 2,
        heads: int = 2,
        keep_prob: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        sizes = {"symbols": symbols, "context": context, "width": width, "depth": depth, "heads": heads}
        for name, size in sizes.items():
            check_count(name, size, at_least=1)
        if width % heads:
            raise ValueError(f"width must be a multiple of heads={heads}, got {width}")
        check_keep_prob(keep_prob)
        self.context = context
        self.symbol_embedding = nn.Embedding(symbols, width, _weight=_normal((symbols, width), 0.1, generator))
        self.position_embedding = nn.Parameter(_normal((context, width), 0.1, generator))
        self.embedding_dropout = Dropout(keep_prob)
        self.block_names = tuple(f"block{i + 1}" for i in range(depth))
        for name in self.block_names:
            self.add_module(name, TransformerBlock(width, heads, keep_prob, generator))
        self.norm = nn.LayerNorm(width)
        self.output = _linear(width, symbols, generator)

    def forward(self, text: Int[Tensor, "batch positions"]) -> Float[Tensor, "batch positions symbols"]:
        """Compute the logits of the next symbol, after each symbol of the text."""
        positions = text.shape[1]
        if positions > self.context:
            raise ValueError(f"text must have at most context={self.context} symbols, got {positions}")
        x = self.embedding_dropout(self.symbol_embedding(text) + self.position_embedding[:positions])
        for name in self.block_names:
            x = self.get_submodule(name)(x)
        logits: Tensor = self.output(self.norm(x))
        return logits


def _normal(shape: tuple[int, ...], std: float, generator: torch.Generator | None) -> Tensor:
    return nn.init.normal_(torch.empty(shape), std=std, generator=generator)


def _linear(inputs: int, outputs: int, generator: torch.Generator | None) -> nn.Linear:
    """A linear layer that keeps the variance of its inputs."""
    layer = bare_linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=1 / math.sqrt(inputs), generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
