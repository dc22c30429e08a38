"""Removing units and adding noise: curves and compensation against loops over networks, closed forms and invariances."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_units import asked
from torch import nn

from dropout_lessons import coadaptation
from dropout_lessons.coadaptation import Curve
from dropout_lessons.networks import MLP

ablation_curve, compensation = asked(coadaptation.ablation_curve), asked(coadaptation.compensation)


def robustness_curve(network, x, y=None, *, layer=None, **settings):
    """Of the layer, where it matters; else of the first one."""
    layer = layer or next(name for name, _ in network.named_modules() if name)
    return asked(coadaptation.robustness_curve)(network, layer, x, y, **settings)


QUIET = {"progress": False}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mlp(*sizes: int, seed: int = 0) -> MLP:
    """A random network that predicts each class about as often as the others."""
    network = MLP(sizes or [4, 6, 5, 3], keep_prob=0.5, generator=seeded(seed)).double()
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            parameter.data.normal_(generator=seeded(7))
    network.eval()
    logits = network(data(500, inputs=network.sizes[0])[0]).detach()
    network.output.weight.data /= logits.std(0)[:, None]
    network.output.bias.data = (network.output.bias.data - logits.mean(0)) / logits.std(0)
    return network


def data(examples: int = 40, inputs: int = 4, classes: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(examples, inputs, dtype=torch.float64, generator=seeded(1))
    return x, torch.randint(classes, (examples,), generator=seeded(2))


@torch.no_grad()
def without(network: nn.Module, layer: str, x: torch.Tensor, missing, clamp: str = "zero") -> torch.Tensor:
    """The network's output without some units, by a hook: the plain way."""

    def remove(module, args, output):
        output = output.clone()
        others = [axis for axis in range(output.dim()) if axis != 1]
        for j in missing:
            output[:, j] = 0.0 if clamp == "zero" else output.mean(others)[j]
        return output

    with network.get_submodule(layer).register_forward_hook(remove):
        return network(x)


def accuracy(logits: torch.Tensor, y: torch.Tensor) -> float:
    return (logits.argmax(1) == y).double().mean().item()


def value(logits: torch.Tensor, y: torch.Tensor) -> float:
    return logits.log_softmax(1).gather(1, y[:, None]).mean().item()


# Ablation curves


@pytest.mark.parametrize("clamp", ["zero", "mean"])
@pytest.mark.parametrize("layer", ["hidden1", "hidden2"])
def test_an_exact_ablation_curve_is_the_mean_over_all_subsets(layer, clamp):
    network, (x, y) = mlp(), data()
    curve = ablation_curve(network, layer, x, y, clamp=clamp, **QUIET)
    n = {"hidden1": 6, "hidden2": 5}[layer]
    for k in range(n + 1):
        subsets = itertools.combinations(range(n), k)
        scores = [accuracy(without(network, layer, x, missing, clamp), y) for missing in subsets]
        assert curve.score[0, k].item() == pytest.approx(np.mean(scores), abs=1e-12)
    assert torch.equal(curve.level, torch.arange(n + 1).double() / n)
    assert curve.exact
    assert curve.area.stderr == 0
    assert curve.perturbation == f"{clamp} clamp"
    assert curve.chance == torch.bincount(y).max() / len(y)


@pytest.mark.parametrize("layer", ["hidden1", "hidden2"])
def test_a_drawn_ablation_curve_agrees_with_the_exact_one(layer):
    network, (x, _) = mlp(), data()
    y = network(x).argmax(1)
    exact = ablation_curve(network, layer, x, y, **QUIET)
    drawn = ablation_curve(network, layer, x, y, orders=200, generator=seeded(), **QUIET)
    assert drawn.score.shape == (200, len(exact.level))
    stderr = drawn.score.std(0) / math.sqrt(200)
    assert bool(((drawn.mean - exact.mean).abs() <= 5 * stderr + 1e-12).all())
    assert abs(drawn.area.value - exact.area.value) < 5 * drawn.area.stderr
    assert drawn.area.stderr < 0.05
    assert torch.equal(drawn.score[:, 0], exact.score[:, 0].expand(200))  # the intact network
    assert torch.equal(drawn.score[:, -1], exact.score[:, -1].expand(200))  # nothing left


