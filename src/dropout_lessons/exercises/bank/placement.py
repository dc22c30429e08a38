"""Exercises on where dropout helps."""

from __future__ import annotations

import contextlib
from typing import Any

import torch

from dropout_lessons.exercises.exercise import Coded, Inputs, Written
from dropout_lessons.exercises.trials import stacked, tensor, told


def _use_sequence(answer: Any, inputs: Inputs) -> dict[str, Any]:
    x, weight, keep_prob = inputs["x"].clone(), inputs["weight_state"].clone(), inputs["keep_prob"]
    seed = torch.initial_seed()
    # First on the arrays themselves, so that a change in place shows.
    states = [answer(inputs["x"], inputs["weight_state"], keep_prob), answer(x.clone(), weight.clone(), keep_prob)]
    leaf, other = x.clone().requires_grad_(), weight.clone().requires_grad_()
    outcome: dict[str, Any] = {"trainable": False, "resizable": False, "trouble": ""}
    try:
        trained = answer(leaf * 1, other * 1, keep_prob)
        if isinstance(trained, torch.Tensor) and trained.requires_grad:
            passed = torch.autograd.grad(
                trained, (leaf, other), inputs["upstream"].to(trained.dtype), allow_unused=True
            )
            if None not in passed:
                outcome |= {"trainable": True, "to_x": passed[0], "to_weight": passed[1]}
        states.append(trained)
    except NotImplementedError:
        raise
    except Exception as error:  # without gradients it ran: they are what it does not bear
        outcome["trouble"] = told(error)
        states.append(answer(x.clone(), weight.clone(), keep_prob))
    with contextlib.suppress(Exception):
        outcome |= {"small": answer(inputs["small"], inputs["small_weight"], keep_prob), "resizable": True}
    return {**outcome, "states": stacked([tensor(each) for each in states]), "reseeds": torch.initial_seed() != seed}


EXERCISES = (
    Coded(
        id="placement-1",
        title="how long does a memory last?",
        level="warm-up",
        kind="predict",
        minutes=10,
        points=2,
        objectives=(1,),
        constants={"keep_prob": (0.9, 0.95, 0.97, 0.85, 0.93, 0.98, 0.88)},
        prompt=r"""
A recurrent state is dropped with a fresh mask at every step, and $p = {{keep_prob}}$. After how many steps is the memory of a
unit more likely gone than left? Guess first, then derive it, and check it with masks
that you draw.
""",
        stub="steps = None  # a whole number",
    ),
    Coded(
        id="placement-2",
        title="how far does the variance shift?",
        kind="implement",
        minutes=20,
        points=4,
        objectives=(3,),
        prompt=r"""
Outputs `h` of a layer, of shape (examples, units), are dropped with inverted scaling, a mask for each example, and meet the
`weight` of the next layer, of shape (outputs, units), and then BatchNorm. Write `variance_ratio(h, weight, keep_prob)`: for
each output the variance that BatchNorm sees in training, over examples *and* masks, divided by the variance at test time,
over examples. Draw no mask. Variances are those of a population (`correction=0`).
""",
        given="import torch",
        stub="def variance_ratio(h, weight, keep_prob):",
    ),
    Coded(
        id="placement-3",
        title="find the bug: a network without a memory",
        kind="find the bug",
        minutes=15,
        points=3,
        objectives=(1,),
        prompt=r"""
This function runs a small recurrent network in training mode, with dropout on its memory. It never learns to remember anything
for more than a few steps. Repair it, with inverted scaling, a mask for each sequence and unit, and new masks at each call.
`x` has shape (steps, batch, units), and all states are returned in that shape. The check looks at the masks of several calls,
and trains through it.
""",
        given="import torch",
        stub="""
def run(x, weight_state, keep_prob):
    state = torch.zeros_like(x[0])
    states = []
    for now in x:
        mask = (torch.rand_like(state) < keep_prob) / keep_prob
        state = torch.tanh(now + (state * mask) @ weight_state.T)
        states.append(state)
    return torch.stack(states)
""",
        use=_use_sequence,
    ),
    Written(
        id="placement-4",
        title="a smaller shift",
        kind="design",
        minutes=20,
        points=3,
        objectives=(3,),
        prompt=r"""
Train the BatchNorm networks with `keep_prob=[0.9, 1.0]`. Predict the ratio of the two variances first: how does $(1-p)/p$
change? What does the formula say, and what does BatchNorm remember? *Expect a ratio of 1.11 from the formula, and 1.12 in
what BatchNorm remembers.*
""",
    ),
    Written(
        id="placement-5",
        title="how much is too much?",
        kind="argue",
        minutes=20,
        points=4,
        objectives=(1,),
        prompt=r"""
Run the Fashion-MNIST comparison with keep probabilities of 0.75 (hidden) and 0.9 (input). What happens to the error and to
the loss? Which of the two would you report? *Expect an error within half a point of the plain network's, and a loss that is
lower by about 0.18 nats.*
""",
    ),
    Written(
        id="placement-6",
        title="patience",
        level="stretch",
        kind="design",
        minutes=40,
        points=5,
        objectives=(2,),
        prompt=r"""
Give the transformers on fresh text three times as many steps: 14,400 texts, each read once. What is left of the difference?
What do you expect on repeated text, if you repeat the 200 texts 72 times? *Expect a difference of about 0.02 nats on fresh
text, with an interval that has zero in it. On repeated text the network without dropout ends about 2.5 nats above the least
possible loss, the one with dropout about 0.4.*
""",
    ),
    Coded(
        id="placement-7",
        title="a neighbor is left",
        level="warm-up",
        kind="predict",
        minutes=10,
        points=2,
        objectives=(2,),
        constants={"keep_prob": (0.2, 0.3, 0.25, 0.15, 0.35, 0.1)},
        prompt=r"""
The entries of a feature map are dropped one by one, and kept with $p = {{keep_prob}}$ only. One of them, away from the
border, was dropped. How likely is it that at least one of its eight nearest neighbors is still there? What would it be if
whole maps were dropped?
""",
        stub="left = None  # the probability, for single entries",
    ),
    Written(
        id="placement-8",
        title="too narrow, or too much?",
        level="stretch",
        kind="design",
        minutes=40,
        points=5,
        objectives=(4,),
        prompt=r"""
A colleague trains with the paper's keep probabilities, loses accuracy, and says: "The thinned layers are too narrow. Give
them more units." Name another cause that would look the same, and design a comparison that tells the two apart: the arms,
what each is tuned on, what is held fixed, the statement and its bound. Write all of it down before you run it, on clothes
with a size of training set that the chapter does not use.
""",
    ),
    Written(
        id="placement-9",
        title="what width repairs",
        kind="read a figure",
        minutes=15,
        points=4,
        objectives=(4,),
        prompt=r"""
Look at the figure of wider layers. (a) By how many points do 4 times as many units lower the test error of the
network with dropout, and how much is then still missing to the narrow network without? (b) The intervals compare each
arm with the narrow plain network. Somebody concludes: "At 4 times the width dropout costs 0.8 points." What is left
out? (c) The training error with dropout is higher by about ten points, the test error only by one or two. What does
that tell about the network with dropout, and what about the plain one?
""",
    ),
)
