#!/usr/bin/env bash
# gunicorn 27.0.1 with CPython 3.11: the stash's get(table, key, default) never gives the default.
#
# One would guess what its docstring says ("the stored value, or default if not found") and what dict.get does. It raises
# StashError, "Key not found", and `stash.table(name)[key]` raises that too, and no KeyError. (The client asks for an
# error of the type StashKeyNotFoundError; the arbiter sets that name on its error, and does not send it.)
#
# Output seen:
#   27.0.1 put: 1
#   27.0.1 get: StashError: Key not found: nothing
#   27.0.1 table: StashError: Key not found: nothing
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; wait; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check gunicorn==27.0.1
cd "$folder"
cat >conf.py <<END
wsgi_app = "app:app"
bind = "unix:$folder/socket"
dirty_apps = ["dirty:App:1"]
dirty_workers = 1
control_socket_disable = True
proc_name = "finding-$$"
END
cat >dirty.py <<'END'
from gunicorn.dirty.app import DirtyApp as App
END
cat >app.py <<'END'
import gunicorn
from gunicorn.dirty import stash


def seen(what, ask):
    try:
        return f"{gunicorn.__version__} {what}: {ask()!r}\n"
    except Exception as error:
        return f"{gunicorn.__version__} {what}: {type(error).__name__}: {error}\n"


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    stash.put("table", "key", 1)
    answers = [
        seen("put", lambda: stash.get("table", "key")),
        seen("get", lambda: stash.get("table", "nothing", "the default")),
        seen("table", lambda: stash.table("table")["nothing"]),
    ]
    return ["".join(answers).encode()]
END
venv/bin/python -m gunicorn -c conf.py 2>log &
server=$!
for _ in $(seq 100); do
  grep -q "Dirty worker .* listening" log && [ -S socket ] && break
  sleep 0.1
done
seen=$(venv/bin/python - <<'END'
import socket

with socket.socket(socket.AF_UNIX) as connection:
    connection.connect("socket")
    connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
    print(b"".join(iter(lambda: connection.recv(4096), b"")).partition(b"\r\n\r\n")[2].decode(), end="")
END
)
echo "$seen"
[ "$seen" = "27.0.1 put: 1
27.0.1 get: StashError: Key not found: nothing
27.0.1 table: StashError: Key not found: nothing" ]
