"""The command ``dropout-lessons``."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import joblib
from matplotlib.backend_bases import FigureCanvasBase

from dropout_lessons import exercises, experiments, grading
from dropout_lessons.experiments.entries import cost, ledger
from dropout_lessons.experiments.experiment import SCALES, Experiment, Result
from dropout_lessons.experiments.page import ledger_page
from dropout_lessons.experiments.store import UNITS, is_recorded, kept, reached, write
from dropout_lessons.grading.feedback import gradescope_json
from dropout_lessons.grading.sandbox import Limits

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code: 0, 1 if units failed, 2 for bad input, 130 if interrupted.

    Example:
        >>> main(["experiments", "list"])  # doctest: +ELLIPSIS
        batchnorm_variance_shift     lecture, workstation, paper ...
        0
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser().parse_args(arguments)
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: print(f"warning: {message}", file=sys.stderr)
        try:
            return int(options.command(options))
        except ValueError as error:
            print(f"dropout-lessons: {error}", file=sys.stderr)
            return 2
        except experiments.UnitsFailed as error:
            print(f"dropout-lessons: {error}", file=sys.stderr)
            return 1
        except BrokenPipeError:  # whoever read the output has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except KeyboardInterrupt:
            command = shlex.join(["dropout-lessons", *arguments])
            print(f"\ndropout-lessons: interrupted{_kept(options)}. To go on: {command}", file=sys.stderr)
            return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dropout-lessons",
        description="Dropout, measured: the paper's experiments, and exercises to hand out and grade.",
    )
    topics = parser.add_subparsers(title="topics", required=True, metavar="TOPIC")
    _add_exercises(topics)
    topic = topics.add_parser("experiments", help="the paper, re-run", description="Run the paper's experiments.")
    commands = topic.add_subparsers(title="commands", required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="list the experiments, and what came out of them")
    listing.set_defaults(command=_list)

    running = commands.add_parser("run", help="run experiments; a run that was stopped goes on where it was")
    running.add_argument("names", nargs="*", metavar="NAME", help="an experiment of the list")
    running.add_argument("--all", action="store_true", help="all experiments that have the scale")
    running.add_argument(
        "--scale",
        choices=SCALES,
        default="lecture",
        help="lecture: under a minute; workstation: minutes, the results that the package ships; paper: the paper's own sizes, "
        "hours or days, which `show` estimates (default: %(default)s)",
    )
    running.add_argument("--folder", default="results", help="where finished units are kept (default: %(default)s)")
    running.add_argument("--jobs", type=int, metavar="N", help="processes (default: one for each core)")
    running.add_argument(
        "--device",
        choices=("cpu", "cuda"),
        default="cpu",
        help="cuda takes one unit at a time, whose networks are trained side by side (default: %(default)s)",
    )
    running.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="a Dask scheduler whose workers compute the units, such as tcp://HOST:8786",
    )
    running.add_argument(
        "--record",
        action="store_true",
        help="make the results those that the package ships; at the paper's scale each unit as soon as it is finished",
    )
    running.set_defaults(command=_run)

    showing = commands.add_parser("show", help="show what the paper says, what came out here, and what it costs")
    showing.add_argument("name", metavar="NAME", help="an experiment of the list")
    showing.add_argument("--scale", choices=SCALES, help="of a run in the folder (default: what the package ships)")
    showing.add_argument("--folder", default="results", help="where runs are kept (default: %(default)s)")
    showing.add_argument("--figure", metavar="FILE", help="draw the figure into a file, such as figure.png")
    showing.set_defaults(command=_show)

    booking = commands.add_parser("ledger", help="print the ledger, or write its page")
    booking.add_argument("--out", metavar="FILE", help="write the book's page, Markdown, here")
    booking.set_defaults(command=_ledger)
    return parser


def _add_exercises(topics: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    listing = topics.add_parser("exercises", help="the bank of exercises", description="List the exercises.")
    listing.add_argument("--chapter", type=int, metavar="N", help="those of one chapter")
    listing.set_defaults(command=_exercises)

    assigning = topics.add_parser(
        "assign",
        help="make an assignment",
        description="Make an assignment: the students' notebook, and assignment.toml, which grading needs.",
    )
    assigning.add_argument("exercises", nargs="+", metavar="ID", help="exercises, in order; `exercises` lists them")
    assigning.add_argument("--title", required=True, help="title that students and grade books show")
    assigning.add_argument("--out", required=True, metavar="FOLDER", type=Path, help="new folder for the assignment")
    assigning.add_argument(
        "--variant", type=int, default=0, metavar="SEED", help="other numbers in the exercises, for another section"
    )
    assigning.add_argument(
        "--hints", action="store_true", help="leave in the prompts what to expect, as the book says it"
    )
    assigning.add_argument("--gradescope", action="store_true", help="make an autograder for Gradescope, too")
    assigning.add_argument("--github", action="store_true", help="make a repository for GitHub Classroom, too")
    assigning.set_defaults(command=_assign)

    grading = topics.add_parser(
        "grade",
        help="grade submissions",
        description="Grade submissions, each in a sandbox. Run it again to go on, or to merge marks given by hand.",
    )
    grading.add_argument("assignment", type=Path, help="assignment.toml, which `assign` made")
    grading.add_argument(
        "submissions", type=Path, help="folder or zip from Canvas, Gradescope or Moodle, or of notebooks"
    )
    grading.add_argument("--out", metavar="FOLDER", type=Path, help="folder of the results (default: graded)")
    grading.add_argument(
        "--marks", metavar="CSV", type=Path, help="marks given by hand, beside marks.csv in the results"
    )
    grading.add_argument(
        "--rubrics", metavar="FOLDER", type=Path, help="folder with rubrics for the marking sheet (default: instructor)"
    )
    grading.add_argument(
        "--gradebook", metavar="CSV", type=Path, help="Canvas's grade book or Moodle's worksheet, to be filled in"
    )
    grading.add_argument(
        "--gradescope", metavar="JSON", type=Path, help="grade one submission, for Gradescope's autograder"
    )
    grading.add_argument("--jobs", type=int, metavar="N", help="submissions at a time (default: one for each core)")
    grading.add_argument("--seconds", type=float, default=120, help="time for a submission (default: %(default)s)")
    grading.add_argument("--unsafe", action="store_true", help="grade without a sandbox, where none is to be had")
    grading.set_defaults(command=_grade)

    counting = topics.add_parser(
        "statistics",
        help="what a class did not understand",
        description="For each exercise: the share that is right, how points are spread, which diagnosis came up how often.",
    )
    counting.add_argument("assignment", type=Path, help="assignment.toml, which `assign` made")
    counting.add_argument("--out", metavar="FOLDER", type=Path, help="folder of the results (default: graded)")
    counting.set_defaults(command=_statistics)

    publishing = topics.add_parser(
        "publish",
        help="export the repository without its solutions",
        description="Export the last commit without instructor/; refused if a solution is found in it or in the built book.",
    )
    publishing.add_argument("destination", type=Path, help="new or empty folder, or a clone of the public repository")
    publishing.set_defaults(command=_publish)


def _exercises(options: argparse.Namespace) -> int:
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


def _assign(options: argparse.Namespace) -> int:
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


def _grade(options: argparse.Namespace) -> int:
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
    results = grading.write_all(assignment, results, out, given, remarks)
    waiting = sum(result.waits for result in results)
    mean = sum(result.points for result in results) / len(results)
    print(f"{len(results)} submissions, {mean:.2f} of {assignment.out_of:g} points on average")
    if waiting:
        print(f"{waiting} wait for marks by hand: open {out / 'marking.html'}, or fill in {out / 'marks.csv'}")
    print(f"results in {out}: grades.csv, canvas.csv, gradescope.csv, statistics.html, remarks.txt, feedback/")
    return 0


def _statistics(options: argparse.Namespace) -> int:
    assignment = grading.read_assignment(options.assignment)
    print(grading.items_text(grading.items(assignment, grading.read_all(assignment, options.out or Path("graded")))))
    return 0


def _publish(options: argparse.Namespace) -> int:
    count = grading.publish(options.destination)
    print(f"{count} files in {options.destination}, and no solution among them or in the built book")
    return 0


def _list(options: argparse.Namespace) -> int:
    for name in experiments.names():
        experiment = experiments.get(name)
        state = "not recorded"
        if is_recorded(name):
            try:
                state = str(experiments.recorded(name).verdict)
            except ValueError:
                state = "to be run again"  # `show` says why
        print(f"{name:<28} {', '.join(experiment.scales):<30} {state:<16} {experiment.title}")
    return 0


def _run(options: argparse.Namespace) -> int:
    if bool(options.names) == options.all:
        raise ValueError("give the names of experiments, or --all; `dropout-lessons experiments list` lists them")
    chosen = [experiments.get(name) for name in options.names or experiments.names()]
    if options.all:
        chosen = [experiment for experiment in chosen if options.scale in experiment.scales]
    for experiment in chosen:
        experiment.config(options.scale)  # to hear of a scale that one does not have before the others run
    if options.record and options.scale == "lecture":
        raise ValueError("--record takes --scale workstation or paper: the lecture scale is too small to be reported")
    jobs = options.jobs
    if jobs is None:
        jobs = 1 if options.device == "cuda" or options.scheduler else joblib.cpu_count()
    failed = 0
    for experiment in chosen:
        options.running = experiment
        try:
            result = experiments.run(
                experiment,
                options.scale,
                folder=_folder(options),
                jobs=jobs,
                device=options.device,
                scheduler=options.scheduler,
            )
        except experiments.UnitsFailed as error:
            print(f"dropout-lessons: {error}", file=sys.stderr)
            failed = 1
            continue
        _report(result)
        if options.record and options.scale == "workstation":
            place = experiments.record(result)
        else:
            place = Path(_folder(options), experiment.name, options.scale)
        print(f"  kept in {os.path.relpath(place)}\n")
    return failed


def _folder(options: argparse.Namespace) -> str | Path:
    """Where finished units are kept: at the paper's scale, with those that the package ships if the run is to be recorded."""
    return UNITS if options.record and options.scale == "paper" else options.folder


