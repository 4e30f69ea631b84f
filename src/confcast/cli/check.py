"""`confcast check`: load as the config owner would, and say everything that is wrong. Changes nothing.

It runs in this process, with its environment and its user: a dry run in a deploy, not a question to a running owner.
What the module prints while it is imported goes to standard error, so that the report stays readable by a program.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import re
import sys
import sysconfig
import traceback
from collections import Counter
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import confcast
from confcast.cli.report import Exit, Report, line
from confcast.config.candidate import Candidate
from confcast.config.loader import ConfigLoader
from confcast.config.schema import fields_of
from confcast.errors import ConfigError, NotCarried, Problem

_POSITION = re.compile(r"(:\d+)+$")


def add_to(commands: Any) -> None:
    """The command and its options."""
    parser = commands.add_parser(
        "check",
        help="load once, in this process, and say everything that is wrong",
        description="Loads the configuration in this process, as the config owner would, and applies nothing. Exits "
        "with 0 when it can be loaded, and with 1, and every problem with its place, when it can't.",
    )
    parser.add_argument(
        "--loader",
        required=True,
        type=_module_and_name,
        metavar="MODULE:NAME",
        help="a ConfigLoader, or what gives one when it is called; the current directory can be imported from",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Report:
    """Load. Every failure is a problem in the report."""
    with contextlib.redirect_stdout(sys.stderr):
        try:
            return passed(*_load(find_loader(*options.loader)))
        except (ConfigError, NotCarried) as error:
            return refused(error.problems)


def find_loader(module: str, name: str) -> ConfigLoader[Any]:
    """The loader of that name in that module. Raises ConfigError, in words, when there is none."""
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    with _in_words(f"{module} can't be imported"):
        found: Any = importlib.import_module(module)
    for part in name.split("."):
        if not hasattr(found, part):
            raise _wrong(f"{module} has no {name!r}{_hint(part, found)}")
        found = getattr(found, part)
    if callable(found) and not isinstance(found, ConfigLoader):
        with _in_words(f"{module}:{name} can't be called without arguments"):
            found = found()
    if not isinstance(found, ConfigLoader):
        raise _wrong(f"{module}:{name} is no ConfigLoader, and gives none when it is called: {type(found).__name__}")
    return found


def passed(loader: ConfigLoader[Any], sources: list[str], candidate: Candidate[Any]) -> Report:
    """The report on a configuration that can be loaded. It shows where values come from, and none of the values."""
    origins = {key: candidate.origin_of(key) for key in _keys(loader.schema)}
    counts = Counter(_POSITION.sub("", origin) for origin in origins.values())
    text = [f"ok: {line(loader.schema_path)} from {line(', '.join(sources)) or 'no source'}"]
    text += [f"  {number} {'key' if number == 1 else 'keys'} by {line(by)}" for by, number in counts.items()]
    data = {"ok": True, "schema": loader.schema_path, "sources": sources, "origins": origins, "problems": []}
    return Report(Exit.DONE, "\n".join(text), data)


def refused(problems: list[Problem]) -> Report:
    """The report on everything that is wrong."""
    return Report(Exit.REFUSED, "\n".join(map(line, problems)), {"ok": False, "problems": problems})


def _load(loader: ConfigLoader[Any]) -> tuple[ConfigLoader[Any], list[str], Candidate[Any]]:
    with _in_words("the schema or a source can't be used"):
        loader.to_spec()  # what can't be sent to an owner would stop the server's start
        reading = loader.read()
        return loader, [layer.name for layer in reading.layers], loader.build(reading)


@contextlib.contextmanager
def _in_words(what: str) -> Iterator[None]:
    """Whatever the user's code raises becomes a problem with the place that raised it."""
    try:
        yield
    except (ConfigError, NotCarried, KeyboardInterrupt):
        raise
    except BaseException as error:  # a module may raise anything, SystemExit included
        raise _wrong(f"{what}: {type(error).__name__}: {error}", _place_of(error)) from error


def _place_of(error: BaseException) -> str:
    """The last line of the user's own code: neither Python's, nor an installed package's; empty when there is none."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}:{error.offset}"
    places = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    theirs = ("<frozen ", str(Path(confcast.__file__).parent), *places)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(theirs)]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def _wrong(message: str, place: str = "") -> ConfigError:
    return ConfigError([Problem("", message, place)])


def _hint(part: str, holder: Any) -> str:
    public = [name for name in dir(holder) if not name.startswith("_")]  # each module has a __loader__ of its own
    close = get_close_matches(part, public, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _keys(cls: Any, prefix: str = "") -> Iterator[str]:
    """The dotted attributes of a schema. What is inside a union or a container has no key of its own."""
    for field in fields_of(cls) or ():
        if fields_of(field.annotation) is None:
            yield prefix + field.name
        else:
            yield from _keys(field.annotation, f"{prefix}{field.name}.")


def _module_and_name(text: str) -> tuple[str, str]:
    module, _, name = text.partition(":")
    if not (module and name):
        raise argparse.ArgumentTypeError(f"{text!r} has to be MODULE:NAME, such as pkg.settings:loader")
    return module, name
