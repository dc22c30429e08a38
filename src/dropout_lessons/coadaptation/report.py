"""Every measure of one network in one call, each with what it can and cannot show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal, NamedTuple, get_args

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn

from dropout_lessons.averaging.members import frozen
from dropout_lessons.averaging.sites import Call, Interception
from dropout_lessons.coadaptation.ablation import Compensation, Curve, ablation_curve, compensation
from dropout_lessons.coadaptation.activations import activation_sparsity, activations, rank_per_unit, unit_correlation
from dropout_lessons.coadaptation.damage import mean_damage
from dropout_lessons.coadaptation.estimate import Estimate
from dropout_lessons.coadaptation.interaction import Interaction, interaction
from dropout_lessons.coadaptation.pairs import sampled_pairs
from dropout_lessons.coadaptation.robustness import robustness_curve
from dropout_lessons.coadaptation.share import Reliance, interaction_share, reliance
from dropout_lessons.coadaptation.units import Clamp, Clamped, Outputs
from dropout_lessons.masks import own_generator
from dropout_lessons.runtime import progress_bar

Perturbation = Literal["zero clamp", "mean clamp", "activation noise", "weight noise", "input corruption"]

# Pairs times examples of which all interactions are computed where units do not simply add up: about a second.
_AFFORDABLE = 2**21
# Wider layers have no matrix of interactions, unless they simply add up.
_WIDEST = 1024


class _Text(NamedTuple):
    kind: str
    shows: str
    does_not_show: str


_AREA = "which part of its lead over chance the network keeps"
TEXTS = {
    "interaction, relative": _Text(
        "direct",
        "how far the effect of a pair is from the sum of its two single effects, over all pairs, compared with the single "
        "effects",
        "why: it also falls when a network has few active units for an example, without any change in how they cooperate, and "
        "when its logits are smaller",
    ),
    "interaction, total": _Text(
        "direct",
        "the same in nats, not compared with anything",
        "anything between networks of different confidence: it grows with the square of the logits",
    ),
    "interaction share": _Text(
        "direct",
        "which part of what random removal does to the answer no sum over units explains",
        "networks at equal footing: it grows with the damage that is done; compare at equal damage",
    ),
    "mean damage": _Text(
        "direct",
        "what random removal costs on average, in nats",
        "whether units rely on each other: it says how hard the perturbation hits, which the share depends on",
    ),
    "reliance": _Text(
        "direct",
        "which part of a unit's effect depends on which other units are there",
        "whether that is good or bad: a unit that backs up another one also acts only in some contexts",
    ),
    "compensation": _Text(
        "direct",
        "how much more half of the units cost together than one at a time, judged by the network's own predictions: above 1, "
        "units cover for each other",
        "cooperation alone: a network that is very sure loses little with any one unit, so the ratio grows with the logits",
    ),
    "zero clamp, area": _Text(
        "robustness",
        f"{_AREA} while units are removed",
        "much about a dropout network, which was trained to stand it: the test is circular there",
    ),
    "mean clamp, area": _Text(
        "robustness",
        f"{_AREA} while units are replaced by their mean",
        "that units are needed: a unit that hardly varies is replaced without loss",
    ),
    "activation noise, area": _Text(
        "robustness",
        f"{_AREA} under noise on each unit, relative to the unit's own size",
        "reliance between units: averaging over many units also makes noise harmless",
    ),
    "weight noise, area": _Text(
        "robustness",
        f"{_AREA} under noise on all weights, relative to each layer's",
        "which layer or unit is fragile; and it depends on how weight is spread inside a layer",
    ),
    "input corruption, area": _Text(
        "robustness",
        f"{_AREA} while features are replaced by those of other examples",
        "anything about hidden units alone: a network can be robust to this by what it reads from the input",
    ),
    "correlation": _Text(
        "supporting",
        "whether units say the same thing",
        "whether one needs another: two copies of a unit correlate fully, and each is dispensable",
    ),
    "effective rank per unit": _Text(
        "supporting",
        "over how many directions the outputs of the units spread, for each unit that varies",
        "dependence: units can be spread out and still only work together; it is low with few examples",
    ),
    "sparsity": _Text(
        "supporting",
        "which share of the outputs of live units is zero",
        "reliance: dropping units also changes the scale and the biases that decide how often a unit is active",
    ),
}


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """What :func:`measure` found of one layer; a notebook shows it as a table.

    Attributes:
        layer: Name of the layer.
        n_units: Its number of units.
        n_examples: Number of examples.
        trained_with: The perturbations that the network met in training.
        values: The value of each measure, with its Monte Carlo error.
        interaction: All pairs of units; None for a layer too wide for it. On the first ``n_examples_of_pairs`` examples.
        n_examples_of_pairs: Number of examples behind ``interaction``.
        reliance: Of each unit and overall.
        compensation: The damage of sets of units against the sum of their single damages, judged by the network's own
            predictions.
        curves: The score under each of the five perturbations.
    """

    layer: str
    n_units: int
    n_examples: int
    trained_with: tuple[Perturbation, ...]
    values: dict[str, Estimate]
    interaction: Interaction | None
    n_examples_of_pairs: int
    reliance: Reliance
    compensation: Compensation
    curves: dict[Perturbation, Curve]

    def to_frame(self) -> pd.DataFrame:
        """One row for each measure.

        The columns: ``measure``; its ``value`` and the ``stderr`` that comes from drawing; its ``kind``, which is ``"direct"``,
        ``"robustness"`` or ``"supporting"``; ``trained_with``, whether the network met this perturbation in training, None where
        the measure is no perturbation; what it ``shows`` and ``does_not_show``.
        """
        rows = []
        for name, estimate in self.values.items():
            text = TEXTS[name]
            perturbation = name.removesuffix(", area")
            met = perturbation in self.trained_with if perturbation in self.curves else None
            row = {"measure": name, "value": estimate.value, "stderr": estimate.stderr, "kind": text.kind}
            rows.append({**row, "trained_with": met, "shows": text.shows, "does_not_show": text.does_not_show})
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        lines = [f"{name:<24} {estimate}" for name, estimate in self.values.items()]
        return "\n".join([self._title(), *lines])

    def _title(self) -> str:
        met = ", ".join(self.trained_with) or "none of the perturbations"
        return f"{self.layer}: {self.n_units} units, {self.n_examples} examples; trained with {met}"

    def _repr_html_(self) -> str:
        header = "".join(
            f'<th scope="col" style="text-align: left">{name}</th>'
            for name in ("measure", "value", "shows", "does not show")
        )
        rows = []
        for name, estimate in self.values.items():
            text, met = TEXTS[name], name.removesuffix(", area") in self.trained_with
            cells = (str(estimate), f"{text.shows}{' (met in training)' if met else ''}", text.does_not_show)
            rest = "".join(f'<td style="text-align: left">{escape(cell)}</td>' for cell in cells)
            rows.append(f'<tr><th scope="row" style="text-align: left">{escape(name)}</th>{rest}</tr>')
        return (
            '<div style="overflow-x: auto" tabindex="0"><table style="min-width: 44em">'
            f"<caption>{escape(self._title())}</caption>"
            f"<thead><tr>{header}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        )


def measure(
    network: nn.Module,
    layer: str,
    x: Float[Tensor, "examples ..."],
    y: Tensor | None = None,
    *,
    trained_with: Sequence[Perturbation] | None = None,
    keep_prob: float = 0.5,
    clamp: Clamp = "zero",
    outputs: Outputs = "logits",
    temperature: float = 1.0,
    unit_axis: int = 1,
    generator: torch.Generator | None = None,
    memory: int = 2**28,
    progress: bool = True,
) -> Report:
    r"""Measure how much the units of a layer rely on each other, in every way that this package knows.

    Direct measures test the definition of co-adaptation, that units rely on each other; robustness measures test what is said
    to follow from it; supporting measures are often shown as evidence and are none by themselves. To compare networks, train
    several of each kind, and use ``study``.

    Args:
        network: Any module; its modes are as before after the call.
        layer: Name of a module that is called once in a forward pass, as in ``network.named_modules()``.
        x: The network's input, examples first; 100 or more.
        y: Labels; or real targets, for regression; or None, to judge by the network's own predictions.
        trained_with: Perturbations that the network met in training. When None, found from its dropout layers: those that set
            hidden units to zero count as ``"zero clamp"``, Gaussian ones as ``"activation noise"``. Dropout of the inputs counts
            as none: it sets features to zero, where ``"input corruption"`` replaces them by others.
        keep_prob: Probability that a unit is present, in the direct measures.
        clamp: What an absent unit sends on, in the direct measures: ``"zero"``, or its ``"mean"`` over ``x``.
        outputs: What the network returns: ``"logits"``, ``"log_probs"``, ``"probs"``, or ``"values"`` for regression.
        temperature: Divides the logits.
        unit_axis: Axis of the layer's output that holds the units: 1 for dense layers and channels, -1 for transformers.
        generator: Source of all draws. When None, a copy of PyTorch's global generator, which stays as it is.
        memory: Work space in bytes, approximately.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: If an argument is out of range, or the network, layer, examples and targets do not fit each other.

    Example:
        >>> from dropout_lessons import MLP, datasets
        >>> x, y = datasets.load("digits").test
        >>> report = measure(MLP([64, 16, 10], keep_prob=0.5), "hidden1", x[:100], y[:100])
        >>> report.trained_with, report.values["reliance"].value >= 0
        (('zero clamp',), True)
        >>> report.to_frame().kind.unique().tolist()
        ['direct', 'robustness', 'supporting']

    Source: this course; what single measures come from is said at each.
    """
    known = get_args(Perturbation)
    if trained_with is not None and (isinstance(trained_with, str) or not set(trained_with) <= set(known)):
        raise ValueError(f"trained_with must hold some of {list(known)}, got {trained_with!r}")
    generator = own_generator(generator)
    units = Clamped(
        network, layer, x, y, clamp=clamp, outputs=outputs, temperature=temperature, unit_axis=unit_axis, memory=memory
    )
    met = _met_in_training(network, x) if trained_with is None else tuple(trained_with)
    draws: dict[str, Any] = {"generator": generator, "progress": False}
    # Said, since compensation is measured without the targets that would tell a regression.
    read: Outputs = "values" if units.is_regression else outputs
    given: dict[str, Any] = {"outputs": read, "unit_axis": unit_axis}
    direct: dict[str, Any] = {**given, **draws, "clamp": clamp, "temperature": temperature, "memory": memory}
    steps = iter(progress_bar(range(8), "measuring", unit="measure", show=progress))
    values: dict[str, Estimate] = {}

    next(steps)
    pairs, n_examples_of_pairs = _all_pairs(network, layer, x, y, units, {**direct, "keep_prob": keep_prob})
    if pairs is not None and n_examples_of_pairs == len(x):
        total, relative = pairs.total, pairs.relative
    else:
        total, relative = sampled_pairs(units, keep_prob=keep_prob, contexts=8, sample=8, generator=generator)
    values |= {"interaction, relative": relative, "interaction, total": total}
    next(steps)
    values["interaction share"] = interaction_share(network, layer, x, y, keep_prob=keep_prob, **direct)
    without_bar = {name: setting for name, setting in direct.items() if name != "progress"}
    values["mean damage"] = mean_damage(network, layer, x, y, keep_prob=keep_prob, samples=100, **without_bar)
    next(steps)
    relied = reliance(network, layer, x, y, keep_prob=keep_prob, contexts=None if units.n_units <= 12 else 4, **direct)
    values["reliance"] = relied.overall
    next(steps)
    half = max(1, units.n_units // 2)
    sizes = sorted({*(2**i for i in range(units.n_units.bit_length())), half})
    covered = compensation(network, layer, x, sizes=sizes, sets=20, **direct)
    ratio, stderr = covered.ratio[sizes.index(half)].item(), covered.stderr[sizes.index(half)].item()
    values["compensation"] = Estimate(ratio, stderr, 20 if stderr else None)

    curves: dict[Perturbation, Curve] = {}
    next(steps)
    clamps: tuple[Clamp, ...] = get_args(Clamp)
    for own in clamps:
        curve = ablation_curve(
            network,
            layer,
            x,
            y,
            clamp=own,
            orders=None if units.n_units <= 12 else 10,
            points=17,
            memory=memory,
            **given,
            **draws,
        )
        curves["zero clamp" if own == "zero" else "mean clamp"] = curve
    next(steps)
    curves["activation noise"] = robustness_curve(
        network, x, y, perturbation="activation noise", layer=layer, **given, **draws
    )
    next(steps)
    curves["weight noise"] = robustness_curve(network, x, y, perturbation="weight noise", **given, **draws)
    curves["input corruption"] = robustness_curve(network, x, y, perturbation="input corruption", **given, **draws)
    values |= {f"{name}, area": curve.area for name, curve in curves.items()}

    next(steps)
    a = activations(network, layer, x, unit_axis=unit_axis)
    values["correlation"] = Estimate(unit_correlation(a))
    values["effective rank per unit"] = Estimate(rank_per_unit(a))
    values["sparsity"] = Estimate(activation_sparsity(a))
    next(steps, None)
    return Report(layer, units.n_units, len(x), met, values, pairs, n_examples_of_pairs, relied, covered, curves)


def _all_pairs(
    network: nn.Module, layer: str, x: Tensor, y: Tensor | None, units: Clamped, settings: dict[str, Any]
) -> tuple[Interaction | None, int]:
    """The interactions of all pairs on as many examples as can be afforded, and how many these are."""
    n = units.n_units
    if n <= 12 or units.additive is not None:
        return interaction(network, layer, x, y, contexts=None if n <= 12 else 8, **settings), len(x)
    if n > _WIDEST:
        return None, 0
    some = min(len(x), max(4, _AFFORDABLE // n**2))
    contexts = 2 if some * n**2 * 2 > _AFFORDABLE else min(8, _AFFORDABLE // (some * n**2))
    own = None if y is None else y[:some]
    return interaction(network, layer, x[:some], own, contexts=contexts, **settings), some


def _met_in_training(network: nn.Module, x: Tensor) -> tuple[Perturbation, ...]:
    """The perturbations that the network's own dropout makes in training."""
    parameters = {parameter.data_ptr() for parameter in network.parameters()}
    met: set[Perturbation] = set()

    def note(call: Call) -> Tensor:
        of_input = call.x.numel() == x.numel() and torch.equal(call.x.flatten(), x.flatten().to(call.x.dtype))
        of_weights = call.x.data_ptr() in parameters
        if call.keep_prob < 1 and call.kind != "alpha" and not of_input and not of_weights:
            met.add("activation noise" if call.kind == "noise" else "zero clamp")
        return call.unmasked

    with frozen(network), Interception(network, note, functional=True).active():
        network(x)
    return tuple(sorted(met, reverse=True))
