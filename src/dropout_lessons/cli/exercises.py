"""Commands for those who teach: list, assign, grade, look back, publish."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from dropout_lessons import exercises, grading
from dropout_lessons.experiments.store import write
from dropout_lessons.grading.feedback import gradescope_json
from dropout_lessons.grading.sandbox import Limits


def list_all(options: argparse.Namespace) -> int:
    found = [one for one in exercises.bank().values() if options.chapter in (None, one.chapter)]
    if not found:
        raise ValueError(f"--chapter must be that of an exercise, got {options.chapter}; leave it out to see all")
    width = max(len(one.id) for one in found)
    print(f"{'id':<{width}} {'level':<8} {'kind':<14} {'min':>3} {'pts':>3}  {'marked by':<9} {'objectives':<10} title")
    for one in found:
        by = "program" if isinstance(one, exercises.Coded) else "hand"
        objectives = ", ".join(map(str, one.objectives))
        varies = " (varies)" if one.constants else ""
        print(
            f"{one.id:<{width}} {one.level:<8} {one.kind:<14} {one.minutes:>3} {one.points:>3}  {by:<9} {objectives:<10} "
            f"{one.title}{varies}"
        )
    return 0


def assign(options: argparse.Namespace) -> int:
    made = grading.assign(
        options.exercises,
        options.title,
        options.out,
        variant=options.variant,
        hints=options.hints,
        autograders=[name for name in ("gradescope", "github") if getattr(options, name)],
    )
    for path in sorted(options.out.iterdir()):
        print(f"  {path}{'/' if path.is_dir() else ''}")
    varying = [one.id for one in made.definitions() if one.constants]
    if varying:
        print(f"{', '.join(varying)}: numbers of variant {made.variant}; another --variant gives others")
    return 0


def grade(options: argparse.Namespace) -> int:
    assignment = grading.read_assignment(options.assignment)
    for name, value in (("jobs", options.jobs), ("seconds", options.seconds)):
        if value is not None and value < 1:
            raise ValueError(f"--{name} must be at least 1, got {value}")
    submissions, remarks = grading.find(options.submissions)
    out = options.out or Path("graded")
    hidden = [options.submissions, options.assignment.parent, out, Path("instructor")]
    limits = Limits(seconds=options.seconds)
    common = {"jobs": options.jobs, "limits": limits, "hidden": hidden, "unsafe": options.unsafe}
    try:
        if options.gradescope:
            with tempfile.TemporaryDirectory() as folder:
                (result,) = grading.grade(assignment, submissions[:1], Path(folder), **common)
            options.gradescope.parent.mkdir(parents=True, exist_ok=True)
            write(options.gradescope, gradescope_json(assignment, result))
            return 0
        results = grading.grade(assignment, submissions, out, **common)
    except grading.SandboxUnavailable as error:
        print(f"dropout-lessons: {error}", file=sys.stderr)
        return 3
    given = grading.Given(options.marks, options.gradebook, options.rubrics or Path("instructor"))
    results = grading.write_all(assignment, results, out, given, remarks, print)
    waiting = sum(result.waits for result in results)
    mean = sum(result.points for result in results) / len(results)
    unread = sum(bool(result.problem) for result in results)
    print(
        f"{len(results)} submission{'s' * (len(results) != 1)}, {mean:.2f} of {assignment.out_of:g} points on average"
    )
    if unread:
        print(f"{unread} could not be read: {out / 'remarks.txt'} says why")
    if waiting:
        print(
            f"{waiting} wait{'s' * (waiting == 1)} for marks by hand: open {out / 'marking.html'}, or fill in {out / 'marks.csv'}"
        )
    print(f"results in {out}: grades.csv, canvas.csv, gradescope.csv, statistics.html, remarks.txt, feedback/")
    return 0


def statistics(options: argparse.Namespace) -> int:
    assignment = grading.read_assignment(options.assignment)
    print(grading.items_text(grading.items(assignment, grading.read_all(assignment, options.out or Path("graded")))))
    return 0


def publish(options: argparse.Namespace) -> int:
    count = grading.publish(options.destination)
    print(f"{count} files in {options.destination}, and no solution among them or in the built book")
    return 0
