"""On another device: data follow the network, and nothing of one device meets what is on the other."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from pretend import DEVICE, PretendDevice
from torch import nn

from dropout_lessons import (
    MLP,
    DropBlock,
    Dropout,
    GaussianDropout,
    Recipe,
    SpatialDropout,
    compare_averaging,
    datasets,
    evaluate,
    fit,
    fit_ensemble,
    measure,
    runtime,
)
from dropout_lessons.running.examples import device_of


@pytest.fixture
def device():
    with PretendDevice() as mode:
        yield mode


def test_the_pretend_device_refuses_to_mix_and_says_where_a_tensor_is(device):
    host, there = torch.ones(3), torch.ones(3).to(DEVICE)
    assert (host.device.type, there.device, (there * 2).device) == ("cpu", DEVICE, DEVICE)
    assert torch.zeros(2, device=DEVICE).device == DEVICE
    assert there.cpu().device.type == there.to("cpu").device.type == "cpu"
    with pytest.raises(RuntimeError, match="same device"):
        host + there
    with pytest.raises(TypeError, match="cpu"):
        there.numpy()
    assert (there + torch.tensor(1.0)).device == DEVICE  # a number
    layer = nn.Linear(3, 2).to(DEVICE)
    assert layer.weight.device == layer(there).device == DEVICE
    with pytest.raises(RuntimeError, match="same device"):
        layer(host)
    layer(there).sum().backward()
    assert layer.weight.grad.device == DEVICE


@pytest.fixture
def data():
    return datasets.load("mnist_10k", train=40, seed=0)


NETWORKS = {
    "ours": lambda: MLP([784, 6, 10], keep_prob=0.5),
    "PyTorch's": lambda: nn.Sequential(nn.Linear(784, 6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 10)),
    "mixed": lambda: nn.Sequential(nn.Linear(784, 6), nn.ReLU(), Dropout(keep_prob=0.5), nn.Linear(6, 10)),
}


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_training_and_judging_move_the_data_to_the_network(make, data, device):
    network = make().to(DEVICE)
    fit(network, data, Recipe(epochs=1, batch_size=20))
    assert {parameter.device for parameter in network.parameters()} == {DEVICE}
    assert evaluate(network, data.test).error <= 1
    assert device.calls > 20


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_averages_move_the_data_to_the_network(make, data, device):
    x, y = data.test.x[:20], data.test.y[:20]
    network, generator = make(), torch.Generator()
    there = compare_averaging(
        copy.deepcopy(network).to(DEVICE), x, y, samples=(1, 3), generator=generator.manual_seed(1)
    )
    here = compare_averaging(network, x, y, samples=(1, 3), generator=generator.manual_seed(1))
    assert device.calls > 20
    torch.testing.assert_close(torch.tensor(there["error"].values), torch.tensor(here["error"].values))


def test_measures_move_the_data_to_the_network(data, device):
    network = NETWORKS["PyTorch's"]().to(DEVICE)
    assert len(measure(network, "1", data.test.x[:20], data.test.y[:20]).to_frame()) > 5
    assert device.calls > 20


def test_networks_are_trained_together_where_they_are(data, device, monkeypatch):
    # No library, no generator of the device: those of the CPU stand in.
    monkeypatch.setattr(runtime, "generator", lambda number, device="cpu": torch.Generator().manual_seed(number))
    networks = [MLP([784, 6, 10], keep_prob=0.5).to(DEVICE) for _ in range(2)]
    fit_ensemble(networks, data, Recipe(epochs=1, batch_size=20))
    assert {parameter.device for network in networks for parameter in network.parameters()} == {DEVICE}


@pytest.mark.parametrize(
    "layer",
    [
        Dropout(keep_prob=0.5),
        Dropout(keep_prob=0.5, scaling="standard"),
        GaussianDropout(keep_prob=0.5),
        SpatialDropout(keep_prob=0.5),
        DropBlock(keep_prob=0.8, block_size=2),
    ],
    ids=lambda layer: type(layer).__name__,
)
@pytest.mark.parametrize("generator", [None, torch.Generator()], ids=["global", "of the CPU"])
def test_a_layer_draws_for_the_device_of_its_input(layer, generator, device):
    layer.generator = generator
    assert layer(torch.ones(2, 3, 4, 4).to(DEVICE)).device == DEVICE


def test_apples_gpu_is_refused_by_name():
    """It has no float64, in which errors are added up. There is none here: a parameter says that it is on one."""
    parameter = SimpleNamespace(device=torch.device("mps"))
    network = SimpleNamespace(parameters=lambda: iter([parameter]), buffers=lambda: iter([]))
    with pytest.raises(ValueError, match=r"network must not be on Apple's GPU \(mps\).* no float64.*network\.cpu\(\)"):
        device_of(network)
