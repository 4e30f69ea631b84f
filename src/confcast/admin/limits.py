"""The bounds of the admin process: how many, how large, how long."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds; the defaults hold for `confcast admin`, and tests have shorter ones.

    Attributes:
        body: Bytes of a request's body.
        body_within: Seconds for a body to arrive whole.
        head_within: Seconds for a request's line and headers to arrive whole, and that an idle connection is kept.
        head: Bytes of a request's line and headers.
        waiting: Connections on which no whole request has come; past it the oldest is closed.
        streams: Event streams in all.
        streams_of_token: Event streams of one token.
        kept: Events that wait for one stream; past it the stream is told of a gap.
        taken: Seconds for a stream's client to take what it was sent.
        heartbeat: Seconds after which a comment is sent.
        news: Seconds after which an owner that has no news is asked again.
        calls: Questions to one owner at once.
        turn_within: Seconds that a further question waits for its turn; then it is answered 503.
        failures: Wrong tokens of one address that are answered 401; further ones are answered 429.
        forgiven: Seconds after which one wrong token of an address is forgotten.
        addresses: Addresses whose failures are remembered.
        connections: Connections in all, as far as the kernel allows.
        closing: Seconds for an orderly end.
    """

    body: int = 1024 * 1024
    body_within: float = 10.0
    head_within: float = 10.0
    head: int = 16 * 1024
    waiting: int = 1024
    streams: int = 1200
    streams_of_token: int = 1100
    kept: int = 64
    taken: float = 10.0
    heartbeat: float = 15.0
    news: float = 10.0
    calls: int = 8
    turn_within: float = 3.0
    failures: int = 10
    forgiven: float = 6.0
    addresses: int = 1000
    connections: int = 4000
    closing: float = 3.0
