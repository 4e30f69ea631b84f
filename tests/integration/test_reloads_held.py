"""A full reload while an old worker still answers: to the end it has the version and the owner that it began with."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.support import granian, hypercorn, uvicorn
from tests.support.embedding import hold
from tests.support.server import Server, servers_of
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", [uvicorn.Server, granian.Server, hypercorn.Server])
def test_an_old_worker_answers_to_the_end_with_what_it_began_with(kind: type[Server], tmp_path: Path):
    folder = tmp_path / "site"
    folder.mkdir()
    with servers_of(kind, folder) as make:
        server = make().start()
        before, owner, old = server.pids(), server.owner(), server.number
        call, body, numbers = hold(server, tmp_path)
        server.change()

        server.signal(signal.SIGRTMIN)
        eventually(lambda: len(server.owners()) == 2, "the next owner")
        assert owner in server.owners()
        call.let_go()
        body.await_load()
        assert owner in server.owners()
        body.let_go()

        assert numbers() == [old, old, old]

        def new() -> bool:
            try:
                answers = server.everyone()
            except OSError:
                return False
            return not before & set(answers) and {each["number"] for each in answers.values()} == {old + 1}

        eventually(new, "new workers with the new version", 60)
        assert server.owner() != owner
