"""The problems that a `precommit` function's refusal makes, at a vote and in a test's `push` alike.

Each problem names the function and gives the reason that was raised. A `ConfigError` gives all its problems, with their
keys, and their places if they have one: the owner adds missing places. A callable without a name of its own (a partial,
an instance) is named by its class: its repr would show its arguments, which may be secrets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from confcast.errors import MOST, ConfigError, Problem, more

_LONGEST = 2000


def refusals(
    function: Callable[..., Any], error: BaseException, masked: Callable[[str], str] = lambda text: text
) -> list[Problem]:
    """The problems for the owner's event: the first 100 that were raised, with `masked` texts, cut if they are long."""
    name, kind = name_of(function), type(error).__name__
    problems: Sequence[object] = error.problems if isinstance(error, ConfigError) else ()
    found: list[Problem] = []
    for problem in problems[:MOST] or [str(error)]:
        each = problem if isinstance(problem, Problem) else Problem("", str(problem))
        texts = (each.key, each.message, each.location)
        key, message, location = (masked(text)[:_LONGEST] if text else "" for text in texts)
        found.append(Problem(key, f"{name}: {message or kind}"[:_LONGEST], location))
    rest = len(problems) - MOST
    return [*found, Problem("", more(rest))] if rest > 0 else found


def path_of(function: Callable[..., Any]) -> str:
    """An application's function as `module:name`."""
    if isinstance(function, partial):
        return path_of(function.func)
    return f"{getattr(function, '__module__', None) or type(function).__module__}:{name_of(function)}"


def name_of(function: Callable[..., Any]) -> str:
    """The name of an application's function for a log line or an event; never its repr."""
    if isinstance(function, partial):
        return name_of(function.func)
    return str(getattr(function, "__qualname__", None) or type(function).__qualname__)
