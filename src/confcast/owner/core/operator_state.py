"""What people have set, and what is written with the version: a hold, overrides, a window, what waits.

All of it is one value, in one row beside the committed version, and written in the version's own transaction: nothing
of it is written before or after. Rejected: a write of its own before the version (a worker refuses the version, and
the hold is on content that never ran) or after it (the owner dies in between, and its successor loads the bad file).
"""

from __future__ import annotations

import msgspec

from confcast.wire.canary import Canary
from confcast.wire.messages import Change, Who, WithSecrets

_MOST_SPANS = 1000
"""How many commits that have ended overrides in one window are remembered: a window may be open for days."""


class Hold(msgspec.Struct, frozen=True, omit_defaults=True):
    """A person went back to a version: what the sources say is put to no worker until a person resumes.

    Or, at a boot, the owner did, since the sources were refused: then the next load of them that is applied ends it.

    Attributes:
        version: The kept version whose content was put back.
        since: When; in the core a time of its clock, in the journal seconds since 1970.
        who: The process that called; None at a boot.
        reason: Why, in the caller's words; empty for none.
        boot: Whether a server has started on this version because its sources were refused (`last_good.py`).
    """

    version: int
    since: float
    who: Who | None = None
    reason: str = ""
    boot: bool = False


class Window(WithSecrets, frozen=True, omit_defaults=True):
    """What was committed since it was opened is provisional: unless a person confirms, its end puts the fallback back.

    Attributes:
        fallback: The version whose content its end puts back: the newest that was proven when the window was opened.
        deadline: When it ends unless a person confirms; in the core a time of its clock, in the journal seconds of
            CLOCK_BOOTTIME, which counts the time in which the machine sleeps, and which nobody sets back or forward.
            0.0: nobody need confirm, and it is a probation only.
        proves: Until when deaths, health checks and errors speak against what runs; a time as `deadline`. 0.0: never.
        within: The seconds from the commit to the deadline, as they were asked for.
        opened: When it was opened, or last extended; a time as in Hold.
        who: The process that asked for it.
        reason: Why, in the caller's words; empty for none.
        hold, layer, expires: What people had set then: its end puts that back, too. Times as in Hold.
        sources: The digest of what the sources gave to the newest version in it that follows them; empty for none.
        boot: Only in the journal: the boot of the machine in which the deadline counts.
        by: Only in the journal and for people: the deadline in seconds since 1970, as the date was then.
    """

    SHOWN = ("fallback", "within")

    fallback: int
    deadline: float = 0.0
    proves: float = 0.0
    within: float = 0.0
    opened: float = 0.0
    who: Who | None = None
    reason: str = ""
    hold: Hold | None = None
    layer: bytes = b""
    expires: float = 0.0
    sources: bytes = b""
    boot: str = ""
    by: float = 0.0


class Trial(WithSecrets, frozen=True, omit_defaults=True):
    """A version on trial beside the committed one. Its content is in no journal: a next owner only undoes it.

    Attributes:
        version: Its number.
        digest: Of its content. Never shown.
        sources: The digest of what the sources gave to it, as in Window; empty where it was made from something else.
        canary: How it is tried.
        opened: When it began, in the core a time of its clock, in the journal seconds since 1970.
        deadline: When it ends; as in Window.
        salt: What entities are hashed with; empty for a trial by worker.
        extended: Whether its time was over once, without enough evidence.
        who: The process that asked for the version.
        reason: Why, in the caller's words; empty for none.
        boot, by: As in Window.
    """

    SHOWN = ("version", "canary", "extended")

    version: int
    digest: bytes
    sources: bytes = b""
    canary: Canary = Canary(1)
    opened: float = 0.0
    deadline: float = 0.0
    salt: str = ""
    extended: bool = False
    who: Who | None = None
    reason: str = ""
    boot: str = ""
    by: float = 0.0


_MOST_REFUSED = 4
"""How much is refused at once, beside what was undone last."""


