"""A nemesis that only edits the file and calls `reload`."""

from __future__ import annotations

import os
import random
import time

from tests.torture import content
from tests.torture.history import Call, Recorder, Written, now
from tests.torture.site import Site


def run(site: Site, recorder: Recorder, seed: int, seconds: float) -> None:
    chance, end, serial, calls = random.Random(seed), now() + seconds, 1, 0
    while now() < end:
        serial += 1
        began = now()
        fresh = site.folder / "fresh.toml"
        fresh.write_text(content.text(serial, padding=chance.choice((0, 10, 1000))))
        fresh.replace(site.config)
        recorder.write(Written(at=now(), by=os.getpid(), began=began, serial=serial))
        if chance.random() < 0.5:
            calls += 1
            reload(site, recorder, calls)
        while now() < min(end, began + 0.3):
            time.sleep(0.02)


def reload(site: Site, recorder: Recorder, number: int) -> None:
    began = now()
    event = site.client.reload()
    wall = event.timestamp
    recorder.write(
        Call(
            at=now(),
            by=os.getpid(),
            began=began,
            id=number,
            door="client",
            verb="reload",
            deadline=site.options.answers_within,
            answered=event.result != "owner_unavailable",
            result=str(event.result),
            version=event.version,
            previous=event.previous_version,
            loaded=wall - (time.time() - time.monotonic()),
            applied=event.applied,
            error=event.error_message or "",
        )
    )
