"""Run the proxy with upstreams to try it with, and say what to type. Ctrl-C ends all of it, and leaves nothing.

    python -m confcast.examples.tenant_proxy
    python -m confcast.examples.tenant_proxy --folder demo --port 8000 --workers 4

With `--folder` the files stay. Exit status 78: the configuration was refused; 3: the owner or the server could not
start, or a package is missing. The reason is on standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import shlex
import socket
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from confcast.examples.tenant_proxy.demo.folder import fill
from confcast.examples.tenant_proxy.demo.stubs import Stub
from confcast.examples.tenant_proxy.sources import loader
from confcast.servers.common import launching

APP = "confcast.examples.tenant_proxy.app:app"

_TO_TYPE = """\
The proxy serves {url}, with what stands in {file}. To type in another terminal:

  cd {folder}
  ask() {{ curl -si -H "Authorization: Bearer $(cat keys/$1)" {url}$2; }}
  ask acme /text/hello                                   # the upstream "text" answers, by version 1
  ask acme "/text/stream?lines=9&every=1"                # line by line
  ask delta /images/cat                                  # delta may use "text" alone
  for n in 1 2 3 4 5 6 7 8 9; do ask cargo /text/; done  # until cargo has used what it may

  cp moved.toml proxy.toml; confcast reload              # "text" is elsewhere; a stream goes on where it began
  cp rotated.toml proxy.toml; confcast reload            # acme has two keys, and both are valid
  ask acme.next /text/hello                              # by the other one
  cp wrong.toml proxy.toml; confcast reload              # no URL: refused, with file, line and key
  cp emptied.toml proxy.toml; confcast reload            # a guard prints the command that allows it
  cp away.toml proxy.toml; confcast reload --wait        # nobody answers there: undone

  cp failing.toml proxy.toml; confcast reload --canary 50% --by entity --for 10m
  for n in $(seq 25); do for t in acme bolt delta; do ask $t /text/ | head -1; done; done | sort | uniq -c
  confcast status                                        # who tried it had errors, which have undone it
  confcast rollback; cp moved.toml proxy.toml; confcast resume  # did none of the three? then try it once more

Ctrl-C ends it.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program.

    Raises:
        SystemExit: With the exit status that the module's docstring explains.
    """
    options = _parser().parse_args(arguments)
    for package in ("uvicorn", "aiohttp"):
        if importlib.util.find_spec(package) is None:  # found, but not imported: the master needs no aiohttp
            text = f"confcast: {package} is not installed: pip install 'confcast[examples]'"
            launching.refuse(text, launching.COULD_NOT_START)
    with _folder(options.folder) as folder, _stubs() as urls:
        try:
            file = fill(folder, urls)
        except OSError as error:
            text = f"confcast: {folder} can't be the example's folder: {error.strerror}"
            launching.refuse(text, launching.COULD_NOT_START)
        os.environ["TENANT_PROXY_CONFIG"] = str(file)
        port = options.port or _free_port()
        place = shlex.quote(str(folder))
        print(_TO_TYPE.format(url=f"http://127.0.0.1:{port}", file=file, folder=place), flush=True)
        _serve(port, options.workers)


def _serve(port: int, workers: int) -> None:
    from confcast.servers import uvicorn

    uvicorn.run(
        APP,
        loader(),
        # Not watched: whoever changes it says with which verb, for whom, and what is allowed.
        manager={"name": "proxy", "watch": False, "max_error_rate": 0.1, "version_header": "X-Config-Version"},
        port=port,
        workers=workers,
        server_header=False,  # the upstream's pass
        date_header=False,
        log_level="warning",
        timeout_graceful_shutdown=5,
        timeout_worker_healthcheck=10,
    )


@contextlib.contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        yield given.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="confcast-proxy-") as folder:
        yield Path(folder)


@contextlib.contextmanager
def _stubs() -> Iterator[dict[str, str]]:
    with contextlib.ExitStack() as stack:
        stubs = {}
        for name in ("text", "images", "moved", "failing"):
            stubs[name] = Stub(name, fails=name == "failing")
            stack.callback(stubs[name].close)
        yield {name: stub.url for name, stub in stubs.items()}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m confcast.examples.tenant_proxy", description="A proxy, and upstreams to try it with."
    )
    parser.add_argument(
        "--folder", type=Path, help="where its files are written, and stay (a folder that goes with it)"
    )
    parser.add_argument("--port", type=int, default=8000, help="where it serves; 0 for any that is free (8000)")
    parser.add_argument("--workers", type=int, default=2, help="how many processes serve (2)")
    return parser


if __name__ == "__main__":
    main()
