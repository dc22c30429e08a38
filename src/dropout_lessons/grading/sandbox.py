"""Run a command apart from everything else: bubblewrap, limits, and messages of plain arrays as the only way out.

A command in the sandbox sees Python, this package and one folder, all read-only, and a small temporary disk. It has no
network, no other processes, no environment, and cannot start a process. It is killed with all that belongs to it when its
time is over. It answers with messages on one pipe: arrays by name, read without pickle and within limits.

This protects from students' code, not from attacks on the kernel itself, and it does not hide how long things take.
"""

from __future__ import annotations

import contextlib
import os
import platform
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from shutil import which
from typing import IO

from dropout_lessons.exercises.exercise import Outputs
from dropout_lessons.grading import seccomp
from dropout_lessons.grading.messages import decode
from dropout_lessons.grading.watch import excess

_PACKAGE = Path(__file__).resolve().parents[1]
_NOBODY = 65534
_LOOK = 0.2  # seconds between looks at what no limit of the kernel counts


class SandboxUnavailable(RuntimeError):
    """This machine allows no sandbox."""


@dataclass(frozen=True)
class Limits:
    """What a command may use.

    Attributes:
        seconds: Wall-clock time. A cell may take a third of it, an answer a twelfth.
        memory: Bytes of address space. Importing PyTorch alone takes about 1.5 GB of it on a CPU.
        disk: Bytes of each of the two temporary disks.
        output: Bytes of all messages.
        threads: Threads; looked at five times a second, as are files.
        files: Files and folders on the temporary disks.
    """

    seconds: float = 120.0
    memory: int = 4 * 2**30
    disk: int = 64 * 2**20
    output: int = 64 * 2**20
    threads: int = 500
    files: int = 20_000

    @property
    def cell_seconds(self) -> float:
        """Time for a cell: a loop that never ends leaves time for other answers."""
        return self.seconds / 3

    @property
    def answer_seconds(self) -> float:
        """Time for an answer to work on the inputs of one check."""
        return self.seconds / 12


@dataclass(frozen=True)
class Outcome:
    """What came out of the sandbox.

    Attributes:
        data: What it sent, unread.
        ending: None if the command finished as it should, else what happened, in words for a student.
        seconds: Wall-clock time.
        timed_out: Whether it was ended because its time was over.
    """

    data: bytes = b""
    ending: str | None = None
    seconds: float = 0.0
    timed_out: bool = False

    @property
    def messages(self) -> list[Outputs]:
        """Messages that arrived whole, in order; decode hostile ones through ``border.apart``."""
        return decode(self.data)