def _show(options: argparse.Namespace) -> int:
    experiment = experiments.get(options.name)
    if options.figure:
        _check_figure(options.figure)
    result = None
    if options.scale:
        experiment.config(options.scale)  # says which there are
        shipped = reached(experiment, "paper") if options.scale == "paper" else None
        result = shipped or kept(options.folder, experiment, options.scale)
    elif is_recorded(options.name) or options.figure:
        result = experiments.recorded(options.name)  # or says why there is none
    print(f"{experiment.title}\n{experiment.source}\n\n{experiment.claim}\n")
    for number in experiment.reported:
        print(f"  {number.what}: {number.value} ({number.where})")
    if result:
        print()
        _report(result)
    if experiment.remark:
        print(f"\n{experiment.remark}")
    if experiment.not_run:
        print(f"\n{experiment.not_run}")
    print(f"\nCost, in seconds of one core:\n{cost(experiment).to_string(index=False)}")
    if result and options.figure:
        try:
            result.draw().savefig(options.figure, bbox_inches="tight")
        except OSError as error:
            raise ValueError(f"--figure {options.figure} cannot be written: {error.strerror or error}") from error
    return 0


def _check_figure(name: str) -> None:
    kinds = FigureCanvasBase.get_supported_filetypes()
    if Path(name).suffix[1:].lower() not in kinds:
        raise ValueError(f"--figure must be a file that ends in one of .{', .'.join(kinds)}, got {name!r}")


