"""Reads a document from a server as a source, and asks for it again from time to time.

Guarantees. A load asks for the whole document; between loads the server is asked about every `every` seconds whether it
has another one, which a load then reads. A server that does not answer (408, 429 and 5xx are no answers) changes
nothing: the last document that could be parsed stays, from the memory of this process or from the state folder, and
that is said once, and in `status`. Any other answer that is no document is a fault, and refuses the load: 404, a page
of HTML, a redirect to elsewhere. No message shows a token, a password or a query, or quotes the document.

What the server calls a document (ETag, or else Last-Modified) is sent back as it stood in the last 200, as a text: a
304 may have another form of it. It is not sent back where the document was written in the second in which it was sent:
a second change within that second would have the same names (nginx makes them of size and second).

Rejected: to ask a load's question by these names, too (what a person reloads by hand has to be the truth), to take a
document for one that is cut (see `wire/http_exchange.py`), and to take what a server says of freshness
(`Cache-Control`) for the time between two polls.
"""

from __future__ import annotations

import base64
import contextlib
import email.utils
import logging
import math
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import unquote, urlsplit, urlunsplit

import msgspec

from confcast.config.schema.kinds import Secret
from confcast.config.sources import disk, last_known, polled
from confcast.config.sources.file import _SUFFIXES, FORMATS, Format
from confcast.config.sources.formats.common import MAX_BYTES
from confcast.config.sources.layer import Layer, fingerprint_of
from confcast.config.sources.polled import Told
from confcast.errors import ConfigError, Problem
from confcast.log_fields import about
from confcast.wire import urls
from confcast.wire.http_exchange import Reply, Unanswered, Unusable, get
from confcast.wire.messages import WithSecrets

if TYPE_CHECKING:
    from pydantic import SecretStr

_log = logging.getLogger("confcast.loader")

_LONGEST_TIMEOUT = 600.0
_LONGEST_PAUSE = 3600.0
_SAME_SECOND = 2.0
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x20-\x7e\x80-\xff]+")
_OWN = frozenset({"host", "connection", "content-length", "transfer-encoding", "accept-encoding", "authorization"})
_UNAVAILABLE = frozenset({408, 429, *range(500, 600)})
_TYPES: dict[str, Format] = {
    **dict.fromkeys(("application/toml", "text/toml", "text/x-toml"), "toml"),
    **dict.fromkeys(("application/json", "text/json"), "json"),
    "application/jsonc": "jsonc",
    **dict.fromkeys(("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml"), "yaml"),
}
_PAGES = frozenset({"text/html", "application/xhtml+xml"})


@dataclass(frozen=True)
class _Document:
    """A document that could be parsed.

    Attributes:
        told: The answer.
        tag: Its ETag, and Last-Modified: empty for none, or for one that may be another document's, too.
        modified: See `tag`.
        at: When it was read, in seconds since 1970.
    """

    told: Told
    tag: str
    modified: str
    at: float


@dataclass(frozen=True)
class _Answer(Told):
    """What a request has found, and what is known from before.

    Attributes:
        last: The last document that could be parsed.
        stale_since: Since when the server has given no answer, in seconds since 1970; 0.0 if it has.
        why: Why it gives none.
    """

    last: _Document | None = None
    stale_since: float = 0.0
    why: str = ""


class _Options(WithSecrets, frozen=True, kw_only=True):
    SHOWN = ("shown",)

    every: float = 30.0
    format: Format | None = None
    timeout: float = 5.0
    max_bytes: int = MAX_BYTES
    allow_empty: bool = False
    headers: tuple[tuple[str, Annotated[str, Secret]], ...] = ()
    token: Annotated[str, Secret] = ""
    token_file: str = ""


