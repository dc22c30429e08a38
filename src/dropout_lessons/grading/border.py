"""The border: what comes from outside is made plain, and handled in a process of its own, for a limited time.

Whatever reads, unpacks or judges a student's bytes outside of the sandbox runs through ``apart``. Whatever text comes from
outside, a file's name, an error, a comment, goes through ``plain`` before it is stored, printed or compared.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import resource
import sys
import unicodedata
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

SECONDS, MEMORY = 30.0, 2**30  # that the handling of one student's bytes may take, beside what Python itself does
_FILE = 200 * 2**20  # bytes of a file that it may write

P = ParamSpec("P")
R = TypeVar("R")


class Overrun(RuntimeError):
    """Handling what came from outside took too long, or too much memory; the message says which."""


def plain(text: object, most: int = 300, *, lines: bool = False) -> str:
    r"""Text that any file, terminal and comparison can take: one line, without control characters, and not too long.

    Bytes that are no UTF-8, as file names may have them, are read as Windows-1252; what no encoding has becomes ``?``.
    Control characters, marks that turn the direction of writing, and ends of lines are written out, as in ``\x1b``.

    Args:
        text: What came from outside.
        most: Characters that are kept.
        lines: Whether lines may end and tabs stay.

    Example:
        >>> plain("caf\udce9.ipynb"), plain("a\x1b[2Jb\nc"), plain("\ud800")
        ('café.ipynb', 'a\\x1b[2Jb\\nc', '?')
    """
    found = str(text)[: 4 * most]
    try:
        found.encode()
    except UnicodeEncodeError:
        with contextlib.suppress(UnicodeEncodeError):
            found = found.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
        found = found.encode("utf-8", "replace").decode("utf-8")
    allowed = "\n\t" if lines else ""
    found = "".join(
        char if char in allowed or char.isprintable() or unicodedata.category(char) == "Zs" else repr(char)[1:-1]
        for char in found
    )
    return found if len(found) <= most else f"{found[: most - 1]}…"


_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["dropout_lessons.grading"])


def apart(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function in a process of its own, for at most ``SECONDS`` and with at most ``MEMORY`` more than Python has.

    The process is started by a server that has loaded this package, so it costs some hundredths of a second. Where
    memory cannot be limited, as on macOS, only the time is.

    Args:
        function: A function of a module; it, its arguments and what it returns are pickled.
        *args: Its arguments.
        **kwargs: More of them.

    Returns:
        What the function returns.

    Raises:
        Overrun: If it takes longer, needs more memory, or the process dies.
        Exception: What the function itself raises.

    Example:
        >>> apart(abs, -3)
        3
    """
    receiver, sender = _processes.Pipe(duplex=False)
    process = _processes.Process(target=_answer, args=(sender, function, args, kwargs), daemon=True)
    try:
        process.start()
        sender.close()
        if not receiver.poll(SECONDS):
            raise Overrun(f"it takes longer than {SECONDS:g} seconds to read")
        try:
            succeeded, value = receiver.recv()
        except EOFError:
            raise Overrun(f"it takes more than {MEMORY / 2**30:g} GB of memory to read") from None
        if not succeeded:
            raise value
        result: R = value
        return result
    finally:
        receiver.close()
        process.kill()
        process.join()
        process.close()


def _answer(sender: Connection, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    _limit()
    try:
        answer = True, function(*args, **kwargs)
    except (MemoryError, RecursionError):
        answer = False, Overrun(f"it takes more than {MEMORY / 2**30:g} GB of memory to read")
    except Exception as error:
        answer = False, error
    sender.send(answer)


def _limit() -> None:
    hard = {resource.RLIMIT_CPU: int(SECONDS) + 1, resource.RLIMIT_FSIZE: _FILE, resource.RLIMIT_CORE: 0}
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        hard[resource.RLIMIT_AS] = pages * resource.getpagesize() + MEMORY
    for what, limit in hard.items():
        resource.setrlimit(what, (limit, limit))
