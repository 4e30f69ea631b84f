"""A `BaseSettings` class, in which each reading of a file is noted; imported by owner, master and workers alike."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict, TomlConfigSettingsSource

from confcast import Replica

CALLS = Path("calls")


class Noted(TomlConfigSettingsSource):
    """Leaves the number of the process that reads it."""

    def __call__(self) -> dict[str, Any]:
        with CALLS.open("a") as calls:
            calls.write(f"{os.getpid()}\n")
        return super().__call__()


class Limits(BaseModel):
    low: int = 0
    high: int = 9


class Cache(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="CACHE_", env_file="cache.env", extra="ignore")
    size: int = 1


class Served(BaseSettings):
    """What a service would have: variables, an .env file, a file, secrets, and settings inside."""

    model_config = SettingsConfigDict(
        env_prefix="SERVED_",
        env_nested_delimiter="__",
        env_file=".env",
        secrets_dir="secrets",
        toml_file="served.toml",
        extra="ignore",
    )
    name: str = "default"
    limits: Limits = Limits()
    token: SecretStr = SecretStr("")
    plain: str = ""
    number: int = 0
    cache: Cache = Field(default_factory=Cache)

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: Any, init_settings: Any, env_settings: Any, dotenv_settings: Any, file_secret_settings: Any
    ) -> Any:
        return init_settings, env_settings, dotenv_settings, Noted(settings_cls), file_secret_settings


served = Replica(Served, name="served")


def shown(config: Served) -> str:
    """All values in one line."""
    limits, token = config.limits, config.token.get_secret_value()
    return f"{config.name} {limits.low}-{limits.high} {token} {config.cache.size}"


def work() -> None:
    """A worker: after each line of its input, what it has now, and whether anything was read by this process."""
    served.attach(ignore_sighup=False)
    for _ in sys.stdin:
        read = str(os.getpid()) in CALLS.read_text().split()
        print(shown(served.current), served.version, "has read" if read else "has not read", flush=True)
    served.close()


if __name__ == "__main__":
    from tests.support.base_settings import work as the_same_module

    the_same_module()
