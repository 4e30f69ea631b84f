"""Run the MCP server: over HTTP with several workers, or over standard input and output as one process.

    python -m confcast.examples.mcp_server --config FILE --folder FOLDER --workers 3 --port 8000
    python -m confcast.examples.mcp_server --config FILE --folder FOLDER --stdio

Exit status 78: the configuration was refused; 3: the owner could not start, or the SDK is not installed. The reason is
on standard error.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import logging
import os
import sys
from collections.abc import Sequence

from confcast import ConfigReloadManager
from confcast.examples.mcp_server.config import DEFAULT_CONFIG_PATH, loader
from confcast.servers.common import launching

APP = "confcast.examples.mcp_server.app:app"
_SHUTDOWN_SECONDS = 10
"""Seconds that running calls may take when the server stops."""

_BOOT_SECONDS = 10
"""Seconds that a worker may take to answer its master: on a busy machine its imports take long."""

_IDLE_SECONDS = 60
"""Seconds for which an idle connection is kept. Clients close theirs after 5 s, which is uvicorn's default, too. A call
fails if the server closes its connection just when the client uses that connection again, hence the longer time."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program.

    Raises:
        SystemExit: With the exit status that the module's docstring explains.
    """
    options = _parser().parse_args(arguments)
    if importlib.util.find_spec("mcp") is None:  # found, but not imported: over HTTP the master does not need it
        launching.refuse("confcast: mcp is not installed: pip install 'confcast[mcp,yaml]'", launching.COULD_NOT_START)
    os.environ["MCP_SERVER_HOST"] = options.host
    if options.folder is not None:
        os.environ["LEINDEX_FOLDER"] = options.folder
    if options.stdio:
        _serve_stdio(options)
    else:
        _serve_http(options)


def _serve_http(options: argparse.Namespace) -> None:
    from confcast.servers import uvicorn

    uvicorn.run(
        APP,
        loader(options.config),
        manager={"watch": options.watch, "vote_timeout": options.vote_timeout},
        host=options.host,
        port=options.port,
        workers=options.workers,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        timeout_worker_healthcheck=_BOOT_SECONDS,
    )


def _serve_stdio(options: argparse.Namespace) -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    manager = ConfigReloadManager(loader(options.config), watch=options.watch, vote_timeout=options.vote_timeout)
    launching.start("the MCP server", manager)
    with manager:
        from confcast.examples.mcp_server import app, settings, stdio

        settings.settings.attach()
        asyncio.run(stdio.serve(app.server))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m confcast.examples.mcp_server", description="Search, as MCP tools.")
    parser.add_argument("--config", type=_file, metavar="FILE", help=f"the YAML file ({DEFAULT_CONFIG_PATH})")
    parser.add_argument("--folder", help="whose text files are indexed (~/.leindex/texts)")
    parser.add_argument("--stdio", action="store_true", help="speak over standard input and output, in one process")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="and at which port (8000)")
    parser.add_argument("--workers", type=int, default=1, help="how many processes serve (1)")
    parser.add_argument("--no-watch", dest="watch", action="store_false", help="reload on request (HUP) only")
    parser.add_argument("--vote-timeout", type=_seconds, default=2.0, help="seconds a worker may take to vote (2)")
    return parser


def _file(text: str) -> str:
    """Check that a loader accepts the file's name; the file need not exist yet."""
    try:
        loader(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no time to wait: give seconds above 0")
    return seconds


if __name__ == "__main__":
    main()
