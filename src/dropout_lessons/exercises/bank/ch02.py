"""Exercises of chapter 2, dropping units."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from dropout_lessons.exercises import judging
from dropout_lessons.exercises.exercise import Coded, Inputs, Outputs, Problem, Written

__all__ = ["EXERCISES"]

_DRAWS = 60_000


def _judge_nobody(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    n, keep_prob = inputs["n"], inputs["keep_prob"]
    chance = (1 - keep_prob) ** n
    yield from judging.number(
        outputs["answer"],
        _DRAWS * chance,
        {
            "all-kept": (_DRAWS * keep_prob**n, "That is how often every unit is kept."),
            "probability": (chance, "That is the probability for one mask: how many of the masks is it?"),
            "one-dropped": (_DRAWS * (1 - keep_prob), "That is how often one given unit is dropped."),
            "any-dropped": (_DRAWS * (1 - keep_prob**n), "That is how often at least one unit is dropped."),
            "added": (
                _DRAWS * n * (1 - keep_prob),
                "The units' probabilities are added: all of them must be dropped at once.",
            ),
            "equally-likely": (
                _DRAWS / 2**n,
                "That takes all masks to be equally likely, which they are at 1/2 alone.",
            ),
        },
    )


_ROWS, _IN, _HIDDEN, _OUT = 16, 12, 24, 5


def _draw_thin(rng: np.random.Generator) -> Inputs:
    keep_prob = judging.band(rng)
    kept = rng.random(_HIDDEN) < keep_prob
    kept[rng.permutation(_HIDDEN)[:5]] = True, True, True, False, False  # never all, and never as many as dropped ones
    if kept.sum() == _HIDDEN / 2:
        kept[np.flatnonzero(kept)[0]] = False
    return {
        "weight1": judging.away_from_zero(rng, _HIDDEN, _IN),
        "bias1": judging.away_from_zero(rng, _HIDDEN),
        "weight2": judging.away_from_zero(rng, _OUT, _HIDDEN),
        "kept": kept,
        "keep_prob": keep_prob,
        "x": judging.away_from_zero(rng, _ROWS, _IN),
    }


def _use_thin(answer: Any, inputs: Inputs) -> dict[str, Any]:
    weight1, bias1, weight2 = answer(
        inputs["weight1"], inputs["bias1"], inputs["weight2"], inputs["kept"], inputs["keep_prob"]
    )
    return {"weight1": weight1, "bias1": bias1, "weight2": weight2}


def _network(x: Any, weight1: Any, bias1: Any, weight2: Any) -> Any:
    hidden = np.maximum(x.astype(np.float64) @ weight1.astype(np.float64).T + bias1, 0)
    return hidden @ weight2.astype(np.float64).T


def _judge_thin(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    kept, keep_prob, x = inputs["kept"], inputs["keep_prob"], inputs["x"]
    weight1, bias1, weight2 = inputs["weight1"], inputs["bias1"], inputs["weight2"]
    shapes = tuple(outputs[name].shape for name in ("weight1", "bias1", "weight2"))

    def cut(units: int) -> tuple[tuple[int, ...], ...]:
        return (units, _IN), (units,), (_OUT, units)

    if shapes == cut(_HIDDEN):
        yield Problem("not-cut", "The network has as many hidden units as before: cut the dropped ones out.")
    elif shapes == cut(_HIDDEN - kept.sum()):
        yield Problem("keep-and-drop-swapped", "The units that are left are the dropped ones.")
    elif shapes != cut(kept.sum()):
        yield Problem(
            "wrong-shape", f"The shapes are {shapes}; with {kept.sum()} units kept they should be {cut(kept.sum())}."
        )
        return
    got = _network(x, outputs["weight1"], outputs["bias1"], outputs["weight2"])

    def is_that(one: Any, bias: Any, two: Any) -> bool:
        return bool(np.allclose(got, _network(x, one[kept], bias[kept], two[:, kept]), rtol=1e-3, atol=1e-3))

    if is_that(weight1, bias1, weight2 / keep_prob):
        return
    known = {
        "unscaled": (1.0, 1.0, 1.0, "What is kept is not divided by keep_prob, as inverted dropout does in training."),
        "scaled-by-keep-prob": (1.0, 1.0, keep_prob, "What is kept is multiplied by keep_prob, not divided."),
        "scaled-by-drop-prob": (
            1.0,
            1.0,
            1 / (1 - keep_prob),
            "What is kept is divided by the probability of dropping.",
        ),
        "scaled-twice": (1 / keep_prob, 1 / keep_prob, 1 / keep_prob, "What is kept is divided by keep_prob twice."),
        "bias-unscaled": (
            1 / keep_prob,
            1.0,
            1.0,
            "Dividing the first weights alone leaves their biases as they were.",
        ),
        "bias-missing": (1.0, 0.0, 1 / keep_prob, "The hidden units' biases are gone."),
    }
    for code, (one, bias, two, message) in known.items():
        if is_that(weight1 * one, bias1 * bias, weight2 * two):
            yield Problem(code, message)
            return
    yield Problem(
        "different", "The smaller network computes something else than the masked one: are the right units cut out?"
    )


def _use_repeat(answer: Any, inputs: Inputs) -> dict[str, Any]:
    return {"draws": [float(answer(int(n), inputs["keep_prob"])) for n in inputs["n"]]}


def _draw_repeat(rng: np.random.Generator) -> Inputs:
    return {"n": np.sort(rng.choice(np.arange(16, 30), 3, replace=False)), "keep_prob": judging.band(rng)}


def _judge_repeat(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    n, keep_prob, draws = inputs["n"].astype(float), inputs["keep_prob"], outputs["draws"]
    agree = keep_prob**2 + (1 - keep_prob) ** 2

    def is_that(other: Any) -> bool:
        return bool(np.allclose(draws, other, rtol=0.08, atol=1.2))

    if is_that(np.sqrt(np.pi / 2 / agree**n)):
        return
    known = {
        "equally-likely": (
            np.sqrt(np.pi / 2 * 2**n),
            "It takes all masks to be equally likely, which they are at 1/2 alone.",
        ),
        "one-pair": (agree**-n, "That is how long you wait until one given mask comes back; any two may agree."),
        "keep-prob-only": (np.sqrt(np.pi / 2 / keep_prob ** (2 * n)), "Two masks also agree on a unit that both drop."),
        "no-constant": (agree ** (-n / 2), "It grows as it should; the constant in front is off by a fifth or more."),
        "median": (np.sqrt(2 * np.log(2) / agree**n), "That is the median of the number of draws, not the average."),
        "not-a-root": (np.pi / 2 / agree**n, "With T draws there are about T * T / 2 pairs: a square root is missing."),
    }
    for code, (other, message) in known.items():
        if is_that(other):
            yield Problem(code, message)
            return
    yield Problem("off", "The numbers are not those of the birthday problem for masks.")


EXERCISES = (
    Coded(
        id="ch02-q1",
        title="nobody left",
        level="warm-up",
        kind="predict",
        minutes=10,
        points=2,
        objectives=(3,),
        constants={"n": (4, 5, 6), "keep_prob": (0.5, 0.4, 0.6)},
        prompt=r"""
