"""Grade submissions: each in its sandbox, judged outside of it, several at a time, and only what changed.

The inputs of each check are drawn here, and what comes back is judged in another process, within limits. All the sandbox
does is to turn inputs into outputs. What happens to one submission happens to no other.
"""

from __future__ import annotations

import json
import re
import secrets
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import astuple, replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import joblib
from tqdm import tqdm

from dropout_lessons.exercises import Coded, Exercise, Feedback, Problem, get
from dropout_lessons.exercises.checking import inputs_of, judged
from dropout_lessons.grading import sandbox
from dropout_lessons.grading.assignment import Assignment
from dropout_lessons.grading.border import Overrun, apart, plain
from dropout_lessons.grading.messages import attempts, cell_errors, decode, pack_inputs
from dropout_lessons.grading.notebooks import Notebook, Part, UnreadableNotebook, read_file
from dropout_lessons.grading.results import ExerciseResult, StudentResult, belongs, load, save
from dropout_lessons.grading.sandbox import Limits, Outcome, SandboxUnavailable
from dropout_lessons.grading.submissions import Submission

ROUNDS = 3
_NOWHERE = (
    "Nothing was found under this exercise. Text that stands elsewhere in the notebook is shown to whoever marks it."
)
_DEFINED = "You defined"
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

    Each result is written to ``out/results`` as soon as it is there, so that an interrupted run goes on where it was. One
    that ended because its time was over is graded again.

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
        ValueError: If the folder has the results of another assignment; nothing is graded then.
    """
    if (reason := sandbox.available()) and not unsafe:
        raise SandboxUnavailable(f"{reason} --unsafe grades without a sandbox; read what it means first")
    folder = out / "results"
    folder.mkdir(parents=True, exist_ok=True)
    belongs(out, assignment, claim=True)
    grader = _Grader(assignment, _secret(out / ".secret"), limits or Limits(), tuple(hidden), unsafe)
    results: dict[str, StudentResult] = {}
    waiting = []
    for submission in submissions:
        kept = load(folder / f"{submission.student}.json")
        if kept and kept.complete and kept.key == grader.key(submission):
            results[submission.student] = kept
        else:
            waiting.append(submission)
    pool = ThreadPoolExecutor(jobs or joblib.cpu_count())
    try:
        tasks = {pool.submit(grader.grade, submission): submission for submission in waiting}
        with tqdm(total=len(submissions), initial=len(results), desc=assignment.title, unit="notebook") as bar:
            for task in as_completed(tasks):
                result = task.result()
                try:
                    save(result, folder / f"{result.student}.json")
                except (ValueError, OSError) as error:
                    result = grader.given_up(tasks[task], error)
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
    """Grade one submission, as ``grade`` does: whatever it does there is a result, with a reason for each lost point.

    The seeds of the inputs depend on the submission and on a secret, so that no student can know them.
    """
    return _Grader(assignment, secret, limits or Limits(), tuple(hidden), unsafe).grade(submission)


class _Grader:
    def __init__(
        self, assignment: Assignment, secret: bytes, limits: Limits, hidden: tuple[Path, ...], unsafe: bool
    ) -> None:
        self.assignment = assignment
        self.tasks = list(zip(assignment.definitions(), assignment.points, strict=True))
        self._secret, self._limits, self._hidden, self._unsafe = secret, limits, hidden, unsafe

    def key(self, submission: Submission) -> str:
        """Fingerprint of all that a result depends on."""
        what = (version("dropout-lessons"), self.assignment, astuple(self._limits), submission)
        return sha256(repr(what).encode("utf-8", "backslashreplace")).hexdigest()

    def grade(self, submission: Submission) -> StudentResult:
        """The result, whatever happens."""
        try:
            return self._grade(submission)
        except SandboxUnavailable:
            raise
        except Exception as error:  # nobody's submission may end the others' grading
            return self.given_up(submission, error)

    def given_up(self, submission: Submission, error: Exception) -> StudentResult:
        """The result of a submission that grading itself could not deal with: a human must."""
        reason = f"This could not be graded, and waits for a human ({type(error).__name__}: {plain(error, 200)})."
        rows = [_waiting(one, points, reason) for one, points in self.tasks]
        return replace(self._result(submission, rows), complete=False, problem=reason)

    def _result(self, submission: Submission, rows: Sequence[ExerciseResult]) -> StudentResult:
        return StudentResult(
            submission.student,
            submission.name,
            submission.file,
            self.key(submission),
            tuple(rows),
            submission.ids,
            self.assignment.late.days(submission.late, submission.time),
            remarks=submission.remarks,
        )

    def _grade(self, submission: Submission) -> StudentResult:
        if submission.problem or submission.path is None:
            return self._unread(submission, submission.problem)
        try:
            notebook = apart(read_file, submission.path, self.assignment.exercises, self.assignment.variant)
        except (UnreadableNotebook, Overrun) as error:
            said = str(error) if isinstance(error, UnreadableNotebook) else f"This file cannot be graded: {error}."
            return self._unread(submission, said)
        seeds = self._seeds(submission)
        outcome = self._run(notebook, seeds)
        ending = outcome.ending or "the notebook ended Python by itself"
        rows = []
        for one, points in self.tasks:
            answer = notebook.answers.get(one.id, ())
            if isinstance(one, Coded):
                row = self._judged(one, outcome.data, seeds[one.id], ending)
                credit = self.assignment.credit.get(one.id, {})
                share = max([row.points or 0.0, *(credit.get(code, 0.0) for code in row.diagnoses[:1])])
                row = _renamed(row, one.answer, notebook)
                rows.append(replace(row, points=round(share * points, 2), out_of=points, answer=answer))
            else:
                reasons = () if answer else (_NOWHERE,)
                shown = answer or (*notebook.texts, *_typed(submission))
                rows.append(ExerciseResult(one.id, one.title, None, points, reasons, answer=shown, by_hand=True))
        try:
            errors = apart(_cell_errors, outcome.data)
        except Overrun:
            errors = ["What the notebook sent cannot be read."]
        if outcome.ending:
            errors.append(f"{outcome.ending[0].upper()}{outcome.ending[1:]}.")
        is_slow = outcome.timed_out or any("too-slow" in row.diagnoses for row in rows)
        is_slow = is_slow or any("took longer than" in error for error in errors)
        result = self._result(submission, rows)
        renamed = [
            f"{row.exercise}: {row.reasons[0]}" for row in rows if row.reasons and row.reasons[0].startswith(_DEFINED)
        ]
        remarks = (*submission.remarks, *renamed, *errors)
        return replace(result, remarks=remarks, seconds=round(outcome.seconds, 2), complete=not is_slow)

    def _unread(self, submission: Submission, reason: str) -> StudentResult:
        """No points for what a program marks; what is marked by hand waits."""
        rows = [
            ExerciseResult(one.id, one.title, 0.0, points, (reason,), diagnoses=("unreadable",))
            if isinstance(one, Coded)
            else replace(_waiting(one, points, reason), answer=_typed(submission))
            for one, points in self.tasks
        ]
        return replace(self._result(submission, rows), problem=reason)

    def _seeds(self, submission: Submission) -> dict[str, list[int]]:
        def seed(exercise: str, number: int) -> int:
            parts = [self._secret, submission.digest.encode(), exercise.encode(), b"%d" % number]
            return int.from_bytes(sha256(b"|".join(parts)).digest()[:4], "big")

        coded = [one.id for one, _ in self.tasks if isinstance(one, Coded)]
        return {exercise: [seed(exercise, number) for number in range(ROUNDS)] for exercise in coded}

    def _run(self, notebook: Notebook, seeds: dict[str, list[int]]) -> Outcome:
        """Run a notebook in the sandbox."""
        if not seeds:
            return Outcome()
        with tempfile.TemporaryDirectory(prefix="grading-") as temporary:
            job = Path(temporary)
            runs: dict[str, list[dict[str, object]]] = {}
            for exercise, numbers in seeds.items():
                for number, seed in enumerate(numbers):
                    name = f"{exercise}-{number}"
                    pack_inputs(job, name, inputs_of(_coded(exercise), seed, self.assignment.variant))
                    runs.setdefault(exercise, []).append({"name": name, "seed": seed})
            content = {
                "cells": [(cell.code, cell.exercise) for cell in notebook.code],
                "runs": runs,
                "cell_seconds": self._limits.cell_seconds,
                "answer_seconds": self._limits.answer_seconds,
            }
            (job / "job.json").write_text(json.dumps(content), encoding="utf-8")
            job.chmod(0o755)
            return sandbox.run(_WORKER, job=job, limits=self._limits, hidden=self._hidden, unsafe=self._unsafe)

    def _judged(self, exercise: Coded, data: bytes, seeds: list[int], ending: str) -> ExerciseResult:
        try:
            return apart(_judge, exercise.id, self.assignment.variant, data, seeds, ending)
        except Overrun as error:
            reason = f"What came back cannot be judged: {error}."
            return ExerciseResult(exercise.id, exercise.title, 0.0, 1.0, (reason,), diagnoses=("unreadable",))


def _judge(exercise: str, variant: int, data: bytes, seeds: list[int], ending: str) -> ExerciseResult:
    """Share of the points: the worst of the rounds, since an answer is right if it is right each time."""
    found = _coded(exercise)
    came = attempts(decode(data))
    worst = ExerciseResult(found.id, found.title, 1.0, 1.0)
    for number, seed in enumerate(seeds):
        outputs = came.get(f"{exercise}-{number}", Problem("no-answer", f"No answer came: {ending}."))
        if isinstance(outputs, Problem):
            problems: tuple[Problem, ...] = (outputs,)
        else:
            problems = judged(found, inputs_of(found, seed, variant), outputs)
        share = Feedback(found, problems, seed, variant).share
        if share < (worst.points or 0.0):
            worst = replace(
                worst,
                points=share,
                reasons=tuple(plain(problem.message, 2000, lines=True) for problem in problems),
                check=found.check_code(variant, seed),
                diagnoses=tuple(problem.code for problem in problems),
            )
    return worst


def _renamed(row: ExerciseResult, name: str, notebook: Notebook) -> ExerciseResult:
    """A result that says so if the answer is there under another name, and that repeats no check of what is not there."""
    if row.diagnoses[:1] not in (("not-found",), ("unsolved",)):
        return row
    other = notebook.checked.get(row.exercise, name)
    is_there = re.compile(rf"(?m)^(?:(?:async )?def|class) +{re.escape(other)}\b|^{re.escape(other)} *=(?!=)")
    if other != name and any(is_there.search(cell.code) for cell in notebook.code):
        said = f"{_DEFINED} {other}; it must be called {name}."
        return replace(row, reasons=(said, *row.reasons), check="")
    return replace(row, check="") if row.diagnoses[0] == "not-found" else row


def _cell_errors(data: bytes) -> list[str]:
    return cell_errors(decode(data))


def _coded(exercise: str) -> Coded:
    found = get(exercise)
    assert isinstance(found, Coded)
    return found


def _waiting(exercise: Exercise, points: float, reason: str) -> ExerciseResult:
    by_hand = not isinstance(exercise, Coded)
    return ExerciseResult(exercise.id, exercise.title, None, points, (reason,), by_hand=by_hand)


def _typed(submission: Submission) -> tuple[Part, ...]:
    """What stands on the platform, for whoever marks: it may be an answer, and to which exercise only a human sees."""
    return (Part("text", f"Typed into the platform:\n{submission.typed}"),) if submission.typed else ()


def _secret(path: Path) -> bytes:
    """Made with the first grading and kept, so that grading again draws the same inputs."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(secrets.token_bytes(16))
    return path.read_bytes()
