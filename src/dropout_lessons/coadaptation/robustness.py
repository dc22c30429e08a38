"""How well a network does under noise on its activations, noise on its weights, and corrupted inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from dropout_lessons.averaging.members import frozen
from dropout_lessons.averaging.sites import Interception
from dropout_lessons.coadaptation.ablation import Curve, check_count
from dropout_lessons.coadaptation.activations import read_layer
from dropout_lessons.coadaptation.scores import chance, read_targets, score
from dropout_lessons.coadaptation.units import Outputs, check_network, check_x
from dropout_lessons.masks import own_generator
from dropout_lessons.penalties import weights
from dropout_lessons.runtime import progress_bar

Perturbation = Literal["activation noise", "weight noise", "input corruption"]
# Draws noise, and returns what runs the network with it at a level.
Noise = Callable[[torch.Generator], Callable[[float], Tensor]]

# Up to where a multilayer perceptron trained on 1000 digits has lost half of its accuracy or more.
LEVELS: dict[Perturbation, tuple[float, ...]] = {
    "activation noise": (0.0, 0.5, 1.0, 1.5, 2.0, 3.0),
    "weight noise": (0.0, 0.25, 0.5, 1.0, 1.5, 2.0),
    "input corruption": (0.0, 0.2, 0.4, 0.6, 0.8),
}


def robustness_curve(
    network: nn.Module,
    x: Float[Tensor, "examples ..."],
    y: Tensor | None = None,
    *,
    perturbation: Perturbation,
    levels: Sequence[float] | None = None,
    layer: str | None = None,
    draws: int = 10,
    outputs: Outputs = "logits",
    unit_axis: int = 1,
    generator: torch.Generator | None = None,
    progress: bool = True,
) -> Curve:
    r"""Score a network while one thing is perturbed more and more, by :math:`\ell`.

    - ``"activation noise"``: :math:`h_j + \ell\, r_j\, \varepsilon`, with :math:`r_j` the unit's root mean square over ``x`` and
      :math:`\varepsilon` standard normal, new for each example. The units' scale plays no role.
    - ``"weight noise"``: :math:`w + \ell\, r\, \varepsilon`, with :math:`r` the root mean square of the weight matrix. The
      scale of a layer plays no role; how weight is spread between its units does.
    - ``"input corruption"``: each feature of an example is, with probability :math:`\ell`, that of another random example.

    The same noise is scaled to all levels of a draw. Only the network's copies are noisy, never the network.

    Args:
        network: Any module; its modes and weights are as before after the call.
        x: The network's input, examples first.
        y: Labels; or real targets, for regression; or None, to compare with what the unperturbed network predicts.
        perturbation: One of the three.
        levels: How much, from 0 up; when None, levels at which networks for small images fall.
        layer: Name of the layer whose activations get noise.
        draws: Number of draws of the noise.
        outputs: What the network returns: ``"logits"``, ``"log_probs"``, ``"probs"``, or ``"values"`` for regression.
        unit_axis: Axis of the layer's output that holds the units.
        generator: Source of the noise. When None, a copy of PyTorch's global generator, which stays as it is.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: If an argument is out of range, or the network, layer, examples and targets do not fit each other.

    Example:
        >>> from dropout_lessons import MLP
        >>> network, x = MLP([4, 8, 3]), torch.randn(20, 4)
        >>> curve = robustness_curve(network, x, perturbation="weight noise", levels=[0, 0.5, 1])
        >>> curve.score.shape, curve.mean[0].item()  # without labels the intact network agrees with itself
        (torch.Size([10, 3]), 1.0)

    Source: Hinton et al. 2012 and Srivastava et al. 2014 expect units that work in many contexts; neither tests these.
    """
    if perturbation not in get_args(Perturbation):
        raise ValueError(f"perturbation must be one of {list(get_args(Perturbation))}, got {perturbation!r}")
    if (layer is None) == (perturbation == "activation noise"):
        raise ValueError(
            'layer must name the layer whose activations get noise if perturbation="activation noise", and be left out '
            f"if not, got layer={layer!r} with {perturbation!r}"
        )
    check_network(network)
    check_x(x)
    check_count("draws", draws, at_least=1)
    level = _checked_levels(LEVELS[perturbation] if levels is None else levels, perturbation)
    generator = own_generator(generator)
    if perturbation == "activation noise":
        noise = _on_activations(network, layer or "", x, unit_axis)
    else:
        noise = _on_weights(network, x) if perturbation == "weight noise" else _on_input(network, x)
    rows = []
    with switched_off(network):
        intact = network(x)
        y, readout = read_targets(y, intact, outputs)
        for _ in progress_bar(range(draws), perturbation, unit="draw", show=progress):
            run = noise(generator)
            perturbed = torch.stack([intact if own == 0 else run(own) for own in level.tolist()])
            rows.append(score(readout.scores(readout.logits(perturbed), y), y, readout.is_regression).cpu())
    metric = "R²" if readout.is_regression else "accuracy"
    return Curve(perturbation, level, torch.stack(rows), chance(y, readout.is_regression), metric)


@contextmanager
def switched_off(network: nn.Module) -> Iterator[None]:
    """Evaluation mode, and functional dropout that is always on switched off too."""
    with frozen(network), Interception(network, lambda call: call.unmasked, functional=True).active():
        yield


def _on_activations(network: nn.Module, layer: str, x: Tensor, unit_axis: int) -> Noise:
    values, axis = read_layer(network, layer, x, unit_axis)
    module = network.get_submodule(layer)
    others = [i for i in range(values.dim()) if i != axis]
    rms = values.double().square().mean(others, keepdim=True).sqrt().to(values.dtype)

    def draw(generator: torch.Generator) -> Callable[[float], Tensor]:
        noise = rms * _normal(values, generator)

        def run(level: float) -> Tensor:
            handle = module.register_forward_hook(lambda module, args, output: output + level * noise)
            with handle:
                output: Tensor = network(x)
            return output

        return run

    return draw


def _on_weights(network: nn.Module, x: Tensor) -> Noise:
    noisy = {id(weight) for weight in weights(network)}
    own = {name: weight for name, weight in network.named_parameters() if id(weight) in noisy}
    if not own:
        raise ValueError("network must have weights that are trained, to add noise to them; it has none")
    rms = {name: weight.double().square().mean().sqrt().to(weight.dtype) for name, weight in own.items()}

    def draw(generator: torch.Generator) -> Callable[[float], Tensor]:
        noise = {name: rms[name] * _normal(weight, generator) for name, weight in own.items()}

        def run(level: float) -> Tensor:
            copies = {name: weight + level * noise[name] for name, weight in own.items()}
            output: Tensor = functional_call(network, copies, (x,))
            return output

        return run

    return draw


def _on_input(network: nn.Module, x: Tensor) -> Noise:
    if len(x) < 2:
        raise ValueError("x must have two or more examples to take corrupt features from, got 1")

    def draw(generator: torch.Generator) -> Callable[[float], Tensor]:
        device = generator.device
        when = torch.rand(x.shape, generator=generator, device=device).to(x.device)
        steps = torch.randint(1, len(x), x.shape, generator=generator, device=device).to(x.device)
        mine = torch.arange(len(x), device=x.device).view(-1, *(1,) * (x.dim() - 1))
        other = x.gather(0, (mine + steps) % len(x))

        def run(level: float) -> Tensor:
            output: Tensor = network(torch.where(when < level, other, x))
            return output

        return run

    return draw


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    noise = torch.randn(like.shape, generator=generator, device=generator.device)
    return noise.to(device=like.device, dtype=like.dtype)


def _checked_levels(levels: Sequence[float], perturbation: Perturbation) -> Float[Tensor, " levels"]:
    level = torch.as_tensor(levels, dtype=torch.float64)
    rises = level.dim() == 1 and len(level) > 1 and level[0] == 0 and bool((level.diff() > 0).all())
    if not rises or not bool(level.isfinite().all()) or (perturbation == "input corruption" and level[-1] > 1):
        bound = ", at most 1" if perturbation == "input corruption" else ""
        raise ValueError(f"levels must rise from 0, the intact network{bound}, such as [0, 0.5, 1], got {levels}")
    return level
