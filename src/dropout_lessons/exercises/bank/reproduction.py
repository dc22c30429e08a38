"""Exercises on reproducing the paper."""

from __future__ import annotations

from typing import Any

from dropout_lessons.exercises.exercise import Coded, Inputs, Written, returned


def _use_differences(answer: Any, inputs: Inputs) -> dict[str, Any]:
    def verdicts(name: str) -> list[Any]:
        pairs = zip(inputs[f"{name}_differences"], inputs[f"{name}_bounds"].tolist(), strict=True)
        return [returned(answer(differences, bound)) for differences, bound in pairs]

    return {"many": verdicts("many"), "few": verdicts("few")}


EXERCISES = (
    Coded(
        id="reproduction-1",
        title="read the ledger",
        level="warm-up",
        kind="read a figure",
        minutes=10,
        points=2,
        objectives=(1, 3),
        constants={
            "experiment": (
                "early_dropout",
                "tuned_penalties",
                "conv_placement",
                "fig4_architectures",
                "table9_regularizers",
                "late_dropout",
            )
        },
        prompt=r"""
Find `{{experiment}}` in the ledger. How many of its statements agree with the paper, how many differ, how many are undecided?
Each of them says on which side of zero an effect lies. How many would you expect to agree by luck alone, if none of the
effects existed? What do you make of the first number beside the last?
""",
        stub="reading = None  # four numbers: agree, differ, undecided, by luck",
    ),
    Coded(
        id="reproduction-2",
        title="be the judge",
        kind="implement",
        minutes=20,
        points=4,
        objectives=(1,),
        prompt=r"""
Write `verdict(differences, bound)` for the statement "the difference is below `bound`". `differences` is a tensor with a
number for each seed, ten or five of them. The verdict is `"agrees"` if the whole 95% interval for their mean (Student's $t$,
two-sided; `scipy` is installed) is below the bound, `"differs"` if it is above, and `"undecided"` if it contains it. Try it on
`torch.tensor(gaussian)` from above with the bounds 0, 0.003 and -0.003, and compare with `VerdictExplorer`. *Expect three
different bounds to give at least two different verdicts.*
""",
        given="import torch",
        stub="def verdict(differences, bound):",
        words=True,
        use=_use_differences,
    ),
    Written(
        id="reproduction-3",
        title="how many seeds?",
        kind="design",
        minutes=25,
        points=4,
        objectives=(2, 3),
        prompt=r"""
For each undecided statement of the ledger, how many seeds would decide it if mean and spread stayed? The `evidence` of
each of a recorded experiment's `findings` has `effect`, `interval` and `n`: compute the spread, and search for the smallest
number. On which would you not spend the seeds, and why? *Expect some to need a few more, and some more than a hundred: those
effects, if any, are too small to care.*
""",
    ),
    Written(
        id="reproduction-4",
        title="an unfair comparison",
        kind="argue",
        minutes=30,
        points=4,
        objectives=(2, 4),
        prompt=r"""
Rerun `table10_gaussian` at the lecture scale with four candidates for Gaussian dropout and one for Bernoulli dropout, by
`dataclasses.replace` on the experiment and `arms` of your own. Who wins now, and what would a reader of the table alone
believe? *Expect the arm with four candidates to gain, by less than the spread between seeds.*
""",
    ),
    Written(
        id="reproduction-5",
        title="a row of your own",
        level="stretch",
        kind="design",
        minutes=60,
        points=6,
        objectives=(5,),
        prompt=r"""
Choose a sentence about dropout from a paper or a blog that no experiment here tests. Write the file: claim, number, statements
with bounds (before you run anything), arms, compute, judge, draw. Run it at the lecture scale, then at the workstation
scale. Would you send it to the authors? *Expect the bounds to be the hardest part.*
""",
    ),
)
