"""Exercises on averaging models."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import count
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from dropout_lessons.exercises.exercise import Coded, Inputs, Written, returned
from dropout_lessons.exercises.trials import told

_CALLS = 2**13  # of functions, where 2**16 subnetworks are averaged
_COMPREHENSIONS = ("<listcomp>", "<genexpr>", "<setcomp>", "<dictcomp>")


class _Watched(torch.nn.Module):
    """A network with dropout and BatchNorm that notes every pass: what came in, what went out, and what was random."""

    def __init__(self, inputs: Inputs, notes: list[dict[str, Tensor]]) -> None:
        super().__init__()
        (units, n), classes = inputs["weight1"].shape, len(inputs["bias2"])
        self.first, self.norm = torch.nn.Linear(n, units), torch.nn.BatchNorm1d(units)
        last, drop = torch.nn.Linear(units, classes), 1 - inputs["keep_prob"]
        self.inside = torch.nn.ModuleList([torch.nn.Dropout(drop), torch.nn.Dropout(drop), last])  # not on the surface
        self.notes: Callable[[dict[str, Tensor]], None] = notes.append  # a copy of the network notes here, too
        with torch.no_grad():
            for number, layer in enumerate((self.first, last), start=1):
                layer.weight.copy_(inputs[f"weight{number}"])
                layer.bias.copy_(inputs[f"bias{number}"])
            self.memory().fill_(0.3)
        self.to(inputs["x"].dtype)

    def memory(self) -> Tensor:
        """What BatchNorm remembers of the means that it has seen."""
        assert self.norm.running_mean is not None
        return self.norm.running_mean

    def probabilities(self) -> list[Any]:
        """With which its dropout layers drop."""
        return [layer.p for layer in self.inside[:2]]

    def forward(self, x: Tensor) -> Tensor:
        drop_inputs, drop_units, last = self.inside
        thinned = drop_inputs(x)
        hidden = torch.relu(self.norm(self.first(thinned)))
        left = drop_units(hidden)
        logits: Tensor = last(left)
        sent, arrived = torch.cat([x, hidden], 1), torch.cat([thinned, left], 1)
        coins = torch.where(sent == 0, -1, (arrived != 0).long())  # what sends zero shows no coin
        active = [not torch.equal(x, thinned), not torch.equal(hidden, left)]
        normalizing = torch.full((len(x),), self.norm.training)
        dropping = torch.tensor(active).expand(len(x), 2)
        self.notes({"seen": x, "logits": logits, "coins": coins, "dropping": dropping, "normalizing": normalizing})
        return logits


def _use_network(answer: Any, inputs: Inputs) -> dict[str, Any]:
    notes: list[dict[str, Tensor]] = []
    network, x = _Watched(inputs, notes).eval(), inputs["x"]
    scaled, before = network(x), network.memory().clone()
    notes.clear()
    drop, seed = network.probabilities(), torch.initial_seed()
    probs = returned(answer(network, x, inputs["samples"]))
    seen = {name: torch.cat([note[name].detach() for note in notes]) for name in (notes or [{}])[0]}
    training = any(module.training for module in network.modules())
    return {
        **(seen or {"dropping": torch.zeros(1, 2)}),
        "probs": probs,
        "scaled": scaled,
        "moved": not torch.equal(network.memory(), before),
        "training": training,
        "reseeds": torch.initial_seed() != seed,
        "drops_as_before": network.probabilities() == drop,
        "later": network.eval()(x),
    }


class _OneByOne(Exception):
    """An answer has called more functions than one that has no loop over the subnetworks."""


def _use_many_units(answer: Any, inputs: Inputs) -> dict[str, Any]:
    few, many = (
        [inputs[f"{size}{name}"] for name in ("hidden", "weight", "bias", "keep_prob")] for size in ("", "many_")
    )
    found = returned(answer(*few))
    before, calls = sys.getprofile(), count()

    def watch(frame: FrameType, event: str, _: Any) -> None:
        # Comprehensions are calls in some versions of Python and not in others: only what they call counts.
        is_call = event == "c_call" or (event == "call" and frame.f_code.co_name not in _COMPREHENSIONS)
        if is_call and next(calls) > _CALLS:
            raise _OneByOne

    sys.setprofile(watch)
    try:
        return {"answer": found, "many": returned(answer(*many))}
    except _OneByOne:
        return {"answer": found}
    except Exception as error:  # with few units it ran
        return {"answer": found, "trouble": told(error)}
    finally:
        sys.setprofile(before)


EXERCISES = (
    Coded(
        id="averaging-1",
        title="the other mean",
        level="warm-up",
        kind="implement",
        minutes=15,
        points=2,
        objectives=(1,),
        prompt=r"""