def run(
    module: str, *, job: Path, limits: Limits | None = None, hidden: Sequence[Path] = (), unsafe: bool = False
) -> Outcome:
    """Run ``python -m module`` apart, with the folder ``job`` to read, and collect its messages.

    Args:
        module: Module to run. Its arguments are the folder of the job and the file descriptor for messages.
        job: Folder that it may read.
        limits: What it may use.
        hidden: Folders that it must not see even if they lie in one that Python needs.
        unsafe: Run it where no sandbox is to be had: in a process with the same limits, as user nobody when root
            started it, but with the network, other processes and all files that this user can read.

    Returns:
        The messages, and how it ended. Nothing of it is left running.

    Raises:
        SandboxUnavailable: If there is no sandbox, and ``unsafe`` is not set.
    """
    limits = limits or Limits()
    reason = available()
    if reason and not unsafe:
        raise SandboxUnavailable(f"{reason} --unsafe grades without a sandbox; read what it means first")
    user = "-"
    if reason and os.geteuid() == 0:
        user = str(_NOBODY)
        closed = [path for path in _mounted() if not _open_to_all(path)]
        if closed:
            raise SandboxUnavailable(
                f"{reason} User nobody, as whom --unsafe runs answers, cannot read {closed[0]}: be no root"
            )
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb", buffering=0) as messages:
        inner = [
            sys.executable,
            "-I",
            "-m",
            "dropout_lessons.grading.confine",
            str(limits.memory),
            str(int(limits.seconds) + 5),
        ]
        if reason:
            folder = str(job)
            command: list[str] = []
            keep: list[int] = []
        else:
            folder = "/job"
            keep = [seccomp.program_file()]
            command = _bubblewrap(job, limits, hidden, keep[0])
        began = time.monotonic()
        try:
            process = subprocess.Popen(
                [*command, *inner, user, module, folder, str(writer)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(writer, *keep),
                env=_environment() if reason else {},
                start_new_session=True,
                cwd="/",
            )
        finally:
            os.close(writer)
            for descriptor in keep:
                os.close(descriptor)
        try:
            data, ending = _collect(messages, process, limits, began)
        finally:
            _kill(process)
        if ending is None and process.returncode:
            code = process.returncode
            ending = f"the notebook ended Python by itself (exit code {code})"
            if code in (-signal.SIGKILL, 128 + signal.SIGKILL):
                ending = "the notebook was killed, most likely for the memory or the time that it used"
        return Outcome(data, ending, time.monotonic() - began, ending == _too_long(limits))


def _collect(
    stream: IO[bytes], process: subprocess.Popen[bytes], limits: Limits, began: float
) -> tuple[bytes, str | None]:
    """Read until the pipe is closed and the process is gone, or a limit is reached."""
    data = bytearray()
    looked = 0.0
    os.set_blocking(stream.fileno(), False)
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        is_open = True
        while is_open or process.poll() is None:
            left = limits.seconds - (time.monotonic() - began)
            if left <= 0:
                return bytes(data), _too_long(limits)
            if time.monotonic() - looked > _LOOK:
                looked = time.monotonic()
                if more := excess(process.pid, limits.threads, limits.files):
                    return bytes(data), f"the notebook made more than {more}"
            if not is_open:
                time.sleep(0.01)
                continue
            for _ in selector.select(min(left, 0.2)):
                chunk = os.read(stream.fileno(), 2**20)
                data += chunk
                is_open = bool(chunk)
                if len(data) > limits.output:
                    return bytes(data), f"the notebook sent more than {limits.output // 2**20} MB"
            if process.poll() is not None and is_open and not selector.select(0):
                break  # something else may hold the pipe open
    return bytes(data), None


def _too_long(limits: Limits) -> str:
    return f"the notebook ran for longer than {limits.seconds:g} seconds"


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the process and its group; in the sandbox its pid namespace goes with it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _environment() -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": "/tmp",
        "OMP_NUM_THREADS": "1",
        "TQDM_DISABLE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _mounted() -> list[Path]:
    """What Python and this package need to be read from."""
    needed = [Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent, _PACKAGE]
    needed += [Path(entry) for entry in sys.path if entry.endswith(("site-packages", "dist-packages"))]
    needed += [Path("/usr"), Path("/etc/ld.so.cache"), Path("/etc/alternatives")]
    return sorted({path for path in needed if path.exists()}, key=lambda path: len(path.parts))


def _open_to_all(path: Path) -> bool:
    return all(
        place.stat().st_mode & 0o005 == 0o005 for place in (path.resolve(), *path.resolve().parents) if place.is_dir()
    )


def _bubblewrap(job: Path, limits: Limits, hidden: Iterable[Path], filter_fd: int) -> list[str]:
    command = [which("bwrap") or "bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    command += ["--uid", str(_NOBODY), "--gid", str(_NOBODY), "--hostname", "sandbox", "--clearenv"]
    for name, value in _environment().items():
        command += ["--setenv", name, value]
    command += ["--size", str(limits.disk), "--tmpfs", "/tmp", "--proc", "/proc", "--dev", "/dev"]
    command += ["--size", str(limits.disk), "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]
    for link in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        path = Path("/", link)
        if path.is_symlink():
            command += ["--symlink", os.readlink(path), str(path)]
        elif path.exists():
            command += ["--ro-bind", str(path), str(path)]
    for path in _mounted():
        command += ["--ro-bind", str(path), str(path)]
    for path in (*hidden, _PACKAGE / "exercises" / "judges"):  # the truth is not where an answer runs
        real = path.resolve()
        if real.is_dir() and any(real.is_relative_to(place.resolve()) for place in _mounted()):
            command += ["--size", "4096", "--tmpfs", str(real)]
    command += ["--ro-bind", str(job.resolve()), "/job", "--chdir", "/tmp", "--remount-ro", "/"]
    return [*command, "--seccomp", str(filter_fd), "--"]


@cache
def available() -> str | None:
    """Why there is no sandbox on this machine, with what to do; None if there is one."""
    if sys.platform != "linux" or not seccomp.is_known(platform.machine()):
        return f"There is no sandbox on {platform.system()} {platform.machine()}: grade on Linux (x86_64 or aarch64)."
    if which("bwrap") is None:
        return "There is no bubblewrap: install it (on Debian and Ubuntu: apt-get install bubblewrap)."
    with tempfile.TemporaryDirectory() as folder:
        filter_fd = seccomp.program_file()
        try:
            outcome = subprocess.run(
                [*_bubblewrap(Path(folder), Limits(), (), filter_fd), sys.executable, "-I", "-c", ""],
                capture_output=True,
                pass_fds=(filter_fd,),
                timeout=30,
                check=False,
                env={},
            )
        finally:
            os.close(filter_fd)
    if outcome.returncode:
        said = outcome.stderr.decode(errors="replace").strip()[-300:]
        return f"bubblewrap cannot make a sandbox here ({said}): user namespaces must be allowed."
    return None
