"""A gunicorn whose configuration follows a server: forked workers, and generations of which one at a time follows."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.gunicorn import Make
from tests.support.load import Load
from tests.support.pushed import pushing
from tests.support.snippets import GUIDE, files
from tests.support.waiting import eventually


@pytest.mark.slow
def test_of_an_upgrades_generations_one_follows_and_the_old_one_goes_on_when_it_is_called_off(make: Make) -> None:
    with pushing(0) as pusher:

        def push(number: int) -> None:
            pusher.push_line(b'{"number": %d}\n' % number)

        push(1)
        server = make(above="workers = 2", options="watch=True, probation=0")
        (server.folder / "pushed.py").write_text(files(GUIDE / "own_sources.md")["pushed.py"])
        (server.folder / "app.toml").write_text('name = "filed"\n')
        follow_it_too(server.folder / "conf.py", pusher.port)
        server.start()
        assert len(pusher.connected) == 1
        with Load(lambda: server.ask("read")) as load:

            def all_have(number: int) -> None:
                eventually(lambda: {each["number"] for each in load.go_on()} == {number}, f"{number} everywhere")

            push(2)
            all_have(2)
            new = server.upgrade()
            eventually(lambda: len(pusher.connected) == 1, "the old owner follows no more")
            push(3)
            eventually(lambda: {each["number"] for each in load.go_on()} == {2, 3}, "what the new owner loads")
            os.kill(new, signal.SIGTERM)
            all_have(3)
            eventually(lambda: len(pusher.connected) == 1, "the old owner follows again")
            push(4)
            all_have(4)


def follow_it_too(conf: Path, port: int) -> None:
    """Have the loader follow the server of this port above the file."""
    text = conf.read_text().replace('"app.toml")', f'"app.toml", Pushed("127.0.0.1", {port}))')
    conf.write_text(f"from pushed import Pushed\n{text}")
