#!/usr/bin/env bash
# litestar 2.25.0, uvicorn 0.54.0 with CPython 3.11: a TERM to `litestar run` with workers ends it, and leaves the server.
#
# One would guess that the process which was started is the server's master, as that of uvicorn or gunicorn is: that a
# supervisor, a container or a deploy which ends it by TERM ends the server. With one worker it is so: uvicorn runs in that
# process. With several, `litestar run` only waits for a uvicorn that it has started as a program of its own, and passes
# nothing on: the TERM kills the waiting process alone, and uvicorn and its workers go on serving at the port.
#
# Output seen:
#   workers=1 status=-15 still_served=False
#   workers=2 status=-15 still_served=True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "litestar[standard]==2.25.0" uvicorn==0.54.0
cd "$folder"
cat >app.py <<'END'
from litestar import Litestar, get

@get("/")
async def read() -> str:
    return "served"

app = Litestar([read])
END
cat >stop.py <<'END'
import os, signal, socket, subprocess, sys, time, urllib.request

def served(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
            return answer.read() == b"served"
    except OSError:
        return False

def stop(workers):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "litestar", "--app", "app:app", "run", f"--port={port}", f"--wc={workers}"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    end = time.monotonic() + 60
    while not served(port):
        assert time.monotonic() < end, "it does not start"
        time.sleep(0.1)
    server.terminate()
    status = server.wait(30)
    print(f"workers={workers} status={status} still_served={served(port)}")
    try:
        os.killpg(server.pid, signal.SIGTERM)  # uvicorn, if it is still there: it is of the same group
    except ProcessLookupError:
        pass
    while served(port):
        time.sleep(0.1)

stop(1)
stop(2)
END
seen=$("$folder/venv/bin/python" stop.py)
echo "$seen"
[ "$seen" = "workers=1 status=-15 still_served=False
workers=2 status=-15 still_served=True" ]
