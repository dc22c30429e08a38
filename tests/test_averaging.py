"""The rules of averaging against naive loops, closed forms and each other."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dropout_lessons.averaging import (
    compare_averaging,
    ensemble_average,
    exact_average,
    monte_carlo_average,
    subnetworks,
    weight_scaling,
)
from dropout_lessons.averaging.factorized import HeadSum
from dropout_lessons.calibration import brier, ece, error, nll
from dropout_lessons.layers import Dropout
from dropout_lessons.masks import enumerate_masks, mask_log_prob
from dropout_lessons.networks import MLP
from dropout_lessons.running import MaskedNetwork

SIZES = {"input": 4, "hidden1": 5, "hidden2": 3}
KEEP = {"input": 0.8, "hidden1": 0.5, "hidden2": 0.7}
RULES = ["arithmetic", "geometric"]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mlp(**dropped: float) -> MLP:
    """A 4-5-3-3 network in double precision that drops the named layers' units."""
    keep = [dropped.get("hidden1", 1.0), dropped.get("hidden2", 1.0)]
    network = MLP([4, 5, 3, 3], keep_prob=keep, input_keep_prob=dropped.get("input", 1.0), generator=seeded()).double()
    for bias in (network.hidden1.bias, network.hidden2.bias, network.output.bias):
        bias.data.normal_(generator=seeded(7))
    return network


def inputs(examples: int = 6) -> torch.Tensor:
    return torch.randn(examples, 4, dtype=torch.float64, generator=seeded(1))


