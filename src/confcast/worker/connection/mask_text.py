"""What an application's function raised, as a text for logs and events: the secrets of the configuration masked (G9).

Both observers and `precommit` functions raise in code that was just given the configuration, and put it in their
texts. The values that the configuration holds as secrets are masked; what was made of them (a hash, a part, a URL)
can't be told. What is no configuration after all, because a function has changed it, leaves no text safe: then it is
left out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

_log = logging.getLogger("confcast.worker")


def masked(schema: type, text: str, instead: str, *configs: Any) -> str:
    """The text with every secret of these configurations masked. Never raises.

    Args:
        schema: What the configurations are of.
        text: What was raised.
        instead: What to say where the secrets can't be found.
        configs: The configurations, or None where there was none.
    """
    return masker(schema, instead, *configs)(text)


def masker(schema: type, instead: str, *configs: Any) -> Callable[[str], str]:
    """What masks many texts of one failure: it looks through the configurations once. Never raises."""
    from confcast.config.codec import codec_of  # only who raises pays for it
    from confcast.config.diff import secrets_masked

    try:
        return secrets_masked(codec_of(schema), *configs)
    except Exception as fault:
        _log.warning("a text of the application's is left out: its secrets can't be found (%s)", type(fault).__name__)
        return lambda text: instead