class Unconfirmed(WithSecrets, frozen=True, omit_defaults=True):
    """A window has ended, and the sources still have what was undone: no load that follows them commits that content.

    Attributes:
        version: The version that was undone.
        sources: As in Window. Never shown.
        why: What it was undone for, in words; empty: nobody confirmed it.
        digest: That of the whole content. Never shown; empty in a row of an earlier build.
        earlier: What was undone before, and is refused as well, the newest first: the sources may go back to any of it.
    """

    SHOWN = ("version",)

    version: int
    sources: bytes = b""
    why: str = ""
    digest: bytes = b""
    earlier: tuple[Unconfirmed, ...] = ()

    def beside(self, former: Unconfirmed | None) -> Unconfirmed:
        """This, with what was refused until now."""
        if former is None:
            return self
        others = (msgspec.structs.replace(former, earlier=()), *former.earlier)
        return msgspec.structs.replace(self, earlier=others[:_MOST_REFUSED])

    def found_in(self, sources: bytes, digest: bytes, refused: bytes) -> Unconfirmed | None:
        """Which of it, alone, has this digest of the sources, or of the whole content: for that `refused` may stand."""
        for each in (self, *self.earlier):
            if digest == (each.digest or refused) or (sources and sources == each.sources):
                return msgspec.structs.replace(each, earlier=())
        return None


class OperatorState(WithSecrets, frozen=True, omit_defaults=True):
    """What people have set, as of one write of the journal.

    Attributes:
        serial: Counted up by each write, so that a failed write can be told from the one before.
        hold: The hold; None where the sources are followed.
        tried: The digest of the sources' content that was judged last: committed, unchanged, refused by a worker's no,
            or found while a version was held. Never shown.
        layer: The overrides, as the loading thread encodes them: above all sources. Empty for none; never shown.
        expires: When the first of them ends; 0.0 for never. A time as in Hold.
        window: The window that is open; None where none is.
        unconfirmed: What was undone, and is refused until the sources change; None where nothing is.
        trial: The version that is on trial; None where none is.
        probation: In the journal only: the window, if it has no deadline. A build from before probations would take it
            for one whose time is over, and undo what is good.
        pending: What the sources, as last applied or found unchanged, would change, and waits for a restart.
    """

    SHOWN = ("serial", "hold", "pending")

    serial: int = 0
    hold: Hold | None = None
    tried: bytes = b""
    layer: bytes = b""
    expires: float = 0.0
    pending: tuple[Change, ...] = ()
    window: Window | None = None
    unconfirmed: Unconfirmed | None = None
    trial: Trial | None = None
    probation: Window | None = None

    @property
    def is_held(self) -> bool:
        """Whether the sources are followed only once a person resumes."""
        return self.hold is not None and not self.hold.boot

    def follows(self, former: OperatorState) -> bool:
        """Whether this differs from the former state by what a person has set; all else is noted only."""
        mine, others = (self.hold, self.layer, self.window, self.trial), (former.hold, former.layer, former.window)
        return mine != (*others, former.trial)

    def notes(self, former: OperatorState) -> bool:
        """Whether this differs from the former state by what is noted, and nobody has set."""
        return (self.pending, self.unconfirmed) != (former.pending, former.unconfirmed)


class EndedOverrides(msgspec.Struct, frozen=True):
    """Between which times overrides have ended in the open window, by their own ends: an undo undoes that, too.

    Attributes:
        spans: For each commit that ended some, from the first end to the load that found them over; the newest last.
    """

    spans: tuple[tuple[float, float], ...] = ()

    def __contains__(self, end: float) -> bool:
        """Whether the override that ends then has ended in the window; one that was replaced in it has not."""
        return any(first <= end <= loaded for first, loaded in self.spans)

    def after(self, former: OperatorState, operator: OperatorState, loaded: float) -> EndedOverrides:
        """The same after a commit. `loaded`: when, if it is the end of overrides; 0.0: it is not.

        `former`, `operator`: what people had set before it, and after it. The window may be another one by now: a
        probation ends without a commit.
        """
        if operator.window is None:
            return EndedOverrides()
        spans = self.spans if former.window is not None else ()
        return EndedOverrides((*spans, (former.expires, loaded))[-_MOST_SPANS:] if loaded else spans)