class Http(_Options, frozen=True):
    """A document that a server gives, by HTTP.

        Http("https://config.example/shop.toml", token=Path("/run/secrets/config_token"))

    The config owner asks for it at each load, and looks every `every` seconds, a tenth sooner or later, whether it has
    changed. While the server does not answer, or answers 408, 429 or 5xx, its last document stays in use. With
    `state_dir` that is kept on disk (mode 0600) and used at a start, too; without, a start needs the server. Each other
    answer than a document is a fault. Redirects are followed within the same scheme, host and port. Certificates are
    verified, by the system's authorities, or those that SSL_CERT_FILE names. Proxies of the environment are not used.

    Args:
        url: `http://` or `https://`. A user and a password in it are sent as Basic authentication; neither they nor the
            query are shown.
        every: Seconds between two looks. A server that says `Retry-After` is given that time, an hour at the most.
        format: As of `File`; if not given, the URL's suffix says which, or else the answer's Content-Type.
        timeout: Seconds for a whole exchange, redirects and the search for the name included.
        max_bytes: Bytes of the largest document that is read; 16 MiB at the most.
        allow_empty: Whether the document may be empty; an empty one sets no key.
        headers: What is sent, too. Values may be a `SecretStr`, and are never shown.
        token: A bearer token, as a `SecretStr`, or the Path of a file that holds it, which each request reads anew.

    Raises:
        ValueError: The URL, a header or an option is none.
        TypeError: The token or a header is no text.
    """

    url: Annotated[str, Secret]

    if TYPE_CHECKING:
        # A Struct that is sent to another process has texts; callers give secrets and paths.
        def __init__(
            self,
            url: str,
            *,
            every: float = 30.0,
            format: Format | None = None,  # noqa: A002
            timeout: float = 5.0,
            max_bytes: int = MAX_BYTES,
            allow_empty: bool = False,
            headers: Mapping[str, str | SecretStr] | tuple[tuple[str, str], ...] = (),
            token: SecretStr | Path | str = "",
            token_file: str = "",
        ) -> None: ...

    def __post_init__(self) -> None:
        if not _is_url(self.url):
            raise ValueError("url: a URL that begins with http:// or https:// is expected, without blanks")
        polled.checked_seconds("every", self.every, polled.LONGEST)
        polled.checked_seconds("timeout", self.timeout, _LONGEST_TIMEOUT)
        if type(self.max_bytes) is not int or not 0 < self.max_bytes <= MAX_BYTES:
            raise ValueError(f"max_bytes={self.max_bytes!r}: a number of bytes, at most {MAX_BYTES}, is expected")
        if self.format not in (None, *_SUFFIXES.values()):
            raise ValueError(f"unknown format {self.format!r}: it has to be {FORMATS}")
        given: Any = self.token
        if isinstance(given, os.PathLike):
            self._set("token_file", str(Path(given).absolute()))
            given = ""
        self._set("token", _plain("token", given))
        self._set("headers", tuple(_header(*each) for each in dict(self.headers).items()))
        if self.token and not _VALUE.fullmatch(self.token):
            raise ValueError("token: one line of printable characters is expected")
        if (self.token or self.token_file) and "@" in urlsplit(self.url).netloc:
            raise ValueError("a token, and a user in the URL: a request can have one of them only")

    def _set(self, name: str, value: object) -> None:
        msgspec.structs.force_setattr(self, name, value)

    @property
    def shown(self) -> str:
        """The URL as messages show it: without its user, its password and its query."""
        return urls.shown(self.url)

    def read(self) -> Layer:
        """Ask for the document, and parse it. May take `timeout` seconds.

        Raises:
            ConfigError: There is none, or it is none of its format, or the server does not answer and has given none
                before.
        """
        return polled.ask(self, self.every, self._for_a_load).given()

    def content_fingerprint(self) -> bytes:
        """The fingerprint of what the last request has found; nothing is asked. Never raises."""
        return polled.fingerprint(self)

    def poll(self) -> float:
        """Look whether there is another document, if it is time; returns the seconds until the next look."""
        return polled.poll(self, self.every, lambda before: self._asked(before, whole=False))

    def stale(self) -> str:
        """That the server does not answer, and since when, as a sentence; empty if it does, or was not asked."""
        answer: _Answer | None = polled.newest(self)
        if answer is None or not answer.stale_since or answer.last is None:
            return ""
        since, at = _when(answer.stale_since), _when(answer.last.at)
        return f"{self.shown}: stale since {since}: {answer.why}; what it gave at {at} is used"

    def _text_called(self, shown: str) -> bytes | None:
        """The document, if messages call this source so."""
        return polled.text_called(self, shown)

    def _asked_now(self) -> _Answer:
        return polled.asked(self, self.every, self._for_a_load)

    # ---- one request

    def _for_a_load(self, before: _Answer | None) -> _Answer:
        return self._asked(before, whole=True)

    def _asked(self, before: _Answer | None, *, whole: bool) -> _Answer:
        """Ask, and say what is known then; `whole`: for the document, though it is the one that is known."""
        last = None if before is None else before.last
        headers = {"User-Agent": "confcast", **dict(self.headers)}
        if not whole and last is not None:
            headers |= {"If-None-Match": last.tag} if last.tag else {}
            headers |= {"If-Modified-Since": last.modified} if last.modified and not last.tag else {}
        try:
            headers |= self._authorization()
            reply = get(self._address(), headers, timeout=self.timeout, most=self.max_bytes)
        except ConfigError as error:
            return self._fault(error.problems[0].message, last, shown=error.problems[0].location)
        except Unanswered as error:
            return self._unanswered(before, str(error))
        except Unusable as error:
            return self._fault(str(error), last)
        if reply.status in _UNAVAILABLE:
            why = f"it answers with status {reply.status}"
            return self._unanswered(before, why, _seconds(reply.headers.get("retry-after", "")))
        found = self._answer(reply, last, asked_by_name=not headers.keys().isdisjoint(_BY_NAME))
        if before is not None and before.stale_since and found.layer is not None:
            _log.info("%s answers again", self.shown, extra=about("source_answers_again", source=self.shown))
        return found

    def _answer(self, reply: Reply, last: _Document | None, *, asked_by_name: bool) -> _Answer:
        if reply.status == 304 and asked_by_name and last is not None:
            return _as_answer(last.told, last)
        if reply.status == 304:
            return self._fault("answers with status 304 (not modified), though it was asked for the document", last)
        if reply.status != 200:
            missing = "file_not_found" if reply.status in (404, 410) else "io_error"
            return self._fault(f"answers with status {reply.status}", last, reason=missing)
        kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
        form = self.format or _SUFFIXES.get(PurePosixPath(urlsplit(self.url).path).suffix.lower()) or _of_type(kind)
        if kind in _PAGES:
            return self._fault(
                f"answers with a page of HTML ({kind}) where {form or 'a document'} is expected: an error, or a login",
                last,
            )
        if form is None:
            return self._fault("says by neither a suffix nor a Content-Type which format it has: give format=", last)
        told = self._parsed(reply.body, form, last)
        if told.layer is None:
            return _as_answer(told, last)
        document = _Document(told, *_names(reply.headers), time.time())
        self._keep(document, last, form, reply.body)
        return _as_answer(told, document)

    def _parsed(self, body: bytes, form: Format, last: _Document | None) -> Told:
        if last is not None and last.told.fingerprint == polled.mark_of(body, form):
            return last.told
        return polled.parsed(body, form, self.shown, allow_empty=self.allow_empty)

    def _unanswered(self, before: _Answer | None, why: str, pause: float = 0.0) -> _Answer:
        last = before.last if before is not None else None
        last = last or self._kept()
        if last is None:
            text = f"can't be reached: {why}" if not why.startswith("it answers") else why.removeprefix("it ")
            hint = "" if last_known.outlives_a_stop() else " (state_dir keeps it)"
            told = polled.fault(f"{text}; what it gave before is not known{hint}", self.shown, same="unanswered")
            return _as_answer(told, None, pause=pause)
        since = before.stale_since if before is not None and before.stale_since else time.time()
        answer = _as_answer(last.told, last, pause=pause, stale_since=since, why=why)
        if before is None or not before.stale_since:
            used = f"what it gave at {_when(last.at)} is used"
            _log.warning(
                "%s: stale since %s: %s; %s",
                self.shown,
                _when(since),
                why,
                used,
                extra=about("source_stale", source=self.shown, since=since, error=why),
            )
        return answer

    def _fault(self, text: str, last: _Document | None, *, shown: str = "", reason: str = "io_error") -> _Answer:
        return _as_answer(polled.fault(text, shown or self.shown, reason=reason), last)

    def _address(self) -> str:
        """The URL without a user, a password and a fragment."""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))

    def _name(self) -> str:
        """What the document is kept under: by a user, a header or a token, one address may give several documents."""
        user = unquote(urlsplit(self.url).username or "")
        asks = (user, self.token, self.token_file, *sorted((name.lower(), value) for name, value in self.headers))
        return self._address() + (f"#{fingerprint_of(repr(asks).encode()).hex()}" if any(asks) else "")

    def _authorization(self) -> dict[str, str]:
        """The header that says who asks. Raises ConfigError, if the token's file can't be read."""
        parts = urlsplit(self.url)
        if "@" in parts.netloc:
            user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}".encode()
            return {"Authorization": f"Basic {base64.b64encode(user).decode()}"}
        token = self._token_of_file() if self.token_file else self.token
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _token_of_file(self) -> str:
        try:
            token = disk.read_now(self.token_file).decode("latin-1").strip()
        except OSError as error:
            raise self._no_token(f"can't be read: {error.strerror}") from None
        except disk.NotReadable as error:
            raise self._no_token(str(error)) from None
        if not _VALUE.fullmatch(token):
            raise self._no_token("is empty" if not token else "has more than one line, or what is no token")
        return token

    def _no_token(self, text: str) -> ConfigError:
        return ConfigError([Problem("", f"the token's file {text}", self.token_file)])

    # ---- the last document

    def _keep(self, document: _Document, last: _Document | None, form: Format, body: bytes) -> None:
        known = last is not None and last.told.fingerprint == document.told.fingerprint
        if last is None or not known or (last.tag, last.modified) != (document.tag, document.modified):
            kept = last_known.Kept(self._name(), form, body, document.tag, document.modified, document.at)
            last_known.save(kept, self.shown)

    def _kept(self) -> _Document | None:
        """The document that an earlier process has read; None if it is not kept, or can't be parsed any more."""
        kept = last_known.find(self._name(), self.shown)
        if kept is None or kept.form not in _SUFFIXES.values() or len(kept.body) > self.max_bytes:
            return None
        form = next(each for each in _SUFFIXES.values() if each == kept.form)
        told = polled.parsed(kept.body, form, self.shown, allow_empty=self.allow_empty)
        return _Document(told, kept.tag, kept.modified, kept.at) if told.layer is not None else None


