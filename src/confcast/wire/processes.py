"""How other processes are identified by their pid, and how their death is noticed.

A pidfd (macOS: a kqueue) reports a death, whichever process is the parent and however the process ended. A pid may be
used again, so it is kept together with the start time of its process. Rejected: `waitpid` (a prefork master reaps
children it does not know, and a worker is not the owner's child), the end of a pipe (a forked child holds it open), and
a `pathlib.Path` for what /proc says of a pid: it interns the parts of each path, and the pids of all callers go through
here. Python 3.12.1 keeps 85 bytes of each for good; in 3.11 the table of strings grows by a megabyte.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import signal
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_NO_PROCESS = (errno.ESRCH, errno.EINVAL, errno.ENOENT)
"""The errors of `pidfd_open` for a free number, and for one that is no pid (0) or only a thread's."""
_REFUSED = (errno.EPERM, errno.ENOSYS)
"""The errors of a filter of system calls that does not know a call, and of a kernel before 5.3."""

_INFO_SIZE = 64
_INFO_EXIT = 1 << 3
_GET_INFO = 3 << 30 | _INFO_SIZE << 16 | 0xFF << 8 | 11
"""linux/pidfd.h: the first size of `struct pidfd_info`, whose last member is the exit code; PIDFD_INFO_EXIT, which asks
for it; and PIDFD_GET_INFO, as asm-generic/ioctl.h composes it: to be read and written, this size, magic, number."""

_MOST_PARENTS = 64
_LONGEST_COMMAND = 4096


class Death:
    """A process to watch: its `fileno()` is readable from the moment it is dead.

    Raises:
        ProcessLookupError: The process is dead already.
        OSError: No descriptor is left, or the system refuses `pidfd_open`; then the text names that call.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._queue: Any = None
        self._fd = -1
        if sys.platform == "darwin":
            self._queue = select.kqueue()
            event = select.kevent(pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)
            try:
                self._queue.control([event], 0)
            except OSError:
                self._queue.close()
                raise
        else:
            self._since = started(pid)
            try:
                self._fd = os.pidfd_open(pid)
            except OSError as error:
                if error.errno not in _REFUSED:
                    raise
                raise OSError(error.errno, _refusal("pidfd_open", "notices a process's end", error)) from None

    def fileno(self) -> int:
        """The descriptor for a selector; -1 once it is closed."""
        if sys.platform == "darwin":
            return -1 if self._queue.closed else int(self._queue.fileno())
        return self._fd

    def wait(self, timeout: float) -> bool:
        """Wait until the process is dead, or `timeout` seconds. Returns whether it is dead; True after `close()`."""
        fd = self.fileno()
        if fd < 0:
            return True
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        return bool(poller.poll(max(0, int(timeout * 1000))))

    def status(self) -> int | None:
        """How the process has ended, as waitpid(2) reports it; None if it lives, or the system does not say.

        It need not be this process's child. Read from the pidfd once its parent has reaped it (ioctl_pidfd(2),
        PIDFD_INFO_EXIT, Linux 6.15); before that from /proc/<pid>/stat (proc(5), field 52), which has a 0 for whoever
        may not trace the process. On macOS nobody but the parent is told.
        """
        if sys.platform == "darwin" or self._fd < 0 or not self.wait(0):
            return None
        found = _exit_info(self._fd)
        if found:
            return found[0]
        status = _zombie_status(self.pid, self._since)
        again = _exit_info(self._fd) if status is None else ()  # reaped meanwhile
        return again[0] if again else status

    def tells_once_reaped(self) -> bool:
        """Whether `status` will have an answer once the parent has reaped the process: then its pidfd hangs up."""
        return sys.platform != "darwin" and self._fd >= 0 and _exit_info(self._fd) == ()

    def signal(self, number: int) -> None:
        """Send a signal to this process, and to no later one with its pid. Does nothing once it is dead or closed.

        If the system refuses `pidfd_send_signal`, the signal is sent to the pid, if the process lives.

        Raises:
            OSError: This process may not signal the other one.
        """
        if self.fileno() < 0:
            return
        with contextlib.suppress(ProcessLookupError):
            if sys.platform == "darwin":
                os.kill(self.pid, number)
                return
            try:
                signal.pidfd_send_signal(self._fd, number)
            except OSError as error:
                if error.errno not in _REFUSED:
                    raise
                if not self.wait(0):
                    os.kill(self.pid, number)

    def refusal(self) -> str:
        """The words for the log if signals can't be sent by the pidfd; empty if they can."""
        if sys.platform != "darwin" and self._fd >= 0:
            try:
                signal.pidfd_send_signal(self._fd, 0)
            except OSError as error:
                if error.errno in _REFUSED:
                    return _refusal("pidfd_send_signal", "signals a process and no later one with its pid", error)
        return ""

    def close(self) -> None:
        """Close the descriptor. May be called again."""
        if sys.platform == "darwin":
            self._queue.close()
        elif self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


