"""gunicorn's gevent workers, beside what every kind of worker is tested for: who patches what, and when."""

from __future__ import annotations

import os
import signal

import pytest

from tests.support.gunicorn import Make, kill_worker
from tests.support.slow import slow
from tests.support.waiting import eventually

PATCHED = "from gevent import monkey\nmonkey.patch_all()"
GEVENT = "workers = 2\nworker_class = 'gevent'"


@pytest.mark.parametrize("patched", [slow(PATCHED), ""], ids=["patched", "not patched"])
def test_a_preloaded_application_is_attached_and_its_observers_are_called(make: Make, patched: str):
    """The replica was made before the standard library was patched in the worker, or with a master that is patched."""
    server = make(
        above=f"{patched}\n{GEVENT}\npreload_app = True",
        environment={"READ_AT_IMPORT": "no", "PYTHONWARNINGS": "ignore"},
    ).start()
    before = server.pids()
    number = server.change()

    assert server.hup()[0] == "success"

    eventually(lambda: all(answer["told"] == [number] for answer in server.everyone().values()), "told everywhere")
    answers = server.everyone()
    assert set(answers) == before
    assert {answer["number"] for answer in answers.values()} == {number}
    assert server.crashes() == []


@pytest.mark.slow
def test_a_master_that_is_patched_replaces_workers_and_owner(make: Make):
    server = make(above=f"{PATCHED}\n{GEVENT}").start()
    owner, victim = server.owner(), server.pids().pop()

    new = kill_worker(server, victim)
    os.kill(owner, signal.SIGKILL)
    server.await_log("confcast app: restart: unchanged")
    number = server.change()

    event = server.ask("reload")

    assert event["result"] == "success"
    assert new in event["applied"]
    assert {answer["number"] for answer in server.everyone().values()} == {number}


def test_the_reading_thread_is_a_greenlet_and_the_schema_is_imported_by_a_patched_worker(make: Make):
    """gunicorn patches the standard library after `post_fork`; a real thread is no greenlet's peer."""
    hook = """
        def post_worker_init(worker):
            import os
            print("THREADS", len(os.listdir("/proc/self/task")), flush=True)
        """
    server = make(above=GEVENT, below=hook)
    schema = (server.folder / "settings.py").read_text()
    looks = "from gevent.monkey import saved\nprint('PATCHED', bool(saved))\n"
    (server.folder / "settings.py").write_text(f"{schema}\n{looks}")
    server.start()

    assert "THREADS 1\n" in server.await_log("THREADS", 2)
    assert "THREADS 2\n" not in server.log()
    assert "PATCHED True\n" in server.log()
