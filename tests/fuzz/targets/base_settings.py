"""The files that a BaseSettings class reads by itself: `.env`, YAML, TOML and JSON, as pydantic-settings takes them.

An input is a byte that says which file, and its content. Declared: ConfigError (`config/base_settings/`). What is
loaded is what its payload decodes to; no password is in a message.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic_settings import (
    BaseSettings,
    JsonConfigSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
    YamlConfigSettingsSource,
)

from confcast import ConfigLoader
from tests.fuzz.bounds import Finding
from tests.fuzz.loading import SENTINEL, Inner, outcome, own_folder, tokens
from tests.unit.config.codec.exactness import assert_exact

GROWS = True
TOKENS = [*tokens("yaml"), b"A__NUMBER=", b"${X}", b"&a ", b"*a", b"PASSWORD="]
_HOME = own_folder(__name__)
_NAMES = (".env", "a.yaml", "a.toml", "a.json")


class App(BaseSettings):
    """What a class may have that reads by itself."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_nested_delimiter="__",
        yaml_file="a.yaml",
        toml_file="a.toml",
        json_file="a.json",
        extra="ignore",
    )
    a: Inner = Inner()
    d: dict[str, Any] = {}
    hosts: list[str] = []
    x: str = ""
    password: SecretStr = SecretStr("")

    @classmethod
    def settings_customise_sources(cls, settings_cls: Any, dotenv_settings: Any, **others: Any) -> Any:
        kinds = (YamlConfigSettingsSource, TomlConfigSettingsSource, JsonConfigSettingsSource)
        return (dotenv_settings, *(kind(settings_cls) for kind in kinds))


_LOADER = ConfigLoader(App)
_MOST_DOTS = 500
"""In a line of what the class reads by itself, with parsers that have other bounds than those of confcast's formats."""
logging.getLogger("dotenv").setLevel(logging.CRITICAL)  # it warns of each line that is none


def seeds():
    yield b'\0X=one\nPASSWORD=Hunter2\nA__NUMBER=3\nHOSTS=["a"]\nD__K=${X}\n'
    yield b"\1x: one\npassword: Hunter2\na: &a {number: 3}\nd: {k: *a}\n"
    yield b'\2x = "one"\npassword = "Hunter2"\n[a]\nnumber = 3\n'
    yield b'\3{"x": "one", "password": "Hunter2", "a": {"number": 3}, "hosts": ["b"]}'


def one(data: bytes) -> None:
    if any(line.count(b".") > _MOST_DOTS for line in data.split(b"\n")):
        return
    with _given(data) as content:
        candidate, problems = outcome(_LOADER.load)
    if candidate is not None:
        assert_exact(_LOADER._codec.decode(candidate.payload), candidate.config)
    is_secret = candidate is not None and SENTINEL in candidate.config.password.get_secret_value()
    if is_secret and content.count(SENTINEL.encode()) == 1 and SENTINEL in repr(candidate):
        raise Finding("a repr has the password")
    told = any(SENTINEL in str(each) for each in problems)
    if told and b"PASSWORD=" + SENTINEL.encode() in content and content.count(SENTINEL.encode()) == 1:
        raise Finding(f"a message quotes the password: {problems}")


def floor(data: bytes) -> None:
    """What pydantic-settings does with the file by itself: PyYAML, tomllib and python-dotenv are written in Python."""
    with _given(data), contextlib.suppress(Exception):
        App()


@contextlib.contextmanager
def _given(data: bytes) -> Iterator[bytes]:
    """The content of the file that an input says; for the block, it is where the class looks for it."""
    name, content = _NAMES[data[0] % 4 if data else 0], data[1:]
    here = Path.cwd()
    (_HOME / name).write_bytes(content)
    os.chdir(_HOME)
    try:
        yield content
    finally:
        os.chdir(here)
        (_HOME / name).unlink()
