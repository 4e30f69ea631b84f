"""`confcast schema [KEY]` lists the keys of the schema; with `--example FORMAT` it prints a file to begin with.

The owner is asked, which reads no source for it; with `--loader` the schema is imported here, and no owner is asked.
Secrets come masked, and the value of none is in an example. Rejected: an example from the values that run (it would be
a copy of one server's configuration, without its secrets).
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from confcast.cli import owners
from confcast.cli.arguments import module_and_name
from confcast.cli.report import ExitCode, Report, line, table
from confcast.errors import ConfigError, NotCarried, Problem
from confcast.texts import shortened
from confcast.wire.messages import SchemaKey

_LONGEST = 60
"""Characters of a cell beyond which a table cuts it; `--json` has all of it."""


def add_to(commands: Any) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "schema",
        help="list the keys that a configuration may have, or print a file to begin with",
        description="Lists every key of the schema that the config owner serves, with type, default, constraints and "
        "description; or, with --example, prints a file that has the defaults. Reads no source, and changes nothing. "
        "Exits with 1 when there is no such key.",
    )
    parser.add_argument(
        "key", nargs="?", default="", metavar="KEY", help="dotted, for this key and those below: memory, servers[].host"
    )
    parser.add_argument(
        "--example", choices=("toml", "yaml", "json", "jsonc", "ini"), help="print a file in this format"
    )
    owners.add_to(parser)
    parser.add_argument(
        "--loader",
        type=module_and_name,
        metavar="MODULE:NAME",
        help="a ConfigLoader, or what gives one when it is called; asks no owner",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Report:
    """Ask the owner, or look here; and report. Raises OwnerUnavailable, or ConfcastError if the owner refuses."""
    if options.loader is not None:
        return _here(options)
    return owners.answered(options, lambda owner: report(owner.described(options.key), options.example))


def report(fields: Sequence[SchemaKey], example: str | None = None) -> Report:
    """The report on these keys, or a file in the format of `example`, for a person and for a program."""
    if example is None:
        return Report(ExitCode.DONE, "\n".join(_rows(fields)), {"fields": list(fields)})
    from confcast.cli.example_file import example_file  # imported here: a list of keys has no use for it

    text = example_file(fields, example)
    return Report(ExitCode.DONE, text, {"format": example, "example": text})


def _here(options: argparse.Namespace) -> Report:
    """Describe the schema of a loader in this process. What its modules print goes to standard error."""
    from confcast.config.described import described
    from confcast.config.import_loader import in_words
    from confcast.config.loader import ConfigLoader

    with contextlib.redirect_stdout(sys.stderr):
        try:
            loader: ConfigLoader[Any] = ConfigLoader.find(options.loader)
            with in_words("the schema can't be used"):
                fields = described(loader._codec, options.key)
        except (ConfigError, NotCarried) as error:
            return _refused(error.problems)
    return report(fields, options.example)


def _refused(problems: Iterable[Problem]) -> Report:
    return Report(ExitCode.REFUSED, "\n".join(map(line, problems)), {"problems": list(problems)})


def _rows(fields: Sequence[SchemaKey]) -> list[str]:
    if not fields:
        return ["the schema has no keys"]
    rest = [each.key for each in fields if not each.type and each.key.startswith("and ")]
    listed = [each for each in fields if each.key not in rest]
    rows = [(each.key, _cut(each.type), _default(each), _cut(_demands(each)), _about(each)) for each in listed]
    columns = list(zip(("KEY", "TYPE", "DEFAULT", "DEMANDS", "ABOUT"), *rows, strict=True))
    header, *shown = zip(*(column for column in columns if any(column[1:])), strict=True)
    return [*table(header, shown), *map(line, rest)]


def _default(field: SchemaKey) -> str:
    if field.required:
        return "required"
    return "" if not field.path and field.default is None else _cut(repr(field.default))


def _about(field: SchemaKey) -> str:
    return " ".join(field.description.split())


def _demands(field: SchemaKey) -> str:
    return ", ".join([*field.constraints, *field.marks])


def _cut(text: str) -> str:
    return shortened(text, _LONGEST)
