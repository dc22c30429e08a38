"""Nine ways to say how sure a network is: what each costs, and what its probabilities are worth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure
from scipy import ndimage
from sklearn.metrics import roc_auc_score
from torch import Tensor

from dropout_lessons import calibration, datasets, figures, runtime
from dropout_lessons.claims import Evidence, paired, sampled
from dropout_lessons.datasets import Dataset, Split
from dropout_lessons.ensembles import fit_ensemble
from dropout_lessons.experiments import Arm, Experiment, Finding, Reported, Row, Unit
from dropout_lessons.experiments.comparisons import Against, against, findings_on_each
from dropout_lessons.experiments.conv_nets import shrunk
from dropout_lessons.experiments.tables import difference, noting_ends, values
from dropout_lessons.experiments.tuning import candidates_of, recipe_of, tuned
from dropout_lessons.experiments.uncertain_nets import (
    MAKERS,
    TUNED_BY,
    WAYS,
    Way,
    concrete_loss,
    halves,
    learned_keep_probs,
    masksembles,
)
from dropout_lessons.layers import ConcreteDropout
from dropout_lessons.networks import MLP
from dropout_lessons.training import fit

TITLES = {"mnist_10k": "digits", "fashion_10k": "clothes", "mnist": "digits", "fashion_mnist": "clothes"}
FOREIGN = {"mnist_10k": "fashion_10k", "fashion_10k": "mnist_10k", "mnist": "fashion_mnist", "fashion_mnist": "mnist"}
COVERAGE = 0.95
LOWER = "The paper reports a lower loss and error for ensembles than for MC dropout on MNIST: any lowering agrees."


def arms(config: Mapping[str, Any]) -> Iterator[Arm]:
    shared = {name: config[name] for name in ("sizes", "recipe", "members", "draws", "test")}
    for data in config["data"]:
        for arm, candidates in config["candidates"].items():
            settings = {"data": data, "train": config["train"], "arm": arm, **shared}
            yield tuned(settings, candidates, config["seeds"], tuned_by="validation_nll")
    for train in config["sizes_of_data"]:
        epochs = config["recipe"]["epochs"] * config["train"] // train
        settings = {"data": config["data"][0], "train": train, "arm": "learned", **shared}
        settings["recipe"] = {**config["recipe"], "epochs": epochs}
        yield tuned(settings, config["candidates"]["concrete"], config["seeds"], tuned_by="validation_nll")


def compute(unit: Unit, device: torch.device) -> list[Row]:
    data = _small(datasets.load(unit["data"], train=unit["train"], seed=unit.seed), unit).to(device)
    kind = "concrete" if unit["arm"] == "learned" else unit["arm"]
    if unit.tunes:
        rows = []
        for i, candidate in enumerate(candidates_of(unit)):
            way = TUNED_BY[kind](_trained(kind, unit, candidate, data, members=1), data, unit)
            probs = way.members(data.validation.x).mean(0)
            rows.append(
                {**candidate, "candidate": i, "validation_nll": calibration.nll(probs.log(), data.validation.y)}
            )
        return rows
    [candidate] = candidates_of(unit)
    members = unit["members"] if kind in ("plain", "dropout") else 1
    networks = _trained(kind, unit, candidate, data, members=members)
    learned: Row = {}
    if kind == "concrete":
        inputs, *hidden = learned_keep_probs(networks[0])
        learned = {"input_keep_prob": inputs, "hidden_keep_prob": sum(hidden) / len(hidden)}
    if unit["arm"] == "learned":
        return [{**candidate, "way": "concrete dropout", **learned}]
    foreign = _small(datasets.load(FOREIGN[unit["data"]]), unit).test.x.to(device)
    ways = {name: make(networks, data, unit) for name, make in MAKERS.items() if WAYS[name] == kind}
    return [{**candidate, "way": name, **_scores(way, data, foreign), **learned} for name, way in ways.items()]


def _small(data: Dataset, unit: Unit) -> Dataset:
    """The data with images of half the side, if the networks are so small, and so many test examples."""
    data = replace(data, test=Split(data.test.x[: unit["test"]], data.test.y[: unit["test"]]))
    return data if unit["sizes"][0] == data.train.x.shape[1] else shrunk(data)


def _trained(kind: str, unit: Unit, candidate: Mapping[str, Any], data: Dataset, *, members: int) -> list[MLP]:
    """Networks of one kind that differ in their initial weights and the order of their batches."""
    seeds = [100 * unit.seed + i for i in range(members)]
    networks, recipes = [], []
    for seed in seeds:
        start = runtime.generator(seed)
        if kind == "masksembles":
            keep_prob = candidate["keep_prob"]
            networks.append(masksembles(unit["sizes"], masks=unit["members"], keep_prob=keep_prob, generator=start))
        elif kind == "concrete":
            soft = MLP(unit["sizes"], keep_prob=0.8, input_keep_prob=0.8, dropout=ConcreteDropout, generator=start)
            networks.append(soft)
        else:
            keep = {name: candidate[name] for name in ("keep_prob", "input_keep_prob") if name in candidate}
            networks.append(MLP(unit["sizes"], **keep, generator=start))
        recipes.append(recipe_of(unit.settings, candidate, seed))
    networks = [network.to(data.train.x.device) for network in networks]
    if kind == "concrete":
        loss = concrete_loss(networks[0], examples=len(data.train.y))
        fit(networks[0], data.train, recipes[0], loss=loss, progress=False)
    else:
        fit_ensemble(networks, data.train, recipes, progress=False)
    return networks


def _scores(way: Way, data: Dataset, foreign: Tensor) -> Row:
    """How good a way's probabilities are, on what it knows, on what is turned, and on what is foreign."""
    x, y = data.test
    members = way.members(x)
    probs = members.mean(0)
    strange = way.members(foreign)
    held_out = halves(data)[1]
    threshold = calibration.conformal_threshold(way.members(held_out.x).mean(0), held_out.y, coverage=COVERAGE)
    sets = probs >= threshold
    turned = way.members(_turned(x, 45)).mean(0) >= threshold
    return {
        "trained": way.trained,
        "passes": way.passes,
        "numbers": way.numbers,
        "test_error": calibration.error(probs, y),
        "test_nll": calibration.nll(probs.log(), y),
        "brier": calibration.brier(probs, y),
        "ece": calibration.ece(probs, y),
        "auroc": _auroc(_entropy(strange.mean(0)), _entropy(probs)),
        "auroc_disagreement": _auroc(_disagreement(strange), _disagreement(members)) if len(members) > 1 else None,
        "coverage": _holds(sets, y),
        "set_size": sets.double().sum(1).mean().item(),
        "coverage_turned": _holds(turned, y),
    }


