"""The secrets of a configuration are masked in the text of an application's error, for logs and events.

Observers and `precommit` functions are given the configuration, and may put it in the texts of their errors. The values
that the configuration holds as secrets are masked; values that were made of them (a hash, a part, a URL) are not
recognised. If a function has changed the object so that it is no valid configuration any more, its secrets can't be
found, and the text is left out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from confcast.log_fields import about

_log = logging.getLogger("confcast.worker")


def masked(schema: type, text: str, instead: str, *configs: Any) -> str:
    """The text with every secret of these configurations masked; `instead` if secrets can't be found. Never raises."""
    return masker(schema, instead, *configs)(text)


def masker(schema: type, instead: str, *configs: Any) -> Callable[[str], str]:
    """A function that masks many texts of one failure after a single search for secrets. Never raises."""
    from confcast.config.codec import codec_of  # imported here: only a process whose functions raise pays for it
    from confcast.config.diff import secrets_masked

    try:
        return secrets_masked(codec_of(schema), *configs)
    except Exception as fault:
        _log.warning(
            "a text of the application's is left out: its secrets can't be found (%s)",
            type(fault).__name__,
            extra=about("text_left_out", error=type(fault).__name__),
        )
        return lambda text: instead
