"""Kinto, a store for JSON: the section of its `kinto.ini` from which PasteDeploy makes the application."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from confcast import File

FILE = Path("kinto.ini")


class Settings(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)

    use: str
    includes: list[str] = Field(alias="kinto.includes")
    storage_backend: str = Field(alias="kinto.storage_backend")
    cache_backend: str = Field(alias="kinto.cache_backend")
    permission_backend: str = Field(alias="kinto.permission_backend")
    secret: SecretStr = Field(alias="kinto.userid_hmac_secret")
    readonly: bool = Field(False, alias="kinto.readonly")
    batch_max_requests: int = Field(25, alias="kinto.batch_max_requests")


def sources() -> list[Any]:
    command = ["init", "--ini", str(FILE), "--backend", "memory", "--cache-backend", "memory", "--host", "127.0.0.1"]
    subprocess.run([Path(sys.executable).parent / "kinto", *command], check=True, capture_output=True, timeout=120)
    return [File(FILE, table="app:main")]


def build(config: Settings) -> Any:
    import kinto

    given = {**config.model_dump(by_alias=True), "kinto.userid_hmac_secret": config.secret.get_secret_value()}
    del given["use"]
    return kinto.main({}, **given)


def ask(application: Any) -> list[Any]:
    from run import answer_of

    _, _, body = answer_of(application, "GET", "/v1/")
    found = json.loads(body)["settings"]
    return [found["readonly"], found["batch_max_requests"]]


def edits() -> Iterator[Callable[[], object]]:
    text = FILE.read_text()
    yield lambda: FILE.write_text(text.replace("[app:main]\n", "[app:main]\nkinto.readonly = true\n", 1))
    yield lambda: FILE.write_text(text.replace("[app:main]\n", "[app:main]\nkinto.batch_max_requests = 7\n", 1))
