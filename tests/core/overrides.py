"""Overrides in the simulated world: one value, a letter, with the call that set it and perhaps an end: `x#12@1002.5`.

The content of a version is what its sources gave, a letter, with that letter behind it. One letter hides what the
sources gave, as an override of just the key that is edited does: the content is that letter alone.
"""

from __future__ import annotations

from confcast.wire.messages import Check, Set, Unset

_HIDES = b"c"


def edited(layer: bytes, edit: Set | Unset | Check | None, now: float) -> bytes | None:
    """What the loading thread makes of it: without what has ended. None where there is nothing to unset."""
    if isinstance(edit, Set):
        end = b"@%.3f" % (now + edit.ttl) if edit.ttl is not None else b""
        return edit.values["k"].encode() + b"#%d" % edit.id + end
    if isinstance(edit, Check) and edit.values:
        return edit.values["k"].encode() + b"#%d" % edit.id
    if isinstance(edit, Unset):
        return b"" if layer else None
    return layer if not end_of(layer) or end_of(layer) > now else b""


def content_of(values: bytes, layer: bytes) -> bytes:
    """What these values of the sources and this override make."""
    value = layer[:1]
    return value if value == _HIDES else values + value


def end_of(layer: bytes) -> float:
    """When it ends; 0.0 for never."""
    return float(layer.partition(b"@")[2] or 0.0)


def is_of(call: int, layer: bytes) -> bool:
    """Whether this call has set it."""
    return layer.partition(b"@")[0].partition(b"#")[2] == b"%d" % call