def _turned(x: Tensor, degrees: float) -> Tensor:
    side = math.isqrt(x.shape[1])
    images = ndimage.rotate(x.cpu().view(-1, side, side).numpy(), degrees, axes=(1, 2), reshape=False, order=1)
    return torch.from_numpy(images).flatten(1).to(x)


def _entropy(probs: Tensor) -> Tensor:
    entropy: Tensor = torch.special.entr(probs).sum(-1)
    return entropy


def _disagreement(members: Tensor) -> Tensor:
    return _entropy(members.mean(0)) - _entropy(members).mean(0)


def _auroc(foreign: Tensor, own: Tensor) -> float:
    labels = torch.cat([torch.ones(len(foreign)), torch.zeros(len(own))])
    return float(roc_auc_score(labels.numpy(), torch.cat([foreign, own]).cpu().numpy()))


def _holds(sets: Tensor, labels: Tensor) -> float:
    return sets.gather(1, labels[:, None]).double().mean().item()


def compared(table: pd.DataFrame, data: str, way: str, control: str, column: str) -> Evidence:
    """A way's score less another's, paired by seed."""
    return against(table[table["arm"] != "learned"], data, way, control, column, by="way")


def learned(table: pd.DataFrame, fewer: int, more: int) -> Evidence:
    """What concrete dropout keeps of hidden units with more data, less what it keeps with fewer."""
    rows = table[table["arm"] == "learned"]
    return difference(rows, "hidden_keep_prob", {"train": more}, {"train": fewer})


