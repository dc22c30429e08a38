"""Concrete dropout, fixed masks, last-layer Laplace, conformal thresholds and several masks a step, against what defines them."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from dropout_lessons import MLP, calibration
from dropout_lessons.ensembles import CurveNetworks, curve_points, train_curves
from dropout_lessons.experiments.catalog.masks_per_step import Masked, loss_of, second_order
from dropout_lessons.experiments.uncertain_nets import (
    FixedMasks,
    LastLayerLaplace,
    concrete_loss,
    masksembles,
    with_learned,
)
from dropout_lessons.layers import ConcreteDropout, Dropout
from dropout_lessons.masks import enumerate_masks, mask_log_prob


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_gradient_of_the_soft_mask_is_that_of_its_formula() -> None:
    layer, t = ConcreteDropout(0.7, temperature=0.5, generator=seeded(1)).double(), 0.5
    x = torch.rand(50, dtype=torch.float64, generator=seeded(2))
    layer(x).sum().backward()
    u = torch.rand(50, dtype=torch.float64, generator=seeded(1))
    p = layer.keep_logit.detach().sigmoid()
    m = ((layer.keep_logit.detach() + torch.logit(u)) / t).sigmoid()
    by_hand = (x * (m * (1 - m) / t / p - m / p**2 * p * (1 - p))).sum()
    torch.testing.assert_close(layer.keep_logit.grad, by_hand)


def test_a_cold_soft_mask_is_dropouts_and_more_than_half_open_as_often_at_any_temperature() -> None:
    n, p, std = 40_000, 0.8, (0.8 * 0.2 / 40_000) ** 0.5
    for temperature in (1e-4, 0.1, 2.0):
        kept = ConcreteDropout(p, temperature=temperature, generator=seeded())(torch.ones(n)) * p
        assert abs((kept > 0.5).double().mean().item() - p) < 5 * std
        if temperature == 1e-4:
            assert ((kept < 0.01) | (kept > 0.99)).double().mean() > 0.999


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("p", [0.3, 0.99, 0.999])
def test_half_types_do_not_change_how_often_a_soft_mask_keeps(p, dtype):
    n = 1_000_000
    kept = (ConcreteDropout(p, generator=seeded())(torch.ones(n, dtype=dtype)).double() * p > 0.5).double().mean()
    assert abs(kept - p) < 5 * (p * (1 - p) / n) ** 0.5


def test_concrete_dropout_does_nothing_at_test_time_and_learns_to_keep_what_is_needed() -> None:
    layer = ConcreteDropout(0.5, generator=seeded())
    optimizer = torch.optim.SGD(layer.parameters(), lr=5.0)
    for _ in range(50):
        optimizer.zero_grad()
        (layer(torch.ones(200)) - 1).square().mean().backward()
        optimizer.step()
    assert layer.keep_prob > 0.8
    x = torch.rand(3)
    assert torch.equal(layer.eval()(x), x)


def test_concrete_dropout_refuses_what_it_could_not_learn_from() -> None:
    with pytest.raises(ValueError, match=r"keep_prob must be below 1, .* got 1"):
        ConcreteDropout(1.0)
    with pytest.raises(ValueError, match=r"temperature must be a positive number, such as 0.1, got 0"):
        ConcreteDropout(temperature=0)


def test_the_loss_of_concrete_dropout_has_the_entropy_of_every_layer_and_hard_masks_keep_the_weights() -> None:
    network = MLP([6, 5, 3], keep_prob=0.6, input_keep_prob=0.9, dropout=ConcreteDropout, generator=seeded())
    logits, y = torch.randn(4, 3, generator=seeded(1)), torch.tensor([0, 1, 2, 0])
    n, length = 100, 0.5
    entropy = {p: -p * math.log(p) - (1 - p) * math.log(1 - p) for p in (0.9, 0.6)}
    size = length**2 / 2 * (network.hidden1.weight.square().sum() / 0.9 + network.output.weight.square().sum() / 0.6)
    expected = F.cross_entropy(logits, y) + (size - 6 * entropy[0.9] - 5 * entropy[0.6]) / n
    torch.testing.assert_close(concrete_loss(network, n, length)(logits, y), expected)
    hard, x = with_learned(network), torch.rand(7, 6)
    assert torch.equal(hard(x), network.eval()(x))
    assert isinstance(hard.input_dropout, Dropout)
    assert hard.input_dropout.keep_prob == pytest.approx(0.9)


def test_fixed_masks_run_the_network_of_one_mask_for_each_row() -> None:
    network = masksembles([4, 8, 3], masks=3, keep_prob=0.5, generator=seeded())
    layer = network.hidden1_dropout
    assert isinstance(layer, FixedMasks)
    assert (layer.masks > 0).sum(1).tolist() == [4, 4, 4]
    x = torch.rand(1, 4)
    rows = network(x.repeat(6, 1))
    for i in range(6):
        torch.testing.assert_close(rows[i : i + 1], network.output(network.hidden1(x) * layer.masks[i % 3]))


def test_the_last_layers_gaussian_is_that_of_its_precision_written_out() -> None:
    network, x = MLP([3, 4, 2], generator=seeded()), torch.rand(30, 3, generator=seeded(1))
    laplace, precision = LastLayerLaplace(network, x), 0.7
    h = torch.cat([network.hidden1(x), torch.ones(30, 1)], 1).double().detach()
    q = network(x).double().softmax(1).detach()
    g = torch.diag(q.mean(0)) - q.T @ q / 30
    covariance = torch.linalg.inv(30 * torch.kron(h.T @ h / 30, g) + precision * torch.eye(10))
    new = torch.cat([network.hidden1(x[:1]), torch.ones(1, 1)], 1).double().detach()
    reads = torch.kron(new, torch.eye(2, dtype=torch.float64))
    drawn = laplace.logits(x[:1], precision, 20_000, seeded(3))[:, 0]
    expected = reads @ covariance @ reads.T
    error = expected.diagonal().max() * (2 / 20_000) ** 0.5
    torch.testing.assert_close(drawn.T.cov(), expected, atol=5 * error.item(), rtol=0)
    mean_error = expected.diagonal().sqrt().max().item() / 20_000**0.5
    torch.testing.assert_close(drawn.mean(0), network(x[:1])[0].double(), atol=5 * mean_error, rtol=0)


@pytest.mark.parametrize(("n", "coverage"), [(19, 0.9), (39, 0.95)])
def test_conformal_sets_of_exchangeable_examples_hold_the_truth_as_often_as_their_rank_says(n, coverage) -> None:
    generator, trials = seeded(4), 2000
    held = 0
    for _ in range(trials):
        first = torch.rand(n + 1, generator=generator, dtype=torch.float64)
        probs, labels = torch.stack([first, 1 - first], 1), torch.zeros(n + 1, dtype=torch.long)
        held += float(first[-1]) >= calibration.conformal_threshold(probs[:-1], labels[:-1], coverage=coverage)
    expected = math.ceil((n + 1) * coverage) / (n + 1)
    assert abs(held / trials - expected) < 5 * (expected * (1 - expected) / trials) ** 0.5


def test_too_few_examples_give_sets_of_all_classes_and_a_wrong_coverage_is_refused() -> None:
    probs, labels = torch.tensor([[0.9, 0.1]]), torch.tensor([0])
    assert calibration.conformal_threshold(probs, labels, coverage=0.9) == 0
    with pytest.raises(ValueError, match=r"coverage must be a fraction in \(0, 1\), such as 0.95, got 95"):
        calibration.conformal_threshold(probs, labels, coverage=95)


def test_the_penalty_is_what_small_noise_adds_to_the_expected_loss() -> None:
    """Exact over all masks of the last layer; the ratio tends to 1 as what the units send gets small."""
    network = MLP([3, 6, 4], keep_prob=0.5, generator=seeded()).double()
    x = torch.rand(5, 3, generator=seeded(1), dtype=torch.float64)
    masks, ratios = enumerate_masks(6), []
    with torch.no_grad():
        for size in (0.2, 0.02):
            network.output.weight.copy_(size * torch.randn(4, 6, generator=seeded(2), dtype=torch.float64))
            logits, penalty = second_order(network, x, 0.5)
            h = network.hidden1(x)
            drawn = torch.stack([network.output(h * mask / 0.5) for mask in masks]).logsumexp(2)
            exact = mask_log_prob(masks, 0.5).exp().double() @ drawn - logits.logsumexp(1)
            ratios.append((penalty / exact - 1).abs().max().item())
    assert ratios[1] < 0.01
    assert ratios[1] < ratios[0] / 5


def test_the_penalty_of_a_lower_layer_has_the_derivatives_that_autograd_finds() -> None:
    network = MLP([3, 5, 4, 2], keep_prob=0.5, generator=seeded()).double()
    x = torch.rand(1, 3, generator=seeded(1), dtype=torch.float64)
    _, penalty = second_order(network, x, 0.5)
    q = network.eval()(x)[0].softmax(0)
    hessian = torch.diag(q) - torch.outer(q, q)
    h1 = network.hidden1(x)[0]
    parts = [(h1, lambda h: network.output(network.hidden2(h))), (network.hidden2(h1), network.output)]
    expected = 0.0
    for h, above in parts:
        j = torch.autograd.functional.jacobian(above, h)
        expected = expected + (h.square() * (j.T @ hessian @ j).diagonal()).sum() / 2
    torch.testing.assert_close(penalty[0], expected)


def test_many_masks_a_step_have_the_mean_gradient_of_one() -> None:
    network, x, y = MLP([3, 6, 4], keep_prob=0.5, generator=seeded()), torch.rand(5, 3), torch.arange(5) % 4
    several = Masked(network, masks=7)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        logits = several(x)
        torch.manual_seed(1)
        one_by_one = network.output(network.hidden1_dropout(network.hidden1(x).repeat(7, 1)))
    assert torch.equal(logits, one_by_one)
    expected = torch.stack([F.cross_entropy(part, y) for part in logits.split(5)]).mean()
    torch.testing.assert_close(loss_of(several)(logits, y), expected)
    assert torch.equal(several.eval()(x), network.eval()(x))


def test_curves_are_trained_side_by_side_as_each_would_be_alone() -> None:
    x, y = curve_points(0, n=8, gap=0.3)
    assert x.abs().min() > 0.3
    both = train_curves(x.expand(2, -1, -1), y.expand(2, -1, -1), seeds=[0, 1], weight_decay=[0.0, 0.1], steps=20)
    alone = train_curves(x[None], y[None], seeds=[0], steps=20)
    torch.testing.assert_close(both.of([0])(x[None]), alone(x[None]))
    assert isinstance(both, CurveNetworks)
    terms, bias = both.terms(x.expand(2, -1, -1))
    torch.testing.assert_close(terms.sum(2) + bias[:, :, 0], both(x.expand(2, -1, -1)))
