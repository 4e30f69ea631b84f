"""The requests that wait, by callers and by triggers: each is served by a load or an operation that begins after it.

Plain reloads that wait share one load, which serves all triggers, too; so no trigger is lost, and none causes two
loads. Every other request is an *operation*: a dry run, a way back, a change of overrides, a resumption, a reload with
`force` or `expect`. It runs alone, in its turn: `expect` is compared when it begins, so that of two operations with one
`expect` the second one finds what the first one has changed.

A load that was refused because workers timed out is owed: a worker's answer requests it again, and the next plain load
serves it, whatever requested that load. An operation is never owed: its caller was told, and will ask again.

Rejected: joining the load that is running (it may have read the sources before the caller changed them), a load for
each caller, and `expect` compared when a request comes (both of two requests would then find their version).
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from confcast.owner.core.effects import Call
from confcast.wire.messages import Check, Confirm, Reload, Resume, Rollback, Set, Unset, Who

_UNASKED = frozenset({"start", "restart", "watch"})

Asked = Check | Rollback | Set | Unset | Resume | Confirm | Reload
"""What an operation was asked for by."""


Edit = Set | Unset | Check
"""What changes the overrides that a load is made with: a dry run does, if it has values."""


MOST_WAITING = 256
"""How many changes and dry runs may wait for their turn. A way back, or a resumption, is never turned away."""


class Cause(NamedTuple):
    """What requested a load: the origin of its version, the process that called, if one did, and why."""

    origin: str
    who: Who | None = None
    reason: str = ""


class Caller(NamedTuple):
    """A caller that waits for an outcome, then up to `wait_observers` seconds for observers; None: for no observer."""

    call: Call
    wait_observers: float | None = None


class Request(NamedTuple):
    """One call that waits for its turn; `asked`: what for, if it runs alone, or None for a plain reload."""

    caller: Caller
    cause: Cause
    asked: Asked | None = None


def _compared(request: Request) -> Request:
    asked = request.asked
    if asked is None or isinstance(asked, Check | Confirm) or asked.expect is None:
        return request
    return request._replace(asked=msgspec.structs.replace(asked, expect=None))


class Requests:
    """The calls and triggers that wait, and the calls that are being served."""

    def __init__(self) -> None:
        self._waiting: list[Request] = []
        self._triggers: list[Cause] = []
        self._serving: list[Caller] = []
        self._begun: tuple[list[Request], list[Cause]] = ([], [])
        self._owed: tuple[Cause, bool] | None = None
        self._served_owed: tuple[Cause, bool] | None = None
        self._owed_round = 0
        self._insists = False
        self._stopped = b""
        self._hidden = b""

    def __bool__(self) -> bool:
        return bool(self._waiting or self._triggers)

    @property
    def crowded(self) -> bool:
        """Whether no further change or dry run can wait: each may have a megabyte of values."""
        return sum(isinstance(each.asked, Set | Unset | Check) for each in self._waiting) >= MOST_WAITING

    @property
    def urgent(self) -> bool:
        """Whether anything waits that a dry run gives way to: anything but another dry run."""
        return bool(self._triggers) or any(not isinstance(each.asked, Check) for each in self._waiting)

    def call(self, caller: Caller, cause: Cause, asked: Asked | None = None) -> None:
        """Request a load, or the operation `asked`, for a caller that waits for the outcome."""
        self._waiting.append(Request(caller, cause, asked))

    def trigger(self, cause: Cause) -> None:
        """Request a load for whose outcome no caller waits."""
        if cause not in self._triggers:
            self._triggers.append(cause)

    @property
    def called(self) -> bool:
        """Whether the present load serves a caller, including a caller that was answered that the load is owed."""
        return bool(self._serving) or self._insists

    @property
    def starts(self) -> bool:
        """Whether the present load is that of an owner's start, or serves that start, too."""
        return any(cause.origin in ("start", "restart") for cause in self._begun[1])

    def owes(self, voted: int) -> bool:
        """Whether workers' time-outs refused the load of the round `voted`, and no plain load has begun since."""
        return self._owed is not None and self._owed_round == voted

    def owe(self, cause: Cause, voted: int) -> None:
        """The load of the round `voted` was refused because workers timed out: `retry_owed` will request it again."""
        self._owed, self._owed_round = (cause, self.called), voted

    def retry_owed(self) -> None:
        """A worker has answered: request the owed load, if there is one."""
        if self._owed is not None:
            self.trigger(self._owed[0])

    def cancel_owed(self) -> None:
        """Drop the owed load: after all, a worker voted no to it."""
        self._owed = None

    def stop(self, found: bytes) -> None:
        """A hold has stopped a load that found content of this digest; or, empty, a load of the sources has passed."""
        self._stopped = found

    def retry_stopped(self, runs: bytes) -> None:
        """The hold has ended: request a load of what it stopped, unless content of that digest runs."""
        if self._stopped not in (b"", runs):
            self.trigger(Cause("watch"))
        self._stopped = b""

    def hide(self, layer: bytes) -> None:
        """A load of the sources has found an edit below these overrides, which may hide it; or, empty, none that is."""
        self._hidden = layer

    def retry_hidden(self, layer: bytes) -> None:
        """These are set now: request a load of what others have hidden. No source need have been read for that."""
        if self._hidden not in (b"", layer):
            self.trigger(Cause("watch"))
            self._hidden = b""

    def begin_operation(self) -> Request | None:
        """Begin the operation whose turn it is; None if a plain load comes first."""
        if not self._waiting or self._waiting[0].asked is None:
            return None
        first = self._waiting.pop(0)
        self._serving, self._insists = [first.caller], False
        self._begun, self._served_owed = ([first], []), None
        return first

    def begin(self) -> tuple[Cause, bool]:
        """Begin a plain load. Returns the cause of its first request, and whether any origin is a call or a signal."""
        plain = [each for each in self._waiting if each.asked is None]
        causes = [*(each.cause for each in plain), *self._triggers]
        self._serving = [each.caller for each in plain]
        self._insists = self._owed is not None and self._owed[1]
        self._served_owed, self._owed = self._owed, None  # this load serves the owed one, too
        self._begun = (plain, self._triggers)
        self._waiting, self._triggers = [each for each in self._waiting if each.asked is not None], []
        return causes[0], not _UNASKED.issuperset(cause.origin for cause in causes)

    def put_back(self, *, begun: bool = False) -> None:
        """Have what the present load serves wait again, at the front: the load was given up for an undo.

        `begun`: the undo is done for just that, so what it expected is not compared once more.
        """
        (requests, triggers), self._begun = self._begun, ([], [])
        requests = [_compared(each) for each in requests] if begun else requests
        self._waiting = requests + self._waiting
        self._triggers = [*triggers, *(each for each in self._triggers if each not in triggers)]
        self._owed = self._owed or self._served_owed
        self._serving, self._insists = [], False

    def served(self) -> list[Caller]:
        """End the load. Returns the callers that it served."""
        served, self._serving = self._serving, []
        self._begun, self._served_owed, self._insists = ([], []), None, False
        return served

    def all_calls(self) -> list[Call]:
        """Every call that still waits for an outcome; asked when there will be no further load."""
        calls = [caller.call for caller in (*self._serving, *(each.caller for each in self._waiting))]
        self._serving, self._waiting = [], []
        return calls


class Loads:
    """The number of the present load, and whether one that was given up still runs.

    Loads run in one thread beside the loop, so a load that hangs holds up every further one.
    """

    def __init__(self) -> None:
        self.number = 0
        self._hanging = 0

    def begin(self) -> int:
        """Begin a load. Returns its number."""
        self.number += 1
        return self.number

    def is_present(self, number: int) -> bool:
        """Return whether this load is the present one; the result of another one is of no use."""
        return number == self.number

    def ended(self, number: int) -> None:
        """A load gave its last result."""
        if number == self._hanging:
            self._hanging = 0

    def give_up(self) -> bool:
        """Give up the present load, at its deadline. Returns whether an earlier load hangs already."""
        hung_before = self._hanging != 0
        self._hanging = self._hanging or self.number
        self.number += 1
        return hung_before
