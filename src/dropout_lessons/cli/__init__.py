"""The command ``dropout-lessons``: what it can be asked; what it does is imported once it is asked for."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from threading import current_thread, main_thread

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code: 0, 1 if units failed, 2 for bad input, 130 if interrupted.

    Example:
        >>> main(["experiments", "list"])  # doctest: +ELLIPSIS
        attention_heads              lecture, workstation, paper ...
        0
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser().parse_args(arguments)
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: print(f"warning: {message}", file=sys.stderr)
        try:
            topic, name = options.command
            with _interruptions_held():
                command = getattr(import_module(f"dropout_lessons.cli.{topic}"), name)
            return int(command(options))
        except ValueError as error:
            print(f"dropout-lessons: {error}", file=sys.stderr)
            return 2
        except BrokenPipeError:  # whoever read the output has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except OSError as error:  # a folder that may not be written, a disk that is full
            what = f"{error.filename} cannot be used: {error.strerror}" if error.filename else error
            print(f"dropout-lessons: {what}; choose a folder where you may write", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            again = shlex.join(["dropout-lessons", *arguments])
            kept = getattr(options, "kept", "")
            print(f"\ndropout-lessons: interrupted{kept}. To go on: {again}", file=sys.stderr)
            return 130


@contextmanager
def _interruptions_held() -> Iterator[None]:
    """Hold an interruption until what is imported is there: in the middle, a compiled module makes an ImportError of it."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler or current_thread() is not main_thread():
        yield
        return
    held: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if held:
        raise KeyboardInterrupt


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
    listing.set_defaults(command=("experiments", "list_all"))

    running = commands.add_parser("run", help="run experiments; a run that was stopped goes on where it was")
    running.add_argument("names", nargs="*", metavar="NAME", help="an experiment of the list")
    running.add_argument("--all", action="store_true", help="all experiments that have the scale")
    running.add_argument(
        "--scale",
        metavar="SCALE",
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
        help="cuda trains the networks of several units side by side (default: %(default)s)",
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
    running.set_defaults(command=("experiments", "run"))

    showing = commands.add_parser("show", help="show what the paper says, what came out here, and what it costs")
    showing.add_argument("name", metavar="NAME", help="an experiment of the list")
    showing.add_argument("--scale", metavar="SCALE", help="of a run in the folder (default: what the package ships)")
    showing.add_argument("--folder", default="results", help="where runs are kept (default: %(default)s)")
    showing.add_argument("--figure", metavar="FILE", help="draw the figure into a file, such as figure.png")
    showing.set_defaults(command=("experiments", "show"))

    booking = commands.add_parser("ledger", help="print the ledger, or write its page")
    booking.add_argument("--out", metavar="FILE", help="write the book's page, Markdown, here")
    booking.set_defaults(command=("experiments", "print_ledger"))

    looking = topics.add_parser("doctor", help="what works on this machine, and what to do about what does not")
    looking.set_defaults(command=("doctor", "examine"))
    return parser


def _add_exercises(topics: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    listing = topics.add_parser("exercises", help="the bank of exercises", description="List the exercises.")
    listing.add_argument("--chapter", type=int, metavar="N", help="those of one chapter")
    listing.set_defaults(command=("exercises", "list_all"))

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
    assigning.set_defaults(command=("exercises", "assign"))

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
    grading.set_defaults(command=("exercises", "grade"))

    counting = topics.add_parser(
        "statistics",
        help="what a class did not understand",
        description="For each exercise: the share that is right, how points are spread, which diagnosis came up how often.",
    )
    counting.add_argument("assignment", type=Path, help="assignment.toml, which `assign` made")
    counting.add_argument("--out", metavar="FOLDER", type=Path, help="folder of the results (default: graded)")
    counting.set_defaults(command=("exercises", "statistics"))

    publishing = topics.add_parser(
        "publish",
        help="export the repository without its solutions",
        description="Export the last commit without instructor/; refused if a solution is found in it or in the built book.",
    )
    publishing.add_argument("destination", type=Path, help="new or empty folder, or a clone of the public repository")
    publishing.set_defaults(command=("exercises", "publish"))
