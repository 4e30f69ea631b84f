#!/usr/bin/env bash
# gevent 26.9.0 with CPython 3.11: what a greenlet starts sees none of its context variables.
#
# One would guess what asyncio does: a task starts with a copy of the context of whoever made it, so that a request's id
# (or tenant, or transaction, or pinned configuration) is there in everything that the request starts. gevent gives each
# greenlet a context of its own, as a thread has; but an empty one, and so do its pools, its timers and its thread pool.
# A library that keeps a request's state in a ContextVar works in gevent until a request fans out. To hand it on:
# `gevent.spawn(contextvars.copy_context().run, function)`.
#
# Output seen:
#   asyncio.create_task: request 7
#   gevent.spawn: None
#   gevent.spawn_later: None
#   gevent.pool.Pool: None
#   gevent threadpool: None
#   copy_context().run: request 7
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check gevent==26.9.0 greenlet==3.5.6
cat >"$folder/fan_out.py" <<'END'
import asyncio, contextvars
import gevent, gevent.pool

request = contextvars.ContextVar("request", default=None)
request.set("request 7")

async def with_asyncio():
    async def task():
        return request.get()
    return await asyncio.create_task(task())

def with_gevent():
    yield "gevent.spawn", gevent.spawn(request.get).get()
    yield "gevent.spawn_later", gevent.spawn_later(0, request.get).get()
    yield "gevent.pool.Pool", gevent.pool.Pool(2).apply(request.get)
    yield "gevent threadpool", gevent.get_hub().threadpool.apply(request.get)
    yield "copy_context().run", gevent.spawn(contextvars.copy_context().run, request.get).get()

print("asyncio.create_task:", asyncio.run(with_asyncio()))
for how, seen in with_gevent():
    print(f"{how}:", seen)
END
seen=$("$folder/venv/bin/python" "$folder/fan_out.py")
echo "$seen"
[ "$seen" = "asyncio.create_task: request 7
gevent.spawn: None
gevent.spawn_later: None
gevent.pool.Pool: None
gevent threadpool: None
copy_context().run: request 7" ]
