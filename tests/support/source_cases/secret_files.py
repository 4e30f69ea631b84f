"""Values in files of their own: in a folder (`SecretsDir`), or named by variables (`Environment(files=True)`)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from confcast import Environment, SecretsDir
from tests.support.source_cases.case import SourceCase


def write(path: Path, value: str | int) -> None:
    """Have this value in a file that only its owner may read, at one moment."""
    new = path.with_name(f".{path.name}")
    new.write_bytes(str(value).encode())
    new.chmod(0o400)
    new.rename(path)


class SecretsDirCase(SourceCase):
    name = "secrets dir"
    gives_secrets = True
    file_is_the_source = False

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets"

    def source(self) -> SecretsDir:
        return SecretsDir("secrets")

    def put(self, values: Mapping[str, str | int]) -> None:
        self.secrets.mkdir(exist_ok=True)
        for path in self.secrets.iterdir():
            if path.name not in values:
                path.unlink()
        for key, value in values.items():
            write(self.secrets / key, value)

    def take_away(self) -> None:
        shutil.rmtree(self.secrets)

    def where(self, key: str) -> str:
        return f"secrets/{key}"

    def missing(self) -> str:
        return "there is no such folder"

    def can_say(self, value: str) -> bool:
        return "\0" not in value


class NamedFilesCase(SourceCase):
    name = "files of variables"
    gives_secrets = True

    @property
    def path(self) -> Path:
        return self.folder / "name"

    def source(self) -> Environment:
        return Environment("SUITE_", files=True)

    def put(self, values: Mapping[str, str | int]) -> None:
        for name in [name for name in os.environ if name.startswith("SUITE_")]:
            self.monkeypatch.delenv(name)
        for key, value in values.items():
            write(self.folder / key, value)
            self.monkeypatch.setenv(f"SUITE_{key.upper()}_FILE", str(self.folder / key))

    def take_away(self) -> None:
        self.path.unlink()

    def where(self, key: str) -> str:
        return rf"environment variable SUITE_{key.upper()}_FILE \({self.folder / key}\)"

    def missing(self) -> str:
        return "the file does not exist"

    def can_say(self, value: str) -> bool:
        return "\0" not in value
