"""Exercises of chapter 8, where dropout helps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from dropout_lessons.exercises import judging
from dropout_lessons.exercises.exercise import Coded, Inputs, Outputs, Problem, Written

__all__ = ["EXERCISES"]


def _judge_memory(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    p = inputs["keep_prob"]
    exact = float(np.log(0.5) / np.log(p))
    steps = int(np.ceil(exact))
    yield from judging.number(
        outputs["answer"],
        steps,
        {
            "one-too-few": (steps - 1, "After that many steps it is still more likely left than gone."),
            "one-too-many": (steps + 1, "One step earlier it is already more likely gone than left."),
            "not-rounded": (exact, "Steps are whole: which is the first after which it is more likely gone?"),
            "mean-lifetime": (1 / (1 - p), "That is how many steps a memory lasts on average, not half of the time."),
            "chances-added": (
                0.5 / (1 - p),
                "The chances of being dropped are added: a memory can be erased only once.",
            ),
            "keep-and-drop-swapped": (1, "With that chance of being dropped it would be gone at once: p keeps."),
        },
        rtol=0,
        atol=0.02,
        what="The number of steps",
    )


def _draw_layer(rng: np.random.Generator) -> Inputs:
    return {
        "h": np.maximum(rng.normal(0.5, 1, (30, 8)), 0),
        "weight": judging.away_from_zero(rng, 5, 8).astype(np.float64),
        "keep_prob": judging.band(rng),
    }


def _use_layer(answer: Any, inputs: Inputs) -> dict[str, Any]:
    answer(inputs["h"].clone(), inputs["weight"].clone(), inputs["keep_prob"])
    return {"ratio": answer(inputs["h"], inputs["weight"], inputs["keep_prob"])}


def _judge_layer(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    h, weight, p = inputs["h"], inputs["weight"], inputs["keep_prob"]
    at_test = (h @ weight.T).var(0)
    noise = weight**2 @ (h**2).mean(0)

    def ratio(factor: float) -> Any:
        return 1 + factor * noise / at_test

    yield from judging.values(
        outputs["ratio"],
        ratio((1 - p) / p),
        {
            "only-what-is-added": (
                ratio((1 - p) / p) - 1,
                "That is what the masks add: in training the inputs themselves vary, too.",
            ),
            "upside-down": (1 / ratio((1 - p) / p), "The ratio is upside down: training over test."),
            "standard-scaling": (
                ratio(p * (1 - p)),
                "p (1 - p) is the variance of a mask of 0 and 1; with inverted scaling it is 0 or 1/p.",
            ),
            "keep-and-drop-swapped": (ratio(p / (1 - p)), "Keeping and dropping are swapped."),
            "variance-for-square": (
                1 + (1 - p) / p * (weight**2 @ h.var(0)) / at_test,
                "A constant unit adds noise when it is dropped, too: its variance is not what counts.",
            ),
            "square-of-the-mean": (
                1 + (1 - p) / p * (weight**2 @ h.mean(0) ** 2) / at_test,
                "The mean is squared; each example has a mask of its own, so the squares are to be averaged.",
            ),
            "independent-inputs": (
                1 + (1 - p) / p * noise / (weight**2 @ h.var(0)),
                "The units' outputs are correlated: at test time their variances do not simply add up.",
            ),
            "standard-deviations": (
                np.sqrt(ratio((1 - p) / p)),
                "That is the ratio of the standard deviations, not of the variances.",
            ),
        },
        rtol=1e-4,
        what="the ratios, one for each output",
    )


_STEPS, _BATCH, _UNITS = 5, 16, 40
_RECURRENT = 0.1  # small enough that no state comes near zero, so that every mask can be told


def _draw_sequence(rng: np.random.Generator) -> Inputs:
    size = (_STEPS, _BATCH, _UNITS)
    return {
        "x": rng.uniform(0.8, 1.5, size) * rng.choice([-1.0, 1.0], size),
        "weight_state": np.diag(rng.choice([-_RECURRENT, _RECURRENT], _UNITS)),
        "keep_prob": judging.band(rng),
    }


def _use_sequence(answer: Any, inputs: Inputs) -> dict[str, Any]:
    x, weight, keep_prob = inputs["x"], inputs["weight_state"], inputs["keep_prob"]
    calls = [answer(x.clone(), weight.clone(), keep_prob) for _ in range(3)]
    return {"states": torch.stack([*calls, answer(x, weight, keep_prob)])}


def _judge_sequence(inputs: Inputs, outputs: Outputs) -> Iterator[Problem]:
    x, p, states = inputs["x"], inputs["keep_prob"], outputs["states"]
    yield from judging.shape("the states", states[0], x.shape)
    if (states == 0).any():
        yield Problem("states-dropped", "Some states are zero: the mask acts on what is returned, too.")
    if not np.allclose(states[:, 0], np.tanh(x[0]), atol=1e-6):
        yield Problem("off", "The first state should be tanh of the first input: there is nothing to remember yet.")
    if np.abs(states).max() >= 1:
        yield Problem("off", "A state is not a tanh.")
    remembered = np.arctanh(states[:, 1:].astype(np.float64)) - x[1:]
    factors = remembered / (states[:, :-1] * np.diag(inputs["weight_state"]))
    kept = np.abs(factors) > 0.01
    if kept.all():
        yield Problem("nothing-dropped", "Nothing is dropped from the memory.")
    if (kept != kept[:, :1]).any():
        yield Problem("mask-per-step", "The mask changes within a sequence: sooner or later it erases every memory.")
    yield from judging.masks(kept[:, 0], p)
    if np.allclose(factors[kept], 1, atol=1e-3):
        yield Problem("unscaled", "What is kept is not scaled: memories shrink in training, and not at test time.")
    if not np.allclose(factors[kept], 1 / p, rtol=1e-3):
        yield Problem("wrong-scale", "What is kept is not divided by keep_prob.")


EXERCISES = (
    Coded(
        id="ch08-q1",
        title="how long does a memory last?",
        level="warm-up",
        kind="predict",
        minutes=10,
        points=2,
        objectives=(4,),
        constants={"keep_prob": (0.9, 0.95, 0.97, 0.85)},
        prompt=r"""
