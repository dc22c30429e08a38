import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from dropout_lessons import datasets
from dropout_lessons.layers import DropBlock, Dropout, GaussianDropout, SpatialDropout
from dropout_lessons.masks import sample_mask
from dropout_lessons.networks import MLP, ConvNet, evaluating
from dropout_lessons.training import Recipe, evaluate, fit


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def by_hand(network: MLP, x: torch.Tensor, masks: dict[str, torch.Tensor], keep: dict[str, float]) -> torch.Tensor:
    """The network as its formula, in plain matrix products."""
    drop = {
        name: masks[name] / keep[name] if name in masks else torch.ones(()) for name in ("input", "hidden1", "hidden2")
    }
    h = x * drop["input"]
    h = (h @ network.hidden1.weight.T + network.hidden1.bias).clamp(min=0) * drop["hidden1"]
    h = (h @ network.hidden2.weight.T + network.hidden2.bias).clamp(min=0) * drop["hidden2"]
    return h @ network.output.weight.T + network.output.bias


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("masked", [(), ("hidden1",), ("input", "hidden2"), ("input", "hidden1", "hidden2")])
def test_a_network_with_given_masks_is_the_named_subnetwork(training, masked):
    keep = {"input": 0.8, "hidden1": 0.5, "hidden2": 0.6}
    network = MLP([12, 8, 6, 4], keep_prob=[0.5, 0.6], input_keep_prob=0.8, generator=seeded())
    x = torch.randn(5, 12)
    sizes = dict(zip(keep, (12, 8, 6), strict=True))
    masks = {name: sample_mask((5, sizes[name]), keep[name], generator=seeded(1)) for name in masked}
    unmasked = {name: torch.ones(sizes[name], dtype=torch.bool) for name in keep if training and name not in masked}
    network.train(training)
    for name in unmasked:  # in training mode the other layers draw; fix them to "all kept" so that the output is known
        getattr(network, f"{name}_dropout").keep_prob = 1.0
    torch.testing.assert_close(network(x, masks=masks), by_hand(network, x, masks, keep))


def test_at_test_time_inverted_dropout_changes_nothing():
    plain = MLP([12, 8, 6, 4], generator=seeded())
    dropped = MLP([12, 8, 6, 4], keep_prob=0.5, input_keep_prob=0.8, generator=seeded())
    x = torch.randn(5, 12)
    assert torch.equal(plain(x), dropped.eval()(x))
    assert not torch.equal(plain(x), dropped.train()(x))


def test_hidden_layers_have_names_and_output_what_a_unit_sends():
    network = MLP([12, 8, 6, 4], keep_prob=0.5)
    outputs = {}
    for name in network.hidden_names:
        network.get_submodule(name).register_forward_hook(lambda _m, _i, out, name=name: outputs.update({name: out}))
    network(torch.randn(5, 12))
    assert {name: tuple(out.shape) for name, out in outputs.items()} == {"hidden1": (5, 8), "hidden2": (5, 6)}
    assert all((out >= 0).all() for out in outputs.values())


def test_initial_weights_are_he_normal_and_a_function_of_the_generator():
    network = MLP([500, 400, 10], generator=seeded(3))
    weight = network.hidden1.weight
    n = weight.numel()
    assert abs(weight.mean().item()) < 5 * (2 / 500) ** 0.5 / n**0.5
    assert abs(weight.var().item() / (2 / 500) - 1) < 5 * (2 / n) ** 0.5
    assert (network.hidden1.bias == 0).all()
    assert torch.equal(weight, MLP([500, 400, 10], generator=seeded(3)).hidden1.weight)
    assert not torch.equal(weight, MLP([500, 400, 10], generator=seeded(4)).hidden1.weight)


def test_a_generator_of_ones_own_leaves_the_global_one_alone():
    state = torch.get_rng_state()
    MLP([5, 4, 3], generator=seeded(3))
    assert torch.equal(state, torch.get_rng_state())


def test_sizes_may_come_from_numpy():
    assert MLP([np.prod((8, 8)), np.int64(4), 3]).sizes == (64, 4, 3)


def test_networks_that_differ_only_in_dropout_start_from_the_same_weights():
    plain, dropped = MLP([5, 4, 3], generator=seeded()), MLP([5, 4, 3], keep_prob=0.5, generator=seeded())
    assert plain.state_dict().keys() == dropped.state_dict().keys()
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), dropped.parameters(), strict=True))


def test_other_members_of_the_family_can_take_dropouts_place():
    network = MLP([5, 4, 3], keep_prob=0.5, dropout=GaussianDropout)
    assert isinstance(network.hidden1_dropout, GaussianDropout)
    standard = MLP([5, 4, 3], keep_prob=0.5, dropout=lambda keep_prob: Dropout(keep_prob, scaling="standard"))
    assert standard.hidden1_dropout.scaling == "standard"


