import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dropout_lessons.penalties import l1_penalty, l2_penalty, max_norm_, weights


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 5), nn.Linear(5, 2))


def test_penalties_act_on_weights_and_not_on_biases_or_normalization():
    assert [tuple(weight.shape) for weight in weights(network())] == [(3, 2, 2, 2), (5, 12), (2, 5)]


def test_penalties_are_the_norms_of_all_weights():
    net = network()
    flat = torch.cat([weight.flatten() for weight in weights(net)]).detach()
    assert l1_penalty(net).item() == pytest.approx(flat.norm(p=1).item(), rel=1e-5)
    assert l2_penalty(net).item() == pytest.approx(0.5 * flat.norm(p=2).item() ** 2, rel=1e-5)


def test_the_gradient_of_the_l2_penalty_is_the_weight():
    net = network()
    l2_penalty(net).backward()
    assert all(torch.equal(weight.grad, weight.detach()) for weight in weights(net))


@given(limit=st.floats(1e-3, 10))
def test_max_norm_is_the_projection_of_every_units_incoming_weights(limit):
    net = network()
    before = [weight.detach().clone() for weight in weights(net)]
    max_norm_(net, limit)
    for old, new in zip(before, weights(net), strict=True):
        for row, projected in zip(old.flatten(1), new.detach().flatten(1), strict=True):
            expected = row if row.norm() <= limit else row * limit / row.norm()
            assert torch.allclose(projected, expected, atol=1e-6)


def test_max_norm_leaves_zero_weights_and_biases_alone():
    net = network()
    nn.init.zeros_(net[3].weight)
    bias = net[3].bias.detach().clone()
    max_norm_(net, 0.5)
    assert (net[3].weight == 0).all()
    assert torch.equal(net[3].bias, bias)


def test_frozen_shared_and_missing_weights():
    frozen, shared = nn.Linear(3, 2), nn.Linear(3, 3)
    frozen.weight.requires_grad_(False)
    assert list(weights(nn.Sequential(frozen, nn.LayerNorm([4, 2])))) == []
    assert len(list(weights(nn.Sequential(shared, shared)))) == 1
    assert len(list(weights(nn.Conv1d(2, 3, 2)))) == len(list(weights(nn.Conv3d(2, 3, 2)))) == 1
    assert l1_penalty(nn.ReLU()).item() == l2_penalty(nn.ReLU()).item() == 0


@pytest.mark.parametrize("limit", [0, -1, float("nan")])
def test_max_norm_refuses_radii_that_are_not_positive(limit):
    with pytest.raises(ValueError, match="limit must be a positive number"):
        max_norm_(network(), limit)
