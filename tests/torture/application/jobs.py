"""A program of jobs: worker processes of `multiprocessing`, all of which take jobs from one listening socket.

`python jobs.py WORKERS OPTIONS` starts a manager with these options (JSON), and the workers below it. Without options
the workers attach where CONFCAST_ADDRESS_APP says. A worker that dies is replaced. A connection brings jobs, one JSON
line each, and is answered with one line each.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from multiprocessing.connection import wait
from typing import Any

_THREADS = 3
"""In each worker: as many connections as it serves at once. Half of the workers serve all clients of a run."""


def serve(listener: socket.socket) -> None:
    """A worker: attaches, and does jobs in some threads until the program ends."""
    import settings as here

    here.settings.attach(timeout=600.0)  # the master may be killed, and be started again a minute later
    here.record_ready()
    for _ in range(_THREADS):
        threading.Thread(target=take, args=(listener,), daemon=True).start()
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])


def take(listener: socket.socket) -> None:
    """One connection after the other."""
    while True:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError, ValueError), connection.makefile("rw") as stream:
            for line in stream:
                stream.write(json.dumps(done(json.loads(line))) + "\n")
                stream.flush()


def done(job: dict[str, Any]) -> Any:
    """A job, which sees one version from its beginning to its end."""
    import looks
    import settings as here

    if job.get("what") == "workers":
        return [worker.pid for worker in here.settings.workers() if worker.version]
    with here.settings.pin(entity=job["entity"] or None):
        seen = [looks.look()]
        for _ in range(job["waits"]):
            time.sleep(job["pause"])
            seen.append(looks.look())
        return {"pid": os.getpid(), "seen": seen, "status": 500 if looks.fails() else 200}


def main(count: int, options: str) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["settings", "looks"])
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))
        if options:
            stack.enter_context(manager(json.loads(options)))
        ended = stack.enter_context(until_terminated())
        workers = [start(context, listener) for _ in range(count)]
        print(f"jobs at port {listener.getsockname()[1]}", flush=True)
        while not ended.is_set():
            # A signal's handler runs between two waits.
            dead = [each for each in workers if each.sentinel in wait([each.sentinel for each in workers], 0.2)]
            for each in dead:
                each.join()
                workers[workers.index(each)] = start(context, listener)
        for each in workers:
            each.terminate()
        for each in workers:
            each.join()


def start(context: Any, listener: socket.socket) -> Any:
    process = context.Process(target=serve, args=(listener,))
    process.start()
    return process


def manager(given: dict[str, Any]) -> Any:
    from sources import loader

    from confcast import Canary, ConfigReloadManager, probes

    given["probes"] = [probes.Command(given["probes"], every=1.0)]
    if given.get("canary"):
        given["canary"] = Canary(**given["canary"])
    return ConfigReloadManager(loader, **given)


@contextlib.contextmanager
def until_terminated() -> Any:
    """Set by SIGTERM."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    yield ended


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")
