"""Answers as HTTP has them."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

from confcast.wire.whole_data import whole


def as_json(data: Any) -> bytes:
    """JSON, in which Structs have all of their fields."""
    return msgspec.json.encode(whole(data))


def answer(data: Any, number: int | None = None, status: int = 200) -> Response:
    """An answer; `number`: that of its ETag."""
    headers = {} if number is None else {"ETag": f'"{number}"'}
    return Response(as_json(data), status, headers, media_type="application/json")
