"""Exercises of chapter 5, averaging models."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp, softmax

from dropout_lessons.exercises import judging
from dropout_lessons.exercises.exercise import Coded, Inputs, Outputs, Problem, Written

__all__ = ["EXERCISES"]

_IN, _HIDDEN, _CLASSES, _ROWS = 6, 8, 4, 8
_SAMPLES = 300
Array = NDArray[Any]


def _subnetworks(hidden: Array, weight: Array, bias: Array, keep_prob: float) -> tuple[Array, Array]:
    """Logits of all subnetworks, with inverted scaling, and their probabilities."""
    masks = np.array(list(itertools.product((0.0, 1.0), repeat=hidden.shape[1])))
    kept = masks.sum(1)
    chances = keep_prob**kept * (1 - keep_prob) ** (hidden.shape[1] - kept)
    logits = (masks[:, None] * hidden / keep_prob).astype(np.float64) @ weight.T.astype(np.float64) + bias
    return logits, chances


def _is_close(value: Array, other: Array, tolerance: Array | float) -> bool:
    return bool((np.abs(value - other) <= tolerance).all())


def _draw_members(rng: np.random.Generator) -> Inputs:
    logits = rng.normal(0, 2, (12, _ROWS, _CLASSES))
    weights = rng.dirichlet(np.full(12, 0.5))
    return {"log_probs": log_softmax(logits, 2), "log_weights": np.log(weights)}


def _use_members(answer: Any, inputs: Inputs) -> dict[str, Any]:
    return {"mean": answer(inputs["log_probs"], inputs["log_weights"])}


def _judge_members(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    log_probs, weights, mean = inputs["log_probs"], np.exp(inputs["log_weights"]), outputs["mean"]
    yield from judging.shape("the result", mean, log_probs.shape[1:])
    raw = np.tensordot(weights, log_probs, 1)
    if _is_close(mean, softmax(raw, 1), 1e-4):
        return
    known = {
        "not-renormalized": (np.exp(raw), "The numbers of an example do not add up to 1: divide by their sum."),
        "unweighted": (softmax(log_probs.mean(0), 1), "All subnetworks count alike, whatever log_weights says."),
        "arithmetic": (
            np.tensordot(weights, np.exp(log_probs), 1),
            "That is the arithmetic mean: probabilities are averaged.",
        ),
        "still-logarithms": (log_softmax(raw, 1), "The result still holds logarithms."),
        "logarithms-not-renormalized": (raw, "The result still holds logarithms, and is not normalized."),
        "softmax-of-probabilities": (
            softmax(np.tensordot(weights, np.exp(log_probs), 1), 1),
            "The softmax is of probabilities.",
        ),
        "weights-as-logarithms": (
            softmax(np.tensordot(np.log(weights), log_probs, 1), 1),
            "log_weights are used as weights.",
        ),
        "wrong-axis": (softmax(raw, 0), "The normalization runs over examples, not over classes."),
    }
    for code, (other, message) in known.items():
        if _is_close(mean, other, 1e-4):
            yield Problem(code, message)
            return
    yield Problem("off", "That is not the normalized weighted geometric mean.")


def _draw_network(rng: np.random.Generator) -> Inputs:
    while True:  # until what students average by mistake is too far off to be taken for chance
        inputs = {
            "x": judging.away_from_zero(rng, _ROWS, _IN),
            "weight1": judging.away_from_zero(rng, _HIDDEN, _IN),
            "bias1": judging.away_from_zero(rng, _HIDDEN),
            "weight2": judging.away_from_zero(rng, _CLASSES, _HIDDEN) / 2,
            "bias2": judging.away_from_zero(rng, _CLASSES),
            "keep_prob": judging.band(rng),
        }
        truth, noise, _, mistakes = _averages(inputs)
        if all((np.abs(other - truth) > 2 * noise).any() for other, _ in mistakes.values()):
            return inputs


def _averages(inputs: Inputs) -> tuple[Array, Array, Array, dict[str, tuple[Array, str]]]:
    """The right average, how far chance may carry it, the logits without masks, and averages by mistake."""
    hidden = np.maximum(inputs["x"].astype(np.float64) @ inputs["weight1"].T + inputs["bias1"], 0)
    logits, chances = _subnetworks(hidden, inputs["weight2"], inputs["bias2"], inputs["keep_prob"])
    members = softmax(logits, 2)
    truth = np.tensordot(chances, members, 1)
    spread = np.sqrt(np.maximum(np.tensordot(chances, members**2, 1) - truth**2, 0))
    # Bernstein's bound, which also holds where hardly any subnetwork differs: 6.6 standard errors, and a part in n.
    noise = 6.6 * spread / np.sqrt(_SAMPLES) + 15 / _SAMPLES
    mean_logits = np.tensordot(chances, logits, 1)
    votes = np.tensordot(chances, np.eye(_CLASSES)[members.argmax(2)], 1)
    mistakes = {
        "mean-of-logits": (softmax(mean_logits, 1), "The logits are averaged before the softmax."),
        "still-logits": (mean_logits, "The result holds logits: average probabilities."),
        "summed": (_SAMPLES * truth, "The samples are added, not averaged."),
        "votes": (votes, "The predicted classes are counted: average the probabilities."),
        "still-logarithms": (np.tensordot(chances, log_softmax(logits, 2), 1), "The result holds logarithms."),
    }
    return truth, noise, hidden @ inputs["weight2"].T.astype(np.float64) + inputs["bias2"], mistakes


def _use_network(answer: Any, inputs: Inputs) -> dict[str, Any]:
    network = torch.nn.Sequential(
        torch.nn.Linear(_IN, _HIDDEN),
        torch.nn.ReLU(),
        torch.nn.Dropout(1 - inputs["keep_prob"]),
        torch.nn.Linear(_HIDDEN, _CLASSES),
    ).eval()
    with torch.no_grad():
        for parameter, name in zip(network.parameters(), ("weight1", "bias1", "weight2", "bias2"), strict=True):
            parameter.copy_(inputs[name])
    probs = answer(network, inputs["x"], _SAMPLES)
    return {"probs": probs, "later": torch.stack([network(inputs["x"]) for _ in range(3)])}


def _judge_network(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    probs, later = outputs["probs"], outputs["later"]
    yield from judging.shape("the result", probs, (_ROWS, _CLASSES))
    truth, noise, scaled, mistakes = _averages(inputs)
    if _is_close(probs, softmax(scaled, 1), 1e-4):
        yield Problem("nothing-dropped", "Nothing was dropped: that is weight scaling, one pass in eval mode.")
    elif not _is_close(probs, truth, noise):
        distances = {
            code: np.abs(probs - other).max() / (1 + np.abs(other).max()) for code, (other, _) in mistakes.items()
        }
        best = min(distances, key=lambda code: float(distances[code]))
        if distances[best] < 0.2:
            yield Problem(best, mistakes[best][1])
        else:
            yield Problem("off", "It is further from the average over all subnetworks than chance allows.")
    if not _is_close(later, scaled, 1e-3):
        yield Problem(
            "mode-not-restored",
            "The network still drops units afterwards: give it back in the mode it came in.",
            lost=0.5,
        )


def _draw_exact(rng: np.random.Generator) -> Inputs:
    return {
        "hidden": np.abs(judging.away_from_zero(rng, _ROWS, 6)).astype(np.float64),
        "weight": judging.away_from_zero(rng, _CLASSES, 6).astype(np.float64),
        "bias": judging.away_from_zero(rng, _CLASSES).astype(np.float64),
        "keep_prob": judging.band(rng),
    }


def _use_exact(answer: Any, inputs: Inputs) -> dict[str, Any]:
    return {"probs": answer(inputs["hidden"], inputs["weight"], inputs["bias"], inputs["keep_prob"])}


def _judge_exact(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    hidden, weight, bias, keep_prob = (inputs[name] for name in ("hidden", "weight", "bias", "keep_prob"))
    probs = outputs["probs"]
    yield from judging.shape("the result", probs, (len(hidden), len(weight)))
    logits, chances = _subnetworks(hidden, weight, bias, keep_prob)
    unscaled, _ = _subnetworks(hidden * keep_prob, weight, bias, keep_prob)
    members = softmax(logits, 2)

    def mean(each: Array, by: Array = chances) -> Array:
        return np.asarray(np.tensordot(by, each, 1))

    if _is_close(probs, mean(members), 1e-6):
        return
    alike = np.full(len(chances), 1 / len(chances))
    nonempty = np.where(np.arange(len(chances)) == 0, 0, chances)
    known = {
        "unweighted": (mean(members, alike), "All subnetworks count alike; away from 1/2 they are not equally likely."),
        "geometric": (softmax(mean(logits), 1), "That is the geometric mean, which weight scaling gives as well."),
        "unscaled": (mean(softmax(unscaled, 2)), "What is kept is not divided by keep_prob."),
        "empty-missing": (
            mean(members, nonempty),
            "The subnetwork without any unit is missing: it predicts from its biases.",
        ),
        "empty-missing-alike": (
            mean(members, nonempty / nonempty.sum()),
            "The subnetwork without any unit is missing.",
        ),
        "keep-and-drop-swapped": (
            mean(members, chances[::-1]),
            "Subnetworks are weighed with keeping and dropping swapped.",
        ),
        "not-normalized": (
            np.exp(logsumexp(logits, 0, b=chances[:, None, None])),
            "The softmax of each subnetwork is missing.",
        ),
        "softmax-of-sum": (
            softmax(logsumexp(logits, 0, b=chances[:, None, None]), 1),
            "The softmax is taken after the sum: each subnetwork has a normalization of its own.",
        ),
    }
    for code, (other, message) in known.items():
        if _is_close(probs, other, 1e-6):
            yield Problem(code, message)
            return
    yield Problem("off", "That is not the average of the subnetworks' probabilities.")


EXERCISES = (
    Coded(
        id="ch05-q1",
        title="the other mean",
        level="warm-up",
        kind="implement",
        minutes=15,
        points=2,
        objectives=(1,),
        prompt=r"""
