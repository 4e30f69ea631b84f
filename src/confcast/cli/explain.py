"""`confcast explain KEY` says where a value comes from, what it hides, and what the schema says of it.

The owner loads its sources for the answer, since another process has another environment and other overrides. Secrets
come masked from the owner.
"""

from __future__ import annotations

import argparse
from typing import Any

from confcast.cli import owners
from confcast.cli.report import ExitCode, Report, line, when
from confcast.errors import ConfigError
from confcast.wire.messages import Explanation


def add_to(commands: Any) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "explain",
        help="say where the value of a key comes from, what it hides, and what the schema says of it",
        description="Has the config owner load its sources, and says where the value of a key comes from, which values "
        "of lower sources it hides, and what the schema demands. Changes nothing. Exits with 1 when there is no such "
        "key, or the sources are refused.",
    )
    parser.add_argument("key", metavar="KEY", help='dotted, as messages write it: memory.total, levels."a.b"')
    owners.add_to(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Report:
    """Ask the owner, and report. Raises OwnerUnavailable, or ConfcastError if the owner refuses to answer."""
    owner = owners.find(options)
    try:
        return report(owner.explain(options.key))
    except ConfigError as error:
        return refused(error)


def report(found: Explanation) -> Report:
    """The report on a key, for a person and for a program."""
    facts: list[tuple[str, object]] = [("from", found.origin)]
    hidden = [f"{_value(each.value)}, {each.origin}" for each in found.shadowed]
    facts += zip(["hides", *[""] * len(hidden)], hidden, strict=False)
    facts += [("default", "none: it has to be given" if found.required else _value(found.default))]
    facts += [("type", found.type)] if found.type else []
    facts += [("demands", ", ".join(found.constraints))] if found.constraints else []
    facts += [("about", found.description)] if found.description else []
    facts += [("since", f"version {found.since_version}")] if found.since_version else []
    facts += [("expires", when(found.expires))] if found.expires is not None else []
    facts += [("pending", _value(found.pending))] if found.pending is not None else []
    lines = [line(f"{found.key} = {_value(found.value)}"), *(line(f"  {name:8} {text}") for name, text in facts)]
    return Report(ExitCode.DONE, "\n".join(lines), {"explanation": found})


def refused(error: ConfigError) -> Report:
    """The report on a question that has no answer."""
    return Report(ExitCode.REFUSED, "\n".join(line(each) for each in error.problems), {"problems": error.problems})


def _value(value: Any) -> str:
    return repr(value)
