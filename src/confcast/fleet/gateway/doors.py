"""Who may come in: certificates, tokens, and what a gateway listens on without either.

Guarantees. Without tokens or an authority for the hosts' certificates, a gateway listens on loopback alone. Tokens are
looked up by their SHA-256: the time that takes tells of digests alone, which no stranger can choose, and not of tokens.
A thousand tokens cost no more than one, for each line of each stream. The file of tokens, and the gateway's own
certificate, are read anew when they have changed; a file that can't be read then leaves in force what was read before,
and is said once. A host whose token was taken away loses its stream at the next line.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import os
import ssl
from pathlib import Path
from typing import NamedTuple

from confcast.fleet.gateway.errors import DoorError
from confcast.log_fields import about

_MOST = 64 * 1024
_SHORTEST = 16

_log = logging.getLogger("confcast.fleet")


class Address(NamedTuple):
    """What to listen on."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def address(text: str, option: str = "--listen") -> Address:
    """The address of `127.0.0.1:9180` or `[::1]:9180`; `option`: who has given it. Raises DoorError."""
    host, colon, port = text.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not host or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise DoorError(f"{option} {text}: HOST:PORT is expected, such as 127.0.0.1:9180 or [::]:9180")
    return Address(host, int(port))


def check(where: Address, *, tokens: bool, client_ca: bool) -> None:
    """Raises DoorError if anybody on a network could come in."""
    if tokens or client_ca or where.is_loopback:
        return
    raise DoorError(
        f"--listen {where}: anybody who can connect would read the configuration: give --client-ca with --tls-cert"
        " (hosts show a certificate) or --token-file (hosts show a token), or listen on 127.0.0.1"
    )


class Tokens:
    """The tokens that are let in: one line each, in a file.

    Raises:
        DoorError: The file can't be read, or has no token, or one that can be guessed.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._stamp = _stamp(path)
        self._digests = _read_tokens(path)
        self._refused = ""

    def refresh(self) -> None:
        """Read the file, if it has changed."""
        try:
            stamp = _stamp(self._path)
            if stamp == self._stamp:
                return
            self._digests, self._stamp, self._refused = _read_tokens(self._path), stamp, ""
        except DoorError as error:
            if str(error) != self._refused:
                _log.error(
                    "%s; the tokens of before are in force on", error, extra=about("tokens_not_renewed", error=error)
                )
            self._refused = str(error)

    def allow(self, authorization: str) -> bool:
        """Whether the value of a header `Authorization` has one of them."""
        scheme, _, token = authorization.partition(" ")
        given = hashlib.sha256(token.strip().encode(errors="surrogateescape")).digest()
        return scheme.lower() == "bearer" and given in self._digests


class Tls:
    """The gateway's certificate, and the authority of its hosts' certificates.

    Args:
        cert: The file of the certificate, with those between it and its authority.
        key: The file of its key; empty if it is in `cert`.
        client_ca: The authorities that a host's certificate is verified by; empty: hosts show none.

    Raises:
        DoorError: A file is not what it has to be.
    """

    def __init__(self, cert: str, key: str, client_ca: str) -> None:
        self._cert, self._key = cert, key or cert
        self._stamps = self._now()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._load(self.context)
        self._refused = ""
        if client_ca:
            try:
                self.context.load_verify_locations(client_ca)
            except (OSError, ssl.SSLError) as error:
                raise DoorError(f"--client-ca {client_ca}: no authorities can be read: {error}") from error
            self.context.verify_mode = ssl.CERT_REQUIRED

    def refresh(self) -> None:
        """Show new connections a renewed certificate, if it has changed and is whole."""
        try:
            if (stamps := self._now()) == self._stamps:
                return
            self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))  # half of a renewal would spoil the one in use
            self._load(self.context)
            self._stamps, self._refused = stamps, ""
        except DoorError as error:
            if str(error) != self._refused:
                _log.error(
                    "%s; the certificate of before is shown on",
                    error,
                    extra=about("certificate_not_renewed", error=error),
                )
            self._refused = str(error)

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self._cert, self._key, password=_no_password)
        except (OSError, ssl.SSLError) as error:
            raise DoorError(f"{self._cert}, {self._key}: no certificate with its key can be read: {error}") from error

    def _now(self) -> tuple[object, ...]:
        return _stamp(self._cert), _stamp(self._key)


def _no_password() -> str:
    """OpenSSL would ask the terminal for it."""
    raise ssl.SSLError("the key has a password: give one without, that only this user may read")


def _stamp(path: str) -> tuple[int, ...]:
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError as error:
        raise DoorError(f"{path}: it can't be read: {error.strerror}") from error
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read_tokens(path: str) -> frozenset[bytes]:
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MOST + 1)
    except OSError as error:
        raise DoorError(f"--token-file {path}: it can't be read: {error.strerror}") from error
    tokens = [line for each in content.splitlines() if (line := each.strip())]
    if not tokens or len(content) > _MOST:
        raise DoorError(f"--token-file {path}: one token a line is expected, {_MOST} bytes at most")
    if short := [number for number, token in enumerate(tokens, 1) if len(token) < _SHORTEST]:
        raise DoorError(f"--token-file {path}: token {short[0]} has fewer than {_SHORTEST} characters: make one by"
                        " `openssl rand -hex 32`")  # fmt: skip
    return frozenset(hashlib.sha256(token).digest() for token in tokens)
