"""The measures that a study takes of every network: functions of a network, a layer and examples, fast enough for many.

Each is called with the network, the layer's name, the examples, a generator that is the same for all arms, and the
temperature of the network's logits. It returns a number, or several by name. One with the attribute ``of_network`` is called once
for the network, not for each layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from dropout_lessons.coadaptation.ablation import ablation_curve, compensation
from dropout_lessons.coadaptation.activations import activation_sparsity, activations, rank_per_unit, unit_correlation
from dropout_lessons.coadaptation.damage import mean_damage
from dropout_lessons.coadaptation.pairs import sampled_pairs
from dropout_lessons.coadaptation.robustness import Perturbation, robustness_curve
from dropout_lessons.coadaptation.share import interaction_share, reliance
from dropout_lessons.coadaptation.units import Clamped, Outputs
from dropout_lessons.datasets import Split

Measure = Callable[[nn.Module, str, Split, torch.Generator, float], float | Mapping[str, float]]

KEEP_PROB = 0.5


def _interaction(
    network: nn.Module, layer: str, split: Split, generator: torch.Generator, temperature: float
) -> Mapping[str, float]:
    units = Clamped(network, layer, *split, temperature=temperature)
    total, relative = sampled_pairs(units, keep_prob=KEEP_PROB, contexts=8, sample=8, generator=generator)
    return {"interaction, relative": relative.value, "interaction, total": total.value}


def _share(
    network: nn.Module, layer: str, split: Split, generator: torch.Generator, temperature: float
) -> Mapping[str, float]:
    settings: dict[str, Any] = {"keep_prob": KEEP_PROB, "temperature": temperature, "generator": generator}
    return {
        "interaction share": interaction_share(network, layer, *split, **settings, progress=False).value,
        "mean damage": mean_damage(network, layer, *split, **settings, samples=64).value,
    }


def _reliance(network: nn.Module, layer: str, split: Split, generator: torch.Generator, temperature: float) -> float:
    settings: dict[str, Any] = {"temperature": temperature, "generator": generator, "progress": False}
    return reliance(network, layer, *split, keep_prob=KEEP_PROB, contexts=4, **settings).overall.value


def _compensation(
    network: nn.Module, layer: str, split: Split, generator: torch.Generator, temperature: float
) -> float:
    # Of the network's own predictions: single damages to the labels of new examples cancel.
    half = max(1, activations(network, layer, split.x[:1]).shape[1] // 2)
    settings: dict[str, Any] = {"temperature": temperature, "generator": generator, "progress": False}
    outputs: Outputs = "values" if split.y.is_floating_point() else "logits"
    return compensation(network, layer, split.x, sizes=[half], sets=32, outputs=outputs, **settings).ratio.item()


def _ablation(
    network: nn.Module, layer: str, split: Split, generator: torch.Generator, temperature: float
) -> Mapping[str, float]:
    state = generator.get_state()
    areas = {}
    for clamp in ("zero", "mean"):
        generator.set_state(state)  # the same orders
        curve = ablation_curve(
            network, layer, *split, clamp=clamp, orders=8, points=9, generator=generator, progress=False
        )
        areas[f"{clamp} clamp, area"] = curve.area.value
    return areas


def _robustness(perturbation: Perturbation) -> Measure:
    def area(network: nn.Module, layer: str, split: Split, generator: torch.Generator, temperature: float) -> float:
        settings: dict[str, Any] = {"layer": layer or None, "generator": generator, "draws": 5, "progress": False}
        return robustness_curve(network, *split, perturbation=perturbation, **settings).area.value

    area.of_network = perturbation != "activation noise"  # type: ignore[attr-defined]
    return area


def _supporting(
    network: nn.Module, layer: str, split: Split, generator: torch.Generator, temperature: float
) -> Mapping[str, float]:
    a = activations(network, layer, split.x)
    return {
        "correlation": unit_correlation(a),
        "effective rank per unit": rank_per_unit(a),
        "sparsity": activation_sparsity(a),
    }


#: What :func:`study` measures by default, at 100 examples well under a second for a layer of 256 units.
MEASURES: Mapping[str, Measure] = {
    "interaction": _interaction,
    "interaction share": _share,
    "reliance": _reliance,
    "compensation": _compensation,
    "ablation": _ablation,
    "activation noise, area": _robustness("activation noise"),
    "weight noise, area": _robustness("weight noise"),
    "input corruption, area": _robustness("input corruption"),
    "supporting": _supporting,
}
