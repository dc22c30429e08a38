"""What runs in the sandbox: a student's cells, and what the exercises do with each answer as soon as its cell has run.

It is started with a folder, ``job.json`` and the inputs in it, and sends messages, one for each attempt. It shares its
process with the student's code, so the grader believes nothing that it sends but what it can judge itself.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from dropout_lessons.exercises import Coded, Problem, get
from dropout_lessons.exercises.checking import attempt
from dropout_lessons.exercises.exercise import Inputs, Outputs
from dropout_lessons.grading.messages import WORDS, encode, unpack_inputs
from dropout_lessons.grading.shell import Cells, TooLong, at_most

Send = Callable[[Outputs], None]
_NOTHING = object()


def serve(job: Path, send: Send) -> None:
    """Run the cells of a job, try each answer as soon as it is there, and send what comes back."""
    task = json.loads((job / "job.json").read_text(encoding="utf-8"))
    # All that takes memory or files comes first: the cells may use up what there is.
    places = [_Place(name, runs, job, task["answer_seconds"]) for name, runs in task["runs"].items()]
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        sys.stdout = sys.stderr = nowhere
        cells = Cells(task["cell_seconds"])
        for number, (code, under) in enumerate(task["cells"]):
            concerned = [place for place in places if under in (place.exercise.id, None)]
            before = [cells.namespace.get(place.exercise.answer, _NOTHING) for place in concerned]
            cells.run(number, code)
            for place, old in zip(concerned, before, strict=True):
                place.look(cells.namespace, code, old, send, is_own=under is not None)
        for number in cells.run_missing():
            code, under = task["cells"][number]
            for place in places:
                if under == place.exercise.id:
                    place.look(cells.namespace, code, place.answer, send, is_own=True)
        for place in places:
            others = [other for other in places if other.exercise.answer == place.exercise.answer]
            place.finish(cells.namespace, [other.answer for other in others], send)
        report = json.dumps([asdict(failure) for failure in cells.failures()[:20]])
        send({"kind": np.array("cells"), "errors": np.array(report)})
        send({"kind": np.array("end")})


class _Place:
    """An exercise in a notebook: which answer counts, and whether it has been tried."""

    def __init__(self, exercise: str, runs: list[dict[str, Any]], job: Path, seconds: float) -> None:
        found = get(exercise)
        assert isinstance(found, Coded)
        self.exercise = found
        self.answer: object = _NOTHING
        self.is_own = False  # whether the answer was found under its exercise
        self._runs = [(run["name"], run["seed"], unpack_inputs(job, run["name"])) for run in runs]
        self._seconds = seconds
        self._failed = False
        # Binding the name anew, or changing what has it.
        name = re.escape(found.answer)
        self._changes = re.compile(rf"\b{name}\s*([\[.]|[-+*/@|&]?=(?!=))|\b(def|class|as|for)\s+{name}\b")

    def look(self, namespace: dict[str, Any], code: str, old: object, send: Send, *, is_own: bool) -> None:
        """After a cell: try the answer if the cell has made or changed it."""
        found = namespace.get(self.exercise.answer, _NOTHING)
        is_new = found is not old or self._changes.search(code)
        if found is _NOTHING or not is_new or (self.is_own and not is_own):
            return
        self.answer, self.is_own = found, is_own
        self._try(send)

    def finish(self, namespace: dict[str, Any], taken: list[object], send: Send) -> None:
        """After all cells: an answer that stands elsewhere, or one that needed what came later."""
        if self.answer is _NOTHING:
            found = namespace.get(self.exercise.answer, _NOTHING)
            if found is _NOTHING or any(found is other for other in taken):
                problem = Problem("not-found", f"There is no {self.exercise.answer} under this exercise.")
                for name, _, _ in self._runs:
                    send(_message(name, problem))
                return
            self.answer = found
            self._try(send)
        elif self._failed:
            self._try(send)

    def _try(self, send: Send) -> None:
        slow: Problem | None = None
        self._failed = False
        for name, seed, inputs in self._runs:
            outcome = slow or _attempt(self.exercise, self.answer, inputs, seed, self._seconds)
            if isinstance(outcome, Problem):
                slow = outcome if outcome.code == "too-slow" else None
                self._failed = outcome.code == "raises"
            send(_message(name, outcome))


def _message(name: str, outcome: Outputs | Problem) -> Outputs:
    message: Outputs = {"kind": np.array("attempt"), "name": np.array(name)}
    if isinstance(outcome, Problem):
        text = outcome.message.encode("utf-8", "replace").decode("utf-8")  # an array cannot hold half a character
        return message | {"code": np.array(outcome.code), "message": np.array(text[:WORDS])}
    return message | {f"out {key}": value for key, value in outcome.items()}


def _attempt(exercise: Coded, answer: object, inputs: Inputs, seed: int, seconds: float) -> Outputs | Problem:
    try:
        with at_most(seconds):
            return attempt(exercise, answer, inputs, seed)
    except TooLong:
        return Problem(
            "too-slow", f"{exercise.answer} takes longer than {seconds:g} seconds: is there an endless loop?"
        )
    except MemoryError:
        return Problem("raises", f"{exercise.answer} needs more memory than there is.")
    except BaseException as error:  # SystemExit and the like: no answer, but no reason to stop either
        return Problem("raises", f"{exercise.answer} raises {type(error).__name__}.")


if __name__ == "__main__":
    with os.fdopen(int(sys.argv[2]), "wb") as pipe:

        def send(message: Outputs) -> None:
            pipe.write(encode(message))
            pipe.flush()  # what was sent counts even if the next answer ends the process

        serve(Path(sys.argv[1]), send)
