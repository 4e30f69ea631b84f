"""`File`, in each of its formats."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from confcast import File
from tests.support.source_cases.case import SourceCase


class FileCase(SourceCase):
    suffix: ClassVar[str]

    @property
    def path(self) -> Path:
        return self.folder / f"app.{self.suffix}"

    def source(self) -> File:
        return File(self.path.name)

    def put(self, values: Mapping[str, str | int]) -> None:
        new = self.folder / "new"
        new.write_text(self.text(values), encoding="utf-8")
        new.rename(self.path)

    def text(self, values: Mapping[str, str | int]) -> str:
        raise NotImplementedError

    def take_away(self) -> None:
        self.path.unlink()

    def where(self, key: str) -> str:
        return rf"{re.escape(self.path.name)}:\d+:\d+"

    def missing(self) -> str:
        return "there is no such file"


class TomlCase(FileCase):
    name = suffix = "toml"

    def text(self, values: Mapping[str, str | int]) -> str:
        lines = (f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items())
        return "# values\n" + "".join(lines)


class JsonCase(FileCase):
    name = suffix = "json"

    def text(self, values: Mapping[str, str | int]) -> str:
        return json.dumps(values, indent=1)


class YamlCase(FileCase):
    name = suffix = "yaml"

    def text(self, values: Mapping[str, str | int]) -> str:
        return "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items())


class JsoncCase(FileCase):
    name = suffix = "jsonc"

    def text(self, values: Mapping[str, str | int]) -> str:
        pairs = (f"{json.dumps(key)}: {json.dumps(value)}," for key, value in values.items())
        return "// values\n{" + " /* next */\n".join(pairs) + "}"


class TableCase(TomlCase):
    name = "toml_table"

    def source(self) -> File:
        return File(self.path.name, table="tool.app")

    def text(self, values: Mapping[str, str | int]) -> str:
        return f"[tool.other]\nname = 1\n[tool.app]\n{super().text(values)}[last]\nport = 2\n"
