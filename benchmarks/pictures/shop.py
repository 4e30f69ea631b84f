"""A made-up shop with a history, for the pictures: it runs until its standard input ends.

Files change as an editor changes them, and people type commands, so that the pictures show who does what.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from confcast.testing import Application
from tests.support import bookshop
from tests.support.waiting import eventually

WORKERS = 8
_FILE = "app.toml"
_MORE_ROOM = ("pool = 12", "pool = 16")
_TOO_MUCH = ("pool = 12", "pool = 99")
_SUNDAY = ("Signed copies this week", "Free shipping until Sunday")
_FORKS = ("workers = 4", "workers = 6")
_RECORDS = ("[search]", '[search]\nindex = "records"')
_CROWD = "too many requests from one network"


def edit(app: Application, *changes: tuple[str, str]) -> None:
    """Write the first text with these changes, and wait until the owner has noticed."""
    text = bookshop.TEXT
    for before, after in changes:
        text = text.replace(before, after)
    known = app.manager.get_event_history(1)
    app.path(_FILE).write_text(text)
    eventually(lambda: app.manager.get_event_history(1) != known, "the owner has noticed")


def typed(app: Application, *words: str) -> None:
    """A command, as a person types it."""
    command = [sys.executable, "-m", "confcast", *words, "--address", app.manager.address]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60)


def main() -> None:
    """Make the history, say where the owner is, and wait."""
    files = {_FILE: bookshop.TEXT}
    with Application(bookshop.shop, bookshop.loader(), files=files, workers=WORKERS, watch=True, probation=0) as app:
        edit(app, _MORE_ROOM)
        edit(app, _TOO_MUCH)
        edit(app, _MORE_ROOM, _SUNDAY, _FORKS)
        typed(app, "set", "limits.api=100", "limits.search=30", "--ttl", "30m", "--reason", _CROWD)
        edit(app, _MORE_ROOM, _SUNDAY, _FORKS, _RECORDS)
        edit(app, _MORE_ROOM, _SUNDAY, _FORKS)
        typed(app, "set", "features.preorder=true", "--confirm-within", "10m", "--reason", "the new edition")
        print(Path(app.manager.address), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
