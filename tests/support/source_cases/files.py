"""`Files`: one file in a folder is the source; what several are is in tests/unit/config/sources/test_files.py."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from confcast import Files
from tests.support.source_cases.case import SourceCase


class FilesCase(SourceCase):
    name = "files"

    @property
    def path(self) -> Path:
        return self.folder / "conf.d" / "10-app.json"

    def source(self) -> Files:
        return Files("conf.d/*.json")

    def put(self, values: Mapping[str, str | int]) -> None:
        self.path.parent.mkdir(exist_ok=True)
        new = self.path.with_name(".new")
        new.write_text(json.dumps(values, indent=1), encoding="utf-8")
        new.rename(self.path)

    def take_away(self) -> None:
        self.path.unlink()

    def where(self, key: str) -> str:
        return r"conf\.d/10-app\.json:\d+:\d+"

    def missing(self) -> str:
        return r"conf\.d/\*\.json: no file in .*/conf\.d matches"