def _refusal(call: str, what_for: str, error: OSError) -> str:
    return (
        f"{call} is refused here ({error.strerror}); by it confcast {what_for}. Allow pidfd_open and pidfd_send_signal "
        "in the filter of system calls (a container's seccomp profile, systemd's SystemCallFilter=); Linux 5.3 has them"
    )


def _exit_info(fd: int) -> tuple[int] | tuple[()] | None:
    """The status of a process that was reaped; an empty tuple of one that was not; None if this kernel does not say."""
    info = bytearray(_INFO_SIZE)
    struct.pack_into("=Q", info, 0, _INFO_EXIT)
    try:
        fcntl.ioctl(fd, _GET_INFO, info)
    except OSError:  # ENOTTY, EINVAL: an older kernel; ESRCH: an older one, and it was reaped; EPERM: a filter
        return None
    mask, status = struct.unpack_from("=Q", info)[0], struct.unpack_from("=i", info, _INFO_SIZE - 4)[0]
    return (status,) if mask & _INFO_EXIT else ()


def _zombie_status(pid: int, since: int) -> int | None:
    """The status of this dead process that nobody has reaped; None if it was, or this process may not see it."""
    fields = _stat(pid)
    if len(fields) < 50 or fields[0] != b"Z" or int(fields[19]) != since:
        return None
    status = int(fields[49])
    return status if status or user_of(pid) == os.geteuid() else None


def started(pid: int) -> int:
    """When this process began, in clock ticks since the boot; 0 if it has exited, or the system does not say.

    Field 22 of /proc/<pid>/stat (proc(5)); the name in field 2 may hold spaces and parentheses.
    """
    fields = _stat(pid)
    return int(fields[19]) if len(fields) > 19 else 0


def started_at(pid: int) -> float:
    """When this process began, in seconds since 1970, by today's clock; 0.0 as `started`, and on macOS."""
    ticks = started(pid)
    if not ticks or sys.platform == "darwin":
        return 0.0
    up = time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.time() - up + ticks / os.sysconf("SC_CLK_TCK")


def resident_bytes() -> int:
    """How much memory this process has, its share of what it shares included; 0 if the system does not say.

    Field 2 of /proc/self/statm (proc(5)).
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def parents(pid: int) -> Iterator[int]:
    """The parent of this process, its parent, and so on, while they live; of the calling process at least one."""
    if sys.platform == "darwin":
        if pid == os.getpid():
            yield os.getppid()
        return
    for _ in range(_MOST_PARENTS):
        fields = _stat(pid)
        pid = int(fields[1]) if len(fields) > 1 else 0
        if pid <= 0:
            return
        yield pid


def working_directory(pid: int) -> str:
    """The working directory of this process; "" if it has exited, is another user's, or the system does not say."""
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/cwd")  # noqa: PTH115 - plain text, which may say that it was deleted
    return ""


def command(pid: int) -> str:
    """The command line of this process, its arguments joined by blanks; "" if the system does not say."""
    with contextlib.suppress(OSError):
        arguments = _said_of(pid, "cmdline", _LONGEST_COMMAND)
        return arguments.replace(b"\0", b" ").decode(errors="backslashreplace").strip()
    return ""


def control_groups(pid: int) -> str:
    """The control groups of this process, a line each; "" if it has exited, or the system has none."""
    with contextlib.suppress(OSError):
        return _said_of(pid, "cgroup").decode(errors="replace")
    return ""


def _said_of(pid: int, what: str, most: int = -1) -> bytes:
    """The file of this name in /proc/<pid>, so many bytes of it at the most. Raises OSError."""
    with open(f"/proc/{pid}/{what}", "rb") as file:  # noqa: PTH123 - see this file's head
        return file.read(most)


def _stat(pid: int) -> list[bytes]:
    """The fields of /proc/<pid>/stat from the third on; empty if there is no such file."""
    try:
        return _said_of(pid, "stat").rpartition(b")")[2].split()
    except OSError:
        return []


def user_of(pid: int) -> int:
    """The effective uid of this process; -1 if it has exited. On macOS, the calling process's uid.

    Read from its `status` file (proc(5)): root owns /proc/<pid> if the process has changed its user.
    """
    if sys.platform == "darwin":
        return os.geteuid()
    try:
        status = _said_of(pid, "status")
    except OSError:
        return -1
    uids = status.partition(b"\nUid:")[2].split(maxsplit=2)
    return int(uids[1]) if len(uids) > 1 else -1


def is_alive(pid: int, since: int = 0) -> bool:
    """Whether this process lives; with `since` (from `started`), whether it is the same one. A zombie counts as dead.

    If that is unknown (no descriptor is left), it counts as alive: files of a dead process would be removed.
    """
    try:
        death = Death(pid)
    except OverflowError:
        return False
    except OSError as error:
        return error.errno not in _NO_PROCESS
    try:
        return not death.wait(0) and (not since or started(pid) == since)
    finally:
        death.close()
