"""Where an engine is, and how a connection proves who it is: a URL, and files that may rotate.

Guarantees: a password is shown in no message; a URL in which it can't be told what the password is, is refused, without
being quoted. Of addresses that are none, or may be half a password, nothing is shown. A password in a file is read anew
for each connection, so that a rotated one is used without a restart. A scheme with TLS verifies the server's
certificate and name, always; there is no option to turn that off.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, unquote, urlsplit

from confcast.config.schema.kinds import Secret
from confcast.config.schema.secret_urls import shown_url
from confcast.fleet.engines.engine import Fault
from confcast.fleet.engines.tls_contexts import Files, context_of
from confcast.wire.messages import WithSecrets
from confcast.wire.ssl_at_use import ssl

_MOST = 64 * 1024  # bytes of a file with a password
_MASK = "***"
_ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:.%\w]+\]|[^\s:@\[\]]*)(?::[0-9]{0,5})?")
_BRACKETS = str.maketrans("", "", "[]")
_WHERE = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)([^/?#]*)")
"""What may be several addresses: from Python 3.14 on, urlsplit takes none with brackets beside others."""
_ENCODED = (
    "a user or password has %2F for /, %3F for ?, %23 for #, %5B for [, %5D for ], %20 for a space; or give the"
    " password in a file"
)


class Access(WithSecrets, frozen=True, kw_only=True):
    """How to reach an engine.

    Attributes:
        url: Its URL; what comes after the address is the engine's.
        secret: The password or token, if it is in neither the URL nor a file.
        password_file: The file with the password or token; it goes before the others. Empty for none.
        ca_file: The authorities that the server's certificate is verified by; empty: the system's.
        cert_file: This side's certificate, for mutual TLS; empty for none.
        key_file: Its key; empty if it is in `cert_file`.

    Raises:
        ValueError: The URL can't be read, or a password in it is cut off by a sign that is to be encoded.
    """

    SHOWN = ("shown",)

    url: Annotated[str, Secret]
    secret: Annotated[str, Secret] = ""
    password_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""

    def __post_init__(self) -> None:
        try:
            parts = self.parts
        except ValueError:  # whose text may quote the password
            raise ValueError(f"url: it is none: {_ENCODED}") from None
        if _is_cut(parts):
            raise ValueError(f"url: there is an @ behind the address: {_ENCODED}")

    @property
    def parts(self) -> SplitResult:
        """The URL's parts. Raises ValueError."""
        where = _WHERE.match(self.url)
        if where is None or where[2].count("[") != where[2].count("]"):
            return urlsplit(self.url)
        plain = where[2].translate(_BRACKETS)
        return urlsplit(where[1] + plain + self.url[where.end() :])._replace(netloc=where[2])

    @property
    def shown(self) -> str:
        """The URL as messages show it: without user, password and query."""
        parts = self.parts
        _, at, addresses = parts.netloc.rpartition("@")
        if ("@" in parts.query and not at) or not all(map(_ADDRESS.fullmatch, addresses.split(","))):
            return f"{parts.scheme}://{_MASK}"
        return f"{parts.scheme}://{f'{_MASK}@' if at else ''}{addresses}{parts.path}"

    def check(self) -> None:
        """See that the addresses are some, whatever the engine makes of the rest. Raises Fault, in words."""
        if not self.url.isprintable() or " " in self.url:
            raise Fault(f"{self.shown}: there is a space, or a sign that is not printed, in the URL: {_ENCODED}")
        if "#" in self.url:
            raise Fault(f"{self.shown}: nothing is expected behind a #: {_ENCODED}")
        if self.shown == f"{self.parts.scheme}://{_MASK}":
            raise Fault(f"{self.shown}: HOST, HOST:PORT or [ADDRESS]:PORT is expected, a comma between two: {_ENCODED}")
        hosts = self.hosts
        if any(port == 0 for _, port in hosts):
            raise Fault(f"{self.shown}: a port is a number from 1 to 65535")
        if len(hosts) > 1 and not all(self.parts.netloc.rpartition("@")[2].split(",")):
            raise Fault(f"{self.shown}: there is a comma too much")

    @property
    def password_in_url(self) -> bool:
        """Whether a password stands in the URL, where a list of processes shows it."""
        parts = self.parts
        return shown_url(self.url) != self.url or ":" in parts.netloc.rpartition("@")[0]

    @property
    def hosts(self) -> list[tuple[str, int | None]]:
        """The host and the port (None: the engine's own) of each address: `etcd://one:2379,two:2379`. Raises Fault."""
        found = []
        for each in self.parts.netloc.rpartition("@")[2].split(","):
            one = urlsplit(f"//{each}")
            try:
                found.append((one.hostname or "127.0.0.1", one.port))
            except ValueError:
                raise Fault(f"{self.shown}: a port is a number up to 65535") from None
        return found

    @property
    def user(self) -> str:
        """The user in the URL; empty for none."""
        return unquote(self.parts.netloc.rpartition("@")[0].partition(":")[0])

    def password(self) -> str:
        """The password now: of the file, or else the given one; empty for none. Raises Fault for a file without one."""
        if not self.password_file:
            return self.secret or unquote(self.parts.netloc.rpartition("@")[0].partition(":")[2])
        try:
            with Path(self.password_file).open("rb") as file:
                content = file.read(_MOST + 1)
            text = content.decode().removesuffix("\n").removesuffix("\r")
        except OSError as error:
            raise Fault(f"{self.password_file}: the password can't be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise Fault(f"{self.password_file}: the password is not UTF-8") from error
        if not text or len(content) > _MOST:
            raise Fault(f"{self.password_file}: one line with a password is expected")
        return text

    def tls(self) -> ssl.SSLContext:
        """A context that verifies the server, with this side's certificate. Raises Fault if a file is none.

        Others share it, as long as the files are the same: nobody may change it.
        """
        try:
            return context_of(Files(self.ca_file, self.cert_file, self.key_file))
        except (OSError, ssl.SSLError) as error:
            files = ", ".join(filter(None, (self.ca_file, self.cert_file, self.key_file)))
            raise Fault(f"{files or 'the system'}: no certificates for TLS can be read: {error}") from error


def _is_cut(parts: SplitResult) -> bool:
    """Whether a user and password with a `/`, `?` or `#` in it may have been taken for the address and what follows.

    An option of a query may have an `@` (`?user=me@server`), where nothing before looks like the begin of a password.
    """
    if "@" in parts.path + parts.fragment:
        return True
    _, colon, port = parts.netloc.rpartition(":")
    looks_cut = bool(colon) and not port.isdecimal() and not port.endswith("]")
    before = parts.query.partition("@")[0]
    return "@" in parts.query and ("=" not in before or (looks_cut and "@" not in parts.netloc))
