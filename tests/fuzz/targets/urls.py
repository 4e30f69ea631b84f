"""URLs of engines, of servers and of webhooks, as an operator may write them. Declared: ValueError, Fault of a check.

An input is a URL; its scheme, if there is one, says which source takes it. Nothing of a password is in a message.
"""

from __future__ import annotations

import contextlib
from typing import Any

from pydantic import SecretStr

from confcast import Http, Webhook
from confcast.fleet import Etcd, Gateway, Nats, Postgres, Redis
from confcast.fleet.engines.access import Access
from confcast.fleet.engines.engine import EngineError
from tests.fuzz.bounds import Finding

GROWS = True
SENTINEL = "Hunter2"
TOKENS = [
    *(
        b"redis://",
        b"rediss://",
        b"etcd://",
        b"postgresql://",
        b"nats://",
        b"https://",
        b"http://",
        b"me:Hunter2@",
        b"@",
        b":",
    ),
    *(
        b"[::1]",
        b"[",
        b"]",
        b"/",
        b"?",
        b"#",
        b"?host=",
        b"&port=",
        b"?replicas=3",
        b"%2F",
        b",",
        b":6379",
        b"?sslmode=disable",
    ),
]
_KINDS: dict[str, Any] = {
    "redis": Redis,
    "rediss": Redis,
    "etcd": Etcd,
    "etcds": Etcd,
    "postgresql": Postgres,
    "nats": Nats,
    "tls": Nats,
}
_HOOK = SecretStr("whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0")


def seeds():
    yield b"redis://me:Hunter2@host.example:6379/3"
    yield b"etcd://me:Hunter2@one.example:2379,[::1]:2380"
    yield b"postgresql://me:Hunter2@/shop?host=/run/postgresql&port=5433&schema=a&sslmode=disable"
    yield b"nats://Hunter2@host.example/bucket?replicas=3"
    yield b"https://me:Hunter2@host.example:8443/a/b.toml?c=d"
    yield b"http://host/%7Ea"


def one(data: bytes) -> None:
    url = data.decode(errors="surrogateescape")
    scheme = url.partition("://")[0].lower()
    said = []
    for make in (_KINDS.get(scheme, Gateway), _http, _webhook, _access):
        try:
            said.append(repr(make(url, "key") if make in (*_KINDS.values(), Gateway) else make(url)))
        except (ValueError, EngineError) as error:
            said.append(str(error))
    if "me:Hunter2@" in url and url.count(SENTINEL) == 1 and any(SENTINEL in each for each in said):
        raise Finding(f"a message has the password: {said}")


def _http(url: str) -> Any:
    source = Http(url, format="toml")
    return [source, source.shown, source._address().replace(SENTINEL, "")]


def _webhook(url: str) -> Any:
    return Webhook(url, _HOOK)


def _access(url: str) -> Any:
    """All that an engine asks of it; each may raise Fault."""
    access = Access(url=url)
    found: list[Any] = [access, access.shown]
    for ask in (lambda: access.check(), lambda: access.hosts, lambda: access.user, lambda: access.password_in_url):
        with contextlib.suppress(EngineError):
            found.append(ask())
    with contextlib.suppress(EngineError):
        assert isinstance(access.password(), str)
    return found
