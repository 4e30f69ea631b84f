"""What has changed by several versions, from the first one's changes to the last one's, and what their undo changes."""

from __future__ import annotations

import msgspec

from confcast.wire.messages import Change

_MOST_CHANGES = 1001
"""How many changes are known at the most: as many as an event has, the last of which counts the others."""


def merged(known: dict[str, Change], changes: tuple[Change, ...]) -> dict[str, Change]:
    """These changes after the known ones, by key. A key of which there are too many already is left out."""
    found = dict(known)
    for change in changes:
        if (first := known.get(change.key)) is not None:
            found[change.key] = msgspec.structs.replace(change, old=first.old)
        elif len(found) < _MOST_CHANGES:
            found[change.key] = change
    return found


def backwards(known: dict[str, Change]) -> tuple[Change, ...]:
    """What changes where all of this is undone."""
    return tuple(msgspec.structs.replace(each, old=each.new, new=each.old) for each in known.values())
