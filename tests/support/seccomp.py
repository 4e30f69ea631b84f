"""Have the system refuse some calls to this process and its children, as the profile of an old container does.

For programs of their own: it can't be taken back. `python -m tests.support.seccomp NAME,… PROGRAM ARGUMENT…`
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

NUMBERS = {"pidfd_open": 434, "pidfd_send_signal": 424, "kill": {"x86_64": 62, "aarch64": 129}}

_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2  # prctl(2)
_LOAD, _EQUALS, _RETURN = 0x20, 0x15, 0x06  # BPF: a word of what is asked, a jump, an answer
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def refuse(*names: str, answer: int = errno.EPERM) -> None:
    """From now on these calls fail with this error. Raises OSError: the system has no such filters."""
    steps = [struct.pack("HBBI", _LOAD, 0, 0, 0)]
    for name in names:
        number = NUMBERS[name]
        number = number[os.uname().machine] if isinstance(number, dict) else number
        steps += [struct.pack("HBBI", _EQUALS, 0, 1, number), struct.pack("HBBI", _RETURN, 0, 0, _ERRNO | answer)]
    steps.append(struct.pack("HBBI", _RETURN, 0, 0, _ALLOW))
    buffer = ctypes.create_string_buffer(b"".join(steps))
    program = _Program(len(steps), ctypes.cast(buffer, ctypes.c_void_p))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for arguments in ((_NO_NEW_PRIVILEGES, 1, 0, 0, 0), (_SET_SECCOMP, _FILTER, ctypes.byref(program))):
        if prctl(*arguments):
            raise OSError(ctypes.get_errno(), f"prctl: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    refuse(*sys.argv[1].split(","), answer=getattr(errno, os.environ.get("ANSWER", "EPERM")))
    os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
