"""The options that say which key in which engine is meant, and how a verb asks it.

Whatever a verb answers is a report: also that another head is there (5), and what the engine, or the state of things,
does not allow (1). That no engine has answered is an error (3).
"""

from __future__ import annotations

import argparse
import getpass
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from confcast.cli.report import ExitCode, Report, line, when
from confcast.errors import ConfcastError

if TYPE_CHECKING:
    from confcast.fleet.engines.access import Access
    from confcast.fleet.engines.link import Link
    from confcast.fleet.publishing import Author, Conflict, Version

URL, KEY = "CONFCAST_FLEET_URL", "CONFCAST_FLEET_KEY"
"""The variables that stand for --to and --key."""


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which key in which engine is meant."""
    parser.add_argument(
        "--to",
        "--from",
        dest="url",
        type=_not_empty,
        metavar="URL",
        help=f"the engine: redis://, rediss://, etcd://, postgresql://, nats://, …; default: ${URL}",
    )
    parser.add_argument(
        "--key", type=_not_empty, metavar="KEY", help=f"the configuration's name in the engine; default: ${KEY}"
    )
    parser.add_argument("--password-file", default="", metavar="FILE", help="the file that has the password or token")
    parser.add_argument("--ca-file", default="", metavar="FILE", help="the authorities that its certificate is from")
    parser.add_argument("--cert-file", default="", metavar="FILE", help="this side's certificate, for mutual TLS")
    parser.add_argument("--key-file", default="", metavar="FILE", help="its key, if it is in a file of its own")
    parser.set_defaults(usage_error=parser.error)


def add_change_to(parser: argparse.ArgumentParser) -> None:
    """Add the options of a verb that changes a head."""
    parser.add_argument(
        "--expect", type=_not_empty, metavar="HEAD", help="only if this head is there (`none`: if none is)"
    )
    parser.add_argument("--reason", default="", help="why, for the hosts' logs and the history")


def access_of(options: argparse.Namespace) -> Access:
    """How to reach the engine that options and environment mean. Exits with 2 if they mean none."""
    from confcast.fleet.engines import ENGINES
    from confcast.fleet.engines.access import Access
    from confcast.fleet.engines.engine import Fault

    url = options.url or os.environ.get(URL, "")
    if not url:
        options.usage_error(f"say which engine is meant: give --to URL, or set {URL}")
    files = {name: getattr(options, name) for name in ("password_file", "ca_file", "cert_file", "key_file")}
    try:
        access = Access(url=url, **files)
        access.check()
    except (ValueError, Fault) as error:
        options.usage_error(line(error))
    engines = {scheme: engine for engine in ENGINES.values() for scheme in engine.schemes}
    if access.parts.scheme not in engines:
        known = ", ".join(f"{scheme}://" for scheme in engines)
        options.usage_error(f"{line(access.shown)}: a URL of an engine is expected, which begins with {known}")
    try:
        engines[access.parts.scheme].check(access)
    except Fault as error:
        options.usage_error(line(error))
    if options.url and access.password_in_url:
        text = f"warning: others may have read the password in the list of processes: use --password-file, or {URL}"
        print(text, file=sys.stderr)
    return access


def key_of(options: argparse.Namespace) -> str:
    """The key that options and environment mean. Exits with 2 if they mean none."""
    from confcast.fleet.sources import check_key

    key: str = options.key or os.environ.get(KEY, "")
    if not key:
        options.usage_error(f"say which configuration is meant: give --key KEY, or set {KEY}")
    try:
        check_key(key)
    except ValueError as error:
        options.usage_error(line(error))
    return key


def linked(options: argparse.Namespace) -> Link:
    """The connection that a verb uses; nothing is connected yet."""
    from confcast.fleet.engines import connect
    from confcast.fleet.engines.link import Link

    access, key = access_of(options), key_of(options)
    return Link(lambda: connect(access, key))


def author_of(options: argparse.Namespace) -> Author:
    """Who changes a head, as the audit trail names them."""
    from confcast.fleet.publishing import Author

    return Author(_by(), options.reason, options.expect or "")


def asked(options: argparse.Namespace, question: Callable[[Link], Awaitable[Report]]) -> Report:
    """The report on a question to the engine. Raises Unreachable if there is no answer."""
    from confcast.wire.patient_loops import run

    link = linked(options)

    async def ask() -> Report:
        async with link:
            return await question(link)

    try:
        return run(ask())
    except ConfcastError as error:
        return failed(error)


def failed(error: ConfcastError) -> Report:
    """The report on an error that is an answer. Raises the others."""
    from confcast.fleet.engines.engine import Unreachable
    from confcast.fleet.publishing import Conflict

    if isinstance(error, Unreachable):
        raise error
    if isinstance(error, Conflict):
        return conflict(error)
    return Report(ExitCode.REFUSED, f"refused  {error}", {"outcome": "refused", "error": str(error)})


def conflict(error: Conflict) -> Report:
    """The report for whoever has lost: who has won, and what."""
    winner = error.winner
    lines = [f"conflict  {error}", *([f"winner    {described(winner)}"] if winner is not None else [])]
    data = {"outcome": "conflict", "error": str(error), "head": error.id, "winner": as_data(winner)}
    return Report(ExitCode.CONFLICT, "\n".join(lines), data)


def described(version: Version) -> str:
    """An entry of the audit trail on one line."""
    head = version.entry.head
    why = f": {head.why}" if head.why else ""
    digest = (head.next or head.stable)[:8]
    return line(f"{version.id}, {version.entry.what} of {digest} by {head.by or '?'}, {when(head.at)}{why}")


def as_data(version: Version | None) -> dict[str, Any] | None:
    """An entry of the audit trail for a program."""
    if version is None:
        return None
    entry = version.entry
    return {
        "id": version.id,
        "what": entry.what,
        "replaced": entry.replaced,
        "detail": entry.detail,
        **head_data(entry.head),
    }


def head_data(head: Any) -> dict[str, Any]:
    """A head for a program."""
    names = ("stable", "next", "percent", "rings", "rev", "at", "by", "why")
    return {name: getattr(head, name) for name in names}


def _by() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _not_empty(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("is empty: give one, or leave the option out")
    return text
