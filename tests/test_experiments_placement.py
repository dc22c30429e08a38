"""The experiments on where dropout stands: their measures against formulas, their arms against each other."""

import math
from collections import Counter
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from dropout_lessons import datasets
from dropout_lessons.datasets import loading, sources
from dropout_lessons.experiments import Unit, conv_nets, get, run
from dropout_lessons.experiments.catalog import (
    batchnorm_variance_shift,
    conv_placement,
    early_dropout,
    where_dropout_hurts,
)
from dropout_lessons.layers import Dropout
from dropout_lessons.networks import MLP
from dropout_lessons.training import Recipe, fit

CPU = torch.device("cpu")
TUNED = ["batchnorm_variance_shift", "conv_placement", "early_dropout", "where_dropout_hurts"]
PAPER_ONLY = ["cifar10_table4", "svhn_table3"]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- fair tuning ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TUNED)
def test_every_arm_is_tuned_alike(name):
    experiment = get(name)
    config = experiment.config("workstation")
    budgets: dict[str, set[int]] = {}
    for arm in experiment.arms(config):
        case = str(arm.settings.get("case", arm.settings["data"]))
        budgets.setdefault(case, set()).add(len(arm.candidates) * arm.tuning_seeds)
        assert list(arm.seeds) == list(range(len(arm.seeds)))
        assert len(arm.seeds) >= 5
    assert all(len(budget) == 1 for budget in budgets.values())  # as many trainings for each arm of a case


def test_tuning_never_sees_a_test_error():
    unit = get("conv_placement").plan("workstation")[0]
    small = Unit({**unit.settings, "train": 50, "channels": [2], "hidden": [4], "recipe": {"epochs": 1}}, unit.seed)
    rows = conv_placement.EXPERIMENT.compute(small, CPU)
    assert len(rows) == len(unit["candidates"])
    assert not [column for row in rows for column in row if column.startswith("test")]


# --- convolutional networks -----------------------------------------------------------------------------------


def test_shrinking_takes_the_mean_of_four_pixels():
    data = datasets.load("mnist_10k", train=20)
    small = conv_nets.shrunk(data)
    assert small.image_shape == (14, 14)
    for part in ("train", "validation", "test"):
        images = getattr(data, part).x.numpy().reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4))
        np.testing.assert_allclose(getattr(small, part).x.numpy(), images.reshape(-1, 196), atol=1e-6)
        assert torch.equal(getattr(small, part).y, getattr(data, part).y)


def test_shrinking_keeps_color_channels_apart():
    x = torch.rand(5, 3 * 4 * 6, generator=seeded())
    split = datasets.Split(x, torch.zeros(5, dtype=torch.int64))
    noisy = torch.zeros(5, dtype=torch.bool)
    data = datasets.Dataset("color", split, split, split, n_classes=1, image_shape=(3, 4, 6), noisy=noisy)
    small = conv_nets.shrunk(data)
    assert small.image_shape == (3, 2, 3)
    np.testing.assert_allclose(
        small.train.x.numpy(), x.numpy().reshape(5, 3, 2, 2, 3, 2).mean(axis=(3, 5)).reshape(5, -1), atol=1e-6
    )


def test_multiplications_are_counted_as_in_the_closed_form():
    settings = {"channels": [16, 32], "hidden": [256]}
    # 14 x 14 pixels, pooled to 6 x 6, pooled to 2 x 2.
    expected = 14**2 * 25 * 16 + 6**2 * 25 * 16 * 32 + 2**2 * 32 * 256 + 256 * 10
    assert conv_nets.multiplications((14, 14), settings) == expected


def test_arms_start_from_the_same_weights_and_drop_where_their_names_say():
    found, weights = {}, []
    for unit in get("conv_placement").plan("workstation"):
        if unit["data"] != "mnist_10k" or unit.seed != 1000:
            continue
        for candidate in unit["candidates"]:
            network = conv_nets.build(unit, candidate, (14, 14), 10)
            weights.append(torch.cat([parameter.flatten() for parameter in network.parameters()]))
            places = {
                name.removesuffix("_dropout").rstrip("123"): type(module).__name__
                for name, module in network.named_modules()
                if isinstance(module, Dropout) and module.keep_prob < 1
            }
            assert found.setdefault(unit["arm"], places) == places
    assert all(torch.equal(other, weights[0]) for other in weights)
    assert found == {
        "plain": {},
        "hidden units": {"hidden": "Dropout"},
        "entries of maps": {"conv": "Dropout"},
        "channels of maps": {"conv": "SpatialDropout"},
        "blocks of maps": {"conv": "DropBlock"},
        "everywhere": {"input": "Dropout", "conv": "Dropout", "hidden": "Dropout"},
    }


