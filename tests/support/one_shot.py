"""A job that runs once: attaches, prints what it found as JSON, and exits with the status it was given."""

from __future__ import annotations

import json
import os
import sys

from confcast import ConfcastError, Replica
from tests.support.settings import Frozen, Settings


def main(status: int, schema: type[Settings] | type[Frozen], timeout: float) -> int:
    """Attach, and print."""
    settings = Replica(schema, name="app")
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
    sys.exit(main(int(sys.argv[1]), Frozen if "other" in sys.argv else Settings, 1.0 if "other" in sys.argv else 20.0))
