"""`confcast admin` with short times: `python -m tests.support.short_admin LIMITS … --bind … --token-file …`."""

from __future__ import annotations

import json
import sys
from typing import Any

import msgspec

from confcast.admin import owners, server
from confcast.admin.limits import Limits
from confcast.cli import main
from confcast.worker.client import verbs


def run() -> int:
    """LIMITS is a JSON object; its `owner` are the seconds that an owner's answer may take."""
    wanted: dict[str, Any] = json.loads(sys.argv[1])
    verbs._ANSWER_TIMEOUT = owners._ANSWERS_WITHIN = wanted.pop("owner", verbs._ANSWER_TIMEOUT)
    limits, serve = Limits(**wanted), server.serve

    async def shortly(options: server.Options, *others: Any) -> None:
        await serve(msgspec.structs.replace(options, limits=limits), *others)

    server.serve = shortly  # type: ignore[assignment]
    return main(["admin", *sys.argv[2:]])


if __name__ == "__main__":
    sys.exit(run())
