"""Grade submissions: each in its sandbox, judged outside of it, several at a time, and only what changed.

The inputs of each check are drawn here, and what comes back is judged here. All the sandbox does is to turn inputs into
outputs. What happens to one submission happens to no other.
"""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import joblib
from tqdm import tqdm

from dropout_lessons.exercises import Coded, Problem
from dropout_lessons.exercises.checking import inputs_of, judged
from dropout_lessons.exercises.exercise import Outputs
from dropout_lessons.grading import sandbox
from dropout_lessons.grading.assignment import Assignment
from dropout_lessons.grading.notebooks import UnreadableNotebook, read
from dropout_lessons.grading.results import ExerciseResult, StudentResult, load, save
from dropout_lessons.grading.sandbox import Limits, SandboxUnavailable
from dropout_lessons.grading.submissions import Submission
from dropout_lessons.grading.worker import pack_inputs, read_message

__all__ = ["grade", "grade_one"]

ROUNDS = 3
_WORKER = "dropout_lessons.grading.worker"


def grade(
    assignment: Assignment,
    submissions: Sequence[Submission],
    out: Path,
    *,
    jobs: int | None = None,
    limits: Limits | None = None,
    hidden: Sequence[Path] = (),
    unsafe: bool = False,
) -> list[StudentResult]:
    """Grade all submissions; what was graded before, and has not changed, is kept.

    Each result is written to ``out/results`` as soon as it is there, so that an interrupted run goes on where it was.

    Args:
        assignment: What was handed out.
        submissions: What came back.
        out: Folder of the results.
        jobs: Submissions that are graded at a time; by default one for each core.
        limits: What each may use.
        hidden: Folders that no submission may see.
        unsafe: Grade where no sandbox is to be had; see ``sandbox.run``.

    Returns:
        A result for each submission, in the same order.

    Raises:
        SandboxUnavailable: If there is no sandbox, and ``unsafe`` is not set.
    """
    if (reason := sandbox.available()) and not unsafe:
        raise SandboxUnavailable(f"{reason} --unsafe grades without a sandbox; read what it means first")
    folder = out / "results"
    folder.mkdir(parents=True, exist_ok=True)
    secret = _secret(out / ".secret")
    results: dict[str, StudentResult] = {}
    waiting = []
    for submission in submissions:
        kept = load(folder / f"{submission.student}.json")
        if kept and kept.key == _key(assignment, submission):
            results[submission.student] = kept
        else:
            waiting.append(submission)
    pool = ThreadPoolExecutor(jobs or joblib.cpu_count())
    try:
        tasks = {
            pool.submit(
                grade_one, assignment, submission, secret, limits=limits, hidden=hidden, unsafe=unsafe
            ): submission
            for submission in waiting
        }
        with tqdm(total=len(submissions), initial=len(results), desc=assignment.title, unit="notebook") as bar:
            for task in as_completed(tasks):
                result = task.result()
                save(result, folder / f"{result.student}.json")
                results[result.student] = result
                bar.update()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return [results[submission.student] for submission in submissions]


