"""The table of measures: what each asks of units, at the cost of a report or of a study, what it shows and what not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch

from dropout_lessons.coadaptation.damage import mean_damage
from dropout_lessons.coadaptation.dependence import interaction_share, reliance
from dropout_lessons.coadaptation.estimate import Estimate
from dropout_lessons.coadaptation.pairs import Interaction, interaction, sampled_pairs
from dropout_lessons.coadaptation.removal import Compensation, Curve, ablation_curve, compensation
from dropout_lessons.coadaptation.robustness import Noise, float_weights, robustness_curve
from dropout_lessons.coadaptation.similarity import activation_sparsity, rank_per_unit, unit_correlation
from dropout_lessons.coadaptation.units import LayerUnits

# Layers of so many units are measured exactly where that is cheap.
_FEW = 12
# Pairs times examples of which all interactions are computed where units do not simply add up: about a second.
_AFFORDABLE = 2**21
# Wider layers have no matrix of interactions, unless they simply add up.
_WIDEST = 1024


class Effort(NamedTuple):
    """How much is drawn.

    Attributes:
        keep_prob: Probability that a unit is present, in the direct measures.
        all_pairs: Whether the interactions of all pairs are wanted, and the damage of sets of all sizes, not of halves alone.
        damages: Masks for the mean damage.
        sets: Sets of one size.
        orders: Orders of removal, of which ``points`` numbers of removed units are looked at.
        points: See ``orders``.
        noises: Draws of noise.
    """

    keep_prob: float
    all_pairs: bool
    damages: int
    sets: int
    orders: int
    points: int
    noises: int


#: What :func:`study` spends on each network: at 100 examples well under a second for a layer of 256 units.
STUDY = Effort(keep_prob=0.5, all_pairs=False, damages=64, sets=32, orders=8, points=9, noises=5)
#: What :func:`measure` spends on its one network.
REPORT = Effort(keep_prob=0.5, all_pairs=True, damages=100, sets=20, orders=10, points=17, noises=10)


class Text(NamedTuple):
    """What one number is: its kind, what it shows, and what it does not show."""

    kind: Literal["direct", "robustness", "supporting"]
    shows: str
    does_not_show: str


@dataclass(frozen=True, eq=False)
class Measure:
    """A question to units; as a function, its numbers by name at the cost of a study.

    Attributes:
        texts: For each number its name, and what it shows.
        ask: Asks the units, given the effort and a source of random numbers.
        read: The numbers in the answer, in the order of the texts.
        of_network: Whether it is about the whole network, whatever the layer.
        why_not: Why some units cannot be asked; None for those that can.
    """

    texts: Mapping[str, Text]
    ask: Callable[[LayerUnits, Effort, torch.Generator], Any]
    read: Callable[[Any], tuple[Estimate, ...]]
    of_network: bool = False
    why_not: Callable[[LayerUnits], str | None] = lambda units: None

    def numbers(self, answer: Any) -> dict[str, Estimate]:
        """The numbers in an answer by name."""
        return dict(zip(self.texts, self.read(answer), strict=True))

    def __call__(self, units: LayerUnits, generator: torch.Generator) -> dict[str, float]:
        if self.why_not(units) is not None:
            return {}
        return {name: own.value for name, own in self.numbers(self.ask(units, STUDY, generator)).items()}


class Pairs(NamedTuple):
    """Interactions: their sums, and of all pairs on the first so many examples, where there is such a matrix."""

    relative: Estimate
    total: Estimate
    matrix: Interaction | None
    n_examples: int


def _pairs(units: LayerUnits, effort: Effort, generator: torch.Generator) -> Pairs:
    matrix, examples = None, 0
    n = units.n_units
    settings: dict[str, Any] = {"keep_prob": effort.keep_prob, "generator": generator}
    if effort.all_pairs and (n <= _FEW or units.is_additive):
        matrix = interaction(units, contexts=None if n <= _FEW else 8, progress=False, **settings)
        return Pairs(matrix.relative, matrix.total, matrix, units.n_examples)
    if effort.all_pairs and n <= _WIDEST:
        examples = min(units.n_examples, max(4, _AFFORDABLE // n**2))
        contexts = max(2, min(8, _AFFORDABLE // (examples * n**2)))
        matrix = interaction(units.first(examples), contexts=contexts, progress=False, **settings)
        if examples == units.n_examples:
            return Pairs(matrix.relative, matrix.total, matrix, examples)
    total, relative = sampled_pairs(units, contexts=8, sample=8, **settings)
    return Pairs(relative, total, matrix, examples)


def _share(units: LayerUnits, effort: Effort, generator: torch.Generator) -> tuple[Estimate, Estimate]:
    share = interaction_share(units, effort.keep_prob, generator=generator, progress=False)
    return share, mean_damage(units, effort.keep_prob, samples=effort.damages, generator=generator)


def _reliance(units: LayerUnits, effort: Effort, generator: torch.Generator) -> Any:
    contexts = None if units.n_units <= _FEW else 4
    return reliance(units, effort.keep_prob, contexts=contexts, generator=generator, progress=False)


def _compensation(units: LayerUnits, effort: Effort, generator: torch.Generator) -> tuple[Compensation, Estimate]:
    """The damage of sets, and what half of the units cost, judged by the network's own predictions.

    Single damages to the labels of new examples cancel.
    """
    half = max(1, units.n_units // 2)
    sizes = sorted({*(2**i for i in range(units.n_units.bit_length())), half}) if effort.all_pairs else [half]
    judged = units.judged_by_predictions()
    found = compensation(judged, sizes, sets=effort.sets, generator=generator, progress=False)
    ratio, stderr = found.ratio[sizes.index(half)].item(), found.stderr[sizes.index(half)].item()
    return found, Estimate(ratio, stderr, effort.sets if stderr else None)


def _removal(units: LayerUnits, effort: Effort, generator: torch.Generator) -> tuple[Curve, Curve]:
    orders, state = None if units.n_units <= _FEW else effort.orders, generator.get_state()

    def curve(clamp: Literal["zero", "mean"]) -> Curve:
        generator.set_state(state)  # the same orders
        return ablation_curve(
            units.clamped(clamp), orders=orders, points=effort.points, generator=generator, progress=False
        )

    return curve("zero"), curve("mean")


def _areas(curves: tuple[Curve, ...]) -> tuple[Estimate, ...]:
    return tuple(curve.area for curve in curves)


def _robustness(
    perturbation: Noise, shows: str, does_not_show: str, why_not: Callable[[LayerUnits], str | None]
) -> Measure:
    def ask(units: LayerUnits, effort: Effort, generator: torch.Generator) -> tuple[Curve]:
        return (robustness_curve(units, perturbation, draws=effort.noises, generator=generator, progress=False),)

    text = Text("robustness", f"{_AREA} {shows}", does_not_show)
    return Measure({f"{perturbation}, area": text}, ask, _areas, perturbation != "activation noise", why_not)


_AREA = "which part of its lead over chance the network keeps"

#: What :func:`measure` reports and :func:`study` measures by default.
MEASURES: Mapping[str, Measure] = {
    "interaction": Measure(
        {
            "interaction, relative": Text(
                "direct",
                "how far the effect of a pair is from the sum of its two single effects, over all pairs, compared with the "
                "single effects",
                "why: it also falls when a network has few active units for an example, without any change in how they "
                "cooperate, and when its logits are smaller",
            ),
            "interaction, total": Text(
                "direct",
                "the same in nats, not compared with anything",
                "anything between networks of different confidence: it grows with the square of the logits",
            ),
        },
        _pairs,
        lambda found: (found.relative, found.total),
    ),
    "interaction share": Measure(
        {
            "interaction share": Text(
                "direct",
                "which part of what random removal does to the answer no sum over units explains",
                "networks at equal footing: it grows with the damage that is done; compare at equal damage",
            ),
            "mean damage": Text(
                "direct",
                "what random removal costs on average, in nats",
                "whether units rely on each other: it says how hard the perturbation hits, which the share depends on",
            ),
        },
        _share,
        lambda found: found,
    ),
    "reliance": Measure(
        {
            "reliance": Text(
                "direct",
                "which part of a unit's effect depends on which other units are there",
                "whether that is good or bad: a unit that backs up another one also acts only in some contexts",
            )
        },
        _reliance,
        lambda found: (found.overall,),
    ),
    "compensation": Measure(
        {
            "compensation": Text(
                "direct",
                "how much more half of the units cost together than one at a time, judged by the network's own predictions: "
                "above 1, units cover for each other",
                "cooperation alone: a network that is very sure loses little with any one unit, so the ratio grows with the "
                "logits",
            )
        },
        _compensation,
        lambda found: (found[1],),
    ),
    "ablation": Measure(
        {
            "zero clamp, area": Text(
                "robustness",
                f"{_AREA} while units are removed",
                "much about a dropout network, which was trained to stand it: the test is circular there",
            ),
            "mean clamp, area": Text(
                "robustness",
                f"{_AREA} while units are replaced by their mean",
                "that units are needed: a unit that hardly varies is replaced without loss",
            ),
        },
        _removal,
        _areas,
        why_not=lambda units: "one example has no mean of several" if units.n_examples < 2 else None,
    ),
    "activation noise, area": _robustness(
        "activation noise",
        "under noise on each unit, relative to the unit's own size",
        "reliance between units: averaging over many units also makes noise harmless",
        lambda units: None,
    ),
    "weight noise, area": _robustness(
        "weight noise",
        "under noise on all weights, relative to each layer's",
        "which layer or unit is fragile; and it depends on how weight is spread inside a layer",
        lambda units: None if float_weights(units.network) else "the network has no floating-point weights",
    ),
    "input corruption, area": _robustness(
        "input corruption",
        "while features are replaced by those of other examples",
        "anything about hidden units alone: a network can be robust to this by what it reads from the input",
        lambda units: "one example has no others to be replaced by" if units.n_examples < 2 else None,
    ),
    "supporting": Measure(
        {
            "correlation": Text(
                "supporting",
                "whether units say the same thing",
                "whether one needs another: two copies of a unit correlate fully, and each is dispensable",
            ),
            "effective rank per unit": Text(
                "supporting",
                "over how many directions the outputs of the units spread, for each unit that varies",
                "dependence: units can be spread out and still only work together; it is low with few examples",
            ),
            "sparsity": Text(
                "supporting",
                "which share of the outputs of live units is zero",
                "reliance: dropping units also changes the scale and the biases that decide how often a unit is active",
            ),
        },
        lambda units, effort, generator: units.activations,
        lambda a: (Estimate(unit_correlation(a)), Estimate(rank_per_unit(a)), Estimate(activation_sparsity(a))),
        why_not=lambda units: (
            "a unit is several numbers, which have no correlation with another's"
            if units.layer.groups
            else "one row has no correlation"
            if len(units.activations) < 2
            else None
        ),
    ),
}
#: What each number shows and does not show, by its name.
TEXTS: Mapping[str, Text] = {name: text for measure in MEASURES.values() for name, text in measure.texts.items()}
