"""Exercises on dropping units."""

from __future__ import annotations

from typing import Any

from dropout_lessons.exercises.exercise import Coded, Inputs, Written, returned
from dropout_lessons.exercises.trials import parts


def _use_thin(answer: Any, inputs: Inputs) -> dict[str, Any]:
    given = (inputs[name] for name in ("weight1", "bias1", "weight2", "kept", "keep_prob"))
    weight1, bias1, weight2 = parts(answer(*given), 3)
    return {"weight1": weight1, "bias1": bias1, "weight2": weight2}


def _use_repeat(answer: Any, inputs: Inputs) -> dict[str, Any]:
    return {"draws": [returned(answer(int(n), inputs["keep_prob"])) for n in inputs["n"]]}


EXERCISES = (
    Coded(
        id="subnetworks-1",
        title="nobody left",
        level="warm-up",
        kind="predict",
        minutes=10,
        points=2,
        objectives=(3,),
        constants={"n": (4, 5, 6), "keep_prob": (0.6, 0.4, 0.65, 0.35)},
        prompt=r"""
A layer has {{n}} units, and $p = {{keep_prob}}$. In how many of the 60,000 masks of a training run do you expect every unit to
be dropped? Answer before you count them with `sample_mask`. And for 256 units? What does the network predict for such an
example? *Expect, for 256 units, a number with more than forty zeros after the decimal point. The prediction no longer
depends on the example.*
""",
        stub="empty = None  # masks of 60,000 with every unit dropped, on average",
    ),
    Coded(
        id="subnetworks-2",
        title="cut it out",
        kind="implement",
        minutes=20,
        points=3,
        objectives=(2,),
        prompt=r"""
A network with one hidden layer computes `relu(x @ weight1.T + bias1) @ weight2.T`. In training, inverted dropout with
`keep_prob` stands after the ReLU, and `kept` is its mask, a vector of booleans. Write `thin`, which returns the weights
of a smaller network without any dropout that computes the same. The check runs your network beside the masked one.
""",
        stub="""
def thin(weight1, bias1, weight2, kept, keep_prob):
    \"\"\"weight1: (hidden, in), weight2: (out, hidden), kept: (hidden,).\"\"\"
    # return weight1, bias1, weight2 of the thinned network
    raise NotImplementedError
""",
        use=_use_thin,
    ),
    Coded(
        id="subnetworks-3",
        title="a mask comes back",
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
        stub="def draws_until_repeat(n, keep_prob):",
        use=_use_repeat,
    ),
    Written(
        id="subnetworks-4",
        title="masks that are drawn once",
        kind="design",
        minutes=40,
        points=5,
        objectives=(4, 5),
        prompt=r"""
Someone draws one mask for each hidden layer, once, before the training loop, "to save time", and uses the two in every
step. The training loss falls faster than ever. What is being trained? Write it for
`MLP([784, 256, 256, 10], keep_prob=0.5)` with `network(x, masks=...)` and `torch.optim.SGD`. After training, compare the
test errors of the one subnetwork, of the whole network and of twenty other subnetworks; then do the same for a network that
was trained with fresh masks. *Expect the one subnetwork and the whole network to do about equally well, and the others to
make three to six times as many errors, though far from guessing. With fresh masks the others come much closer to the whole
network.*
""",
    ),
    Written(
        id="subnetworks-5",
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
    Written(
        id="subnetworks-6",
        title="where the curves bend",
        level="warm-up",
        kind="read a figure",
        minutes=10,
        points=3,
        objectives=(3,),
        prompt=r"""
Look at the figure that counts different masks. (a) The curve of 256 units never leaves the gray line. How often is
one of its subnetworks trained in a run of a million steps? (b) Two curves belong to 20 units, and both have as many
masks to draw from. Why does the one with $p = 0.8$ leave the gray line earlier, and why has it not met the dotted
line after ten million draws? (c) Read off how many draws a layer of 10 units needs until nearly all of its masks have
come.
""",
    ),
)