Write `geometric_mean(log_probs, log_weights)`: the normalized geometric mean of subnetworks that are not equally likely.
`log_probs` has the shape (subnetworks, examples, classes), `log_weights` the logarithms of the subnetworks' probabilities,
which add up to 1.
Return probabilities of shape (examples, classes). Why would it be a mistake to multiply probabilities, and take the root?
""",
        stub="def geometric_mean(log_probs, log_weights):",
    ),
    Coded(
        id="averaging-2",
        title="Monte Carlo averaging",
        kind="implement",
        minutes=20,
        points=4,
        objectives=(3,),
        prompt=r"""
Write `monte_carlo(network, x, samples)`: the average of the *probabilities* of `samples` thinned networks, for any network with
`nn.Dropout` somewhere in it whose outputs are logits. It arrives in eval mode, and its owner wants it back as it was. Nothing
but dropout should be random or change: the check's network has BatchNorm in it, notes each pass, and is used afterwards.
""",
        given="import torch",
        stub="def monte_carlo(network, x, samples):",
        use=_use_network,
    ),
    Written(
        id="averaging-3",
        title="when is the arithmetic mean worse?",
        kind="argue",
        minutes=30,
        points=4,
        objectives=(1, 2),
        prompt=r"""
Train networks `MLP([784, 12, 10], keep_prob=0.5)` on 1,000 digits, five seeds, and compare the loss of the exact arithmetic mean
with that of weight scaling. Why is the sign different from that of Monte Carlo on digits above? For each average, compare the
mean probability of its answer with the share of right answers. *Expect the arithmetic mean to be worse by about a quarter of a
nat, and to be far less sure than it could be.*
""",
    ),
    Coded(
        id="averaging-4",
        title="all of them",
        level="stretch",
        kind="implement",
        minutes=40,
        points=5,
        objectives=(1, 2),
        prompt=r"""
A layer of $n$ hidden units stands under a softmax. Write `exact_mean(hidden, weight, bias, keep_prob)`: the arithmetic mean
of the probabilities of all $2^n$ subnetworks, each weighed by its probability, with inverted scaling. `hidden` has the shape
(examples, n), `weight` (classes, n). For few units a loop over subnetworks earns three of five points; the check has 16 units,
too, and no patience for a loop. Do better: $e^{z_k(m)}$ is a product of $e^{b_k}$ and one factor for each unit. Split 16 units
into two halves of 8, and write the mean with two matrix products for each example. Compare with `exact_average`. *Expect
agreement to about $10^{-12}$ in double precision.*
""",
        stub="def exact_mean(hidden, weight, bias, keep_prob):",
        use=_use_many_units,
    ),
    Written(
        id="averaging-5",
        title="both",
        level="stretch",
        kind="design",
        minutes=45,
        points=6,
        objectives=(4,),
        prompt=r"""
Train ten networks *with* this chapter's dropout for each seed (`fit_all` and `best_keep`), for 16 epochs each, and average
them: with weight scaling, and with ten samples each. Compare them with ten plain networks, trained as long, on both data
sets. What does the second kind of averaging still add to the first, and what does each cost? *Expect the ten with weight
scaling to have the lowest loss of all arms on digits, and fewer errors than the ten plain ones. Ten samples each do not
lower that loss further: they raise it.*
""",
    ),
    Written(
        id="averaging-6",
        title="how many samples?",
        kind="read a figure",
        minutes=15,
        points=4,
        objectives=(3,),
        prompt=r"""
Look at the figure of Monte Carlo averages. (a) How many samples bring the mean *error* on digits to that of weight scaling,
as nearly as the thin lines tell, and how many the mean *loss*? (b) Why does the loss go on to fall below the dotted line and
the error does not? (c) Which of the two means of this chapter do the orange lines converge to? (d) Would you use
fifty samples in a product? Say what they buy and what they cost.
""",
    ),
)
