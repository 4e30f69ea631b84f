#!/usr/bin/env bash
# uvicorn 0.54.0 with CPython 3.11: an application that needs over five seconds to start is never restarted by a HUP.
#
# One would guess that a HUP, by which code or configuration is brought to all workers, takes as long as these take to
# start: the first start waits without a limit, too. But here the master lends the limit of its health check (5 s), which
# is meant for workers that hang, to the new worker's whole start, with imports and lifespan. If that takes longer, the
# new one is killed, the HUP is over, and the old workers run on with what they have; each further HUP does the same. If
# one worker is in time and the next is not, as happens on a busy machine, the two go on with different code. All that is
# told is a line in the log. The way around it: a --timeout-worker-healthcheck that is longer than a start.
#
# Output seen:
#   started in over 5 s: True
#   HUP: 0 of 2 workers replaced
#   HUP, --timeout-worker-healthcheck 60: 2 of 2 workers replaced
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check uvicorn==0.54.0
cd "$folder"
cat >app.py <<'END'
import os, time

time.sleep(6)  # as models, caches or a large import take

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        with open("ready", "a") as ready:
            ready.write(f"{os.getpid()}\n")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
END
cat >hup.py <<'END'
import os, signal, subprocess, sys, time

def until(condition):
    end = time.monotonic() + 180
    while not (value := condition()):
        assert time.monotonic() < end, condition
        time.sleep(0.1)
    return value

def ready():
    return [int(line) for line in open("ready")] if os.path.exists("ready") else []

def run(*options):
    if os.path.exists("ready"):
        os.remove("ready")
    command = [sys.executable, "-m", "uvicorn", "--workers", "2", "--uds", "socket", *options, "app:app"]
    with open("log", "w") as log:
        begun = time.monotonic()
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        old = until(lambda: len(ready()) == 2 and ready())
        took = time.monotonic() - begun
        server.send_signal(signal.SIGHUP)
        until(lambda: "aborting the restart" in open("log").read() or len(ready()) == 4)
        until(lambda: len(ready()) == 2 or not any(os.path.exists(f"/proc/{pid}") for pid in old))
        return took, sum(not os.path.exists(f"/proc/{pid}") for pid in old)
    finally:
        server.terminate()
        server.wait(60)

took, replaced = run()
print("started in over 5 s:", took > 5)
print(f"HUP: {replaced} of 2 workers replaced")
print(f"HUP, --timeout-worker-healthcheck 60: {run('--timeout-worker-healthcheck', '60')[1]} of 2 workers replaced")
END
seen=$("$folder/venv/bin/python" hup.py)
echo "$seen"
[ "$seen" = "started in over 5 s: True
HUP: 0 of 2 workers replaced
HUP, --timeout-worker-healthcheck 60: 2 of 2 workers replaced" ]
