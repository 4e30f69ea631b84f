"""gunicorn's configuration for its stash: synchronous workers, each of which serves the benchmark in a thread.

Everything that gunicorn makes is in the run's folder, which is its TMPDIR.
"""

from __future__ import annotations

import os
import socket
import threading
from multiprocessing.connection import Connection

from benchmarks.others.crew import WORKERS, serve

wsgi_app = "wsgiref.simple_server:demo_app"
bind = f"unix:{os.environ['BENCH_CREW']}.http"
workers = WORKERS
dirty_apps = ["gunicorn.dirty.app:DirtyApp:1"]
dirty_workers = 1
control_socket_disable = True


def post_worker_init(worker: object) -> None:
    """Have the worker take part."""
    threading.Thread(target=_take_part, daemon=True).start()


def _take_part() -> None:
    from gunicorn.dirty import stash

    with socket.socket(socket.AF_UNIX) as connecting:
        connecting.connect(os.environ["BENCH_CREW"])
        pipe = Connection(connecting.detach())
    with pipe:
        serve(pipe, 'stash.get("config", "total_budget_mb")', stash.get_stash_socket_path(), stash=stash)
