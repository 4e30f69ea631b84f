"""`confcast admin` serves the admin API and its page, until SIGTERM or SIGINT.

What it says while it runs goes to standard error, a line each: the URL that it listens on is the first one, so that
whoever has asked for port 0 learns it.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from confcast.cli import owners
from confcast.cli.fleet import engine_options
from confcast.cli.report import ExitCode, Report, line
from confcast.wire import patient_loops

_BIND = "127.0.0.1:9151"
_FILES = {
    "password_file": "the file that has the password or token",
    "ca_file": "the authorities that its certificate is from",
    "cert_file": "this side's certificate, for mutual TLS",
    "key_file": "its key, if it is in a file of its own",
}


def add_to(commands: Any) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "admin",
        usage="confcast admin [options]",
        help="serve the admin API and its page",
        description="Serves a JSON API and a page for the config owners of this user, as a client of theirs; with "
        "--name, --address or --pid, or in a server's process, for one alone. Everything that it does, other commands "
        "do on the host. Needs `pip install confcast[admin]`.",
    )
    owners.add_to(parser)
    parser.add_argument("--bind", default=_BIND, metavar="HOST:PORT", help=f"where it listens (default: {_BIND})")
    parser.add_argument(
        "--token-file",
        default="",
        metavar="FILE",
        help="who may ask: in each line a name, a role and a token; it is made if it is not there (default: "
        "confcast/admin-tokens in the user's state folder)",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="HOST[:PORT]",
        help="another name of this server, such as a proxy's; may be given several times",
    )
    parser.add_argument(
        "--tls-cert", default="", metavar="FILE", help="this server's certificate: it speaks HTTPS then"
    )
    parser.add_argument(
        "--tls-key", default="", metavar="FILE", help="the certificate's key, unless it is in --tls-cert"
    )
    parser.add_argument(
        "--behind-proxy", action="store_true", help="listen on a network without TLS, which a proxy does"
    )
    fleet = parser.add_argument_group("the fleet that the page shows, if there is one")
    fleet.add_argument("--fleet-url", default="", metavar="URL", help=f"its engine (default: ${engine_options.URL})")
    fleet.add_argument("--fleet-key", default="", metavar="KEY", help=f"its key (default: ${engine_options.KEY})")
    for name, text in _FILES.items():
        fleet.add_argument(f"--fleet-{name.replace('_', '-')}", default="", metavar="FILE", help=text)
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
    try:
        path = Path(options.token_file) if options.token_file else default_path()
    except BadTokens as error:
        options.usage_error(line(error))
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
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # it warns of each request that is none: strangers' logs

    def listening(url: str, made: bool) -> None:
        print(f"listening on {url}", file=sys.stderr, flush=True)
        where = f"its tokens {'were made' if made else 'are'} in {line(path)}"
        print(f"{where}: paste one of them into the page", file=sys.stderr, flush=True)

    try:
        patient_loops.run(server.serve(start, listening, _fleet(options)))
    except (server.CanNotStart, BadTokens) as error:
        options.usage_error(line(error))
    return Report(ExitCode.DONE, "ended", {"ended": True})


def _fleet(options: argparse.Namespace) -> Callable[[], Awaitable[dict[str, Any]]] | None:
    """What asks for the fleet's state; None where options and environment name no fleet. Exits with 2 for a bad one."""
    url = options.fleet_url or os.environ.get(engine_options.URL)
    key = options.fleet_key or os.environ.get(engine_options.KEY)
    if not url and not key:
        return None
    if not url or not key:
        options.usage_error("a fleet is meant by its URL and its key: give --fleet-url and --fleet-key")
    files = {name: getattr(options, f"fleet_{name}") for name in _FILES}
    which = argparse.Namespace(url=url, key=key, usage_error=options.usage_error, **files)
    engine_options.access_of(which)
    key = engine_options.key_of(which)

    async def ask() -> dict[str, Any]:
        from confcast.cli.fleet import status

        async with engine_options.linked(which) as link:
            return (await status.looked_at(link, key)).data

    return ask