def disagreement_lead(table: pd.DataFrame, data: str) -> Evidence:
    """How much better an ensemble's disagreement finds foreign images than the entropy of MC dropout."""
    ensemble = values(table, "auroc_disagreement", data=data, way="ensemble")
    rows = table[(table["data"] == data) & table["way"].isin(["ensemble", "MC dropout"])]
    return noting_ends(rows, paired(ensemble, values(table, "auroc", data=data, way="MC dropout")), by="way")


def covered(table: pd.DataFrame, data: str, column: str) -> Evidence:
    """How often conformal sets of one network hold the truth."""
    rows = table[(table["data"] == data) & (table["way"] == "one network")]
    return noting_ends(rows, sampled(values(rows, column), unit="%", over="seeds"), by="way")


_COMPARED = (
    Against(
        "ensemble",
        "MC dropout",
        "an ensemble of plain networks has a lower loss than MC dropout",
        "lower (Lakshminarayanan et al. 2017)",
        "test_nll",
        primary=LOWER,
    ),
    Against(
        "ensemble",
        "MC dropout",
        "the entropy of an ensemble finds foreign images better than that of MC dropout",
        "better (Lakshminarayanan et al. 2017)",
        "auroc",
        higher=True,
    ),
    Against(
        "ensemble with dropout",
        "ensemble",
        "an ensemble of networks with dropout has a lower loss than one of plain networks",
        column="test_nll",
    ),
    Against(
        "ensemble with dropout",
        "MC dropout",
        "an ensemble of networks with dropout has a lower loss than MC dropout",
        column="test_nll",
    ),
    Against(
        "one network, temperature",
        "ensemble",
        "one network with a temperature has a lower loss than an ensemble without",
        column="test_nll",
    ),
    Against(
        "last-layer Laplace",
        "one network",
        "last-layer Laplace lowers the loss of one network",
        "lower (Daxberger et al. 2021)",
        "test_nll",
    ),
)


def judge(table: pd.DataFrame) -> list[Finding]:
    measured = table[table["arm"] != "learned"]
    titles = {data: title.capitalize() for data, title in TITLES.items()}
    sizes = sorted(table.loc[table["arm"] == "learned", "train"].unique().tolist())
    return [
        *findings_on_each(measured, _COMPARED, titles, first=True, by="way"),
        *(finding for data in measured["data"].unique() for finding in _of(measured, data)),
        Finding.higher(
            f"With {sizes[-1]:,} digits instead of {sizes[0]:,} concrete dropout keeps more hidden units.",
            learned(table, sizes[0], sizes[-1]),
            "less noise with more data (Gal et al. 2017)",
            primary="The paper says that the noise falls as data come in: any rise of the keep probability agrees.",
        ),
    ]


def _of(measured: pd.DataFrame, data: str) -> list[Finding]:
    """The statements on one data set."""
    title = TITLES[data].capitalize()
    within_reach = "within 0.03 nats"
    return [
        Finding.higher(
            f"{title}: the disagreement of an ensemble finds foreign images better than the entropy of MC dropout.",
            disagreement_lead(measured, data),
        ),
        Finding(
            f"{title}: concrete dropout, which learns its keep probabilities, has the loss of MC dropout with a tuned one, "
            f"{within_reach}.",
            "as good as hand-tuned (Gal et al. 2017)",
            compared(measured, data, "concrete dropout", "MC dropout", "test_nll"),
            within=(-0.03, 0.03),
        ),
        Finding(
            f"{title}: Masksembles has the loss of an ensemble, {within_reach}.",
            "on par (Durasov et al. 2021)",
            compared(measured, data, "Masksembles", "ensemble", "test_nll"),
            within=(-0.03, 0.03),
        ),
        Finding(
            f"{title}: conformal sets of one network that are to hold the truth in 95% of cases do, within 1.5 points.",
            "95%, guaranteed on average (Vovk et al. 2005)",
            covered(measured, data, "coverage"),
            within=(COVERAGE - 0.015, COVERAGE + 0.015),
        ),
        Finding(
            f"{title}: turned by 45 degrees, less than 80% of the sets hold the truth.",
            "",
            covered(measured, data, "coverage_turned"),
            below=0.8,
        ),
    ]


