"""Activations and how alike they are, against numpy and identities; wrong input refused."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from layer_units import units_of
from torch import nn

from dropout_lessons.coadaptation import activation_sparsity, effective_rank, linear_cka, unit_correlation
from dropout_lessons.networks import MLP
from dropout_lessons.running import Outputs

SEEDS = st.integers(0, 2**31)
MEASURES = [unit_correlation, effective_rank, activation_sparsity]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def matrix(rows: int = 30, units: int = 5, seed: int = 0) -> torch.Tensor:
    a = torch.randn(rows, units, dtype=torch.float64, generator=seeded(seed))
    return a @ torch.randn(units, units, dtype=torch.float64, generator=seeded(seed + 1)) + 3.0


@given(SEEDS)
def test_correlation_and_rank_are_those_of_numpy(seed):
    a = matrix(seed=seed)
    correlation = np.corrcoef(a.numpy(), rowvar=False)
    pairs = np.abs(correlation[np.triu_indices(5, 1)])
    eigenvalues = np.linalg.eigvalsh(correlation)
    assert unit_correlation(a) == pytest.approx(pairs.mean(), abs=1e-12)
    assert effective_rank(a) == pytest.approx(eigenvalues.sum() ** 2 / (eigenvalues**2).sum(), rel=1e-10)


@given(SEEDS)
def test_cka_is_that_of_centered_kernels(seed):
    a, b = matrix(8, 5, seed).numpy(), matrix(8, 9, seed + 7).numpy()
    center = np.eye(8) - 1 / 8
    k, m = center @ a @ a.T @ center, center @ b @ b.T @ center
    expected = np.trace(k @ m) / np.sqrt(np.trace(k @ k) * np.trace(m @ m))
    wide, narrow = torch.from_numpy(b), torch.from_numpy(a)
    assert linear_cka(narrow, wide) == pytest.approx(expected, rel=1e-10)
    assert linear_cka(narrow, wide[:, :6]) == pytest.approx(linear_cka(wide[:, :6], narrow), rel=1e-12)


def test_cka_of_a_layer_with_itself_rotated_scaled_and_shifted_is_1():
    a = matrix(50)
    rotation = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64, generator=seeded(9))).Q
    assert linear_cka(a, a) == pytest.approx(1.0, abs=1e-12)
    assert linear_cka(a, 0.01 * a @ rotation - 4.0) == pytest.approx(1.0, abs=1e-12)
    assert linear_cka(a, a * torch.tensor([10.0, 1, 1, 1, 1])) < 0.999  # single units rescaled: no longer


def test_cka_of_unrelated_layers_is_near_0_with_many_rows_and_not_with_few():
    few, many = (linear_cka(torch.randn(n, 20, generator=seeded(1)), torch.randn(n, 20)) for n in (20, 20_000))
    assert many < 0.01
    assert few > 0.3


@given(SEEDS)
def test_permuting_and_rescaling_units_changes_no_measure(seed):
    a = matrix(seed=seed) - 3.0
    order, scale = torch.randperm(5, generator=seeded(seed)), 10 ** (2 * torch.rand(5, generator=seeded(seed)) - 1)
    for measure in MEASURES:
        assert measure(a[:, order] * scale) == pytest.approx(measure(a), rel=1e-9)


def test_dead_units_change_no_measure_and_constant_units_no_correlation_or_rank():
    a = matrix() - 3.0
    dead, constant = torch.cat([a, torch.zeros(30, 2)], 1), torch.cat([a.float(), torch.full((30, 2), 0.1)], 1)
    for measure in MEASURES:
        assert measure(dead) == measure(a)
    assert unit_correlation(constant) == unit_correlation(a.float())
    assert effective_rank(constant) == effective_rank(a.float())


def test_copies_correlate_fully_and_span_one_direction():
    h = matrix(units=1)
    copies = torch.cat([h, 2 * h, -h], 1)
    assert unit_correlation(copies) == pytest.approx(1.0)
    assert effective_rank(copies) == pytest.approx(1.0)


def test_independent_units_have_a_rank_near_their_number_and_the_correlation_of_chance():
    a = torch.randn(20_000, 10, generator=seeded())
    assert effective_rank(a) == pytest.approx(10, rel=0.01)
    # 45 correlations, half-normal with standard deviation 1/sqrt(rows): the mean's is .603/sqrt(45 rows).
    expected, error = math.sqrt(2 / (math.pi * 20_000)), 0.603 / math.sqrt(45 * 20_000)
    assert abs(unit_correlation(a) - expected) < 4 * error


@pytest.mark.parametrize("a", [torch.zeros(4, 3), torch.full((4, 3), 0.1), torch.zeros(4, 0), torch.ones(4, 1)])
def test_layers_that_say_nothing_have_defined_values(a):
    assert unit_correlation(a) == 0.0
    assert effective_rank(a) == 0.0
    assert activation_sparsity(a) == (0.0 if bool((a > 0).any()) else 1.0)
    assert linear_cka(a, torch.randn(4, 2)) == 0.0


def test_very_large_and_very_small_outputs_are_measured_too():
    a = matrix()
    for scale in (1e-140, 1e140):
        assert unit_correlation(scale * a) == pytest.approx(unit_correlation(a), rel=1e-9)
        assert linear_cka(scale * a, a) == pytest.approx(1.0)


def test_sparsity_counts_zeros_and_negative_outputs_of_units_that_are_ever_active():
    a = torch.tensor([[-1.0, 1.0, 0.0], [2.0, 3.0, -1.0], [0.0, 1.0, 0.0]])
    assert activation_sparsity(a) == pytest.approx(1 / 3)


# Reading a layer


def activations(network, layer, x, **settings):
    return units_of(network, layer, x, **settings).activations


def test_activations_are_what_the_layer_returns_in_evaluation_mode():
    network, x = MLP([4, 8, 8, 3], keep_prob=0.5, input_keep_prob=0.5).train(), torch.randn(6, 4)
    state = torch.get_rng_state()
    h = activations(network, "hidden2", x)
    assert torch.equal(h, network.hidden2(network.hidden1(x)).detach())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(module.training for module in network.modules())
    assert not h.requires_grad


def test_every_position_of_a_channel_is_a_row():
    network, x = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU()), torch.randn(5, 1, 4, 4)
    maps = network(x).detach()
    h = activations(network, "1", x, outputs=Outputs(class_axis=1))
    assert torch.equal(h[:4, 2], maps[0, 2].flatten())
    assert torch.equal(activations(network, "1", x, unit_axis=-3, outputs=Outputs(class_axis=1)), h)


def test_tokens_are_rows_where_units_are_on_the_last_axis():
    network, x = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), torch.randn(3, 7, 8)
    h = activations(network, "linear1", x, unit_axis=-1, outputs=Outputs(class_axis=-1))
    assert h.shape == (21, 16)


def test_functional_dropout_that_is_always_on_is_switched_off():
    class Always(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = nn.Linear(4, 3)

        def forward(self, x):
            return self.hidden(nn.functional.dropout(x, 0.5, training=True))

    network, x = Always(), torch.randn(5, 4)
    assert torch.equal(activations(network, "hidden", x), network.hidden(x).detach())


def test_what_later_layers_write_into_activations_is_not_seen():
    network, x = nn.Sequential(nn.Linear(4, 3), nn.ReLU(inplace=True)), torch.randn(5, 4)
    assert torch.equal(activations(network, "0", x), network[0](x).detach())


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.unused, self.nested = nn.Linear(4, 4), nn.Linear(4, 4), nn.ModuleDict()
        self.nested.forward = lambda x: {"h": x}

    def forward(self, x):
        return self.nested(self.hidden(self.hidden(x)))["h"]


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("hidden9", r"layer must name .* got 'hidden9', which the network does not have; there are"),
        ("hidden", "got 'hidden', which a forward pass calls 2 times"),
        ("unused", "got 'unused', which no forward pass calls"),
        ("nested", "layer must return a tensor, or a tuple that starts with one, got dict for 'nested'"),
    ],
)
def test_a_layer_that_cannot_be_read_is_refused(layer, message):
    with pytest.raises(ValueError, match=message):
        activations(Twice(), layer, torch.randn(5, 4))


@pytest.mark.parametrize("axis", [0, 2, -2, -3])
def test_the_units_have_an_axis_of_their_own(axis):
    with pytest.raises(ValueError, match=f"unit_axis must be an axis of 'hidden1' .* got {axis}"):
        activations(MLP([4, 8, 3]), "hidden1", torch.randn(5, 4), unit_axis=axis)


@pytest.mark.parametrize("measure", [*MEASURES, lambda a: linear_cka(a, a)])
@pytest.mark.parametrize(
    ("a", "message"),
    [
        (torch.randn(4), "must be a floating-point matrix|too"),
        (torch.randn(1, 4), "with two or more rows, got torch.float32 of shape \\(1, 4\\)"),
        (torch.ones(3, 4, dtype=torch.int64), "floating-point matrix .* got torch.int64"),
        (torch.tensor([[1.0, 2.0], [0.0, math.nan]]), "a must be finite, got nan for row 1, unit 1"),
    ],
)
def test_what_is_no_matrix_of_outputs_is_refused(measure, a, message):
    with pytest.raises(ValueError, match=message):
        measure(a)


def test_cka_needs_the_same_examples():
    with pytest.raises(ValueError, match="got 5 and 4 rows"):
        linear_cka(torch.randn(5, 3), torch.randn(4, 3))