def test_units_are_removed_one_after_the_other():
    """Each row of a drawn curve is one order of removals: every step is the network without one unit more."""
    network, (x, y) = mlp(4, 14, 3), data()
    curve = ablation_curve(network, "hidden1", x, y, orders=3, generator=seeded(5), **QUIET)
    keys = torch.rand(3, 14, generator=seeded(5), dtype=torch.float64)
    for order, scores in zip(keys.argsort(dim=1).tolist(), curve.score, strict=True):
        plain = [accuracy(without(network, "hidden1", x, order[:k]), y) for k in range(15)]
        assert scores.tolist() == pytest.approx(plain)


def test_points_are_numbers_of_removed_units_from_none_to_all():
    network, (x, y) = mlp(4, 20, 3), data()
    curve = ablation_curve(network, "hidden1", x, y, orders=2, points=5, generator=seeded(), **QUIET)
    assert curve.level.tolist() == [0, 0.25, 0.5, 0.75, 1]
    every = ablation_curve(network, "hidden1", x, y, orders=2, generator=seeded(), **QUIET)
    assert torch.equal(curve.score, every.score[:, ::5])


def test_the_curve_of_a_regression_is_the_share_of_the_variance_explained():
    network, (x, _) = mlp(4, 5, 2), data()
    y = torch.randn(40, 2, dtype=torch.float64, generator=seeded(3)) + network(x).detach()
    curve = ablation_curve(network, "hidden1", x, y, **QUIET)
    total = ((y - y.mean(0)) ** 2).sum()
    for k in range(6):
        subsets = itertools.combinations(range(5), k)
        scores = [
            1 - (((y - without(network, "hidden1", x, missing)) ** 2).sum() / total).item() for missing in subsets
        ]
        assert curve.score[0, k].item() == pytest.approx(np.mean(scores))
    assert curve.metric == "R²"
    assert curve.chance == 0


def test_without_labels_the_intact_network_agrees_with_itself():
    network, (x, _) = mlp(), data()
    predicted = network(x).argmax(1)
    own, labeled = (ablation_curve(network, "hidden1", x, y, **QUIET) for y in (None, predicted))
    assert torch.equal(own.score, labeled.score)
    assert own.score[0, 0] == 1


def test_the_area_is_the_share_of_the_lead_over_chance_that_is_kept():
    level = torch.tensor([0.0, 0.5, 1.0])
    for score, area in (
        ([0.9, 0.9, 0.9], 1.0),
        ([0.9, 0.1, 0.1], 0.25),
        ([0.9, 0.5, 0.1], 0.5),
        ([0.1, 0.1, 0.1], 0.0),
    ):
        curve = Curve("zero clamp", level, torch.tensor([score]), 0.1, exact=True)
        assert curve.area.value == pytest.approx(area)
        assert curve.area.exact
    # Falls to chance at once, on a fine grid: near 0. Twice the range of levels: the same share.
    fine = Curve("zero clamp", torch.linspace(0, 2, 101), torch.tensor([[0.9] + 100 * [0.1]]), 0.1, exact=True)
    assert fine.area.value == pytest.approx(0.005)


def test_the_standard_error_of_the_area_is_that_of_the_draws():
    score = torch.tensor([[0.9, 0.5], [0.9, 0.3], [0.9, 0.1]], dtype=torch.float64)
    area = Curve("zero clamp", torch.tensor([0.0, 1.0]), score, 0.1).area
    areas = [0.75, 0.625, 0.5]
    assert area.value == pytest.approx(np.mean(areas))
    assert area.stderr == pytest.approx(np.std(areas, ddof=1) / math.sqrt(3))
    assert area.draws == 3


# Compensation


@pytest.mark.parametrize("clamp", ["zero", "mean"])
@pytest.mark.parametrize("layer", ["hidden1", "hidden2"])
def test_exact_compensation_is_the_mean_over_all_sets(layer, clamp):
    network, (x, y) = mlp(), data()
    n = {"hidden1": 6, "hidden2": 5}[layer]
    result = compensation(network, layer, x, y, sizes=range(1, n + 1), clamp=clamp, **QUIET)
    intact = value(network(x).detach(), y)
    single = [intact - value(without(network, layer, x, [j], clamp), y) for j in range(n)]
    assert result.single_damage.tolist() == pytest.approx(single)
    for k in range(1, n + 1):
        sets = list(itertools.combinations(range(n), k))
        damage = np.mean([intact - value(without(network, layer, x, missing, clamp), y) for missing in sets])
        summed = np.mean([sum(single[j] for j in missing) for missing in sets])
        assert result.set_damage[k - 1].item() == pytest.approx(damage)
        assert result.summed_damage[k - 1].item() == pytest.approx(summed)
        assert result.ratio[k - 1].item() == pytest.approx(damage / summed)
    assert not result.stderr.any()


