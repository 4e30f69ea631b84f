"""Which ends of a worker speak against the version that it ran, and which are its server's doing, or a person's.

    how it ended                        counts  who ends a worker so
    status 0                            no      gunicorn, uvicorn, hypercorn, granian and celery at a graceful end, and
                                                at `max_requests`, `--limit-max-requests`, `workers_lifetime`
    status 155                          no      billiard, under celery: the child has had its `max_tasks_per_child`
    any other status                    yes     the application (`os._exit(1)`, an exception that nobody catches);
                                                gunicorn's 1 after a time-out, 3 and 4 and uvicorn's 3 of a worker that
                                                can't boot; 1 of one that can't build what is derived
    TERM, INT, QUIT                     no      the server or a terminal; uvicorn raises a signal that it has handled
                                                once more at its end
    HUP, USR1, USR2                     no      a person or a log rotation, sent to the whole process group
    KILL                                yes     the kernel, for want of memory; gunicorn, uvicorn and celery, if a
                                                worker hangs; a master whose graceful time is over
    KILL, after Goodbye                 no      a master whose graceful time is over
    any other signal                    yes     SEGV, BUS, ABRT, FPE, ILL of a library; ALRM, XCPU of a limit
    nobody knows                        yes     where the system does not say (macOS, a kernel before 6.15 with workers
                                                of another user), and no Goodbye came before

Goodbye changes nothing else, where the system says how a worker ended: an application that closes its replica in a
handler of its own, and leaves with status 1, has failed. One that is killed since it did not end within its server's
graceful time counts, though its server ended it: it hangs on this version, or it had a long request, and nobody can
tell the two apart. One that was dead before anybody watched it says nothing.
"""

from __future__ import annotations

import os
import signal

_NO_FAULT = frozenset({0, 155})
_ENDED_BY_OTHERS = frozenset(
    {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}
)
_UNKNOWN = "ended without a word"


def why_it_failed(status: int | None, *, said_goodbye: bool = False) -> str:
    """Why an end speaks against what the process ran, as "worker 77" goes on; empty if it does not.

    Args:
        status: As waitpid(2) reports it; None: the system does not say.
        said_goodbye: Whether it had closed its replica before.

    Example:
        >>> why_it_failed(9)
        'was killed by signal 9 (SIGKILL)'
        >>> why_it_failed(1 << 8)
        'left with status 1'
        >>> why_it_failed(15)
        ''
    """
    if status is None:
        return "" if said_goodbye else _UNKNOWN
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return "" if code in _NO_FAULT else f"left with status {code}"
    by_others = -code in _ENDED_BY_OTHERS or (said_goodbye and -code == signal.SIGKILL)
    return "" if by_others else f"was killed by signal {-code}{_named(-code)}"


def _named(number: int) -> str:
    try:
        return f" ({signal.Signals(number).name})"
    except ValueError:  # one of the real-time signals
        return ""
