"""Explains a key as a question asks: of the sources; of what runs, while a version is held.

Guarantees. While a version is held, the explanation is that of what runs: its value, the version that it comes from, by
whom and since when that is held, and what was set above it. Beside it is what the sources say, or why they can't be
loaded: a broken file, which may be why a person went back, does not keep its owner from an answer.

What runs is explained by what the sources gave to it, which the journal has, merged: so no position in a file, and no
source that hides another one, is known of it. Rejected: to explain the sources, and to name what runs beside them (a
person who looks for the cause of a value would read the file that is not in use first).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from confcast.config import restart
from confcast.config.candidate import Candidate
from confcast.config.explain import explain, since, value_in, with_pending
from confcast.config.loader import ConfigLoader
from confcast.config.overrides import Overrides, by_whom
from confcast.errors import ConfigError
from confcast.log_fields import about
from confcast.owner.core.operator_state import Hold
from confcast.owner.loop.open_question import OpenQuestion
from confcast.wire.messages import Explanation, Shadowed

_log = logging.getLogger("confcast.owner")

Load = Callable[[], Candidate[Any]]
"""Loads the sources. Raises ConfigError."""

_ABSENT = "absent"


def explanation(key: str, ask: OpenQuestion, loader: ConfigLoader[Any], load: Load, values: bytes) -> Explanation:
    """The explanation of a key, in the thread that loads.

    Args:
        key: Dotted, as a person has written it.
        ask: The question.
        loader: The loader.
        load: Loads the sources.
        values: What the sources gave to the version that runs; empty if that is not known.

    Raises:
        ConfigError: There is no such key; or no version is held, and the sources are refused.
    """
    if ask.hold is None:
        return _of_sources(key, ask, loader, load())
    running = what_runs(named(ask.hold), ask, loader, values)
    if running is None:
        return _by_sources(key, ask, ask.hold, loader, load())
    return _of_held(key, ask, loader, load, running)


def _of_sources(key: str, ask: OpenQuestion, loader: ConfigLoader[Any], candidate: Candidate[Any]) -> Explanation:
    found = explain(candidate, key, Overrides.decode(ask.overrides))
    if ask.running and restart.has_restarts(loader.schema):
        found = with_pending(found, candidate, key, loader._codec.decode(ask.running))
    return _with_since(found, key, ask, loader, candidate)


def _with_since(
    found: Explanation, key: str, ask: OpenQuestion, loader: ConfigLoader[Any], candidate: Candidate[Any]
) -> Explanation:
    configurations = ((int(version), loader._codec.decode(content)) for version, content in ask.contents.items())
    return msgspec.structs.replace(found, since_version=since(candidate, key, configurations))


def what_runs(name: str, ask: OpenQuestion, loader: ConfigLoader[Any], values: bytes) -> Candidate[Any] | None:
    """What runs, made once more of what its sources gave; None if that is not known, or refused by now.

    `name`: the origin of its values.
    """
    if not values:
        return None
    try:
        config = loader._codec.decode(ask.running)
        return loader._propose(loader._reading_of(values, name, Overrides.decode(ask.overrides), config))
    except (Exception, SystemExit) as error:  # of a validator of the user's, which may look at the clock
        _log.debug(
            "what runs can't be explained: %s",
            type(error).__name__,
            extra=about("not_explained", error=type(error).__name__),
        )
        return None


def _by_sources(
    key: str, ask: OpenQuestion, hold: Hold, loader: ConfigLoader[Any], candidate: Candidate[Any]
) -> Explanation:
    """What runs, where nothing but its values is known: the schema's side is that of the sources' key."""
    config = loader._codec.decode(ask.running)
    found = _with_since(explain(candidate, key, Overrides.decode(ask.overrides)), key, ask, loader, candidate)
    waiting, value = Shadowed(found.origin, found.value), value_in(config, candidate, key)
    return msgspec.structs.replace(found, value=value, origin=named(hold), shadowed=[], waiting=waiting)


def named(hold: Hold) -> str:
    """The origin of what a hold has put back, in words."""
    unknown = {"unknown": "when the server started"} if hold.boot else {}
    return f"version {hold.version}, put back {by_whom(hold.who, hold.since, **unknown)}"


def _of_held(
    key: str, ask: OpenQuestion, loader: ConfigLoader[Any], load: Load, running: Candidate[Any]
) -> Explanation:
    """What runs, and what the sources say beside it. A key of a table may be in one of the two alone."""
    overrides = Overrides.decode(ask.overrides)
    try:
        sources, problems = load(), list[Any]()
    except ConfigError as error:
        sources, problems = None, error.problems
    runs = _explained(running, key, overrides)
    waits = None if sources is None else _explained(sources, key, overrides)
    if isinstance(runs, Explanation):
        found = _with_since(runs, key, ask, loader, running)
    elif isinstance(waits, Explanation):
        found = msgspec.structs.replace(waits, value=None, origin=_ABSENT, shadowed=[], expires=None)
    else:
        raise runs
    said = waits if isinstance(waits, Explanation) else None
    waiting = Shadowed(said.origin, said.value) if said is not None else Shadowed(_ABSENT, None)
    return msgspec.structs.replace(found, waiting=None if sources is None else waiting, problems=problems)


def _explained(candidate: Candidate[Any], key: str, overrides: Overrides) -> Explanation | ConfigError:
    try:
        return explain(candidate, key, overrides)
    except ConfigError as error:
        return error
