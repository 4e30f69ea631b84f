"""Webhooks: where an owner posts what came of its reloads, as data for the config owner.

`owner/loop/webhooks.py` delivers them. A secret travels to the owner in the startup message, and is in no repr, no log
and no file of confcast's; the path of a secret's file travels instead of the secret, so that the owner reads it at each
delivery, and a rotated secret counts at once.

Rejected: a secret as a plain text (a traceback of the caller's frame shows it), and one secret for all webhooks (who
receives one could sign what another one takes for ours).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import urlsplit

import msgspec

from confcast.wire import urls
from confcast.wire.message import WithSecrets

if TYPE_CHECKING:
    from pydantic import SecretStr

WebhookEvent = Literal["settled", "refused", "undone", "held"]
"""What a webhook may be about."""

EVENTS: tuple[WebhookEvent, ...] = get_args(WebhookEvent)

_MOST = 8


class _Fields(WithSecrets, frozen=True, kw_only=True):
    SHOWN = ("shown", "on")

    on: Sequence[WebhookEvent] = EVENTS
    secret_text: str = ""
    secret_file: str = ""


class Webhook(_Fields, frozen=True):
    """A URL to which the config owner posts what came of its reloads, signed by the Standard Webhooks convention.

    It needs `pip install confcast[webhooks]`. What is sent, how often it is tried, and how it is verified:
    guide/webhooks.md. A reload never waits for it.

    Args:
        url: `https://`, or `http://`, which anybody on the way can read. A user and a password in it are sent as Basic
            authentication; neither they nor path and query are shown, where services put their tokens. Redirects are
            not followed, and proxies of the environment not used.
        secret: What signs: `whsec_` and 24 to 64 random bytes in base64, as a `SecretStr`, or the Path of a file that
            holds it, which the owner reads at each delivery. Several, one on each line, all sign: while a secret is
            rotated, the receiver may have the old one or the new one.
        on: What is posted: `settled`, a version runs; `refused`, a change does not; `undone`, a version was taken back
            by itself; `held`, a person has gone back, and the sources are not followed.

    Raises:
        ValueError: The URL, the secret or an event is none.
        TypeError: The secret is a plain text, or `on` is one.

    Example:
        >>> ConfigReloadManager(loader, webhooks=[Webhook("https://ops.example/hook", Path("/run/secrets/hook"))])
    """

    url: str
    secret: Any

    if TYPE_CHECKING:
        # A Struct that is sent to another process has texts; callers give a secret or a path.
        def __init__(
            self,
            url: str,
            secret: SecretStr | Path,
            *,
            on: Sequence[WebhookEvent] = EVENTS,
            secret_text: str = "",
            secret_file: str = "",
        ) -> None: ...

    def __post_init__(self) -> None:
        if not urls.is_http(self.url):
            raise ValueError(
                "url: a URL that begins with https:// or http:// is expected, without blanks, and a port below 65536"
            )
        if self.secret is not None:
            self._take(self.secret)
        if not (self.secret_text or self.secret_file):
            from confcast.wire.webhook_secrets import EXPECTED  # here: each manager and owner imports this file

            raise ValueError(f"secret: {EXPECTED}")
        self._set("on", _events(self.on))

    def _take(self, secret: Any) -> None:
        """Keep what a message can carry of a secret."""
        reveal = getattr(secret, "get_secret_value", None)
        if callable(reveal) and isinstance(text := reveal(), str):
            from confcast.wire.webhook_secrets import of_text

            of_text(text, "secret")
            self._set("secret_text", text)
        elif isinstance(secret, os.PathLike):
            self._set("secret_file", str(Path(secret).absolute()))
        else:
            raise TypeError(f"secret: a SecretStr or a Path is expected, not a {type(secret).__name__}")
        self._set("secret", None)

    def _set(self, name: str, value: object) -> None:
        msgspec.structs.force_setattr(self, name, value)

    @property
    def shown(self) -> str:
        """The URL as messages show it."""
        return urls.shown_host(self.url)

    @property
    def key(self) -> str:
        """What the journal calls it: a hash, since the URL may be secret."""
        import hashlib  # imported here: every manager imports this file

        return hashlib.sha256(self.url.encode(errors="backslashreplace")).hexdigest()[:32]

    @property
    def can_be_read(self) -> bool:
        """Whether what is sent can be read on its way: it leaves the machine without TLS."""
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        return parts.scheme == "http" and not (host in ("localhost", "::1") or _is_loopback(host))

    def secrets(self) -> list[str]:
        """The secrets that sign now. Reads the file, if there is one.

        Raises:
            ValueError: There is none, or one is none; the text names the file and shows nothing of it.
        """
        from confcast.wire.webhook_secrets import of_file, of_text

        if not self.secret_file:
            return of_text(self.secret_text, "secret")
        return of_file(self.secret_file)

    def __repr__(self) -> str:
        return f"Webhook({self.shown!r}, on={self.on!r})"


def _is_loopback(host: str) -> bool:
    return host.startswith("127.") and host.replace(".", "").isdecimal()


def _events(given: Any) -> tuple[WebhookEvent, ...]:
    if isinstance(given, str):
        raise TypeError(f"on={given!r}: a list of events is expected, such as [{given!r}]")
    found = tuple(given)
    for each in found:
        if each not in EVENTS:
            raise ValueError(f"on: {each!r} is no event: {', '.join(map(repr, EVENTS))} are expected")
    if not found:
        raise ValueError(f"on: it is empty; one or more of {', '.join(map(repr, EVENTS))} are expected")
    return tuple(dict.fromkeys(found))


def checked(webhooks: Any) -> tuple[Webhook, ...]:
    """The webhooks of a manager. Raises ValueError."""
    example = "such as [Webhook('https://ops.example/hook', Path('/run/secrets/hook'))]"
    if isinstance(webhooks, Webhook):
        raise ValueError(f"a list of webhooks is expected, {example}")
    found = tuple(webhooks) if isinstance(webhooks, list | tuple) else (webhooks,)
    if not all(isinstance(each, Webhook) for each in found):
        raise ValueError(f"webhooks are expected, {example}")
    if len(found) > _MOST:
        raise ValueError(f"at most {_MOST} webhooks are expected")
    if len({each.url for each in found}) < len(found):
        raise ValueError("each webhook has a URL of its own: name all its events in one")
    return found