A recurrent state is dropped with a fresh mask at every step, and $p = {{keep_prob}}$. After how many steps is the memory of a
unit more likely gone than left? Guess first, then derive it, and check by changing the cell above.
""",
        answer="steps",
        stub="""
steps = None  # a whole number
""",
        judge=_judge_memory,
    ),
    Coded(
        id="ch08-q2",
        title="how far does the variance shift?",
        level="core",
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
        answer="variance_ratio",
        given="import torch",
        stub="""
def variance_ratio(h, weight, keep_prob):
    raise NotImplementedError
""",
        draw=_draw_layer,
        use=_use_layer,
        judge=_judge_layer,
    ),
    Coded(
        id="ch08-q3",
        title="find the bug: a network without a memory",
        level="core",
        kind="find the bug",
        minutes=15,
        points=3,
        objectives=(4,),
        prompt=r"""
This function runs a small recurrent network in training mode, with dropout on its memory. It never learns to remember anything
for more than a few steps. Repair it, with inverted scaling, a mask for each sequence and unit, and new masks at each call.
`x` has shape (steps, batch, units), and all states are returned in that shape. The check looks at the masks of several calls.
""",
        answer="run",
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
        draw=_draw_sequence,
        use=_use_sequence,
        judge=_judge_sequence,
    ),
    Written(
        id="ch08-q4",
        title="a smaller shift",
        level="core",
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
        id="ch08-q5",
        title="how much is too much?",
        level="core",
        kind="argue",
        minutes=20,
        points=4,
        objectives=(1,),
        prompt=r"""
Run the Fashion-MNIST comparison with keep probabilities of 0.75 (hidden) and 0.9 (input). What happens to the error and to
the loss? Which of the two would you report? *Expect an error within half a point of the plain network's, and a loss that is
lower by about 0.19 nats.*
""",
    ),
    Written(
        id="ch08-q6",
        title="patience",
        level="stretch",
        kind="design",
        minutes=40,
        points=5,
        objectives=(5,),
        prompt=r"""
Give the transformers on fresh text three times as many steps: 14,400 texts, each read once. What is left of the difference?
What do you expect on repeated text, if you repeat the 200 texts 72 times? *Expect a difference of about 0.02 nats on fresh
text, with an interval that has zero in it. On repeated text the network without dropout ends about 2.5 nats above the least
possible loss, the one with dropout about 0.4.*
""",
    ),
)
