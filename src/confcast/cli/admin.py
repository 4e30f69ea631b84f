"""`confcast admin` serves the admin API and its page, until SIGTERM or SIGINT.

What it says while it runs goes to standard error, a line each: the URL that it listens on is the first one, so that
whoever has asked for port 0 learns it.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

from confcast.cli import owners
from confcast.cli.report import ExitCode, Report, line
from confcast.wire import patient_loops

_BIND = "127.0.0.1:9151"


def add_to(commands: Any) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "admin",
        help="serve the admin API and its page",
        description="Serves a JSON API and a page for the config owners of this user, as a client of theirs. "
        "Everything that it does, other commands do on the host. Needs `pip install confcast[admin]`.",
    )
    owners.add_to(parser)
    parser.add_argument("--bind", default=_BIND, metavar="HOST:PORT", help=f"where (default: {_BIND})")
    parser.add_argument("--token-file", default="", metavar="FILE", help="its tokens; made if it is not there")
    parser.add_argument("--allow-host", action="append", default=[], metavar="HOST[:PORT]", help="another name of it")
    parser.add_argument("--tls-cert", default="", metavar="FILE", help="its certificate")
    parser.add_argument("--tls-key", default="", metavar="FILE", help="its key, unless it is in --tls-cert")
    parser.add_argument("--behind-proxy", action="store_true", help="a proxy does TLS")
    parser.add_argument("--json", action="store_true", help="print one JSON document at the end")
    parser.set_defaults(run=run, usage_error=parser.error)


def run(options: argparse.Namespace) -> Report:
    """Serve until a signal, and report. Exits with 2 if it can't be started like this."""
    try:
        from confcast.admin import server
        from confcast.admin.owners import Which
        from confcast.admin.tokens import BadTokens, default_path
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("confcast"):
            raise
        options.usage_error(f"{error.name} is not installed: pip install 'confcast[admin]'")
    path = Path(options.token_file) if options.token_file else default_path()
    start = server.Options(
        bind=options.bind,
        which=Which(options.name, options.address, options.pid),
        token_file=path,
        hosts=tuple(options.allow_host),
        tls_cert=options.tls_cert,
        tls_key=options.tls_key,
        behind_proxy=options.behind_proxy,
    )
    logging.getLogger("confcast.admin").setLevel(logging.INFO)
    made = not path.exists()

    def listening(url: str) -> None:
        print(f"listening on {url}", file=sys.stderr, flush=True)
        print(f"its tokens {'were made' if made else 'are'} in {line(path)}", file=sys.stderr, flush=True)

    try:
        patient_loops.run(server.serve(start, listening))
    except (server.CanNotStart, BadTokens) as error:
        options.usage_error(line(error))
    return Report(ExitCode.DONE, "ended", {"ended": True})
