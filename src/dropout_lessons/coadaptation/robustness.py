"""How well a network does under noise on its activations, noise on its weights, and corrupted inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_flatten, tree_unflatten

from dropout_lessons.arguments import check_choice, check_count, own_generator
from dropout_lessons.coadaptation.removal import Curve
from dropout_lessons.coadaptation.units import LayerUnits, check_asked
from dropout_lessons.penalties import weights
from dropout_lessons.running import without_dropout
from dropout_lessons.running.examples import Given
from dropout_lessons.runtime import progress_bar

Noise = Literal["activation noise", "weight noise", "input corruption"]
# Draws noise, and returns what predicts under it at the given levels.
Source = Callable[[torch.Generator], Callable[[list[float]], Float[Tensor, "levels examples ..."]]]

# Up to where a multilayer perceptron trained on 1000 digits has lost half of its accuracy or more.
LEVELS: dict[Noise, tuple[float, ...]] = {
    "activation noise": (0.0, 0.5, 1.0, 1.5, 2.0, 3.0),
    "weight noise": (0.0, 0.25, 0.5, 1.0, 1.5, 2.0),
    "input corruption": (0.0, 0.2, 0.4, 0.6, 0.8),
}
_BLOCK = 1024  # examples that run together


def robustness_curve(
    units: LayerUnits,
    perturbation: Noise,
    *,
    levels: Sequence[float] | None = None,
    draws: int = 10,
    generator: torch.Generator | None = None,
    progress: bool = True,
) -> Curve:
    r"""Score a network while one thing is perturbed more and more, by :math:`\ell`.

    - ``"activation noise"``: :math:`h_j + \ell\, r_j\, \varepsilon`, with :math:`r_j` the unit's root mean square over ``x`` and
      :math:`\varepsilon` standard normal, new for each example. The units' scale plays no role.
    - ``"weight noise"``: :math:`w + \ell\, r\, \varepsilon` for all weights of the network, trained or not, with :math:`r` the
      root mean square of the weight matrix. The scale of a layer plays no role; how weight is spread between its units does.
    - ``"input corruption"``: each feature of an example is, with probability :math:`\ell`, that of another random example; of
      several inputs the first is corrupted.

    The same noise is scaled to all levels of a draw. Only the network's copies are noisy, never the network. What is done to
    weights and inputs is done to the whole network, whatever the layer.

    Args:
        units: The units, on their examples.
        perturbation: One of the three.
        levels: How much, from 0 up; when None, levels at which networks for small images fall.
        draws: Number of draws of the noise.
        generator: Source of the noise. When None, a copy of PyTorch's global generator, which stays as it is.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: If an argument is out of range, or there is nothing to perturb: no floating-point weights, or one example.

    Example:
        >>> from dropout_lessons import MLP
        >>> units = LayerUnits(MLP([4, 8, 3]), "hidden1", torch.randn(20, 4))
        >>> curve = robustness_curve(units, "weight noise", levels=[0, 0.5, 1])
        >>> curve.score.shape, curve.mean[0].item()  # without labels the intact network agrees with itself
        (torch.Size([10, 3]), 1.0)

    Source: Hinton et al. 2012 and Srivastava et al. 2014 expect units that work in many contexts; neither tests these.
    """
    check_asked(units, generator)
    check_choice("perturbation", perturbation, get_args(Noise))
    check_count("draws", draws, at_least=1)
    level = _checked_levels(LEVELS[perturbation] if levels is None else levels, perturbation)
    generator = own_generator(generator)
    source = {"activation noise": _on_activations, "weight noise": _on_weights, "input corruption": _on_input}
    noise, rows = source[perturbation](units), []
    for _ in progress_bar(range(draws), perturbation, unit="draw", show=progress):
        predicted = torch.cat([units.output.unsqueeze(0), noise(generator)(level[1:].tolist())])
        rows.append(units.score_of(predicted))
    return Curve(perturbation, level, torch.stack(rows), units.chance, units.metric)


def _on_activations(units: LayerUnits) -> Source:
    others = [axis for axis in range(units.h.dim()) if axis != units.axis]
    rms = units.h.double().square().mean(others, keepdim=True).sqrt().to(units.h.dtype)

    def draw(generator: torch.Generator) -> Callable[[list[float]], Tensor]:
        noise = (rms * _normal(units.h, generator)).split([part.n_examples for part in units.parts])

        def run(levels: list[float]) -> Tensor:
            results = []
            for part, own in zip(units.parts, noise, strict=True):
                noisy = torch.stack([part.passes.activations + level * own for level in levels])
                with part.passes.active():
                    results.append(part.passes.run(noisy))
            return torch.cat(results, dim=1)

        return run

    return draw


class _Called(nn.Module):
    """Calls a network as it is to be called, so that ``functional_call`` can give it other weights."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, given: Given) -> Tensor:
        return given.output()


