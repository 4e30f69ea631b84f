"""`confcast explain KEY` says where a value comes from, what it hides, and what the schema says of it.

The owner loads its sources for the answer, since another process has another environment and other overrides. While a
version is held, what runs is explained, and what the sources say beside it. Secrets come masked.
"""

from __future__ import annotations

import argparse
from typing import Any

from confcast.cli import owners
from confcast.cli.report import ExitCode, Report, line, when
from confcast.errors import ConfigError
from confcast.wire.messages import Explanation

_LONGEST = 200
"""Characters of a value beyond which an explanation cuts it, so that it can't be compared."""


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
    return owners.answered(options, lambda owner: _explained(owner, options.key))


def _explained(owner: owners.OwnerClient, key: str) -> Report:
    found = owner.explain(key)
    return report(found, _runs(owner, found))


def _runs(owner: owners.OwnerClient, found: Explanation) -> tuple[Any, str] | None:
    """The value that runs, and why, if the sources have another one by now; None if it can't be named by itself."""
    if found.waiting is not None or found.problems:  # a version is held, and it is what was explained
        return None
    try:
        runs = owner.shown(found.key)
    except ConfigError:  # an item of a list, which is shown as a whole
        return None
    if [name.replace('"', "") for name, _ in runs] != [found.key.replace('"', "")]:  # a table
        return None
    if (value := runs[0][1]) == found.value or len(repr(value)) > _LONGEST:
        return None
    return value, f"version {owner.get_stats()['version']} runs, and the sources wait for `confcast reload`"


def report(found: Explanation, runs: tuple[Any, str] | None = None) -> Report:
    """The report on a key, for a person and for a program; `runs`: another value that runs, and why."""
    facts: list[tuple[str, object]] = [("from", found.origin)]
    facts += [] if runs is None else [("runs", f"{_value(runs[0])}: {runs[1]}")]
    facts += _sources(found)
    hidden = [f"{_value(each.value)}, {each.origin}" for each in found.shadowed]
    facts += [("left out", each) for each in found.left_out]
    facts += zip(["hides", *[""] * len(hidden)], hidden, strict=False)
    facts += [("default", "none: it has to be given" if found.required else _value(found.default))]
    facts += [("type", found.type)] if found.type else []
    facts += [("demands", ", ".join(found.constraints))] if found.constraints else []
    facts += [("about", found.description)] if found.description else []
    facts += [("since", f"version {found.since_version}")] if found.since_version else []
    facts += [("expires", when(found.expires))] if found.expires is not None else []
    facts += (
        [("pending", f"{_value(found.pending)}, at the next full reload of the server")]
        if found.pending is not None
        else []
    )
    lines = [line(f"{found.key} = {_value(found.value)}"), *(line(f"  {name:8} {text}") for name, text in facts)]
    return Report(
        ExitCode.DONE, "\n".join(lines), {"explanation": found, "runs": found.value if runs is None else runs[0]}
    )


def _sources(found: Explanation) -> list[tuple[str, object]]:
    """What the sources say while a version is held."""
    if found.problems:
        return [("sources", "refused, so that nothing can be resumed:"), *(("", each) for each in found.problems)]
    if found.waiting is None:
        return []
    if found.waiting.value == found.value:
        return [("sources", f"the same, {found.waiting.origin}")]
    said = "" if found.waiting.origin == "absent" else f"{_value(found.waiting.value)}, "
    return [("sources", f"{said}{found.waiting.origin}: waits for `confcast resume`")]


def _value(value: Any) -> str:
    return repr(value)
