"""Many files that processes hold open for writing: a load waits for one of them, and not for each in turn."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from confcast import ConfigError, ConfigLoader, Environment, File, Files, SecretsDir, Source

pytestmark = pytest.mark.usefixtures("here")

MANY = 40
NAMES = [f"k{number}" for number in range(MANY)]


class Settings(BaseModel, extra="allow"):
    """Takes whatever the files say."""


@contextlib.contextmanager
def held(folder: str, suffix: str = "", content: str = "x") -> Iterator[list[Path]]:
    Path(folder).mkdir()
    paths = [Path(folder, f"{name}{suffix}").absolute() for name in NAMES]
    with contextlib.ExitStack() as writers:
        for path in paths:
            path.write_text(content)
            writers.enter_context(path.open("a"))
        yield paths


def seconds(source: Source, schema: Any = Settings) -> float:
    """How long a load takes that is refused for the reason that files are still written to."""
    begun = time.monotonic()
    with pytest.raises(ConfigError, match="is still open for writing by another process"):
        ConfigLoader(schema, source).load()
    return time.monotonic() - begun


def test_the_files_of_a_folder() -> None:
    with held("conf.d", ".toml", "a = 1\n"):
        assert seconds(Files("conf.d/*.toml")) < MANY * 0.1


def test_included_files() -> None:
    with held("parts", ".toml", "a = 1\n") as paths:
        Path("app.toml").write_text(f"include = {[*map(str, paths)]}\n")
        assert seconds(File("app.toml", includes="include")) < MANY * 0.1


def test_the_files_of_references() -> None:
    with held("values") as paths:
        Path("app.toml").write_text("".join(f"{path.name} = '${{file:{path}}}'\n" for path in paths))
        assert seconds(File("app.toml", references="env")) < MANY * 0.1


def test_the_files_that_variables_name(monkeypatch: pytest.MonkeyPatch) -> None:
    schema: Any = type("Named", (BaseModel,), {"__annotations__": dict.fromkeys(NAMES, str), "__module__": __name__})
    with held("values") as paths:
        for path in paths:
            monkeypatch.setenv(f"APP_{path.name.upper()}_FILE", str(path))
        assert seconds(Environment("APP_", files=True), schema) < MANY * 0.1


def test_a_folder_of_secrets() -> None:
    schema: Any = type("Secrets", (BaseModel,), {"__annotations__": dict.fromkeys(NAMES, str), "__module__": __name__})
    with held("secrets"):
        assert seconds(SecretsDir("secrets"), schema) < MANY * 0.1
