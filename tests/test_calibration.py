"""Calibration: every score against an independent implementation, and every wrong input refused."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss, zero_one_loss
from torch import Tensor
from torchmetrics.functional import calibration_error

from dropout_lessons import calibration

SIZES = st.tuples(st.integers(1, 60), st.integers(2, 12), st.integers(0, 2**31))


def predictions(examples: int, classes: int, seed: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Log-probabilities that run from hesitant to almost certain, and random labels."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(examples, classes, generator=generator, dtype=dtype)
    return logits.log_softmax(dim=1), torch.randint(classes, (examples,), generator=generator)


# Error, NLL and Brier score


@settings(deadline=None)
@given(SIZES)
def test_scores_agree_with_numpy_one_liners(size: tuple[int, int, int]) -> None:
    log_probs, labels = predictions(*size, dtype=torch.float64)
    probs, p, y = log_probs.exp(), log_probs.exp().numpy(), labels.numpy()
    one_hot = np.eye(p.shape[1])[y]
    assert calibration.error(probs, labels) == np.mean(p.argmax(1) != y)
    assert calibration.nll(log_probs, labels) == pytest.approx(-np.log(p[np.arange(len(y)), y]).mean(), rel=1e-12)
    assert calibration.brier(probs, labels) == pytest.approx(np.mean(np.sum((p - one_hot) ** 2, 1)), rel=1e-12)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_scores_agree_with_scikit_learn(classes: int) -> None:
    log_probs, labels = predictions(500, classes, seed=classes, dtype=torch.float64)
    probs, p, y = log_probs.exp(), log_probs.exp().numpy(), labels.numpy()
    names = list(range(classes))
    assert calibration.error(probs, labels) == pytest.approx(zero_one_loss(y, p.argmax(1)))
    assert calibration.nll(log_probs, labels) == pytest.approx(log_loss(y, p, labels=names), rel=1e-9)
    one_hot = np.eye(classes)[y]
    by_class = sum(brier_score_loss(one_hot[:, k], p[:, k], pos_label=1) for k in names)
    assert calibration.brier(probs, labels) == pytest.approx(by_class, rel=1e-9)


def test_a_certain_and_right_network_scores_zero_everywhere() -> None:
    probs, labels = torch.eye(4), torch.arange(4)
    scores = [
        calibration.error(probs, labels),
        calibration.brier(probs, labels),
        calibration.ece(probs, labels),
    ]
    scores.append(calibration.nll(probs.log(), labels))
    assert scores == [0.0] * 4
    assert all(type(score) is float and math.copysign(1, score) == 1 for score in scores)


def test_a_certain_and_wrong_network_scores_the_worst_everywhere() -> None:
    probs, labels = torch.eye(4), torch.arange(4).roll(1)
    assert calibration.error(probs, labels) == 1.0
    assert calibration.brier(probs, labels) == 2.0
    assert calibration.ece(probs, labels) == 1.0
    assert calibration.nll(probs.log(), labels) == math.inf


def test_the_uniform_guess_has_nll_log_classes_and_brier_one_minus_one_over_classes() -> None:
    probs, labels = torch.full((6, 10), 0.1, dtype=torch.float64), torch.arange(6)
    assert calibration.nll(probs.log(), labels) == pytest.approx(math.log(10))
    assert calibration.brier(probs, labels) == pytest.approx(1 - 1 / 10)


@settings(deadline=None)
@given(SIZES)
def test_the_order_of_examples_does_not_matter(size: tuple[int, int, int]) -> None:
    log_probs, labels = predictions(*size)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(size[2]))
    for score in (calibration.error, calibration.brier, calibration.ece):
        expected = score(log_probs.exp(), labels)
        assert score(log_probs.exp()[order], labels[order]) == pytest.approx(expected, abs=1e-12)
    assert calibration.nll(log_probs[order], labels[order]) == pytest.approx(calibration.nll(log_probs, labels))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32])
def test_labels_may_be_any_integer_type(dtype: torch.dtype) -> None:
    log_probs, labels = predictions(20, 5, seed=0)
    for score in (calibration.error, calibration.brier, calibration.ece):
        assert score(log_probs.exp(), labels.to(dtype)) == score(log_probs.exp(), labels)
    assert calibration.nll(log_probs, labels.to(dtype)) == calibration.nll(log_probs, labels)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_predictions_are_scored_to_their_own_precision(dtype: torch.dtype) -> None:
    log_probs, labels = predictions(200, 10, seed=0)
    exact = log_probs.exp()
    coarse = exact.to(dtype)
    # Rounding moves a probability by at most eps/2 of itself, and |d(p - y)²| <= 2|dp|, summed over classes.
    eps = torch.finfo(dtype).eps
    assert abs(calibration.brier(coarse, labels) - calibration.brier(exact, labels)) <= eps
    largest = log_probs.abs().max().item()
    coarse_nll, exact_nll = calibration.nll(log_probs.to(dtype), labels), calibration.nll(log_probs, labels)
    assert abs(coarse_nll - exact_nll) <= eps / 2 * largest
    calibration.ece(coarse, labels)


def test_predictions_that_require_gradients_are_scored() -> None:
    logits = torch.zeros(3, 2, requires_grad=True)
    labels = torch.tensor([0, 1, 1])
    assert calibration.nll(logits.log_softmax(dim=1), labels) == pytest.approx(math.log(2))
    assert calibration.brier(logits.softmax(dim=1), labels) == pytest.approx(0.5)


# Calibration


@settings(deadline=None)
@given(SIZES, st.integers(1, 30))
def test_ece_agrees_with_torchmetrics_below_confidence_one(size: tuple[int, int, int], bins: int) -> None:
    log_probs, labels = predictions(*size, dtype=torch.float64)
    probs = 0.999 * log_probs.exp() + 0.001 / log_probs.shape[1]  # torchmetrics is wrong at 1: its issue 3510
    expected = calibration_error(probs, labels, task="multiclass", num_classes=probs.shape[1], n_bins=bins)
    assert calibration.ece(probs, labels, bins=bins) == pytest.approx(expected.item(), abs=1e-6)  # float32


def test_confidence_one_is_counted_in_the_last_bin() -> None:
    # By hand: one example sure to 0.95 and right, one sure to 1 and wrong. Together in the last bin they have
    # mean confidence 0.975 and accuracy 0.5; apart they would give (0.05 + 1) / 2 = 0.525.
    probs = torch.tensor([[0.95, 0.05], [1.0, 0.0]], dtype=torch.float64)
    labels = torch.tensor([0, 1])
    diagram = calibration.reliability(probs, labels, bins=10)
    assert diagram.count.tolist() == [0] * 9 + [2]
    assert calibration.ece(probs, labels, bins=10) == pytest.approx(0.975 - 0.5)


@pytest.mark.parametrize("bins", [1, 2, 10, 15])
def test_confidence_one_is_the_limit_of_confidence_just_below_one(bins: int) -> None:
    log_probs, labels = predictions(100, 5, seed=3, dtype=torch.float64)
    probs = log_probs.exp()
    probs[:30] = torch.nn.functional.one_hot(torch.arange(30) % 5, 5).double()
    below = (1 - 1e-9) * probs + 1e-9 / 5
    assert calibration.ece(probs, labels, bins=bins) == pytest.approx(
        calibration.ece(below, labels, bins=bins), abs=1e-8
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("tenth", [5, 6, 7, 8, 9, 10])
def test_a_confidence_on_an_edge_belongs_to_the_bin_below_it_in_every_precision(dtype: torch.dtype, tenth: int) -> None:
    probs = torch.tensor([[tenth / 10, 1 - tenth / 10]], dtype=dtype)
    diagram = calibration.reliability(probs, torch.tensor([0]), bins=10)
    assert diagram.count.nonzero().item() == tenth - 1


def test_one_bin_compares_mean_confidence_with_accuracy() -> None:
    log_probs, labels = predictions(300, 4, seed=1, dtype=torch.float64)
    probs = log_probs.exp()
    expected = abs(probs.max(dim=1).values.mean().item() - (1 - calibration.error(probs, labels)))
    assert calibration.ece(probs, labels, bins=1) == pytest.approx(expected)


@settings(deadline=None)
@given(SIZES, st.integers(1, 30))
def test_reliability_agrees_with_a_loop_over_the_bins(size: tuple[int, int, int], bins: int) -> None:
    log_probs, labels = predictions(*size, dtype=torch.float64)
    probs = log_probs.exp()
    diagram = calibration.reliability(probs, labels, bins=bins)
    confidence, right = probs.numpy().max(1), probs.numpy().argmax(1) == labels.numpy()
    for m in range(bins):
        inside = (confidence > m / bins) & (confidence <= (m + 1) / bins)
        assert diagram.count[m] == inside.sum()
        if inside.any():
            assert diagram.confidence[m].item() == pytest.approx(confidence[inside].mean())
            assert diagram.accuracy[m].item() == pytest.approx(right[inside].mean())
        else:
            assert diagram.confidence[m].isnan()
            assert diagram.accuracy[m].isnan()
    np.testing.assert_allclose(diagram.edges, np.linspace(0, 1, bins + 1), rtol=0, atol=1e-15)


def test_ece_of_a_calibrated_network_is_what_sampling_noise_alone_gives() -> None:
    # All confidences are c, so the ECE is |accuracy - c| with a binomial accuracy: nearly a half-normal.
    confidence, examples, repeats = 0.7, 1000, 400
    generator = torch.Generator().manual_seed(0)
    probs = torch.tensor([[confidence, 1 - confidence]], dtype=torch.float64).expand(examples, 2)
    values = [
        calibration.ece(probs, (torch.rand(examples, generator=generator) >= confidence).long()) for _ in range(repeats)
    ]
    sigma = math.sqrt(confidence * (1 - confidence) / examples)
    mean, spread = sigma * math.sqrt(2 / math.pi), sigma * math.sqrt(1 - 2 / math.pi)
    assert np.mean(values) == pytest.approx(mean, abs=4 * spread / math.sqrt(repeats))


# Wrong input. A run-time type checker may refuse shapes and types (TypeError) before our own checks see them.

LOGITS = torch.tensor([[2.0, -1.0, 0.5]])
LABELS = torch.tensor([0])


@pytest.mark.parametrize("score", [calibration.error, calibration.brier, calibration.ece, calibration.reliability])
@pytest.mark.parametrize(
    ("probs", "message"),
    [
        (LOGITS, r"probs must be in \[0, 1\], got 2 at \[0, 0\]; pass logits.softmax"),
        (LOGITS.log_softmax(dim=1), r"probs must be in \[0, 1\].*log_probs.exp\(\)"),
        (
            torch.tensor([[0.5, 0.2, 0.2]]),
            r"probs must sum to 1 over the classes, got a sum of 0\.9 at \[0\]",
        ),
        (torch.tensor([[0.5, 0.5, math.nan]]), r"probs must be finite, got nan at \[0, 2\]"),
        (torch.tensor([[0.0, math.inf, 0.0]]), r"probs must be finite, got inf at \[0, 1\]"),
    ],
)
def test_what_is_not_a_probability_is_refused(score: Any, probs: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score(probs, LABELS)


@pytest.mark.parametrize(
    ("log_probs", "message"),
    [
        (LOGITS, r"log_probs must be at most 0, got 2 at \[0, 0\]; pass logits.log_softmax"),
        (LOGITS.softmax(dim=1), r"log_probs must be at most 0.*probs.log\(\)"),
        (LOGITS - 10, r"log_probs must be normalized.*logits.log_softmax"),
        (torch.tensor([[math.nan, -1.0, -1.0]]), r"log_probs must not be NaN, got nan at \[0, 0\]"),
    ],
)
def test_what_is_not_a_log_probability_is_refused(log_probs: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        calibration.nll(log_probs, LABELS)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.tensor([3]), r"labels must be in 0\.\.2, the 3 classes of \w+, got 3 at \[0\]"),
        (torch.tensor([-1]), r"labels must be in 0\.\.2, .*, got -1 at \[0\]"),
        (torch.tensor([0, 1]), "labels"),
        (torch.tensor([[1, 0, 0]]), "labels"),
        (torch.tensor([0.0]), "labels"),
        (torch.tensor([True]), "labels"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: Tensor, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        calibration.nll(LOGITS.log_softmax(dim=1), labels)
    with pytest.raises((ValueError, TypeError), match=message):
        calibration.error(LOGITS.softmax(dim=1), labels)


@pytest.mark.parametrize(
    "probs", [torch.empty(0, 3), torch.empty(1, 0), torch.tensor([1.0]), torch.tensor([[1, 0, 0]])]
)
def test_predictions_of_the_wrong_shape_or_type_are_refused(probs: Tensor) -> None:
    with pytest.raises((ValueError, TypeError), match="probs"):
        calibration.error(probs, torch.zeros(probs.shape[0], dtype=torch.long))


@pytest.mark.parametrize("bins", [0, -1, True])
def test_at_least_one_bin_is_needed(bins: int) -> None:
    with pytest.raises((ValueError, TypeError), match="bins"):
        calibration.ece(LOGITS.softmax(dim=1), LABELS, bins=bins)


def test_probabilities_a_rounding_above_one_are_accepted() -> None:
    probs = torch.tensor([[1.0 + 2**-20, 0.0]])
    assert calibration.error(probs, LABELS) == 0.0
    assert calibration.reliability(probs, LABELS, bins=10).count[-1] == 1


# Temperature


@settings(deadline=None)
@given(st.integers(0, 2**31), st.floats(0.2, 5.0))
def test_the_fitted_temperature_has_the_smallest_loss_of_a_fine_grid(seed: int, spread: float) -> None:
    log_probs, labels = predictions(60, 4, seed, dtype=torch.float64)
    logits = spread * log_probs
    best = calibration.fit_temperature(logits, labels)

    def loss(temperature: float) -> float:
        return calibration.nll((logits / temperature).log_softmax(dim=1), labels)

    assert loss(best) <= min(loss(t) for t in np.geomspace(0.05, 20, 200)) + 1e-12


def test_the_temperature_that_labels_were_drawn_with_is_found() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(20_000, 5, generator=generator)
    labels = torch.multinomial((logits / 2).softmax(dim=1), 1, generator=generator)[:, 0]
    # At the optimum the standard error of 1/T is 1 / sqrt(N times the mean variance of the logits).
    probs = (logits / 2).softmax(dim=1)
    variance = ((probs * logits.square()).sum(1) - (probs * logits).sum(1).square()).mean().item()
    assert abs(1 / calibration.fit_temperature(logits, labels) - 0.5) < 4 / math.sqrt(20_000 * variance)


def test_the_temperature_undoes_a_scale_of_the_logits() -> None:
    log_probs, _ = predictions(200, 3, seed=1)
    labels = torch.multinomial(log_probs.exp(), 1, generator=torch.Generator().manual_seed(0))[:, 0]
    fitted = calibration.fit_temperature(log_probs, labels)
    assert calibration.fit_temperature(2 * log_probs, labels) == pytest.approx(2 * fitted, rel=1e-6)


def test_the_temperature_stays_in_its_bounds_and_is_1_where_the_logits_say_nothing() -> None:
    logits, _ = predictions(30, 3, seed=2)
    assert calibration.fit_temperature(logits, logits.argmax(dim=1)) == 0.05
    assert calibration.fit_temperature(logits, logits.argmin(dim=1)) == 20.0
    assert calibration.fit_temperature(torch.full((3, 2), 7.0), torch.tensor([0, 1, 0])) == 1.0


def test_a_temperature_is_not_fitted_to_infinite_logits() -> None:
    with pytest.raises(ValueError, match=r"logits must be finite, got inf at \[1, 0\]"):
        calibration.fit_temperature(torch.tensor([[0.0, 1.0], [math.inf, 0.0]]), torch.tensor([0, 1]))


@pytest.mark.parametrize("score", ["error", "brier", "ece", "reliability", "nll", "fit_temperature"])
def test_arrays_are_refused_with_the_way_to_make_tensors_of_them(score: str) -> None:
    name = {"nll": "log_probs", "fit_temperature": "logits"}.get(score, "probs")
    log_probs, labels = predictions(4, 3, seed=0)
    first = log_probs if name != "probs" else log_probs.exp()
    function: Any = getattr(calibration, score)
    with pytest.raises(ValueError, match=rf"{name} must be a tensor, got ndarray; torch.as_tensor\({name}\) makes one"):
        function(first.numpy(), labels)
    with pytest.raises(ValueError, match=r"labels must be a tensor, got list; torch.as_tensor\(labels\) makes one"):
        function(first, labels.tolist())


@pytest.mark.parametrize(("coverage", "rank"), [(0.55, 55), (0.28, 28), (0.07, 7), (0.9, 90), (0.951, 96)])
def test_the_rank_of_a_conformal_threshold_is_not_one_too_many_by_rounding(coverage: float, rank: int) -> None:
    true = torch.linspace(0.99, 0.01, 99, dtype=torch.float64)
    probs = torch.stack([true, 1 - true], dim=1)
    labels = torch.zeros(99, dtype=torch.long)
    assert calibration.conformal_threshold(probs, labels, coverage=coverage) == true[rank - 1].item()
