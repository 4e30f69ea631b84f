#!/usr/bin/env bash
# uvicorn 0.54.0 with CPython 3.11: with several workers, an application that can't start ends the server with status 0.
#
# One would guess the status that it has with one worker, 3 (STARTUP_FAILURE), by which systemd's Restart=on-failure, a
# shell's `&&` or a deploy that has just changed a configuration sees that nothing serves. With --workers 2 the master
# notices the failure, logs it as an error, stops the other workers, and exits with 0: a clean stop for whoever asks.
#
# Output seen:
#   workers=1 status=3
#   workers=2 status=0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check uvicorn==0.54.0
cd "$folder"
cat >app.py <<'END'
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "the configuration is refused"})
END
serve() {
  status=0
  "$folder/venv/bin/python" -m uvicorn --uds "$folder/socket" --workers "$1" app:app >"log.$1" 2>&1 || status=$?
  grep -q "the configuration is refused" "log.$1" && echo "workers=$1 status=$status"
}
seen=$(serve 1; serve 2)
echo "$seen"
[ "$seen" = "workers=1 status=3
workers=2 status=0" ]
