"""The same application for celery: a task calls the function that a path names, and gives its answer."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import app as wsgi
from celery import Celery
from celery.signals import worker_process_init
from settings import settings

from confcast import ConfigLoader
from confcast.servers import celery as confcast_celery

app = Celery("tasks", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
app.conf.worker_proc_alive_timeout = 60  # on a busy machine, too
app.conf.worker_prefetch_multiplier = 1
loader = ConfigLoader("settings:Settings", "app.toml")


@worker_process_init.connect(weak=False)
def boot(**_: Any) -> None:
    """What an application does in each process before it attaches."""
    if Path("booting").exists():
        Path("booting").read_bytes()


confcast_celery.install(app, loader, vote_timeout=10.0, watch=os.environ.get("WATCH") == "yes")


@app.task
def ask(path: str, query: str) -> Any:
    return json.loads(b"".join(getattr(wsgi, path)(query)))


@app.task
def twice(folder: str) -> list[int]:
    """Reads; waits at a gate; reads, and has another task read within this one, and it is one version."""
    first = settings.current.number
    wsgi.wait_at(folder, "call")
    return [first, settings.current.number, ask.apply(["read", ""]).get(disable_sync_subtasks=False)["number"]]


@app.task
def reloads() -> list[int]:
    """Reads, reloads, and reads both what is newest and what is its own."""
    first = settings.current.number
    settings.reload()
    return [first, settings.latest.number, settings.current.number]


@app.task(bind=True, max_retries=1, default_retry_delay=0)
def retried(self: Any, seen: list[int], folder: str) -> None:
    """Reads; the first time it waits at a gate, and is to be run once more; the second time it leaves what it has seen.

    In a file: the first run's state may be stored after the second one's result, and replace it.
    """
    seen = [*seen, settings.current.number]
    if len(seen) == 1:
        wsgi.wait_at(folder, "call")
        raise self.retry(args=[seen, folder])
    Path(folder, "unfinished").write_text(json.dumps(seen))
    Path(folder, "unfinished").replace(Path(folder, "seen"))


@app.task(soft_time_limit=1)
def slow(folder: str) -> None:
    """Stays at a gate longer than it may."""
    Path(folder, "call", "gate").read_bytes()


@app.task
def failing() -> None:
    raise ValueError(settings.current.number)


def tell_whether_it_hears_a_hup(old: Any, new: Any) -> None:
    """In a file: an observer runs in a thread of confcast's."""
    Path(f"{os.getpid()}.hears").write_text(str(could_be_hung_up()))


settings.subscribe(tell_whether_it_hears_a_hup)


@app.task
def hears_a_hup() -> bool:
    return could_be_hung_up()


def could_be_hung_up() -> bool:
    """Whether a program that is started here could be."""
    blocked = signal.SIGHUP in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    return not blocked and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
