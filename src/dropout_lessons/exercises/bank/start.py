"""Exercises on the way in: what dropout is, and how it is used."""

from __future__ import annotations

from dropout_lessons.exercises.exercise import Written

EXERCISES = (
    Written(
        id="start-1",
        title="make it fail",
        level="warm-up",
        kind="design",
        minutes=15,
        points=3,
        objectives=(1, 4),
        prompt=r"""
In the laboratory above, find settings with which dropout makes *more* mistakes on new digits, in at least nine of ten seeds,
or so that the interval excludes zero. Hand in the link to your experiment and two sentences: what you changed, and why it
takes away from dropout what it needs. *Expect to find one within a few tries: think of what is left of a small layer, or of
a short training.*
""",
    ),
    Written(
        id="start-2",
        title="three networks that train",
        kind="find the bug",
        minutes=20,
        points=4,
        objectives=(2, 3),
        prompt=r"""
Three colleagues want to keep 80% of the hidden units, and none of them gets an error message. (a) `nn.Dropout(0.8)` behind the
hidden layer. (b) `h = F.dropout(h, 0.2)` in `forward` (look it up), and `network.eval()` before testing. (c) `nn.Dropout(0.2)`,
trained and then tested at once. Say for each what the network really does in training and at test time, and write one line of
code that would have shown it. *Expect two of the three to give another answer when you ask the same question twice.*
""",
    ),
    Written(
        id="start-3",
        title="what is trained here?",
        level="warm-up",
        kind="read a figure",
        minutes=10,
        points=3,
        objectives=(1,),
        prompt=r"""
Look at the first figure: a network, and three of those that dropout makes of it. (a) In a step in which the smallest
of the three is drawn, which weights of the whole network can change, and which cannot? (b) Find a connection that two
of the three share. What does a step with the one do to the other? (c) Which units are filled in all three pictures,
and must they be?
""",
    ),
)
