"""A job that runs once: attaches, prints what it found as JSON, and exits with the status it was given."""

from __future__ import annotations

import dataclasses
import json
import os
import sys

from confcast import ConfcastError, Replica


@dataclasses.dataclass(frozen=True)
class Plain:
    """The schema of the owners of these jobs. Many jobs are started, and pydantic would be half of their time."""

    number: int = 0


@dataclasses.dataclass(frozen=True)
class Other:
    """The schema of a job of other code."""

    number: int = 0
    more: str = ""


SCHEMA = "tests.support.one_shot:Plain"


def main(name: str, status: int, schema: type[Plain] | type[Other], timeout: float) -> int:
    """Attach, and print."""
    settings = Replica(schema, name=name)
    try:
        settings.attach(timeout=timeout)
    except ConfcastError as error:
        print(json.dumps({"error": type(error).__name__, "text": str(error)}))
        return status
    found = {"pid": os.getpid(), "version": settings.version, "number": settings.latest.number}
    variables = sorted(each for each in os.environ if each.startswith(("CONFCAST_ADDRESS", "CONFCAST_SNAPSHOT")))
    print(json.dumps({**found, "connected": settings.connected, "variables": variables}))
    settings.close()
    return status


if __name__ == "__main__":
    from tests.support import one_shot  # the classes as the owner has them, and not this program's

    its = (one_shot.Other, 1.0) if "other" in sys.argv else (one_shot.Plain, 20.0)
    sys.exit(one_shot.main(sys.argv[1], int(sys.argv[2]), *its))