A layer has {{n}} units, and $p = {{keep_prob}}$. In how many of the 60,000 masks of a training run do you expect every unit to
be dropped? Answer before you count them with `sample_mask`. And for 256 units? What does the network predict for such an
example? *Expect, for 256 units, a number with more than fifty zeros after the decimal point. The prediction no longer
depends on the example.*
""",
        answer="empty",
        stub="empty = None  # masks of 60,000 with every unit dropped, on average",
        judge=_judge_nobody,
    ),
    Coded(
        id="ch02-q2",
        title="cut it out",
        level="core",
        kind="implement",
        minutes=20,
        points=3,
        objectives=(2,),
        prompt=r"""
A network with one hidden layer computes `relu(x @ weight1.T + bias1) @ weight2.T`. In training, inverted dropout with
`keep_prob` stands after the ReLU, and `kept` is its mask, a vector of booleans. Write `thin`, which returns the weights
of a smaller network without any dropout that computes the same. The check runs your network beside the masked one.
""",
        answer="thin",
        stub="""
def thin(weight1, bias1, weight2, kept, keep_prob):
    \"\"\"weight1: (hidden, in), bias1: (hidden,), weight2: (out, hidden), kept: (hidden,).\"\"\"
    raise NotImplementedError  # return weight1, bias1, weight2 of the thinned network
""",
        draw=_draw_thin,
        use=_use_thin,
        judge=_judge_thin,
    ),
    Coded(
        id="ch02-q3",
        title="a mask comes back",
        level="core",
        kind="predict",
        minutes=25,
        points=3,
        objectives=(3,),
        prompt=r"""
After how many draws, on average, does a mask of $n$ units come back, for any $p$? Write a formula. It is the birthday problem:
if two draws agree with a small probability $c$, the first agreement is expected after about $\sqrt{\pi / (2c)}$ draws.
Then compare your formula with `first_repeat` for 10, 15 and 20 units at $p$ = 0.5 and 0.8, each counted at least 300
times. Where is it off, and why? *Expect about 40, 227 and 1,283 at $p = 0.5$, and 9, 23 and 59 at $p = 0.8$. At 0.8 it is
below what you count, by about a tenth to a fifth: pairs of the likely masks do not agree independently.*
""",
        answer="draws_until_repeat",
        stub="""
def draws_until_repeat(n, keep_prob):
    raise NotImplementedError
""",
        draw=_draw_repeat,
        use=_use_repeat,
        judge=_judge_repeat,
    ),
    Written(
        id="ch02-q4",
        title="masks that are drawn once",
        level="core",
        kind="design",
        minutes=40,
        points=5,
        objectives=(4, 5),
        prompt=r"""
Someone draws the masks once, before the training loop, "to save time", and uses them in every step. The training loss
falls faster than ever. What is being trained? Write it for `MLP([784, 256, 256, 10], keep_prob=0.5)` with
`network(x, masks=...)` and `torch.optim.SGD`. After training,
compare the test errors of the one subnetwork, of the whole network and of twenty other
subnetworks; then do the same for a network that was trained with fresh masks. *Expect the one subnetwork and the whole
network to do about equally well, and the others to make about three times as many errors, though far from guessing. With
fresh masks the others come much closer to the whole network.*
""",
    ),
    Written(
        id="ch02-q5",
        title="what is shared",
        level="stretch",
        kind="argue",
        minutes=45,
        points=5,
        objectives=(4,),
        prompt=r"""
Repeat `step_on_one` for keep probabilities from 0.3 to 1. Draw the share of the gain that goes to the others against
$p$, averaged over five seeds. What goes wrong at 0.1? Then train the network for ten epochs first and draw it again. *Expect
the share to rise with $p$ and to reach 1 at $p = 1$. After training it is smaller at every $p$ below 1, and differs
more from seed to seed.* Argue from both figures for or against: "dropout trains all subnetworks at once".
""",
    ),
)
