"""Compare arms of networks by their measures, seed by seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from dropout_lessons import runtime
from dropout_lessons.arguments import check_choice
from dropout_lessons.calibration import fit_temperature
from dropout_lessons.claims import Evidence, paired
from dropout_lessons.claims.evidence import LOG_RATIO
from dropout_lessons.coadaptation.measures import MEASURES
from dropout_lessons.coadaptation.units import LayerUnits
from dropout_lessons.datasets import Dataset, Split
from dropout_lessons.ensembles import Arm, fit_ensemble
from dropout_lessons.ensembles.arms import checked_seeds
from dropout_lessons.running import MaskedNetwork
from dropout_lessons.running.examples import device_of
from dropout_lessons.runtime import progress_bar
from dropout_lessons.training import Recipe, evaluate

#: What a study asks of units: with a source of random numbers that is the same for all arms, for a number or several by name.
#: One with the attribute ``of_network`` is asked once for the network, of the units of its first layer.
Question = Callable[[LayerUnits, torch.Generator], float | Mapping[str, float]]

# The layer of what is measured of a whole network.
NETWORK = "network"


@dataclass(frozen=True, eq=False, repr=False)
class Study:
    """What a study measured, and the networks that it measured.

    Attributes:
        frame: One row for each ``arm``, ``seed``, ``layer`` and ``measure``, with its ``value``. What is measured of a network as
            a whole has the layer ``"network"``: training and test loss and error among them, and the temperature.
        networks: The networks of each arm, in the order of the seeds.
        seeds: The seeds.
        layers: The layers.

    Example:
        >>> from dropout_lessons import datasets
        >>> nets = {arm: [nn.Sequential(nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10)) for _ in range(5)] for arm in "ab"}
        >>> def norm(units, generator):
        ...     return units.network[2].weight.norm().item()
        >>> result = study(nets, datasets.load("digits"), ["1"], seeds=range(5), measures={"norm": norm})
        >>> evidence = result.paired("norm", "b", control="a")
        >>> evidence.n, len(result.values("norm", "a"))
        (5, 5)
    """

    frame: pd.DataFrame
    networks: dict[str, list[nn.Module]]
    seeds: tuple[int, ...]
    layers: tuple[str, ...]

    def __repr__(self) -> str:
        return (
            f"Study({len(self.networks)} arms x {len(self.seeds)} seeds, layers {list(self.layers)}, measures "
            f"{self.measures()})"
        )

    def measures(self, layer: str | None = None) -> list[str]:
        """Names of what was measured: at a layer, of the ``"network"``, or, when None, at all."""
        frame = self.frame if layer is None else self.frame[self.frame.layer == layer]
        return list(dict.fromkeys(frame.measure))

    def values(self, measure: str, arm: str, layer: str | None = None) -> NDArray[np.float64]:
        """The values of a measure for one arm, in the order of the seeds.

        Args:
            measure: Its name.
            arm: Name of the arm.
            layer: Where it was measured; may be left out if there is one such place.

        Raises:
            ValueError: If there is no such arm, measure or layer, or several layers to choose from.
        """
        check_choice("arm", arm, tuple(self.networks))
        check_choice("measure", measure, tuple(self.measures()))
        rows = self.frame[(self.frame.measure == measure) & (self.frame.arm == arm)]
        layers = tuple(dict.fromkeys(rows.layer))
        if layer is None and len(layers) > 1:
            raise ValueError(f"layer must be given, since {measure!r} was measured at {list(layers)}")
        if layer is not None:
            check_choice("layer", layer, layers)
            rows = rows[rows.layer == layer]
        return np.asarray(rows.set_index("seed").value.loc[list(self.seeds)], dtype=np.float64)

    def paired(
        self, measure: str, arm: str, layer: str | None = None, *, control: str = "plain", ratio: bool = False
    ) -> Evidence:
        r"""Mean difference between an arm and its control at the same seeds, with its 95% interval.

        Args:
            measure: What is compared.
            arm: Name of the arm.
            layer: Where it was measured; may be left out if there is one such place.
            control: Name of the arm that it is compared with.
            ratio: Whether to compare logarithms: the effect is then that of :math:`\log(\text{arm} / \text{control})`, 0 if the
                arms are alike.

        Raises:
            ValueError: As in ``values``; if there are fewer than five seeds; or if logarithms of numbers that are not
                positive would be needed.
        """
        treatment, reference = (self.values(measure, name, layer) for name in (arm, control))
        if ratio:
            lowest = min(treatment.min(), reference.min())
            if lowest <= 0:
                raise ValueError(f"ratio=True needs positive values, but {measure!r} has {lowest:.3g}; leave it out")
            treatment, reference = np.log(treatment), np.log(reference)
        return paired(treatment, reference, unit=LOG_RATIO if ratio else "")

    def table(self, layer: str | None = None, *, control: str = "plain", ratio: bool = False) -> pd.DataFrame:
        """Every measure of every arm against the control: means, paired effects, and whether these are clear of zero.

        Args:
            layer: Whose measures; ``"network"`` for those of whole networks; the only layer when None.
            control: Name of the arm that the others are compared with.
            ratio: Whether to compare by ratios, 1 if the arms are alike, where all values are positive; else the row is empty.

        Returns:
            One row for each ``measure`` and ``arm``: its ``mean`` and that of the ``control``, the ``effect`` (difference, or
            ratio of geometric means), its 95% interval from ``low`` to ``high``, and whether the interval ``separates`` the
            arms. With so many intervals some separate by chance: one in twenty where nothing differs.

        Raises:
            ValueError: If there is no such layer or control, or there are fewer than five seeds.
        """
        if layer is None:
            if len(self.layers) > 1:
                raise ValueError(f"layer must be one of {[*self.layers, NETWORK]}, since there are several")
            layer = self.layers[0]
        check_choice("layer", layer, (*self.layers, NETWORK))
        check_choice("control", control, tuple(self.networks))
        rows = []
        for measure in self.measures(layer):
            for arm in self.networks:
                if arm == control:
                    continue
                own, reference = (self.values(measure, name, layer) for name in (arm, control))
                row: dict[str, Any] = {"measure": measure, "arm": arm, "mean": own.mean(), "control": reference.mean()}
                both = np.concatenate([own, reference])
                effect, low, high = np.nan, np.nan, np.nan
                if np.isfinite(both).all() and (both.min() > 0 or not ratio):
                    evidence = self.paired(measure, arm, layer, control=control, ratio=ratio)
                    effect, low, high = evidence.effect, *evidence.interval
                separates = bool(low > 0 or high < 0)
                if ratio:
                    effect, low, high = np.exp([effect, low, high])
                rows.append({**row, "effect": effect, "low": low, "high": high, "separates": separates})
        return pd.DataFrame(rows)


def study(
    arms: Mapping[str, Arm | Sequence[nn.Module]],
    data: Dataset | Callable[[int], Dataset],
    layers: Sequence[str],
    *,
    seeds: Sequence[int],
    measures: Mapping[str, Question] | None = None,
    on: Literal["test", "train"] = "test",
    target: Literal["labels", "predictions"] = "labels",
    examples: int = 100,
    calibrate: bool = True,
    progress: bool = True,
) -> Study:
    r"""Train arms of networks, or take trained ones, and measure each at some layers, with everything shared at a seed.

    At one seed all arms have the same data, initial weights (where their networks draw them alike), order of examples,
    examples to be measured on, and random draws of the measures, so that differences are paired. What is measured is
    that of fully trained networks in evaluation mode, on ``examples`` that are drawn anew for each seed, so that an interval
    over the seeds holds for other examples too. Logits are divided by a temperature that is fitted on the validation examples
    (1 for arms with shuffled labels, for which there is none, and for regressions), so that their scale does not decide.

    Args:
        arms: For each arm its name and how it is trained, or trained networks, one for each seed.
        data: One data set, or what makes one from a seed.
        layers: Names of the layers to measure at, which all networks have.
        seeds: What is paired; five or more for intervals.
        measures: What to measure: for each name a function of the :class:`LayerUnits` and a generator, that returns a number or
            several by name. When None, those of ``MEASURES``.
        on: Which part of the data to measure on. With ``"train"`` an arm is judged by the labels that it was trained on.
        target: What counts as right: the labels (targets of a regression), or the network's own predictions.
        examples: How many examples to measure on.
        calibrate: Whether to fit temperatures.
        progress: Whether to show progress bars.

    Returns:
        The measured values, with the networks. Nothing is written to disk.

    Raises:
        ValueError: If an argument is out of range, or networks, layers and data do not fit each other; layers are checked
            before anything is trained.

    Example:
        >>> from dropout_lessons import MLP, Recipe, datasets
        >>> def arm(keep_prob):
        ...     return Arm(lambda generator: MLP([64, 16, 10], keep_prob=keep_prob, generator=generator), Recipe(epochs=2))
        >>> digits = lambda seed: datasets.load("digits", train=200, seed=seed)
        >>> result = study({"plain": arm(1.0), "dropout": arm(0.5)}, digits, ["hidden1"], seeds=range(5), examples=20)
        >>> table = result.table()
        >>> table.columns.tolist()
        ['measure', 'arm', 'mean', 'control', 'effect', 'low', 'high', 'separates']
    """
    chosen = checked_seeds(seeds)
    if isinstance(layers, str) or not layers or NETWORK in layers:
        raise ValueError(f'layers must be a sequence of names of layers, other than "network", got {layers!r}')
    check_choice("on", on, ("test", "train"))
    check_choice("target", target, ("labels", "predictions"))
    runs = _runs(arms, {seed: data if isinstance(data, Dataset) else data(seed) for seed in chosen})
    for run in runs:
        part = getattr(run.data, on)
        if not 2 <= examples <= len(part.y):
            raise ValueError(f"examples must be from 2 to {len(part.y)}, those of the {on} set, got {examples}")
        for layer in layers if run.seed == chosen[0] else ():
            LayerUnits(MaskedNetwork(run.network, outputs=_kind(run.data)), layer, part.x[:2])
    to_train = [run for run in runs if run.recipe is not None]
    if to_train:
        fit_ensemble(
            [run.network for run in to_train],
            [run.data for run in to_train],
            [run.recipe for run in to_train if run.recipe is not None],
            outputs=_kind(to_train[0].data),
            progress=progress,
        )
    rows = []
    for run in progress_bar(runs, "measuring", unit="network", show=progress):
        measured = _measured(run, layers, MEASURES if measures is None else measures, on, target, examples, calibrate)
        rows += [(run.arm, run.seed, *row) for row in measured]
    frame = pd.DataFrame(rows, columns=["arm", "seed", "layer", "measure", "value"])
    networks = {arm: [run.network for run in runs if run.arm == arm] for arm in arms}
    return Study(frame, networks, chosen, tuple(layers))


@dataclass(eq=False)
class _Run:
    """One network: where it stands in the study, and what it is trained on, by a recipe, or was, if that is None."""

    arm: str
    seed: int
    network: nn.Module
    data: Dataset
    recipe: Recipe | None
    shuffled: bool


def _runs(arms: Mapping[str, Arm | Sequence[nn.Module]], by_seed: Mapping[int, Dataset]) -> list[_Run]:
    if not arms:
        raise ValueError("arms must name at least one arm, such as those of standard_arms")
    runs = []
    for name, arm in arms.items():
        if not isinstance(arm, Arm):
            given = list(arm)
            if len(given) != len(by_seed) or not all(isinstance(network, nn.Module) for network in given):
                raise ValueError(
                    f"arms[{name!r}] must be an Arm, or one trained network for each of the {len(by_seed)} seeds, got "
                    f"{len(given)} of type {sorted({type(network).__name__ for network in given})}"
                )
            networks = zip(by_seed.items(), given, strict=True)
            runs += [_Run(name, seed, network, data, None, False) for (seed, data), network in networks]
            continue
        for seed, data in by_seed.items():
            runs.append(_Run(name, seed, *arm.at(seed, data), arm.shuffle_labels))
    return runs


def _kind(data: Dataset) -> Literal["logits", "values"]:
    return "values" if data.train.y.is_floating_point() else "logits"


def _measured(
    run: _Run,
    layers: Sequence[str],
    measures: Mapping[str, Question],
    on: str,
    target: str,
    examples: int,
    calibrate: bool,
) -> list[tuple[str, str, float]]:
    """Rows of layer, measure and value for one network."""
    network = run.network
    temperature = 1.0
    is_regression = _kind(run.data) == "values"
    if calibrate and not run.shuffled and not is_regression:
        x, y = run.data.validation
        temperature = fit_temperature(MaskedNetwork(network).predict(x), y.to(device_of(network)))
    train, test = (evaluate(network, part, outputs=_kind(run.data)) for part in (run.data.train, run.data.test))
    outcomes = {"train loss": train.loss, "train error": train.error, "test loss": test.loss, "test error": test.error}
    rows = [(NETWORK, measure, value) for measure, value in {**outcomes, "temperature": temperature}.items()]

    generator = runtime.generator(run.seed, stream="measures")
    part: Split = getattr(run.data, on)
    drawn = torch.randperm(len(part.y), generator=generator)[:examples].to(part.y.device)
    state = generator.get_state()
    masked = MaskedNetwork(network, outputs=_kind(run.data))
    for layer in layers:
        units = LayerUnits(masked, layer, part.x[drawn], part.y[drawn], temperature=temperature)
        if target == "predictions":
            units = units.judged_by_predictions()
        for name, measure in measures.items():
            of_network = getattr(measure, "of_network", False)
            if of_network and layer != layers[0]:
                continue
            generator.set_state(state)
            value = measure(units, generator)
            values = value if isinstance(value, Mapping) else {name: value}
            rows += [(NETWORK if of_network else layer, key, float(own)) for key, own in values.items()]
    return rows
