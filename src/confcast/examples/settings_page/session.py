"""Who is signed in, and which forms were this page's own.

A person signs in with a token of `Settings.administrators`, which is compared in constant time. The cookie that follows
is signed with that token, and so is the text in each form: there is no further key to keep, every worker can read
them, they outlive a restart, and a token that is replaced in its file ends its sessions in every worker at once.

A form of another site is refused three times: its browser sends the cookie with `SameSite=Strict` for no other site,
the text in the form belongs to one session, and `Origin` has to be this server's, also where nobody is signed in yet.

Rejected: sessions in a worker's memory (the next request meets another worker), Flask's `session` (its one `secret_key`
is set while the application is imported, and rotating it takes a restart).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from urllib.parse import urlsplit

from flask import Request
from itsdangerous import BadData, URLSafeTimedSerializer
from pydantic import SecretStr
from werkzeug.wrappers import Response

from confcast.examples.settings_page.settings import Settings

_COOKIE = "shop-session"
_SECONDS = 8 * 3600


def administrator_with(token: str, config: Settings) -> str | None:
    """Whose token it is; None for nobody's. Takes as long whichever it is, and wherever it differs."""
    given, found = token.encode("utf-8", "surrogateescape"), None
    for name, known in config.administrators.items():
        if hmac.compare_digest(known.get_secret_value().encode(), given):
            found = name
    return found


def begin(response: Response, name: str, config: Settings, *, secure: bool) -> None:
    """Sign a person in: give the browser a cookie for eight hours. `secure`: by TLS only."""
    text = _signer(config.administrators[name], "session").dumps([name, secrets.token_urlsafe(9)])
    response.set_cookie(_COOKIE, str(text), _SECONDS, secure=secure, httponly=True, samesite="Strict")


def end(response: Response) -> None:
    """Sign this browser out."""
    response.delete_cookie(_COOKIE, httponly=True, samesite="Strict")


def signed_in(request: Request, config: Settings) -> str | None:
    """Who sends this request; None for nobody who is signed in."""
    for name, token in config.administrators.items():
        content = _read(token, "session", request.cookies.get(_COOKIE, ""))
        if isinstance(content, list) and content[:1] == [name]:
            return name
    return None


def form_token(request: Request, name: str, config: Settings) -> str:
    """The text that a form of this session carries."""
    return str(_signer(config.administrators[name], "form").dumps(_fingerprint(request)))


def is_own_form(request: Request, name: str, config: Settings) -> bool:
    """Whether the form was made for this very session."""
    return _read(config.administrators[name], "form", request.form.get("form_token", "")) == _fingerprint(request)


def is_of_this_site(request: Request) -> bool:
    """Whether a browser says that the form stood on a page of this server; programs that say nothing are let in."""
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host


def _fingerprint(request: Request) -> str:
    """Of the session: the cookie itself is for no page's text, where scripts could read it."""
    return hashlib.sha256(request.cookies[_COOKIE].encode()).hexdigest()


def _signer(token: SecretStr, purpose: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        token.get_secret_value(), salt=f"settings page, {purpose}", signer_kwargs={"digest_method": hashlib.sha256}
    )


def _read(token: SecretStr, purpose: str, text: str) -> object:
    try:
        return _signer(token, purpose).loads(text, max_age=_SECONDS)
    except BadData:
        return None
