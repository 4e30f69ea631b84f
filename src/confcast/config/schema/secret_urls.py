"""Masks the passwords in a URL, and nothing else of it: `postgres://user:**********@host/db`.

Guaranteed: where a text is no URL that every parser reads alike (a `/` or an `@` in a password that is not encoded, a
URL that was cut off, `https//user:…`), all that may be a password is masked, and what is shown is less. A user without
a password is shown: `https://token@host` has its token in the place of a user's name. And so is a password that is not
encoded and makes another whole URL of the text: of `1/a?b=c`, `u:1/a?b=c@h` has a host, a port, a path and a parameter.

Parameters are masked by their names, since nothing else says what they are. libpq takes `password`, `sslpassword`,
`oauth_client_secret` and SCRAM's keys, in a URL as in `host=db password=…`; redis-py takes `password` and
`ssl_password`; RabbitMQ's and pika's AMQP URLs take `password` (of a key file) and `ssl_options`; MongoDB's take
`tlsCertificateKeyFilePassword` and `authMechanismProperties`; webhooks take tokens, keys and signatures. So a name
counts by its end (`_ENDS`) or as a whole (`_NAMES`).

Rejected: parsing by `urllib` or by pydantic_core (both refuse, or misread, the texts that are quoted in an error), and
masking the whole value (a person who looks for the wrong host has to see it).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from confcast.config.schema.kinds import loaded
from confcast.config.schema.masking import MASK, Replacement

# Compiled by the first URL (`re` keeps them): every worker imports this file, and few have a URL to show.
_URL = r"(?is)(?:[a-z][a-z0-9+.-]*:){1,2}//(?P<hosts>[^/?#\\]*)(?P<path>[^?#]*)(?P<rest>.*)"
_HOST = (
    r"(?i)(?:(?P<user>[^:@,\s\"\[\]]*)(?P<colon>:(?P<password>[^@,\s]*))?@)?"
    r"(?:\[[0-9a-f:.%]*\]|[^\s:@,\[\]]*)(?P<port>:[0-9]{0,5})?"
)
_EMPTY_PORT = ":(?:[,@]|$)"
_AT_IN_VALUE = r"""/[^?\s"\\\[\]]*\?[^#@\s"\\\[\]]*=[^#@\s"\\\[\]]*@"""
_HOST_AND_PORT = r"[\w.-]*:[0-9]{1,5}(?:/[^@]*)?"
_BEGIN = r"(?i)(?:jdbc:)?[a-z][a-z0-9+.-]*:?//"

_SETTINGS = r"\s*\w[\w ]*="
"""The begin of libpq's other form, `host=db password=…`."""

_ENDS = ("password", "passwd", "pwd", "passphrase", "secret", "token", "signature", "apikey", "accesskey")
_NAMES = frozenset({"pass", "key", "sig", "scramclientkey", "scramserverkey", "ssloptions", "authmechanismproperties"})
_PARAMETER = r"""(?sx)
    (?:^|(?<=[?&;#\s]))(?P<name>[^=?&;#\s]+)(?P<equals>\s*=\s*)
    (?P<value>
        '(?:[^'\\]|\\.|'')*'(?=[&;\s]|\Z) | "(?:[^"]|"")*"(?=[&;\s]|\Z) | \{[^}]*\}(?=[&;\s]|\Z)
        | ['"{].*
        | (?:[^&;\s]|[;\s]+(?![;\s]|[\w.-][\w.\ -]{0,100}=))*
    )"""

_KEPT = "!$&'()*+,-._~"
"""What pydantic's parser leaves as it is in a password; it encodes the rest."""


class _Span(NamedTuple):
    """Where a text has a secret; `before` and `after` are what shows that it stands there, however short it is."""

    start: int
    end: int
    before: str
    after: str


def is_url_class(cls: type) -> bool:
    """Whether a class is one of pydantic's for URLs, or derived from one. Imports nothing."""
    # The bases have no public names; with a release that renames them, the codec refuses URL fields at start.
    bases = (loaded("pydantic.networks", "_BaseUrl"), loaded("pydantic.networks", "_BaseMultiHostUrl"))
    return issubclass(cls, (*bases, loaded("pydantic_core", "Url"), loaded("pydantic_core", "MultiHostUrl")))


def shown_url(text: str) -> str:
    """A URL as a person may see it."""
    shown, done = "", 0
    for span in _spans(text):
        shown += text[done : span.start] + MASK
        done = span.end
    return shown + text[done:]


def secrets_of_url(text: str) -> Iterator[Any]:
    """What `masking` has to mask in a text that may quote the URL, or its password, encoded or not."""
    for start, end, before, after in _spans(text):
        for form in dict.fromkeys(_forms(text[start:end])):
            yield form
            yield Replacement(f"{before}{form}{after}", f"{before}{MASK}{after}")


def _forms(secret: str) -> Iterator[str]:
    """A secret as the URL has it, as the application has it, and as libraries write it."""
    yield secret
    for plain in (unquote(secret), unquote_plus(secret)):
        yield plain
        yield quote_plus(plain, errors="replace")
        yield from (quote(plain, safe=safe, errors="replace") for safe in ("", _KEPT))


def _spans(text: str) -> list[_Span]:
    """The secrets of a text in their order; none within another."""
    parameters = list(_parameters(text))
    found = sorted([*_passwords(text, parameters), *parameters])
    spans: list[_Span] = []
    for each in found:
        if spans and each.start < spans[-1].end:
            spans[-1] = spans[-1]._replace(end=max(spans[-1].end, each.end))
        else:
            spans.append(each)
    return spans


def _parameters(text: str) -> Iterator[_Span]:
    for found in re.finditer(_PARAMETER, text):
        name = re.sub(r"[_.-]", "", unquote_plus(found["name"])).lower()
        if found["value"] and (name in _NAMES or name.endswith(_ENDS)):
            yield _Span(*found.span("value"), found["name"] + found["equals"], "")


def _passwords(text: str, parameters: list[_Span]) -> list[_Span]:
    found = re.fullmatch(_URL, text)
    spans = None if found is None or _may_be_cut_wrongly(found) else _of_hosts(found)
    if spans is not None:
        return spans
    colon = text.find(":")
    is_inside = any(each.start <= colon < each.end for each in parameters)
    return [] if re.match(_SETTINGS, text) and (is_inside or "@" not in text) else _possible(text)


def _may_be_cut_wrongly(url: re.Match[str]) -> bool:
    """Whether an `@` after the hosts may be the end of a password with a `/`, `?` or `#` in it.

    An `@` in a parameter's value is none, unless what stands before it is no URL, or has the colon of a password.
    """
    hosts, path, rest = url["hosts"], url["path"], url["rest"]
    if "@" in path:
        return ":" in hosts + path[: path.rindex("@")]
    if "@" not in rest or ":" not in hosts:
        return False
    return not path or re.search(_EMPTY_PORT, hosts) is not None or not re.match(_AT_IN_VALUE, path + rest)


def _of_hosts(url: re.Match[str]) -> list[_Span] | None:
    """The passwords of a URL with one host or several; None if it may be read in another way."""
    spans, start, ports = list[_Span](), url.start("hosts"), False
    for index, part in enumerate(url["hosts"].split(",")):
        host = re.fullmatch(_HOST, part)
        if host is None:
            return None
        has_user = host["user"] is not None
        if has_user and "@" in url.string[start + len(part) :] and (part.endswith("@") or ":@" in part):
            return None  # a password that begins or ends with an @
        if has_user and index and (ports or host["colon"] is None):
            return None  # what looks like another host may be the rest of a password with a comma in it
        ports = ports or (not has_user and host["port"] is not None)
        if host["password"]:
            spans.append(_Span(start + host.start("password"), start + host.end("password"), ":", "@"))
        start += len(part) + 1
    return spans


def _possible(text: str) -> list[_Span]:
    """All that may be a password in a text that is no clear URL: from a colon to the last `@`, or to the end."""
    begin = found.end() if (found := re.match(_BEGIN, text)) else 0
    if re.fullmatch(_HOST_AND_PORT, text[begin:]):
        return []
    at = text.rfind("@", begin)
    colon = text.find(":", begin, len(text) if at < 0 else at)
    end = len(text) if at < 0 else at
    return [_Span(colon + 1, end, ":", "@" if at >= 0 else "")] if 0 <= colon < end - 1 else []