Write `geometric_mean(log_probs, log_weights)`: the normalized geometric mean of subnetworks that are not equally likely.
`log_probs` has the shape (subnetworks, examples, classes), `log_weights` the logarithms of the subnetworks' probabilities,
which add up to 1.
Return probabilities of shape (examples, classes). Why would it be a mistake to multiply probabilities, and take the root?
""",
        answer="geometric_mean",
        stub="""
def geometric_mean(log_probs, log_weights):
    raise NotImplementedError
""",
        draw=_draw_members,
        use=_use_members,
        judge=_judge_members,
    ),
    Coded(
        id="ch05-q2",
        title="Monte Carlo averaging",
        level="core",
        kind="implement",
        minutes=20,
        points=4,
        objectives=(3,),
        prompt=r"""
Write `monte_carlo(network, x, samples)`: the average of the *probabilities* of `samples` thinned networks, for any network with
`nn.Dropout` in it whose outputs are logits. The network arrives in eval mode, and its owner wants it back as it was. The check
compares with the average over all subnetworks of a small network, allowing for chance, and uses the network afterwards.
""",
        answer="monte_carlo",
        given="import torch",
        stub="""
def monte_carlo(network, x, samples):
    raise NotImplementedError
""",
        draw=_draw_network,
        use=_use_network,
        judge=_judge_network,
    ),
    Written(
        id="ch05-q3",
        title="when is the arithmetic mean worse?",
        level="core",
        kind="argue",
        minutes=30,
        points=4,
        objectives=(1, 2),
        prompt=r"""
