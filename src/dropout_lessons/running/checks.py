"""What a network must be for its passes to mean anything, checked before the first of them; and what other arguments must be."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parameter import is_lazy


def check_has_numbers(network: nn.Module) -> nn.Module:
    """Return the network, or say which of its tensors have no shape or no values yet."""
    for _ in _with_numbers(network):
        pass
    return network


def check_network(network: nn.Module) -> nn.Module:
    """Return the network, or say why its predictions would mean nothing."""
    for name, module in _with_numbers(network):
        if isinstance(module, _BatchNorm) and module.running_mean is None:
            raise ValueError(
                f"network has batch normalization without running statistics, {name!r}, with which the prediction for "
                "an example depends on the others; give it track_running_stats=True"
            )
    return network


def _with_numbers(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Its modules, whose own tensors have a shape and values."""
    if not isinstance(network, nn.Module):
        raise ValueError(f"network must be a torch.nn.Module, got {type(network).__name__}")
    for path, module in network.named_modules():
        for key, tensor in (*module._parameters.items(), *module._buffers.items()):
            name = f"{path}.{key}" if path else key
            if is_lazy(tensor):
                raise ValueError(f"network has a lazy parameter without a shape, {name!r}; call network(x) once before")
            if tensor is not None and tensor.is_meta:
                raise ValueError(
                    f"network has no numbers in {name!r}, which is on the meta device; load its weights, or move it with "
                    "network.to_empty(device='cpu')"
                )
        yield path, module


def check_hookable(network: nn.Module) -> None:
    """Say which module cannot be looked into, since it is compiled by TorchScript."""
    for name, module in network.named_modules():
        if isinstance(module, torch.jit.RecursiveScriptModule):  # type: ignore[attr-defined]
            raise ValueError(
                f"network must be made of modules that run in Python, got one compiled by torch.jit.script, {name!r}, whose "
                "calls of dropout and layers nothing outside can see; give the network from before torch.jit.script"
            )


def check_weights(network: nn.Module) -> None:
    """Say which parameters are NaN or infinite."""
    for name, parameter in network.named_parameters():
        values = parameter.detach()
        if values.is_floating_point() and not bool(values.isfinite().all()):
            bad = int((~values.isfinite()).sum())
            raise ValueError(
                f"network's parameter {name!r} must be finite, got {bad} NaN or infinite of {values.numel()} values"
            )
