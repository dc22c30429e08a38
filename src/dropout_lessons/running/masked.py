"""A network with everything that must be said about it to run it under masks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils.data import DataLoader

from dropout_lessons.arguments import check_count
from dropout_lessons.running.calls import without_dropout
from dropout_lessons.running.checks import check_network
from dropout_lessons.running.discovery import discover, refusing_draws
from dropout_lessons.running.examples import Given, gathered
from dropout_lessons.running.members import Members
from dropout_lessons.running.outputs import Examples, Kind, Outputs, as_outputs
from dropout_lessons.running.sites import Site, named


@dataclass(frozen=True, eq=False)
class MaskedNetwork:
    r"""A network to be run under masks :math:`m`: how it is called, and which of its dropout is masked.

    Every function that averages or measures takes a network, or one of these where there is more to say than the network
    itself tells. The network is not copied, and is never changed.

    Args:
        network: Any module.
        layers: Names of the places whose dropout is masked, as ``sites`` lists them; all when None. The others are in
            evaluation mode.
        outputs: What the network returns: a kind such as ``"logits"`` or ``"probs"``, a function of the network and its
            inputs that returns logits, or an :class:`Outputs`.
        memory: Work space in bytes, approximately.
        max_subnetworks: Refuse to average more of them one by one; when None, what each function says.

    Raises:
        ValueError: If the network cannot be run, or an argument is not what it should be.

    Example:
        >>> network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))
        >>> masked = MaskedNetwork(network)
        >>> [(site.name, site.n_units, site.keep_prob) for site in masked.sites(torch.ones(5, 4))]
        [('2', 8, 0.8)]
        >>> masked.run(torch.ones(5, 4), {"2": torch.arange(8) % 2 == 0}).shape
        torch.Size([5, 3])

    Source: Srivastava et al. 2014, Section 4, for a network under a mask.
    """

    network: nn.Module
    layers: Sequence[str] | None = None
    outputs: Outputs | Kind | Callable[[nn.Module, Any], Any] = "logits"
    memory: int = 2**28
    max_subnetworks: int | None = None

    def __post_init__(self) -> None:
        check_network(self.network)
        object.__setattr__(self, "outputs", as_outputs(self.outputs))
        check_count("memory", self.memory, at_least=1)
        check_count("max_subnetworks", self.max_subnetworks, at_least=0, optional=True)
        if isinstance(self.layers, str):
            raise ValueError(f"layers must be a sequence of names, got {self.layers!r}; write [{self.layers!r}]")
        several = isinstance(self.layers, Iterable) and all(isinstance(name, str) for name in self.layers)
        if self.layers is not None and not several:
            raise ValueError(f"layers must be a sequence of names, or None for all, got {self.layers!r}")

    @property
    def says(self) -> Outputs:
        """What it returns."""
        assert isinstance(self.outputs, Outputs)
        return self.outputs

    def given(self, x: Examples) -> Given:
        """The network with examples that it can be given: checked, and on its device."""
        return Given.checked(self.network, x, self.says)

    def measured(self, x: Examples | DataLoader[Any], y: Any) -> tuple[Given, Any]:
        """The network with all that a loader yields, finite and where it can be looked into; and labels or targets."""
        x, y = gathered(x, y, self.says.batch_axis)
        given = Given.checked(self.network, x, self.says.for_targets(y), finite=True)
        return given, y

    def sites(self, x: Examples) -> tuple[Site, ...]:
        """The places where the network drops in training mode, in the order of a forward pass."""
        return discover(self.given(x)).sites

    def predict(self, x: Examples) -> Float[Tensor, "examples *positions outputs"]:
        """What the network predicts with all units, also where it would drop in evaluation mode; checked and arranged."""
        given = self.given(x)
        with refusing_draws(given), without_dropout(self.network):
            return self.says.checked(given.output(), len(given))

    def run(
        self, x: Examples, masks: Mapping[str, Bool[Tensor, " ..."]]
    ) -> Float[Tensor, "examples *positions outputs"]:
        """What one subnetwork predicts.

        Args:
            x: What the network is given.
            masks: For each place its mask, True = kept, for all examples or for each; places that are not named drop nothing.
        """
        given = self.given(x)
        members = Members(given, list(masks))
        if members.drawn:
            raise ValueError(
                f"masks names {members.drawn[0].name!r}, which draws by itself, where no mask can be put in"
            )
        by_name, factors = named(discover(given).sites), []
        for key, mask in masks.items():
            if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
                got = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
                raise ValueError(f"masks must be tensors of bool (True = kept), got {got} for {key!r}")
            keep_prob = by_name[key].keep_prob
            if keep_prob in (0, 1) and not bool((mask == bool(keep_prob)).all()):
                raise ValueError(
                    f"masks[{key!r}] must be all {bool(keep_prob)}, since the network {'keeps' if keep_prob else 'drops'} all "
                    "units there, and has no scale for another mask; give it dropout with 0 < p < 1"
                )
        own = {by_name[key].name: mask for key, mask in masks.items()}
        for site in members.sites:
            mask, shape = own[site.name], site.mask_shape(len(given))
            try:
                factors.append(mask.expand(shape).to(given.device).view(torch.uint8).unsqueeze(0))
            except RuntimeError:
                raise ValueError(
                    f"masks[{site.name!r}] must broadcast to {shape}, got shape {tuple(mask.shape)}"
                ) from None
        return members.run(given, factors)[0]


def as_masked(network: nn.Module | MaskedNetwork) -> MaskedNetwork:
    """A network with nothing more said about it, or one with."""
    return network if isinstance(network, MaskedNetwork) else MaskedNetwork(network)
