"""Exercises on what is left of dropout today."""

from __future__ import annotations

from typing import Any

import torch

from dropout_lessons.exercises.exercise import Coded, Inputs, Written
from dropout_lessons.exercises.trials import stacked, tensor, told


def _use_path(answer: Any, inputs: Inputs) -> dict[str, Any]:
    x, keep_prob = inputs["x"].clone(), inputs["keep_prob"]
    seed = torch.initial_seed()
    outcome: dict[str, Any] = {"trainable": False, "any_axes": False, "trouble": ""}
    # First on the array itself, so that a change in place shows.
    calls = [inputs["x"], *(x.clone() for _ in range(inputs["calls"] - 1))]
    y = stacked([tensor(answer(each, keep_prob)) for each in calls])
    leaf = x.clone().requires_grad_()
    try:
        trained = answer(leaf * 1, keep_prob)
        if isinstance(trained, torch.Tensor) and trained.requires_grad:
            (gradient,) = torch.autograd.grad(trained, leaf, inputs["upstream"].to(trained.dtype))
            outcome |= {"trainable": True, "trained": trained.detach(), "gradient": gradient}
    except NotImplementedError:
        raise
    except Exception as error:  # without gradients it ran: they are what it does not bear
        outcome["trouble"] = told(error)
    try:
        outcome |= {"images": torch.as_tensor(answer(inputs["images"].clone(), keep_prob)).detach(), "any_axes": True}
    except Exception as error:  # such as of shapes that do not fit
        outcome["trouble"] = told(error)
    return {**outcome, "y": y, "reseeds": torch.initial_seed() != seed}


EXERCISES = (
    Coded(
        id="today-1",
        title="drop a branch",
        kind="implement",
        minutes=15,
        points=3,
        objectives=(3,),
        prompt=r"""
A residual block computes $x + f(x)$. DropPath, as stochastic depth is called where every example has a coin of its own, drops
the whole branch $f(x)$ of an example, and leaves the others' in place. Write `drop_path(branch, keep_prob)` for training, with
inverted scaling: `branch` holds $f(x)$, examples first, then any number of axes, and what is returned is added to $x$.
""",
        given="import torch",
        stub="def drop_path(branch, keep_prob):",
        use=_use_path,
    ),
    Coded(
        id="today-2",
        title="how deep is it?",
        level="warm-up",
        kind="predict",
        minutes=10,
        points=2,
        objectives=(3,),
        constants={"blocks": (12, 24, 10, 16, 20), "keep_prob": (0.8, 0.6, 0.7, 0.9)},
        prompt=r"""
A network has {{blocks}} residual blocks. Block $l$ is kept with probability $1 - \frac{l}{L}(1 - p_L)$: the deeper, the more
often it is dropped, and the last one is kept with $p_L = {{keep_prob}}$. How many blocks does an example pass on average?
""",
        stub="depth = None  # blocks, on average",
    ),
    Written(
        id="today-3",
        title="is it the noise, or the second pass?",
        level="stretch",
        kind="design",
        minutes=40,
        points=5,
        objectives=(4,),
        prompt=r"""
R-Drop passes every batch through the network twice, with other masks, and adds a penalty where the two disagree. Its step costs
twice as much. Choose three arms that it has to beat before you would say that the penalty helps, say what each holds fixed,
and state the claim with its bound. Only then run it on 1,000 pictures of clothes, at five seeds: `dataclasses.replace` puts
`"fashion_10k"` for the data of the lecture scale of `experiments.get("r_drop")`, which runs for half a minute. What do you
conclude if the interval has zero in it?
""",
    ),
    Written(
        id="today-4",
        title="behind, or only later?",
        kind="read a figure",
        minutes=15,
        points=4,
        objectives=(2,),
        prompt=r"""
Look at the figure of a small transformer on fresh and on repeated text. (a) On fresh text, what may you say of $p =
0.9$ against no dropout at 500 steps, and what at 1,000? (b) A friend stops the network on repeated text where its
loss is lowest, and says that this is as good as dropout. Read both losses off. (c) Training costs money by the step.
For whom is the panel of fresh text an argument against dropout, and for whom is it none?
""",
    ),
)