def float_weights(network: nn.Module) -> dict[str, Tensor]:
    """Weights by name, trained or not; those of quantized layers are none."""
    chosen = {id(weight) for weight in weights(network, frozen=True) if weight.is_floating_point()}
    return {name: weight for name, weight in network.named_parameters() if id(weight) in chosen}


def _on_weights(units: LayerUnits) -> Source:
    own = float_weights(units.network)
    if not own:
        raise ValueError("network must have floating-point weights to add noise to; it has none")
    rms = {name: weight.double().square().mean().sqrt().to(weight.dtype) for name, weight in own.items()}
    called = _Called(units.network)

    def draw(generator: torch.Generator) -> Callable[[list[float]], Tensor]:
        noise = {name: rms[name] * _normal(weight, generator) for name, weight in own.items()}

        def under(level: float) -> Tensor:
            copies = {f"network.{name}": weight + level * noise[name] for name, weight in own.items()}
            return _by_blocks(units.given, lambda block: functional_call(called, copies, (block,)))

        return lambda levels: torch.stack([under(level) for level in levels])

    return draw


def _on_input(units: LayerUnits) -> Source:
    n, batch_axis = units.n_examples, units.given.outputs.batch_axis
    if n < 2:
        raise ValueError("x must have two or more examples to take corrupt features from, got 1")
    leaves, structure = tree_flatten(units.x)
    at = next(i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor))
    x = leaves[at].movedim(batch_axis, 0)

    def draw(generator: torch.Generator) -> Callable[[list[float]], Tensor]:
        device = generator.device
        when = torch.rand(x.shape, generator=generator, device=device).to(x.device)
        steps = torch.randint(1, n, x.shape, generator=generator, device=device).to(x.device)
        mine = torch.arange(n, device=x.device).view(-1, *(1,) * (x.dim() - 1))
        other = x.gather(0, (mine + steps) % n)

        def under(level: float) -> Tensor:
            leaf = torch.where(when < level, other, x).movedim(0, batch_axis)
            corrupted = tree_unflatten([*leaves[:at], leaf, *leaves[at + 1 :]], structure)
            return _by_blocks(replace(units.given, x=corrupted), Given.output)

        return lambda levels: torch.stack([under(level) for level in levels])

    return draw


def _by_blocks(given: Given, predict: Callable[[Given], Tensor]) -> Tensor:
    """Run the whole network, dropout off, on all examples."""
    with without_dropout(given.network):
        return torch.cat([predict(block) for block in given.split(_BLOCK)])


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    noise = torch.randn(like.shape, generator=generator, device=generator.device)
    return noise.to(device=like.device, dtype=like.dtype)


def _checked_levels(levels: Sequence[float], perturbation: Noise) -> Float[Tensor, " levels"]:
    try:
        level = torch.as_tensor(levels, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):  # no numbers at all
        level = torch.empty(0)
    rises = level.dim() == 1 and len(level) > 1 and level[0] == 0 and bool((level.diff() > 0).all())
    if not rises or not bool(level.isfinite().all()) or (perturbation == "input corruption" and level[-1] > 1):
        bound = ", at most 1" if perturbation == "input corruption" else ""
        raise ValueError(f"levels must rise from 0, the intact network{bound}, such as [0, 0.5, 1], got {levels!r}")
    return level
