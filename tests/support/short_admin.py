"""`confcast admin` with short times: `python -m tests.support.short_admin LIMITS … --bind … --token-file …`."""

from __future__ import annotations

import json
import sys
from typing import Any

import msgspec

from confcast.admin import event_streams, owners, server
from confcast.admin.limits import Limits
from confcast.cli import main
from confcast.worker.client import verbs


def run() -> int:
    """LIMITS is a JSON object; its `owner` are seconds for an owner's answer, its `buffered` the bytes of a stream."""
    wanted: dict[str, Any] = json.loads(sys.argv[1])
    verbs._ANSWER_TIMEOUT = owners._ANSWERS_WITHIN = wanted.pop("owner", verbs._ANSWER_TIMEOUT)
    event_streams._BUFFERED = wanted.pop("buffered", event_streams._BUFFERED)
    limits, serve = Limits(**wanted), server.serve

    async def shortly(options: server.Options, *others: Any) -> None:
        await serve(msgspec.structs.replace(options, limits=limits), *others)

    server.serve = shortly  # type: ignore[assignment]
    return main(["admin", *sys.argv[2:]])


if __name__ == "__main__":
    sys.exit(run())
