"""All averages of one network side by side, and ensembles of others, in one table."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn

from dropout_lessons.averaging.average import Average
from dropout_lessons.averaging.exact import count_subnetworks, exact_average
from dropout_lessons.averaging.members import Members, forward_flops
from dropout_lessons.averaging.monte_carlo import monte_carlo_average
from dropout_lessons.averaging.outputs import Outputs
from dropout_lessons.averaging.rules import ensemble_average, weight_scaling
from dropout_lessons.calibration import brier, ece, error, nll

# Exact averages of more subnetworks are computed only when asked for.
_AFFORDABLE = 2**16


def compare_averaging(
    network: nn.Module,
    x: Float[Tensor, "examples ..."],
    y: Integer[Tensor, " examples"],
    *,
    samples: Sequence[int] = (1, 10, 100),
    exact: bool | None = None,
    ensembles: Mapping[str, Sequence[nn.Module]] | None = None,
    generator: torch.Generator | None = None,
    layers: Sequence[str] | None = None,
    functional: Sequence[str] = (),
    outputs: Outputs = "logits",
    memory: int = 2**28,
    max_subnetworks: int = 2**24,
    progress: bool = True,
) -> pd.DataFrame:
    """Score every rule of averaging on labeled examples: one row for each rule and number of members.

    The rows are weight scaling; the geometric and the arithmetic mean of all subnetworks; Monte Carlo averages of
    probabilities, from one sequence of draws; and the ensembles, whose members' probabilities are averaged. The columns:

    - ``rule``, ``members``: what was averaged;
    - ``error``, ``nll`` (nats), ``brier``, ``ece``: as in ``calibration``;
    - ``disagreement``: chance that two members predict different classes; missing for a single network;
    - ``forward_passes``: multiply-adds for an example, in units of one forward pass of the network;
    - ``training_cost``: networks that had to be trained;
    - ``seconds``: time for all examples. The Monte Carlo rows come from one call; its time is divided in proportion to
      their forward passes.

    Args:
        network: Any module with dropout that returns ``(examples, classes)``.
        x: The network's input, examples first.
        y: Class of each example, from 0.
        samples: Numbers of subnetworks for the Monte Carlo rows.
        exact: Whether to average all subnetworks; when None, where there are at most 65,536.
        ensembles: Separately trained networks to compare with, by the name of their row.
        generator: Source of the Monte Carlo masks. When None, a copy of PyTorch's global generator.
        layers: Names of the dropout layers that are masked, all of them when None; the others stay in evaluation mode.
        functional: Names for the network's calls of functional dropout, in the order of its forward pass.
        outputs: What the networks return: ``"logits"``, ``"log_probs"`` or ``"probs"``.
        memory: Work space in bytes, approximately.
        max_subnetworks: As in ``exact_average``.
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
    settings: dict[str, Any] = {"layers": layers, "functional": functional, "outputs": outputs}
    work: dict[str, Any] = {**settings, "memory": memory, "progress": progress}
    members = Members(network, x, **settings)
    rows: list[dict[str, Any]] = []

    def add(rule: str, average: Average, seconds: float, training_cost: int = 1) -> None:
        scores = {
            "error": error(average.probs, y),
            "nll": nll(average.log_probs, y),
            "brier": brier(average.probs, y),
            "ece": ece(average.probs, y),
        }
        costs = {"forward_passes": average.forward_passes, "training_cost": training_cost, "seconds": seconds}
        disagreement = float("nan") if average.disagreement is None else average.disagreement
        rows.append({"rule": rule, "members": average.members, **scores, "disagreement": disagreement, **costs})

    add("weight scaling", *_timed(lambda: weight_scaling(network, x, outputs=outputs)))
    if exact is None:
        exact = members.is_enumerable and count_subnetworks(members) <= _AFFORDABLE
    if exact:
        few = members.is_enumerable and count_subnetworks(members) <= _AFFORDABLE
        for rule in ("geometric", "arithmetic"):
            run = _timed(
                lambda rule=rule: exact_average(  # type: ignore[misc]
                    network, x, rule=rule, every_member=few, max_subnetworks=max_subnetworks, **work
                )
            )
            add(f"{rule} mean, exact", *run)
    if isinstance(samples, int):
        raise ValueError(f"samples must be a sequence of positive integers, got {samples}; write ({samples},)")
    if samples:
        averages, seconds = _timed(
            lambda: monte_carlo_average(network, x, samples=list(samples), generator=generator, **work)
        )
        most = max(average.forward_passes for average in averages.values())
        for average in averages.values():
            add("Monte Carlo", average, seconds * average.forward_passes / most)
    for name, networks in (ensembles or {}).items():
        average, seconds = _timed(lambda networks=networks: ensemble_average(networks, x, outputs=outputs))  # type: ignore[misc]
        if members.flops:  # the ensemble's networks may be of another size
            passes = sum(forward_flops(other, x) for other in networks) / members.flops
            average = dataclasses.replace(average, forward_passes=passes)
        add(name, average, seconds, len(networks))
    return pd.DataFrame(rows)


def _timed(run: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    result = run()
    return result, time.perf_counter() - start
