"""Exercises on scaling at test time."""

from __future__ import annotations

from typing import Any

import torch

from dropout_lessons.exercises.exercise import Coded, Inputs, Written
from dropout_lessons.exercises.trials import gradient, parts, stacked, try_layer


def _use_module(answer: Any, inputs: Inputs) -> dict[str, Any]:
    layer = answer(inputs["keep_prob"])
    other = torch.nn.Sequential(answer(inputs["other_keep_prob"])).train()
    network = torch.nn.Sequential(layer).train()  # as it would stand in a network, whose modes are switched
    outcome = try_layer(network, other, inputs)
    network.eval()
    x = inputs["sparse"]
    tested = stacked([network(x.clone()), network(x)])
    passed = gradient(network, x, inputs["sparse_upstream"])
    again = network.train()(inputs["x"].clone())
    tested_gradient = torch.zeros_like(x) if passed is None else passed
    return {**outcome, "tested": tested, "tested_gradient": tested_gradient, "again": again}


def _use_layer(answer: Any, inputs: Inputs) -> dict[str, Any]:
    weight, bias = parts(answer(inputs["weight"], inputs["bias"], inputs["keep_prob"]), 2)
    return {"weight": weight, "bias": bias}


EXERCISES = (
    Coded(
        id="scaling-1",
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
        stub="""
# MLP(..., input_keep_prob=, keep_prob=), then nn.Dropout(p=)
# for the inputs and nn.Dropout(p=) for the hidden units
numbers = None
""",
    ),
    Coded(
        id="scaling-2",
        title="the paper's dropout",
        kind="implement",
        minutes=20,
        points=4,
        objectives=(1, 3),
        prompt=r"""
Write `StandardDropout`, a module with *standard* scaling: in training each unit is kept with probability `keep_prob` and sent
as it is; at test time nothing is dropped, and the scaling makes up for it. It obeys `train()` and `eval()` like any
module of a network, and its output has the type of `x`. The check looks at both modes, at their order, at the masks of several
calls, and at gradients.
""",
        given="import torch\nfrom torch import nn",
        stub="""
class StandardDropout(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob = keep_prob

    def forward(self, x):
        raise NotImplementedError
""",
        use=_use_module,
    ),
    Coded(
        id="scaling-3",
        title="find the bug: an old network in a new library",
        kind="find the bug",
        minutes=15,
        points=3,
        objectives=(3,),
        prompt=r"""
A network was trained with standard scaling. To go on training it with inverted scaling, someone converts each layer that
follows a dropout layer with the function below. The converted network makes other predictions than the old one. Repair it.
""",
        stub="""
def to_inverted(weight, bias, keep_prob):
    \"\"\"weight: (out, in), bias: (out,) of the layer above the masks.\"\"\"
    return weight * keep_prob, bias * keep_prob
""",
        use=_use_layer,
    ),
    Written(
        id="scaling-4",
        title="which p is the noisiest?",
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
        id="scaling-5",
        title="scale or average?",
        level="stretch",
        kind="design",
        minutes=40,
        points=5,
        objectives=(1, 4),
        prompt=r"""
For the first network of this chapter, average the *probabilities* of 100 thinned networks (`network.train()` draws a new
one at each call) and compare test error and test loss with the scaled network's. Repeat for all five and give paired
intervals. What does the averaging cost? *Expect the error to hardly change and the loss to fall.*
""",
    ),
    Written(
        id="scaling-6",
        title="a diagnosis",
        kind="read a figure",
        minutes=15,
        points=4,
        objectives=(4,),
        prompt=r"""
A colleague reports: "The error is as it was, but the loss is four times as large." Another one: "Error and loss are
both a bit worse." Use the figure of the same networks used in four ways. (a) What did the first colleague most likely
do? (b) Why does that hardly change the decisions? (c) Which two mistakes may the second one have made, and which
single line of code tells the two apart?
""",
    ),
)
