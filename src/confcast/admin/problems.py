"""Every answer that is none: a problem as RFC 9457 has it, in words for the person who has to act.

`result` says in one word what happened, for a program; `detail` says it for a person, and what to do. `type` is
`about:blank`: the status and `result` distinguish them. Guaranteed: no problem has a token, or a secret, in it.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from starlette.responses import Response

from confcast.wire.whole_data import whole

JSON = "application/problem+json"


class ProblemError(Exception):
    """An answer that is none.

    Args:
        status: The HTTP status.
        result: One word for a program.
        detail: For a person: what was expected, what was found, what to do.
        headers: Further headers of the answer.
        members: What else a program is told.
    """

    def __init__(
        self, status: int, result: str, detail: str, headers: dict[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        self.status, self.result, self.detail = status, result, detail
        self.headers, self.members = headers or {}, members

    def document(self) -> dict[str, Any]:
        """The problem as an object."""
        title = HTTPStatus(self.status).phrase
        head = {"type": "about:blank", "title": title, "status": self.status, "detail": self.detail}
        return {**head, "result": self.result, **self.members}

    def response(self) -> Response:
        """The answer."""
        body = msgspec.json.encode(whole(self.document()))
        return Response(body, self.status, self.headers, JSON)


def unavailable(detail: str, after: int = 1) -> ProblemError:
    """Nobody answers now; the same request may have an answer after so many seconds."""
    return ProblemError(503, "owner_unavailable", detail, {"Retry-After": str(after)})
