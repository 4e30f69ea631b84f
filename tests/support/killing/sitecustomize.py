"""Kills an owner with -9 at one line of its code: the interpreter imports this first, where `Killing.prepare` says so.

The file that CONFCAST_TEST_KILLING names has the name of a place below. Who comes to it removes the file and is dead.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def meet(place: str, order: Path) -> None:
    """Die here, if this is the place."""
    with contextlib.suppress(FileNotFoundError):
        if order.read_text() == place:
            order.unlink()
            os.kill(os.getpid(), signal.SIGKILL)


def surround(
    holder: Any,
    name: str,
    order: Path,
    *,
    before: str = "",
    after: str = "",
    when: Callable[..., bool] = lambda *_, **__: True,
) -> None:
    """Have a function meet these places, when it is called with what `when` looks for."""
    function = getattr(holder, name)

    def surrounded(*arguments: Any, **named: Any) -> Any:
        matters = when(*arguments, **named)
        if matters:
            meet(before, order)
        result = function(*arguments, **named)
        if matters:
            meet(after, order)
        return result

    setattr(holder, name, surrounded)


def main(order: Path) -> None:
    """In the owner: before it has imported anything of its own."""
    order.with_suffix(".gate").read_bytes()  # while it is a FIFO, this owner starts when the test says so
    meet("at the start", order)
    from confcast.owner.loop import connections
    from confcast.owner.store import journal
    from confcast.wire.files import snapshot_file
    from confcast.wire.messages import Commit, Outcome, Try

    record = "after the vote and before the journal", "after the journal and before the snapshot file"
    surround(journal.Journal, "record", order, before=record[0], after=record[1])
    state = "before the state alone is written", "after the state alone is written"
    surround(journal.Journal, "record_state", order, before=state[0], after=state[1])
    surround(snapshot_file, "save", order, after="after the snapshot file and before the first commit")
    send = connections.Pipes
    surround(send, "send", order, after="after the first commit", when=lambda *a, **k: isinstance(a[2], Commit))
    surround(send, "send", order, after="after the answer", when=lambda *a, **k: isinstance(a[2], Outcome))
    surround(send, "send", order, after="after the first canary is told", when=lambda *a, **k: isinstance(a[2], Try))


if "confcast.owner" in sys.orig_argv and "CONFCAST_TEST_KILLING" in os.environ:
    main(Path(os.environ["CONFCAST_TEST_KILLING"]))
