"""Runs the shop and its settings page under gunicorn, until Ctrl-C: `python -m confcast.examples.settings_page`.

Without `--folder` its files are in a temporary folder, which goes with it. It listens on loopback alone.
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
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from confcast.examples.settings_page import demo_folder

_CONF = "python:confcast.examples.settings_page.gunicorn_conf"
_STARTS_WITHIN, _ENDS_WITHIN = 30.0, 15.0


def main() -> int:
    """Run it. Returns the exit status: gunicorn's own if that ends by itself, else 0."""
    options = _options()
    missing = [name for name in ("flask", "gunicorn") if importlib.util.find_spec(name) is None]
    if missing:
        print(f"the example needs {' and '.join(missing)}: pip install 'confcast[examples]'", file=sys.stderr)
        return 2
    with ExitStack() as held:
        signal.signal(signal.SIGTERM, _interrupt)
        folder = options.folder or Path(held.enter_context(tempfile.TemporaryDirectory(prefix="confcast-shop-")))
        demo_folder.fill(folder)
        try:
            listener = held.enter_context(socket.create_server(("127.0.0.1", options.port)))
        except OSError as error:
            print(f"port {options.port} can't be had: {error.strerror}; --port gives another one", file=sys.stderr)
            return 2
        return _run(folder, listener)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m confcast.examples.settings_page", description=__doc__)
    parser.add_argument("--folder", type=Path, help="its files, which stay; made and filled if it is empty")
    parser.add_argument("--port", type=int, default=0, help="on loopback; a free one if it is not given")
    return parser.parse_args()


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
        print(f"  cat {shlex.quote(str(path))}   # {name}")
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
