#!/usr/bin/env bash
# uvicorn 0.54.0 with CPython 3.11: the health check of workers finds one well whose event loop does not turn.
#
# One would guess that a worker which answers nobody is replaced, as gunicorn does it, from which many come: the master
# asks each worker twice a second, and kills one that has not answered within --timeout-worker-healthcheck, here 2 s. But
# a thread of its own answers for the worker, whatever the event loop does. A handler that waits without await (for a
# lock, for a socket without a timeout) keeps all requests of its worker waiting, also those that the kernel goes on
# handing to it; and the check, made for that, says nothing. What it does find is a stopped process, and one whose C
# code keeps the GIL. The way around: faulthandler.dump_traceback_later(10, exit=True), put off by the loop each second.
#
# Output seen:
#   event loop stands still for 10 s, limit 2 s: worker replaced: False
#   process is stopped, limit 2 s: worker replaced: True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check uvicorn==0.54.0
cd "$folder"
cat >app.py <<'PYTHON'
import os, time

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        with open("ready", "a") as ready:
            ready.write(f"{os.getpid()}\n")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    with open("stuck", "w") as stuck:
        stuck.write(str(os.getpid()))
    time.sleep(10)
PYTHON
cat >stuck.py <<'PYTHON'
import os, signal, socket, subprocess, sys, time

def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.1)
    return value

def ready():
    return [int(line) for line in open("ready")] if os.path.exists("ready") else []

command = [sys.executable, "-m", "uvicorn", "--workers", "2", "--uds", "socket"]
command += ["--timeout-worker-healthcheck", "2", "--no-access-log", "app:app"]
server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
try:
    assert until(lambda: len(ready()) == 2)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("socket")
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert until(lambda: os.path.exists("stuck") and os.path.getsize("stuck"))
        replaced = until(lambda: len(ready()) == 3, 9)
        print("event loop stands still for 10 s, limit 2 s: worker replaced:", replaced)
    other = next(pid for pid in ready() if pid != int(open("stuck").read()))
    os.kill(other, signal.SIGSTOP)
    print("process is stopped, limit 2 s: worker replaced:", until(lambda: len(ready()) == 3))
finally:
    for pid in ready():
        if os.path.exists(f"/proc/{pid}"):
            os.kill(pid, signal.SIGKILL)
    server.terminate()
    server.wait(60)
PYTHON
seen=$("$folder/venv/bin/python" stuck.py)
echo "$seen"
[ "$seen" = "event loop stands still for 10 s, limit 2 s: worker replaced: False
process is stopped, limit 2 s: worker replaced: True" ]
