"""`confcast check` says what a reload would bring, and reports everything that is wrong. It changes nothing.

The owner of a running server loads, all its workers vote, and it drops all of that. A problem in a file is shown with
the line, secrets masked, and a caret below the column. With `--loader` the load runs in this process instead, with its
environment and its user: a dry run for a deploy, which asks no owner. Output of the modules that it imports goes to
standard error, so that a program can read the report.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from confcast.cli import owners
from confcast.cli.arguments import duration, module_and_name
from confcast.cli.operations import assignments, warn_of_secrets
from confcast.cli.reload import outcome
from confcast.cli.report import ExitCode, Report, line, problem_lines
from confcast.config.candidate import Candidate
from confcast.config.import_loader import in_words
from confcast.config.loader import ConfigLoader
from confcast.config.schema.kinds import fields_of
from confcast.errors import ConfigError, NotCarried, Problem, first_of

_WHAT = "the schema or a source can't be used"
_POSITION = re.compile(r"(:\d+)+(, from .*)?$", re.DOTALL)  # and what a reference there names


def add_to(commands: Any) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "check",
        help="try what a reload would bring, and say everything that is wrong",
        description="Has the config owner load and every worker vote, and drops all of it. With --loader it loads in "
        "this process instead, and asks no owner. Exits with 0 when it would be applied, and with 1, and every problem "
        "with its place, when it would be refused.",
    )
    owners.add_to(parser)
    parser.add_argument(
        "files",
        nargs="*",
        type=_file,
        metavar="FILE=OTHER",
        help="try the content of another file in the place of a source's; this process reads it, the owner need not",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="try this value, as `set` would set it"
    )
    parser.add_argument("--timeout", type=duration, metavar="SECONDS", help="how long to wait, all in all")
    parser.add_argument(
        "--loader",
        type=module_and_name,
        metavar="MODULE:NAME",
        help="a ConfigLoader, or what gives one when it is called; the current directory can be imported from",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run, usage_error=parser.error)


def run(options: argparse.Namespace) -> Report:
    """Ask the owner, or load here; and report."""
    if options.loader is not None and (options.files or options.set):
        options.usage_error("with --loader nothing is tried but the sources: leave FILE=OTHER and --set out")
    return _by_owner(options) if options.loader is None else _here(options)


def _by_owner(options: argparse.Namespace) -> Report:
    values, files, owner = assignments(options.set), dict(options.files), owners.find(options)
    try:
        event = owner.within(options.timeout, lambda left: owner.check(values=values, files=files, timeout=left))
    except OSError as error:
        options.usage_error(f"{error.filename} can't be read: {error.strerror}")
    except ValueError as error:
        options.usage_error(str(error))
    warn_of_secrets(event, options.set, owner.described)
    return outcome(owner, event)


def _here(options: argparse.Namespace) -> Report:
    """Load in this process. Every failure is a problem in the report."""
    with contextlib.redirect_stdout(sys.stderr):
        loader: ConfigLoader[Any] | None = None
        try:
            loader = ConfigLoader.find(options.loader)
            return passed(loader, *_load(loader))
        except (ConfigError, NotCarried) as error:
            return refused(error.problems if loader is None else loader._with_excerpts(error.problems))


def passed(loader: ConfigLoader[Any], sources: list[str], candidate: Candidate[Any]) -> Report:
    """The report on a configuration that can be loaded: where its values come from, but not the values."""
    origins = {key: candidate.origin_of(key) for key in _keys(loader.schema)}
    counts = Counter(_POSITION.sub("", origin) for origin in origins.values())
    text = [f"ok: {line(loader.schema_path)} from {line(', '.join(sources)) or 'no source'}"]
    text += [f"  {number} {'key' if number == 1 else 'keys'} by {line(by)}" for by, number in counts.items()]
    data = {"ok": True, "schema": loader.schema_path, "sources": sources, "origins": origins, "problems": []}
    return Report(ExitCode.DONE, "\n".join(text), data)


def refused(problems: Sequence[Problem]) -> Report:
    """The report on a configuration that can't be loaded, with everything that is wrong with it."""
    shown = first_of(problems)
    lines = [each for problem in shown for each in problem_lines(problem)]
    return Report(ExitCode.REFUSED, "\n".join(lines), {"ok": False, "problems": shown})


def _load(loader: ConfigLoader[Any]) -> tuple[list[str], Candidate[Any]]:
    with in_words(_WHAT):
        loader._to_spec()  # raises if the server could not start, since the loader can't be sent to an owner
        _ = loader.schema  # imports the schema, which says what is a secret, and may have sources of its own
        reading = loader._read()
    with in_words(_WHAT, lambda text: loader._masked(text, reading)):
        return [layer.name for layer in reading.layers], loader._build(reading)


def _keys(cls: Any, prefix: str = "") -> Iterator[str]:
    """The dotted keys of a schema's attributes. Attributes inside a union or a container have no key of their own."""
    for field in fields_of(cls) or ():
        if fields_of(field.annotation) is None:
            yield prefix + field.name
        else:
            yield from _keys(field.annotation, f"{prefix}{field.name}.")


def _file(text: str) -> tuple[str, str]:
    name, equals, other = text.partition("=")
    if not name or not equals or not other:
        raise argparse.ArgumentTypeError(f"{text!r} has to be FILE=OTHER, such as app.toml=proposed.toml")
    return name, other
