"""Exercises of chapter 4, scaling at test time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from dropout_lessons.exercises import judging
from dropout_lessons.exercises.exercise import Coded, Inputs, Outputs, Problem, Written

__all__ = ["EXERCISES"]

_CALLS, _ROWS, _UNITS = 6, 16, 64


def _judge_translate(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    answer = outputs["answer"]
    if answer.shape != (4,):
        yield Problem("wrong-shape", "Four numbers are asked for: two for MLP, then two for nn.Dropout.")
        return
    drop = np.array([inputs["input_drop"], inputs["hidden_drop"]])
    mistakes = {
        "all-keep": ((1 - drop, 1 - drop), "PyTorch's p is the probability of dropping, not of keeping."),
        "all-drop": ((drop, drop), "This package's keep_prob is the probability of keeping, not of dropping."),
        "keep-and-drop-swapped": ((drop, 1 - drop), "The two conventions are swapped: which library counts what?"),
        "layers-swapped": (
            ((1 - drop)[::-1], drop[::-1]),
            "Inputs and hidden units are swapped: inputs come first.",
        ),
        "libraries-swapped": ((drop[::-1], (1 - drop)[::-1]), "Conventions and layers are swapped."),
    }
    if np.allclose(answer, np.concatenate([1 - drop, drop]), atol=1e-6):
        return
    for code, (wrong, message) in mistakes.items():
        if np.allclose(answer, np.concatenate(wrong), atol=1e-6):
            yield Problem(code, message)
            return
    yield Problem(
        "off", "At least one of the four numbers is neither a probability of keeping nor of dropping from the text."
    )


def _draw_module(rng: np.random.Generator) -> Inputs:
    return {"x": judging.away_from_zero(rng, _ROWS, _UNITS), "keep_prob": judging.band(rng)}


def _use_module(answer: Any, inputs: Inputs) -> dict[str, Any]:
    x = inputs["x"]
    layer = answer(inputs["keep_prob"])
    network = torch.nn.Sequential(layer).train()  # as it would stand in a network, whose modes are switched
    trained = torch.stack([network(x.clone()) for _ in range(_CALLS)])
    network.eval()
    tested = torch.stack([network(x.clone()), network(x)])
    return {"trained": trained, "tested": tested, "again": network.train()(x.clone())}


def _judge_module(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    x, keep_prob = inputs["x"].astype(np.float64), inputs["keep_prob"]
    trained, tested = outputs["trained"], outputs["tested"]
    yield from judging.shape("the output", trained[0], x.shape)
    if (trained != 0).all() and (tested == 0).any():
        yield Problem("modes-swapped", "It drops at test time and not in training: the two modes are swapped.")
    if (tested == 0).any():
        yield Problem("on-at-test-time", "Units are dropped at test time, after eval(), too.")
    yield from judging.masks(trained != 0, keep_prob)
    factors = (trained / x)[trained != 0]
    test_factors = tested / x
    if np.allclose(factors, 1 / keep_prob, rtol=1e-4):
        if np.allclose(test_factors, 1, rtol=1e-4):
            yield Problem(
                "inverted", "This is inverted scaling: it divides in training. Standard scaling acts at test time."
            )
        yield Problem("scaled-at-both-times", "It scales in training and at test time: once is enough.")
    if not np.allclose(factors, 1, rtol=1e-4):
        yield Problem("scaled-in-training", "Standard scaling sends what is kept as it is in training.")
    if np.allclose(test_factors, 1, rtol=1e-4):
        yield Problem(
            "unscaled", "At test time all units are sent as they are: the next layer gets more than in training."
        )
    if np.allclose(test_factors, 1 / keep_prob, rtol=1e-4):
        yield Problem(
            "divided", "At test time it divides by keep_prob: the next layer gets even more than without scaling."
        )
    if np.allclose(test_factors, 1 - keep_prob, rtol=1e-4):
        yield Problem("scaled-by-drop-prob", "At test time it multiplies by the probability of dropping.")
    if not np.allclose(test_factors, keep_prob, rtol=1e-4):
        yield Problem("wrong-scale", "At test time the output is not x times one right factor.")
    if (outputs["again"] != 0).all():
        yield Problem("stays-off", "After eval() and train() again nothing is dropped any more.", lost=0.5)


def _draw_layer(rng: np.random.Generator) -> Inputs:
    return {
        "weight": judging.away_from_zero(rng, 5, 12),
        "bias": judging.away_from_zero(rng, 5),
        "keep_prob": judging.band(rng),
    }


def _use_layer(answer: Any, inputs: Inputs) -> dict[str, Any]:
    weight, bias = answer(inputs["weight"], inputs["bias"], inputs["keep_prob"])
    return {"weight": weight, "bias": bias}


def _judge_layer(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    keep_prob = inputs["keep_prob"]
    yield from judging.shape("the weights", outputs["weight"], inputs["weight"].shape)
    yield from judging.shape("the biases", outputs["bias"], inputs["bias"].shape)
    weight, bias = outputs["weight"] / inputs["weight"], outputs["bias"] / inputs["bias"]
    known = {
        "unscaled": (
            1.0,
            "The weights are as they were: then the next layer gets 1 / keep_prob of what it is used to.",
        ),
        "divided": (
            1 / keep_prob,
            "The weights are divided by keep_prob: in which of the two networks do inputs arrive larger?",
        ),
        "scaled-by-drop-prob": (1 - keep_prob, "The weights are multiplied by the probability of dropping."),
        "scaled-twice": (keep_prob**2, "The weights are multiplied by keep_prob twice."),
    }
    if not np.allclose(weight, keep_prob, rtol=1e-4):
        for code, (factor, message) in known.items():
            if np.allclose(weight, factor, rtol=1e-4):
                yield Problem(code, message)
                return
        yield Problem("wrong-scale", "The weights are not the old ones times one right factor.")
    elif not np.allclose(bias, 1, rtol=1e-4):
        yield Problem("bias-scaled", "The biases are changed too, though no mask ever touches them.")


EXERCISES = (
    Coded(
        id="ch04-q1",
        title="translate",
        level="warm-up",
        kind="predict",
        minutes=10,
        points=2,
        objectives=(5,),
        constants={"input_drop": (0.2, 0.1, 0.3), "hidden_drop": (0.4, 0.6, 0.45)},
        prompt=r"""
