"""Exercises on measuring co-adaptation."""

from __future__ import annotations

from typing import Any

import torch

from dropout_lessons.exercises.exercise import Coded, Inputs, Written, returned


def _use_value(answer: Any, inputs: Inputs) -> dict[str, Any]:
    single, pairs, weight = inputs["single"].clone(), inputs["pairs"].clone(), inputs["all"]

    def value(mask: torch.Tensor) -> float:
        m = mask.to(torch.float64)
        triples = (m.sum() ** 3 - 3 * m.sum() ** 2 + 2 * m.sum()) / 6
        return float(single @ m + m @ pairs @ m + weight * triples)

    return {"matrix": returned(answer(value, inputs["units"]))}


EXERCISES = (
    Coded(
        id="coadaptation-1",
        title="two units",
        level="warm-up",
        kind="predict",
        minutes=15,
        points=2,
        objectives=(1,),
        constants={"nothing": (1, 0.5), "first": (2, 2.5), "second": (3, 3.5), "both": (2.5, 1.5, 1)},
        prompt=r"""
A layer has two units. The value $v$ is {{nothing}} with neither, {{first}} with the first, {{second}} with the second, and
{{both}} with both. What is their interaction, and what is the interaction share at $p = 1/2$? On paper: write $v$ as a sum with
signs $s_i = \pm 1$ for present and absent, $c_0 + c_1 s_1 + c_2 s_2 + c_{12} s_1 s_2$. The variance is the sum of the last three
squares.
""",
        stub="numbers = None  # two numbers: interaction, share",
    ),
    Written(
        id="coadaptation-2",
        title="logits do not interact",
        level="warm-up",
        kind="argue",
        minutes=15,
        points=3,
        objectives=(2,),
        prompt=r"""
For one pair of units of the *second* hidden layer of `networks["plain"]`, compute the four terms of $I_{ij}$ yourself, with
`network(x, masks={"hidden2": mask})` and all other units present. Take $v$ to be (a) the log-probability of the label, (b) the
logit of the label. Explain (b) in a sentence. *Expect (b) to be 0 for every image, up to rounding.*
""",
    ),
    Coded(
        id="coadaptation-3",
        title="all pairs",
        kind="implement",
        minutes=20,
        points=4,
        objectives=(1,),
        prompt=r"""
Write `all_pairs(value, units)`: the matrix of interactions $I_{ij} = v(S \cup ij)$ $- v(S \cup i)$ $- v(S \cup j)$ $+ v(S)$ with
all other units present, as a tensor of shape (units, units) with a diagonal of zeros. `value(mask)` takes a bool tensor of shape
(units,), `True` for present, and returns a number.
""",
        given="import torch",
        stub="def all_pairs(value, units):",
        use=_use_value,
    ),
    Written(
        id="coadaptation-4",
        title="two copies",
        kind="design",
        minutes=25,
        points=4,
        objectives=(2,),
        prompt=r"""
Replace every unit of the second layer of a plain network by two copies with half the outgoing weights. What the network computes
is the same. Predict for each of these whether it rises, falls, or stays: correlation, the area under the removal curve, the
interaction share at $p = 1/2$, `interaction`'s `relative`. Then measure. Which of them would you trust to compare layers of
different width? *Expect the area to rise, the share to fall by a fifth to a third, `relative` to rise, the correlation to stay
about the same.*
""",
    ),
    Written(
        id="coadaptation-5",
        title="another kind of dropout",
        kind="argue",
        minutes=25,
        points=4,
        objectives=(2, 3),
        prompt=r"""
`standard_arms` also has networks with Gaussian dropout, which multiplies by noise and never removes a unit. Say before you run it
which measures you expect to move as they do with dropout, and what it would mean if they did not. Then compare the two arms by
`study`, as the next chapter does, with five seeds. *Expect no clear difference from dropout in the share at equal damage and in
robustness to noise.*
""",
    ),
    Written(
        id="coadaptation-6",
        title="stopping early",
        level="stretch",
        kind="design",
        minutes=40,
        points=5,
        objectives=(2, 3),
        prompt=r"""
A colleague says that co-adaptation builds up late in training, so that stopping early prevents it. Write down which measure
decides, at which layer, what difference would count, and what else must be equal. Then compare an arm that stops after 10 epochs
with a plain one by `study`, as the next chapter does, with ten seeds. *Expect the error to be a point higher, and no clear
difference in the share at equal damage.*
""",
    ),
    Written(
        id="coadaptation-7",
        title="one number is not enough",
        kind="read a figure",
        minutes=15,
        points=4,
        objectives=(2, 3),
        prompt=r"""
Look at the figure of interaction share against damage in the planted networks. (a) A paper reports an interaction
share of 16% for a layer. Which of the four networks could it be? What must the paper say besides? (b) Each dot is a keep
probability; the second from the left is 0.8, save for canceling units. Why is it less fair to compare second dots than points
above each other? (c) At equal damage, canceling units lie below the additive network. What would somebody conclude who
knows only this figure, and why is it false?
""",
    ),
    Written(
        id="coadaptation-8",
        title="robust, or trained for it?",
        kind="argue",
        minutes=25,
        points=4,
        objectives=(3, 4),
        prompt=r"""
In the laboratory above, train the two networks. (a) Remove half of the units at random from both, and note how far
each error rises. (b) Put all back, then remove units in each network until its own error has risen by ten points; note how
many it took. (c) Somebody puts the two numbers of (b) into a paper as evidence that dropout reduces co-adaptation. Write
the reviewer's answer: what do they show, what were the networks trained for, and which comparison of this chapter
would you ask for? Hand in the link with it.
""",
    ),
)
