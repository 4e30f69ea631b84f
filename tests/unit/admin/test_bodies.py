"""Bodies: bounded before they are read, in their time, of the expected type, and no value in what is said of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Message

from confcast.admin import bodies
from confcast.admin.limits import Limits
from confcast.admin.problems import ProblemError
from confcast.admin.requests import CheckBody, ReloadBody, SetBody

LIMITS = Limits(body=100, body_within=0.02)
JSON = {"content-type": "application/json"}


class Body:
    """A body that comes in pieces; how many were read."""

    def __init__(self, pieces: Iterable[bytes], *, ends: bool = True) -> None:
        self._pieces: Iterator[bytes] = iter(pieces)
        self._ends, self.read = ends, 0

    async def __call__(self) -> Message:
        piece = next(self._pieces, None)
        if piece is None:
            if not self._ends:
                await asyncio.Event().wait()
            return {"type": "http.request", "body": b"", "more_body": False}
        self.read += 1
        return {"type": "http.request", "body": piece, "more_body": True}


def read(body: Body, kind: Any = SetBody, **headers: str) -> Any:
    given = {**JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope = {"type": "http", "headers": [(name.encode(), value.encode()) for name, value in given.items()]}
    return asyncio.run(bodies.read(Request(scope, body), kind, LIMITS))


def refused(body: Body, kind: Any = SetBody, **headers: str) -> ProblemError:
    with pytest.raises(ProblemError) as found:
        read(body, kind, **headers)
    return found.value


def test_a_body_comes_in_pieces() -> None:
    assert read(Body([b'{"values":', b' {"a.b": 1}}'])) == SetBody(values={"a.b": 1})
    assert read(Body([]), ReloadBody) == ReloadBody()


def test_one_that_says_it_is_too_long_is_refused_unread() -> None:
    body = Body([b"x"] * 10)
    assert refused(body, content_length="101").status == 413
    assert body.read == 0


def test_one_that_does_not_say_so_is_refused_as_soon_as_it_is() -> None:
    body = Body([b"x" * 60] * 10)
    problem = refused(body)
    assert (problem.status, problem.headers) == (413, {"Connection": "close"})
    assert body.read == 2


def test_one_that_does_not_come_is_not_waited_for() -> None:
    assert refused(Body([b"{"], ends=False)).status == 408


def test_another_content_is_no_json() -> None:
    assert refused(Body([b"{}"]), content_type="application/x-www-form-urlencoded").status == 415
    assert refused(Body([b"{}"]), content_type="text/plain").status == 415


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (SetBody, b'{"values": "hunter2"}'),
        (SetBody, b'{"values": {"a": "hunter2'),
        (SetBody, b'{"values": {"a": "\xff hunter2"}}'),
        (SetBody, b'{"value": {"a": "hunter2"}}'),
        (CheckBody, b'{"files": {"a": ["hunter2"]}}'),
        (ReloadBody, b'{"confirm_within": "hunter2"}'),
        (ReloadBody, b'{"canary": {"size": 1, "by": "hunter2"}}'),
    ],
)
def test_what_is_not_expected_is_refused_without_its_values(kind: Any, content: bytes) -> None:
    problem = refused(Body([content]), kind)
    assert problem.status == 400
    assert "hunter2" not in str(problem.document())


def test_a_repr_of_a_body_shows_nothing() -> None:
    assert "hunter2" not in repr(SetBody(values={"a": "hunter2"}))