def naive(network: MLP, x: torch.Tensor, dropped: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights (masks,) and log-probabilities (masks, examples, classes), one subnetwork at a time."""
    n = sum(SIZES[name] for name in dropped)
    weights, log_probs = [], []
    for bits in enumerate_masks(n):
        masks = dict(zip(dropped, bits.split([SIZES[name] for name in dropped]), strict=True))
        weights.append(sum(mask_log_prob(mask, KEEP[name]) for name, mask in masks.items()).exp())
        with torch.no_grad():
            log_probs.append(network.eval()(x, masks=masks).log_softmax(dim=1))
    return torch.stack(weights), torch.stack(log_probs)


DROPPED = [["hidden2"], ["hidden1"], ["input"], ["hidden1", "hidden2"], ["input", "hidden1"], list(SIZES)]


@pytest.mark.parametrize("every_member", [False, True])
@pytest.mark.parametrize("dropped", DROPPED, ids="+".join)
def test_an_exact_average_is_that_of_a_loop_over_all_subnetworks(dropped, every_member):
    network, x = mlp(**{name: KEEP[name] for name in dropped}), inputs()
    weights, log_probs = naive(network, x, dropped)
    arithmetic = exact_average(network, x, rule="arithmetic", every_member=every_member, progress=False)
    geometric = exact_average(network, x, rule="geometric", every_member=every_member, progress=False)
    torch.testing.assert_close(arithmetic.probs, torch.einsum("m,mec->ec", weights, log_probs.exp()))
    mean_log = torch.einsum("m,mec->ec", weights, log_probs)
    torch.testing.assert_close(geometric.log_probs, mean_log.log_softmax(dim=1))
    for average in (arithmetic, geometric):
        torch.testing.assert_close(average.member_log_probs, mean_log)
        assert average.members == len(weights) == 2 ** sum(SIZES[name] for name in dropped)
        if every_member or "hidden2" not in dropped:
            votes = torch.nn.functional.one_hot(log_probs.argmax(dim=2), 3).double()
            torch.testing.assert_close(average.votes, torch.einsum("m,mec->ec", weights, votes))
            entropy = -(log_probs * log_probs.exp()).sum(dim=2)
            torch.testing.assert_close(average.member_entropy, weights @ entropy)
        else:
            assert average.votes is average.member_entropy is average.disagreement is average.mutual_information is None


@pytest.mark.parametrize("dropped", DROPPED, ids="+".join)
def test_the_subnetworks_come_in_the_order_of_their_masks(dropped):
    network, x = mlp(**{name: KEEP[name] for name in dropped}), inputs()
    weights, log_probs = naive(network, x, dropped)
    chunks = list(subnetworks(MaskedNetwork(network, memory=2**13), x))
    assert len(chunks) > 1
    torch.testing.assert_close(torch.cat([chunk.log_weights for chunk in chunks]).exp(), weights)
    torch.testing.assert_close(torch.cat([chunk.log_probs for chunk in chunks]), log_probs)
    masks = {name: torch.cat([chunk.masks[name] for chunk in chunks]) for name in chunks[0].masks}
    assert list(masks) == dropped
    assert torch.equal(torch.cat(list(masks.values()), dim=1), enumerate_masks(sum(SIZES[name] for name in dropped)))


@settings(max_examples=20)
@given(
    n_units=st.integers(1, 9),
    classes=st.integers(2, 5),
    keep_prob=st.floats(0.05, 0.95),
    scaling=st.sampled_from(["inverted", "standard"]),
    size=st.floats(0.01, 200.0),
    bias=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_the_factorized_sum_is_the_sum(n_units, classes, keep_prob, scaling, size, bias, seed):
    layer = nn.Linear(n_units, classes, bias=bias, dtype=torch.float64)
    layer.weight.data.normal_(std=size, generator=seeded(seed))
    network = nn.Sequential(Dropout(keep_prob, scaling=scaling), layer)
    x = torch.randn(4, n_units, dtype=torch.float64, generator=seeded(seed))
    for rule in RULES:
        listed = exact_average(network, x, rule=rule, every_member=True, progress=False)
        factorized = exact_average(network, x, rule=rule, progress=False)
        torch.testing.assert_close(factorized.log_probs, listed.log_probs, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(factorized.member_log_probs, listed.member_log_probs, rtol=1e-9, atol=1e-9)


def test_the_factorized_sum_lists_no_members_however_far_apart_the_logits_are(monkeypatch):
    # One of ten networks of chapter 5 has logits 700 nats apart with some masks: listing its members took 280 times as long.
    network = nn.Sequential(
        nn.Linear(5, 6), nn.ReLU(), Dropout(0.5), nn.Linear(6, 8), nn.ReLU(), Dropout(0.7), nn.Linear(8, 3)
    )
    network.double()[6].weight.data.normal_(std=300.0, generator=seeded())
    x = torch.cat([1e-3 * torch.randn(3, 5, generator=seeded()), torch.randn(3, 5, generator=seeded(1))]).double()
    listed = exact_average(network, x, every_member=True, progress=False)
    ways = []
    for way in ("_by_products", "_by_logarithms"):
        method = getattr(HeadSum, way)
        monkeypatch.setattr(HeadSum, way, lambda *given, way=way, method=method: ways.append(way) or method(*given))
    monkeypatch.delattr("dropout_lessons.running.members.Block.predictions")
    factorized = exact_average(network, x, progress=False)
    assert ways == ["_by_products", "_by_logarithms"]  # some rows are in range, and some are not
    torch.testing.assert_close(factorized.log_probs, listed.log_probs, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(factorized.member_log_probs, listed.member_log_probs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("size", [0.1, 3.0, 30.0])
def test_a_single_precision_network_has_the_double_precision_average(size):
    network = nn.Sequential(nn.Dropout(0.4), nn.Linear(13, 6))
    network[1].weight.data.normal_(std=size, generator=seeded())
    x = torch.randn(7, 13, generator=seeded())
    single = exact_average(network, x, progress=False)
    double = exact_average(network.double(), x.double(), progress=False)
    assert single.log_probs.dtype == torch.float64
    torch.testing.assert_close(single.log_probs, double.log_probs, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(single.member_log_probs, double.member_log_probs, rtol=1e-5, atol=1e-5)


# --- identities ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scaling", ["inverted", "standard"])
@pytest.mark.parametrize("keep_prob", [0.2, 0.5, 0.8])
def test_below_a_softmax_weight_scaling_is_the_geometric_mean(keep_prob, scaling):
    network = nn.Sequential(nn.Linear(4, 12), nn.ReLU(), Dropout(keep_prob, scaling=scaling), nn.Linear(12, 5)).double()
    network[3].weight.data.normal_(generator=seeded())
    scaled = weight_scaling(network, inputs())
    for every_member in (False, True):
        exact = exact_average(network, inputs(), rule="geometric", every_member=every_member, progress=False)
        torch.testing.assert_close(scaled.log_probs, exact.log_probs, rtol=1e-12, atol=1e-12)
    arithmetic = exact_average(network, inputs(), progress=False)
    assert (arithmetic.probs - scaled.probs).abs().max() > 1e-3


def test_below_a_relu_weight_scaling_is_not_the_geometric_mean():
    network = mlp(hidden1=0.5)
    exact = exact_average(network, inputs(), rule="geometric", progress=False)
    assert (exact.probs - weight_scaling(network, inputs()).probs).abs().max() > 1e-3


@pytest.mark.parametrize("dropped", DROPPED, ids="+".join)
def test_the_members_lose_to_their_geometric_mean_by_the_same_amount_for_every_class(dropped):
    network = mlp(**{name: KEEP[name] for name in dropped})
    average = exact_average(network, inputs(), rule="geometric", progress=False)
    gain = average.log_probs - average.member_log_probs  # -log Z
    assert (gain >= 0).all()
    torch.testing.assert_close(gain, gain[:, :1].expand_as(gain), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dropped", DROPPED, ids="+".join)
def test_the_arithmetic_mean_has_at_most_the_members_mean_loss_whatever_the_label(dropped):
    network = mlp(**{name: KEEP[name] for name in dropped})
    average = exact_average(network, inputs(), every_member=True, progress=False)
    assert (average.log_probs >= average.member_log_probs).all()
    assert (average.mutual_information >= 0).all()


def test_monte_carlo_converges_to_the_arithmetic_mean_with_variance_over_k():
    network, x = mlp(input=0.8, hidden1=0.5, hidden2=0.7), inputs(2)
    weights, log_probs = naive(network, x, list(SIZES))
    exact = torch.einsum("m,mec->ec", weights, log_probs.exp())
    variance = torch.einsum("m,mec->ec", weights, (log_probs.exp() - exact) ** 2)
    # Each example is repeated, and each copy has masks of its own: 2000 averages of each k in one call.
    copies, counts = 2000, (1, 10, 100)
    averages = monte_carlo_average(
        network, x.repeat_interleave(copies, dim=0), samples=counts, generator=seeded(), progress=False
    )
    squared = []
    for k in counts:
        values = averages[k].probs.view(2, copies, 3)
        assert ((values.mean(dim=1) - exact).abs() < 5 * (variance / k / copies).sqrt()).all()
        squared.append(((values - exact[:, None]) ** 2).mean(dim=1))
        # A mean of squares has a relative error of sqrt((kurtosis - 1) / copies); the probabilities are bounded.
        assert ((squared[-1] * k / variance - 1).abs() < 0.25).all()
    slope = (squared[-1].mean() / squared[0].mean()).log() / math.log(counts[-1])
    assert abs(slope + 1) < 0.05
    scaled = weight_scaling(network, x).probs
    error_of_mean = (variance / counts[-1] / copies).sqrt()
    assert ((exact - scaled).abs() > 20 * error_of_mean).any()  # so the test tells the two apart


@pytest.mark.parametrize("ahead", [1, 7, 64])
def test_masks_that_are_drawn_ahead_as_on_a_gpu_do_not_depend_on_the_chunks(ahead, monkeypatch):
    monkeypatch.setattr("dropout_lessons.averaging.monte_carlo._draws_ahead", lambda members: True)
    monkeypatch.setattr("dropout_lessons.averaging.monte_carlo._AHEAD", ahead)
    network, x = mlp(input=0.8, hidden1=0.5), inputs()
    exact = exact_average(network, x, progress=False).probs
    found = [
        monte_carlo_average(
            MaskedNetwork(network, memory=memory), x, samples=samples, generator=seeded(), progress=False
        )
        for memory, samples in ((2**28, 2000), (2**13, 2000), (2**28, [3, 100, 2000]))
    ]
    for average in (found[1], found[2][2000]):
        torch.testing.assert_close(average.probs, found[0].probs, rtol=1e-9, atol=1e-9)
    # A probability varies by at most 1/4 between subnetworks; five standard errors.
    assert (found[0].probs - exact).abs().max() < 5 * (0.25 / 2000) ** 0.5


def test_geometric_monte_carlo_converges_to_the_geometric_mean():
    network, x = mlp(input=0.8, hidden1=0.5), inputs(3)
    weights, log_probs = naive(network, x, ["input", "hidden1"])
    mean = torch.einsum("m,mec->ec", weights, log_probs)
    variance = torch.einsum("m,mec->ec", weights, (log_probs - mean) ** 2)
    k = 20_000
    average = monte_carlo_average(network, x, samples=k, rule="geometric", generator=seeded(), progress=False)
    assert ((average.member_log_probs - mean).abs() < 5 * (variance / k).sqrt()).all()
    torch.testing.assert_close(average.log_probs, average.member_log_probs.log_softmax(dim=1))
    exact = exact_average(network, x, progress=False)
    by_chance = monte_carlo_average(network, x, samples=k, generator=seeded(), progress=False)
    for name in ("votes", "member_entropy"):
        assert (getattr(by_chance, name) - getattr(exact, name)).abs().max() < 5 * 1.1 / k**0.5  # entropy <= log 3
    assert abs(by_chance.disagreement - exact.disagreement) < 0.05


def test_for_an_affine_network_the_mean_logit_is_that_of_weight_scaling():
    # With two classes and outputs that are affine in the mask, log p_1 - log p_2 is affine too.
    network = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 5), nn.Dropout(0.3), nn.Linear(5, 2)).double()
    exact = exact_average(network, inputs(), rule="geometric", progress=False)
    torch.testing.assert_close(exact.log_probs, weight_scaling(network, inputs()).log_probs)


# --- what is averaged ---------------------------------------------------------------------------------------------


def constant(probs: list[float]) -> nn.Module:
    layer = nn.Linear(4, len(probs), dtype=torch.float64)
    layer.weight.data.zero_()
    layer.bias.data = torch.tensor(probs, dtype=torch.float64).log() + 3.0  # logits are no log-probabilities
    return layer


def test_probabilities_are_averaged_and_not_classes_logits_or_unnormalized_geometric_means():
    members = [constant([0.98, 0.01, 0.01]), constant([0.3, 0.4, 0.3]), constant([0.3, 0.4, 0.3])]
    arithmetic = ensemble_average(members, inputs(1))
    assert arithmetic.probs[0].tolist() == pytest.approx([1.58 / 3, 0.81 / 3, 0.61 / 3])
    assert arithmetic.probs.argmax() == 0  # the vote is for class 1
    assert arithmetic.votes[0].tolist() == pytest.approx([1 / 3, 2 / 3, 0])
    geometric = ensemble_average(members, inputs(1), rule="geometric")
    means = [(0.98 * 0.3 * 0.3) ** (1 / 3), (0.01 * 0.4 * 0.4) ** (1 / 3), (0.01 * 0.3 * 0.3) ** (1 / 3)]
    assert geometric.probs[0].tolist() == pytest.approx([mean / sum(means) for mean in means])
    assert sum(means) < 0.9
    assert arithmetic.disagreement == pytest.approx(2 / 3)  # 2 of the 3 pairs
    assert arithmetic.members == arithmetic.forward_passes == 3


@pytest.mark.parametrize("rule", RULES)
def test_what_the_network_returns_is_said_and_not_guessed(rule):
    network, x = mlp(hidden1=0.5), inputs()
    by_logits = exact_average(network, x, rule=rule, progress=False)
    for outputs, last in (("log_probs", nn.LogSoftmax(dim=1)), ("probs", nn.Softmax(dim=1))):
        returning = nn.Sequential(network, last)
        average = exact_average(MaskedNetwork(returning, outputs=outputs), x, rule=rule, progress=False)
        torch.testing.assert_close(average.log_probs, by_logits.log_probs)
        assert weight_scaling(MaskedNetwork(returning, outputs=outputs), x).probs.sum().item() == pytest.approx(len(x))
    with pytest.raises(ValueError, match='say outputs="probs"'):
        exact_average(nn.Sequential(network, nn.Softmax(dim=1)), x, progress=False)
    with pytest.raises(ValueError, match="do not sum to 1"):
        weight_scaling(MaskedNetwork(network, outputs="probs"), x)
    with pytest.raises(ValueError, match="exponentials do not sum to 1"):
        ensemble_average([MaskedNetwork(network, outputs="log_probs")], x)
    with pytest.raises(
        ValueError, match=r"outputs must be one of \['logits', .*'values', 'mean_and_variance'\], .* got 'softmax'"
    ):
        weight_scaling(MaskedNetwork(network, outputs="softmax"), x)


def test_improbable_classes_keep_their_digits():
    network = nn.Sequential(nn.Dropout(0.5), nn.Linear(1, 2, bias=False)).double()
    network[1].weight.data = torch.tensor([[0.0], [-900.0]], dtype=torch.float64)
    average = exact_average(network, torch.ones(1, 1, dtype=torch.float64), progress=False)
    assert average.log_probs[0].tolist() == pytest.approx([math.log(0.75), math.log(0.25)])
    network[0] = nn.Identity()
    scaled = weight_scaling(network, torch.ones(1, 1, dtype=torch.float64))
    assert scaled.log_probs[0].tolist() == pytest.approx([0.0, -900.0])
    alone = ensemble_average([network, network], torch.ones(1, 1, dtype=torch.float64))
    assert alone.log_probs[0].tolist() == pytest.approx([0.0, -900.0])


def test_a_geometric_mean_with_no_class_left_is_refused():
    class Certain(nn.Module):
        def __init__(self, label):
            super().__init__()
            self.label = label

        def forward(self, x):
            return torch.nn.functional.one_hot(torch.full((len(x),), self.label), 2).double()

    members = [MaskedNetwork(Certain(index), outputs="probs") for index in (0, 1)]
    assert ensemble_average(members, inputs(1)).probs.tolist() == [[0.5, 0.5]]
    with pytest.raises(ValueError, match='rule="geometric" has no value'):
        ensemble_average(members, inputs(1), rule="geometric")


# --- chunks and draws ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [1, 2**13, 2**17])
def test_the_memory_bound_changes_no_result(memory):
    network, x = mlp(input=0.8, hidden1=0.5, hidden2=0.7), inputs(300)  # more examples than one block of draws
    for every_member in (False, True):
        if memory > 1:
            small = exact_average(
                MaskedNetwork(network, memory=memory), x[:9], every_member=every_member, progress=False
            )
            large = exact_average(network, x[:9], every_member=every_member, progress=False)
            torch.testing.assert_close(small.log_probs, large.log_probs)
    small, large = (
        monte_carlo_average(MaskedNetwork(network, memory=m), x, samples=(2, 7), generator=seeded(), progress=False)
        for m in (memory, 2**28)
    )
    for k in (2, 7):
        torch.testing.assert_close(small[k].log_probs, large[k].log_probs)
        torch.testing.assert_close(small[k].votes, large[k].votes)


def test_several_numbers_of_samples_are_the_beginnings_of_one_sequence():
    network, x = mlp(hidden1=0.5, hidden2=0.7), inputs(300)
    together = monte_carlo_average(network, x, samples=list(np.array([30, 1, 5])), generator=seeded(), progress=False)
    assert list(together) == [30, 1, 5]
    for k, average in together.items():
        alone = monte_carlo_average(network, x, samples=k, generator=seeded(), progress=False)
        torch.testing.assert_close(average.log_probs, alone.log_probs)
        assert average.members == k


def test_the_generator_decides_and_only_it_advances():
    network, x = mlp(hidden1=0.5, input=0.8), inputs()
    with torch.random.fork_rng():
        torch.manual_seed(3)
        before = torch.get_rng_state()
        first = monte_carlo_average(network, x, samples=5, progress=False)
        assert torch.equal(before, torch.get_rng_state())
        again = monte_carlo_average(network, x, samples=5, progress=False)
        assert torch.equal(first.log_probs, again.log_probs)
        torch.manual_seed(4)
        other = monte_carlo_average(network, x, samples=5, progress=False)
        assert not torch.equal(first.log_probs, other.log_probs)
    generator = seeded()
    one, two = (monte_carlo_average(network, x, samples=5, generator=generator, progress=False) for _ in range(2))
    assert not torch.equal(one.log_probs, two.log_probs)
    same = monte_carlo_average(network, x, samples=5, generator=seeded(), progress=False)
    assert torch.equal(one.log_probs, same.log_probs)


def test_every_member_and_example_has_a_mask_of_its_own():
    network = nn.Sequential(nn.Dropout(0.5), nn.Linear(30, 2)).double()
    average = monte_carlo_average(network, torch.ones(300, 30).double(), samples=1, generator=seeded(), progress=False)
    assert len(average.log_probs[:, 0].unique()) == 300


def test_forward_passes_count_the_work_above_the_first_mask():
    network = MLP([20, 40, 40, 3], keep_prob=[1.0, 0.5], generator=seeded())
    x = torch.randn(4, 20, generator=seeded())
    full = 20 * 40 + 40 * 40 + 40 * 3
    average = monte_carlo_average(network, x, samples=50, generator=seeded(), progress=False)
    assert average.forward_passes == pytest.approx((20 * 40 + 40 * 40 + 50 * 40 * 3) / full)
    assert weight_scaling(network, x).forward_passes == 1
    small = MLP([20, 10, 3], keep_prob=0.5, generator=seeded())
    listed = exact_average(small, x, every_member=True, progress=False)
    assert listed.forward_passes == pytest.approx((20 * 10 + 2**10 * 10 * 3) / (20 * 10 + 10 * 3))
    assert exact_average(small, x, progress=False).forward_passes < listed.forward_passes


@pytest.mark.parametrize("sizes", [[4, 8, 3], [4, 3, 8, 3]])
def test_forward_passes_of_a_factorized_sum_are_its_multiplications(sizes):
    n, classes, below = sizes[-2], sizes[-1], sum(a * b for a, b in itertools.pairwise(sizes[1:-1]))
    lower = 2 ** sum(sizes[1:-2])
    full = 2 * sum(a * b for a, b in itertools.pairwise(sizes))
    tables = 2 * classes * 2 * 2 ** (n // 2) * (n // 2)  # both halves
    # Two products of the tables, and a reciprocal and a logarithm of each normalizer.
    own = tables + (4 * classes + 2) * 2**n
    expected = (2 * sizes[0] * sizes[1] + lower * 2 * below + lower * own) / full
    average = exact_average(MLP(sizes, keep_prob=0.5), torch.randn(5, 4), progress=False)
    assert average.forward_passes == pytest.approx(expected)


@pytest.mark.parametrize("memory", [2**18, 2**20, 2**22])
def test_a_chunk_of_subnetworks_keeps_to_its_memory_however_many_examples(memory):
    masked = MaskedNetwork(MLP([4, 12, 3], keep_prob=0.5), memory=memory)
    chunk = next(subnetworks(masked, torch.randn(2000, 4)))
    # The predictions and a copy of them in the making; and not much less than there is room for.
    assert memory / 2 < 2 * chunk.log_probs.nbytes <= memory


# --- the table ----------------------------------------------------------------------------------------------------


def test_the_table_holds_what_the_rules_and_the_measures_give():
    network, x, y = mlp(hidden1=0.5, hidden2=0.7), inputs(40), torch.arange(40) % 3
    plain = [mlp() for _ in range(3)]
    table = compare_averaging(
        network, x, y, samples=(1, 20), ensembles={"three nets": plain}, generator=seeded(), progress=False
    )
    drawn = monte_carlo_average(network, x, samples=(1, 20), generator=seeded(), progress=False)
    averages = [
        ("weight scaling", weight_scaling(network, x), 1),
        ("geometric mean, exact", exact_average(network, x, rule="geometric", every_member=True, progress=False), 1),
        ("arithmetic mean, exact", exact_average(network, x, every_member=True, progress=False), 1),
        ("Monte Carlo", drawn[1], 1),
        ("Monte Carlo", drawn[20], 1),
        ("three nets", ensemble_average(plain, x), 3),
    ]
    assert list(table.columns) == [
        *("rule", "members", "error", "nll", "brier", "ece"),
        *("disagreement", "forward_passes", "training_cost", "seconds"),
    ]
    assert len(table) == len(averages)
    for row, (rule, average, cost) in zip(table.itertuples(), averages, strict=True):
        assert (row.rule, row.members, row.training_cost) == (rule, average.members, cost)
        assert (row.error, row.nll) == pytest.approx((error(average.probs, y), nll(average.log_probs, y)))
        assert (row.brier, row.ece) == pytest.approx((brier(average.probs, y), ece(average.probs, y)))
        assert row.forward_passes == pytest.approx(average.forward_passes)
        if average.disagreement is None:
            assert math.isnan(row.disagreement)
        else:
            assert row.disagreement == pytest.approx(average.disagreement)
        assert row.seconds > 0
    assert [str(dtype) for dtype in table.dtypes] == ["object", "int64", *["float64"] * 6, "int64", "float64"] or (
        [str(dtype) for dtype in table.dtypes[1:]] == ["int64", *["float64"] * 6, "int64", "float64"]
    )


def test_costs_of_an_ensemble_are_in_forward_passes_of_the_network_that_it_is_compared_with():
    network, x, y = MLP([4, 16, 3], keep_prob=0.5), torch.randn(5, 4), torch.arange(5) % 3
    halves = {"two halves": [MLP([4, 8, 3]) for _ in range(2)]}
    none = MaskedNetwork(network, max_subnetworks=0)
    table = compare_averaging(none, x, y, samples=(), ensembles=halves, progress=False)
    assert table["forward_passes"].tolist() == [1, 1]
    with pytest.raises(ValueError, match=r"samples must be a sequence of positive integers, such as \(1, 10\), got 10"):
        compare_averaging(network, x, y, samples=10, progress=False)


def test_exact_rows_are_left_out_where_they_cost_too_much_unless_asked_for():
    network, x, y = MLP([4, 18, 3], keep_prob=0.5, generator=seeded()), torch.randn(5, 4), torch.arange(5) % 3

    def rules(most):
        masked = MaskedNetwork(network, max_subnetworks=most)
        return set(compare_averaging(masked, x, y, samples=(1,), progress=False)["rule"])

    assert rules(None) == rules(2**17) == {"weight scaling", "Monte Carlo"}
    assert "geometric mean, exact" in rules(2**18)
    with pytest.raises(ValueError, match="2\\^18 = 262,144 subnetworks, more than max_subnetworks=1,000"):
        exact_average(MaskedNetwork(network, max_subnetworks=1000), x)
    with pytest.raises(
        ValueError, match="y must hold classes from 0 to 2, as many as the network has outputs, got 1 to 3"
    ):
        compare_averaging(network, x, y + 1, progress=False)
