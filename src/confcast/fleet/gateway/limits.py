"""The bounds of a gateway: how many, how large, how long."""

from __future__ import annotations

import msgspec

from confcast.fleet.engines.gateway_lines import HEARTBEAT, LONGEST_WAIT


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds; the defaults hold for `confcast fleet gateway`, and tests have shorter ones.

    Attributes:
        hosts: Hosts that are known for one key, with and without a stream.
        connections: Connections in all; a host has up to two.
        requests_of_host: Requests of one host at once, its streams included.
        streams_of_host: Streams of one host. It may have lost one that is not known to be lost here; and machines that
            were copied with their state folder have one id, and would end each other's.
        transfers: Payloads that are being sent at once; further ones wait. Few, so that each is done before its host
            has lost patience, also where the network is what they wait for.
        report: Bytes of a host's report.
        summary: Bytes of a summary: NATS takes 1 MiB.
        heartbeat: Seconds after which a line without a head is sent.
        taken: Seconds for a host to take what it was sent.
        lost: Seconds for its machine to acknowledge it.
        request: Seconds for a request to arrive whole, from the moment when the connection is free for one.
        idle: Seconds that a connection without a request is kept.
        transfer: Seconds for a payload to be sent.
        wait: Seconds that a long poll waits at the most.
        fetch: Seconds that a host waits for a payload which the engine has not given yet.
        pause: Seconds between two summaries.
        closing: Seconds for an orderly end.
    """

    hosts: int = 4000
    connections: int = 10_000
    requests_of_host: int = 8
    streams_of_host: int = 4
    transfers: int = 100
    report: int = 16 * 1024
    summary: int = 900 * 1024
    heartbeat: float = HEARTBEAT
    taken: float = 5.0
    lost: float = 30.0
    request: float = 10.0
    idle: float = 15.0
    transfer: float = 60.0
    wait: float = LONGEST_WAIT
    fetch: float = 4.0
    pause: float = 0.25
    closing: float = 3.0
