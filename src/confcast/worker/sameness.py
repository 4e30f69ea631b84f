"""Whether the part of a configuration that an observer selected is still the same.

As the owner tells it: by type and encoding, so that `[1]` and `[True]` differ, nan is nan, and `model_fields_set` and
the order of a dict's keys don't count. What `select` made itself, of classes that the schema does not name, is
compared by type and `==`. The codec is asked for only where one is needed: most parts are plain values.
"""

from __future__ import annotations

import contextlib
from types import NoneType
from typing import Any

from confcast.errors import NotCarried

_TOLD_BY_EQ = frozenset({NoneType, bool, int, str, bytes})


class Sameness:
    """Compares parts of configurations of one schema. Any thread may call it."""

    def __init__(self, schema: type) -> None:
        self._schema = schema

    def __call__(self, old: Any, new: Any) -> bool:
        """Whether they are the same. Raises what `==` of an application's own class raises."""
        if old is new:
            return True
        if type(old) is not type(new):
            return False
        if type(old) in _TOLD_BY_EQ:
            return bool(old == new)
        from confcast.config.codec import codec_of  # whoever only declares a replica does not pay for it

        with contextlib.suppress(NotCarried):
            comparable = codec_of(self._schema).comparable
            return comparable(old) == comparable(new)
        # Not in a handler: what `==` raises would be told together with frames of the codec's, and their values.
        return bool(old == new)
