"""A process that takes items from a queue, each under one version of the configuration, until it is told to end.

It ends with its end mark, and with the process that started it: that one may be killed and send none, and a queue does
not end while a sibling has it open. Ctrl-C is the main program's to heed, which sends the marks.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.queues import Queue
from queue import Empty
from typing import NamedTuple

from confcast import Replica
from confcast.examples.queue_consumer.settings import Settings

_LOOK_SECONDS = 0.5


class Done(NamedTuple):
    """An item that is done, under which version, and by which process."""

    text: str
    version: int
    pid: int


def consume(settings: Replica[Settings], items: Queue[int | None], done: Queue[Done]) -> None:
    """The process's main program.

    Args:
        settings: The replica; of this process, however it was started.
        items: What there is to do. None ends one process.
        done: What was done.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings.attach()
    while (item := next_item(items)) is not None:
        with settings.pin() as config:
            text = " ".join([config.greeting] * config.times)
            done.put(Done(f"{text} {item}", settings.version, os.getpid()))
    settings.close()
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        done.cancel_join_thread()  # nobody reads it any more


def next_item(items: Queue[int | None]) -> int | None:
    """The next item; None when there will be none."""
    parent = multiprocessing.parent_process()
    while parent is None or parent.is_alive():
        try:
            return items.get(timeout=_LOOK_SECONDS)
        except Empty:
            continue
    return None
