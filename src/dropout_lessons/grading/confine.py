"""First thing that runs in the sandbox: it gives up what the process may not have, then runs a module.

``python -m dropout_lessons.grading.confine MEMORY SECONDS USER MODULE FOLDER DESCRIPTOR``
"""

from __future__ import annotations

import ctypes
import os
import resource
import runpy
import sys

_NO_NEW_PRIVILEGES = 38


def _confine(memory: int, seconds: int, user: str) -> None:
    hard = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CPU: 2 * seconds,
        resource.RLIMIT_FSIZE: 64 * 2**20,
        resource.RLIMIT_NOFILE: 256,
        resource.RLIMIT_CORE: 0,
    }
    for what, limit in hard.items():
        resource.setrlimit(what, (limit, limit))
    if user != "-":
        os.setgroups([])
        os.setgid(int(user))
        os.setuid(int(user))
    ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)


if __name__ == "__main__":
    _confine(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    sys.argv = sys.argv[4:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