Train networks `MLP([784, 12, 10], keep_prob=0.5)` on 1,000 digits, five seeds, and compare the loss of the exact arithmetic mean
with that of weight scaling. Why is the sign different from that of Monte Carlo on digits above? For each average, compare the
mean probability of its answer with the share of right answers. *Expect the arithmetic mean to be worse by about a quarter of a
nat, and to be far less sure than it could be.*
""",
    ),
    Coded(
        id="ch05-q4",
        title="all of them",
        level="stretch",
        kind="implement",
        minutes=40,
        points=5,
        objectives=(1, 2),
        prompt=r"""
A layer of $n$ hidden units stands under a softmax. Write `exact_mean(hidden, weight, bias, keep_prob)`: the arithmetic mean
of the probabilities of all $2^n$ subnetworks, each weighed by its probability, with inverted scaling. `hidden` has the shape
(examples, n), `weight` (classes, n). The check has $n = 6$, so a loop will do. Then do better: $e^{z_k(m)}$ is a product of
$e^{b_k}$ and one factor for each unit. Split 16 units into two halves of 8, and write the mean over all $2^{16}$ subnetworks
with two matrix products for each example. Check it against `exact_average`, and compare the times. *Expect agreement to
about $10^{-12}$ in double precision.*
""",
        answer="exact_mean",
        stub="""
def exact_mean(hidden, weight, bias, keep_prob):
    raise NotImplementedError
""",
        draw=_draw_exact,
        use=_use_exact,
        judge=_judge_exact,
    ),
    Written(
        id="ch05-q5",
        title="both",
        level="stretch",
        kind="design",
        minutes=45,
        points=6,
        objectives=(4,),
        prompt=r"""
Train ten networks *with* the chosen dropout for each seed, for 16 epochs each, and average them: with weight scaling, and with
ten samples each. Add the two arms to the comparison, on both data sets. What does the second kind of averaging still add to
the first? *Expect the ten with weight scaling to have the lowest loss of all arms on digits, and fewer errors than the ten
plain ones. Ten samples each do not lower that loss further: they raise it.*
""",
    ),
)
