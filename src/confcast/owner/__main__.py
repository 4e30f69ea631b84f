"""The owner's main program: `python -m confcast.owner FD`, where FD is its end of the leash.

It hears its orders and lives until its master is gone. Standard input is /dev/null and standard output goes to
standard error (the master may speak a protocol on its own). This is a program of ours, so here, and only here,
logging is configured: to standard error.

Exit status: 0 left with its master, 1 had to give up, 3 could not start, 78 the first configuration was refused.
"""

from __future__ import annotations

import logging
import os
import socket
import sys

from confcast.errors import ConfcastError, ConfigError, NotCarried, Problem
from confcast.owner.life import REFUSED, Life
from confcast.wire.boot import Booted, Leash, Orders
from confcast.wire.role import become_owner

_log = logging.getLogger("confcast.owner")


def main(arguments: list[str]) -> int:
    """Hear the orders and serve; the exit status."""
    become_owner()
    leash = Leash(socket.socket(fileno=int(arguments[0])))
    orders = leash.hear()
    if not isinstance(orders, Orders):
        return 3
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format=f"%(asctime)s [%(process)d] confcast {orders.name}: %(message)s",
    )
    try:
        return Life(leash, orders).serve()
    except (ConfigError, NotCarried) as error:
        leash.say(Booted(0, error.problems, getattr(error, "reason", "")))
        return REFUSED
    except Exception as error:
        _log.debug("the config owner could not start", exc_info=True)
        problem = Problem("", str(error) if isinstance(error, ConfcastError) else f"{type(error).__name__}: {error}")
        leash.say(Booted(0, [problem], "not_started"))
        return 3


if __name__ == "__main__":
    status = main(sys.argv[1:])
    logging.shutdown()
    sys.stderr.flush()
    # A load that hangs must not hold up the end; everything that must be closed is closed.
    os._exit(status)
