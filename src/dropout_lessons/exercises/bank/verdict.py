"""Exercises on whether dropout reduces co-adaptation."""

from __future__ import annotations

from dropout_lessons.exercises.exercise import Coded, Written

EXERCISES = (
    Coded(
        id="verdict-1",
        title="a paired interval",
        level="warm-up",
        kind="implement",
        minutes=15,
        points=3,
        objectives=(1,),
        prompt=r"""
Write `paired_interval(arm, control, quantile)`: the mean of the differences arm minus control at the same seeds, and its 95%
interval, as three numbers (mean, low, high). `arm` and `control` are tensors with a value for each seed, in the same order.
`quantile` is the 97.5% quantile of Student's distribution that belongs to so many seeds, such as 2.262 for ten. The interval is
$\bar d \pm t\, s / \sqrt n$, with $s$ the standard deviation of the differences, computed with $n - 1$.
""",
        given="import torch",
        stub="def paired_interval(arm, control, quantile):",
    ),
    Coded(
        id="verdict-2",
        title="hedging by hand",
        kind="predict",
        minutes=25,
        points=4,
        objectives=(3,),
        constants={"keep": (0.8, 0.75, 0.6), "noise": (1, 2, 0.5)},
        prompt=r"""
Inputs $x_1$ and $x_3$ are independent, with mean 0 and variance 1, and $x_2 = x_1 + x_3 + \varepsilon$ with independent noise
of variance {{noise}}. The target is $x_1$ itself. A linear model without a constant is trained by least squares, with dropout
on its inputs, inverted scaling, and keep probability {{keep}}. Which three weights does it end with, on average over masks? On
paper: the penalty is $\frac{1-p}{p} \sum_j \mathbb E[x_j^2]\, w_j^2$; set the derivative of error plus penalty to zero. Three
decimals are enough.
""",
        stub="weights = None  # three numbers: of x1, x2, x3",
    ),
    Written(
        id="verdict-3",
        title="read the verdict",
        kind="read a figure",
        minutes=20,
        points=4,
        objectives=(1, 2, 3),
        prompt=r"""
A newspaper prints: "Scientists prove that dropout makes neurons independent." Take the figure of the whole trial, and write down
(a) the one mark in it that supports the sentence best, (b) two marks that speak against it, and (c) for each of the three what
else could have moved that measure, from chapter 6. Then write a headline of at most twelve words that the figure does support.
*Expect to need the words "layer" and "measure".*
""",
    ),
    Written(
        id="verdict-4",
        title="cause or company",
        level="stretch",
        kind="design",
        minutes=40,
        points=5,
        objectives=(2, 3, 4),
        prompt=r"""
The chapter finds errors and interaction shares that move in different directions. Design an experiment that could show that less
co-adaptation *causes* fewer errors: something must change co-adaptation and nothing else. Say what you change, which measure
shows that it worked, which arms control for what comes along, how many seeds you need for a difference of half a point, and which
outcome would convince you of the opposite. Run it once if it takes less than five minutes. *Expect that the hard part is the
word "nothing".*
""",
    ),
)
