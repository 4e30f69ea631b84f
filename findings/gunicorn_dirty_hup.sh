#!/usr/bin/env bash
# gunicorn 27.0.1 with CPython 3.11: after a HUP the dirty worker that is ended is the new one, not the old one.
#
# One would guess that a reload replaces dirty workers as it replaces HTTP workers: new ones start with the code and the
# configuration of now, and the old ones end. The arbiter of dirty workers does start a new one, and then, having one too
# many, ends one of the two: the new one. The old one goes on with what it has loaded long ago, while the HTTP workers
# beside it are all new. Its log says "Dirty worker … exiting" as if all had been replaced.
#
# Output seen:
#   http workers replaced: True
#   dirty workers replaced: False
#   dirty workers started at the HUP, and ended: True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check gunicorn==27.0.1
cd "$folder"
cat >conf.py <<'END'
wsgi_app = "app:app"
bind = "unix:socket"
dirty_apps = ["dirty:Pid"]
dirty_workers = 1
control_socket_disable = True
END
cat >dirty.py <<'END'
import os
from gunicorn.dirty.app import DirtyApp

class Pid(DirtyApp):
    def init(self):
        with open("started", "a") as started:
            started.write(f"{os.getpid()}\n")

    def __call__(self, action, *args, **kwargs):
        return os.getpid()
END
cat >app.py <<'END'
import json, os
from gunicorn.dirty import get_dirty_client

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([os.getpid(), get_dirty_client().execute("dirty:Pid", "pid")]).encode()]
END
cat >hup.py <<'END'
import json, os, signal, socket, subprocess, sys, time

def until(condition):
    end = time.monotonic() + 60
    while not (value := condition()):
        assert time.monotonic() < end, condition
        time.sleep(0.1)
    return value

def ask():
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30)
            client.connect("socket")
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            text = b"".join(iter(lambda: client.recv(4096), b""))
    except OSError:
        return None
    return json.loads(text.partition(b"\r\n\r\n")[2]) if b" 200 " in text[:20] else None

def alive(pid):
    return os.path.exists(f"/proc/{pid}")

def started():
    return [int(line) for line in open("started")]

server = subprocess.Popen([sys.executable, "-m", "gunicorn", "-c", "conf.py"], stderr=subprocess.DEVNULL)
try:
    http, dirty = until(ask)
    server.send_signal(signal.SIGHUP)
    until(lambda: not alive(http))
    until(lambda: len(started()) == 2 and sum(map(alive, started())) == 1)
    http_now, dirty_now = until(ask)
    print("http workers replaced:", http_now != http)
    print("dirty workers replaced:", dirty_now != dirty)
    print("dirty workers started at the HUP, and ended:", not alive(started()[1]))
finally:
    server.terminate()
    server.wait(60)
END
seen=$("$folder/venv/bin/python" hup.py)
echo "$seen"
[ "$seen" = "http workers replaced: True
dirty workers replaced: False
dirty workers started at the HUP, and ended: True" ]
