"""The tokens that let requests in: one line each in a file, `NAME ROLE TOKEN`; ROLE is `read` or `write`.

Guarantees. The file is made with mode 0600, whole, and never over another one. A file that others can read, or that is
another user's, is refused in words. In memory there are SHA-256 digests alone, and a token is compared with each of
them in constant time. The file is read anew when it has changed; one that can't be read then leaves in force what was
read before, and is said once. No token is logged, printed, or in an error.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import secrets
import stat
from pathlib import Path
from typing import NamedTuple

from confcast.errors import ConfcastError
from confcast.log_fields import about
from confcast.texts import printable

MOST = 256
"""How many tokens a file may have."""

_MOST_BYTES = 64 * 1024
_SHORTEST = 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_WORD = re.compile(rb"[A-Za-z0-9._~-]{%d,}" % _SHORTEST)
_ROLES = ("read", "write")

_log = logging.getLogger("confcast.admin")


class BadTokens(ConfcastError):
    """The file of tokens can't be used; the text says why, and what to do."""


class Token(NamedTuple):
    """Who a token is.

    Attributes:
        name: The name in the file, which the history has.
        may_write: Whether it may change anything.
    """

    name: str
    may_write: bool


class Tokens:
    """The tokens of a file.

    Args:
        path: The file. It is made if it is not there.

    Attributes:
        made: Whether it was made by this.

    Raises:
        BadTokens: It can't be made, read or used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.made = _make(path)
        self._known, self._stamp = _read(path)
        self._refused = ""

    def refresh(self) -> None:
        """Read the file, if it has changed."""
        try:
            if _stamp(self._path) == self._stamp:
                return
            self._known, self._stamp = _read(self._path)
            self._refused = ""
            told = about("admin_tokens_read", path=self._path, tokens=len(self._known))
            _log.info("%s: read anew: %d tokens", printable(str(self._path)), len(self._known), extra=told)
        except (BadTokens, OSError) as error:
            if str(error) != self._refused:
                told = about("admin_tokens_refused", path=self._path, error=error)
                _log.error("%s; the tokens of before are in force on", error, extra=told)
            self._refused = str(error)

    def whose(self, authorization: bytes) -> Token | None:
        """The token that a header `Authorization` has; None if it has none of them."""
        scheme, _, token = authorization.partition(b" ")
        return self._find(token.strip()) if scheme.lower() == b"bearer" else None

    def are_in(self, text: bytes) -> bool:
        """Whether a text, as of a URL, has one of them in it."""
        return any(self._find(word) is not None for word in _WORD.findall(text))

    def _find(self, token: bytes) -> Token | None:
        """All are compared, so that the time tells nothing of which it is."""
        given, found = hashlib.sha256(token).digest(), None
        for digest, each in self._known:
            if hmac.compare_digest(digest, given):
                found = each
        return found


def default_path() -> Path:
    """Where the file is unless it is said: in `$XDG_STATE_HOME/confcast`, else in `~/.local/state/confcast`.

    Raises BadTokens: this user has no home.
    """
    given = os.environ.get("XDG_STATE_HOME", "")
    try:
        base = Path(given) if given.startswith("/") else Path.home() / ".local" / "state"
    except RuntimeError as error:  # this user has no home
        raise BadTokens("this user has no folder for the file of tokens: give it by --token-file") from error
    return base / "confcast" / "admin-tokens"


def _make(path: Path) -> bool:
    """Make the file with a token of each role, unless it is there. Two that start at once leave one whole file."""
    if path.exists() or path.is_symlink():
        return False
    lines = [f"{name} {role} {secrets.token_urlsafe(32)}\n" for name, role in (("viewer", "read"), ("admin", "write"))]
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write("".join(lines).encode())
                file.flush()
                os.fsync(descriptor)
            try:
                os.link(temporary, path)  # not rename(): that would replace a file that was made meanwhile
            except FileExistsError:
                return False
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise BadTokens(
            f"{printable(str(path))}: the file of tokens can't be made: {error.strerror}; give one by --token-file"
        ) from error
    return True


def _stamp(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def _read(path: Path) -> tuple[list[tuple[bytes, Token]], tuple[int, ...]]:
    shown = printable(str(path))
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO would hang
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise BadTokens(f"{shown}: the file of tokens is no regular file")
            if status.st_uid not in (os.geteuid(), 0):
                raise BadTokens(f"{shown}: the file of tokens is of uid {status.st_uid}: it has to be yours, or root's")
            if loose := stat.S_IMODE(status.st_mode) & 0o077:
                raise BadTokens(f"{shown}: others may open it (mode {loose:03o} beside yours): chmod 600 {shown}")
            content = file.read(_MOST_BYTES + 1)
            stamp = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
    except OSError as error:
        raise BadTokens(f"{shown}: the file of tokens can't be read: {error.strerror}") from error
    return _parse(content, shown), stamp


def _parse(content: bytes, shown: str) -> list[tuple[bytes, Token]]:
    """The tokens of a file's content. Errors name lines, never what is in them."""
    found = list[tuple[bytes, Token]]()
    if len(content) > _MOST_BYTES:
        raise BadTokens(f"{shown}: at most {_MOST_BYTES} bytes are expected")
    for number, line in enumerate(content.splitlines(), 1):
        if (words := line.split()) and not line.lstrip().startswith(b"#"):
            found.append(_of_line(words, f"{shown}:{number}"))
    if not found or len(found) > MOST:
        raise BadTokens(f"{shown}: 1 to {MOST} lines `NAME ROLE TOKEN` are expected, and there are {len(found)}")
    names = [each.name for _, each in found]
    if double := next((name for name in names if names.count(name) > 1), None):
        raise BadTokens(f"{shown}: two tokens are called {double!r}: the history would not tell who was who")
    return found


def _of_line(words: list[bytes], where: str) -> tuple[bytes, Token]:
    if len(words) != 3:
        raise BadTokens(f"{where}: three words are expected, NAME ROLE TOKEN, and there are {len(words)}")
    name, role, token = words[0].decode(errors="replace"), words[1].decode(errors="replace"), words[2]
    if not _NAME.fullmatch(name):
        raise BadTokens(f"{where}: a name has at most 64 of A-Z a-z 0-9 . _ @ -, the first a letter or digit")
    if role not in _ROLES:
        raise BadTokens(f"{where}: the role of {name!r} has to be read or write")
    if not _WORD.fullmatch(token):
        text = f"{where}: the token of {name!r} has to have {_SHORTEST} or more of A-Z a-z 0-9 . _ ~ -: make one by"
        raise BadTokens(f"{text} `openssl rand -hex 32`")
    return hashlib.sha256(token).digest(), Token(name, role == "write")
