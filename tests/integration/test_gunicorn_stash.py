"""What the guide says of gunicorn's stash, seen in a gunicorn without confcast."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.test_gunicorn_plain import CONF, Plain
from tests.support.gunicorn import read
from tests.support.server import servers_of
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

APP = """
import datetime, decimal, json
from gunicorn.dirty import get_dirty_client, stash

class Own:
    pass

VALUES = [(1, 2), {1: 2}, b"x", {1}, datetime.date(2026, 1, 1), decimal.Decimal(1), 2**64, Own()]

def seen(value):
    try:
        stash.put("table", "key", value)
        return repr(stash.get("table", "key"))
    except Exception as error:
        return type(error).__name__

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    if environ["PATH_INFO"] == "/values":
        return [json.dumps([seen(value) for value in VALUES]).encode()]
    before = seen(1)
    get_dirty_client().execute("dirty:App", "put", 2)
    return [json.dumps([before, repr(stash.get("table", "key"))]).encode()]
"""
DIRTY = """
from gunicorn.dirty import stash
from gunicorn.dirty.app import DirtyApp

class App(DirtyApp):
    def put(self, value):
        stash.put("table", "key", value)
"""
MORE = """
import os
dirty_apps = ["dirty:App:1"]
dirty_workers = 1
proc_name = "stash-%d" % os.getpid()
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Plain]:
    with servers_of(Plain, tmp_path) as make:
        made: Plain = make()
        (made.folder / "app.py").write_text(APP)
        (made.folder / "dirty.py").write_text(DIRTY)
        (made.folder / "conf.py").write_text(CONF.format(workers=1, timeout=30) + MORE)
        made.start()
        eventually(lambda: re.search(r"Dirty worker \d+ listening", read(made, "errors")), "a dirty worker")
        yield made


def test_it_gives_what_is_newest_and_carries_some_types(server: Plain):
    assert server.ask("twice") == ["1", "2"], "two reads in one request"
    assert server.ask("values") == ["[1, 2]", "{'1': 2}", "b'x'", *5 * ["StashError"]]
