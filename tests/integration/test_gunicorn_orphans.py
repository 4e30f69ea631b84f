"""gunicorn starts its workers without an owner: they serve what was committed last, and attach when one comes."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.support.gunicorn import Make, Server
from tests.support.killing import Killing
from tests.support.programs import ROOT
from tests.support.waiting import eventually

KILL_THE_OWNER = """\
import pathlib, signal
from tests.support.gate import Gate
from tests.support.leaks import children_of

def when_ready(server):
    "Between the owner's start and the first worker's; the next owner waits at the gate."
    Gate(pathlib.Path({gate!r})).shut()
    (owner,) = children_of(os.getpid())
    os.kill(owner, signal.SIGKILL)
"""


@pytest.mark.slow
def test_a_whole_server_starts_its_workers_without_an_owner(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killing = Killing(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    server = make(
        above="workers = 2",
        below=KILL_THE_OWNER.format(gate=str(killing.gate.path)),
        environment=killing.environment(),
    )
    server.launch()
    assert_orphans_serve(server)

    killing.gate.await_load()
    killing.gate.open()
    killing.gate.let_go()

    eventually(lambda: connected(server) == {True}, "both workers attached")
    server.await_log("confcast app: restart: unchanged")
    before, number = server.pids(), server.change()
    assert server.hup() == ("success", 2)
    answers = server.everyone()
    assert {answer["number"] for answer in answers.values()} == {number}
    assert set(answers) == before


def assert_orphans_serve(server: Server) -> None:
    found = re.findall(r"Listening at: http://127\.0\.0\.1:(\d+)", server.await_log("Listening at"))
    server.port = int(found[-1])
    server.await_log("no config owner answers: starting on version 1, which was committed last", 2)
    assert {(answer["version"], answer["number"]) for answer in server.everyone().values()} == {(1, 1)}
    assert connected(server) == {False}


def connected(server: Server) -> set[bool]:
    """What the workers say of themselves."""
    return {answer["connected"] for answer in server.everyone().values()}
