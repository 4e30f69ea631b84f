"""`both` makes one gunicorn hook from two functions, and `parts` returns the functions from which a hook was made.

gunicorn keeps one function for each hook, checks its exact number of parameters, and accepts import strings, too.
Rejected: `functools.partial` and `*arguments` (gunicorn counts the parameters).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from confcast.servers.common import internals

Hook = Callable[..., Any]

_parts: dict[Hook, tuple[Hook, ...]] = {}


def both(first: Hook | str | None, second: Hook, parameters: int) -> Hook:
    """Make one hook that calls the first function, then the second.

    Args:
        first: A function, or its import string ("module.function"); None if there is only the second.
        second: A function.
        parameters: How many parameters both take, 1 to 3.

    Raises:
        ConfcastError: This gunicorn lacks a name that is needed.
        TypeError: The first can't be imported, can't be called, or takes another number of parameters.
    """
    if first is None:
        return second
    internals.check("gunicorn's hooks")
    from gunicorn.config import validate_callable  # type: ignore[import-untyped]

    before = validate_callable(parameters)(first)

    def run(*arguments: Any) -> None:
        before(*arguments)
        second(*arguments)

    by_parameters: dict[int, Hook] = {1: lambda a: run(a), 2: lambda a, b: run(a, b), 3: lambda a, b, c: run(a, b, c)}
    combined = by_parameters[parameters]
    _parts[combined] = (*parts(before), *parts(second))
    return combined


def parts(hook: Any) -> tuple[Any, ...]:
    """The functions that a hook made by `both` calls; for another hook, the hook itself."""
    return _parts.get(hook, (hook,))
