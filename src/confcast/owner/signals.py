"""What an owner does on a signal. Handlers only enqueue.

HUP is a trigger. INT is the terminal's word to the master. TERM comes to every process of a stopping service: the owner
outlives the workers that it still serves, and leaves with its master. USR1 says that log files were rotated (a server's
master sends it on, `systemctl kill -s USR1` sends it to all): the owner goes on in the next file then. RTMIN may come
to every process of a service that is to reload fully, and IO of a lease on a file that a writer opens: either would end
the process.
"""

from __future__ import annotations

import signal

from confcast.owner.effects import Input, Trigger
from confcast.owner.mailbox import Mailbox
from confcast.wire.role import BLOCKED_AT_THE_START


class LogRotated:
    """In the mailbox: a signal says that the log file is another one now."""


def heed_signals(mailbox: Mailbox[Input | LogRotated]) -> None:
    """Set the handlers, then let through what the master has blocked until now. In the main thread."""
    signal.set_wakeup_fd(mailbox.wakeup_fd, warn_on_full_buffer=False)
    signal.signal(signal.SIGHUP, lambda number, frame: mailbox.post(Trigger("signal")))
    signal.signal(signal.SIGUSR1, lambda number, frame: mailbox.post(LogRotated()))
    ignored = (signal.SIGINT, signal.SIGTERM, signal.SIGIO, getattr(signal, "SIGRTMIN", None))
    for number in filter(None, ignored):  # macOS has no RTMIN
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED_AT_THE_START)
