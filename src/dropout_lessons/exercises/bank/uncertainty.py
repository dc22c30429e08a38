"""Exercises on uncertainty."""

from __future__ import annotations

from dropout_lessons.exercises.exercise import Coded, Written

EXERCISES = (
    Coded(
        id="uncertainty-1",
        title="how much can they disagree?",
        level="warm-up",
        kind="predict",
        minutes=10,
        points=2,
        objectives=(1,),
        constants={"members": (5, 4, 7, 6), "classes": (10, 20, 12)},
        prompt=r"""
Invent {{members}} members' probabilities over {{classes}} classes so that the entropy of the average is as large as it can be
and the mutual information is zero. Then make the mutual information as large as it can be. How large is that for {{members}}
members, and for the fifty of MC dropout, in nats? Say it first, then check with `torch.special.entr`.
""",
        stub="""
# two numbers: the largest mutual information of {{members}} members, and of fifty
largest = None
""",
    ),
    Coded(
        id="uncertainty-2",
        title="two kinds of doubt",
        kind="implement",
        minutes=20,
        points=4,
        objectives=(1,),
        prompt=r"""
Write `doubts(probs)`, which takes the members' probabilities of shape (members, examples, classes), `float64`, and returns
three tensors of shape (examples,) in nats: the entropy of the average, the average entropy of the members, and their
difference, the mutual information. Some members are entirely sure: their probabilities are exactly 0 and 1, which must not
give NaN.
""",
        given="import torch",
        stub="def doubts(probs):",
    ),
    Coded(
        id="uncertainty-3",
        title="find the bug: perfectly calibrated",
        kind="find the bug",
        minutes=15,
        points=3,
        objectives=(2,),
        prompt=r"""
This function is meant to compute the expected calibration error, as this chapter defines it: bins of equal width, and the
share of the examples in a bin as its weight. It calls networks well calibrated that are not. Two things are wrong in it.
Repair them. `probs` has shape (examples, classes), `labels` shape (examples,), and the result is one number.
""",
        given="import torch",
        stub="""
def calibration_error(probs, labels, bins):
    confidence, answers = probs.max(dim=1)
    right = (answers == labels).to(probs.dtype)
    gaps = []
    for k in range(bins):
        inside = (confidence > k / bins) & (confidence <= (k + 1) / bins)
        if inside.any():
            gaps.append(confidence[inside].mean() - right[inside].mean())
    return (sum(gaps) / len(gaps)).abs()
""",
    ),
    Written(
        id="uncertainty-4",
        title="wrong labels",
        kind="design",
        minutes=30,
        points=4,
        objectives=(2, 5),
        prompt=r"""
Give `train` two more arguments, and train plain networks and networks with dropout on 1,000 digits with
`label_noise=0.3`, with `learning_rate=0.03`. For plain networks, weight scaling and MC dropout, compare error, mean
confidence and accuracy on the (clean) test digits. Fit a temperature for each. *Expect dropout to make far fewer
errors, to be far less sure than it should be, MC dropout more so than weight scaling, and temperatures below 1 for
both.*
""",
    ),
    Written(
        id="uncertainty-5",
        title="a promise",
        kind="design",
        minutes=30,
        points=4,
        objectives=(4, 5),
        prompt=r"""
On validation digits, find for MC dropout the largest entropy threshold at which at most 1% of its answers are wrong.
Which fraction of test digits does it answer, and how many of those answers are wrong? Then turn the test digits by
15°, 30°, 45° and 60°. Does the promise of 1% hold? *Expect it to hold roughly for upright digits. By 45°, although
few digits are still answered, a quarter or more of the answers are wrong.*
""",
    ),
    Written(
        id="uncertainty-6",
        title="turn the dial",
        level="stretch",
        kind="argue",
        minutes=45,
        points=6,
        objectives=(2, 5),
        prompt=r"""
For 500, 1,000 and 5,000 training digits, trained for 80, 40 and 8 epochs, choose the keep probability of the hidden
units among 0.5, 0.7, 0.8, 0.9, 0.95 and 1 by the validation loss of MC dropout, for each of five seeds. Does the
choice depend on the amount of data? How far is mean confidence from accuracy on test digits then? Is that a defense
of MC dropout, or an argument against it? *Expect the choice to rise with the data, up to 0.9 or more, and the
confidence to stay within about three points of the accuracy.*
""",
    ),
    Written(
        id="uncertainty-7",
        title="read the bands",
        kind="read a figure",
        minutes=20,
        points=4,
        objectives=(3, 5),
        prompt=r"""
A colleague wants MC dropout as a warning light that goes on where there were no training data. Take the figure of the fit
with a gap, and say (a) at which $x$ each of the three bands is widest, and whether there are points there; (b) for each method,
whether a light that goes on above the median width of its band would be on at $x = 0$; (c) what you would have to measure before
you believed the light for images. Then choose from the table of nine ways the one that you would propose instead if only one
network may be trained, and name its price. *Expect that for (c) one foreign data set is not enough.*
""",
    ),
)
