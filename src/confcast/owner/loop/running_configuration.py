"""Answers with all keys of what runs, each with its origin: what a page shows, and what a person searches.

Guarantees. There is an answer whatever the sources say: where they are refused, or not followed, positions in files are
not known, and the origin of a value is the version, and what was set above it. A table's key, and a text, choose keys;
what is left out is counted.
"""

from __future__ import annotations

import json
from typing import Any

from confcast.config.candidate import Candidate
from confcast.config.dotted_keys import LONGEST_KEY, did_you_mean, too_long
from confcast.config.loader import ConfigLoader
from confcast.config.overrides import Overrides
from confcast.config.value_infos import value_infos, with_changed_in
from confcast.errors import ConfigError, Problem
from confcast.owner.loop.explanations import Load, named, what_runs
from confcast.owner.loop.open_question import OpenQuestion
from confcast.texts import shortened
from confcast.wire.messages import ConfigRequest, Configuration, ValueInfo

MOST = 10_000
"""How many keys are in one answer."""


def configuration(
    question: ConfigRequest, ask: OpenQuestion, loader: ConfigLoader[Any], load: Load, values: bytes
) -> Configuration:
    """The answer, in the thread that loads; arguments as of `explanation`. Raises ConfigError: there is no such key."""
    if why := too_long(question.key):
        raise ConfigError([Problem(shortened(question.key, LONGEST_KEY), why)])
    codec, overrides = loader._codec, Overrides.decode(ask.overrides)
    running = codec.decode(ask.running)
    candidate, problems = _candidate(ask, loader, load, values)
    infos = list(value_infos(codec, running, ask.version, candidate, overrides))
    below = [each for each in infos if _is_at(each.key, question.key)]
    if question.key and not below:
        hint = did_you_mean(question.key, [each.key for each in infos])
        raise ConfigError([Problem(question.key, f"nothing runs under this key{hint}")])
    found = [each for each in below if question.text.lower() in _searched(each)] if question.text else below
    kept = ((int(version), codec.decode(content)) for version, content in ask.contents.items())
    shown = with_changed_in(codec, found[:MOST], running, kept)
    return Configuration(question.id, ask.version, tuple(shown), len(found) - len(shown), tuple(problems))


def _candidate(
    ask: OpenQuestion, loader: ConfigLoader[Any], load: Load, values: bytes
) -> tuple[Candidate[Any] | None, list[Problem]]:
    """What positions and types are known of, and why the sources are refused."""
    if ask.hold is not None:
        return what_runs(named(ask.hold), ask, loader, values), []
    try:
        return load(), []
    except ConfigError as error:
        return what_runs(f"version {ask.version}", ask, loader, values), list(error.problems)


def _is_at(key: str, table: str) -> bool:
    """Whether a key is this one or below it; a caller may leave quotes out."""
    names = {table, table.replace('"', "")}
    return not table or any(key == each or key.startswith((f"{each}.", f"{each}[")) for each in names)


def _searched(info: ValueInfo) -> str:
    """The text that a search looks into."""
    value = info.value if isinstance(info.value, str) else json.dumps(info.value, default=str, ensure_ascii=False)
    return f"{info.key}\n{value}\n{info.origin}\n{info.description}".lower()