def test_drawn_compensation_agrees_with_the_exact_one():
    network, (x, y) = mlp(4, 10, 8, 3), data()
    exact = compensation(network, "hidden1", x, y, sizes=[1, 2, 5, 10], sets=252, **QUIET)
    drawn = compensation(network, "hidden1", x, y, sizes=[1, 2, 5, 10], sets=40, generator=seeded(), **QUIET)
    assert not exact.stderr.any()
    assert bool((drawn.stderr[1:3] > 0).all())
    assert not drawn.stderr[[0, 3]].any()  # all sets of 1 and of 10 units are taken
    assert bool(((drawn.ratio - exact.ratio).abs() <= 5 * drawn.stderr + 1e-12).all())


def test_drawn_sets_are_compared_with_the_sums_of_their_own_units():
    network, (x, y) = mlp(4, 12, 3), data()
    result = compensation(network, "hidden1", x, y, sizes=[4], sets=7, generator=seeded(3), **QUIET)
    keys = torch.rand(7, 12, generator=seeded(3), dtype=torch.float64)
    sets = [order[:4] for order in keys.argsort(dim=1).tolist()]
    intact = value(network(x).detach(), y)
    together = [intact - value(without(network, "hidden1", x, missing), y) for missing in sets]
    single = [intact - value(without(network, "hidden1", x, [j]), y) for j in range(12)]
    assert result.set_damage.item() == pytest.approx(np.mean(together))
    assert result.summed_damage.item() == pytest.approx(np.mean([sum(single[j] for j in missing) for missing in sets]))


def test_the_error_of_a_ratio_is_its_spread_over_repetitions():
    network, (x, _) = mlp(4, 30, 20, 3), data()
    again = [
        compensation(network, "hidden1", x, sizes=[10], sets=40, generator=seeded(seed), **QUIET) for seed in range(80)
    ]
    spread = torch.cat([result.ratio for result in again]).std().item()
    stated = torch.cat([result.stderr for result in again]).square().mean().sqrt().item()
    assert stated == pytest.approx(spread, rel=0.3)  # of 80 repetitions, whose spread is known to 8%


def test_a_unit_alone_has_no_one_to_be_compensated_by():
    network, (x, y) = mlp(4, 70, 3), data()
    assert compensation(network, "hidden1", x, y, sets=10, generator=seeded(), **QUIET).ratio[0] == 1.0


def test_copies_that_cover_for_each_other_cost_more_together():
    """Outputs that saturate: of two copies one is enough, so the pair costs far more than one and one."""

    class Saturated(nn.Module):
        def __init__(self):
            super().__init__()
            self.copies = nn.Linear(1, 2, bias=False)
            nn.init.ones_(self.copies.weight)

        def forward(self, x):
            evidence = 8 * self.copies(x).sum(1, keepdim=True).clamp(max=1.0)
            return torch.cat([evidence, -evidence], dim=1)

    x, y = torch.ones(5, 1), torch.zeros(5, dtype=torch.int64)
    result = compensation(Saturated(), "copies", x, y, **QUIET)
    assert result.single_damage.tolist() == [0, 0]
    assert result.ratio.tolist() == [1.0, math.inf]  # nothing against something
    assert result.set_damage[1] > 0.6


def test_units_without_any_effect_add_up():
    network, (x, y) = mlp(4, 6, 3), data()
    network.output.weight.data.zero_()
    result = compensation(network, "hidden1", x, y, **QUIET)
    assert result.ratio.tolist() == [1.0, 1.0, 1.0, 1.0]
    assert not result.set_damage.any()


def test_effects_of_an_additive_regression_on_its_own_output_grow_with_the_square():
    """With one unit's worth of output each, removing k of them costs k squared: k times the sum of the single damages."""
    network = nn.Sequential(nn.Linear(1, 6), nn.ReLU(), nn.Linear(6, 1, bias=False))
    for parameter in network.parameters():
        nn.init.ones_(parameter)
    result = compensation(network, "1", torch.zeros(4, 1), outputs="values", sizes=[1, 2, 3, 6], **QUIET)
    assert result.ratio.tolist() == pytest.approx([1, 2, 3, 6])


# Robustness curves

PERTURBATIONS = ["activation noise", "weight noise", "input corruption"]


