"""`Environment`: no file, nothing to take away, and no watching."""

from __future__ import annotations

import os
from collections.abc import Mapping

from confcast import Environment
from tests.support.source_cases.case import SourceCase


class EnvironmentCase(SourceCase):
    name = "environment"
    file_is_the_source = is_watched = False

    def source(self) -> Environment:
        return Environment("SUITE_")

    def put(self, values: Mapping[str, str | int]) -> None:
        self.take_away()
        for key, value in values.items():
            self.monkeypatch.setenv(f"SUITE_{key.upper()}", str(value))

    def take_away(self) -> None:
        for name in [name for name in os.environ if name.startswith("SUITE_")]:
            self.monkeypatch.delenv(name)

    def where(self, key: str) -> str:
        return f"environment variable SUITE_{key.upper()}"

    def missing(self) -> None:
        return None

    def can_say(self, value: str) -> bool:
        return "\0" not in value
