"""What the package computes on a GPU is what it computes on a processor. `make gpu` runs these there, or rehearses them."""

from __future__ import annotations

import os

import pytest
import torch

from dropout_lessons import datasets
from dropout_lessons.averaging import exact_average, monte_carlo_average, weight_scaling
from dropout_lessons.coadaptation import measure
from dropout_lessons.datasets import Split
from dropout_lessons.ensembles import fit_ensemble
from dropout_lessons.experiments import Unit
from dropout_lessons.experiments.tuning import train_together
from dropout_lessons.layers import Dropout, GaussianDropout
from dropout_lessons.networks import MLP
from dropout_lessons.training import Recipe, fit

NAME = os.environ.get("DROPOUT_LESSONS_DEVICE")
pytestmark = pytest.mark.skipif(NAME is None and not torch.cuda.is_available(), reason="there is no GPU")
DEVICE = torch.device(NAME or "cuda")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def network() -> MLP:
    network = MLP([64, 12, 10], keep_prob=0.5, generator=seeded())
    fit(network, datasets.load("digits", train=300), Recipe(epochs=5), progress=False)
    return network


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    return datasets.load("digits", train=300).test.x[:50]


@pytest.mark.parametrize("average", [exact_average, weight_scaling])
def test_averages_agree_with_those_of_a_processor(average, network, x):
    there = average(network.to(DEVICE), x.to(DEVICE))
    here = average(network.cpu(), x)
    assert there.probs.device.type == DEVICE.type
    torch.testing.assert_close(there.probs.cpu(), here.probs, rtol=1e-3, atol=1e-5)


def test_a_monte_carlo_average_tends_to_the_exact_one(network, x):
    exact = exact_average(network.to(DEVICE), x.to(DEVICE)).probs
    drawn = monte_carlo_average(network, x.to(DEVICE), samples=4000, generator=seeded()).probs
    network.cpu()
    # A probability varies by at most 1/4 between subnetworks; five standard errors for the largest of 500.
    assert (drawn - exact).abs().max() < 5 * (0.25 / 4000) ** 0.5


def test_measures_of_coadaptation_agree_with_those_of_a_processor(network):
    test = datasets.load("digits", train=300).test
    there = measure(network.to(DEVICE), "hidden1", test.x[:200].to(DEVICE), test.y[:200].to(DEVICE), generator=seeded())
    here = measure(network.cpu(), "hidden1", test.x[:200], test.y[:200], generator=seeded())
    assert there.values.keys() == here.values.keys()
    for name, found in here.values.items():
        # What is drawn may be drawn otherwise: within five of its standard errors.
        error = 5 * (found.stderr**2 + there.values[name].stderr ** 2) ** 0.5
        assert there.values[name].value == pytest.approx(found.value, rel=0.02, abs=1e-3 + error), name


@pytest.mark.parametrize("layer", [Dropout(0.8), GaussianDropout(0.8)])
def test_layers_keep_the_mean_and_have_the_variance_of_their_noise(layer):
    out = layer(torch.ones(1_000_000, device=DEVICE))
    assert out.device.type == DEVICE.type
    assert out.mean().item() == pytest.approx(1, abs=5 * 0.5 / 1000)  # both vary by (1 - p) / p = 1/4 around 1
    assert out.var().item() == pytest.approx(0.25, rel=0.02)


def test_a_network_learns_and_one_seed_gives_one_network():
    data = datasets.load("digits", train=500).to(DEVICE)
    errors = []
    for _ in range(2):
        network = MLP([64, 32, 10], keep_prob=0.5, generator=seeded()).to(DEVICE)
        errors.append(fit(network, data, Recipe(epochs=20), progress=False).validation_error[-1])
    assert errors[0] == errors[1] < 0.2


def test_an_ensemble_learns_as_its_networks_do_alone():
    data = datasets.load("digits", train=500).to(DEVICE)
    recipes = [Recipe(epochs=20, seed=seed) for seed in range(4)]
    networks = [MLP([64, 32, 10], keep_prob=0.5, generator=seeded(seed)).to(DEVICE) for seed in range(4)]
    histories = fit_ensemble(networks, data, recipes, progress=False)
    assert all(history.validation_error[-1] < 0.2 for history in histories)


def test_a_stack_takes_the_steps_that_it_takes_on_a_processor():
    # Without dropout nothing is drawn on the device. Batches of 64 leave one of 52 at the end of each epoch of 500.
    data = datasets.load("digits", train=500)
    recipes = [
        Recipe(epochs=20, batch_size=64, seed=seed, weight_decay=1e-4, l1=1e-5, max_norm=radius, learning_rate=rate)
        for seed, radius, rate in ((0, 2.0, 0.1), (1, 1.0, 0.05), (2, 2.0, 0.1))
    ]
    found = []
    for device in (torch.device("cpu"), DEVICE):
        networks = [MLP([64, 32, 10], generator=seeded(recipe.seed)).to(device) for recipe in recipes]
        fit_ensemble(networks, data, recipes, progress=False)
        found.append([parameter.detach().cpu() for network in networks for parameter in network.parameters()])
    for here, there in zip(*found, strict=True):
        # 160 steps, each of which may round the other way.
        torch.testing.assert_close(there, here, rtol=0, atol=0.02)


def test_a_stack_with_gaussian_noise_learns():
    data = datasets.load("digits", train=500).to(DEVICE)
    networks = [
        MLP([64, 32, 10], keep_prob=0.5, dropout=GaussianDropout, generator=seeded(seed)).to(DEVICE)
        for seed in range(4)
    ]
    recipes = [Recipe(epochs=20, seed=seed) for seed in range(4)]
    histories = fit_ensemble(networks, data, recipes, method="stacked", progress=False)
    assert all(history.validation_error[-1] < 0.2 for history in histories)


def test_each_step_of_a_stack_draws_new_masks():
    # One example of ones: a weight moves only in a step in which its input is kept. Were the masks of all steps but the first
    # three the same, one in 16 of the inputs would be dropped in each; as it is, one in 2^60.
    one = Split(torch.ones(1, 64), torch.tensor([3]))
    networks = [MLP([64, 32, 10], input_keep_prob=0.5, generator=seeded(seed)).to(DEVICE) for seed in range(4)]
    before = [network.hidden1.weight.detach().clone() for network in networks]
    fit_ensemble(networks, one, [Recipe(epochs=60, seed=seed, learning_rate=1e-3) for seed in range(4)], progress=False)
    for network, first in zip(networks, before, strict=True):
        assert (network.hidden1.weight != first).any(dim=0).all()


def test_units_of_an_experiment_trained_side_by_side_learn():
    recipe = {"epochs": 20, "batch_size": 50}
    settings = {"data": "digits", "train": 500, "sizes": [64, 32, 10], "recipe": recipe, "stage": "report"}
    rows = train_together([Unit({**settings, "keep_prob": 0.5}, seed) for seed in range(3)], DEVICE)
    assert all(row["test_error"] < 0.2 for (row,) in rows)
