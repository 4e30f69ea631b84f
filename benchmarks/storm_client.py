"""One client of the storm: asks as fast as it is answered, over a new connection each time. A program of its own.

Its argument is the port. Each line of standard input is a number of seconds to ask for; the answer is one JSON list:
the milliseconds that each request took, how many failed, and the lowest and the highest version that answered.
"""

from __future__ import annotations

import json
import socket
import sys
import time

_TIMEOUT = 10.0
_REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_GOOD = b"HTTP/1.1 200 OK\r\n"


def main() -> None:
    port = int(sys.argv[1])
    for line in sys.stdin:
        print(json.dumps(_ask_for(float(line), port)), flush=True)


def _ask_for(seconds: float, port: int) -> tuple[list[float], int, int, int]:
    took, failed, versions = [], 0, set()
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        answer = _answer(port)
        took.append((time.perf_counter() - began) * 1000)
        if answer.startswith(_GOOD):
            versions.add(int(answer.rpartition(b"\r\n\r\n")[2].split()[0]))
        else:
            failed += 1
    return took, failed, min(versions, default=0), max(versions, default=0)


def _answer(port: int) -> bytes:
    """All of it; what came of it where the connection broke."""
    parts = []
    try:
        with socket.create_connection(("127.0.0.1", port), _TIMEOUT) as connection:
            connection.sendall(_REQUEST)
            while part := connection.recv(65536):
                parts.append(part)
    except OSError:
        return b""
    return b"".join(parts)


if __name__ == "__main__":
    main()
