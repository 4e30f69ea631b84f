"""`CONFCAST_DEBUG=1`: who changed the configuration in place?

Snapshots are frozen as far as the user's types are; a plain model can be written to, and then this process serves what
nobody validated, until the next version silently undoes it. With the variable set (it is read at `attach()`), a
process encodes each configuration when it comes and again when it goes, and names the keys that differ, secrets
masked. It only tells: what was changed stays as it is. Unset, a swap pays one comparison with None.

Rejected: freezing what the user did not freeze (it would be another type), and comparing while requests run (a reader
never pays).
"""

from __future__ import annotations

import logging
import os
from typing import Any

from confcast.config.codec import Codec, digest
from confcast.errors import NotCarried
from confcast.worker.connection.mask_text import masked

_log = logging.getLogger("confcast.worker.debug")

VARIABLE = "CONFCAST_DEBUG"
_MOST_KEYS = 20


def guard(name: str, codec: Codec[Any]) -> Guard | None:
    """What looks for changes in place, if the environment asks for it."""
    return Guard(name, codec) if os.environ.get(VARIABLE, "") not in ("", "0") else None


class Guard:
    """Knows the bytes of the configuration in use. Fed by one thread at a time: who attaches, then who reads.

    Args:
        name: The configuration's name.
        codec: The codec of its schema.
    """

    def __init__(self, name: str, codec: Codec[Any]) -> None:
        self._name = name
        self._codec = codec
        self._config: Any = None
        self._payload = b""

    def comes(self, config: Any, expected: bytes) -> None:
        """This is in use from now on; before any reader has it. Never raises.

        Args:
            config: The configuration.
            expected: The digest that it was committed with.
        """
        self._config, self._payload = None, b""
        try:
            self._payload = self._codec.encode(config)
        except Exception as error:  # another thread may be writing to it
            self._say(f"before it was in use ({type(error).__name__})")
            return
        self._config = config
        if digest(self._payload) != expected:
            self._say("before it was in use: by a precommit function, or in the parent before a fork")

    def goes(self) -> None:
        """The one that came last is replaced: say what was changed in it since. Never raises."""
        if self._config is None:
            return
        try:
            keys = self._changed()
        except NotCarried as error:
            keys = [f"{self._shown(problem.key)} ({problem.message})" for problem in error.problems]
        except Exception as error:  # another thread may be writing to it
            keys = [f"unknown ({type(error).__name__} while looking)"]
        if keys:
            self._say(", ".join(keys[:_MOST_KEYS]))

    def _shown(self, key: str) -> str:
        """A key of a table may be a secret."""
        return key and masked(self._codec.schema, key, "unknown", self._config)

    def _changed(self) -> list[str]:
        if self._codec.encode(self._config) == self._payload:
            return []
        from confcast.config.diff import differences

        changes = differences(self._codec, self._codec.decode(self._payload), self._config)
        return [f"{change.key} ({change.old!r} became {change.new!r})" for change in changes]

    def _say(self, what: str) -> None:
        _log.warning(
            "configuration %r was changed in place in this process: %s. Nobody validated that and no other process has"
            " it: make a changed copy instead, or freeze the schema",
            self._name,
            what,
        )