def robustness(network, x, y=None, *, perturbation, seed=0, **settings):
    layer = "hidden1" if perturbation == "activation noise" else None
    return robustness_curve(
        network, x, y, perturbation=perturbation, layer=layer, generator=seeded(seed), **QUIET, **settings
    )


@pytest.mark.parametrize("perturbation", PERTURBATIONS)
def test_level_zero_is_the_intact_network_and_noise_costs_accuracy(perturbation):
    network, (x, _) = mlp(4, 30, 20, 3), data(200)
    y = network(x).argmax(1)
    curve = robustness(network, x, y, perturbation=perturbation, draws=4)
    assert curve.score[:, 0].tolist() == [1.0] * 4
    assert curve.mean[-1] < 0.8
    assert 0 < curve.area.value < 1
    assert curve.area.draws == 4
    assert torch.equal(robustness(network, x, perturbation=perturbation, draws=4).score, curve.score)


@pytest.mark.parametrize("perturbation", PERTURBATIONS)
def test_the_generator_decides_the_noise_and_nothing_is_changed(perturbation):
    network, (x, y) = mlp().train(), data()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    first, again, other = (robustness(network, x, y, perturbation=perturbation, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.score, again.score)
    assert not torch.equal(first.score, other.score)
    layer = "hidden1" if perturbation == "activation noise" else None
    robustness_curve(network, x, y, perturbation=perturbation, layer=layer, **QUIET)  # a copy of the global generator
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(module.training for module in network.modules())
    assert not any(module._forward_hooks for module in network.modules())


def test_activation_noise_has_the_stated_standard_deviation():
    seen = []

    class Watch(nn.Module):
        def forward(self, h):
            seen.append(h.clone())
            return h[:, :2]

    scales = torch.tensor([1.0, 10.0, 0.0])
    network = nn.Sequential(nn.Identity(), Watch())
    x = torch.randn(20 * 128, 3, generator=seeded()) * scales + scales
    robustness_curve(network, x, perturbation="activation noise", layer="0", levels=[0, 0.5], draws=1, **QUIET)
    noise = torch.cat(seen[-20:]) - x  # examples run 128 at a time
    rms = x.square().mean(0).sqrt()
    # Five standard errors of a standard deviation, of a mean, and of a correlation.
    assert noise.std(0).tolist() == pytest.approx((0.5 * rms).tolist(), rel=5 / math.sqrt(2 * len(x)))
    assert noise.mean(0).abs().tolist() == pytest.approx([0, 0, 0], abs=2.5 * rms.max().item() / math.sqrt(len(x)))
    assert abs(np.corrcoef(noise[:, 0], noise[:, 1])[0, 1]) < 5 / math.sqrt(len(x))


def test_weight_noise_has_the_stated_standard_deviation_and_spares_biases():
    seen = []

    class Watch(nn.Linear):
        def forward(self, x):
            seen.append((self.weight.detach().clone(), self.bias.detach().clone()))
            return super().forward(x)

    network = nn.Sequential(layer := Watch(300, 200))
    layer.weight.data.normal_(generator=seeded())
    x = torch.randn(3, 300)
    seen.clear()
    robustness_curve(network, x, perturbation="weight noise", levels=[0, 2.0], draws=2, **QUIET)
    noisy = [(weight, bias) for weight, bias in seen if not torch.equal(weight, layer.weight)]
    assert len(noisy) == 2
    for weight, bias in noisy:
        noise = weight - layer.weight.detach()
        assert noise.std().item() == pytest.approx(2 * layer.weight.square().mean().sqrt().item(), rel=0.02)
        assert torch.equal(bias, layer.bias)
    assert not torch.equal(noisy[0][0], noisy[1][0])


def test_corrupted_features_are_those_of_other_examples():
    seen = []

    class Watch(nn.Module):
        def forward(self, x):
            seen.append(x.clone())
            return x[:, :2]

    x = torch.arange(60_000).view(300, 200).float()  # every entry is recognized
    robustness_curve(nn.Sequential(Watch()), x, perturbation="input corruption", levels=[0, 0.3, 1], draws=1, **QUIET)
    half, all_of_it = seen[-2:]
    assert torch.equal(half % 200, x % 200)  # the same feature
    changed = half != x
    assert changed.float().mean().item() == pytest.approx(0.3, abs=5 * math.sqrt(0.21 / 60_000))
    assert bool((all_of_it != x).all())  # never the example itself
    assert torch.equal(all_of_it[changed], half[changed])  # what is corrupted stays so at higher levels
    rows = torch.bincount((all_of_it // 200).long().flatten(), minlength=300)
    assert abs(rows.float().mean().item() - 200) < 1e-6
    assert rows.float().std().item() == pytest.approx(math.sqrt(200), rel=0.25)  # every example alike


# Invariances


def permuted(network: MLP, order: torch.Tensor) -> None:
    network.hidden1.weight.data = network.hidden1.weight.data[order]
    network.hidden1.bias.data = network.hidden1.bias.data[order]
    network.hidden2.weight.data = network.hidden2.weight.data[:, order]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31))
def test_no_exact_measure_depends_on_the_order_or_scale_of_units(seed):
    (x, y), network, other = data(), mlp(), mlp()
    scale = 10 ** (torch.rand(6, 1, dtype=torch.float64, generator=seeded(seed)) * 2 - 1)
    other.hidden1.weight.data *= scale
    other.hidden1.bias.data *= scale[:, 0]
    other.hidden2.weight.data /= scale[:, 0]
    permuted(other, torch.randperm(6, generator=seeded(seed)))
    for clamp in ("zero", "mean"):
        a, b = (ablation_curve(net, "hidden1", x, y, clamp=clamp, **QUIET) for net in (network, other))
        torch.testing.assert_close(a.score, b.score)
        a, b = (compensation(net, "hidden1", x, y, clamp=clamp, **QUIET) for net in (network, other))
        torch.testing.assert_close(a.ratio, b.ratio)


def test_activation_noise_does_not_depend_on_the_scale_of_units():
    (x, y), network, other = data(200), mlp(), mlp()
    scale = torch.tensor([0.01, 0.1, 1, 1, 10, 100], dtype=torch.float64)
    other.hidden1.weight.data *= scale[:, None]
    other.hidden1.bias.data *= scale
    other.hidden2.weight.data /= scale
    a, b = (robustness(net, x, y, perturbation="activation noise") for net in (network, other))
    assert torch.equal(a.score, b.score)


def test_weight_noise_does_not_depend_on_the_scale_of_layers():
    (x, y), network, other = data(200), mlp(), mlp()
    other.hidden1.weight.data *= 64
    other.hidden1.bias.data *= 64
    other.hidden2.weight.data /= 64
    a, b = (robustness(net, x, y, perturbation="weight noise") for net in (network, other))
    assert torch.equal(a.score, b.score)


def test_unused_units_change_no_exact_ratio_of_all_units_and_no_activation_noise():
    (x, y), network = data(), mlp(4, 5, 3)
    wider = mlp(4, 9, 3)
    wider.hidden1.weight.data[:5], wider.hidden1.bias.data[:5] = network.hidden1.weight.data, network.hidden1.bias.data
    wider.output.weight.data = torch.cat([network.output.weight.data, torch.zeros(3, 4, dtype=torch.float64)], 1)
    wider.output.bias.data = network.output.bias.data
    few, many = (compensation(net, "hidden1", x, y, sizes=[n], **QUIET) for net, n in ((network, 5), (wider, 9)))
    torch.testing.assert_close(few.ratio, many.ratio)
    torch.testing.assert_close(many.single_damage, torch.cat([few.single_damage, torch.zeros(4)]).double())


# Any module


def test_channels_are_removed_as_a_whole():
    network = nn.Sequential(nn.Conv2d(1, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(45, 3)).double()
    x, y = torch.randn(20, 1, 5, 5, dtype=torch.float64, generator=seeded()), torch.randint(3, (20,))
    for clamp in ("zero", "mean"):
        curve = ablation_curve(network, "1", x, y, clamp=clamp, **QUIET)
        expected = np.mean([accuracy(without(network, "1", x, [j], clamp), y) for j in range(5)])
        assert curve.score[0, 1].item() == pytest.approx(expected)
    for perturbation in PERTURBATIONS:
        layer = "1" if perturbation == "activation noise" else None
        curve = robustness_curve(network, x, y, perturbation=perturbation, layer=layer, draws=3, **QUIET)
        assert curve.score.shape[0] == 3


def test_batch_normalization_in_training_mode_keeps_its_statistics():
    network = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3)).train()
    x, y = torch.randn(20, 4), torch.randint(3, (20,))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    ablation_curve(network, "2", x, y, **QUIET)
    for perturbation in PERTURBATIONS:
        layer = "2" if perturbation == "activation noise" else None
        robustness_curve(network, x, y, perturbation=perturbation, layer=layer, draws=2, **QUIET)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network.training