A paper says "we drop inputs with probability {{input_drop}} and hidden units with probability {{hidden_drop}}". Write down the
numbers with which you would build its network, first with this package, then with PyTorch. A second paper says "we use
dropout with p = 0.9". What would you look for in its text to find out what it means?
""",
        answer="numbers",
        stub="""
# MLP(..., input_keep_prob=, keep_prob=), then nn.Dropout(p=) for the inputs and nn.Dropout(p=) for the hidden units
numbers = None
""",
        judge=_judge_translate,
    ),
    Coded(
        id="ch04-q2",
        title="the paper's dropout",
        level="core",
        kind="implement",
        minutes=20,
        points=4,
        objectives=(1, 3),
        prompt=r"""
Write `StandardDropout`, a module with *standard* scaling: in training each unit is kept with probability `keep_prob` and sent
as it is; at test time nothing is dropped, and the scaling makes up for it. It obeys `train()` and `eval()` like any
module of a network. The check looks at both modes, at their order, and at the masks of several calls.
""",
        answer="StandardDropout",
        given="import torch\nfrom torch import nn",
        stub="""
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob = keep_prob

    def forward(self, x):
        raise NotImplementedError
""",
        draw=_draw_module,
        use=_use_module,
        judge=_judge_module,
    ),
    Coded(
        id="ch04-q3",
        title="find the bug: an old network in a new library",
        level="core",
        kind="find the bug",
        minutes=15,
        points=3,
        objectives=(3,),
        prompt=r"""
A network was trained with standard scaling. To go on training it with inverted scaling, someone converts each layer that
follows a dropout layer with the function below. The converted network makes other predictions than the old one. Repair it.
""",
        answer="to_inverted",
        stub="""
def to_inverted(weight, bias, keep_prob):
    \"\"\"weight: (out, in), bias: (out,) of the layer above the masks.\"\"\"
    return weight * keep_prob, bias * keep_prob
""",
        draw=_draw_layer,
        use=_use_layer,
        judge=_judge_layer,
    ),
    Written(
        id="ch04-q4",
        title="which p is the noisiest?",
        level="core",
        kind="argue",
        minutes=20,
        points=4,
        objectives=(2,),
        prompt=r"""
For which $p$ is the variance of a unit's input largest with standard scaling? With inverted scaling? Derive both, and
find them with the explorer above. Then divide each standard deviation by its mean. *You should find a maximum at
$p = 0.5$, growth without bound towards $p = 0$, and the same ratio for both.*
""",
    ),
    Written(
        id="ch04-q5",
        title="scale or average?",
        level="stretch",
        kind="design",
        minutes=40,
        points=5,
        objectives=(1, 4),
        prompt=r"""
For the first network of this chapter, average the *probabilities* of 100 thinned networks (`network.train()` draws a new
one at each call) and compare test error and test loss with the scaled network's. Repeat for all five and give paired
intervals. *Expect the error to hardly change and the loss to fall.*
""",
    ),
)
