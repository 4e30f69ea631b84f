#!/usr/bin/env bash
# hypercorn 0.18.0 with CPython 3.11: with several workers a stop cuts answers off, whatever --graceful-timeout says.
#
# One would guess that a TERM lets each worker end the answers that it has begun, within --graceful-timeout (here 30 s),
# however many workers there are; a restart for a new configuration would lose no request then. With one worker it is
# so. With two, the master terminates all others as soon as the first worker has ended, and an idle one ends at once:
# the client of the busy one gets half of its answer. The master's status is 0 in both cases.
#
# Output seen:
#   workers=1 answer=whole status=0
#   workers=2 answer=half status=0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check hypercorn==0.18.0
cd "$folder"
cat >app.py <<'END'
import asyncio

async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"8")]})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        await asyncio.sleep(2)
        await send({"type": "http.response.body", "body": b"half"})
END
cat >stop.py <<'END'
import http.client, signal, socket, subprocess, sys

def stop(workers):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % free.getsockname()[1]
    command = [sys.executable, "-m", "hypercorn", "--workers", str(workers), "--graceful-timeout", "30"]
    server = subprocess.Popen([*command, "--bind", address, "app:app"], stderr=subprocess.PIPE, text=True)
    for _ in range(workers):
        while "Running on" not in server.stderr.readline():
            pass
    client = http.client.HTTPConnection(address, timeout=20)
    client.request("GET", "/")
    answer = client.getresponse()
    assert answer.read(4) == b"half"
    server.send_signal(signal.SIGTERM)
    try:
        how = {b"half": "whole"}[answer.read()]
    except http.client.IncompleteRead:
        how = "half"
    return f"workers={workers} answer={how} status={server.wait(20)}"

print(stop(1))
print(stop(2))
END
seen=$("$folder/venv/bin/python" stop.py)
echo "$seen"
[ "$seen" = "workers=1 answer=whole status=0
workers=2 answer=half status=0" ]
