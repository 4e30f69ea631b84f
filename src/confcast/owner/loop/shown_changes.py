"""As many changes as an event or an answer may have: the first ones, with keys that are not too long."""

from __future__ import annotations

from msgspec.structs import replace

from confcast.errors import more
from confcast.wire.messages import Change

_MOST = 1000
_LONGEST_KEY = 1000


def shown_changes(changes: list[Change]) -> tuple[Change, ...]:
    """As many changes as are sent. A last one without values counts the others, in its key."""
    shown = [
        change if len(change.key) <= _LONGEST_KEY else replace(change, key=f"{change.key[:_LONGEST_KEY]}...")
        for change in changes[:_MOST]
    ]
    rest = len(changes) - len(shown)
    return (*shown, Change(more(rest), None, None)) if rest else tuple(shown)
