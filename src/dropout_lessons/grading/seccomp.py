"""A filter of system calls for the sandbox, in the kernel's little language: no processes, and no memory that no limit counts."""

from __future__ import annotations

import os
import platform
import struct

# Memory that no limit counts: memfd_create memfd_secret shmget semget msgget mq_open
_X86_MEMORY = (319, 447, 29, 64, 68, 240)
_ARM_MEMORY = (279, 447, 194, 190, 186, 180)

# By machine: its name for the kernel, its calls that must fail, clone, and clone3.
_SYSTEM_CALLS = {
    "x86_64": (
        0xC000003E,
        # fork vfork ptrace mount umount2 pivot_root add_key request_key keyctl unshare setns process_vm_readv/writev
        # kexec_load bpf userfaultfd perf_event_open io_uring_setup/enter/register
        [
            57,
            58,
            101,
            165,
            166,
            155,
            248,
            249,
            250,
            272,
            308,
            310,
            311,
            246,
            321,
            323,
            298,
            425,
            426,
            427,
            *_X86_MEMORY,
        ],
        56,
        435,
    ),
    "aarch64": (
        0xC00000B7,
        [117, 40, 39, 41, 217, 218, 219, 97, 268, 270, 271, 104, 280, 282, 241, 425, 426, 427, *_ARM_MEMORY],
        220,
        435,
    ),
}
_ALLOW, _KILL, _FAIL = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS, _CLONE_THREAD, _X32 = 1, 38, 0x00010000, 0x40000000


def _program(machine: str) -> bytes:
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


def is_known(machine: str) -> bool:
    """Whether there is a filter for this kind of machine."""
    return machine in _SYSTEM_CALLS


def program_file() -> int:
    """A descriptor from which bubblewrap reads the filter."""
    descriptor = os.memfd_create("seccomp", 0)
    os.write(descriptor, _program(platform.machine()))
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
