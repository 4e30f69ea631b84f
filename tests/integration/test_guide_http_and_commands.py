"""The guide's page on servers and programs: its loader in a real owner, and what it says of a server that is down."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from confcast import ConfigLoader
from confcast.master.embedded import EmbeddedManager
from tests.support.config_server import config_server, says
from tests.support.snippets import GUIDE, files, imported_from
from tests.support.waiting import eventually

PAGE = GUIDE / "http_and_commands.md"
PROGRAM = "#!/bin/sh\ntest -e password || { echo there is no password >&2; exit 3; }\ncat password\n"
_WHEN = r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d"


def test_its_loader_follows_both_and_says_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_is_left: None
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("app.toml").write_text("limit = 1\n")
    Path("token").write_text("t0ken\n")
    Path("bin").mkdir()
    Path("bin/password").write_text(PROGRAM)
    Path("bin/password").chmod(0o700)
    password = Path("password")
    password.write_text(json.dumps({"password": "hunter2"}))
    with config_server('greeting = "hi"\n') as server, imported_from(tmp_path):
        place = f"127.0.0.1:{server.server_port}"
        for name, text in files(PAGE).items():
            Path(name).write_text(text.replace("127.0.0.1:8600", place))
        with EmbeddedManager(ConfigLoader.find("sources:loader"), probation=0, state_dir="state") as manager:
            now = manager.current
            assert (now.greeting, now.limit, now.password.get_secret_value()) == ("hi", 1, "hunter2")
            assert server.asked[0].headers["authorization"] == "Bearer t0ken"
            server.script = says(503)
            assert manager.reload()
            (said,) = manager.status().stale
            page = " ".join(PAGE.read_text(encoding="utf-8").split()).replace("127.0.0.1:8600", place)
            shown = re.search(r"`stale (http://\S+: stale since .*? is used)`", page)
            assert shown is not None
            assert re.sub(_WHEN, "", said) == re.sub(_WHEN, "", shown[1]).replace(
                "Connection refused", "it answers with status 503"
            )
            password.unlink()
            event = manager.reload()
            assert str(event.problems[0]) == "bin/password …: exited with status 3: there is no password"
            password.write_text("{")
            assert str(manager.reload().problems[0]).startswith("bin/password …:1:2: is no valid JSON")
            password.write_text(json.dumps({"password": "hunter3"}))
            server.script = server.document
            assert manager.reload()
            eventually(lambda: not manager.status().stale, "an answer")