def _ledger(options: argparse.Namespace) -> int:
    if options.out:
        write(Path(options.out), ledger_page())
    else:
        for (name, source), rows in ledger().groupby(["experiment", "source"], sort=False):
            print(f"{name} ({source})")
            for row in rows.to_dict("records"):
                where = f", {row['scale']} scale, {row['data']}" if row["scale"] else ""
                required = f"; agrees if {row['required']}" if row["required"] else ""
                print(f"  {row['statement']}\n    paper: {row['paper'] or 'no number'}")
                print(f"    here:  {row['ours']}{where}{required}\n    {row['verdict']}")
            print(f"  {rows.note.iloc[0]}\n" if rows.note.iloc[0] else "")
    return 0


def _report(result: Result) -> None:
    print(f"{result.experiment.name}, {result.scale}: {result.verdict}")
    for finding in result.findings:
        primary = " (primary)" if finding.primary else ""
        print(f"  {finding.statement}{primary}\n    {finding.judgement.summary}")
        if finding.evidence.note:
            print(f"    {finding.evidence.note}")
    print(f"  {result.provenance['seconds']:.0f} seconds of one core")


def _kept(options: argparse.Namespace) -> str:
    experiment: Experiment | None = getattr(options, "running", None)
    if experiment is None:
        return ""
    folder = Path(_folder(options), experiment.name, options.scale, "units")
    return f"; {len(list(folder.glob('*.json')))} finished units of {experiment.name} are kept in {folder}"
