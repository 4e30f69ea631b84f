"""A job that runs once: attaches, prints what it found as JSON, and exits with the status it was given."""

from __future__ import annotations

import json
import os
import sys

from confcast import ConfcastError, Replica
from tests.support.settings import Frozen, Settings


def main(name: str, status: int, schema: type[Settings] | type[Frozen], timeout: float) -> int:
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
    its = (Frozen, 1.0) if "other" in sys.argv else (Settings, 20.0)
    sys.exit(main(sys.argv[1], int(sys.argv[2]), *its))
