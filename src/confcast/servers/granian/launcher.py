"""granian: HUP reloads the configuration in every worker, and replaces none of them.

    python -m confcast.servers.granian --loader pkg.settings:loader app:app --interface asgi --workers 4

The launcher takes confcast's options; all others, and `GRANIAN_…` in the environment, are granian's own. Or in a
program of yours, under `if __name__ == "__main__":`, since spawned workers import the program, too:

    run("app:app", loader, interface="asgi", workers=4)

The owner starts in granian's startup hook: after its signals are set and its env files are read, before any worker.
granian's main loop restarts a dead owner. Each worker attaches before it imports the application, so that its modules
may read the configuration at import; replicas that the application declares are attached after that.

A HUP also opens log files anew, in the master and in workers. granian's own reload, one worker after another, moves to
SIGRTMIN, and starts a new owner under the new code first (reloading.py). A separate process finds `--loader`, also at
the start: granian forks its workers, which would inherit the code that the master has imported. With `run()` in a
program that has imported the schema, the new workers have its old code; then the owner stays, and the log says so. A
renewed TLS certificate needs a SIGRTMIN (server.py). guide/signals.md has a table of all this.

What is pinned: with `asgi` and `asginl` each request, and each message of a WebSocket; with `wsgi` each request, to the
last byte of its body; with `rsgi` each HTTP request. An RSGI WebSocket is not pinned: call `pin()` for each message.

What granian does as without confcast: a worker that dies stops the whole server, with status 1; with
`--respawn-failed-workers` a new worker takes its place and attaches, unless a worker dies within 5.5 seconds of its
respawn. `--reload` and `--workers-lifetime` replace workers as ever. With 2.8.7 a worker hangs if it gets two signals
to stop in its lifespan's startup (Ctrl-C sends one, and granian another); `--workers-kill-timeout` limits that.

What changes: workers that end before the master, at a signal for the whole group, count as no failure, and cause no
status 1. A worker whose master was killed ends by itself (orphans.py).

Rejected: declaring granian's options again (granian's command line is called unchanged, with our server's class in
place of granian's), a thread in the master (it forks), `--task-impl rust` (granian runs all requests of a worker in one
context there, so that requests would share pins), and Python without its lock (granian's workers are threads there;
confcast was not tried with it).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from confcast import ConfcastError, ConfigLoader
from confcast.servers.common import launching
from confcast.servers.common.launching import Embedded, ServerOptions

if TYPE_CHECKING:
    from confcast.servers.granian.server import Server


def run(app: str, loader: ConfigLoader[Any], *, manager: ServerOptions | None = None, **server_options: Any) -> None:
    """Serve, and return when a signal has stopped the server. For the main thread only.

    Args:
        app: The application as granian takes it: "module:name".
        loader: Loads the configuration.
        manager: Options of the `ConfigReloadManager`, and `version_header`, the name of a header of each answer that
            says the version, such as `X-Config-Version`.
        **server_options: As `granian.Granian` takes them.

    Raises:
        ConfcastError: granian is not installed, has an option that can't be used, or lacks a name that confcast needs.
        TypeError: granian, or the manager, lacks an option.
        ValueError: An option can't have this value.
        SystemExit: The configuration is refused (78), the owner could not start (3), or a worker has died (1).
    """
    _require()
    from confcast.servers.granian.server import Server

    Server(app, Embedded(loader, manager or {}, supervise="caller"), **server_options).serve()


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the launcher with these arguments; None for this process's. Raises SystemExit."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with launching.refusing():
        _require()
    from confcast.servers.granian import server

    if "--help" in arguments:
        launching.print_help("granian")
        print(flush=True)
        server.command_line(["--help"])
    if "--version" in arguments:
        server.command_line(["--version"])
    line = launching.parse("granian", arguments)
    server.command_line(line.rest, lambda app, **options: _server(line, app, options))


def _server(line: launching.Line, app: str, options: dict[str, Any]) -> Server:
    """Make the server with the options that granian's command line has parsed. Raises SystemExit."""
    from confcast.servers.granian.server import Server

    with launching.refusing():
        embedded = Embedded(line.fresh_loader, line.options, line.find_afresh, supervise="caller")
        return Server(app, embedded, **options)


def _require() -> None:
    if not launching.require_server("granian").server.BUILD_GIL:
        raise ConfcastError("granian's workers are threads on this build of Python; that can't be served")
