"""A URL that an operator gives: whether it is one, how messages show it, and what a request to it sends.

Guaranteed: what is shown has neither a user, a password, a query nor a fragment, any of which may be secret; nor what
may be a part of a password that was not encoded. A user and a password are sent as Basic authentication, and stand in
no request's target.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

_MASK = "***"


def is_http(url: Any) -> bool:
    """Whether this is a text with an `http://` or `https://` URL, which names a host and has no blanks."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except (ValueError, AttributeError, TypeError):
        return False
    return isinstance(url, str) and known and not any(each <= " " or each == "\x7f" for each in url)


def shown(url: str) -> str:
    """The URL without what may be secret in it."""
    parts = urlsplit(url)
    if _may_be_cut(parts):
        return f"{parts.scheme}://{_MASK}"
    user = f"{_MASK}@" if "@" in parts.netloc else ""
    where = user + parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, where, parts.path, _MASK if parts.query else "", ""))


def shown_host(url: str) -> str:
    """The URL without its path, too: services that take webhooks put their tokens there."""
    parts = urlsplit(url)
    if _may_be_cut(parts):
        return f"{parts.scheme}://{_MASK}"
    where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return where if parts.path in ("", "/") and not parts.query and "@" not in parts.netloc else f"{where}/{_MASK}"


def _may_be_cut(parts: SplitResult) -> bool:
    """Whether an `@` behind the address may be the end of a password with a `/`, `?` or `#` in it."""
    if "@" in parts.path:
        return ":" in parts.netloc + parts.path[: parts.path.rindex("@")]
    return "@" in parts.query + parts.fragment and not parts.path and ":" in parts.netloc


def without_user(url: str) -> str:
    """The URL without a user and a password, as a request has it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def authorization(url: str) -> dict[str, str]:
    """The header for the URL's user and password; none where it has no user."""
    parts = urlsplit(url)
    if parts.username is None:
        return {}
    import base64  # imported here: every manager imports this file, and few need it

    user = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return {"Authorization": f"Basic {base64.b64encode(user).decode()}"}
