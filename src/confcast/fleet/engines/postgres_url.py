"""What a URL of PostgreSQL says: where the server is, as whom to connect, whether by TLS, and where the tables are.

    postgresql://confcast@db.example/shop?sslmode=verify-full&sslrootcert=/etc/ssl/db.pem
    postgresql://one.example,two.example/shop       the one of these that is the primary
    postgresql:///shop?host=/run/postgresql         a socket in that folder

Guarantees. The names are libpq's, and `schema`; one that is not known here is refused, since it may have asked for
safety. TLS verifies the server's certificate and name, always: `require` and `verify-ca` mean `verify-full`. What may
be TLS or not (`prefer`, `allow`) is refused. Without `sslmode` there is TLS if a file with certificates is given.

Rejected: libpq's default (`prefer`), which whoever stands between can turn off; and its files in the home folder.
"""

from __future__ import annotations

import getpass
import os
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

import msgspec

from confcast.fleet.engines.access import Access
from confcast.fleet.engines.engine import Fault
from confcast.wire.ssl_at_use import ssl

_PORT = 5432
_VERIFIED = ("verify-full", "verify-ca", "require")
_KNOWN = ("host", "port", "schema", "sslcert", "sslkey", "sslmode", "sslrootcert", "target_session_attrs")
_PRIMARY = ("any", "primary", "read-write")  # all that is asked for is a server that can be written to

_WORDS = ("allow", "prefer", "prefer-standby", "read-only", "secondary", "standby")


class Target(NamedTuple):
    """What a URL says.

    Attributes:
        addresses: A host, or a folder with a socket, and a port each.
        user: That of the URL, of libpq's environment, or this process's.
        database: None for that of libpq's environment, or of the user's name.
        schema: The one that has the tables.
        tls: None for a connection without.
    """

    addresses: tuple[tuple[str, int], ...]
    user: str
    database: str | None
    schema: str
    tls: ssl.SSLContext | None


def parsed(access: Access) -> Target:
    """What the URL says. Raises Fault."""
    options = _options(access)
    return Target(
        _addresses(access, options),
        access.user or os.environ.get("PGUSER") or _own_name(access),
        unquote(access.parts.path.removeprefix("/")) or None,
        options.get("schema") or "public",
        secured.tls() if (secured := _secured(access, options)) is not None else None,
    )


def check(access: Access) -> None:
    """See that the URL means something. Reads no file. Raises Fault."""
    options = _options(access)
    _addresses(access, options)
    _secured(access, options)


def _options(access: Access) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in parse_qsl(access.parts.query, keep_blank_values=True):
        if name not in _KNOWN:
            shown = name if name.isidentifier() else "…"
            raise Fault(f"{access.shown}: {shown!r} after the ? is unknown: {', '.join(_KNOWN)} are expected")
        options[name] = value
    wanted = options.get("target_session_attrs", "primary")
    if wanted not in _PRIMARY:
        raise Fault(
            f"{access.shown}: target_session_attrs={_quoted(wanted)}: only the primary tells of changes: "
            f"{', '.join(_PRIMARY)} are expected"
        )
    return options


def _addresses(access: Access, options: dict[str, str]) -> tuple[tuple[str, int], ...]:
    if "@" in options.get("host", ""):
        raise Fault(f"{access.shown}: host= has an @: user and password are expected once, in front of all hosts")
    places = options.get("host") or access.parts.netloc.rpartition("@")[2]
    found = tuple(_address(access, place, options.get("port", "")) for place in places.split(","))
    if len(found) > 1 and options.get("port"):
        raise Fault(f"{access.shown}: port= is for one host: write host:port for each")
    return found


def _address(access: Access, place: str, port: str) -> tuple[str, int]:
    """`place` is a folder, or a host with or without a port, in brackets if it is one of IPv6."""
    host = unquote(place)
    if not host.startswith("/"):
        head, colon, tail = host.rpartition(":")
        if colon and not tail.endswith("]") and (":" not in head or head.startswith("[")):
            host, port = head, tail or port
        host = host.removeprefix("[").removesuffix("]")
    if port and not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise Fault(f"{access.shown}: {_quoted(port)!r} is no port: a number from 1 to 65535 is expected")
    return host or "127.0.0.1", int(port or _PORT)


def _quoted(value: str) -> str:
    """A value as an error may quote it: what is no number and none of libpq's words may hold a password."""
    return value if value in _WORDS or value.isdecimal() else "…"


def _own_name(access: Access) -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:  # a container's user may have no name
        raise Fault(f"{access.shown}: the URL names no user: postgresql://USER@… is expected") from error


def _secured(access: Access, options: dict[str, str]) -> Access | None:
    """With the files for TLS; None for a connection without."""
    files = {"ca_file": "sslrootcert", "cert_file": "sslcert", "key_file": "sslkey"}
    given = {field: getattr(access, field) or options.get(name, "") for field, name in files.items()}
    mode = options.get("sslmode") or ("verify-full" if any(given.values()) else "disable")
    if mode in _VERIFIED:
        if given["ca_file"] == "system":  # as libpq has it
            given["ca_file"] = ""
        return msgspec.structs.replace(access, **given)
    if mode != "disable":
        raise Fault(
            f"{access.shown}: sslmode={_quoted(mode)} does not say whether there is TLS: verify-full or disable is"
            " expected"
        )
    if any(given.values()):
        raise Fault(f"{access.shown}: files with certificates are given, and sslmode=disable: verify-full is expected")
    return None
