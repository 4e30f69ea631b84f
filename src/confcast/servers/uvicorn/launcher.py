"""uvicorn: HUP reloads the configuration in every worker, and replaces none of them.

    python -m confcast.servers.uvicorn --loader pkg.settings:loader app:app --workers 4

The launcher takes confcast's options; all others, and `UVICORN_…` in the environment, are uvicorn's own. Or in a
program of yours, under `if __name__ == "__main__":`, since workers import the program, too:

    run("app:app", loader, workers=4)

The owner starts before the socket is bound, and a thread of the master restarts it: a thread is safe here, because
uvicorn spawns its workers. The master handles HUP at once, while uvicorn looks at signals twice a second; uvicorn
handles TTIN, TTOU and the stop. Each worker attaches before it imports the application, so that its modules may read
the configuration at import; a failure is logged and ends the worker (`lifespan="auto"` would ignore it). Replicas that
the application declares are attached after that. With one worker the only process attaches, and a HUP does not end it.

A HUP also opens log files anew, in the master and in workers, and renews the TLS certificate in workers that go on
(certificates.py). uvicorn's own full reload, one worker after another, moves to SIGRTMIN, and starts a new owner
under the new code first (reloading.py); a process of its own finds `--loader` again then. With one worker SIGRTMIN only
logs that new code takes a restart. guide/signals.md has a table of all this.

Each request is pinned, and each message of a WebSocket, whatever the interface (worker.py). A worker that dies is
replaced; one whose master was killed ends by itself (orphans.py), and releases the port and the owner. An application
that does not start ends the server with status 3; uvicorn alone, with several workers, has status 0. Code may be
deployed in place before the full reload: a worker that is respawned with another schema than the owner's logs which
fields differ and exits, after a pause, and is respawned; the others serve.

In the master and in workers confcast logs to the logger `confcast`, for your `--log-config`; the owner logs to standard
error.

Rejected: `--reload` (it replaces the workers on each edit), looking after the owner in uvicorn's loop (a worker that
hangs blocks it for seconds), and attaching in the lifespan (an import could not read the configuration).
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from confcast import ConfigLoader
from confcast.servers.common import launching
from confcast.servers.common.launching import Embedded, ServerOptions

_USAGE = 2


def run(app: Any, loader: ConfigLoader[Any], *, manager: ServerOptions | None = None, **config: Any) -> None:
    """Serve, and return when a signal has stopped the server. For the main thread only.

    Args:
        app: The application as `uvicorn.run` takes it; for several workers "module:name".
        loader: Loads the configuration.
        manager: Options of the `ConfigReloadManager`, and `version_header`, the name of a header of each answer that
            says the version, such as `X-Config-Version`.
        **config: Options as `uvicorn.run` takes them, except `reload`.

    Raises:
        ConfcastError: uvicorn is not installed, or lacks a name that confcast needs.
        TypeError: uvicorn, or the manager, lacks an option.
        ValueError: An option can't have this value.
        SystemExit: The configuration is refused (78), the owner or the server could not start (3).
    """
    launching.require_server("uvicorn")
    _serve(app, Embedded(loader, manager or {}), config)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the launcher with these arguments; None for this process's. Raises SystemExit."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with launching.refusing():
        command = copy.copy(launching.require_server("uvicorn").main)
    if "--help" in arguments:
        launching.print_help("uvicorn")
        print()
        rest = ["--help"]
    elif "--version" in arguments:
        rest = ["--version"]
    else:
        line = launching.parse("uvicorn", arguments)
        rest = line.rest
        command.callback = lambda **options: _run(line, options)
    sys.exit(command.main(rest, prog_name="python -m confcast.servers.uvicorn"))


def _run(line: launching.Line, options: dict[str, Any]) -> None:
    """Serve with the options that uvicorn's command line has parsed, as uvicorn's own command does."""
    sys.path.insert(0, options.pop("app_dir"))
    with launching.refusing():
        embedded = Embedded(line.loader, line.options, line.find_afresh)
    headers = [header.split(":", 1) for header in options.pop("headers")]
    for option in ("reload_dirs", "reload_includes", "reload_excludes"):
        options[option] = options[option] or None
    if options["log_config"] is None:  # keep uvicorn's default
        del options["log_config"]
    _serve(options.pop("app"), embedded, {**options, "headers": headers})


def _serve(app: Any, embedded: Embedded, config: dict[str, Any]) -> None:
    if config.pop("reload", False):
        launching.refuse(
            "confcast: --reload replaces the workers whenever code changes, and can't be had together with a config "
            "owner; start without it, or plain uvicorn while you develop",
            _USAGE,
        )
    from confcast.servers.uvicorn.supervisor import serve

    serve(app, embedded, config)
