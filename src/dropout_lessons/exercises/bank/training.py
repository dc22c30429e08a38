"""Exercises on training with dropout."""

from __future__ import annotations

from typing import Any

from dropout_lessons.exercises.exercise import Coded, Inputs, Written
from dropout_lessons.exercises.trials import try_layer


def _use_shared(answer: Any, inputs: Inputs) -> dict[str, Any]:
    return try_layer(
        lambda x: answer(x, inputs["keep_prob"]), lambda x: answer(x, inputs["other_keep_prob"]), inputs, arrays=True
    )


def _use_backward(answer: Any, inputs: Inputs) -> dict[str, Any]:
    return try_layer(
        lambda x: answer.apply(x, inputs["keep_prob"]), lambda x: answer.apply(x, inputs["other_keep_prob"]), inputs
    )


EXERCISES = (
    Coded(
        id="training-1",
        title="one mask for the whole batch",
        level="warm-up",
        kind="implement",
        minutes=10,
        points=2,
        objectives=(1,),
        prompt=r"""
Write `shared_dropout(x, keep_prob)`: inverted dropout in which all rows of a batch share one mask. Then draw 20,000
rows in one call, and look at the number of kept units in each: what has happened to its distribution? *Expect the
average over many calls to be right, and a single column instead of a bell.*
""",
        stub="""
def shared_dropout(x, keep_prob):
    \"\"\"x: (rows, units). Every row keeps the same units.\"\"\"
    raise NotImplementedError
""",
        use=_use_shared,
    ),
    Coded(
        id="training-2",
        title="what is left of the weights?",
        kind="predict",
        minutes=10,
        points=2,
        objectives=(2,),
        constants={"input_keep_prob": (0.8, 0.9, 0.7, 0.85), "keep_prob": (0.6, 0.4, 0.65, 0.35)},
        prompt=r"""
A network has one hidden layer. Its inputs are kept with probability {{input_keep_prob}}, its hidden units with
probability {{keep_prob}}. On average, which fraction of the weights into the hidden layer belongs to the thinned network
of one example? Which fraction of the weights out of it? Write down both, then check them with `sample_mask` too.
""",
        stub="left = None  # (fraction of the weights in, fraction of the weights out)",
    ),
    Coded(
        id="training-3",
        title="find the bug: a gradient of its own",
        kind="find the bug",
        minutes=20,
        points=3,
        objectives=(2, 3),
        prompt=r"""
Someone wrote dropout as a function with a backward pass of its own. The training loss hardly falls. Find out why, and
repair `DropoutFunction`. The check compares, in several calls, where and by how much the gradient passes with what the
forward pass did.
""",
        given="import torch",
        stub="""
class DropoutFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, keep_prob):
        ctx.keep_prob = keep_prob
        mask = torch.rand_like(x) < keep_prob
        return x * mask / keep_prob

    @staticmethod
    def backward(ctx, gradient):
        mask = torch.rand_like(gradient) < ctx.keep_prob
        return gradient * mask / ctx.keep_prob, None
""",
        use=_use_backward,
    ),
    Written(
        id="training-4",
        title="how long is long enough?",
        level="stretch",
        kind="design",
        minutes=45,
        points=6,
        objectives=(5,),
        prompt=r"""
Train with and without dropout for 5, 10, 20, 40 and 80 epochs, five seeds each, and draw the paired difference of the test
errors with its interval against the number of epochs. Where does the interval first lie below zero? Does the answer change
when you give both networks the learning rate that is best for them on validation data? What does your
result not show? *Expect dropout to be behind at first and ahead by 40 epochs; where you see it cross may differ.*
""",
    ),
    Written(
        id="training-5",
        title="bands that overlap",
        kind="read a figure",
        minutes=15,
        points=4,
        objectives=(5,),
        prompt=r"""
Look at the figure of the two losses. (a) From about which epoch on does the plain network overfit, and in which panel
do you see it? (b) Both losses are measured with nothing dropped. Would the training loss of the dropout arm be higher
or lower if it were measured under masks, as in its own steps? (c) In the panel of the validation loss the bands overlap.
Somebody says that so no difference is shown. What do the bands show, and which figure of this chapter answers the question?
""",
    ),
    Written(
        id="training-6",
        title="inputs or hidden units?",
        kind="design",
        minutes=25,
        points=4,
        objectives=(5,),
        prompt=r"""
In the laboratory above, compare with no dropout (a) dropout on hidden units alone, $p = 0.5$, and (b) dropout on the
inputs alone, $p = 0.8$, ten seeds each. Before you start, write down which you expect to help more. Hand in the two
links and, for each, the mean difference with its interval. Which of the two helps more here: may you say so from
these two intervals? What would you have to compare instead?
""",
    ),
)
