"""What a run has found, apart from how it is shown: to JSON and back, and what a rival's integration takes in lines."""

from __future__ import annotations

import ast
import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from time import monotonic
from typing import TypeVar

import msgspec

from benchmarks.rivals import NAMES, environments
from benchmarks.rivals.events import EVENTS, Event, Outcome, Plan, run
from benchmarks.rivals.job import Rival
from benchmarks.rivals.site import Failed

_NO_INTEGRATION = ("__init__.py", "server.py")
_T = TypeVar("_T")
_HAS_SERVER = ("manager",)  # whose server is a program of the integration's own


class Found(msgspec.Struct, frozen=True):
    """One rival.

    Attributes:
        name: Its name.
        shown: In the tables.
        versions: Of what it is made of.
        lines: Of Python that its integration takes, without blank ones, comments and docstrings.
        outcomes: One for each event, in their order.
    """

    name: str
    shown: str
    versions: dict[str, str]
    lines: int
    outcomes: list[Outcome]


class Results(msgspec.Struct, frozen=True):
    """All of one run.

    Attributes:
        machine: On what.
        rivals: In the order of the tables.
    """

    machine: dict[str, str]
    rivals: list[Found]

    @property
    def fingerprint(self) -> str:
        """Another for other results: it stands in the picture."""
        return hashlib.blake2b(msgspec.json.encode(self), digest_size=8).hexdigest()

    def to_json(self) -> bytes:
        """As text that people can read, too."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> Results:
        """Back again. Raises msgspec.ValidationError if these are no results."""
        return msgspec.json.decode(data, type=cls)


def rival(name: str) -> Rival:
    """What is measured under this name."""
    found: Rival = import_module(f"benchmarks.rivals.{name.replace('-', '_')}").RIVAL
    return found


def measure(names: Iterable[str], plan: Plan) -> Results:
    """Every event at each of these; progress goes to standard error.

    Whoever has no environment, or whose server does not start, twice, is left out: that is said, and the others go on.
    All environments are made first: who waits for the figures learns at once that one of them can't be had.
    """
    from benchmarks.servers.machine import describe

    wanted = [rival(name) for name in NAMES if name in set(names)]
    made = [(each, _tried(each, partial(environments.versions, each))) for each in wanted]
    machine = describe(())
    found = [_tried(each, partial(_measure, each, of, plan)) for each, of in made if of is not None]
    return Results(machine, [each for each in found if each is not None])


def _tried(each: Rival, do: Callable[[], _T]) -> _T | None:
    """What that gives; None if it can't be done, which is said on standard error."""
    try:
        return do()
    except (Failed, OSError, subprocess.SubprocessError) as error:
        print(f"{each.name} is left out: {error}", file=sys.stderr, flush=True)
        return None


def _measure(each: Rival, versions: dict[str, str], plan: Plan) -> Found:
    began = monotonic()
    outcomes = [_once_more(each, event, plan) for event in EVENTS]
    print(f"{each.name}: {monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return Found(each.name, each.shown, versions, lines(each), outcomes)


def _once_more(each: Rival, event: Event, plan: Plan) -> Outcome:
    python = environments.made(each)
    try:
        return run(each, python, event, plan)
    except Failed as error:
        print(error, file=sys.stderr, flush=True)
        return run(each, python, event, plan)


def lines(each: Rival) -> int:
    """Of Python that it takes: its application, conf file, and what the operator runs."""
    files = [path for path in each.folder.glob("*.py") if path.name not in _NO_INTEGRATION]
    files += [each.folder / "server.py"] if each.name in _HAS_SERVER else []
    return sum(code_lines(path.read_text(encoding="utf-8")) for path in files)


def code_lines(text: str) -> int:
    """Lines that are neither blank nor a comment, nor of a docstring."""
    documented = {
        number
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and ast.get_docstring(node) is not None
        for number in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
    }
    return sum(
        bool(line.strip()) and not line.lstrip().startswith("#") and number not in documented
        for number, line in enumerate(text.splitlines(), 1)
    )
