"""What an exercise is: one definition that feeds the chapter, the assignment, the check and the grader."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

# What ids begin with, and the file of the chapter that such an exercise stands in: an id does not change when its chapter does.
CHAPTERS = {
    "start": "00_ten_minutes",
    "overfitting": "01_overfitting_and_coadaptation",
    "subnetworks": "02_dropping_units",
    "training": "03_training_with_dropout",
    "scaling": "04_test_time_scaling",
    "averaging": "05_model_averaging",
    "coadaptation": "06_measuring_coadaptation",
    "verdict": "07_the_verdict",
    "choosing": "08_choosing_keep_probabilities",
    "placement": "09_where_dropout_helps",
    "today": "10_dropout_today",
    "penalties": "11_dropout_as_regularizer",
    "uncertainty": "12_uncertainty",
    "reproduction": "13_reproducing_the_paper",
}
TOPICS = {topic: int(file[:2]) for topic, file in CHAPTERS.items()}
# Those that went along with half of their chapter.
MOVED = {"placement-1": 10, "placement-3": 10, "placement-6": 10}
LEVELS = ("warm-up", "core", "stretch")
KINDS = ("implement", "predict", "read a figure", "find the bug", "design", "argue")

Inputs = dict[str, Any]
Outputs = dict[str, NDArray[Any]]
Constant = int | float | str


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with an answer.

    Attributes:
        code: The mistake's name, such as ``"unscaled"``; the same for the same mistake in every exercise.
        message: Which property fails, and the likely mistake, to a student; never the solution.
        lost: Share of the exercise's points that it costs, in (0, 1].
    """

    code: str
    message: str
    lost: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """An exercise of the book: ``Coded`` is checked by a program, ``Written`` is marked by hand.

    ``prompt`` and code may contain ``{{name}}``, which stands for a constant: the first of its values in the book, and
    another choice in every other variant, so that two sections of a course get different numbers.

    Attributes:
        id: Topic and number, such as ``"training-1"``: it stays when chapters move.
        title: A few words.
        level: One of ``LEVELS``; most are ``"core"``.
        kind: One of ``KINDS``: what the student does.
        minutes: Time that it takes most students.
        points: What a right answer is worth.
        objectives: Which of the chapter's objectives it exercises, counted from 1.
        prompt: The task, in Markdown.
        constants: Allowed values of each constant.
    """

    id: str
    title: str
    level: str = "core"
    kind: str
    minutes: int
    points: int
    objectives: tuple[int, ...]
    prompt: str
    constants: Mapping[str, Sequence[Constant]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, allowed in (("level", LEVELS), ("kind", KINDS)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} of {self.id} must be one of {list(allowed)}, got {getattr(self, name)!r}")
        if self.topic not in TOPICS or not re.fullmatch(r"[a-z]+-\d+", self.id):
            raise ValueError(
                f"id must be a topic and a number, such as 'training-1', with one of {tuple(TOPICS)}, got {self.id!r}"
            )
        if min(self.minutes, self.points, len(self.objectives)) < 1:
            raise ValueError(f"{self.id} needs at least one minute, one point and one objective")
        unknown = set(re.findall(r"{{(\w+)}}", self.template())) - set(self.constants)
        if unknown:
            raise ValueError(f"constants of {self.id} must give values for {sorted(unknown)}, which its text uses")

    def template(self) -> str:
        """All text of the exercise, with its constants still open."""
        return self.prompt

    @property
    def topic(self) -> str:
        """What its id begins with: the file of the bank, and of the judges, that it is in."""
        return self.id.rpartition("-")[0]

    @property
    def chapter(self) -> int:
        """Number of the chapter that it belongs to."""
        return MOVED.get(self.id, TOPICS[self.topic])

    @property
    def variants(self) -> int:
        """How many variants differ: 1 if the exercise has no constants, and checks draw all its numbers anew."""
        return math.prod(len(set(allowed)) for allowed in self.constants.values())

    def values(self, variant: int = 0) -> dict[str, Constant]:
        """The constants of a variant: the first of their values in variant 0, the book's.

        Any ``variants`` variants in a row from 0 differ from each other; then they come again.
        """
        if variant < 0:
            raise ValueError(f"variant must be at least 0, got {variant}; 0 is the book's")
        which = variant % self.variants
        if which:  # the others stand in an order that is the exercise's own
            which = 1 + int(np.random.default_rng(crc32(self.id.encode())).permutation(self.variants - 1)[which - 1])
        values = {}
        for name, allowed in self.constants.items():
            which, place = divmod(which, len(allowed))
            values[name] = allowed[place]
        return values

    def fill(self, text: str, variant: int = 0) -> str:
        """``text`` with the constants of a variant in place of ``{{name}}``."""
        values = self.values(variant)
        return re.sub(r"{{(\w+)}}", lambda match: str(values[match[1]]), text)


class WrongKind(TypeError):
    """What an answer returns is of another kind than is asked for; the message says so to the student."""


@dataclass(frozen=True)
class Examiner:
    """What a check has that a student's process has not: what it draws, and the truth.

    Attributes:
        judge: ``judge(inputs, outputs)`` yields the problems, the most telling first. It sees arrays alone, and
            believes nothing that it cannot compute or bound itself. ``inputs`` has the constants too.
        draw: ``draw(rng, **constants)`` gives the inputs of one check: arrays, numbers, strings.
    """

    judge: Callable[[Inputs, Outputs], Iterator[Problem]]
    draw: Callable[..., Inputs] = lambda _, **__: {}


def returned(value: Any) -> Any:
    """What one of several calls returned.

    Raises:
        WrongKind: If it returned nothing.
    """
    if value is None:
        raise WrongKind("It returns nothing: is a return missing?")
    return value


def _handed_on(answer: Any, _: Inputs) -> dict[str, Any]:
    return {"answer": answer}


def _called(answer: Any, inputs: Inputs, *, names: Sequence[str]) -> dict[str, Any]:
    answer(*(deepcopy(inputs[name]) for name in names))  # what it keeps of a call shows in the next
    return {"answer": returned(answer(*(inputs[name] for name in names)))}


@dataclass(frozen=True, kw_only=True)
class Coded(Exercise):
    """An exercise whose answer, a function, a class or a value, is checked by a program.

    The check has parts, so that it can run in a notebook, and also with the answer locked away from the grader.

    Attributes:
        answer: Name that the answer has in the student's notebook; by default what the stub defines first.
        given: Code that stands before the stub, and that answers may use.
        stub: What the student completes: it defines ``answer``, and raises ``NotImplementedError``, as it does where it is a
            signature alone, or holds ``None``.
        use: ``use(answer, inputs)`` gives what is judged, by name: tensors, arrays, numbers, strings. It runs beside
            the answer; arrays that the examiner draws reach it as fresh tensors. By default there is ``answer`` alone: a
            value as it is, or what a function returns for the inputs that its stub names.
        examiner: Draws the inputs and judges. By default it is looked up in ``judges`` when a check needs it, so that a
            process without that folder can still work on answers.
        words: Whether the answer gives words, not numbers.
    """

    answer: str = ""
    given: str = ""
    stub: str
    use: Callable[[Any, Inputs], dict[str, Any]] = _handed_on
    examiner: Examiner | None = None
    words: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        defined = re.findall(r"^(?:def (\w+)\(|class (\w+)\b|(\w+) = )", self.stub, re.MULTILINE)
        names = ["".join(each) for each in defined]
        if not names or self.answer not in ("", *names):
            raise ValueError(f"stub of {self.id} must define {self.answer or 'the answer'!r}, got {self.stub!r}")
        object.__setattr__(self, "answer", self.answer or names[0])
        if re.fullmatch(r"def .*:", self.stub):
            object.__setattr__(self, "stub", f"\n{self.stub}\n    raise NotImplementedError\n")
        arguments = re.search(rf"^def {self.answer}\((.*)\):", self.stub, re.MULTILINE)
        if arguments and self.use is _handed_on:
            object.__setattr__(self, "use", partial(_called, names=re.findall(r"\w+", arguments[1])))

    @property
    def holds_value(self) -> bool:
        """Whether the answer is a value that stands in the notebook, not a function or a class that is called."""
        return self.use is _handed_on

    def argument_of(self, name: str) -> str | None:
        """What the stub calls an input: the check's ``many_differences`` is the student's ``differences``; None if nothing."""
        called = re.findall(r"\w+", " ".join(re.findall(r"def \w+\(([^)]*)\)", self.stub)))
        return next((each for each in called if name == each or name.endswith(f"_{each}")), None)

    def template(self) -> str:
        """All text of the exercise, with its constants still open."""
        return "\n".join((self.prompt, self.given, self.stub))

    def code(self, variant: int = 0) -> str:
        """The student's cell: what is given, and the stub."""
        parts = (self.given.strip("\n"), self.stub.strip("\n"))
        return self.fill("\n\n".join(part for part in parts if part), variant)

    def check_code(self, variant: int = 0, seed: int | None = None) -> str:
        """The cell that checks the answer; with a seed, the same check each time."""
        which = f", variant={variant}" if variant else ""
        again = "" if seed is None else f", seed={seed}"
        return f'exercises.check("{self.id}", {self.answer}{which}{again})'


@dataclass(frozen=True, kw_only=True)
class Written(Exercise):
    """An exercise whose answer, an argument or an experiment with its figures, is marked by hand with a rubric."""
