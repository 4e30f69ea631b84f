"""What an owner does on a signal. Handlers only enqueue.

HUP is a trigger. INT is the terminal's word to the master. TERM comes to every process of a stopping service: the owner
outlives the workers that it still serves, and leaves with its master. USR1 comes to all of them when logs are to be
opened anew (`systemctl kill -s USR1`), and IO may come of a lease on a file that a writer opens: either would end the
process.
"""

from __future__ import annotations

import signal

from confcast.owner.effects import Input, Trigger
from confcast.owner.mailbox import Mailbox


def heed_signals(mailbox: Mailbox[Input]) -> None:
    """Set the handlers, then let HUP through, which the master has blocked until now. In the main thread."""
    signal.set_wakeup_fd(mailbox.wakeup_fd, warn_on_full_buffer=False)
    signal.signal(signal.SIGHUP, lambda number, frame: mailbox.post(Trigger("signal")))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGIO):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
