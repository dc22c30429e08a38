"""Run a notebook's cells as Colab would, where much of Colab is not there: a statement that fails costs that statement alone."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from IPython.utils.text import SList
from traitlets.config import Config

_WORK = {"time", "timeit", "capture", "prun"}  # magics that run what stands behind or below them
_SHELL = "is not run here"


class TooLong(BaseException):
    """A cell or an answer has used up its time; not an Exception, which an answer might catch."""


@dataclass(frozen=True)
class Failure:
    """A statement that raised, or a line for a machine that this is not.

    Attributes:
        cell: Number of the cell, from 0.
        line: The line, as the student wrote it.
        error: What happened, in words.
    """

    cell: int
    line: str
    error: str


@dataclass(frozen=True)
class _Raised:
    line: int
    what: BaseException | str
    again: CodeType | None = None  # the statement, if it missed a name that another cell may define


class _Shell(InteractiveShell):
    """IPython without shell commands and most magics, which goes on after a statement that raised."""

    def __init__(self, **options: Any) -> None:
        self.failures: list[_Raised] = []
        super().__init__(**options)  # type: ignore[no-untyped-call]

    def showtraceback(self, *_: Any, **__: Any) -> None:
        """Nothing: it takes memory and time, and nobody reads it."""

    async def run_code(
        self, code_obj: CodeType, result: ExecutionResult | None = None, *, async_: bool = False
    ) -> bool:
        outcome = ExecutionResult(None)
        if not await super().run_code(code_obj, outcome, async_=async_):  # type: ignore[no-untyped-call]
            return False
        error = outcome.error_in_exec
        again = code_obj if isinstance(error, NameError) and not async_ else None
        self.failures.append(_Raised(_line(error, code_obj), error or RuntimeError(), again))
        return isinstance(error, TooLong | MemoryError)

    def system(self, cmd: str) -> None:
        self._left_out()

    def getoutput(self, cmd: str, split: bool = True, depth: int = 0) -> Any:
        self._left_out()
        return SList() if split else ""

    def run_line_magic(self, magic_name: str, line: str, _stack_depth: int = 1) -> Any:
        if magic_name in _WORK:
            return super().run_line_magic(magic_name, line, _stack_depth + 1)
        self._left_out()
        return None

    def run_cell_magic(self, magic_name: str, line: str, cell: str) -> Any:
        if magic_name in _WORK or magic_name == "writefile":
            return super().run_cell_magic(magic_name, line, cell)  # type: ignore[no-untyped-call]
        self._left_out()
        return None

    def _left_out(self) -> None:
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and frame.f_globals is not self.user_ns:
            frame = frame.f_back
        self.failures.append(_Raised(frame.f_lineno if frame else 1, _SHELL))


def _line(error: BaseException | None, code: CodeType) -> int:
    """The line of a cell that raised."""
    trace = error.__traceback__ if error else None
    while trace is not None:
        if trace.tb_frame.f_code is code:
            return trace.tb_lineno
        trace = trace.tb_next
    return 1


class Cells:
    """Cells, run in one namespace.

    Attributes:
        namespace: What they have defined.
    """

    def __init__(self, seconds: float) -> None:
        config = Config()
        config.HistoryManager.enabled = False
        config.InteractiveShell.cache_size = 0
        self._shell = _Shell.instance(config=config)
        self._seconds = seconds
        self._raised: dict[int, tuple[list[str], list[_Raised]]] = {}
        self.namespace: dict[str, Any] = self._shell.user_ns

    def run(self, number: int, code: str) -> None:
        """Run one cell, as far as it goes."""
        raised = self._shell.failures = []
        error: BaseException | None = None
        try:
            with at_most(self._seconds):
                ran = self._shell.run_cell(code, store_history=False, silent=True)  # type: ignore[no-untyped-call]
                error = ran.error_before_exec
        except BaseException as other:
            error = other
        if error is not None:
            raised.append(_Raised(getattr(error, "lineno", None) or 1, error))
        self._raised[number] = code.splitlines(), raised

    def run_missing(self) -> Iterator[int]:
        """Once more what missed a name, now that all cells have run: notebooks are written out of order."""
        for number, (_, raised) in self._raised.items():
            for one in [one for one in raised if one.again]:
                assert one.again is not None
                raised.remove(one)
                try:
                    with at_most(self._seconds):
                        exec(one.again, self.namespace)
                except BaseException as error:
                    raised.append(_Raised(one.line, error))
                yield number

    def failures(self) -> list[Failure]:
        """All that did not run."""
        return [self._told(number, lines, one) for number, (lines, raised) in self._raised.items() for one in raised]

    def _told(self, number: int, lines: list[str], raised: _Raised) -> Failure:
        line = lines[raised.line - 1].strip()[:100] if 0 < raised.line <= len(lines) else ""
        if isinstance(raised.what, TooLong):
            return Failure(number, line, f"took longer than {self._seconds:g} seconds")
        error = raised.what if isinstance(raised.what, str) else f"{type(raised.what).__name__}: {raised.what}"
        return Failure(number, line, error[:300])


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise ``TooLong`` in the block if it takes longer."""

    def stop(_: int, __: FrameType | None) -> None:
        raise TooLong

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
