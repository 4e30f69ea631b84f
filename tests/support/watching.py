"""A watcher on one file, and what came of it."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from pathlib import Path

from confcast.owner.store.attempts import Attempts
from confcast.owner.watch.watcher import Watcher

SOON = 30.0  # seconds until a test gives up
NO_FILE = Path(os.devnull)  # for a watcher that stands alone: nothing is loaded
NEVER = 3600.0  # no comparing on suspicion: what is noticed was reported by the watch


class Bench:
    """A watcher on one file, and what came of it. Content is its own fingerprint.

    Attributes:
        changing: Held while a change of several steps is made: the watcher, which looks at the files before and after
            it reads them, sees it as one, however long the machine takes from one step to the next.
    """

    def __init__(self, path: Path, quiet: float = 0.05, recheck: float = NEVER, watched: bool = True) -> None:
        self.path = path
        self.calls: queue.Queue[bytes] = queue.Queue()
        self.looks = 0
        self.looked = threading.Condition()
        self.changing = threading.RLock()
        self.writers: tuple[Path, ...] = ()
        self.paths = (path,) if watched else ()
        self.on_watched: Callable[[], None] = lambda: None
        self.on_changed: Callable[[], None] = lambda: None
        self.attempts = Attempts(NO_FILE)
        self.watcher = Watcher(
            self.watched,
            self.fingerprint,
            lambda: self.writers,
            self.changed,
            self.attempts,
            quiet=quiet,
            recheck=recheck,
        )

    def watched(self) -> tuple[Path, ...]:
        with self.changing:
            pass
        self.on_watched()
        return self.paths

    def content(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError:
            return b"missing"

    def put(self, content: bytes) -> None:
        """Into the file, in place: emptied, then written."""
        with self.changing:
            self.path.write_bytes(content)

    def fingerprint(self) -> bytes:
        found = self.content()
        with self.looked:
            self.looks += 1
            self.looked.notify_all()
        return found

    def changed(self) -> None:
        self.on_changed()
        self.calls.put(self.content())

    def start(self) -> None:
        """Begin to watch what was loaded, and wait until it listens. The next look is one that something has caused."""
        self.attempts.add(self.content())
        self.watcher._wake.clear()  # what was loaded before the first look is no cause for a second one
        self.watcher.start()
        self.wait_for_looks(1)

    def wait_for_looks(self, count: int) -> None:
        with self.looked:
            assert self.looked.wait_for(lambda: self.looks >= count, SOON), f"{self.looks} looks"

    def expect(self, content: bytes) -> None:
        assert self.calls.get(timeout=SOON) == content

    def expect_only(self, content: bytes, marker: bytes = b"marker") -> None:
        """One call for the content, and then none but for a further change."""
        self.expect(content)
        self.expect_nothing(marker)

    def expect_nothing(self, marker: bytes = b"marker") -> None:
        new = self.path.with_name("marker")
        new.write_bytes(marker)
        new.replace(self.path)
        self.expect(marker)
        assert self.calls.empty()

    def expect_one_look_at_many_changes(self) -> None:
        """The file changes each time that it is looked at whether it rests, and is read when it does."""
        contents = [b"half %d" % number for number in range(10)]
        looks: list[int] = []

        def write() -> None:
            if contents:
                looks.append(self.looks)
                self.put(contents.pop(0))

        self.on_watched = write
        self.path.touch()
        self.expect_only(b"half 9")
        assert len(set(looks[1:])) == 1  # a look that was over but for its verdict may have made the first change
