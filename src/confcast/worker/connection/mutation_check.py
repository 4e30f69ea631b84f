"""`CONFCAST_DEBUG=1` finds configurations that the application has changed in place.

Snapshots are frozen as far as the user's types are. A plain model can be written to: then this process serves values
that nothing validated, until the next version silently undoes them. With the variable set (it is read at `attach()`), a
process encodes each configuration when it is put in use and again when it is replaced, and logs the keys that differ,
secrets masked. The change itself stays. With the variable unset, a swap costs one comparison with None.

Rejected: freezing what the user did not freeze (it would be another type), and comparing while requests run (reads must
cost nothing).
"""

from __future__ import annotations

import logging
import os
from typing import Any

from confcast.config.codec import Codec, digest
from confcast.errors import NotCarried
from confcast.log_fields import about
from confcast.worker.connection.mask_text import masked

_log = logging.getLogger("confcast.worker.debug")

VARIABLE = "CONFCAST_DEBUG"
_MOST_KEYS = 20


def guard(name: str, codec: Codec[Any]) -> Guard | None:
    """A guard, if the environment variable is set; otherwise None."""
    return Guard(name, codec) if os.environ.get(VARIABLE, "") not in ("", "0") else None


class Guard:
    """Keeps the encoding of the configuration in use. Called by the attaching thread, then by the reading thread."""

    def __init__(self, name: str, codec: Codec[Any]) -> None:
        self._name = name
        self._codec = codec
        self._config: Any = None
        self._payload = b""

    def begin(self, config: Any, expected: bytes) -> None:
        """Keep the encoding of a configuration before any reader has it. `expected`: its digest. Never raises."""
        self._config, self._payload = None, b""
        try:
            self._payload = self._codec.encode(config)
        except Exception as error:  # another thread may be writing to the configuration
            self._warn(f"before it was in use ({type(error).__name__})")
            return
        self._config = config
        if digest(self._payload) != expected:
            self._warn(
                "before it was in use: by a precommit function, in the parent before a fork, or in the version before,"
                " whose unchanged parts it shares"
            )

    def end(self) -> None:
        """Log what was changed in the configuration that is being replaced. Never raises."""
        if self._config is None:
            return
        try:
            keys = self._changed()
        except NotCarried as error:
            keys = [f"{self._shown(problem.key)} ({problem.message})" for problem in error.problems]
        except Exception as error:  # another thread may be writing to the configuration
            keys = [f"unknown ({type(error).__name__} while looking)"]
        if keys:
            self._warn(", ".join(keys[:_MOST_KEYS]))

    def _shown(self, key: str) -> str:
        """The key, masked, since a key of a table may be a secret."""
        return key and masked(self._codec.schema, key, "unknown", self._config)

    def _changed(self) -> list[str]:
        if self._codec.encode(self._config) == self._payload:
            return []
        from confcast.config.diff import differences

        changes = differences(self._codec, self._codec.decode(self._payload), self._config)
        return [f"{change.key} ({change.old!r} became {change.new!r})" for change in changes]

    def _warn(self, what: str) -> None:
        _log.warning(
            "configuration %r was changed in place in this process: %s. Nobody validated that and no other process has"
            " it: make a changed copy instead, or freeze the schema",
            self._name,
            what,
            extra=about("changed_in_place", name=self._name),
        )
