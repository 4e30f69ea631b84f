"""Runs the shop and its settings page under gunicorn, until Ctrl-C: `python -m confcast.examples.settings_page`.

Without `--folder` its files are in a temporary folder, which goes with it. It listens on loopback alone. Exit status 3:
it could not start, for the reason that is on standard error; if gunicorn ends by itself, gunicorn's; else 0.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import NoReturn

from confcast.examples.settings_page import demo_folder
from confcast.servers.common import launching

_CONF = "python:confcast.examples.settings_page.gunicorn_conf"
_INSTALL = "pip install 'confcast[examples]'"
_STARTS_WITHIN, _ENDS_WITHIN = 30.0, 15.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it. Returns the exit status: gunicorn's own if that ends by itself, else 0.

    Raises:
        SystemExit: It could not start (3); the reason is on standard error.
    """
    options = _options(arguments)
    missing = [name for name in ("flask", "gunicorn") if importlib.util.find_spec(name) is None]
    if missing:
        _refuse(f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed: {_INSTALL}")
    with ExitStack() as held:
        listener = _listener(options.port)
        held.enter_context(listener)
        held.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, _interrupt))
        folder = options.folder or Path(held.enter_context(tempfile.TemporaryDirectory(prefix="confcast-shop-")))
        try:
            demo_folder.fill(folder)
        except OSError as error:
            _refuse(f"{folder} can't be the example's folder: {error.strerror}")
        return _run(folder, listener)


def _listener(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        text = os.strerror(error.errno or 0)  # its own has the address, too
        _refuse(f"port {port} can't be had: {text}; --port gives another one, 0 any that is free")


def _refuse(text: str) -> NoReturn:
    launching.refuse(f"confcast: {text}", launching.COULD_NOT_START)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m confcast.examples.settings_page", description=__doc__)
    parser.add_argument("--folder", type=Path, help="its files, which stay; made and filled if it is empty")
    parser.add_argument("--port", type=int, default=8000, help="on loopback; 0 for any that is free (8000)")
    options = parser.parse_args(arguments)
    if not 0 <= options.port <= 65535:
        parser.error(f"--port {options.port}: ports are from 0 to 65535")
    return options


def _run(folder: Path, listener: socket.socket) -> int:
    environment = os.environ | {"SHOP_FOLDER": str(folder), "SHOP_BIND": f"fd://{listener.fileno()}"}
    command = [sys.executable, "-m", "gunicorn", "--no-control-socket", "-c", _CONF]
    # A group of its own: a terminal's Ctrl-C reaches this process alone, which then ends gunicorn as it likes to be.
    server = subprocess.Popen(  # noqa: S603  # our own program, our own arguments
        command, env=environment, stdin=subprocess.DEVNULL, pass_fds=[listener.fileno()], start_new_session=True
    )
    try:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        if _serves(server, url):
            _greet(folder, url)
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C would leave processes behind
        _end(server)


def _serves(server: subprocess.Popen[bytes], url: str) -> bool:
    deadline = time.monotonic() + _STARTS_WITHIN
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310  # http, and our own
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            time.sleep(0.05)
    return False


def _greet(folder: Path, url: str) -> None:
    print(f"\nThe shop: {url}/\nIts settings: {url}/settings; sign in with the token that is printed by")
    for name, path in demo_folder.token_files(folder).items():
        print(f"  cat {shlex.quote(str(path.absolute()))}   # {name}")
    print("Ctrl-C ends it.\n", flush=True)


def _end(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        server.terminate()
        try:
            server.wait(_ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
