"""The fields of confcast's log lines, beside their texts: `about("pipe_broke", error=error)` is the `extra` of a call.

    _log.warning("the pipe to the config owner broke: %s", error, extra=about("pipe_broke", error=error))

Each call has them. `config_event` names what has happened, and never changes for it; the other names are `config_` and
what an event, or `confcast status --json`, calls the same. guide/logs.md has a table of all, which a test holds to the
code. Guaranteed: fields tell nothing that neither the text nor the history tells, are plain data that every JSON
encoder takes, and their texts are printable on one line.

Rejected: names without the prefix (`message`, `name` and `process` are a record's own, and logging raises where one
comes twice; structlog keeps its text under `event`; collectors know `error`, `host` and `version` with other types),
one field that holds all others (no `%(config_event)s` in a format, and collectors index it as text), and fields read
out of the text's arguments (a text could not be reworded any more).
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Mapping

from confcast.texts import printable

PREFIX = "config_"


def about(event: str, /, **fields: object) -> dict[str, object]:
    """The `extra` of a log call: the event's name, and its fields; None and empty ones are left out. Never raises.

    Args:
        event: What has happened, in lower case with underscores.
        **fields: Plain data, or what is told as its text, such as an exception.
    """
    told: dict[str, object] = {f"{PREFIX}event": event}
    for name, value in fields.items():
        if value is not None and (plain := _plain(value)) not in ("", [], {}):
            told[PREFIX + name] = plain
    return told


def _plain(value: object) -> object:
    if isinstance(value, bool | int | float) and not isinstance(value, enum.Enum):
        return value
    if isinstance(value, Mapping):
        return {printable(str(key)): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    with contextlib.suppress(Exception):  # an exception of the application's, whose text can't be made
        return printable(str(value))
    return type(value).__name__
