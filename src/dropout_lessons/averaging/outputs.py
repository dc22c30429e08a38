"""What a network returns, checked and turned into log-probabilities."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

Outputs = Literal["logits", "log_probs", "probs"]


def to_log_probs(output: Tensor, outputs: Outputs) -> Float[Tensor, "*members examples classes"]:
    """Turn what a network returns into normalized log-probabilities in double precision."""
    output = output.detach().double()
    log_probs = (output.log() if outputs == "probs" else output).log_softmax(dim=-1)
    if bool(log_probs.sum().isnan()):
        raise ValueError(
            f"network returned {outputs} that are NaN or infinite, for some mask if not for all units; look for numbers "
            "beyond its precision (network.float() has more than half precision) or in its weights"
        )
    return log_probs


def check_output(output: Any, examples: int, outputs: Outputs) -> Tensor:
    """Return the network's output if it is what ``outputs`` says, as far as that can be told."""
    if outputs not in get_args(Outputs):
        raise ValueError(f"outputs must be one of {list(get_args(Outputs))}, got {outputs!r}")
    if not isinstance(output, Tensor):
        raise ValueError(f"network must return a tensor (examples, classes), got {type(output).__name__}")
    if output.dim() != 2 or len(output) != examples or output.shape[1] < 2 or not output.is_floating_point():
        one_logit = (
            "; a network with one logit z has the two classes' logits torch.cat([torch.zeros_like(z), z], dim=1)"
            if output.shape in ((examples,), (examples, 1))
            else ""
        )
        raise ValueError(
            f"network must return floating-point {outputs} of shape ({examples}, classes) with two or more classes, "
            f"got {output.dtype} of shape {tuple(output.shape)}{one_logit}"
        )
    values = output.detach().double()
    tolerance = max(1e-4, 8 * torch.finfo(output.dtype).eps)
    are_probs = bool((values >= 0).all()) and bool(((values.sum(dim=1) - 1).abs() < tolerance).all())
    if outputs == "logits" and are_probs:
        raise ValueError(
            'outputs="logits" says that the network returns logits, but its rows are nonnegative and sum to 1; '
            'if they are probabilities, say outputs="probs"'
        )
    if outputs == "probs" and not are_probs:
        raise ValueError('outputs="probs" says that the network returns probabilities, but its rows do not sum to 1')
    if outputs == "log_probs" and bool(((values.exp().sum(dim=1) - 1).abs() >= tolerance).any()):
        raise ValueError(
            'outputs="log_probs" says that the network returns log-probabilities, but their exponentials do not sum to 1'
        )
    return output