_BY_NAME = frozenset({"If-None-Match", "If-Modified-Since"})


def _as_answer(
    told: Told, last: _Document | None, *, pause: float = 0.0, stale_since: float = 0.0, why: str = ""
) -> _Answer:
    return _Answer(
        told.fingerprint,
        told.layer,
        told.problem,
        told.reason,
        told.path,
        told.content,
        pause,
        last,
        stale_since,
        why,
    )


def _names(headers: Mapping[str, str]) -> tuple[str, str]:
    """The ETag and the Last-Modified of a document; none if it was written in the second in which it was sent."""
    tag, modified = headers.get("etag", "").strip(), headers.get("last-modified", "").strip()
    written, sent = _date(modified), _date(headers.get("date", ""))
    if written is not None and sent is not None and sent - written < _SAME_SECOND:
        return "", ""
    return tag, modified


def _date(text: str) -> float | None:
    """A date of a header, in seconds since 1970; None for what is none."""
    with contextlib.suppress(ValueError, TypeError, OverflowError, IndexError):
        return email.utils.parsedate_to_datetime(text).timestamp() if text else None
    return None


def _seconds(text: str) -> float:
    """What `Retry-After` asks for, an hour at the most; 0.0 for nothing."""
    text = text.strip()
    seconds = float(text) if text.isascii() and text.isdigit() else (_date(text) or 0.0) - time.time()
    return min(max(seconds, 0.0), _LONGEST_PAUSE) if math.isfinite(seconds) else _LONGEST_PAUSE


