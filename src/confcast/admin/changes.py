"""What changes or tries something: the operation that a body asks for, and the answer for its outcome.

Guarantees. `If-Match` is compared by the owner, in the load that it begins (`expect`): nothing can come between the
comparison and the change. An answer that came too late, or not at all, is told as unknown, never as done or not done.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from confcast.admin import requests
from confcast.admin.answers import answer
from confcast.admin.problems import ProblemError
from confcast.admin.reads import newest_number
from confcast.errors import ConfcastError, OwnerUnavailable
from confcast.wire.canary import Canary
from confcast.wire.messages import ReloadEvent, ReloadResult
from confcast.worker.client.owner_client import OwnerClient

Do = Callable[[OwnerClient, Any, int | None], ReloadEvent]
"""Carries a body out: the client, the body, and the version that has to run (None: whichever)."""

_ETAG = re.compile(r'"([1-9][0-9]{0,18})"')
_MOST_TOLD = 10
"""How many events since then a conflict tells."""

_STATUSES = {
    ReloadResult.VALIDATION_FAILED: 422,
    ReloadResult.FILE_NOT_FOUND: 422,
    ReloadResult.IO_ERROR: 422,
    ReloadResult.GUARDED: 422,
    ReloadResult.REJECTED: 422,
    ReloadResult.HELD: 409,
    ReloadResult.UNDONE: 409,
    ReloadResult.CONFLICT: 412,
    ReloadResult.OWNER_UNAVAILABLE: 504,
}


def expected(if_match: list[str]) -> int | None:
    """The version that `If-Match` names; None for `*`. `if_match`: each one's value. Raises ProblemError."""
    if not if_match:
        text = 'say which version you have seen: If-Match: "12", as the ETag of any answer has it; * for whichever runs'
        raise ProblemError(428, "if_match", text)
    given = ", ".join(if_match).strip()
    if given == "*":
        return None
    if (found := _ETAG.fullmatch(given)) is None:
        raise ProblemError(400, "if_match", 'If-Match: one version is expected, as "12", or *')
    return int(found[1])


def check(owner: OwnerClient, body: requests.CheckBody, expect: int | None) -> ReloadEvent:
    """A dry run."""
    return owner.check_contents(body.values, {name: text.encode() for name, text in body.files.items()})


def reload(owner: OwnerClient, body: requests.ReloadBody, expect: int | None) -> ReloadEvent:
    """A load of the sources."""
    how = {"reason": body.reason, "allow": body.allow, "confirm_within": body.confirm_within, "force": body.force}
    return owner.reload(expect=expect, canary=_canary(body.canary), **how)  # type: ignore[arg-type]


def set_(owner: OwnerClient, body: requests.SetBody, expect: int | None) -> ReloadEvent:
    """Values above all sources."""
    how = {"ttl": body.ttl, "confirm_within": body.confirm_within, "allow": body.allow, "reason": body.reason}
    return owner.set(body.values, expect=expect, **how)  # type: ignore[arg-type]


def unset(owner: OwnerClient, body: requests.UnsetBody, expect: int | None) -> ReloadEvent:
    """The end of such values."""
    return owner.unset(body.keys, expect=expect, reason=body.reason)


def rollback(owner: OwnerClient, body: requests.RollbackBody, expect: int | None) -> ReloadEvent:
    """Back to a kept version."""
    return owner.rollback(body.version, expect=expect, reason=body.reason)


def resume(owner: OwnerClient, body: requests.ResumeBody, expect: int | None) -> ReloadEvent:
    """The end of a hold."""
    return owner.resume(expect=expect, reason=body.reason)


def confirm(owner: OwnerClient, body: requests.ConfirmBody, expect: int | None) -> ReloadEvent:
    """Keep what is provisional. The owner has one number to compare, so that both may not differ."""
    if body.version is not None and expect is not None and body.version != expect:
        text = f"version {body.version} can't be confirmed by who has seen version {expect}: give one of the two"
        raise ProblemError(400, "if_match", text)
    return owner.confirm(body.version or expect, reason=body.reason)


def _canary(body: requests.CanaryBody | None) -> Canary | None:
    if body is None:
        return None
    how = {"seconds": body.seconds, "by": body.by, "min_requests": body.min_requests}
    return Canary(body.size, inconclusive=body.inconclusive, **how)  # type: ignore[arg-type]


class Outcome:
    """What came of a body, in the thread of the call.

    Args:
        owner: The client.
        do: What is asked for.
        body: With what.
        expect: The version that has to run; None: whichever.
    """

    def __init__(self, owner: OwnerClient, do: Do, body: Any, expect: int | None) -> None:
        self.since: list[ReloadEvent] = []
        self.number: int | None = None
        self.event = do(owner, body, expect)
        if self.event.result is ReloadResult.OWNER_UNAVAILABLE:
            return
        try:
            self.number = newest_number(owner.get_stats())
            if self.event.result is ReloadResult.CONFLICT and expect is not None:
                self.since = [each for each in owner.get_event_history() if each and each.version > expect]
        except (OwnerUnavailable, ConfcastError):
            pass  # the outcome is known, and what runs now is not

    def response(self) -> Response:
        """The answer. Raises ProblemError for a refusal."""
        event = self.event
        if event or (event.dry_run and event.result is ReloadResult.ON_TRIAL):
            return answer({"event": event}, self.number)
        if event.result is ReloadResult.ON_TRIAL:
            return answer({"event": event}, self.number, status=202)
        status = _STATUSES[event.result]
        members: dict[str, Any] = {"problems": event.problems, "event": event}
        if event.result is ReloadResult.CONFLICT:
            members |= {"version": event.version, "since": self.since[:_MOST_TOLD]}
        headers = {} if self.number is None else {"ETag": f'"{self.number}"'}
        text = event.error_message or "; ".join(event.evidence) or str(event.result)
        raise ProblemError(status, str(event.result), text, headers, **members)