def test_tied_weights_get_the_same_noise():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
            self.decoder.weight = self.encoder.weight

        def forward(self, x):
            assert self.decoder.weight is self.encoder.weight
            return self.decoder(self.encoder(x))

    robustness_curve(Tied(), torch.randn(5, 4), perturbation="weight noise", draws=2, **QUIET)


def test_always_on_functional_dropout_is_switched_off():
    class Always(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.output = nn.Linear(4, 5), nn.Linear(5, 3)

        def forward(self, x):
            return self.output(nn.functional.dropout(self.hidden(x).relu(), 0.5, training=True))

    network, x = Always(), torch.randn(300, 4)
    for perturbation in PERTURBATIONS:
        layer = "hidden" if perturbation == "activation noise" else None
        a, b = (
            robustness_curve(
                network,
                x,
                perturbation=perturbation,
                layer=layer,
                levels=[0, 1e-9],
                draws=2,
                generator=seeded(),
                **QUIET,
            )
            for _ in range(2)
        )
        assert torch.equal(a.score, b.score)
        assert a.score.min() == (1.0 if perturbation != "input corruption" else a.score.min())


# Errors

BAD = [
    (lambda n, x, y: ablation_curve(n, "hidden7", x, y), "got 'hidden7', which the network does not have"),
    (
        lambda n, x, y: ablation_curve(n, "hidden1", x, y, orders=0),
        "orders must be a whole number of at least 1, or None, got 0",
    ),
    (
        lambda n, x, y: ablation_curve(n, "hidden1", x, y, points=1),
        "points must be a whole number of at least 2, or None, got 1",
    ),
    (lambda n, x, y: ablation_curve(n, "hidden1", x, y, clamp="one"), r"clamp must be one of \['zero', 'mean'\]"),
    (lambda n, x, y: ablation_curve(n, "hidden1", x, y + 2), "classes from 0 to 2"),
    (
        lambda n, x, y: compensation(n, "hidden1", x, y, sizes=[0]),
        r"sizes must be whole numbers from 1 to 6, .* got \[0\]",
    ),
    (lambda n, x, y: compensation(n, "hidden1", x, y, sizes=[7]), "from 1 to 6, the units of 'hidden1'"),
    (lambda n, x, y: compensation(n, "hidden1", x, y, sizes=[]), "from 1 to 6"),
    (lambda n, x, y: compensation(n, "hidden1", x, y, sets=1), "sets must be a whole number of at least 2, got 1"),
    (lambda n, x, y: robustness_curve(n, x, y, perturbation="heat"), "perturbation must be one of"),
    (
        lambda n, x, y: robustness_curve(n, x, y, perturbation="weight noise", levels=[0.5, 1]),
        "levels must rise from 0",
    ),
    (lambda n, x, y: robustness_curve(n, x, y, perturbation="weight noise", levels=[0]), "levels must rise from 0"),
    (
        lambda n, x, y: robustness_curve(n, x, y, perturbation="weight noise", levels=[0, 1, 1]),
        "levels must rise from 0",
    ),
    (lambda n, x, y: robustness_curve(n, x, y, perturbation="input corruption", levels=[0, 2]), "0, .*, at most 1"),
    (lambda n, x, y: robustness_curve(n, x, y, perturbation="weight noise", draws=0), "draws must be a whole number"),
    (lambda n, x, y: robustness_curve(n, x[:1], y[:1], perturbation="input corruption"), "two or more examples"),
    (
        lambda n, x, y: robustness_curve(n, x, y[:5], perturbation="weight noise"),
        "one class for each prediction, shape",
    ),
    (lambda n, x, y: robustness_curve(n, x * math.nan, y, perturbation="weight noise"), "x must be finite"),
    (
        lambda n, x, y: robustness_curve(nn.Sequential(nn.Flatten()), x, perturbation="weight noise"),
        "must have floating-point weights",
    ),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message for _, message in BAD])
def test_wrong_arguments_are_named(call, message):
    network, (x, y) = mlp(), data()
    with pytest.raises(ValueError, match=message):
        call(network, x, y)


def test_nan_weights_are_refused():
    network, (x, y) = mlp(), data()
    network.hidden1.weight.data[0, 0] = math.nan
    for call in (
        lambda: ablation_curve(network, "hidden1", x, y),
        lambda: compensation(network, "hidden1", x, y),
        lambda: robustness_curve(network, x, y, perturbation="weight noise"),
    ):
        with pytest.raises(ValueError, match=r"parameter 'hidden1.weight' must be finite"):
            call()
