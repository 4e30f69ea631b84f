"""The schema that the suite of all sources loads: imported by owners, too."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, SecretStr

from confcast import Secret, UrlSecret


class Sourced(BaseModel):
    """Two values that show, a secret of each kind, and a URL with one in it."""

    name: str = ""
    port: int = 80
    token: SecretStr = SecretStr("")
    key: Annotated[str, Secret] = ""
    pin: Annotated[int, Secret] = 0
    broker: Annotated[str, UrlSecret] = ""
