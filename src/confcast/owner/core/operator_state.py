"""What people have set, and what is written with the version: a hold, overrides, what was last tried, what is pending.

All of it is one value, in one row beside the committed version, and written in the version's own transaction: nothing
of it is written before or after. Rejected: a write of its own before the version (a worker refuses the version, and
the hold is on content that never ran) or after it (the owner dies in between, and its successor loads the bad file).
"""

from __future__ import annotations

import msgspec

from confcast.wire.messages import Change, Who, WithSecrets


class Hold(msgspec.Struct, frozen=True, omit_defaults=True):
    """A person went back to a version: what the sources say is put to no worker until a person resumes.

    Attributes:
        version: The kept version whose content was put back.
        since: When; in the core a time of its clock, in the journal seconds since 1970.
        who: The process that called.
        reason: Why, in the caller's words; empty for none.
    """

    version: int
    since: float
    who: Who | None = None
    reason: str = ""


class OperatorState(WithSecrets, frozen=True, omit_defaults=True):
    """What people have set, as of one write of the journal.

    Attributes:
        serial: Counted up by each write, so that a failed write can be told from the one before.
        hold: The hold; None where the sources are followed.
        tried: The digest of the sources' content that was judged last: committed, unchanged, refused by a worker's no,
            or found while a version was held. Never shown.
        layer: The overrides, as the loading thread encodes them: above all sources. Empty for none; never shown.
        expires: When the first of them ends; 0.0 for never. A time as in Hold.
        pending: What the sources, as last applied or found unchanged, would change, and waits for a restart.
    """

    SHOWN = ("serial", "hold", "pending")

    serial: int = 0
    hold: Hold | None = None
    tried: bytes = b""
    layer: bytes = b""
    expires: float = 0.0
    pending: tuple[Change, ...] = ()

    def follows(self, former: OperatorState) -> bool:
        """Whether this differs from the former state by what a person has set; all else is noted only."""
        return (self.hold, self.layer) != (former.hold, former.layer)