def draw(table: pd.DataFrame) -> Figure:
    """What concrete dropout learned, against the number of training examples."""
    rows = table[table["arm"] == "learned"]
    curves = {
        name: rows.pivot(index="seed", columns="train", values=column).to_numpy()
        for name, column in (("hidden units", "hidden_keep_prob"), ("inputs", "input_keep_prob"))
    }
    return figures.learned_keep_prob_curves(sorted(rows["train"].unique().tolist()), curves)


_CANDIDATES = {
    "plain": [{"learning_rate": rate} for rate in (0.1, 0.03, 0.01, 0.003)],
    "dropout": [{"keep_prob": keep, "input_keep_prob": 0.8} for keep in (0.98, 0.95, 0.9, 0.8)],
    "concrete": [{"learning_rate": rate} for rate in (0.4, 0.2, 0.1, 0.05)],
    "masksembles": [{"keep_prob": keep, "learning_rate": rate} for keep in (0.7, 0.5) for rate in (0.1, 0.03)],
}
_SHARED: dict[str, Any] = {
    "data": ["mnist_10k", "fashion_10k"],
    "train": 1000,
    "test": 1000,
    "sizes": [196, 128, 128, 10],
    "recipe": {"epochs": 40},
    "candidates": _CANDIDATES,
    "members": 5,
    "draws": 50,
    "sizes_of_data": [250, 1000, 4000],
}

EXPERIMENT = Experiment(
    title="How sure is it? Nine ways, their cost and their quality",
    source="Lakshminarayanan et al. 2017; Gal et al. 2017; Durasov et al. 2021; Daxberger et al. 2021",
    claim="Ensembles have better probabilities than MC dropout, and concrete dropout fits its noise to the amount of data.",
    reported=[
        Reported("loss and error on MNIST", "lower for ensembles than for MC dropout", "Lakshminarayanan et al. 2017"),
        Reported("learned drop probability", "falls as data come in", "Gal et al. 2017"),
    ],
    scales={
        "lecture": {
            **_SHARED,
            "data": ["mnist_10k"],
            "recipe": {"epochs": 15},
            "candidates": {arm: candidates[1:2] for arm, candidates in _CANDIDATES.items()},
            "members": 3,
            "sizes_of_data": [250, 1000],
            "seeds": 5,
        },
        "workstation": {**_SHARED, "seeds": 10},
        "paper": {
            **_SHARED,
            "data": ["mnist", "fashion_mnist"],
            "train": 50_000,
            "test": 10_000,
            "sizes": [784, 200, 200, 200, 10],
            "sizes_of_data": [1000, 10_000, 50_000],
            "seeds": 5,
        },
    },
    origin="other",
    arms=arms,
    compute=compute,
    judge=judge,
    draw=draw,
    remark=(
        "Four kinds of networks, with 128 units a layer, are trained on 1,000 images of 14 by 14 pixels, each with the best of "
        "four settings by validation loss: plain and concrete the learning rate, dropout (0.8 for inputs) the keep "
        "probability, Masksembles (hidden units only) both. An ensemble has the setting that is best for one network. "
        "Temperature and prior precision are fitted on 500 more validation images, the conformal threshold on another 500; "
        "tests are on 1,000 images. Scores of foreign images are entropies. The papers train on all of MNIST."
    ),
)
