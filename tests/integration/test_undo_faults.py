"""Undos in real processes where workers or the sources do not help: they hang, refuse, die in a loop, flip."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from confcast import ReloadResult, probes
from tests.integration.test_operations import loads
from tests.integration.test_worker_ends import ask
from tests.support.fixtures import StartManager, StartWorker
from tests.support.gunicorn import Make
from tests.support.passing import Passing
from tests.support.settings import write
from tests.support.waiting import LONG, eventually, undos

DIES = """\
import os, signal
from app import app, settings

def die(old, new):
    if new.number == 2:
        os.kill(os.getpid(), signal.SIGKILL)

settings.subscribe(die)
die(None, settings.latest)
"""


def test_all_workers_hang_on_it_and_the_undo_still_comes(
    passing: Passing, start_manager: StartManager, start_worker: StartWorker, config: Path, tmp_path: Path
) -> None:
    sick = tmp_path / "sick"
    probe = probes.Command(["/bin/sh", "-c", f"test ! -e {sick}"], every=2.0)
    manager = start_manager(probes=[probe], probation=3 * LONG)
    workers = [start_worker(manager) for _ in range(2)]
    loads(manager, config, 2)
    for worker in workers:
        worker.signal(signal.SIGSTOP)

    (event,) = passing.over_silence(manager, lambda: (sick.touch(), undos(manager))[1], *(each.pid for each in workers))

    assert (event.version, event.applied) == (3, [])
    assert {each.pid for each in event.lagging} == {worker.pid for worker in workers}
    assert (manager.version, manager.current.number) == (3, 1)
    for worker in workers:
        worker.signal(signal.SIGCONT)
    assert [worker.ask("await_number", 1) for worker in workers] == [3, 3]


def test_workers_that_would_refuse_what_is_put_back_are_not_asked(
    start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    manager = start_manager(probation=LONG)
    kept = start_worker(manager)
    loads(manager, config, 2)
    began = start_worker(manager)  # it never had what is put back
    for worker in (kept, began):
        worker.ask("object_to", "no way back")

    began.ask("say_unhealthy", "no connection")

    (event,) = undos(manager)
    assert (event.version, event.lagging) == (3, [])
    assert [worker.ask("await_number", 1) for worker in (kept, began)] == [3, 3]


def test_a_file_that_flips_faster_than_the_probation_falls_back_to_what_was_good(
    start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    """However often it flips, neither content becomes good by that."""
    manager = start_manager(probation=LONG)
    worker = start_worker(manager)
    for number in [2, 3] * 5:
        loads(manager, config, number)
    worker.ask("say_unhealthy", "no connection")

    (event,) = undos(manager)

    assert (event.version, worker.ask("await_number", 1)) == (12, 12)
    assert [each.version for each in manager.versions() if each.good] == [12, 1]
    assert manager.reload().result is ReloadResult.REJECTED
    write(config, 1)
    assert manager.reload().result is ReloadResult.UNCHANGED
    loads(manager, config, 3)  # the sources have changed meanwhile, so it is put to the vote again
    assert (manager.status().provisional, manager.version) == ("probation", 13)
    worker.ask("say_unhealthy", "still no connection")
    assert (undos(manager, 2)[0].version, worker.ask("await_number", 1)) == (14, 14)


def test_workers_that_die_of_it_in_a_loop_are_started_anew_and_serve_what_was_good(make: Make) -> None:
    options = f"watch=False, probation={LONG}, max_deaths=4"
    server = make(above="workers = 2", below="wsgi_app = 'dying_app:app'", options=options)
    (server.folder / "dying_app.py").write_text(DIES)
    before = server.start().pids()
    good = server.number
    server.change()

    server.signal(signal.SIGHUP)

    eventually(lambda: ["undo", "undone", 3] in ask(server, "history"), "the undo")
    eventually(lambda: len(ask(server, "workers")) == 2, "two workers")
    answers = server.everyone()
    assert {answer["number"] for answer in answers.values()} == {good}
    died = {int(pid) for pid in re.findall(r"worker (\d+) was killed by signal 9", server.log())}
    assert before < died, "also some that were started in their place"
    assert not died & set(answers)
