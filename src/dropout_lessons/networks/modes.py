"""Modes, training or evaluation, switched for a block and restored after it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(network: nn.Module) -> Iterator[nn.Module]:
    """Put every layer of a network into evaluation mode for a block, and restore each layer's own mode after it.

    Example:
        >>> network = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
        >>> with evaluating(network):
        ...     network.training
        False
        >>> network.training
        True
    """
    with modes_restored(network) as modules:
        set_modes(modules, training=False)
        yield network


def set_modes(modules: Iterable[nn.Module], *, training: bool) -> None:
    """What ``train()`` and ``eval()`` do, which a network may have overridden."""
    for module in modules:
        if module.training != training:
            module.training = training


@contextmanager
def modes_restored(network: nn.Module) -> Iterator[list[nn.Module]]:
    """Restore each layer's own mode, training or evaluation, after a block that may change it; gives the layers.

    Example:
        >>> network = nn.Dropout(0.5)
        >>> with modes_restored(network):
        ...     _ = network.eval()
        >>> network.training
        True
    """
    modes = [(module, module.training) for module in network.modules()]
    try:
        yield [module for module, _ in modes]
    finally:
        for module, training in modes:
            if module.training != training:
                module.training = training
