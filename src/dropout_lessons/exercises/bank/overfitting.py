"""Exercises on overfitting and co-adaptation."""

from __future__ import annotations

from typing import Any

from dropout_lessons.exercises.exercise import Coded, Inputs, Written
from dropout_lessons.exercises.trials import parts


def _use_layer(answer: Any, inputs: Inputs) -> dict[str, Any]:
    names = ("hidden", "weight", "bias", "labels")
    units = inputs["units"].tolist()
    given = list(units)
    first = answer(*(inputs[name].clone() for name in names), given)
    answer(*(inputs[name] for name in names), list(units))
    return {"costs": parts(first, 2), "units_left": given == units}


EXERCISES = (
    Coded(
        id="overfitting-1",
        title="how many labels are false?",
        level="warm-up",
        kind="predict",
        minutes=10,
        points=2,
        objectives=(1,),
        constants={"noise": (30, 20, 40, 60), "classes": (10, 5, 20)},
        prompt=r"""
Of 1,000 examples from {{classes}} equally frequent classes, {{noise}}% have their labels drawn anew, evenly from all classes. A
network gives every example its *true* class. What error does it make on these labels? Another one has learned examples by
heart whose labels were *all* drawn anew. What error do you expect of it on new examples with true labels?
""",
        stub="errors = None  # two fractions: on the noisy labels, on new examples",
    ),
    Written(
        id="overfitting-2",
        title="what is a unit for?",
        level="warm-up",
        kind="argue",
        minutes=15,
        points=3,
        objectives=(3,),
        prompt=r"""
Find the unit of `plain[0]` that costs the most. Remove it, and count the errors on the training digits for each of the
ten classes. Is it a unit for one digit, or for all? Look at `plain[1]` to `plain[5]` too. *Expect most of the errors on
one digit each time.*
""",
    ),
    Coded(
        id="overfitting-3",
        title="find the bug: units that never come back",
        kind="find the bug",
        minutes=15,
        points=3,
        objectives=(3,),
        prompt=r"""
This function says by how much the error rises when units are removed: all at once, and then one at a time, added up (a unit
that does harm costs less than nothing). It finds that no set ever costs more than its parts. Repair it. `hidden` has shape
(examples, units); the layer above is linear. Whoever calls it needs `hidden` as it was.
""",
        given="import torch",
        stub="""
def costs(hidden, weight, bias, labels, units):
    def error():
        answers = (hidden @ weight.T + bias).argmax(dim=1)
        return (answers != labels).double().mean().item()

    whole = error()
    one_by_one = 0.0
    for unit in units:
        hidden[:, unit] = 0
        one_by_one += error() - whole
    hidden[:, units] = 0
    together = error() - whole
    return together, one_by_one
""",
        use=_use_layer,
    ),
    Written(
        id="overfitting-4",
        title="a difference in tone",
        kind="argue",
        minutes=20,
        points=4,
        objectives=(4, 5),
        prompt=r"""
Measure the reliance of plain and L2 networks again, without a temperature. What would you have concluded? Then take a
copy of `plain[0]`, divide its output weights and biases by 3, which changes no answer, and measure its reliance without
and with the fitted temperature. *Expect L2 to seem to cut the reliance from 0.58 to 0.35. The division by 3 does as
much: from 0.60 to 0.32. With the fitted temperature it changes nothing.*
""",
    ),
    Written(
        id="overfitting-5",
        title="where a penalty pays",
        kind="design",
        minutes=30,
        points=4,
        objectives=(2,),
        prompt=r"""
With 30% random labels (`label_noise=0.3` in `datasets.load`), tune L2 on validation error: none, 0.003, 0.01, 0.03 and 0.1,
on five tuning seeds. On five others, report the test error and its difference to no penalty with an interval. What share of
its training labels does the chosen network get wrong, and is that bad? *Expect 0.03, and about 17% errors instead of 32%. It
gets more than a quarter of the training labels wrong: about as many as are false.*
""",
    ),
    Written(
        id="overfitting-6",
        title="another way to remove a unit",
        kind="design",
        minutes=25,
        points=4,
        objectives=(3, 4),
        prompt=r"""
A unit that is stuck at zero may be something that the layer above has never seen. Replace units by their mean over the
examples instead (`clamp="mean"` in `LayerUnits`), for plain, L2 and L1. Do this chapter's claims on reliance survive? Then
take out half of the units at random, with `ablation_curve` from `dropout_lessons.coadaptation`, in both ways. *Expect the
claims to survive. With half of the units held at their mean, L2 keeps more right answers than plain, by about four points;
at zero it has no such lead.*
""",
    ),
    Written(
        id="overfitting-7",
        title="votes",
        level="stretch",
        kind="argue",
        minutes=35,
        points=5,
        objectives=(4, 5),
        prompt=r"""
Measure the reliance at `hidden2`, for untrained, plain and L2. There the logits are sums, with a contribution from each
unit that depends on no other. So why is the number not zero? Show that it nearly is when you divide `plain[0]`'s output
weights and biases by 100 and leave the temperature out. What does the number see, and what would you rather have it
see? *Expect 0.00 untrained, 0.32 plain and 0.35 L2; 0.0001 after the division. Probabilities are no sum of votes,
whatever the units do.*
""",
    ),
    Written(
        id="overfitting-8",
        title="a loss that falls",
        kind="read a figure",
        minutes=15,
        points=4,
        objectives=(2, 3),
        prompt=r"""
Take the figure in which every weight is multiplied by a number. A classmate reads it: "Shrinking the weights of the
plain network cuts its test loss by a third, so the network generalizes better." (a) Draw the curve of the test *error* into
the panel of the plain network. (b) Why can the test loss fall while the training loss rises? (c) Why does it
do nothing but harm with L2? (d) Correct the classmate's sentence.
""",
    ),
)