def _of_type(kind: str) -> Format | None:
    return "json" if kind.endswith("+json") else "yaml" if kind.endswith("+yaml") else _TYPES.get(kind)


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def _is_url(url: Any) -> bool:
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        (parts.hostname or "").encode("idna")
    except (ValueError, AttributeError, TypeError):
        return False
    return known and not any(character <= " " or character == "\x7f" for character in url)


def _header(name: str, value: object) -> tuple[str, str]:
    """A header to be sent. Raises ValueError, TypeError; the value is not shown."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"headers: {name!r} is no name of a header")
    if name.lower() in _OWN or name.lower().startswith("if-"):
        raise ValueError(f"headers: {name} is sent as the request needs it{_HOW.get(name.lower(), '')}")
    text = _plain(f"headers: {name}", value)
    if not _VALUE.fullmatch(text):
        raise ValueError(f"headers: {name}: one line of printable characters is expected")
    return name, text


_HOW = {"authorization": ": give token=, or the user and the password in the URL"}


def _plain(name: str, value: Any) -> str:
    """A text, or that of a `SecretStr`. Raises TypeError."""
    text = value.get_secret_value() if hasattr(value, "get_secret_value") else value
    if not isinstance(text, str):
        raise TypeError(f"{name}: a text or a SecretStr is expected, not a {type(text).__name__}")
    return text
