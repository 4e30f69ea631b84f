"""isso, a server for comments: its `isso.cfg` with all defaults, and a file of the user's above it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, SecretStr

from confcast import File

MINE = Path("mine.cfg")


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class General(Section):
    dbpath: Path
    name: str = ""
    host: list[str]
    max_age: str
    notify: list[str]
    reply_notifications: bool
    log_file: str
    gravatar: bool
    gravatar_url: str
    latest_enabled: bool


class Admin(Section):
    enabled: bool
    password: SecretStr


class Moderation(Section):
    enabled: bool
    approve_if_email_previously_approved: bool
    purge_after: str


class Server(Section):
    listen: str
    public_endpoint: str
    reload: bool
    profile: bool
    trusted_proxies: list[str]
    samesite: Literal["", "None", "Lax", "Strict"]


class Guard(Section):
    enabled: bool
    ratelimit: int
    direct_reply: int
    reply_to_self: bool
    require_author: bool
    require_email: bool


class Mistune(Section):
    plugins: list[str]
    parameters: list[str]


class Markup(Section):
    model_config = ConfigDict(extra="allow", frozen=True)

    renderer: Literal["mistune", "misaka"]
    mistune: Mistune


class Hash(Section):
    salt: SecretStr
    algorithm: str


class Rss(Section):
    base: str
    limit: int


class Settings(Section):
    general: General
    admin: Admin
    moderation: Moderation
    server: Server
    guard: Guard
    markup: Markup
    hash: Hash
    rss: Rss
    smtp: dict[str, str]


def sources() -> list[Any]:
    from isso import config

    MINE.write_text("[general]\ndbpath = comments.db\nhost =\n    http://127.0.0.1:9/\n")
    return [File(config.default_file(), nested=True), File(MINE, nested=True)]


def build(config: Settings) -> Any:
    from isso import config as own
    from isso import make_app

    conf = own.load(own.default_file())
    conf.set("general", "dbpath", str(config.general.dbpath))
    conf.set("general", "host", "\n".join(config.general.host))
    for key, value in config.guard:
        conf.set("guard", key.replace("_", "-"), str(value))
    return make_app(conf, threading=True)


def ask(application: Any) -> list[bool]:
    from run import answer_of

    _, _, body = answer_of(application, "GET", "/config")
    found = json.loads(body)["config"]
    return [found["reply-to-self"], found["require-email"]]


def edits() -> Iterator[Callable[[], object]]:
    text = MINE.read_text()
    yield lambda: MINE.write_text(f"{text}[guard]\nreply-to-self = true\n")
    yield lambda: MINE.write_text(f"{text}[guard]\nRequire-Email: on\n")