def test_networks_can_be_copied_and_pickled():
    network = MLP([5, 4, 3], keep_prob=0.5).eval()
    x = torch.randn(2, 5)
    for twin in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert torch.equal(twin(x), network(x))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sizes": [5]}, "sizes must be two or more positive integers"),
        ({"sizes": [5, 0, 3]}, "sizes must be two or more positive integers"),
        ({"sizes": [5, 4, 3], "keep_prob": [0.5, 0.5]}, "one for each of the 1 hidden layers"),
        ({"sizes": [5, 4, 3], "keep_prob": 1.5}, r"keep_prob must be in \(0, 1\], got 1.5"),
        ({"sizes": [5, 4, 3], "input_keep_prob": 0}, r"input_keep_prob must be in \(0, 1\], got 0"),
    ],
)
def test_impossible_networks_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        MLP(**arguments)


def test_inputs_and_masks_that_do_not_fit_are_refused():
    network = MLP([4, 3, 2])
    with pytest.raises(ValueError, match=r"x must be \(batch, 4\), got shape \(7, 2, 2\); images need x.flatten\(1\)"):
        network(torch.ones(7, 2, 2))
    gaussian = MLP([4, 3, 2], keep_prob=0.5, dropout=GaussianDropout)
    with pytest.raises(ValueError, match="masks names 'hidden1', whose GaussianDropout takes no mask"):
        gaussian(torch.ones(1, 4), masks={"hidden1": torch.ones(3, dtype=torch.bool)})
    with pytest.raises(ValueError, match=r"masks names \['hidden2'\], but the layers are \['input', 'hidden1'\]"):
        network(torch.ones(1, 4), masks={"hidden2": torch.ones(3, dtype=torch.bool)})


def test_evaluating_restores_each_modules_own_mode_also_after_an_error():
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout(0.5))
    network[1].eval()
    modes = [module.training for module in network.modules()]
    with pytest.raises(KeyError), evaluating(network):  # noqa: PT012
        assert not any(module.training for module in network.modules())
        raise KeyError
    assert [module.training for module in network.modules()] == modes


# --- BatchNorm ------------------------------------------------------------------------------------------------


def test_batch_norm_stands_between_the_weights_and_the_relu():
    network = MLP([12, 8, 6, 4], batch_norm=True, generator=seeded())
    x = 3 + torch.randn(50, 12, generator=seeded(1))

    def normalized(z: torch.Tensor) -> torch.Tensor:
        return ((z - z.mean(0)) / (z.var(0, correction=0) + 1e-5).sqrt()).relu()

    h = normalized(x @ network.hidden1.weight.T)
    h = normalized(h @ network.hidden2.weight.T)
    torch.testing.assert_close(network(x), h @ network.output.weight.T, rtol=1e-4, atol=1e-5)


def test_batch_norm_adds_no_draw_so_that_networks_with_and_without_it_start_from_the_same_weights():
    plain, normed = (MLP([5, 4, 3], batch_norm=on, generator=seeded()) for on in (False, True))
    for name in ("hidden1.weight", "output.weight"):
        assert torch.equal(plain.get_parameter(name), normed.get_parameter(name))
    assert [name for name in normed.state_dict() if "norm" in name]
    assert not [name for name in plain.state_dict() if "norm" in name]


def test_the_variance_that_dropout_adds_before_a_normalization_is_the_formulas():
    # z_k = sum_j w_kj m_j h_j / p: the masks add (1 - p) / p sum_j w_kj^2 E[h_j^2] to the variance over the examples.
    keep_prob, n = 0.5, 40_000
    network = MLP([12, 8, 6, 4], keep_prob=[keep_prob, 1.0], batch_norm=True, generator=seeded())
    x = torch.randn(n, 12, generator=seeded(1))
    seen = []
    network.hidden2.norm.register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0]))
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(2)
        network(x)
        network.hidden1_dropout.keep_prob = 1.0
        network(x)
        h = network.hidden1(x)
    trained, tested = (z.double().var(0) for z in seen)
    added = (1 - keep_prob) / keep_prob * (network.hidden2.weight.square() @ h.square().mean(0))
    # The relative error of a variance of n near-normal values is sqrt(2 / n); kurtosis makes it somewhat larger.
    torch.testing.assert_close(trained, tested + added, rtol=8 * (2 / n) ** 0.5, atol=0.0, check_dtype=False)
    assert (trained > 1.3 * tested).all()  # so a missing term would be seen


# --- convolutions ---------------------------------------------------------------------------------------------


