import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from dropout_lessons.layers import Dropout, GaussianDropout
from dropout_lessons.masks import sample_mask
from dropout_lessons.networks import MLP, evaluating


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
