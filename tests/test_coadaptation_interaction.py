"""Interactions, their share and reliance: against loops over all sets of units, closed forms, and each other."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_units import asked, units_of
from torch import nn

from dropout_lessons import coadaptation
from dropout_lessons.coadaptation import Interaction, Reliance
from dropout_lessons.coadaptation.dependence import _left_out, degree_variances
from dropout_lessons.coadaptation.pairs import _Sums, toggled_in_contexts
from dropout_lessons.masks import enumerate_masks, mask_log_prob
from dropout_lessons.networks import MLP

interaction, interaction_share = asked(coadaptation.interaction), asked(coadaptation.interaction_share)
reliance, compensation = asked(coadaptation.reliance), asked(coadaptation.compensation)

MEASURES = {
    "interaction": lambda *args, **kwargs: interaction(*args, **kwargs).relative,
    "interaction_share": interaction_share,
    "reliance": lambda *args, **kwargs: reliance(*args, **kwargs).overall,
}


def random_network(sizes=(4, 6, 5, 3), seed=0, scale=1.0):
    network = MLP(list(sizes), generator=torch.Generator().manual_seed(seed)).double()
    source = torch.Generator().manual_seed(seed + 1)
    for layer in (network.get_submodule(name) for name in (*network.hidden_names, "output")):
        layer.bias.data.normal_(generator=source)
        layer.weight.data.mul_(scale)
    x = torch.randn(8, sizes[0], generator=source, dtype=torch.float64)
    return network, x, torch.randint(sizes[-1], (8,), generator=source)


def all_values(network, layer, x, y, temperature=1.0):
    """Values of all sets of units, each by a forward pass with a hook: (2,) * n + (examples,)."""
    mask = torch.empty(0)
    module = network.get_submodule(layer)
    found = []
    handle = module.register_forward_hook(lambda module, args, output: output * mask)
    with torch.no_grad():
        for bits in itertools.product((0.0, 1.0), repeat=module.out_features):
            mask = torch.tensor(bits, dtype=torch.float64)
            output = network(x)
            if y.is_floating_point():
                found.append(-(y - output).square().sum(1))
            else:
                found.append(F.log_softmax(output / temperature, dim=1).gather(1, y[:, None])[:, 0])
    handle.remove()
    return torch.stack(found).reshape(*[2] * module.out_features, len(x))


def expectation(values, keep_prob, n_units):
    """Mean over the sets of ``n_units`` units, one axis each, in front of the examples."""
    for _ in range(n_units):
        values = (1 - keep_prob) * values[0] + keep_prob * values[1]
    return values


def by_definition(values, keep_prob):
    n = values.dim() - 1
    effects = [values.select(i, 1) - values.select(i, 0) for i in range(n)]
    pairwise, strength = torch.zeros(2, n, n, dtype=torch.float64)
    for i, j in itertools.permutations(range(n), 2):
        change = effects[i].select(j - (j > i), 1) - effects[i].select(j - (j > i), 0)
        pairwise[i, j] = expectation(change, keep_prob, n - 2).mean()
        strength[i, j] = expectation(change.abs(), keep_prob, n - 2).mean()
    mean = torch.stack([expectation(effect, keep_prob, n - 1).mean() for effect in effects])
    absolute = torch.stack([expectation(effect.abs(), keep_prob, n - 1).mean() for effect in effects])
    return pairwise, strength, mean, absolute


CASES = {
    "first layer": ("hidden1", {}),
    "last layer": ("hidden2", {}),
    "temperature": ("hidden1", {"temperature": 0.4}),
    "regression": ("hidden1", {"outputs": "values"}),
    "regression, last layer": ("hidden2", {"outputs": "values"}),
}


@pytest.mark.parametrize("keep_prob", [0.2, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("name", CASES)
def test_exact_interactions_are_those_of_a_loop_over_all_sets(name, keep_prob):
    layer, arguments = CASES[name]
    network, x, y = random_network()
    y = torch.randn(8, 3, generator=torch.Generator().manual_seed(5)).double() if "outputs" in arguments else y
    values = all_values(network, layer, x, y, arguments.get("temperature", 1.0))
    pairwise, strength, effects, effect_strength = by_definition(values, keep_prob)
    found = interaction(network, layer, x, y, keep_prob=keep_prob, **arguments)
    torch.testing.assert_close(found.pairwise, pairwise)
    torch.testing.assert_close(found.strength, strength)
    torch.testing.assert_close(found.effects, effects)
    torch.testing.assert_close(found.effect_strength, effect_strength)
    assert found.total.value == pytest.approx(strength.triu().sum().item())
    assert found.relative.value == pytest.approx((strength.triu().sum() / effect_strength.sum()).item())
    assert found.exact
    assert found.total.stderr == found.relative.stderr == 0
    assert found.n_contexts == (1 if keep_prob == 1 else 2 ** (len(effects) - 2))


@pytest.mark.parametrize("keep_prob", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("name", CASES)
def test_exact_shares_are_those_of_a_least_squares_fit_to_all_sets(name, keep_prob):
    layer, arguments = CASES[name]
    network, x, y = random_network()
    y = torch.randn(8, 3, generator=torch.Generator().manual_seed(5)).double() if "outputs" in arguments else y
    values = all_values(network, layer, x, y, arguments.get("temperature", 1.0)).flatten(0, -2)
    n = len(values).bit_length() - 1
    z = torch.tensor(list(itertools.product((0.0, 1.0), repeat=n)), dtype=torch.float64)
    weight = mask_log_prob(z.bool(), keep_prob).exp()
    regressors = torch.cat([torch.ones_like(z[:, :1]), z], dim=1)
    root = weight.sqrt()[:, None]
    fitted = regressors @ torch.linalg.lstsq(root * regressors, root * values).solution
    residual = (weight @ (values - fitted).square()).sum()
    variance = (weight @ (values - weight @ values).square()).sum()
    found = interaction_share(network, layer, x, y, keep_prob=keep_prob, **arguments)
    assert found.exact
    assert found.value == pytest.approx((residual / variance).item())


@pytest.mark.parametrize("keep_prob", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("name", CASES)
def test_exact_reliance_is_the_variance_of_effects_over_all_contexts(name, keep_prob):
    layer, arguments = CASES[name]
    network, x, y = random_network()
    y = torch.randn(8, 3, generator=torch.Generator().manual_seed(5)).double() if "outputs" in arguments else y
    values = all_values(network, layer, x, y, arguments.get("temperature", 1.0))
    n = values.dim() - 1
    effects = [values.select(i, 1) - values.select(i, 0) for i in range(n)]
    square = torch.stack([expectation(effect.square(), keep_prob, n - 1).sum() for effect in effects])
    mean = torch.stack([expectation(effect, keep_prob, n - 1).square().sum() for effect in effects])
    found = reliance(network, layer, x, y, keep_prob=keep_prob, **arguments)
    torch.testing.assert_close(found.units, (1 - mean / square).nan_to_num(0))  # units without effect: 0 by definition
    assert found.overall.value == pytest.approx((1 - mean.sum() / square.sum()).item())
    assert found.overall.exact


@settings(max_examples=15)
@given(keep_prob=st.floats(0.05, 0.95), layer=st.sampled_from(["hidden1", "hidden2"]), seed=st.integers(0, 5))
def test_share_and_reliance_weigh_the_same_variances_of_each_degree(keep_prob, layer, seed):
    network, x, y = random_network(seed=seed)
    (part,) = units_of(network, layer, x, y).parts
    table = part.table()
    degrees = degree_variances(table, keep_prob)
    # Parseval: the degrees' variances sum to the mean square.
    weight = mask_log_prob(enumerate_masks(part.n_units), keep_prob).exp()
    torch.testing.assert_close(degrees.sum(), (weight @ table.square()).sum())
    k = torch.arange(len(degrees))
    share = interaction_share(network, layer, x, y, keep_prob=keep_prob).value
    assert share == pytest.approx((1 - degrees[1] / degrees[1:].sum()).item(), abs=1e-10)
    overall = reliance(network, layer, x, y, keep_prob=keep_prob).overall.value
    assert overall == pytest.approx((1 - degrees[1] / (k * degrees).sum()).item(), abs=1e-10)
    assert share - 1e-10 <= overall


@pytest.mark.parametrize("keep_prob", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("layer", ["hidden1", "hidden2"])
def test_sampled_measures_agree_with_the_exact_ones(layer, keep_prob):
    source = torch.Generator().manual_seed(0)
    for seed in range(3):
        network, x, y = random_network(seed=seed)
        arguments = {"keep_prob": keep_prob}
        exact, drawn = (interaction(network, layer, x, y, **arguments, **own) for own in ({}, sampled(100, source)))
        for name in ("total", "relative"):
            agree(getattr(drawn, name), getattr(exact, name))
        assert drawn.n_contexts == drawn.total.draws == 100
        # An entry is a mean over 8 examples and 100 contexts of values no larger than a few nats.
        assert (drawn.strength - exact.strength).abs().max() < 5 * 3 / math.sqrt(8 * 100)
        assert (drawn.pairwise - exact.pairwise).abs().max() < 5 * 3 / math.sqrt(8 * 100)
        assert (drawn.effects - exact.effects).abs().max() < 5 * 3 / math.sqrt(8 * 100)
        share = interaction_share(network, layer, x, y, **arguments, samples=2000, generator=source)
        agree(share, interaction_share(network, layer, x, y, **arguments))
        exact, drawn = (reliance(network, layer, x, y, **arguments, **own) for own in ({}, sampled(100, source)))
        agree(drawn.overall, exact.overall)


def sampled(contexts, source):
    return {"contexts": contexts, "generator": source}


def agree(drawn, exact):
    assert not drawn.exact
    assert exact.exact
    assert 0 < drawn.stderr < 0.2 * exact.value
    assert abs(drawn.value - exact.value) < 5 * drawn.stderr


@pytest.mark.parametrize("name", MEASURES)
def test_the_standard_error_is_the_spread_of_repeated_estimates_and_there_is_no_bias(name):
    network, x, y = random_network()
    few = {"samples": 60} if name == "interaction_share" else {"contexts": 6}
    exact = MEASURES[name](network, "hidden1", x, y, keep_prob=0.8).value
    repeats = 60
    drawn = [
        MEASURES[name](network, "hidden1", x, y, keep_prob=0.8, generator=torch.Generator().manual_seed(i), **few)
        for i in range(repeats)
    ]
    values = torch.tensor([own.value for own in drawn])
    stated = torch.tensor([own.stderr for own in drawn]).square().mean().sqrt()
    # The spread of 60 values is known to about 9%, and an error from 6 contexts to 30% each.
    assert 0.7 < values.std() / stated < 1.4
    # A ratio of means of 6 has a bias of its own, well below its error.
    assert abs(values.mean() - exact) < 4 * values.std() / math.sqrt(repeats) + 0.2 * stated


def test_the_share_has_no_bias_from_rare_masks_with_large_residuals():
    network, x, y = random_network((4, 9, 7, 3))
    exact = interaction_share(network, "hidden1", x, y, keep_prob=0.9).value
    source = torch.Generator().manual_seed(0)
    arguments = {"keep_prob": 0.9, "samples": 60, "generator": source}
    values = torch.tensor([interaction_share(network, "hidden1", x, y, **arguments).value for _ in range(300)])
    assert abs(values.mean() - exact) < 4 * values.std() / math.sqrt(300)


def test_the_error_of_a_ratio_is_that_of_the_ratio():
    network, x, y = random_network()
    units = units_of(network, "hidden1", x, y)
    sums = _Sums(units)
    sums.interactions, sums.single = [1.0, 2.0, 3.0], [2.0, 4.0, 6.0]  # they vary, their ratio does not
    found = sums.result(units, draws=3, n_contexts=3)
    assert found.relative.value == 0.5
    assert found.relative.stderr == pytest.approx(0, abs=1e-15)
    assert found.total.stderr == pytest.approx(1 / len(x) / math.sqrt(3))
    sums.single = [4.0, 4.0, 4.0]  # now the ratio varies as its numerator does
    assert sums.result(units, draws=3, n_contexts=3).relative.stderr == pytest.approx(1 / 4 / math.sqrt(3))


def test_leaving_a_context_out_is_having_drawn_the_others():
    effects = torch.randn(5, 7, 3, dtype=torch.float64) + 3
    variance, square = _left_out(effects)
    for row, kept in enumerate([list(range(5)), *([c for c in range(5) if c != left] for left in range(5))]):
        torch.testing.assert_close(variance[row], effects[kept].var(0).sum(0))
        torch.testing.assert_close(square[row], effects[kept].square().mean(0).sum(0))


def test_reliance_is_unbiased_down_to_three_contexts():
    network, x, y = random_network()
    exact = reliance(network, "hidden1", x, y).overall.value
    source = torch.Generator().manual_seed(0)
    values = torch.tensor([reliance(network, "hidden1", x, y, **sampled(3, source)).overall.value for _ in range(200)])
    # Without the correction for three contexts it would be a third too small.
    assert abs(values.mean() - exact) < 4 * values.std() / math.sqrt(200) + 0.03 * exact


@settings(max_examples=10)
@given(
    seed=st.integers(0, 20),
    order=st.permutations(range(6)),
    scales=st.lists(st.floats(0.01, 100), min_size=6, max_size=6),
    unused=st.integers(0, 3),
    name=st.sampled_from(list(MEASURES)),
)
def test_measures_do_not_see_order_scale_or_unused_units(seed, order, scales, unused, name):
    network, x, y = random_network(seed=seed)
    other = MLP([4, 6 + unused, 5, 3]).double()
    scale = torch.tensor(scales, dtype=torch.float64)
    incoming, bias = network.hidden1.weight.data * scale[:, None], network.hidden1.bias.data * scale
    outgoing = network.hidden2.weight.data / scale
    rows = [*order, *range(6, 6 + unused)]
    other.hidden1.weight.data = torch.cat([incoming, torch.randn(unused, 4).double()])[rows]
    other.hidden1.bias.data = torch.cat([bias, torch.zeros(unused).double()])[rows]
    other.hidden2.weight.data = torch.cat([outgoing, torch.zeros(5, unused).double()], dim=1)[:, rows]
    other.hidden2.bias.data, other.output = network.hidden2.bias.data, network.output
    torch.testing.assert_close(other(x), network(x))
    a, b = (MEASURES[name](own, "hidden1", x, y).value for own in (network, other))
    assert a == pytest.approx(b, rel=1e-9)


def test_the_pairwise_matrix_is_permuted_as_the_units_are():
    network, x, y = random_network()
    found = interaction(network, "hidden1", x, y)
    order = [3, 0, 5, 1, 4, 2]
    network.hidden1.weight.data = network.hidden1.weight.data[order]
    network.hidden1.bias.data = network.hidden1.bias.data[order]
    network.hidden2.weight.data = network.hidden2.weight.data[:, order]
    permuted = interaction(network, "hidden1", x, y)
    torch.testing.assert_close(permuted.pairwise, found.pairwise[order][:, order])
    torch.testing.assert_close(permuted.effects, found.effects[order])
    torch.testing.assert_close(
        reliance(network, "hidden1", x, y).units[order.index(0)],
        reliance(random_network()[0], "hidden1", x, y).units[0],
    )


@pytest.mark.parametrize("layer", ["hidden1", "hidden2"])
def test_a_unit_split_into_two_halves_keeps_what_it_did_with_the_others(layer):
    network, x, y = random_network()
    below, above = {"hidden1": ("hidden1", "hidden2"), "hidden2": ("hidden2", "output")}[layer]
    found = interaction(network, layer, x, y, keep_prob=1.0)
    for part in (network.get_submodule(below).weight, network.get_submodule(below).bias):
        part.data = torch.cat([part.data, part.data[:1]])
    weight = network.get_submodule(above).weight
    weight.data = torch.cat([weight.data, weight.data[:, :1]], dim=1)
    weight.data[:, [0, -1]] /= 2
    halves = interaction(network, layer, x, y, keep_prob=1.0)
    n = len(found.effects)
    torch.testing.assert_close(halves.pairwise[0, 1:n], halves.pairwise[n, 1:n])
    torch.testing.assert_close(halves.pairwise[1:n, 1:n], found.pairwise[1:, 1:])
    # Both removed are the unit removed: D of the whole is D_0 + D_n - I_0n in the intact network.
    whole = halves.effects[0] + halves.effects[n] - halves.pairwise[0, n]
    torch.testing.assert_close(whole, found.effects[0])


def test_dead_constant_and_duplicated_units_give_finite_values():
    network, x, y = random_network()
    layer = network.hidden1
    layer.bias.data[0] = -1e3  # dead
    layer.weight.data[1], layer.bias.data[1] = 0.0, 2.0  # constant
    layer.weight.data[3], layer.bias.data[3] = layer.weight.data[2], layer.bias.data[2]  # duplicated
    network.hidden2.weight.data[:, 3] = network.hidden2.weight.data[:, 2]
    for clamp in ("zero", "mean"):
        for contexts in (None, 4):
            found = interaction(network, "hidden1", x, y, clamp=clamp, contexts=contexts)
            assert found.strength.isfinite().all()
            assert found.strength[0].max() < 1e-12  # sums of products, of which processors order the terms differently
            assert found.effect_strength[0] < 1e-12
            if clamp == "mean":
                assert found.strength[1].max() < 1e-12
                assert found.effect_strength[1] < 1e-12
            relying = reliance(network, "hidden1", x, y, clamp=clamp, contexts=contexts)
            assert relying.units.isfinite().all()
            assert relying.units[0] < 1e-12
            assert relying.units[1] < 1e-12 or clamp == "zero"
    exact = interaction(network, "hidden1", x, y)
    torch.testing.assert_close(exact.pairwise[2, 4:], exact.pairwise[3, 4:])
    torch.testing.assert_close(exact.effects[2], exact.effects[3])


@pytest.mark.parametrize("layer", ["hidden1", "hidden2"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [6, 40])
def test_a_layer_that_is_dead_has_neither_interactions_nor_reliance(layer, dtype, size):
    network = MLP([4, size, size, 3]).to(dtype)
    network.get_submodule(layer).bias.data.fill_(-1e3)
    x = torch.randn(9, 4, dtype=dtype)
    assert interaction(network, layer, x).relative.value == 0
    assert interaction_share(network, layer, x).value == 0
    found = reliance(network, layer, x)
    assert found.overall.value == 0
    assert not found.units.any()


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_a_regression_is_measured_on_any_scale(name, scale):
    network, x, _ = random_network()
    network, x = network.float(), x.float()
    y = torch.randn(8, 3, generator=torch.Generator().manual_seed(5))
    before = MEASURES[name](network, "hidden1", x, y).value
    network.output.weight.data *= scale
    network.output.bias.data *= scale
    assert MEASURES[name](network, "hidden1", x, y * scale).value == pytest.approx(before, rel=1e-4)


@pytest.mark.parametrize("name", MEASURES)
def test_a_network_with_small_logits_is_measured_too(name):
    network, x, y = random_network()
    network, x = network.float(), x.float()
    network.output.weight.data *= 1e-4
    network.output.bias.data.zero_()
    single = MEASURES[name](network, "hidden1", x, y).value
    assert single > 0
    assert single == pytest.approx(MEASURES[name](network.double(), "hidden1", x.double(), y).value, rel=1e-2)


def test_a_single_unit_has_no_one_to_interact_with():
    network = MLP([4, 1, 3])
    x = torch.randn(9, 4).abs()
    network.hidden1.weight.data.abs_()
    found = interaction(network, "hidden1", x)
    assert found.pairwise.tolist() == [[0.0]]
    assert found.relative.value == found.total.value == 0
    assert found.effect_strength[0] > 0
    assert interaction(network, "hidden1", x, contexts=3).relative.value == 0
    assert interaction_share(network, "hidden1", x).value == pytest.approx(0, abs=1e-6)
    assert reliance(network, "hidden1", x).overall.value == pytest.approx(0, abs=1e-6)


def test_units_that_add_up_in_the_value_have_no_interactions():
    # Each has an output of its own to fit, so that the squared error is a sum of one term for each.
    network = nn.Sequential(nn.Identity(), nn.Linear(5, 5, bias=False)).double()
    network[1].weight.data = torch.eye(5, dtype=torch.float64)
    x, y = torch.randn(7, 5).double(), torch.randn(7, 5).double()
    found = interaction(network, "0", x, y)
    assert found.strength.max() < 1e-12
    assert interaction_share(network, "0", x, y).value == pytest.approx(0, abs=1e-12)
    assert interaction_share(network, "0", x, y, samples=100).value == pytest.approx(0, abs=1e-12)
    relying = reliance(network, "0", x, y, contexts=5)
    assert relying.overall.value == pytest.approx(0, abs=1e-12)
    expected = (y.square() - (y - x).square()).mean(0)
    torch.testing.assert_close(found.effects, expected)


def test_two_units_that_are_needed_together_interact_as_an_and():
    # The value of a regression, minus the square of the product: only both change it.
    class And(nn.Module):
        def forward(self, h):
            return h.prod(1)

    network, y = nn.Sequential(nn.Identity(), And()).double(), torch.zeros(4, dtype=torch.float64)
    x = torch.ones(4, 2, dtype=torch.float64)
    found = interaction(network, "0", x, y, outputs="values")
    assert found.pairwise.tolist() == [[0, -1], [-1, 0]]
    assert found.effects.tolist() == [-0.5, -0.5]
    assert found.relative.value == 1
    # Of the product of two fair coins, 3/16, a sum of the two explains 2/16.
    assert interaction_share(network, "0", x, y, outputs="values").value == pytest.approx(1 / 3)
    # An effect is -1 or 0 with equal probability: variance 1/4, mean square 1/2.
    assert reliance(network, "0", x, y, outputs="values").units.tolist() == pytest.approx([0.5, 0.5])


def test_all_others_present_is_one_context_and_leaves_nothing_to_rely_on():
    network, x, y = random_network((4, 30, 3))
    found = interaction(network, "hidden1", x, y, keep_prob=1.0, contexts=7)
    assert found.exact
    assert found.n_contexts == 1
    assert interaction_share(network, "hidden1", x, y, keep_prob=1.0).value == 0
    assert not reliance(network, "hidden1", x, y, keep_prob=1.0).units.any()


def test_one_context_has_no_standard_error():
    network, x, y = random_network((4, 30, 3))
    found = interaction(network, "hidden1", x, y, contexts=1)
    assert math.isnan(found.total.stderr)
    assert math.isnan(found.relative.stderr)
    assert str(found.relative).endswith("± ?")


@pytest.mark.parametrize("name", MEASURES)
def test_the_generator_decides_and_the_global_state_stays(name):
    network, x, y = random_network((4, 30, 20, 3))
    measure = MEASURES[name]
    few = {"samples": 80} if name == "interaction_share" else {"contexts": 3}
    before = torch.get_rng_state()
    a, b = (measure(network, "hidden1", x, y, generator=torch.Generator().manual_seed(4), **few) for _ in range(2))
    c, d = (measure(network, "hidden1", x, y, **few) for _ in range(2))
    assert a == b
    assert c == d
    assert a != c
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(1)
    assert measure(network, "hidden1", x, y, **few) != c


@pytest.mark.parametrize("pairs", [True, False])
def test_one_part_at_a_time_holds_what_its_units_add(pairs):
    network, x, y = random_network(sizes=(4, 20, 30, 3))
    units = units_of(network, "hidden1", x, y, memory=2 * 4 * 20 * 30 * 8)  # enough for two examples
    assert len(units.parts) > 2
    held = [
        sum("_steps" in part.__dict__ for part in units.parts)
        for _ in toggled_in_contexts(units, 0.5, 3, torch.Generator(), pairs=pairs, progress=False)
    ]
    assert held == [1] * (3 * len(units.parts))
    assert not any("_steps" in part.__dict__ for part in units.parts)


def test_without_a_number_large_layers_are_sampled():
    network, x, y = random_network((4, 30, 3))
    assert interaction(network, "hidden1", x, y).n_contexts == 8
    assert interaction_share(network, "hidden1", x, y).draws == 1024
    assert reliance(network, "hidden1", x, y).overall.draws == 32


@pytest.mark.parametrize("function", [interaction, interaction_share, reliance])
def test_bad_input_is_refused(function):
    network, x, y = random_network()
    with pytest.raises(ValueError, match="keep_prob must be in \\(0, 1\\], got 0"):
        function(network, "hidden1", x, y, keep_prob=0)
    with pytest.raises(ValueError, match=r"got 'hidden3', which the network does not have; there are \[.*'hidden1'"):
        function(network, "hidden3", x, y)
    count = "samples" if function is interaction_share else "contexts"
    with pytest.raises(ValueError, match=f"{count} must be a whole number of at least .*, got 0"):
        function(network, "hidden1", x, y, **{count: 0})
    with pytest.raises(ValueError, match=f"{count} must be a whole number of at least .*, got 50.5"):
        function(network, "hidden1", x, y, **{count: 50.5})
    with pytest.raises(ValueError, match="y must hold classes from 0 to 2"):
        function(network, "hidden1", x, y + 1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("function", [interaction, interaction_share, reliance, compensation])
def test_half_precision_is_refused_and_does_not_pass_for_units_without_effect(function, dtype):
    network, x, y = random_network()
    with pytest.raises(ValueError, match=f"network computes in {dtype}, whose rounding hides .* give network.float"):
        function(network.to(dtype), "hidden1", x.to(dtype), y, progress=False)


def test_fewer_masks_than_a_fit_needs_are_refused():
    network, x, y = random_network((4, 60, 3))
    with pytest.raises(ValueError, match="samples must be a whole number of at least 67, or None, got 66"):
        interaction_share(network, "hidden1", x, y, samples=66)
    assert interaction_share(network, "hidden1", x, y, samples=67).stderr > 0
    with pytest.raises(ValueError, match="contexts must be a whole number of at least 3, or None, got 2"):
        reliance(network, "hidden1", x, y, contexts=2)


def test_results_print_as_what_they_say():
    network, x, y = random_network()
    assert repr(interaction(network, "hidden1", x, y)).startswith("Interaction(6 units: total ")
    assert repr(reliance(network, "hidden1", x, y)).startswith("Reliance(6 units: overall 0.")
    assert isinstance(interaction(network, "hidden1", x, y), Interaction)
    assert isinstance(reliance(network, "hidden1", x, y), Reliance)
