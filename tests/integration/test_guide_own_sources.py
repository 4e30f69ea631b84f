"""The guide's page on sources of one's own: its sources in a real owner, which follows each."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from confcast import ConfigLoader
from confcast.master.embedded import EmbeddedManager
from tests.support.config_server import config_server
from tests.support.pushed import pushing
from tests.support.snippets import GUIDE, files, imported_from
from tests.support.waiting import eventually

PAGE = GUIDE / "own_sources.md"


def test_each_of_its_sources_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_is_left: None
) -> None:
    def flag(enabled: bool) -> None:
        with closing(sqlite3.connect(tmp_path / "flags.db", isolation_level=None)) as database:
            database.execute("create table if not exists flags (name text primary key, enabled integer)")
            database.execute("replace into flags values ('fast', ?)", [enabled])

    monkeypatch.chdir(tmp_path)
    properties = Path("app.properties")
    with config_server('{"limit": 20}') as server, pushing(0) as pusher, imported_from(tmp_path):
        pusher.push_line(b'{"pushed": "first"}\n')
        for name, text in files(PAGE).items():
            text = text.replace("http://127.0.0.1:8600/", server.url("/")).replace("8601", str(pusher.port))
            Path(name).write_text(text.replace("return 30.0", "return 0.1").replace("return 5.0", "return 0.1"))
        properties.write_text("greeting = hi\n")
        flag(False)
        loader = ConfigLoader.find("sources:loader")
        with EmbeddedManager(loader, probation=0) as manager:
            now = manager.current
            assert (now.greeting, now.limit, now.flags) == ("hi", 20, {"fast": False})
            assert now.pushed == "first"
            pusher.push_line(b'{"pushed": "second"}\n')
            eventually(lambda: manager.current.pushed == "second", "what is pushed")
            properties.write_text("greeting = ho\n")
            eventually(lambda: manager.current.greeting == "ho", "the properties")
            flag(True)
            eventually(lambda: manager.current.flags == {"fast": True}, "the flags")
            server.body = json.dumps({"limit": 30})
            eventually(lambda: manager.current.limit == 30, "the server's")
            properties.write_text("greeting hunter2\n")
            eventually(lambda: manager.get_event_history(1)[0].problems, "the refusal")
            assert "hunter2" not in str(manager.get_event_history(1)[0].problems[0])
