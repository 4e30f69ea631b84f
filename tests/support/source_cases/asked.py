"""`Http` and `Command`: nothing to watch; the owner polls them, as often as it polls at all.

They have secrets of their own, too: a user, a password, a query, a header; an argument, which the program even says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from confcast import Command, Http
from tests.support.config_server import ConfigServer, says
from tests.support.source_cases.case import SourceCase

_ALWAYS_DUE = 1e-9


class HttpCase(SourceCase):
    name = "http"
    file_is_the_source = is_watched = False
    is_polled = True

    def __init__(self, *about: Any) -> None:
        super().__init__(*about)
        self._server = ConfigServer()

    def close(self) -> None:
        self._server.close()

    def source(self) -> Http:
        url = self._server.url("/app.json?key=hunter2").replace("//", "//hunter2:hunter2@")
        return Http(url, every=_ALWAYS_DUE, headers={"X-Key": "hunter2"})

    def put(self, values: Mapping[str, str | int]) -> None:
        self._server.body, self._server.script = json.dumps(dict(values), indent=1), self._server.document

    def take_away(self) -> None:
        self._server.script = says(404)

    def where(self, key: str) -> str:
        return re.escape(self._server.url("/app.json?***").replace("//", "//***@")) + r":\d+:\d+"

    def missing(self) -> str:
        return "answers with status 404"


class CommandCase(SourceCase):
    name = "command"
    file_is_the_source = is_watched = False
    is_polled = True

    @property
    def path(self) -> Path:
        return self.folder / "printed.json"

    def source(self) -> Command:
        script = 'echo "$0" >&2; cat "$1"'
        return Command(["sh", "-c", script, "hunter2", str(self.path)], every=_ALWAYS_DUE, format="json")

    def put(self, values: Mapping[str, str | int]) -> None:
        fresh = self.folder / "fresh"
        fresh.write_text(json.dumps(dict(values), indent=1), encoding="utf-8")
        fresh.replace(self.path)

    def take_away(self) -> None:
        self.path.unlink()

    def where(self, key: str) -> str:
        return r"sh …:\d+:\d+"

    def missing(self) -> str:
        return r"exited with status 1: \*+ \| cat: .*: No such file or directory"
