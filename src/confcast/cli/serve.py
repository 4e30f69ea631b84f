"""`confcast serve` runs a config owner without a server, in the foreground, for the processes of one host.

What it does is in `confcast.serve`, which is imported when it runs. It prints nothing: it logs to standard error, as
its owner does.
"""

from __future__ import annotations

import argparse
import logging
import os
from typing import TYPE_CHECKING, Any

from confcast.cli import metrics_flags
from confcast.cli.arguments import module_and_name
from confcast.cli.report import ExitCode, Report
from confcast.errors import ConfigError
from confcast.log_fields import about
from confcast.log_stream import LogStream
from confcast.wire import option_flags

_log = logging.getLogger("confcast.serve")

if TYPE_CHECKING:
    from confcast.serve.serving import PlugIn
    from confcast.wire.options import EmbeddedOptions


def add_to(commands: Any) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "serve",
        usage="confcast serve --loader MODULE:NAME [options]",  # all of them above an error would hide it
        help="run a config owner without a server, for all processes of a host that attach to it",
        description="Runs a config owner in the foreground, until TERM or Ctrl-C; HUP reloads. Processes attach by "
        "CONFCAST_ADDRESS_<NAME>=PATH, or by the name. Exits with 1 when the first load, or the address, is refused.",
    )
    parser.add_argument(
        "--loader",
        type=module_and_name,
        required=True,
        metavar="MODULE:NAME",
        help="a ConfigLoader, or what gives one when it is called; the current directory can be imported from",
    )
    parser.add_argument(
        "--address",
        type=_path,
        metavar="PATH",
        help="where processes attach, whatever owner serves: a link that stays the same over restarts",
    )
    parser.add_argument("--user", metavar="USER", help="let another user's processes attach, too; only root can")
    parser.add_argument("--group", metavar="GROUP", help="let the processes of a group's members attach, too")
    parser.add_argument(
        "--mode",
        choices=("0600", "0660"),
        help="of the socket: 0660 lets the group in, and is meant where --group is given",
    )
    parser.add_argument(
        "--take-over",
        action="store_true",
        help="take the place of the `confcast serve` there, once this one serves; its workers go on meanwhile",
    )
    option_flags.add_to(parser)
    metrics_flags.add_to(parser)
    parser.add_argument(
        "--json", action="store_true", help="when nothing is served, print why as one JSON document, too"
    )
    parser.set_defaults(run=run, usage_error=parser.error)


def run(options: argparse.Namespace) -> Report:
    """Serve until a signal ends it. The report is empty, but for a program that asks why nothing is served."""
    given = vars(options)
    from confcast.serve.address_link import AddressRefused  # imported here, as below: the help needs none of it
    from confcast.serve.permissions import let_in
    from confcast.wire.options import checked

    try:
        manager_options = option_flags.taken(given)
        _log_to_standard_error(manager_options)
        checked(manager_options)
        who = let_in(options.user, options.group, options.mode)
    except (ValueError, ConfigError) as error:
        options.usage_error(str(error))
    except AddressRefused as error:
        _log.error("nothing is served: %s", error, extra=about("serve_refused", problems=[str(error)]))
        return Report(ExitCode.REFUSED, "", {"error": str(error), "problems": []}, None if options.json else iter(()))
    from confcast.serve.serving import Serving

    plug_ins = [*_plug_ins(), *metrics_flags.plug_ins(options)]
    serving = Serving(
        options.loader,
        manager_options,
        options.address,
        let_in=who,
        takes_over=options.take_over,
        plug_ins=plug_ins,
    )
    status = ExitCode(serving.run())
    return Report(status, "", serving.refusal, None if options.json and serving.refusal else iter(()))


def _plug_ins() -> list[PlugIn]:
    """What else runs in the process, as options and environment have it."""
    found: list[PlugIn] = []
    if "NOTIFY_SOCKET" in os.environ:
        from confcast.serve import systemd

        found += filter(None, [systemd.plug_in(os.environ)])
    return found


def _log_to_standard_error(options: EmbeddedOptions) -> None:
    """Have this process write lines as its owner does, from the same severity on, and in the same format."""
    level, name = options.get("log_level", "info").upper(), options.get("name", "app")
    handler = LogStream()
    if options.get("log_format") == "json":
        from confcast import json_lines

        handler.setFormatter(json_lines.JsonLines(name))
        json_lines.of_warnings()
    else:
        form = f"%(asctime)s [%(process)d] [%(levelname)s] confcast {name.replace('%', '%%')}: %(message)s"
        handler.setFormatter(logging.Formatter(form))
    logging.basicConfig(level=level, handlers=[handler], force=True)


def _path(text: str) -> str:
    """A path, which a variable that is not set does not give. Raises ArgumentTypeError."""
    if not text or text.endswith(os.sep):
        raise argparse.ArgumentTypeError(f"{text!r} is no path of a file: give one such as /run/shop/config.sock")
    return text
