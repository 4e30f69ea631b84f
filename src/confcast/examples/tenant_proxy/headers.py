"""Which headers pass, and which belong to one connection, or to this proxy.

Guarantees: no header of one connection passes (RFC 9110, 7.6.1), those that `Connection` names included; no tenant's
key reaches an upstream; what an upstream reads about the tenant and the client, no client can write.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Pairs = Iterable[tuple[bytes, bytes]]

_OF_A_CONNECTION = {
    *(b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization"),
    *(b"te", b"trailer", b"transfer-encoding", b"upgrade"),
}
_OURS = {
    *(b"host", b"authorization", b"expect", b"x-tenant"),
    *(b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"),
}
VIA = "1.1 tenant-proxy"


class Unreadable(Exception):
    """A header can't be passed on as it came."""


def of_request(received: Pairs, tenant: str, client: str, token: str | None) -> list[tuple[str, str]]:
    """The headers for an upstream.

    Args:
        received: Those of the request.
        tenant: Who asks.
        client: The address that it asks from.
        token: The upstream's own.

    Raises:
        Unreadable: One is not UTF-8, as which aiohttp writes it.
    """
    received = list(received)
    try:
        passed = [(name.decode("ascii"), value.decode()) for name, value in _passing(received) if name not in _OURS]
    except UnicodeDecodeError:
        raise Unreadable("a header is not UTF-8") from None
    passed += [("via", VIA), ("x-tenant", tenant), ("x-forwarded-for", client)]
    if token is not None:
        passed.append(("authorization", f"Bearer {token}"))
    return passed


def of_answer(received: Pairs, status: int) -> list[tuple[bytes, bytes]]:
    """The headers for a client. The length in a 304 is that of another answer, and servers would wait for so much."""
    passed = _passing([(name.lower(), value) for name, value in received])
    kept = [pair for pair in passed if status != 304 or pair[0] != b"content-length"]
    return [*kept, (b"via", VIA.encode())]


def _passing(received: list[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    named = {each.strip().lower() for name, value in received if name == b"connection" for each in value.split(b",")}
    return ((name, value) for name, value in received if name not in _OF_A_CONNECTION and name not in named)
