"""The schema, and this process's copy of the configuration; declaring starts nothing, so `--preload` may import it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, SecretStr, model_validator

from confcast import Replica

Token = Annotated[SecretStr, Field(min_length=32)]  # signs sessions: a short one could be guessed from a cookie


class Mail(BaseModel, frozen=True):
    """Where orders are mailed to.

    Attributes:
        host: The mail server.
        port: Its port.
        password: What it asks for; empty for none. A `SecretStr`, so confcast shows it nowhere.
    """

    host: str = Field(min_length=1, max_length=253)
    port: int = Field(ge=1, le=65535)
    password: SecretStr = SecretStr("")


class Settings(BaseModel, frozen=True):
    """What may change while the shop serves.

    Attributes:
        greeting: What each page begins with.
        per_page: How many articles a page has.
        free_from: An order of so many euros is sent for nothing.
        postage: What a smaller one pays, in euros.
        mail: Where orders are mailed to.
        administrators: The token of each person who may save, by name.
    """

    greeting: str = Field(min_length=1, max_length=80)
    per_page: int = Field(ge=1, le=100)
    free_from: int = Field(ge=0)
    postage: int = Field(ge=0)
    mail: Mail
    administrators: dict[str, Token] = Field(min_length=1)

    @model_validator(mode="after")
    def _postage_is_less(self) -> Settings:
        if self.postage > self.free_from:
            raise ValueError(f"postage ({self.postage}) is more than the order that is sent for nothing")
        return self


settings = Replica(Settings, name="shop")
