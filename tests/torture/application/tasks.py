"""The application for celery: a request is a task, and names its entity by a header of it."""

from __future__ import annotations

import json
import os
import time
from typing import Any

import looks
from celery import Celery
from celery.signals import worker_process_init
from settings import record_ready, settings
from sources import loader

from confcast import Canary, probes
from confcast.servers import celery as confcast_celery

app = Celery("tasks", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
app.conf.worker_proc_alive_timeout = 60  # on a busy machine, too
app.conf.worker_prefetch_multiplier = 1
app.conf.result_expires = 60
options = json.loads(os.environ["OPTIONS"])
options["probes"] = [probes.Command(options["probes"], every=1.0)]
if options.get("canary"):
    options["canary"] = Canary(**options["canary"])
confcast_celery.install(app, loader, **options)


@worker_process_init.connect(weak=False)
def ready(**_: Any) -> None:
    """After confcast's own handler, which attaches."""
    record_ready()


@app.task
def ask(path: str, query: str) -> Any:
    """For the support's server, which waits until all are attached."""
    return [worker.pid for worker in settings.workers() if worker.version]


@app.task
def look(waits: int, pause: float) -> dict[str, Any]:
    """A task sees one version from its beginning to its end."""
    seen = [looks.look()]
    for _ in range(waits):
        time.sleep(pause)
        seen.append(looks.look())
    return {"pid": os.getpid(), "seen": seen, "status": 500 if looks.fails() else 200}
