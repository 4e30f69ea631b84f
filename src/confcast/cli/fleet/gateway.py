"""`confcast fleet gateway` stands between an engine and many hosts, until SIGTERM or SIGINT.

What it says while it runs goes to standard error, a line each, also with `--json`: standard output has the report of
its end alone. The URL that it listens on is the first line, so that whoever has asked for port 0 learns it.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from typing import Any

from confcast.cli.fleet import engine_options
from confcast.cli.report import ExitCode, Report, line
from confcast.wire import patient_loops

_LISTEN = "127.0.0.1:9180"


def add_to(commands: Any) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "gateway",
        help="stand between an engine and many hosts",
        description="Follows keys of an engine once, and serves them to many hosts, whose source is "
        "confcast.fleet.Gateway. Listens once it has a head, of the engine or of its copy on disk, and serves that "
        "while the engine is away. Several gateways may run; hosts spread over those that they are given. Ends in "
        "order at SIGTERM. Needs `pip install confcast[gateway]`.",
    )
    parser.add_argument(
        "--from",
        "--to",
        dest="url",
        metavar="URL",
        help="the engine's URL (default: $CONFCAST_FLEET_URL)",
    )
    parser.add_argument(
        "--key",
        action="append",
        metavar="KEY",
        help="the key (default: $CONFCAST_FLEET_KEY); may be repeated",
    )
    parser.add_argument("--listen", default=_LISTEN, metavar="HOST:PORT", help=f"where (default: {_LISTEN})")
    parser.add_argument(
        "--state-dir", default="", metavar="FOLDER", help="keep a copy there, to start from while the engine is away"
    )
    hosts = parser.add_argument_group("who may come in; with none of these, only this machine")
    hosts.add_argument("--tls-cert", default="", metavar="FILE", help="the gateway's certificate")
    hosts.add_argument("--tls-key", default="", metavar="FILE", help="its key, unless it is in --tls-cert")
    hosts.add_argument("--client-ca", default="", metavar="FILE", help="hosts show a certificate of these authorities")
    hosts.add_argument("--token-file", default="", metavar="FILE", help="hosts show one of these tokens, one a line")
    engine = parser.add_argument_group("how it comes to the engine")
    engine.add_argument("--password-file", default="", metavar="FILE", help="the password, read anew when it is needed")
    engine.add_argument("--ca-file", default="", metavar="FILE", help="the authorities of the engine's certificate")
    engine.add_argument("--cert-file", default="", metavar="FILE", help="the certificate to show the engine")
    engine.add_argument("--key-file", default="", metavar="FILE", help="its key, unless it is in --cert-file")
    parser.add_argument("--json", action="store_true", help="print one JSON document at the end")
    parser.set_defaults(run=run, usage_error=parser.error)


def run(options: argparse.Namespace) -> Report:
    """Serve until a signal, and report. Exits with 2 if it can't be started like this."""
    access, keys = engine_options.access_of(options), _keys(options)
    try:
        from confcast.fleet.gateway import running
        from confcast.fleet.gateway.errors import CanNotStart
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("confcast"):
            raise
        options.usage_error(f"{error.name} is not installed: pip install 'confcast[gateway]'")
    given = {name: getattr(options, name) for name in ("state_dir", "tls_cert", "tls_key", "client_ca", "token_file")}
    start = running.Options(engine=access, keys=keys, listen=options.listen, **given)
    logging.getLogger("confcast.fleet").setLevel(logging.INFO)
    try:
        served = patient_loops.run(running.serve(start, _listening))
    except CanNotStart as error:
        options.usage_error(line(error))
    text = f"ended; {served.cut_off} slow hosts were cut off, {served.refused} connections were one too many"
    return Report(ExitCode.DONE, text, {"ended": True, **served._asdict()})


def _keys(options: argparse.Namespace) -> tuple[str, ...]:
    """The keys that options and environment mean, each once. Exits with 2 if they mean none."""
    from confcast.fleet.sources import check_key

    keys = options.key or list(filter(None, [os.environ.get(engine_options.KEY, "")]))
    if not keys:
        options.usage_error(f"say which configuration is meant: give --key KEY, or set {engine_options.KEY}")
    try:
        for key in keys:
            check_key(key)
    except ValueError as error:
        options.usage_error(line(error))
    return tuple(dict.fromkeys(keys))


def _listening(url: str) -> None:
    print(f"listening on {url}", file=sys.stderr, flush=True)
