"""Look from outside at what no limit of the kernel counts: threads, and files in memory."""

from __future__ import annotations

import os
from pathlib import Path

_DISKS = ("tmp", "dev/shm")


def excess(pid: int, threads: int, files: int) -> str | None:
    """What a process or one that it started has too much of; None if nothing is, or it cannot be seen.

    Args:
        pid: The process.
        threads: Threads that each may have.
        files: Files and folders on its temporary disks.
    """
    for process in _family(pid):
        try:
            if len(os.listdir(process / "task")) > threads:
                return f"{threads} threads"
            if any(_used(process / "root" / disk, than=f"/{disk}") > files for disk in _DISKS):
                return f"{files:,} files"
        except OSError:  # it has ended, or belongs to somebody else
            continue
    return None


def _used(folder: Path, than: str) -> int:
    """Files on the disk that a folder is on, if it is another one; both are asked of one open folder.

    A process that is moving into its sandbox changes what a path names between two looks at it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        found = os.fstatvfs(descriptor)
        return found.f_files - found.f_ffree if os.fstat(descriptor).st_dev != os.stat(than).st_dev else 0
    finally:
        os.close(descriptor)


def _family(pid: int) -> list[Path]:
    found = [pid]
    for process in found:
        try:
            found += map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())
        except (OSError, ValueError):
            continue
    return [Path(f"/proc/{process}") for process in found]
