#!/usr/bin/env bash
# CPython 3.11.7 (asyncio): with happy_eyeballs_delay, a create_connection that is cancelled may leave its connection open.
#
# One would guess that a cancelled `create_connection` leaves nothing behind, as it does without that option: there the
# socket is closed on the way out. With it, the attempts run as tasks of their own. When the caller is cancelled between
# the end of an attempt and its own next turn, the socket is the result of a task that nobody takes: the server has a
# client that never speaks, until the collector comes past (with a ResourceWarning), and it never does while the error
# is kept. A client that gives up after a deadline, and tries again, so holds one connection for each try that a slow
# server has accepted in its last moment. The way around it: resolve the name, and try its addresses in turn.
# 3.12.1 and 3.13.0 do the same.
#
# Output seen:
#   {}: left open never
#   {'happy_eyeballs_delay': 0.25}: left open after some cancellations
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/cancelled.py" <<'END'
import asyncio
import socket


async def is_left(turns, **options):
    """Whether a connection is open after its caller was cancelled, so many turns of the loop after it began."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        loop = asyncio.get_running_loop()
        connecting = asyncio.create_task(loop.create_connection(asyncio.Protocol, "127.0.0.1", port, **options))
        for _ in range(turns):
            await asyncio.sleep(0)
        connecting.cancel()
        await asyncio.wait([connecting])
        if not connecting.cancelled():
            connecting.result()[0].abort()
        await asyncio.sleep(0.1)  # for what closes later
        server.settimeout(0.1)
        try:
            client, _ = server.accept()
        except TimeoutError:
            return False
        with client:
            client.settimeout(0.1)
            try:
                return client.recv(1) != b""
            except TimeoutError:
                return True
            except ConnectionResetError:
                return False


async def main():
    for options in ({}, {"happy_eyeballs_delay": 0.25}):
        left = [await is_left(turns, **options) for turns in range(16)]
        print(f"{options}: left open {'after some cancellations' if any(left) else 'never'}")


asyncio.run(main())
END
seen=$("${PYTHON:-python3}" "$folder/cancelled.py")
echo "$seen"
[ "$seen" = "{}: left open never
{'happy_eyeballs_delay': 0.25}: left open after some cancellations" ]
