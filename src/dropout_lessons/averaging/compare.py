"""All averages of one network side by side, and ensembles of others, in one table."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd
import torch
from jaxtyping import Num
from torch import Tensor, nn

from dropout_lessons.arguments import check_kind, checked_counts
from dropout_lessons.averaging.average import Average, ValueAverage
from dropout_lessons.averaging.exact import count_subnetworks, exact_average
from dropout_lessons.averaging.monte_carlo import monte_carlo_average
from dropout_lessons.averaging.rules import ensemble_average, weight_scaling
from dropout_lessons.calibration import brier, ece, error, nll
from dropout_lessons.running import MaskedNetwork
from dropout_lessons.running.discovery import discover
from dropout_lessons.running.examples import gathered
from dropout_lessons.running.masked import as_masked
from dropout_lessons.running.members import Members
from dropout_lessons.running.outputs import Examples
from dropout_lessons.running.targets import check_labels, check_values

# Exact averages of more subnetworks are computed only when asked for.
_AFFORDABLE = 2**16


def compare_averaging(
    network: nn.Module | MaskedNetwork,
    x: Examples,
    y: Num[Tensor, "examples ..."] | None = None,
    *,
    samples: Sequence[int] = (1, 10, 100),
    ensembles: Mapping[str, Sequence[nn.Module | MaskedNetwork]] | None = None,
    generator: torch.Generator | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Score every rule of averaging on labeled examples: one row for each rule and number of members.

    The rows are weight scaling; the geometric and the arithmetic mean of all subnetworks, where there are at most 65,536 (or the
    network's ``max_subnetworks``); Monte Carlo averages of probabilities, from one sequence of draws; and the ensembles, whose
    members' probabilities are averaged. The columns:

    - ``rule``, ``members``: what was averaged;
    - ``error``, ``nll`` (nats), ``brier``, ``ece``: as in ``calibration``, over all positions where a network predicts several;
      for a regression ``rmse``, the ``variance`` of the average, and ``nll`` where that is not 0, of a normal distribution;
    - ``disagreement``: chance that two members predict different classes; missing for a single network and for a regression;
    - ``forward_passes``: multiply-adds for an example, in units of one forward pass of the network;
    - ``training_cost``: networks that had to be trained;
    - ``seconds``: time for all examples. The Monte Carlo rows come from one call; its time is divided in proportion to
      their forward passes.

    Args:
        network: Any module with dropout, or a ``MaskedNetwork`` that says which of it is masked and what the network returns.
        x: What the network is given, as in :func:`weight_scaling`.
        y: Class of each example, from 0, or of each of its positions (-100 where there is none); targets of a regression; those
            of the ``DataLoader`` when None.
        samples: Numbers of subnetworks for the Monte Carlo rows.
        ensembles: Separately trained networks to compare with, by the name of their row.
        generator: Source of the Monte Carlo masks. When None, a copy of PyTorch's global generator.
        progress: Whether to show progress bars.

    Raises:
        ValueError: As in the functions for the single rules, and if the labels do not fit the classes.

    Example:
        >>> from dropout_lessons.networks import MLP
        >>> network = MLP([4, 8, 3], keep_prob=0.5)
        >>> table = compare_averaging(network, torch.randn(20, 4), torch.arange(20) % 3, samples=(1, 100))
        >>> table[["rule", "members"]].values.tolist()  # doctest: +NORMALIZE_WHITESPACE
        [['weight scaling', 1], ['geometric mean, exact', 256], ['arithmetic mean, exact', 256],
         ['Monte Carlo', 1], ['Monte Carlo', 100]]

    Source: Srivastava et al. 2014, Section 7.5 and Figure 11, with proper scores and costs beside the error.
    """
    samples = checked_counts("samples", samples, "a sequence of positive integers, such as (1, 10)")
    ensembles = {} if ensembles is None else ensembles
    check_kind("ensembles", ensembles, Mapping, "{'ten networks': networks} makes one")
    masked = as_masked(network)
    outputs = masked.says
    x, y = gathered(x, y, outputs.batch_axis)
    output = masked.predict(x)
    table = _Table(output[..., 0] if outputs.kind == "mean_and_variance" else output, y, outputs.is_regression)
    table.add("weight scaling", *_timed(lambda: weight_scaling(masked, x)))
    members = Members(masked.given(x), masked.layers)
    most = _AFFORDABLE if masked.max_subnetworks is None else masked.max_subnetworks
    if members.is_enumerable and count_subnetworks(members) <= most:
        few = count_subnetworks(members) <= _AFFORDABLE
        for rule in ("geometric", "arithmetic") if not outputs.is_regression else ("arithmetic",):
            settings: dict[str, Any] = {"rule": rule, "every_member": few, "progress": progress}
            table.add(f"{rule} mean, exact", *_timed(partial(exact_average, masked, x, **settings)))
    if len(samples):
        drawn = partial(monte_carlo_average, samples=samples, generator=generator, progress=progress)
        averages, seconds = _timed(lambda: drawn(masked, x))
        passes = max(average.forward_passes for average in averages.values())
        for average in averages.values():
            table.add("Monte Carlo", average, seconds * average.forward_passes / passes)
    for name, networks in ensembles.items():
        average, seconds = _timed(partial(ensemble_average, networks, x))
        if members.flops:  # the ensemble's networks may be of another size
            flops = sum(discover(as_masked(other).given(x)).flops[-1] for other in networks)
            average = dataclasses.replace(average, forward_passes=flops / members.flops)
        table.add(name, average, seconds, len(networks))
    return pd.DataFrame(table.rows)


class _Table:
    """Rows of scores against the same labels or targets."""

    def __init__(self, output: Tensor, y: Any, is_regression: bool) -> None:
        self.rows: list[dict[str, Any]] = []
        self.y = check_values(y, output) if is_regression else check_labels(y, output)

    def add(self, rule: str, average: Average | ValueAverage, seconds: float, training_cost: int = 1) -> None:
        scores = self._values(average) if isinstance(average, ValueAverage) else self._classes(average)
        costs = {"forward_passes": average.forward_passes, "training_cost": training_cost, "seconds": seconds}
        self.rows.append({"rule": rule, "members": average.members, **scores, **costs})

    def _classes(self, average: Average) -> dict[str, float]:
        labels = self.y.flatten()
        there = labels != -100  # as in PyTorch's losses
        log_probs = average.log_probs.flatten(0, -2)[there]
        labels, probs = labels[there], log_probs.exp()
        disagreement = math.nan if average.disagreement is None else average.disagreement
        return {
            "error": error(probs, labels),
            "nll": nll(log_probs, labels),
            "brier": brier(probs, labels),
            "ece": ece(probs, labels),
            "disagreement": disagreement,
        }

    def _values(self, average: ValueAverage) -> dict[str, float]:
        squares, variance = (self.y - average.mean).square(), average.variance
        positive = bool((variance > 0).all())
        likely = (squares / variance + (2 * math.pi * variance).log()).mean().item() / 2 if positive else math.nan
        return {
            "rmse": squares.mean().sqrt().item(),
            "nll": likely,
            "variance": variance.mean().item(),
            "disagreement": math.nan,
        }


def _timed(run: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    result = run()
    return result, time.perf_counter() - start