@pytest.mark.parametrize("name", PAPER_ONLY)
def test_the_papers_color_networks_run_when_shrunk_to_a_few_random_images(name):
    experiment = get(name)
    assert list(experiment.scales) == ["paper"]
    assert experiment.not_run
    config = {
        **experiment.config("paper"),
        "train": 20,
        "channels": [3, 4, 5],
        "hidden": [6, 7],
        "recipe": {**experiment.config("paper")["recipe"], "epochs": 1},
    }
    rng = np.random.default_rng(0)
    images, labels = rng.integers(256, size=(60, 3, 32, 32), dtype=np.uint8), np.arange(60, dtype=np.uint8) % 10
    source = sources.Source(
        lambda folder: sources.Raw(images[:40], labels[:40], images[40:], labels[40:]), validation=20, white=255
    )
    with mock.patch.dict(loading.SOURCES, {config["data"]: source}):
        small = replace(experiment, scales={"paper": config})
        table = run(small, "paper", progress=False).table
    assert Counter(table["arm"]) == {"plain": 5, "hidden units": 5, "everywhere": 5}
    assert [finding.evidence.n for finding in experiment.judge(table)] == [5, 5]
    assert isinstance(experiment.draw(table), Figure)


def test_the_papers_color_network_is_the_papers():
    everywhere = next(unit for unit in get("svhn_table3").plan("paper") if unit["arm"] == "everywhere")
    network = conv_nets.build(everywhere, {}, (3, 32, 32), 10)
    assert [network.get_submodule(name).out_channels for name in network.conv_names] == [96, 128, 256]
    assert [network.get_submodule(name).out_features for name in network.hidden_names] == [2048, 2048]
    keep = [module.keep_prob for module in network.modules() if isinstance(module, Dropout)]
    assert keep == [0.9, 0.75, 0.75, 0.5, 0.5, 0.5]  # "going from input layer to fully connected layers"


# --- batch normalization --------------------------------------------------------------------------------------


def normalized_network(keep_prob: float) -> tuple[MLP, torch.Tensor]:
    """A network whose normalizations have seen many masks on the same examples."""
    network = MLP([20, 16, 12, 8, 3], keep_prob=[keep_prob, 1.0, 1.0], batch_norm=True, generator=seeded())
    x = torch.randn(2000, 20, generator=seeded(1))
    for name in network.hidden_names:
        network.get_submodule(f"{name}.norm").momentum = None  # an average over all passes
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(2)
        for _ in range(30):
            network(x)
    return network, x


@pytest.mark.parametrize("keep_prob", [0.5, 0.8])
def test_the_measured_shift_of_variance_is_the_predicted_one(keep_prob):
    network, x = normalized_network(keep_prob)
    row = batchnorm_variance_shift.shift(network, x, keep_prob)
    assert row["variance_ratio_predicted"] > 1.1
    # 60,000 draws for each of 12 units: a variance is known to sqrt(2 / 60,000), times about 1.5 for its kurtosis.
    assert abs(row["variance_ratio"] / row["variance_ratio_predicted"] - 1) < 5 * 1.5 * math.sqrt(2 / 60_000)


def test_without_dropout_there_is_no_shift():
    network, x = normalized_network(1.0)
    row = batchnorm_variance_shift.shift(network, x, 1.0)
    assert row["variance_ratio_predicted"] == 1.0
    # In training the layer below divides by the variance with n, at test time by the one with n - 1.
    assert row["variance_ratio"] == pytest.approx(2000 / 1999, rel=1e-5)


