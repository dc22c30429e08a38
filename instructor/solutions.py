"""Read the answers in this folder, and count how the checks of the exercises judge them.

``make check-exercises`` runs every right answer 3,000 times and every wrong one 200 times, each time with other inputs
and with one of ten variants of the exercise's constants.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import torch

from dropout_lessons import exercises
from dropout_lessons.exercises import Coded
from dropout_lessons.grading.solutions import Answer, answers

HERE = Path(__file__).parent
VARIANTS = 10


def of(exercise: str) -> list[Answer]:
    """All answers to an exercise, the reference first.

    Raises:
        FileNotFoundError: If there is no file with its answers.
    """
    suffix = "py" if isinstance(exercises.get(exercise), Coded) else "md"
    path = HERE / f"{exercise}.{suffix}"
    if not path.exists():
        raise FileNotFoundError(f"{exercise} has no solution: add instructor/{path.name}, as instructor/README.md says")
    return answers(path)


def build(answer: Answer, variant: int = 0) -> Any:
    """What a student's notebook would hold under the exercise's name, if this were the student's answer."""
    exercise = exercises.get(answer.exercise)
    assert isinstance(exercise, Coded)
    namespace: dict[str, Any] = {"__name__": "student"}
    exec(exercise.fill(exercise.given, variant), namespace)
    exec(compile(exercise.fill(answer.text, variant), f"{answer.exercise} {answer.title}", "exec"), namespace)
    return namespace[exercise.answer]


@dataclass(frozen=True)
class Count:
    """How the checks judged one answer."""

    answer: Answer
    runs: int
    passed: int
    diagnosed: int
    seconds: float  # of a processor, for the fastest check
    others: tuple[str, ...]  # what else was diagnosed

    @property
    def as_it_should(self) -> bool:
        """Right answers always pass; wrong ones never do, and nearly always get their diagnosis."""
        if self.answer.diagnosis is None:
            return self.passed == self.runs
        return self.passed == 0 and self.diagnosed >= 0.95 * self.runs

    def __str__(self) -> str:
        wanted = "accepted" if self.answer.diagnosis is None else self.answer.diagnosis
        others = f"; also {', '.join(self.others)}" if self.others else ""
        return (
            f"{self.answer.exercise} [{self.answer.title}] should be {wanted}: "
            f"{self.passed} of {self.runs} passed, {self.diagnosed} diagnosed{others}"
        )


def count(answer: Answer, runs: int) -> Count:
    """Check an answer ``runs`` times, with seeds 0, 1, ... and the variants in turn."""
    torch.set_num_threads(1)
    passed = diagnosed = 0
    others = set()
    built = [build(answer, variant) for variant in range(min(VARIANTS, runs))]
    seconds = math.inf
    for seed in range(runs):
        variant = seed % VARIANTS
        began = time.process_time()
        feedback = exercises.check(answer.exercise, built[variant], variant=variant, seed=seed, strict=False)
        seconds = min(seconds, time.process_time() - began)  # the first loads the judge, and a busy machine only adds
        codes = [problem.code for problem in feedback.problems]
        passed += feedback.passed
        diagnosed += codes[:1] == [answer.diagnosis]
        if codes[:1] != [answer.diagnosis] and codes:
            others.add(codes[0])
    return Count(answer, runs, passed, diagnosed, seconds, tuple(sorted(others)))


def coded() -> list[Coded]:
    """The exercises that a program checks."""
    return [exercise for exercise in exercises.bank().values() if isinstance(exercise, Coded)]


def row(counts: list[Count]) -> str:
    """The counts of the answers to one exercise, as a row in Markdown."""
    right = [one for one in counts if one.answer.diagnosis is None]
    wrong = [one for one in counts if one.answer.diagnosis is not None]
    tried = sum(one.runs for one in wrong)
    diagnosed = min((one.diagnosed / one.runs for one in wrong), default=1)
    slowest = 1000 * max(one.seconds for one in counts)
    return (
        f"| {counts[0].answer.exercise} | {len(right)} "
        f"| {sum(one.passed for one in right):,} of {sum(one.runs for one in right):,} "
        f"| {len(wrong)} | {tried - sum(one.passed for one in wrong):,} of {tried:,} "
        f"| {diagnosed:.1%} | {slowest:.1f} |"
    )


def table(rows: dict[str, str]) -> str:
    """The rows in the order of the book."""
    return "\n".join([HEAD, *(rows[exercise.id] for exercise in coded() if exercise.id in rows)])


def rows_of(page: Path, counts: str) -> dict[str, str]:
    """The rows of a page that was written before, by exercise; none if it counted otherwise."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    return dict(re.findall(r"^(?=\| ([a-z]+-\d+) \|)(.+)$", text, re.MULTILINE)) if counts in text else {}


HEAD = """\
| exercise | right answers | accepted | wrong answers | rejected | right diagnosis | milliseconds |
| --- | --- | --- | --- | --- | --- | --- |"""

PAGE = """# How far the checks can be trusted

`make check-exercises` runs {runs}, with fresh inputs and in ten
variants, and writes this page. Right answers are the reference and others in a different style; wrong ones are mistakes
that students make. The right diagnosis is the share of the worst wrong answer; milliseconds are those of the slowest answer.

{table}
"""


def main() -> int:
    """Count, print, and write the page of the book; 1 if an answer is not judged as it should be."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("exercises", nargs="*", help="ids; all by default")
    parser.add_argument("--right", type=int, default=3000, help="runs of a right answer (default: %(default)s)")
    parser.add_argument("--wrong", type=int, default=200, help="runs of a wrong answer (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=-1, help="processes (default: one for each core)")
    parser.add_argument("--out", type=Path, help="page to write; rows of exercises that are not counted now stay")
    options = parser.parse_args()
    chosen = options.exercises or [exercise.id for exercise in coded()]
    every = [answer for exercise in chosen for answer in of(exercise)]
    counts = joblib.Parallel(n_jobs=options.jobs, verbose=1)(
        joblib.delayed(count)(answer, options.wrong if answer.diagnosis else options.right) for answer in every
    )
    rows = {exercise: row([one for one in counts if one.answer.exercise == exercise]) for exercise in chosen}
    print(table(rows))
    failed = [one for one in counts if not one.as_it_should]
    for one in failed:
        print(one, file=sys.stderr)
    if options.out and not failed:
        runs = f"each right answer {options.right:,} times and each wrong one {options.wrong} times"
        page = PAGE.format(runs=runs, table=table(rows_of(options.out, runs) | rows))
        aside = options.out.with_suffix(".new")
        aside.write_text(page, encoding="utf-8")
        aside.replace(options.out)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
