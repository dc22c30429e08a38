"""How good predicted probabilities are: error, negative log-likelihood, Brier score, calibration error, conformal sets.

Every function takes predictions of shape ``(examples, classes)`` and integer labels of shape ``(examples,)``.
Sums are taken in double precision on the CPU, and the result is a Python float, or a few tensors to draw.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor

from dropout_lessons.arguments import check_count, check_number

__all__ = ["Reliability", "brier", "conformal_threshold", "ece", "error", "fit_temperature", "nll", "reliability"]

# Where fit_temperature searches.
_TEMPERATURES = 0.05, 20.0


@dataclass(frozen=True, eq=False)
class Reliability:
    """What a reliability diagram draws: how sure the network was, and how often right, in bins of confidence.

    Attributes:
        confidence: Mean confidence of the examples in each bin; NaN where the bin is empty.
        accuracy: Fraction of the examples in each bin that is classified correctly; NaN where it is empty.
        count: Number of examples in each bin.
        edges: Edges of the bins, from 0 to 1.
    """

    confidence: Float[Tensor, " bins"]
    accuracy: Float[Tensor, " bins"]
    count: Int[Tensor, " bins"]
    edges: Float[Tensor, " bins+1"]


def error(probs: Float[Tensor, "examples classes"], labels: Integer[Tensor, " examples"]) -> float:
    r"""Fraction of examples whose most probable class is not the label.

    .. math:: \frac{1}{N} \sum_{i=1}^N \mathbf{1}\big[\arg\max_k p_{ik} \neq y_i\big]

    A tie goes to the class that comes first.

    Args:
        probs: Predicted probabilities; each row sums to 1.
        labels: Class of each example, from 0.

    Raises:
        ValueError: If ``probs`` are not probabilities or ``labels`` do not match them.

    Example:
        >>> probs = torch.tensor([[0.9, 0.1], [0.4, 0.6]])
        >>> error(probs, labels=torch.tensor([0, 0]))
        0.5
    """
    probs, labels = _check_probs(probs, labels)
    return (probs.argmax(dim=1) != labels).double().mean().item()


def nll(log_probs: Float[Tensor, "examples classes"], labels: Integer[Tensor, " examples"]) -> float:
    r"""Mean negative log-likelihood of the labels, in nats.

    .. math:: -\frac{1}{N} \sum_{i=1}^N \log p_{i y_i}

    It is infinite when a label was given probability zero.

    Args:
        log_probs: Natural logarithms of the predicted probabilities; ``-inf`` stands for probability zero.
        labels: Class of each example, from 0.

    Raises:
        ValueError: If ``log_probs`` are not logarithms of probabilities or ``labels`` do not match them.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0], [0.0, 0.0]])
        >>> round(nll(logits.log_softmax(dim=1), labels=torch.tensor([0, 1])), 4)
        0.41
    """
    log_probs, labels = _check_log_probs(log_probs, labels)
    # 0 - x rather than -x: a perfect prediction scores 0.0, not -0.0
    return 0.0 - log_probs.double().gather(1, labels[:, None]).mean().item()


def brier(probs: Float[Tensor, "examples classes"], labels: Integer[Tensor, " examples"]) -> float:
    r"""Brier score: the squared distance from the probabilities to the one-hot label, summed over classes.

    .. math:: \frac{1}{N} \sum_{i=1}^N \sum_k \big(p_{ik} - \mathbf{1}[y_i = k]\big)^2

    This is Brier's own sum over all classes, from 0, which is best, to 2. For two classes it is twice the score that looks at
    one class.

    Args:
        probs: Predicted probabilities; each row sums to 1.
        labels: Class of each example, from 0.

    Raises:
        ValueError: If ``probs`` are not probabilities or ``labels`` do not match them.

    Example:
        >>> probs = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
        >>> brier(probs, labels=torch.tensor([0, 1]))
        0.25

    Source: Brier 1950, "Verification of forecasts expressed in terms of probability", equation 2.
    """
    probs, labels = _check_probs(probs, labels)
    targets = torch.nn.functional.one_hot(labels, num_classes=probs.shape[1])
    return (probs.double() - targets).square().sum(dim=1).mean().item()


def reliability(
    probs: Float[Tensor, "examples classes"], labels: Integer[Tensor, " examples"], *, bins: int = 15
) -> Reliability:
    r"""Sort the examples by confidence into bins, and compare mean confidence with accuracy in each.

    The confidence of an example is :math:`\max_k p_{ik}`. The bins have equal width and are closed on the
    right, :math:`B_m = \big(\tfrac{m-1}{M}, \tfrac{m}{M}\big]`, so confidence 1 is in the last one.

    Args:
        probs: Predicted probabilities; each row sums to 1.
        labels: Class of each example, from 0.
        bins: Number of bins, :math:`M`.

    Raises:
        ValueError: If ``probs`` are not probabilities, ``labels`` do not match them, or ``bins`` is below 1.

    Example:
        >>> probs = torch.tensor([[0.9, 0.1], [1.0, 0.0], [0.3, 0.7]])
        >>> diagram = reliability(probs, labels=torch.tensor([0, 1, 1]), bins=5)
        >>> diagram.count.tolist()
        [0, 0, 0, 1, 2]
        >>> diagram.accuracy[3:].tolist()
        [1.0, 0.5]

    Source: Guo et al. 2017, "On calibration of modern neural networks", Section 2.
    """
    probs, labels = _check_probs(probs, labels)
    check_count("bins", bins, at_least=1)
    edges = torch.arange(bins + 1, dtype=torch.float64) / bins
    confidence, predicted = probs.max(dim=1)
    # Edges in the precision of the confidence, so that a float32 0.6 falls on the edge 0.6, not beside it.
    index = torch.bucketize(confidence, edges[1:-1].to(confidence.dtype))
    count = torch.bincount(index, minlength=bins)

    def mean_in_bins(values: Tensor) -> Tensor:
        return torch.bincount(index, weights=values.double(), minlength=bins) / count

    return Reliability(mean_in_bins(confidence), mean_in_bins(predicted == labels), count, edges)


def ece(probs: Float[Tensor, "examples classes"], labels: Integer[Tensor, " examples"], *, bins: int = 15) -> float:
    r"""Expected calibration error: the mean gap between confidence and accuracy, over bins of confidence.

    .. math:: \sum_{m=1}^M \frac{|B_m|}{N} \, \big|\mathrm{acc}(B_m) - \mathrm{conf}(B_m)\big|

    The bins are those of ``reliability``. With few examples in a bin its accuracy is noisy, and the noise
    counts as a gap: even a perfectly calibrated network scores above zero. Compare only values with the same
    number of examples and bins.

    Args:
        probs: Predicted probabilities; each row sums to 1.
        labels: Class of each example, from 0.
        bins: Number of bins, :math:`M`.

    Raises:
        ValueError: If ``probs`` are not probabilities, ``labels`` do not match them, or ``bins`` is below 1.

    Example:
        >>> probs = torch.tensor([[0.75, 0.25], [0.75, 0.25]])
        >>> ece(probs, labels=torch.tensor([0, 1]))
        0.25

    Source: Guo et al. 2017, "On calibration of modern neural networks", equation 3.
    """
    diagram = reliability(probs, labels, bins=bins)
    gap = (diagram.accuracy - diagram.confidence).abs()
    return ((diagram.count * gap).nansum() / diagram.count.sum()).item()  # an empty bin is NaN, and weighs 0


def fit_temperature(logits: Float[Tensor, "examples classes"], labels: Integer[Tensor, " examples"]) -> float:
    r"""Temperature :math:`T` that makes ``logits / T`` most likely, in [0.05, 20].

    .. math:: \arg\min_T \; -\frac{1}{N} \sum_{i=1}^N \log \mathrm{softmax}(z_i / T)_{y_i}

    Above 1 where the network is too sure, below 1 where it is not sure enough. Fit it on examples that the network was not
    trained on: where every example is classified correctly the best temperature is 0, and the result is 0.05. It is 1
    where the logits say nothing, the same for every class.

    Args:
        logits: What the network returns.
        labels: Class of each example, from 0.

    Raises:
        ValueError: If the logits are not finite or ``labels`` do not match them.

    Example:
        >>> labels = torch.tensor([0, 0, 0, 1])
        >>> logits = torch.tensor([9.0, 0.0]).expand(4, 2)  # sure of class 0, which is right three times in four
        >>> round(fit_temperature(logits, labels), 4) == round(9 / math.log(3), 4)
        True

    Source: Guo et al. 2017, "On calibration of modern neural networks", Section 4.2.
    """
    logits, labels = _check_shapes("logits", logits, labels)
    _refuse(logits, ~logits.isfinite(), "logits must be finite, got {}")
    logits = logits.double()
    logits = logits - logits.gather(1, labels[:, None])
    if not logits.any():
        return 1.0

    def slope(temperature: float) -> float:
        # Of the loss, which is convex in 1/T, by 1/T: the mean logit minus the label's. It falls as T rises.
        return ((logits / temperature).softmax(dim=1) * logits).sum(dim=1).mean().item()

    low, high = _TEMPERATURES
    for _ in range(50):
        middle = math.sqrt(low * high)
        if slope(middle) > 0:
            low = middle
        else:
            high = middle
    # On a bound exactly, if that is where the search ran to.
    return next((bound for bound in _TEMPERATURES if math.isclose(bound, low, rel_tol=1e-12)), math.sqrt(low * high))


def conformal_threshold(
    probs: Float[Tensor, "examples classes"], labels: Integer[Tensor, " examples"], *, coverage: float
) -> float:
    r"""Probability that a class must have, so that the sets of such classes hold the truth as often as is asked.

    The set of an input is :math:`\{c : p_c \geq \theta\}`. With :math:`n` labeled examples that the network was not trained on,
    :math:`\theta` is the :math:`\lceil (n+1)\,\text{coverage} \rceil`-th largest probability of a true class. If a new example
    comes from where these came from, its set holds its class with at least that probability, however bad the network is.

    Args:
        probs: Predicted probabilities of the examples; each row sums to 1.
        labels: Class of each example, from 0.
        coverage: Fraction of the sets that should hold the truth, in (0, 1).

    Returns:
        The threshold; 0, so that every set holds all classes, where there are too few examples for the coverage.

    Raises:
        ValueError: If ``probs`` are not probabilities, ``labels`` do not match them, or ``coverage`` is not in (0, 1).

    Example:
        >>> probs = torch.tensor([[0.9, 0.1], [0.3, 0.7], [0.6, 0.4]])
        >>> conformal_threshold(probs, torch.tensor([0, 0, 0]), coverage=0.5) == probs[2, 0].item()
        True

    Source: Vovk, Gammerman and Shafer 2005; Angelopoulos and Bates 2023, Section 1.
    """
    probs, labels = _check_probs(probs, labels)
    check_number("coverage", coverage, "a fraction in (0, 1), such as 0.95", above=0, below=1)
    true = probs.gather(1, labels[:, None])[:, 0].sort(descending=True).values
    rank = math.ceil(round((len(true) + 1) * coverage, 9))  # 100 x 0.55 is 55, and not a little more
    return true[rank - 1].item() if rank <= len(true) else 0.0


def _check_probs(probs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    probs, labels = _check_shapes("probs", probs, labels)
    fix = "; pass logits.softmax(dim=1), or log_probs.exp()"
    # Rounding alone moves the sum of a softmax by about one eps; averages over many networks add up to more.
    tolerance = max(1e-4, 8 * torch.finfo(probs.dtype).eps)
    _refuse(probs, ~probs.isfinite(), "probs must be finite, got {}")
    _refuse(probs, (probs < -tolerance) | (probs > 1 + tolerance), "probs must be in [0, 1], got {}" + fix)
    totals = probs.double().sum(dim=1)
    _refuse(totals, (totals - 1).abs() > tolerance, "probs must sum to 1 over the classes, got a sum of {}" + fix)
    return probs, labels


def _check_log_probs(log_probs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    log_probs, labels = _check_shapes("log_probs", log_probs, labels)
    fix = "; pass logits.log_softmax(dim=1), or probs.log()"
    tolerance = max(1e-4, 8 * torch.finfo(log_probs.dtype).eps)  # as for probabilities
    _refuse(log_probs, log_probs.isnan(), "log_probs must not be NaN, got {}")
    _refuse(log_probs, log_probs > tolerance, "log_probs must be at most 0, got {}" + fix)
    totals = log_probs.double().exp().sum(dim=1)
    normalized = "log_probs must be normalized: their exponentials sum to 1 over the classes, got a sum of {}"
    _refuse(totals, (totals - 1).abs() > tolerance, normalized + fix)
    return log_probs, labels


def _check_shapes(name: str, predictions: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    for what, values in ((name, predictions), ("labels", labels)):
        if not isinstance(values, Tensor):
            raise ValueError(f"{what} must be a tensor, got {type(values).__name__}; torch.as_tensor({what}) makes one")
    if predictions.ndim != 2 or predictions.numel() == 0:
        raise ValueError(f"{name} must have shape (examples, classes) and not be empty, got {tuple(predictions.shape)}")
    if not predictions.is_floating_point():
        raise ValueError(f"{name} must be floating point, got {predictions.dtype}")
    examples, classes = predictions.shape
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise ValueError(f"labels must be integers, got {labels.dtype}; pass labels.long()")
    if labels.shape != (examples,):
        raise ValueError(
            f"labels must have shape ({examples},), one class for each row of {name}, "
            f"got {tuple(labels.shape)}; for one-hot labels pass one_hot.argmax(dim=1)"
        )
    labels = labels.detach().cpu().long()
    outside = (labels < 0) | (labels >= classes)
    _refuse(labels, outside, f"labels must be in 0..{classes - 1}, the {classes} classes of {name}, got {{}}")
    return predictions.detach().cpu(), labels


def _refuse(values: Tensor, wrong: Tensor, words: str) -> None:
    """Raise if any value is wrong, with the first one and where it is in the words, as ``3.5 at [0, 2]``."""
    if wrong.any():
        where = wrong.nonzero()[0]
        raise ValueError(words.format(f"{values[tuple(where)].item():.6g} at {where.tolist()}"))