def test_estimating_again_gives_each_normalization_the_moments_that_it_meets_at_test_time():
    network, x = normalized_network(0.5)
    batchnorm_variance_shift.reestimate(network, x)
    met = {}
    for name in network.hidden_names:
        network.get_submodule(f"{name}.norm").register_forward_hook(
            lambda _m, inputs, _o, name=name: met.update({name: inputs[0]})
        )
    with torch.no_grad():
        network.eval()(x)
    for name in network.hidden_names:
        norm = network.get_submodule(f"{name}.norm")
        torch.testing.assert_close(norm.running_mean, met[name].mean(0), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(norm.running_var, met[name].var(0), rtol=1e-3, atol=1e-4)


def test_only_dropout_before_a_normalization_is_predicted_to_shift_it():
    shared = {"data": "digits", "train": 100, "sizes": [64, 8, 8, 8, 10], "recipe": {"epochs": 2, "batch_size": 50}}
    predicted = {}
    for arm, keep_prob in (("plain", 1.0), ("before", 0.5), ("after all", 0.5)):
        settings = {**shared, "arm": arm, "keep_prob": keep_prob, "stage": "report", "candidates": [{}]}
        (row,) = batchnorm_variance_shift.compute(Unit(settings, seed=0), CPU)
        predicted[arm] = row["variance_ratio_predicted"]
    assert predicted["plain"] == predicted["after all"] == 1.0
    assert predicted["before"] > 1.1


# --- schedules ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("arm", "active"), [("early dropout", range(4)), ("late dropout", range(5, 30))])
def test_early_and_late_dropout_share_the_steps_of_a_fit_at_a_sixth(arm, active):
    """Early dropout reaches rate 0 at the last step of its sixth, as the authors' schedule does."""
    layer = early_dropout.scheduled(0.5, arm=arm, steps=30)
    dropped = [step for step in range(30) if (layer(torch.ones(100)) == 0).any()]
    assert dropped == list(active)


def test_the_rate_of_early_dropout_falls_linearly_to_zero_and_keeps_the_mean():
    layer, x = early_dropout.FadingDropout(0.5, 5), torch.ones(100_000)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        out = torch.stack([layer(x) for _ in range(7)])
    rates = torch.tensor([0.5, 0.375, 0.25, 0.125, 0.0, 0.0, 0.0])
    assert (((out == 0).float().mean(1) - rates).abs() < 5 * 0.5 / 100_000**0.5).all()
    assert ((out.mean(1) - 1).abs() < 5 / 100_000**0.5).all()
    assert torch.equal(early_dropout.FadingDropout(0.5, 5).eval()(x), x)


def test_a_fit_makes_the_steps_that_the_schedule_is_made_for():
    data = datasets.load("digits", train=230)
    network = MLP(
        [64, 8, 10], keep_prob=0.9, dropout=lambda keep: early_dropout.scheduled(keep, arm="dropout", steps=15)
    )
    fit(network, data, Recipe(epochs=3, batch_size=50), progress=False)
    assert network.hidden1_dropout.step == 3 * math.ceil(230 / 50)


# --- where it hurts -------------------------------------------------------------------------------------------


def test_the_halves_of_an_image_make_the_image():
    data = datasets.load("mnist_10k", train=20)
    halves = where_dropout_hurts.lower_half_from_upper(data)
    for part in ("train", "validation", "test"):
        both = torch.cat([getattr(halves, part).x, getattr(halves, part).y], dim=1)
        assert torch.equal(both, getattr(data, part).x)
        assert getattr(halves, part).x.shape[1] == 14 * 28
    assert halves.image_shape == (14, 28)


def test_every_case_of_every_scale_says_what_the_paper_has_on_it():
    experiment = get("where_dropout_hurts")
    for config in experiment.scales.values():
        for case in config["cases"]:
            assert case["case"] in where_dropout_hurts.PAPER
            assert case["case"] in where_dropout_hurts.TITLES


def test_a_regression_is_scored_by_unexplained_variance_and_has_no_calibration_error():
    case = where_dropout_hurts._case("regression", "mnist_10k", 40, [392, 8, 392], 1, target="lower half")
    arm = next(where_dropout_hurts.arms({"cases": [{**case, "candidates": [{}]}]}))
    (row,) = where_dropout_hurts.compute(arm.reporting({})[0], CPU)
    assert "test_ece" not in row
    halves = where_dropout_hurts.lower_half_from_upper(datasets.load("mnist_10k", train=40))
    variance = (halves.test.y - halves.test.y.mean(0)).square().mean().item()
    assert row["test_nll"] / variance == pytest.approx(row["test_error"], rel=1e-4)