def test_a_conv_net_is_its_formula():
    network = ConvNet((3, 9, 11), 4, channels=(5, 6), hidden=(7,), kernel_size=3, generator=seeded()).eval()
    x = torch.rand(2, 3 * 9 * 11, generator=seeded(1))
    h = x.reshape(2, 3, 9, 11)
    for layer in (network.conv1, network.conv2):
        padded = nn.functional.pad(h, (1, 1, 1, 1))
        patches = padded.unfold(2, 3, 1).unfold(3, 3, 1)  # (batch, channels, height, width, 3, 3)
        h = torch.einsum("bchwij,ocij->bohw", patches, layer.weight).relu()
        h = h.unfold(2, 3, 2).unfold(3, 3, 2).amax((-2, -1))
    assert h.shape == (2, 6, 1, 2)  # 9 x 11, pooled to 4 x 5, to 1 x 2
    h = (h.flatten(1) @ network.hidden1.weight.T).relu()
    torch.testing.assert_close(network(x), h @ network.output.weight.T)


PLACES = {
    "input_dropout": {"input_keep_prob": 0.5},
    "conv1_dropout": {"conv_keep_prob": [0.5, 1.0]},
    "conv2_dropout": {"conv_keep_prob": [1.0, 0.5]},
    "hidden1_dropout": {"keep_prob": [0.5, 1.0]},
    "hidden2_dropout": {"keep_prob": [1.0, 0.5]},
}


@pytest.mark.parametrize("place", PLACES)
def test_a_conv_net_drops_where_it_is_told_to_and_nowhere_else(place):
    network = ConvNet((14, 14), channels=(3, 4), hidden=(6, 5), generator=seeded(), **PLACES[place])
    changed = []
    for name, module in network.named_modules():
        if isinstance(module, Dropout):
            module.register_forward_hook(
                lambda _m, inputs, out, name=name: None if torch.equal(inputs[0], out) else changed.append(name)
            )
    network(torch.rand(50, 196, generator=seeded(1)))
    assert changed == [place]


def test_feature_maps_can_lose_channels_or_blocks_and_the_other_places_keep_single_units():
    for conv_dropout in (SpatialDropout, lambda keep_prob: DropBlock(keep_prob, block_size=3)):
        network = ConvNet((14, 14), channels=(3,), conv_keep_prob=0.5, conv_dropout=conv_dropout)
        assert type(network.conv1_dropout) is type(conv_dropout(0.5))
        assert type(network.input_dropout) is type(network.hidden1_dropout) is Dropout
        network(torch.rand(2, 196))


def test_conv_nets_that_differ_only_in_dropout_and_batch_norm_start_from_the_same_weights():
    plain = ConvNet((14, 14), generator=seeded())
    for other in ({"keep_prob": 0.5, "conv_keep_prob": 0.8}, {"batch_norm": True}):
        network = ConvNet((14, 14), generator=seeded(), **other)
        assert all(torch.equal(value, network.get_parameter(name)) for name, value in plain.named_parameters())
    state = torch.get_rng_state()
    ConvNet((14, 14), generator=seeded(3), batch_norm=True)
    assert torch.equal(state, torch.get_rng_state())


def test_initial_kernels_are_he_normal():
    weight = ConvNet((28, 28), channels=(64, 128), generator=seeded(3)).conv2.weight
    fan_in, n = 64 * 25, weight.numel()
    assert abs(weight.var().item() / (2 / fan_in) - 1) < 5 * (2 / n) ** 0.5


def test_a_conv_net_with_batch_norm_and_dropout_learns():
    data = datasets.load("digits", train=200)
    network = ConvNet(
        data.image_shape,
        channels=(8,),
        hidden=(32,),
        keep_prob=0.5,
        conv_keep_prob=0.9,
        batch_norm=True,
        generator=seeded(),
    )
    fit(network, data, Recipe(epochs=20, batch_size=50), progress=False)
    assert evaluate(network, data.test).error < 0.3  # guessing: 0.9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_shape": (14,)}, r"image_shape must be \(height, width\) or \(channels, height, width\), got \(14,\)"),
        ({"channels": (4, 4, 4)}, r"channels must be fewer for images of \(14, 14\): conv3 gets 2 x 2 pixels"),
        ({"channels": (4, 0)}, "channels must be positive integers"),
        ({"hidden": (0,)}, "hidden must be positive integers"),
        ({"n_classes": 0}, "n_classes must be a whole number of at least 1"),
        ({"kernel_size": 4}, "kernel_size must be odd, so that the image keeps its size, got 4"),
        ({"conv_keep_prob": [0.5]}, "conv_keep_prob must be one number or one for each of the 2 convolutions"),
        ({"conv_keep_prob": 0}, r"conv_keep_prob must be in \(0, 1\], got 0"),
        ({"keep_prob": [0.5, 0.5]}, "keep_prob must be one number or one for each of the 1 hidden layers"),
        ({"input_keep_prob": 1.1}, r"input_keep_prob must be in \(0, 1\], got 1.1"),
    ],
)
def test_impossible_conv_nets_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ConvNet(**{"image_shape": (14, 14), **arguments})


def test_a_conv_net_takes_flat_images():
    with pytest.raises(
        ValueError, match=r"x must be \(batch, 196\), got shape \(7, 14, 14\); images need x.flatten\(1\)"
    ):
        ConvNet((14, 14))(torch.ones(7, 14, 14))
