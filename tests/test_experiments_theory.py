"""The experiments on what dropout computes and penalizes: their oracles, and the fairness of their comparisons."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from dropout_lessons.experiments import Row, Unit
from dropout_lessons.experiments.autoencoders import trained_autoencoder
from dropout_lessons.experiments.boosting import DropoutBoosting
from dropout_lessons.experiments.catalog import fig7_features as fig7
from dropout_lessons.experiments.catalog import fig8_sparsity as fig8
from dropout_lessons.experiments.catalog import fig11_monte_carlo as fig11
from dropout_lessons.experiments.catalog import logistic_penalty as logistic
from dropout_lessons.experiments.catalog import section9_ridge as ridge
from dropout_lessons.experiments.catalog import warde_farley_averages as averages
from dropout_lessons.masks import sample_mask
from dropout_lessons.networks import MLP
from dropout_lessons.training import Recipe, evaluate

CPU = torch.device("cpu")


def numbers(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# Section 9.1


@given(seed=st.integers(0, 2**31), keep_prob=st.floats(0.05, 1.0))
@settings(max_examples=20)
def test_the_mean_over_all_masks_of_all_examples_is_the_sum_over_examples_and_the_papers_formula(seed, keep_prob):
    x, y, w = numbers(seed, 2, 3), numbers(seed + 1, 2), numbers(seed + 2, 3)
    expected = 0.0  # over the 2^6 masks of the whole matrix, as the paper's R
    for bits in itertools.product([0, 1], repeat=6):
        mask = torch.tensor(bits, dtype=torch.float64).view(2, 3)
        weight = keep_prob ** sum(bits) * (1 - keep_prob) ** (6 - sum(bits))
        expected += weight * float((y - (mask * x) @ w).square().sum())
    scale = 1 + float(y.square().sum())
    assert ridge._enumerated(x, y, w, keep_prob) == pytest.approx(expected, abs=1e-12 * scale)
    assert ridge._identity(x, y, w, keep_prob) == pytest.approx(expected, abs=1e-12 * scale)


def test_drawn_masks_agree_with_the_enumeration_within_five_standard_errors():
    x, y, w = numbers(0, 20, 4), numbers(1, 20), numbers(2, 4)
    each = [ridge._monte_carlo(x, y, w, 0.6, 50, torch.Generator().manual_seed(seed)) for seed in range(40)]
    error = np.std(each, ddof=1) / np.sqrt(len(each))
    assert abs(np.mean(each) - ridge._enumerated(x, y, w, 0.6)) < 5 * error


def ridge_rows(epochs: int) -> pd.DataFrame:
    recipe = {"epochs": epochs, "batch_size": 50, "learning_rate": 0.05, "momentum": 0.0}
    unit = Unit({"keep_prob": 0.5, "examples": 200, "draws": 5, "recipe": recipe}, seed=3)
    return pd.DataFrame(ridge.compute(unit, CPU))


def test_longer_training_comes_closer_to_the_ridge_solution():
    short, long = (float(ridge_rows(epochs).distance.dropna().iloc[0]) for epochs in (3, 300))
    assert long < 0.06 < short


def test_the_ridge_solution_is_that_of_scikit_learn():
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import Ridge

    rows = ridge_rows(epochs=1).dropna(subset="feature").set_index("feature")
    x, y = load_diabetes(return_X_y=True, scaled=False)
    chosen = torch.randperm(len(y), generator=torch.Generator().manual_seed(3))[:200].numpy()
    x, y = ((values - values.mean(0)) / values.std(0) for values in (x[chosen], y[chosen]))
    for column, strength in (("ridge", 200.0), ("least_squares", 0.0)):
        found = rows[column].loc[list(ridge.FEATURES)]
        assert found.to_numpy() == pytest.approx(Ridge(alpha=strength, tol=1e-12).fit(x, y).coef_, abs=1e-9)


# Logistic regression


@given(seed=st.integers(0, 2**31), keep_prob=st.floats(0.1, 0.9), label=st.sampled_from([0.0, 1.0]))
@settings(max_examples=20)
def test_the_penalty_is_what_dropout_adds_to_the_loss_whatever_the_label(seed, keep_prob, label):
    x, w, bias = numbers(seed, 5, 3), 2 * numbers(seed + 1, 3), 0.3
    target = torch.full((5,), label, dtype=torch.float64)
    added = -F.binary_cross_entropy_with_logits(x @ w + bias, target, reduction="none")
    for bits in itertools.product([0, 1], repeat=3):
        weight = keep_prob ** sum(bits) * (1 - keep_prob) ** (3 - sum(bits))
        z = (x * torch.tensor(bits) / keep_prob) @ w + bias
        added = added + weight * F.binary_cross_entropy_with_logits(z, target, reduction="none")
    penalty = logistic.exact_penalty(x, w, bias, keep_prob)
    assert penalty.numpy() == pytest.approx(added.numpy(), abs=1e-11 / keep_prob)
    assert (penalty > -1e-12).all()  # Jensen


@pytest.mark.parametrize("keep_prob", [0.2, 0.5, 0.9])
def test_the_quadratic_penalty_is_the_limit_of_small_weights(keep_prob):
    x, w = numbers(0, 50, 4), numbers(1, 4)
    off = []
    for size in (1e-1, 1e-2):
        exact = logistic.exact_penalty(x, size * w, 0.5, keep_prob).sum()
        off.append(abs(float(logistic.quadratic_penalty(x, size * w, 0.5, keep_prob).sum() / exact) - 1))
    assert off[1] < 0.02
    assert off[1] < 0.3 * off[0]  # the next order of the expansion: proportional to the size or less


def test_rows_of_the_logistic_penalty_add_up():
    unit = Unit({"data": "mnist_10k", "digits": [3, 8], "grid": [3, 2], "train": 300, "examples": 60}, seed=0)
    rows = pd.DataFrame(logistic.compute(unit, CPU))
    assert len(rows) == len(logistic.SIZES) * len(logistic.KEEP_PROBS) * 3
    every = rows[rows.confidence == "all"]
    assert (every.counted == 60).all()
    assert (every.misplaced >= abs(every.quadratic - every.exact) - 1e-9).all()
    parts = rows[rows.confidence != "all"].groupby(["keep_prob", "size"])[["exact", "quadratic", "misplaced"]].sum()
    whole = every.set_index(["keep_prob", "size"]).loc[parts.index, parts.columns]
    assert (parts.to_numpy() <= whole.to_numpy() + 1e-9).all()


# Figures 7 and 8

SMALL: dict[str, Any] = {"data": "mnist_10k", "train": 100, "hidden": 8, "keep_prob": 0.5}
ADAM = {"epochs": 6, "optimizer": "adam", "learning_rate": 0.01, "decay": "none"}


def test_the_network_that_is_stopped_early_is_the_plain_one_at_the_error_of_the_one_with_dropout():
    after = {}
    for epochs in range(1, 7):
        plain = Unit({"arm": "plain", **SMALL, "recipe": {**ADAM, "epochs": epochs}}, seed=1)
        _, network, end = trained_autoencoder(plain, CPU)
        after[end] = network
    target = 0.3 * max(after) + 0.7 * min(after)
    unit = Unit({"arm": "stopped early", **SMALL, "recipe": ADAM, "target": target}, seed=1)
    data, network, end = trained_autoencoder(unit, CPU)
    closest = min(after, key=lambda error: abs(error - target))
    assert end == closest
    assert 0 < list(after).index(closest) < 5
    for own, other in zip(network.parameters(), after[closest].parameters(), strict=True):
        assert torch.equal(own, other)
    assert torch.equal(data.train.x, data.train.y)


def test_a_network_is_stopped_early_at_what_dropout_reached_and_after_it():
    config = {**SMALL, "early_epochs": 3, "recipe": ADAM, "seeds": 2}
    plain, dropout, early = fig7.EXPERIMENT.arms(config)
    assert [arm.settings["arm"] for arm in (plain, dropout, early)] == ["plain", "dropout", "stopped early"]
    assert plain.rank == dropout.rank < early.rank
    table = pd.DataFrame([{"arm": "dropout", "seed": k, "validation_unexplained": 0.25 + k} for k in range(2)])
    units = early.reporting(None, table)
    assert [(unit.seed, unit["target"], unit["recipe"]["epochs"]) for unit in units] == [(0, 0.25, 3), (1, 1.25, 3)]


def test_the_autoencoder_scales_as_the_paper_does():
    _, network, _ = trained_autoencoder(Unit({"arm": "dropout", **SMALL, "recipe": {**ADAM, "epochs": 1}}, seed=0), CPU)
    layer = network.get_submodule("hidden1_dropout")
    ones = torch.ones(2000, 8)
    assert set(layer.train()(ones).unique().tolist()) == {0.0, 1.0}
    assert layer.eval()(ones).unique().tolist() == [0.5]


def test_pixels_are_counted_whatever_their_scale():
    weights = torch.zeros(2, 100)
    weights[0, :25] = -3.0
    weights[1, 7] = 1e-6
    assert fig7.pixels_per_feature(weights) == pytest.approx((25 + 1) / 2)
    noise = numbers(0, 20, 784)
    assert fig7.pixels_per_feature(noise) == pytest.approx(784 / 3, rel=0.05)  # E[w^2]^2 / E[w^4] = 1/3
    assert fig7.pixels_per_feature(5 * noise) == pytest.approx(fig7.pixels_per_feature(noise))


def test_features_are_read_as_they_were_written_to_a_step():
    features = numbers(0, 3, 784).float()
    back = fig7.read(" ".join(fig7.written(feature) for feature in features))
    scaled = features / features.abs().amax(1, keepdim=True)
    assert (back - scaled).abs().max() <= 0.5 / fig7.GRAYS + 1e-6
    assert fig7.read(fig7.written(torch.tensor([0.0, 1.0, -1.0]))).tolist() == [[0.0, 1.0, -1.0]]


def test_activations_are_counted_once_each():
    (row,) = fig8.compute(Unit({"arm": "plain", **SMALL, "recipe": ADAM}, seed=0), CPU)
    counts = np.array(row["histogram"].split(), dtype=float)
    assert counts.sum() == 4000 * SMALL["hidden"]
    middles = (fig8.EDGES[:-1] + fig8.EDGES[1:]) / 2
    assert counts @ middles / counts.sum() == pytest.approx(row["mean_activation"], abs=np.diff(fig8.EDGES)[0] / 2)
    assert row["active"] >= counts[1:].sum() / counts.sum()


# Figure 11


def fig11_rows(repetition: int) -> list[Row]:
    settings = {"data": "mnist_10k", "train": 200, "test": 100, "sizes": [784, 16, 10], "recipe": {"epochs": 3}}
    return fig11.compute(Unit({**settings, "samples": [1, 5], "repetition": repetition}, seed=2), CPU)


def test_repetitions_draw_other_masks_and_the_first_adds_weight_scaling():
    first, second = fig11_rows(0), fig11_rows(1)
    assert [row["samples_drawn"] for row in first] == [0, 1, 5]
    assert [row["samples_drawn"] for row in second] == [1, 5]
    assert first == fig11_rows(0)
    assert [row["test_nll"] for row in first[1:]] != [row["test_nll"] for row in second]


def test_figure_11_is_judged_by_the_spread_over_repetitions():
    def table(last: float) -> pd.DataFrame:
        rows = []
        for seed, repetition in itertools.product(range(6), range(4)):
            noise = 0.002 * (repetition - 1.5)  # a standard deviation of 0.0026
            errors = {1: 0.2, 5: 0.12, 50: 0.1, 100: last} | ({0: 0.1} if repetition == 0 else {})
            for k, error in errors.items():
                drawn = error + 1e-4 * seed + (noise if k else 0)
                rows.append({"seed": seed, "samples_drawn": k, "repetition": repetition, "test_error": drawn})
        return pd.DataFrame(rows).assign(test_nll=1.0)

    assert [finding.holds for finding in fig11.judge(table(0.1))] == [True, True, True]
    assert [finding.holds for finding in fig11.judge(table(0.104))] == [True, True, False]


# Warde-Farley


def test_boosting_predicts_as_the_whole_network_and_gives_weights_between_kept_units_their_gradient():
    network = MLP([5, 6, 4, 3], keep_prob=0.5, input_keep_prob=0.8, generator=torch.Generator().manual_seed(0)).double()
    x, y = numbers(1, 7, 5), torch.arange(7) % 3
    boosted = DropoutBoosting(network).train()
    state = torch.get_rng_state()
    logits = boosted(x)
    F.cross_entropy(logits, y, reduction="sum").backward()
    torch.set_rng_state(state)
    kept = [sample_mask((7, n), p).double() for n, p in ((5, 0.8), (6, 0.5), (4, 0.5))]
    kept.append(torch.ones(7, 3, dtype=torch.float64))

    hidden = [x]
    for name in ("hidden1", "hidden2"):
        hidden.append(network.get_submodule(name)(hidden[-1]).detach())
    whole = network.output(hidden[-1]).detach()
    assert torch.equal(logits, whole) or torch.allclose(logits, whole, rtol=0, atol=1e-14)
    delta = whole.softmax(1) - F.one_hot(y, 3)
    for i, layer in reversed(list(enumerate((network.hidden1, network.hidden2, network.output)))):
        expected = (kept[i + 1] * delta).T @ (kept[i] * hidden[i])
        assert layer.weight.grad.numpy() == pytest.approx(expected.numpy(), abs=1e-13)
        assert layer.bias.grad.numpy() == pytest.approx((kept[i + 1] * delta).sum(0).numpy(), abs=1e-13)
        delta = delta @ layer.weight.detach() * (hidden[i] > 0)


def test_boosting_without_dropout_is_ordinary_training():
    rows = [
        averages.compute(
            Unit(
                {
                    "part": "boosting",
                    "arm": arm,
                    "stage": "report",
                    "data": "digits",
                    "train": 200,
                    "sizes": [64, 16, 10],
                    "recipe": {"epochs": 5},
                    "learning_rate": 0.1,
                },
                seed=0,
            ),
            CPU,
        )[0]
        for arm in ("plain", "dropout boosting")
    ]
    assert rows[0]["test_error"] != rows[1]["test_error"]  # the masks do something

    network = MLP([64, 16, 10], generator=torch.Generator().manual_seed(0))
    data = averages.datasets.load("digits", train=200, seed=0)
    averages.fit(DropoutBoosting(network), data, Recipe(epochs=5, seed=0), progress=False)
    assert evaluate(network, data.test).error == rows[0]["test_error"]  # keep_prob is 1


def test_every_arm_of_the_boosting_comparison_is_tuned_alike():
    arms = [
        arm for arm in averages.arms(averages.EXPERIMENT.config("workstation")) if arm.settings["part"] == "boosting"
    ]
    assert [arm.settings["arm"] for arm in arms] == list(averages.BOOSTING)
    candidates = [[(unit["learning_rate"], unit.seed) for unit in arm.tuning()] for arm in arms]
    assert candidates[0] == candidates[1] == candidates[2]
    assert len(candidates[0]) == 6


def test_tuning_does_not_look_at_the_test_set():
    unit = Unit(
        {"part": "boosting", "arm": "plain", "stage": "tuning", "data": "digits", "train": 100, "sizes": [64, 8, 10],
         "recipe": {"epochs": 1}, "learning_rate": 0.1}, seed=1000
    )  # fmt: skip
    assert set(averages.compute(unit, CPU)[0]) == {"train_error", "validation_error"}


def test_the_diamond_has_half_of_the_square():
    unit = Unit({"task": "diamond", "train": 4000, "test": 10}, seed=0)
    train, test = averages._task(unit)
    assert abs(train.y.double().mean().item() - 0.5) < 5 * 0.5 / 4000**0.5
    assert (train.x.abs() <= 1).all()
    assert torch.equal(test.y == 1, test.x.abs().sum(1) < 1)


def test_a_task_of_two_digits_has_no_others():
    train, test = averages._task(Unit({"task": "4 or 9", "data": "mnist_10k", "train": 50, "test": 20}, seed=0))
    assert (len(train.y), len(test.y)) == (50, 20)
    data = averages.datasets.load("mnist_10k", seed=0)
    nines = data.test.x[data.test.y == 9].double()
    for image in test.x[test.y == 1]:
        assert (nines == image).all(1).any()
