"""Exercises on choosing keep probabilities."""

from __future__ import annotations

from typing import Any

from dropout_lessons.exercises.exercise import Coded, Inputs, Written
from dropout_lessons.exercises.trials import parts


def _use_scores(answer: Any, inputs: Inputs) -> dict[str, Any]:
    answer(inputs["validation_error"].clone(), inputs["test_error"].clone())
    candidate, error = parts(answer(inputs["validation_error"], inputs["test_error"]), 2)
    return {"candidate": candidate, "error": error}


EXERCISES = (
    Coded(
        id="choosing-1",
        title="read the noise",
        level="warm-up",
        kind="predict",
        minutes=10,
        points=2,
        objectives=(4,),
        constants={"images": (500, 400, 800, 1000), "disagree": (4, 5, 6)},
        prompt=r"""
A paper tunes $p$ on {{images}} validation images and reports that 0.45 (7.8% error) is better than 0.5 (8.2%). The two networks
disagree on {{disagree}}% of the images; on these one is right and the other wrong. How many standard deviations of the
difference is that? How many images would make it two? Say first whether it is a finding.
""",
        stub="noise = None  # two numbers: standard deviations, images",
    ),
    Coded(
        id="choosing-2",
        title="find the bug: too good to be true",
        kind="find the bug",
        minutes=15,
        points=3,
        objectives=(4,),
        prompt=r"""
This function chooses one of several candidates, and reports its error. Both arguments have the shape (candidates, seeds). What
it reports never comes back when somebody trains the chosen candidate again. Repair it: it should return the index of the
candidate that this chapter's recipe chooses, and the error, averaged over seeds, that the recipe lets you report.
""",
        stub="""
def choose(validation_error, test_error):
    best = test_error.min(dim=1).values.argmin()
    return best, test_error[best].min()
""",
        use=_use_scores,
    ),
    Written(
        id="choosing-3",
        title="more candidates",
        kind="design",
        minutes=25,
        points=4,
        objectives=(4,),
        prompt=r"""
Make 21 candidates: the networks at 0.6, 0.7 and 0.8 of each of 7 seeds, all trained on the same 1,000 digits (`data[0]`;
change initial weights and recipe seeds only). Choose on sets of 100 validation digits. By how much is the error of the best of
3, of 7, of 21 on its 100 digits below its own error on all 1,000? *Expect about one point, one and a half, and two: the curse
grows with every candidate.*
""",
    ),
    Written(
        id="choosing-4",
        title="wider layers",
        kind="argue",
        minutes=25,
        points=4,
        objectives=(2, 3),
        prompt=r"""
Repeat "A $p$ for every layer" with 512 units and five seeds: inputs 0.8 alone, both hidden 0.5, the paper's pair, 0.8
everywhere. Which of its first three claims stay? *Expect the paper's pair to catch up with the inputs alone, so that the second
goes.*
""",
    ),
    Written(
        id="choosing-5",
        title="a fair race",
        level="stretch",
        kind="design",
        minutes=45,
        points=6,
        objectives=(4,),
        prompt=r"""
Compare dropout with L2 on pictures of clothes (`fashion_10k`, 1,000 examples) so that a skeptic has nothing to say: candidates,
budget, seeds, what is chosen on what, and the sentence that you will write if the interval contains zero; all before the first
run. Then run it. *Expect about half a point fewer errors with dropout, an interval that comes near zero, and a difference in
loss that is beyond doubt.*
""",
    ),
    Written(
        id="choosing-6",
        title="the winner's error",
        level="warm-up",
        kind="read a figure",
        minutes=10,
        points=3,
        objectives=(4,),
        prompt=r"""
Look at the figure of the winner's error. (a) With 50 validation images, by how many points is the winner's error on
the images that chose it lower than on test images? (b) With more images the dashed line rises and the solid line
falls. Which of the two is good news, and is the other bad news or none? (c) How many validation images do you
need for a gap of less than half a point?
""",
    ),
    Written(
        id="choosing-7",
        title="the best of how many?",
        kind="design",
        minutes=30,
        points=4,
        objectives=(2, 4),
        prompt=r"""
In the laboratory above, look for the keep probability of the hidden units that makes fewest mistakes with 64 units
and 500 digits: try four values with one seed each, and write down the best and its error. Then give the best and its
neighbor ten seeds each. (a) Is the winner still ahead? (b) Is its error over ten seeds higher or lower than in the
run that chose it, and what did you expect? (c) Double the units: where do you look for the best value now, and why?
Hand in the links.
""",
    ),
)
