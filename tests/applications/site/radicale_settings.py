"""Radicale, a calendar server: its `config`, in which every section is there and every key is a comment."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from confcast import File

FILE = Path("config")


class Open(BaseModel):
    """A section of which only a part is of interest."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Server(Open):
    hosts: list[str] = ["localhost:5232"]
    max_connections: int = 8
    max_content_length: int = 100_000_000
    timeout: float = 30.0
    ssl: bool = False


class Auth(Open):
    type: str = "denyall"
    htpasswd_filename: Path = Path("/etc/radicale/users")
    htpasswd_encryption: str = "autodetect"
    delay: float = 1.0
    realm: str = "Radicale - Password Required"
    lc_username: bool = False


class Storage(Open):
    type: str = "multifilesystem"
    filesystem_folder: Path = Path("/var/lib/radicale/collections")
    max_sync_token_age: int = 2_592_000


class Web(Open):
    type: str = "internal"


class Logging(Open):
    level: str = "info"
    mask_passwords: bool = True


class Settings(Open):
    server: Server = Server()
    auth: Auth = Auth()
    storage: Storage = Storage()
    web: Web = Web()
    logging: Logging = Logging()
    headers: dict[str, str] = {}


def sources() -> list[Any]:
    return [File(FILE, format="ini")]


def build(config: Settings) -> Any:
    from radicale import config as own
    from radicale.app import Application

    configuration = own.load()
    configuration.update(
        {
            "auth": {"type": config.auth.type, "realm": config.auth.realm, "delay": config.auth.delay},
            "storage": {"filesystem_folder": str(Path("collections").absolute())},
            "headers": config.headers,
        },
        "confcast",
    )
    return Application(configuration)


def ask(application: Any) -> list[str]:
    from run import answer_of

    status, headers, _ = answer_of(application, "PROPFIND", "/somebody/")
    return [status, headers["www-authenticate"], headers.get("x-follows", "")]


def edits() -> Iterator[Callable[[], object]]:
    text = FILE.read_text()
    yield lambda: FILE.write_text(text.replace("[auth]\n", "[auth]\nRealm = Ours\n", 1))
    yield lambda: FILE.write_text(text.replace("[headers]\n", "[headers]\nX-Follows: yes\n", 1))


def in_force(text: str) -> str:
    """The file with each key that the schema has out of its comment, where it stands there for the first time."""
    section, lines, seen = "", list[str](), set[tuple[str, str]]()
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        key = line.removeprefix("#").partition(" = ")[0]
        field = Settings.model_fields.get(section)
        known = getattr(field.annotation, "model_fields", {}) if field is not None else {}
        if line.startswith("#") and " = " in line and key in known and (section, key) not in seen:
            seen.add((section, key))
            line = line[1:]
        lines.append(line)
    return "\n".join(lines)


def compare() -> None:
    """Print how many keys of the schema are what Radicale itself reads, once they are in force. Fails if one is not."""
    from radicale import config as own

    from confcast import ConfigLoader

    FILE.write_text(in_force(FILE.read_text()))
    theirs, ours = own.load([(str(FILE), False)]), ConfigLoader(Settings, *sources()).load().config
    compared = 0
    for section in ("server", "auth", "storage", "web", "logging"):
        for key in sorted(getattr(ours, section).model_fields_set):
            value, own_value = getattr(getattr(ours, section), key), theirs.get(section, key)
            if key == "hosts":
                own_value = [f"{host}:{port}" for host, port in own_value]
            assert str(value) == str(own_value), (section, key, value, own_value)
            compared += 1
    print(json.dumps([compared]))


if __name__ == "__main__":
    compare()
