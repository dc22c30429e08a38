"""Run a command apart from everything else: bubblewrap, limits, and messages of plain arrays as the only way out.

A command in the sandbox sees Python, this package and one folder, all read-only, and a small temporary disk. It has no
network, no other processes, no environment, and cannot start a process. It is killed with all that belongs to it when its
time is over. It answers with messages on one pipe: arrays by name, read without pickle and within limits.

This protects from students' code, not from attacks on the kernel itself, and it does not hide how long things take.
"""

from __future__ import annotations

import contextlib
import io
import os
import platform
import selectors
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from shutil import which
from typing import IO

import numpy as np

from dropout_lessons.exercises.exercise import Outputs

__all__ = ["Limits", "Outcome", "SandboxUnavailable", "available", "decode", "encode", "run"]

_PACKAGE = Path(__file__).resolve().parents[1]
_NOBODY = 65534
_LENGTH = struct.Struct("<Q")
_MOST_MEMBERS = 100


class SandboxUnavailable(RuntimeError):
    """This machine allows no sandbox."""


@dataclass(frozen=True)
class Limits:
    """What a command may use.

    Attributes:
        seconds: Wall-clock time.
        memory: Bytes of address space. Importing PyTorch alone takes about 1.5 GB of it on a CPU.
        disk: Bytes of the temporary disk.
        output: Bytes of all messages.
    """

    seconds: float = 120.0
    memory: int = 4 * 2**30
    disk: int = 64 * 2**20
    output: int = 64 * 2**20


@dataclass(frozen=True)
class Outcome:
    """What came out of the sandbox.

    Attributes:
        messages: Messages that arrived whole, in order.
        ending: None if the command finished as it should, else what happened, in words for a student.
        seconds: Wall-clock time.
    """

    messages: list[Outputs] = field(default_factory=list)
    ending: str | None = None
    seconds: float = 0.0


def encode(arrays: Outputs) -> bytes:
    """A message: its length, then the arrays as an uncompressed ``.npz``."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, value in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(value), allow_pickle=False)  # type: ignore[no-untyped-call]
            archive.writestr(f"{name}.npy", member.getvalue())
    return _LENGTH.pack(len(buffer.getvalue())) + buffer.getvalue()


def decode(data: bytes) -> list[Outputs]:
    """The messages in a stream, up to the first that is cut off, forged or not made of plain arrays."""
    messages: list[Outputs] = []
    start = 0
    while len(data) - start >= _LENGTH.size:
        (length,) = _LENGTH.unpack_from(data, start)
        start += _LENGTH.size
        if length > len(data) - start:
            break
        try:
            messages.append(_arrays(data[start : start + length]))
        except Exception:  # whatever a forged archive makes zipfile and numpy raise
            break
        start += length
    return messages


def _arrays(data: bytes) -> Outputs:
    found: Outputs = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if len(members) > _MOST_MEMBERS:
            raise ValueError("too many members")
        for member in members:
            if member.compress_type != zipfile.ZIP_STORED or member.file_size > len(data):
                raise ValueError("a member is compressed, or claims to be larger than the message")
            content = archive.read(member)
            stream = io.BytesIO(content)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            version = np.lib.format.read_magic(stream)  # type: ignore[no-untyped-call]
            shape, fortran, dtype = read[version](stream)  # type: ignore[no-untyped-call]
            # numpy would make room for what the header claims before it reads: compare first.
            size = dtype.itemsize
            for length in shape:
                if length < 0:
                    raise ValueError("a negative length")
                size *= length
            rest = content[stream.tell() :]
            if dtype.kind not in "biufU" or dtype.itemsize == 0 or size != len(rest):
                raise ValueError("not a plain array")
            array = np.frombuffer(rest, dtype=dtype).reshape(shape, order="F" if fortran else "C")
            found[member.filename.removesuffix(".npy")] = array
    return found


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
            keep = [_seccomp_file()]
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
        return Outcome(decode(data), ending, time.monotonic() - began)


def _collect(
    stream: IO[bytes], process: subprocess.Popen[bytes], limits: Limits, began: float
) -> tuple[bytes, str | None]:
    """Read until the pipe is closed and the process is gone, or a limit is reached."""
    data = bytearray()
    os.set_blocking(stream.fileno(), False)
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        is_open = True
        while is_open or process.poll() is None:
            left = limits.seconds - (time.monotonic() - began)
            if left <= 0:
                return bytes(data), f"the notebook ran for longer than {limits.seconds:g} seconds"
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
    for path in hidden:
        real = path.resolve()
        if real.is_dir() and any(real.is_relative_to(place.resolve()) for place in _mounted()):
            command += ["--size", "4096", "--tmpfs", str(real)]
    command += ["--ro-bind", str(job.resolve()), "/job", "--chdir", "/tmp", "--remount-ro", "/"]
    return [*command, "--seccomp", str(filter_fd), "--"]


@cache
def available() -> str | None:
    """Why there is no sandbox on this machine, with what to do; None if there is one."""
    if sys.platform != "linux" or platform.machine() not in _SYSTEM_CALLS:
        return f"There is no sandbox on {platform.system()} {platform.machine()}: grade on Linux (x86_64 or aarch64)."
    if which("bwrap") is None:
        return "There is no bubblewrap: install it (on Debian and Ubuntu: apt-get install bubblewrap)."
    with tempfile.TemporaryDirectory() as folder:
        filter_fd = _seccomp_file()
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


# --- seccomp: a filter of system calls, in the kernel's little language

# By machine: its name for the kernel, its calls that must fail, clone, and clone3.
_SYSTEM_CALLS = {
    "x86_64": (
        0xC000003E,
        # fork vfork ptrace mount umount2 pivot_root add_key request_key keyctl unshare setns process_vm_readv/writev
        # kexec_load bpf userfaultfd perf_event_open io_uring_setup/enter/register
        [57, 58, 101, 165, 166, 155, 248, 249, 250, 272, 308, 310, 311, 246, 321, 323, 298, 425, 426, 427],
        56,
        435,
    ),
    "aarch64": (
        0xC00000B7,
        [117, 40, 39, 41, 217, 218, 219, 97, 268, 270, 271, 104, 280, 282, 241, 425, 426, 427],
        220,
        435,
    ),
}
_ALLOW, _KILL, _FAIL = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS, _CLONE_THREAD, _X32 = 1, 38, 0x00010000, 0x40000000


def _seccomp_program(machine: str) -> bytes:
    """Refuse new processes, and calls that no notebook needs; threads are allowed."""
    architecture, refused, clone, clone3 = _SYSTEM_CALLS[machine]
    load, equal, at_least, any_bit, give = 0x20, 0x15, 0x35, 0x45, 0x06
    program = [
        (load, 0, 0, 4),
        (equal, 1, 0, architecture),
        (give, 0, 0, _KILL),
        (load, 0, 0, 0),
        (at_least, 0, 1, _X32),
        (give, 0, 0, _FAIL | _ENOSYS),
        (equal, 0, 1, clone3),  # its flags are in memory, where a filter cannot look: the C library falls back to clone
        (give, 0, 0, _FAIL | _ENOSYS),
    ]
    for number in refused:
        program += [(equal, 0, 1, number), (give, 0, 0, _FAIL | _EPERM)]
    program += [
        (equal, 0, 3, clone),
        (load, 0, 0, 16),
        (any_bit, 1, 0, _CLONE_THREAD),
        (give, 0, 0, _FAIL | _EPERM),
        (give, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)


def _seccomp_file() -> int:
    descriptor = os.memfd_create("seccomp", 0)
    os.write(descriptor, _seccomp_program(platform.machine()))
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