def grade_one(
    assignment: Assignment,
    submission: Submission,
    secret: bytes = b"",
    *,
    limits: Limits | None = None,
    hidden: Sequence[Path] = (),
    unsafe: bool = False,
) -> StudentResult:
    """Grade one submission.

    Args:
        assignment: What was handed out.
        submission: What came back.
        secret: What the seeds of the inputs depend on beside the submission, so that no student can know them.
        limits: What it may use.
        hidden: Folders that it may not see.
        unsafe: Grade where no sandbox is to be had.

    Returns:
        The result. Whatever the submission does, there is one, with a reason for each lost point.
    """
    remarks = list(submission.remarks)

    def result(exercises: Sequence[ExerciseResult], seconds: float = 0.0) -> StudentResult:
        return StudentResult(
            submission.student,
            submission.name,
            submission.file,
            _key(assignment, submission),
            tuple(exercises),
            submission.ids,
            submission.late,
            tuple(remarks),
            round(seconds, 2),
        )

    tasks = list(zip(assignment.definitions(), assignment.points, strict=True))
    try:
        notebook = read(submission.data, assignment.exercises)
    except UnreadableNotebook as error:
        return result([ExerciseResult(one.id, one.title, 0.0, points, (str(error),)) for one, points in tasks])
    seeds = {
        (one.id, number): int.from_bytes(
            sha256(b"|".join([secret, submission.digest.encode(), one.id.encode(), b"%d" % number])).digest()[:4], "big"
        )
        for one, _ in tasks
        if isinstance(one, Coded)
        for number in range(ROUNDS)
    }
    with tempfile.TemporaryDirectory(prefix="grading-") as temporary:
        job = Path(temporary)
        runs = []
        for one, _ in tasks:
            for number in range(ROUNDS if isinstance(one, Coded) else 0):
                assert isinstance(one, Coded)
                name, seed = f"{one.id}-{number}", seeds[one.id, number]
                pack_inputs(job, name, inputs_of(one, seed, assignment.variant))
                runs.append({"exercise": one.id, "name": name, "seed": seed})
        (job / "job.json").write_text(json.dumps({"cells": notebook.code, "runs": runs}), encoding="utf-8")
        job.chmod(0o755)
        outcome = (
            sandbox.run(_WORKER, job=job, limits=limits, hidden=hidden, unsafe=unsafe) if runs else sandbox.Outcome()
        )
    came: dict[str, Outputs | Problem] = {}
    for message in outcome.messages:
        if attempt := read_message(message):
            came.setdefault(*attempt)
        elif "errors" in message:
            remarks += _cell_errors(str(message["errors"]))
    ending = outcome.ending or "the notebook ended Python by itself"
    if outcome.ending:
        remarks.append(f"{outcome.ending[0].upper()}{outcome.ending[1:]}.")
    exercises = []
    for one, points in tasks:
        if isinstance(one, Coded):
            exercises.append(_judge(one, points, assignment.variant, came, seeds, ending))
        else:
            answer = notebook.written.get(one.id, "")
            reasons = () if answer else ("There is no answer.",)
            exercises.append(ExerciseResult(one.id, one.title, None if answer else 0.0, points, reasons, answer=answer))
    return result(exercises, outcome.seconds)


def _judge(
    exercise: Coded,
    points: float,
    variant: int,
    came: dict[str, Outputs | Problem],
    seeds: dict[tuple[str, int], int],
    ending: str,
) -> ExerciseResult:
    """The worst of the rounds: an answer is right if it is right each time."""
    share, check = 1.0, ""
    reasons: tuple[str, ...] = ()
    for number in range(ROUNDS):
        seed = seeds[exercise.id, number]
        outputs = came.get(f"{exercise.id}-{number}", Problem("no-answer", f"No answer came: {ending}."))
        problems = (
            (outputs,)
            if isinstance(outputs, Problem)
            else judged(exercise, inputs_of(exercise, seed, variant), outputs)
        )
        left = max(0.0, 1.0 - sum(problem.lost for problem in problems))
        if left < share:
            share, reasons = left, tuple(problem.message for problem in problems)
            which = f", variant={variant}" if variant else ""
            check = f'exercises.check("{exercise.id}", {exercise.answer}{which}, seed={seed})'
    return ExerciseResult(exercise.id, exercise.title, round(share * points, 2), points, reasons, check)


def _cell_errors(text: str) -> list[str]:
    """What the cells raised; the text comes from the sandbox and may be anything."""
    try:
        rows = json.loads(text)
        return [f"Code cell {int(row['cell']) + 1}: {str(row['error'])[:300]}" for row in rows[:20]]
    except (ValueError, TypeError, KeyError, RecursionError):
        return []


def _key(assignment: Assignment, submission: Submission) -> str:
    parts = [version("dropout-lessons"), repr(assignment), submission.digest, submission.file, repr(submission.ids)]
    return sha256("|".join(parts).encode()).hexdigest()


def _secret(path: Path) -> bytes:
    """Made with the first grading and kept, so that grading again draws the same inputs."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(secrets.token_bytes(16))
    return path.read_bytes()
