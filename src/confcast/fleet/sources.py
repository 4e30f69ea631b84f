"""The sources that follow a head in an engine, or behind a gateway: data that travels to the config owner.

Guaranteed: constructing one connects to nothing, and imports no client library; no repr, message or traceback shows a
password. What following does is in `followed.py`.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from urllib.parse import parse_qs

import msgspec

from confcast.config.schema.kinds import Secret
from confcast.config.sources.file import _SUFFIXES, FORMATS, Format
from confcast.config.sources.layer import Layer
from confcast.config.sources.polled import Told, checked_seconds
from confcast.fleet.engines import ENGINES, connect
from confcast.fleet.engines.access import Access
from confcast.fleet.engines.engine import Fault
from confcast.wire.messages import WithSecrets

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pydantic import SecretStr

    from confcast.config.sources.following import Host
    from confcast.fleet.engines.engine import Feed

_LONGEST_KEY = 200
_FILES = ("password_file", "ca_file", "cert_file", "key_file")


class _Options(WithSecrets, frozen=True, kw_only=True):
    SHOWN = ("shown",)

    format: Format = "toml"
    password: Annotated[str, Secret] = ""
    password_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    connect_timeout: float = 2.0


class _Followed(_Options, frozen=True):
    """What all these sources have in common."""

    def __post_init__(self) -> None:
        _check(self)
        self._check_url()

    if TYPE_CHECKING:
        # What each of them has; an abstract base class can't be a Struct's.
        key: str

        @property
        def shown(self) -> str:
            """Where it is, as messages show it: without a user and a password."""

        def _check_url(self) -> None: ...
        def _connector(self, host: Host | None) -> Callable[[], Awaitable[Feed]]: ...  # of one follower's connections
        def _name(self) -> str: ...  # what the newest good payload is kept under

    def read(self) -> Layer:
        """Read the head, and give the payload that it chooses for this host.

        Raises:
            ConfigError: There is none, or it can't be parsed, or the engine is away and nothing that was good is kept.
        """
        from confcast.fleet import followed

        return followed.ask(self).given()

    def content_fingerprint(self) -> bytes:
        """The fingerprint of what is known; nothing is asked. Never raises."""
        from confcast.fleet import followed

        return followed.fingerprint(self)

    def stale(self) -> str:
        """That the engine gives no usable answer, and since when, as a sentence; empty if it does."""
        from confcast.fleet import followed

        return followed.stale_of(self)

    async def follow(self, host: Host) -> None:
        """Follow the head for this host until it is cancelled. The config owner calls it, in its loop."""
        from confcast.fleet import followed

        await followed.follow(self, host)

    def _text_called(self, shown: str) -> bytes | None:
        """The payload, if messages call this source so."""
        from confcast.fleet import followed

        return followed.text_called(self, shown)

    def _asked_now(self) -> Told:
        from confcast.fleet import followed

        return followed.ask_now(self)


class _Engine(_Followed, frozen=True):
    """A source that follows an engine without a gateway."""

    NAME: ClassVar[str]

    url: Annotated[str, Secret]
    key: str

    if TYPE_CHECKING:
        # A Struct that is sent to another process has texts; callers give secrets and paths.
        def __init__(
            self,
            url: str,
            key: str,
            *,
            format: Format = "toml",  # noqa: A002
            password: SecretStr | str = "",
            password_file: str | Path | None = None,
            ca_file: str | Path | None = None,
            cert_file: str | Path | None = None,
            key_file: str | Path | None = None,
            connect_timeout: float = 2.0,
        ) -> None: ...

    def _check_url(self) -> None:
        schemes = ENGINES[self.NAME].schemes
        if not isinstance(self.url, str):
            raise TypeError(
                f"url: a text that begins with {schemes[0]}:// is expected, not a {type(self.url).__name__}"
            )
        parts = _checked("url", self._access(), Access.check).parts
        has_place = parts.netloc or parse_qs(parts.query).get("host")  # libpq's way to write the folder of a socket
        if parts.scheme not in schemes or not has_place:
            raise ValueError(f"url: one that begins with {' or '.join(f'{each}://' for each in schemes)} is expected")
        _checked("url", self._access(), ENGINES[self.NAME].check)
        if parts.scheme in ("redis", "valkey", "etcd"):
            _check_no_tls(self, f"{parts.scheme}s://")

    @property
    def shown(self) -> str:
        """The URL and the key, without a user and a password."""
        return f"{self._access().shown}#{self.key}"

    def _access(self) -> Access:
        files = {name: getattr(self, name) for name in _FILES}
        return Access(url=self.url, secret=self.password, **files)

    def _connector(self, host: Host | None) -> Callable[[], Awaitable[Feed]]:
        return partial(connect, self._access(), self.key)

    def _name(self) -> str:
        access = self._access()
        return f"{access.parts.scheme}://{access.user}@{access.shown.partition('://')[2]}#{self.key}#{self.format}"


_ARGS = """

    Args:
        url: The engine's. A user and a password in it are never shown.
        key: The configuration's name in the engine, as `confcast fleet publish --key` has it.
        format: The payload's: `toml`, `json`, `jsonc`, `yaml` or `ini`.
        password: The password or token, as a `SecretStr`.
        password_file: The file that holds it. It is read anew for each connection, so it may rotate.
        ca_file: The authorities that the engine's certificate is verified by; the system's if not given.
        cert_file: This side's certificate, for mutual TLS.
        key_file: Its key, if it is in a file of its own.
        connect_timeout: Seconds, up to 60, for which a start waits for the engine before it takes what was good last.

    Raises:
        ValueError: The URL, the key or an option is none; no message shows a password.
        TypeError: The password is neither a `SecretStr` nor a text.
    """


class Redis(_Engine, frozen=True):
    """A configuration that hosts follow in Redis (6 or newer) or Valkey.

        Redis("rediss://config.example/0", "shop", password_file="/run/secrets/redis")

    The config owner watches one small head, loads the payload that it names for this host, and reports what came of it.
    While the engine is away, nothing changes; a start then takes what was good last, which `state_dir` keeps. TLS by
    `rediss://`, always verified; `valkey://` and `valkeys://` mean the same.

    Making one connects to nothing, and its methods may be called in any thread. A process that only loads it (a check,
    a script) asks the engine once, and gets what is stable.
    """

    NAME = "Redis"


class Etcd(_Engine, frozen=True):
    """A configuration that hosts follow in etcd (3.4 or newer), through its JSON gateway.

        Etcd("etcds://one.example:2379,two.example:2379", "shop")

    The members of one cluster, of which any one will do. A user is asked for by name and password alone: through its
    JSON gateway etcd takes no name from a certificate. See `Redis` for what following does.
    """

    NAME = "Etcd"


class Postgres(_Engine, frozen=True):
    """A configuration that hosts follow in PostgreSQL (12 or newer). Needs `pip install confcast[postgres]`.

        Postgres("postgresql://shop@config.example/configs?sslmode=verify-full", "shop")

    Of several addresses (`one.example,two.example`) it is the primary; `?host=/run/postgresql` is a socket's folder,
    `?schema=` where the tables are. Each host is one server process there: from some fifty hosts on, use a gateway. See
    `Redis` for what following does.
    """

    NAME = "Postgres"


class Nats(_Engine, frozen=True):
    """A configuration that hosts follow in a bucket of NATS JetStream. Needs `pip install confcast[nats]`.

        Nats("tls://one.example:4222,two.example:4222/bucket", "shop", password_file="/run/secrets/shop.creds")

    Without a path the bucket is `confcast`. The password goes with the URL's user; without one it is a token. The file
    may be one of credentials (`.creds`), or a seed, too: that needs `nats-py[nkeys]`.

    See `Redis` for what following does.
    """

    NAME = "Nats"


for _each in (Redis, Etcd, Postgres, Nats):  # one text, since a fifth source would have a copy that differs soon
    _each.__doc__ = (_each.__doc__ or "").rstrip() + _ARGS


class Gateway(_Followed, frozen=True):
    """A configuration that hosts follow through gateways (`confcast fleet gateway`).

        Gateway(["https://gw1.example:9180", "https://gw2.example:9180"], "shop", password_file="/run/secrets/token")

    A host uses the gateway that its id chooses, and goes on to the next one if that is lost. See `Redis` for what
    following does.

    Args:
        urls: The gateways' URLs, `https://` or `http://`.
        key: The configuration's name, as of `Redis`.
        format: The payload's: `toml`, `json`, `jsonc`, `yaml` or `ini`.
        password: The token, as a `SecretStr`.
        password_file: The file that holds it. It is read anew for each connection, so it may rotate.
        ca_file: The authorities that a gateway's certificate is verified by; the system's if not given.
        cert_file: This host's certificate, for mutual TLS.
        key_file: Its key, if it is in a file of its own.
        connect_timeout: Seconds, up to 60, for which a start waits for a gateway before it takes what was good last.
        poll: Ask by long polls, for networks whose proxies break streams.

    Raises:
        ValueError: A URL, the key or an option is none; no message shows a token.
        TypeError: The token is neither a `SecretStr` nor a text.
    """

    urls: tuple[str, ...]
    key: str
    poll: bool = False

    if TYPE_CHECKING:

        def __init__(
            self,
            urls: list[str] | tuple[str, ...] | str,
            key: str,
            *,
            format: Format = "toml",  # noqa: A002
            password: SecretStr | str = "",
            password_file: str | Path | None = None,
            ca_file: str | Path | None = None,
            cert_file: str | Path | None = None,
            key_file: str | Path | None = None,
            connect_timeout: float = 2.0,
            poll: bool = False,
        ) -> None: ...

    def _check_url(self) -> None:
        given: Any = self.urls
        urls = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, list | tuple) else (None,)
        if not all(isinstance(each, str) for each in urls):
            raise TypeError("urls: a list of texts is expected, as https://gateway.example:9180")
        if not isinstance(self.poll, bool):
            raise TypeError("poll: True or False is expected")
        msgspec.structs.force_setattr(self, "urls", urls)
        for access in self._accesses():
            _checked("urls", access, Access.check)
            if access.parts.scheme == "http":
                _check_no_tls(self, "https://")
            if access.parts.scheme not in ("http", "https") or not access.parts.netloc or "@" in access.parts.netloc:
                raise ValueError("urls: URLs that begin with https:// or http://, without a user, are expected")
        if not urls:
            raise ValueError("urls: at least one is expected")

    @property
    def shown(self) -> str:
        """The URLs and the key."""
        return f"{', '.join(access.shown for access in self._accesses())}#{self.key}"

    def _accesses(self) -> list[Access]:
        files = {name: getattr(self, name) for name in _FILES}
        return [Access(url=url, secret=self.password, **files) for url in self.urls]

    def _connector(self, host: Host | None) -> Callable[[], Awaitable[Feed]]:
        from confcast.fleet.engines.gateway import Gateways

        who = ("", "", {}) if host is None else (host.id, host.name, host.labels)
        return Gateways(self._accesses(), self.key, *who, poll=self.poll).connect

    def _name(self) -> str:
        return f"{self.shown}#{self.format}"


def _check(source: Any) -> None:
    """Check the options that all sources have, and make texts of paths and secrets. Raises ValueError."""
    password: Any = source.password
    if hasattr(password, "get_secret_value"):
        msgspec.structs.force_setattr(source, "password", password.get_secret_value())
    elif not isinstance(password, str):
        raise TypeError("password: a SecretStr is expected, or password_file= with a path")
    for name in _FILES:
        given = getattr(source, name)
        if given is not None and not isinstance(given, str | Path):
            raise TypeError(f"{name}: the path of a file is expected, not a {type(given).__name__}")
        text = str(Path(given).absolute()) if given is not None and os.fspath(given) else ""
        msgspec.structs.force_setattr(source, name, text)
    if source.key_file and not source.cert_file:
        raise ValueError("key_file: it is the key of a certificate: give cert_file, too")
    if source.password and source.password_file:
        raise ValueError("password and password_file: one of them only")
    if source.format not in _SUFFIXES.values():
        raise ValueError(f"unknown format {source.format!r}: it has to be {FORMATS}")
    check_key(source.key)
    checked_seconds("connect_timeout", source.connect_timeout, 60.0)


def _checked(option: str, access: Access, check: Callable[[Access], object]) -> Access:
    """Raises ValueError for a Fault of the check. No traceback has the URL."""
    try:
        check(access)
    except Fault as error:
        raise ValueError(f"{option}: {error}") from None
    return access


def _check_no_tls(source: Any, secure: str) -> None:
    """Raises ValueError for files of TLS that a connection without TLS would not use."""
    for name in ("ca_file", "cert_file"):
        if getattr(source, name):
            raise ValueError(f"{name}: the URL asks for no TLS: one that begins with {secure} is expected")


def check_key(key: Any) -> None:
    """Raises ValueError for what is no key: it is part of names in engines, of paths and of URLs."""
    allowed = "a letter or digit, then letters, digits and any of . _ -"
    plain = isinstance(key, str) and key.isascii() and key[:1].isalnum() and len(key) <= _LONGEST_KEY
    if not plain or not all(sign.isalnum() or sign in "._-" for sign in key):
        raise ValueError(f"key={key!r}: {allowed} are expected, {_LONGEST_KEY} at the most")
