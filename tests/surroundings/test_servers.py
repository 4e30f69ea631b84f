"""Servers that confcast has no module for: a few lines of an application start the manager, and attach the workers."""

from __future__ import annotations

import os
import signal

from tests.support import apache
from tests.support.surroundings import Room, tool
from tests.support.waiting import eventually


def reloads_on_hup(room: Room, before: set[int]) -> None:
    """A change and a HUP to the process that was started; no worker is replaced."""
    number = room.change()
    room.signal(signal.SIGHUP)

    assert room.all_have(number) == before


@tool("sanic==25.12.1")
def test_sanic(room: Room):
    port = room.free_port()
    before = room.serve("sanic", "sanic_app:app", f"--port={port}", "--workers=2", "--no-motd", workers=2)

    reloads_on_hup(room, before)

    # Sanic's main process takes no signal to end before all of its workers have reported that they serve.
    eventually(lambda: room.ask("read")["states"] == ["ACKED"] * 2, "workers that Sanic knows to serve")
    room.signal(signal.SIGTERM)
    assert room.ended() == 0
    room.assert_nothing_left()


@tool("aiohttp==3.14.5")
def test_aiohttp(room: Room):
    before = room.serve("python", "aiohttp_master.py", str(room.free_port()), workers=2)

    reloads_on_hup(room, before)

    room.signal(signal.SIGTERM)
    assert room.ended() == 0
    room.assert_nothing_left()


@tool("aiohttp==3.14.5", "gunicorn==27.0.1")
def test_aiohttp_under_gunicorn(room: Room):
    bind = f"127.0.0.1:{room.free_port()}"
    gunicorn = ["gunicorn", "-c", "aiohttp_conf.py", "--bind", bind, "--no-control-socket"]
    before = room.serve(*gunicorn, workers=2)

    reloads_on_hup(room, before)

    room.signal(signal.SIGTERM)
    assert room.ended() == 0
    room.assert_nothing_left()


@tool("litestar[standard]==2.25.0", "uvicorn==0.54.0")
def test_litestar(room: Room):
    port = room.free_port()
    before = room.serve("litestar", "--app=litestar_app:app", "run", f"--port={port}", "--wc=2", workers=2)

    reloads_on_hup(room, before)

    os.killpg(room.pid, signal.SIGINT)  # to the group, as a terminal does: litestar passes no signal on to its uvicorn
    room.ended()
    room.assert_nothing_left()


@tool("tornado==6.6.1")
def test_tornado(room: Room):
    before = room.serve("python", "tornado_master.py", str(room.free_port()), workers=2)

    reloads_on_hup(room, before)

    os.killpg(room.pid, signal.SIGTERM)  # to the group: tornado's parent passes no signal on to its children
    assert room.ended() == -signal.SIGTERM
    room.assert_nothing_left()


@tool(beside=f"mod_wsgi {apache.VERSION}")
def test_mod_wsgi(room: Room):
    server = apache.unpacked(room.folder / "apache")
    room.variables(LD_LIBRARY_PATH=str(server.libraries))
    (packages,) = (room.bin.parent / "lib").glob("python*/site-packages")
    command = apache.configure(server, room.folder, room.runtime, packages, room.free_port())
    before = room.serve(*command, workers=1)

    number = room.change()

    assert room.all_have(number) == before
    room.signal(signal.SIGTERM)
    assert room.ended() == 0
    room.assert_nothing_left()
    assert room.crashes() == []


@tool("uWSGI==2.0.31")
def test_uwsgi(room: Room):
    socket = f"127.0.0.1:{room.free_port()}"
    options = ["--master", "--processes=2", "--die-on-term", "--need-app", "-H", str(room.bin.parent)]
    before = room.serve("uwsgi", "--http-socket", socket, *options, "--wsgi-file", "uwsgi_app.py", workers=2)

    number = room.change()
    room.do("python", "-m", "confcast", "reload")

    assert room.all_have(number) == before
    os.killpg(room.pid, signal.SIGTERM)  # to the group, as systemd does: a worker may have two signals at once
    assert room.ended() == 0
    room.assert_nothing_left()
