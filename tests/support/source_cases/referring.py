"""A `File` whose values stand elsewhere: in a file that it includes, or in files that its references name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from confcast import File
from tests.support.source_cases.case import SourceCase
from tests.support.source_cases.file import YamlCase
from tests.support.source_cases.secret_files import write


class EscapedCase(YamlCase):
    """References are resolved, and each dollar of a value is doubled."""

    name = "escaped"

    def source(self) -> File:
        return File(self.path.name, references="env", tags=("env", "file", "include"))

    def text(self, values: Mapping[str, str | int]) -> str:
        return super().text(values).replace("$", "$$")


class IncludedCase(SourceCase):
    name = "included"

    @property
    def path(self) -> Path:
        return self.folder / "parts" / "values.json"

    def source(self) -> File:
        return File("app.toml", includes="include")

    def put(self, values: Mapping[str, str | int]) -> None:
        self.path.parent.mkdir(exist_ok=True)
        if not (self.folder / "app.toml").exists():
            (self.folder / "app.toml").write_text("include = 'parts/values.json'\n")
        new = self.path.with_name("new")
        new.write_text(json.dumps(values, indent=1), encoding="utf-8")
        new.rename(self.path)

    def take_away(self) -> None:
        self.path.unlink()

    def where(self, key: str) -> str:
        return r"parts/values\.json:\d+:\d+"

    def missing(self) -> str:
        return "app.toml:1:11: includes a file that does not exist: .*parts/values.json"


class NamedInFileCase(SourceCase):
    """Each value is the content of a file that a reference names."""

    name = "named in a file"
    gives_secrets = True

    @property
    def path(self) -> Path:
        return self.folder / "values" / "name"

    def source(self) -> File:
        return File("app.json", references="env")

    def put(self, values: Mapping[str, str | int]) -> None:
        self.path.parent.mkdir(exist_ok=True)
        for key, value in values.items():
            write(self.path.with_name(key), value)
        text = json.dumps({key: f"${{file:values/{key}}}" for key in values}, indent=1)
        if not (self.folder / "app.json").exists() or (self.folder / "app.json").read_text() != text:
            (self.folder / "app.json").write_text(text)

    def take_away(self) -> None:
        self.path.unlink()

    def where(self, key: str) -> str:
        return rf"app\.json:\d+:\d+, from file values/{key}"

    def missing(self) -> str:
        return "app.json:2:10: name: the file .*/values/name does not exist"

    def can_say(self, value: str) -> bool:
        return "\0" not in value
