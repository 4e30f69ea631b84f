"""A reason is kept and shown as its caller wrote it, but for secrets that somebody has pasted into it.

Masked are the secrets of the configuration that runs, of the candidate that was loaded last, which may be on trial, and
those that the request sets, by their types. Guaranteed: where they can't be told, the reason is not kept at all. Not
masked: a secret that only an older version had.
"""

from __future__ import annotations

import logging
import operator
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from confcast.config.diff import secrets_masked
from confcast.config.loader import ConfigLoader
from confcast.config.schema.masking import masking
from confcast.config.schema.secret_paths import secrets_in
from confcast.log_fields import about
from confcast.wire.messages import Confirm, Message, Reload, Resume, Rollback, Set, Unhealthy, Unset

M = TypeVar("M", bound=Message)

_log = logging.getLogger("confcast.owner")

REASONED = frozenset({Confirm, Reload, Resume, Rollback, Set, Unhealthy, Unset})
"""The requests that have a reason, and what a worker has against a version."""

_UNTOLD = "(a reason was given, and is not kept: which secrets are in it can't be told)"


class Secrets:
    """The secrets of the configurations that a text was masked for last, collected once. For one thread at a time.

    To collect them takes half a second where there are 100,000 values, and a worker may complain each second.

    Args:
        loader: The loader, for the schema.
    """

    def __init__(self, loader: ConfigLoader[Any]) -> None:
        self.loader = loader
        self._configs: tuple[Any, ...] = ()
        self._masks: Callable[[str], str] = str

    def masked(self, text: str, configs: tuple[Any, ...]) -> str:
        """This text with the secrets of these configurations masked. Raises what a type of the user's raises."""
        if len(configs) != len(self._configs) or any(map(operator.is_not, configs, self._configs)):
            self._masks, self._configs = secrets_masked(self.loader._codec, *configs), configs
        return self._masks(text)


def with_masked_reason(asked: M, secrets: Secrets, *configs: Any) -> M:
    """The request with secrets masked in its reason.

    Args:
        asked: One of `REASONED`.
        secrets: Finds secrets.
        configs: The configuration that runs, and what may be on trial; none before the first.
    """
    reason: str = getattr(asked, "reason", "")
    if not reason:
        return asked
    try:
        shown = secrets.masked(reason, configs)
        if isinstance(asked, Set):
            data = [_as_data(key, value) for key, value in asked.values.items()]
            shown = masking(secret for each in data for secret in secrets_in(secrets.loader.schema, each))(shown)
    except Exception as error:  # of the schema's module, or of a type of the user's
        _log.warning(
            "a reason is not kept, since its secrets can't be told: %s",
            type(error).__name__,
            extra=about("reason_not_kept", error=type(error).__name__),
        )
        shown = _UNTOLD
    return msgspec.structs.replace(asked, reason=shown) if shown != reason else asked


def masked(text: str, secrets: Secrets, *configs: Any) -> str:
    """What a program outside says, with the secrets of these configurations masked."""
    try:
        return secrets.masked(text, configs)
    except Exception as error:
        return f"(what it says is left out: its secrets can't be told, {type(error).__name__})"


def _as_data(key: str, value: Any) -> Any:
    """A value that is set, as data of the whole configuration: a key in quotes is none of a secret's."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return value
