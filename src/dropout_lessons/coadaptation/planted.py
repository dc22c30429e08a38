"""Planted co-adaptation, a positive control: networks that predict the same, and differ in how their units rely on each other.

An example has five pieces of evidence, each for or against, and the networks add them up. They differ in how two units carry a
piece: what a measure says of them it says of that alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn

from dropout_lessons import runtime
from dropout_lessons.arguments import check_choice
from dropout_lessons.claims import paired
from dropout_lessons.coadaptation.dependence import share_at_equal_damage
from dropout_lessons.coadaptation.measures import MEASURES
from dropout_lessons.coadaptation.studies import NETWORK, Question, Study, study
from dropout_lessons.datasets import Dataset, Split

PAIRS = 5
_WEIGHT = 1.5  # log-odds of a piece of evidence: a test loss of 0.32 nats, as of networks trained on 1000 small digits
_NUISANCE = 3.0  # size of what cancels, beside evidence of size 1
_BACKUP = 0.9  # of a piece of evidence, what one backup alone says
_EXAMPLES = 200
# Smaller differences from the additive network are not counted, as a part of its value: two codes in which no unit relies on
# another, votes and copies, differed by up to a fifth towards reliance in a pilot run with six pairs.
MARGIN = 0.25

Evidence = Float[Tensor, "... pairs"]


class Planting(NamedTuple):
    """How two units carry a piece of evidence.

    Attributes:
        words: What it means for the units.
        relies: Whether units rely on each other.
        formulas: What the two units, u and v, send on, and how it is read, of the evidence e, a random sign s, and a nuisance n.
        write: What the two units send on, given the evidence, a random sign, and a nuisance.
        read: The evidence, of what they send.
    """

    words: str
    relies: bool
    formulas: tuple[str, str, str]
    write: Callable[[Evidence, Evidence, Evidence], tuple[Evidence, Evidence]]
    read: Callable[[Evidence, Evidence], Evidence]


#: How two units can carry one piece of evidence.
PLANTED: Mapping[str, Planting] = {
    "additive": Planting(
        "one unit votes for, the other against",
        False,
        ("max(e, 0)", "max(−e, 0)", "u − v"),
        lambda e, key, noise: (e.relu(), (-e).relu()),
        torch.sub,
    ),
    "turns": Planting(
        "one of the two says it, a coin decides which: additive, and uncorrelated",
        False,
        ("e if s = 1", "e if s = −1", "u + v"),
        lambda e, key, noise: (e * (1 + key) / 2, e * (1 - key) / 2),
        torch.add,
    ),
    "copies": Planting(
        "both say half of it",
        False,
        ("e", "e", "(u + v) / 2"),
        lambda e, key, noise: (e, e),
        lambda u, v: (u + v) / 2,
    ),
    "backups": Planting(
        "both say it, and one is nearly enough",
        True,
        ("e", "e", f"{_BACKUP}(u + v),\nat most 1"),
        lambda e, key, noise: (e, e),
        lambda u, v: (_BACKUP * (u + v)).clamp(-1, 1),
    ),
    "XOR": Planting(
        "neither says anything without the other",
        True,
        ("s", "s e", "u v"),
        lambda e, key, noise: (key, e * key),
        torch.mul,
    ),
    "canceling": Planting(
        "one carries it under a large error, which the other takes off",
        True,
        (f"e + {_NUISANCE:.0f}n", f"{_NUISANCE:.0f}n", "u − v"),
        lambda e, key, noise: (e + _NUISANCE * noise, _NUISANCE * noise),
        torch.sub,
    ),
}
#: Plantings without reliance whose partners share nothing but the sum; those of the first are correlated, of the second not.
BASELINES = ("additive", "turns")


class PlantedNetwork(nn.Module):
    r"""A network of ten units, the layer ``"units"``, that adds up five pieces of evidence :math:`e_k = \pm 1`.

    The log-odds of class 1 are :math:`1.5 \sum_k e_k`, those of the labels of :func:`planted_data`, whatever the
    planting.

    Args:
        planting: How two units carry a piece of evidence: a key of ``PLANTED``.

    Raises:
        ValueError: If there is no such planting.

    Example:
        >>> x = planted_data(seed=0).test.x
        >>> same = [torch.equal(PlantedNetwork("additive")(x), PlantedNetwork(other)(x)) for other in PLANTED]
        >>> all(same)
        True
    """

    def __init__(self, planting: str) -> None:
        super().__init__()
        if planting not in PLANTED:
            raise ValueError(f"planting must be one of {list(PLANTED)}, got {planting!r}")
        self.planting = planting
        self.units = nn.Identity()
        self.output = nn.Linear(PAIRS, 2, bias=False)
        half = torch.full((PAIRS,), _WEIGHT / 2)
        self.output.weight.data = torch.stack([-half, half])

    def forward(self, x: Float[Tensor, "examples features"]) -> Float[Tensor, "examples 2"]:
        evidence, key, nuisance = x.unflatten(-1, (3, PAIRS)).unbind(-2)
        own = PLANTED[self.planting]
        h = self.units(torch.stack(own.write(evidence, key, nuisance), dim=-1).flatten(-2))
        logits: Tensor = self.output(own.read(*h.unflatten(-1, (PAIRS, 2)).unbind(-1)))
        return logits


def planted_data(seed: int) -> Dataset:
    """Examples with five pieces of evidence, five signs and five nuisances, all 1 or -1, and labels as likely as they say.

    Example:
        >>> planted_data(seed=0).test
        Split(x: (200, 15) torch.float32, y: (200,) torch.int64)
    """
    generator = runtime.generator(seed)

    def split() -> Split:
        x = torch.randint(0, 2, (_EXAMPLES, 3 * PAIRS), generator=generator) * 2.0 - 1
        return Split(x, torch.bernoulli((_WEIGHT * x[:, :PAIRS].sum(1)).sigmoid(), generator=generator).long())

    noisy = torch.zeros(_EXAMPLES, dtype=torch.bool)
    return Dataset("planted", split(), split(), split(), n_classes=2, image_shape=(3, PAIRS), noisy=noisy)


def planted_study(measures: Mapping[str, Question] | None = None, *, seeds: Sequence[int] = range(10)) -> Study:
    """Measure the planted networks, each on the same examples at a seed.

    Args:
        measures: What to measure, as in :func:`study`; when None, ``MEASURES`` and the interaction share at equal damage.
        seeds: Those of the examples.

    Example:
        >>> found = planted_study({"correlation": MEASURES["supporting"]}, seeds=range(5))
        >>> list(found.networks)
        ['additive', 'turns', 'copies', 'backups', 'XOR', 'canceling']
    """
    return study(
        {planting: [PlantedNetwork(planting) for _ in seeds] for planting in PLANTED},
        planted_data,
        ["units"],
        seeds=seeds,
        measures={**MEASURES, SHARE: share_at_equal_damage} if measures is None else measures,
        calibrate=False,  # the labels are as likely as the networks say
        progress=False,
    )


SHARE = "share at equal damage"
# Which way each number moves where units rely on each other, as it is usually read; 0: either way, up where units cover for
# each other, down where they need each other.
READ_AS_RELIANCE: Mapping[str, int] = {
    "interaction, relative": 1,
    "interaction, total": 1,
    "interaction share": 1,
    SHARE: 1,
    "reliance": 1,
    "compensation": 0,
    "zero clamp, area": -1,
    "mean clamp, area": -1,
    "activation noise, area": -1,
    "weight noise, area": -1,
    "input corruption, area": -1,
    "correlation": 1,
    "effective rank per unit": -1,
    "sparsity": -1,
}


def planted_scores(found: Study, baseline: str = "additive") -> pd.DataFrame:
    """Whether each measure sees each planting: a row for each measure, a column for each planting but the baseline.

    A measure ``"sees"`` a planting if it differs from the baseline by more than a quarter of that one's value, with the whole 95%
    interval over the seeds, in the direction in which it is read as reliance; ``"reversed"`` if so in the other one; else it
    ``"misses"`` it. Units of ``"copies"`` and of the other baseline do not rely on each other: seeing something there is a
    ``"false alarm"``, and seeing nothing is ``"silent"``.

    Args:
        found: Made by :func:`planted_study`.
        baseline: What the others are compared with: ``"additive"``, whose partners are correlated, or ``"turns"``, whose are not.

    Raises:
        ValueError: If there is no such baseline.

    Example:
        >>> found = planted_study({"correlation": MEASURES["supporting"]}, seeds=range(5))
        >>> [planted_scores(found, baseline).loc["correlation", "copies"] for baseline in ("additive", "turns")]
        ['silent', 'false alarm']
    """
    check_choice("baseline", baseline, BASELINES)
    rows = {}
    for measure, reads in READ_AS_RELIANCE.items():
        if measure not in found.measures():
            continue
        layer = "units" if measure in found.measures("units") else NETWORK
        reference = found.values(measure, baseline, layer)
        scale = abs(reference.mean())
        rows[measure] = {
            planting: _word(
                paired(found.values(measure, planting, layer), reference).interval, scale * MARGIN, reads, own.relies
            )
            for planting, own in PLANTED.items()
            if planting != baseline
        }
    return pd.DataFrame(rows).T.rename_axis(index="measure")


def _word(interval: tuple[float, float], margin: float, reads: int, relies: bool) -> str:
    up, down = interval[0] > margin, interval[1] < -margin
    if not (up or down):
        return "misses" if relies else "silent"
    towards = reads * (1 if up else -1) >= 0
    return ("sees" if relies else "false alarm") if towards else "reversed"
