#!/usr/bin/env bash
# prometheus_client 0.26.0, gunicorn 27.0.1 with CPython 3.11: under --preload the minimum of a gauge over workers is 0.
#
# One would guess that a gauge of the mode "livemin" is the lowest value that a living worker has set: it is what shows
# whether a worker lags behind, as in its version of a configuration or its last success. A gauge without labels counts
# with 0 from its declaration on, in each process that imports it. Under --preload, the master imports the application,
# never sets anything, and lives as long as the server does: so the minimum is 0 for ever, whatever the workers say. (A
# maximum of values below 0 likewise; without --preload it is so until each worker has set its own.) The way around: a
# gauge with a label, of which nothing is there before it is set.
#
# Output seen:
#   no label: 7.0
#   no label, --preload: 0.0
#   a label, --preload: 7.0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check gunicorn==27.0.1 prometheus_client==0.26.0
cd "$folder"
cat >app.py <<'END'
from prometheus_client import CollectorRegistry, Gauge, generate_latest, multiprocess

plain = Gauge("plain_version", "The version that a worker runs.", multiprocess_mode="livemin")
labelled = Gauge("labelled_version", "The same.", ["of"], multiprocess_mode="livemin")

def set_both():
    plain.set(7)
    labelled.labels("configuration").set(7)

def app(environ, start_response):
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [generate_latest(registry)]
END
cat >conf.py <<'END'
import os
from prometheus_client import multiprocess

bind = "unix:socket"
workers = 2
control_socket_disable = True

def post_worker_init(worker):
    from app import set_both
    set_both()
    with open("ready", "a") as ready:
        ready.write("x")

def child_exit(server, worker):
    multiprocess.mark_process_dead(worker.pid)
END
cat >ask.py <<'END'
import os, shutil, socket, subprocess, sys, time

def run(*options):
    shutil.rmtree("metrics", ignore_errors=True)
    os.mkdir("metrics")
    if os.path.exists("ready"):
        os.remove("ready")
    command = [sys.executable, "-m", "gunicorn", "-c", "conf.py", *options, "app:app"]
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": "metrics"}
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)
    try:
        end = time.monotonic() + 60
        while not (os.path.exists("ready") and os.path.getsize("ready") == 2):
            assert time.monotonic() < end
            time.sleep(0.1)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30)
            client.connect("socket")
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            text = b"".join(iter(lambda: client.recv(4096), b"")).decode()
        return dict(line.rsplit(" ", 1) for line in text.splitlines() if "_version" in line and line[0] != "#")
    finally:
        server.terminate()
        server.wait(60)

print("no label:", run()["plain_version"])
preloaded = run("--preload")
print("no label, --preload:", preloaded["plain_version"])
print("a label, --preload:", preloaded['labelled_version{of="configuration"}'])
END
seen=$("$folder/venv/bin/python" ask.py)
echo "$seen"
[ "$seen" = "no label: 7.0
no label, --preload: 0.0
a label, --preload: 7.0" ]
