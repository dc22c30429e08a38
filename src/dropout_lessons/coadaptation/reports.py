"""Every measure of one layer in one call, each with what it can and cannot show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, get_args

import pandas as pd
import torch
from torch import Tensor, nn

from dropout_lessons.arguments import check_keep_prob, own_generator
from dropout_lessons.coadaptation.dependence import Reliance
from dropout_lessons.coadaptation.estimate import Estimate
from dropout_lessons.coadaptation.measures import MEASURES, REPORT, TEXTS
from dropout_lessons.coadaptation.pairs import Interaction
from dropout_lessons.coadaptation.removal import Compensation, Curve, Perturbation
from dropout_lessons.coadaptation.units import LayerUnits, check_asked
from dropout_lessons.running import MaskedNetwork, Site
from dropout_lessons.running.layer import Layer
from dropout_lessons.running.outputs import Examples
from dropout_lessons.runtime import progress_bar


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
        curves: The score under each of the perturbations.
        left_out: For each measure that cannot be taken of this network the reason.
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
    left_out: dict[str, str]

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
        return "\n".join([self._title(), *lines, *self._left_out()])

    def _title(self) -> str:
        met = ", ".join(self.trained_with) or "none of the perturbations"
        return f"{self.layer}: {self.n_units} units, {self.n_examples} examples; trained with {met}"

    def _left_out(self) -> list[str]:
        return [f"{name}: left out, {why}" for name, why in self.left_out.items()]

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
            f"<thead><tr>{header}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
            f"{''.join(f'<p>{escape(line)}</p>' for line in self._left_out())}</div>"
        )


def measure(
    network: nn.Module | MaskedNetwork,
    layer: str | Layer,
    x: Examples,
    y: Tensor | None = None,
    *,
    generator: torch.Generator | None = None,
    progress: bool = True,
) -> Report:
    r"""Measure how much the units of a layer rely on each other, in every way that this package knows.

    Direct measures test the definition of co-adaptation, that units rely on each other; robustness measures test what is said
    to follow from it; supporting measures are often shown as evidence and are none by themselves. To compare networks, train
    several of each kind, and use ``study``.

    It is ``report(LayerUnits(network, layer, x, y))``: make the units yourself where there is more to say.

    Args:
        network: Any module, or a :class:`~dropout_lessons.running.MaskedNetwork`; its modes are as before after the call.
        layer: Name of a module that is called once in a forward pass, or a :class:`Layer`.
        x: What the network is given; 100 examples or more.
        y: Labels; or real targets, for regression; or None, to judge by the network's own predictions.
        generator: Source of what is drawn. When None, a copy of PyTorch's global generator, which stays as it is.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: If the network, layer, examples and targets do not fit each other.

    Example:
        >>> from dropout_lessons import MLP, datasets
        >>> x, y = datasets.load("digits").test
        >>> found = measure(MLP([64, 16, 10], keep_prob=0.5), "hidden1", x[:100], y[:100])
        >>> found.trained_with, found.values["reliance"].value >= 0
        (('zero clamp',), True)
        >>> found.to_frame().kind.unique().tolist()
        ['direct', 'robustness', 'supporting']

    Source: this course; what single measures come from is said at each.
    """
    return report(LayerUnits(network, layer, x, y), generator=generator, progress=progress)


def report(
    units: LayerUnits,
    keep_prob: float = 0.5,
    *,
    trained_with: Sequence[Perturbation] | None = None,
    generator: torch.Generator | None = None,
    progress: bool = True,
) -> Report:
    """Ask the units every question of the table of measures.

    A measure that a network has nothing for is left out, as weight noise is where no weights are floating-point numbers, and
    the report says so.

    Args:
        units: The units, on 100 examples or more. Their clamp holds for the direct measures.
        keep_prob: Probability that a unit is present, in the direct measures.
        trained_with: Perturbations that the network met in training. When None, found from its dropout: what sets hidden units
            to zero counts as ``"zero clamp"``, Gaussian noise as ``"activation noise"``. Dropout of the inputs counts as none: it
            sets features to zero, where ``"input corruption"`` replaces them by others.
        generator: Source of what is drawn. When None, a copy of PyTorch's global generator, which stays as it is.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> from dropout_lessons import MLP
        >>> units = LayerUnits(MLP([4, 8, 3]), "hidden1", torch.randn(20, 4))
        >>> report(units, keep_prob=0.8, trained_with=["weight noise"]).trained_with
        ('weight noise',)
    """
    check_asked(units, generator)
    known = get_args(Perturbation)
    several = isinstance(trained_with, Iterable) and not isinstance(trained_with, str)
    if trained_with is not None and not (several and all(name in known for name in trained_with)):
        raise ValueError(f"trained_with must hold some of {list(known)}, got {trained_with!r}")
    effort = REPORT._replace(keep_prob=check_keep_prob(keep_prob))
    generator = own_generator(generator)
    met = _met_in_training(units.sites) if trained_with is None else tuple(trained_with)
    left_out = {name: why for name, own in MEASURES.items() if (why := own.why_not(units)) is not None}
    answers: dict[str, Any] = {}
    values: dict[str, Estimate] = {}
    for name, own in progress_bar(list(MEASURES.items()), "measuring", unit="measure", show=progress):
        if name not in left_out:
            answers[name] = own.ask(units, effort, generator)
            values |= own.numbers(answers[name])
    curves = [
        own for answer in answers.values() if isinstance(answer, tuple) for own in answer if isinstance(own, Curve)
    ]
    pairs = answers["interaction"]
    return Report(
        layer=units.layer.name,
        n_units=units.n_units,
        n_examples=units.n_examples,
        trained_with=met,
        values=values,
        interaction=pairs.matrix,
        n_examples_of_pairs=pairs.n_examples,
        reliance=answers["reliance"],
        compensation=answers["compensation"][0],
        curves={curve.perturbation: curve for curve in curves},
        left_out=left_out,
    )


def _met_in_training(sites: Sequence[Site]) -> tuple[Perturbation, ...]:
    """The perturbations that the network's own dropout makes in training."""
    of_units = [site for site in sites if site.drops == "units" and site.is_random and site.kind != "alpha"]
    met: set[Perturbation] = {"activation noise" if site.kind == "noise" else "zero clamp" for site in of_units}
    return tuple(sorted(met, reverse=True))
