"""hypercorn: HUP reloads the configuration in every worker, and replaces none of them.

    python -m confcast.servers.hypercorn --loader pkg.settings:loader app:app --workers 4

The launcher takes confcast's options; all others are hypercorn's own. Or in a program of yours, under
`if __name__ == "__main__":`, since workers import the program, too:

    run("app:app", loader, workers=4)

The owner starts before hypercorn binds and starts anything; a thread restarts a dead owner (a thread is safe here:
hypercorn spawns its workers). Each worker attaches before it imports the application, so that its modules may read the
configuration at import; replicas that the application declares are attached after that. Each ASGI request is pinned,
each message of a WebSocket, and each WSGI request to the last byte of its body.

A HUP also opens log files anew, in the master and in workers, and renews the TLS certificate in workers that go on
(certificates.py). hypercorn's own reload moves to SIGRTMIN: it stops all workers, then starts new ones, and no worker
answers meanwhile; the new owner has started under the new code before (reloading.py). HTTP/3 keeps the certificate that
a worker started with. guide/signals.md has a table of all this.

Unchanged: a worker that fails (it was killed, its application can't be imported, or it can't attach) stops the whole
server, with status 1, and the owner ends with it. A worker that ends without failure (after its `--max-requests`, or a
TERM) is replaced. With `--reload` the application is imported in the master, too, which is attached meanwhile.

What changes: hypercorn terminates its other workers as soon as the first one has ended; these now finish their present
requests, within `--graceful-timeout`. A worker whose master was killed ends by itself (orphans.py). The worker class
trio has not been tried.

Rejected: `--workers 0` (hypercorn serves in the master itself: no process would restart the owner), our own supervisor
in place of `hypercorn.run` (it would have to follow hypercorn's options), SIGUSR1 instead of HUP, and attaching in the
lifespan (the application is imported by then, and WSGI has no lifespan).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from confcast import ConfigLoader
from confcast.servers.common import launching
from confcast.servers.common.launching import Embedded, ServerOptions

if TYPE_CHECKING:
    from hypercorn.config import Config


def run(app: str, loader: ConfigLoader[Any], *, manager: ServerOptions | None = None, **server_options: Any) -> int:
    """Serve, and return when the server has stopped. For the main thread only.

    Args:
        app: The application as hypercorn takes it: "module:name", or "wsgi:module:name".
        loader: Loads the configuration.
        manager: Options of the `ConfigReloadManager`, and `version_header`, the name of a header of each answer that
            says the version, such as `X-Config-Version`.
        **server_options: Attributes of `hypercorn.Config`.

    Returns:
        The exit status: 0, or that of the worker whose end stopped the server, or 1.

    Raises:
        ConfcastError: hypercorn is not installed, has 0 workers, or lacks a name that confcast needs.
        TypeError: hypercorn, or the manager, lacks an option.
        ValueError: An option can't have this value.
        SystemExit: The configuration is refused (78), or the owner could not start (3).
    """
    launching.require_server("hypercorn")
    from confcast.servers.hypercorn import master

    config = master.configured(app, server_options)
    return master.serve(config, Embedded(loader, manager or {}))


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the launcher with these arguments; None for this process's. Raises SystemExit."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with launching.refusing():
        launching.require_server("hypercorn")
    from confcast.servers.hypercorn import master

    if "--help" in arguments or "-h" in arguments:
        launching.print_help("hypercorn")
        print(flush=True)
        master.command_line(["--help"])
    line = launching.parse("hypercorn", arguments)
    sys.exit(master.command_line(line.rest, lambda config: _run(line, config)))


def _run(line: launching.Line, config: Config) -> int:
    """Serve with the configuration that hypercorn's command line has made. Raises SystemExit."""
    from confcast.servers.hypercorn import master

    with launching.refusing():
        master.check(config)
        embedded = Embedded(line.loader, line.options, line.find_afresh)
    return master.serve(config, embedded)
