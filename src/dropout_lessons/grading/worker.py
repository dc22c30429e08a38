"""What runs in the sandbox: a student's cells, then what the exercises do with the answers.

It is started with a folder, ``job.json`` and the inputs in it, and sends messages, one for each attempt. It shares its
process with the student's code, so the grader believes nothing that it sends but what it can judge itself.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from dropout_lessons.exercises import Coded, Problem, get
from dropout_lessons.exercises.checking import attempt
from dropout_lessons.exercises.exercise import Inputs, Outputs

__all__ = ["pack_inputs", "read_message", "serve"]

CELL_SECONDS, USE_SECONDS = 20, 10
_WORDS = 1000  # of an error, at most
Send = Callable[[Outputs], None]


class TooLong(BaseException):
    """A cell or an answer has used up its time; not an Exception, which an answer might catch."""


def pack_inputs(folder: Path, name: str, inputs: Inputs) -> None:
    """Write the inputs of one check for the worker: arrays as ``.npz``, the rest as JSON."""
    arrays = {key: value for key, value in inputs.items() if isinstance(value, np.ndarray)}
    rest = {key: value for key, value in inputs.items() if key not in arrays}
    np.savez(folder / f"{name}.npz", **arrays)  # type: ignore[arg-type]
    (folder / f"{name}.json").write_text(json.dumps(rest), encoding="utf-8")


def _unpack_inputs(folder: Path, name: str) -> Inputs:
    with np.load(folder / f"{name}.npz", allow_pickle=False) as arrays:
        inputs: Inputs = {key: arrays[key] for key in arrays.files}
    return {**json.loads((folder / f"{name}.json").read_text(encoding="utf-8")), **inputs}


def serve(job: Path, send: Send) -> None:
    """Run the cells of a job, then each exercise as often as it says, and send what comes back."""
    task = json.loads((job / "job.json").read_text(encoding="utf-8"))
    # All that takes memory or files comes first: the cells may use up what there is.
    runs = [(run, get(run["exercise"]), _unpack_inputs(job, run["name"])) for run in task["runs"]]
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        sys.stdout = sys.stderr = nowhere
        namespace, errors = _run_cells(task["cells"])
        send({"kind": np.array("cells"), "errors": np.array(json.dumps(errors)[:20_000])})
        slow: dict[str, Problem] = {}
        for run, exercise, inputs in runs:
            assert isinstance(exercise, Coded)
            message: Outputs = {"kind": np.array("attempt"), "name": np.array(run["name"])}
            if exercise.answer not in namespace:
                outcome: Outputs | Problem = Problem("not-found", f"There is no {exercise.answer} in the notebook.")
            elif exercise.id in slow:
                outcome = slow[exercise.id]
            else:
                outcome = _attempt(exercise, namespace, inputs, run["seed"])
            if isinstance(outcome, Problem):
                if outcome.code == "too-slow":
                    slow[exercise.id] = outcome
                message |= {"code": np.array(outcome.code), "message": np.array(outcome.message[:_WORDS])}
            else:
                message |= {f"out {key}": value for key, value in outcome.items()}
            send(message)
        send({"kind": np.array("end")})


def _attempt(exercise: Coded, namespace: dict[str, Any], inputs: Inputs, seed: int) -> Outputs | Problem:
    try:
        with _at_most(USE_SECONDS):
            return attempt(exercise, namespace[exercise.answer], inputs, seed)
    except TooLong:
        return Problem(
            "too-slow", f"{exercise.answer} takes longer than {USE_SECONDS} seconds: is there an endless loop?"
        )
    except MemoryError:
        return Problem("raises", f"{exercise.answer} needs more memory than there is.")
    except BaseException as error:  # SystemExit and the like: no answer, but no reason to stop either
        return Problem("raises", f"{exercise.answer} raises {type(error).__name__}.")


def read_message(message: Outputs) -> tuple[str, Outputs | Problem] | None:
    """Trusted side: name of the run and what came of it; None for anything that is no attempt."""
    kind, name = message.get("kind"), message.get("name")
    if kind is None or name is None or str(kind) != "attempt":
        return None
    if "code" in message:
        code = str(message["code"])
        allowed = ("unsolved", "wrong-type", "raises", "too-slow", "not-found")
        return str(name), Problem(code if code in allowed else "raises", str(message.get("message", ""))[:_WORDS])
    return str(name), {key[4:]: value for key, value in message.items() if key.startswith("out ")}


def _run_cells(cells: list[str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Run cells in order, past errors; those that missed a name are tried again at the end, once."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.cache_size = 0
    shell = InteractiveShell.instance(config=config)
    shell.showtraceback = lambda *_, **__: None  # type: ignore[method-assign]  # takes memory and time, and nobody reads it
    errors: dict[int, dict[str, Any]] = {}

    def run(number: int) -> bool:
        errors.pop(number, None)
        try:
            with _at_most(CELL_SECONDS):
                result = shell.run_cell(cells[number], store_history=False, silent=True)
            error = result.error_before_exec or result.error_in_exec
        except BaseException as raised:
            error = raised
        if error is not None:
            slow = isinstance(error, TooLong)
            words = f"took longer than {CELL_SECONDS} seconds" if slow else f"{type(error).__name__}: {error}"[:300]
            errors[number] = {"cell": number, "error": words}
        return isinstance(error, NameError)

    again = [number for number in range(len(cells)) if run(number)]
    for number in again:
        run(number)
    return shell.user_ns, list(errors.values())


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    def stop(_: int, __: FrameType | None) -> None:
        raise TooLong

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    from dropout_lessons.grading.sandbox import encode

    with os.fdopen(int(sys.argv[2]), "wb") as pipe:

        def send(message: Outputs) -> None:
            pipe.write(encode(message))
            pipe.flush()  # what was sent counts even if the next answer ends the process

        serve(Path(sys.argv[1]), send)
