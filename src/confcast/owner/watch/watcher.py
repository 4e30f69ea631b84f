"""Watching: "the content may have changed". A hint, no more: reading is the truth.

Guarantees. Every lasting change of the watched files' content, however it is made (written in place, renamed over,
deleted and made again, a symbolic link swapped anywhere on the way to it, a parent directory replaced), is followed by
one call of `changed()`, about `quiet` seconds after the files came to rest; what leaves the content as it was is not. A
watched directory stands for the files in it, those to come included. Nothing that happens to files or directories ends
the watching. Files that never rest are read half a minute late, as they are between two changes; what somebody has open
for writing is not read. Either is said, once until they rest.

How. One daemon thread listens to the *directories* that hold the files and every link on the way to them, and to those
directories' parents (a watch sits on an inode, and goes deaf with it), without looking at an event's name or kind: each
one means "look again". To look is to wait until the files have rested and nobody has them open for writing, to listen
anew if the directories are others now, and only then to compare content with what was last tried: in this order no
change can fall between two looks. Content is also compared, and every watch made anew, when nothing was heard for
`recheck` seconds, since some mounts are deaf. Where the system has no watches left, content is compared every second
instead. A source that names no file yet (a folder's files, when there are none) can't be listened to: it is asked for
its files every second, and content is compared when it names some. Directories full of others' events cost little: at
most a look in each quiet period, and at most a few percent of a core.

One call too many makes a load that finds nothing new; one too few loses a change. Where that is the choice (content
that changes again while a slow load of it is under way), it is made for the former.

Rejected: a watch on the file (deaf after the first rename over it), on resolved paths or by file name (misses link
swaps), the modification time as evidence of change (a hint is enough for resting, not for that), `watchfiles.watch()`
itself (a log line for each burst, no way to interrupt its wait but to end it; the class below it is documented for
direct use).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

from confcast.config.sources.disk import identity
from confcast.owner.store.attempts import Attempts
from confcast.owner.watch.watched_dirs import MOST, Places, entries_of, places_of
from confcast.tracebacks import to_be_logged

log = logging.getLogger("confcast.watch")

Stats = list[tuple[int, ...] | None]
"""What the system says of each file, but for its content; None for one that can't be reached.

Of a directory also what it says of everything in it, without the names: these are the directory's own content."""

_STEP = 0.02  # seconds between two looks into notify's queue: 0.3 % of a core, and so much later is a change heard
_DEAF = 1.0  # seconds between two comparisons of content where there are no watches, and after an error
_PATIENCE = 30.0  # seconds of waiting for files to rest
_SHARE = 20  # a look that took a millisecond is followed by 20 without one
_FREE = 5  # looks that need no such pause: files that rest are read after that few


class Watcher:
    """Calls `changed()` from a thread of its own when the content of files differs from what was last tried.

    The functions are called in that thread, and may raise: it is logged, counted in `failures`, and tried again.

    Args:
        watched: The files and directories to watch, as they are named in the configuration; asked again at each look,
            and after each load.
        fingerprint: A hash of their content, by which alone a change is judged; files that can't be read are a
            content of their own. Called about 20 times a second at the most.
        busy: The files that somebody still has open for writing; while there are any, nothing is compared.
        changed: Called once for a change of content; must only hand the hint on.
        attempts: What was attempted last; loads that read content are noticed through it.
        nowhere: Whether a source names no file now, though it has files at times.
        quiet: Seconds for which the files must have rested before their content is compared.
        recheck: Seconds after which content is compared though nothing was heard.
    """

    def __init__(
        self,
        watched: Callable[[], tuple[Path, ...]],
        fingerprint: Callable[[], bytes],
        busy: Callable[[], tuple[Path, ...]],
        changed: Callable[[], None],
        attempts: Attempts,
        *,
        nowhere: Callable[[], bool] = lambda: False,
        quiet: float = 0.05,
        recheck: float = 30.0,
    ) -> None:
        self._errors = 0
        self._watched = watched
        self._fingerprint = fingerprint
        self._busy = busy
        self._changed = changed
        self._nowhere = nowhere
        self._quiet = quiet
        self._recheck = recheck
        self._attempts = attempts
        self._closing = False
        self._wake = threading.Event()
        self._watches = _DirectoryWatches(self._wake)
        self._armed: tuple[Path, ...] | None = None
        self._seen: Stats = []
        self._too_large: set[Path] = set()
        self._not_before = 0.0
        self._patient_until = 0.0
        self._restless = self._complained = False
        self._thread = threading.Thread(target=self._run, name="confcast-watch", daemon=True)
        attempts.when_read(self._on_read)

    @property
    def failures(self) -> int:
        """How often looking ended in an exception, or directories could not be listened to."""
        return self._errors + self._watches.failures

    def start(self) -> None:
        """Begin to watch; once only. Content that differs from what was tried by then is noticed at once."""
        self._thread.start()

    def close(self) -> None:
        """Stop watching and wait for the thread to end; harmless when called again, and from any thread."""
        self._closing = True
        self._wake.set()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=2.0)
            if self._thread.is_alive():  # in a read from a dead mount: it can't be helped, and it is a daemon
                log.warning("the watching thread did not end within 2 s: a file or its directory does not answer")

    def _on_read(self, other: bool) -> None:
        """Wake the thread after a load has read content; in the load's thread.

        The content may have changed again since, and the thread may have compared it with an older one; and what a
        load has read may name other files.
        """
        if other or self._may_be_elsewhere():
            self._wake.set()

    def _is_elsewhere(self) -> bool:
        """Whether the sources name other files than those that are listened to. Raises what a user's source raises."""
        return self._armed is not None and set(self._watched()) != set(self._armed)

    def _may_be_elsewhere(self) -> bool:
        """The same for the thread of a load, which must not fail for it."""
        try:
            return self._is_elsewhere()
        except BaseException as error:  # of a user's source; the thread meets it too, and says so
            log.debug("the files to watch could not be asked for: %s", type(error).__name__)
            return True

    # ---- the thread

    def _run(self) -> None:
        heard, complaint = False, ""
        while not self._closing:
            try:
                self._look(heard)
                heard = self._listen()
                complaint = ""
            except BaseException as error:  # of a user's source: sys.exit(), or a panic of a library in Rust
                self._errors += 1
                if complaint != (complaint := f"{type(error).__name__}: {error}"):
                    log.error("watching failed, and goes on trying every second", exc_info=to_be_logged(error))
                self._watches.close()  # they may be what failed
                self._wake.wait(_DEAF)
                self._wake.clear()
        self._watches.close()

    def _listen(self) -> bool:
        """Return when it is time to look: something was heard (True), a load said something, or it is the clock's."""
        until, pause = time.monotonic() + self._recheck, _DEAF
        while not self._closing:  # the wake-up that goes with it may have ended a wait within the look
            left = until - time.monotonic()
            nowhere = self._nowhere()
            if not nowhere and self._is_elsewhere():  # what appeared after the look is not listened to
                break
            if self._watches.wait(min(left, pause) if nowhere else left):
                return True
            if not nowhere or not self._watches.listening or self._watches.woken or time.monotonic() >= until:
                break
            began = time.monotonic()
            if self._stats() != self._seen:
                break
            pause = max(_DEAF, _SHARE * (time.monotonic() - began))
        self._watches.invalidate()
        return False

    def _look(self, heard: bool) -> None:
        # Hearing takes a step in which nothing happened: the files have been at rest for as long.
        since = time.monotonic() - (_STEP if heard else 0.0)
        self._patient_until = since + _PATIENCE
        while True:
            seen = self._seen = self._settle(since)
            if self._restless:
                self._complain("the files do not rest: they are read as they are between two changes")
            since = time.monotonic()
            self._arm()
            if self._closing or self._compare(seen):
                break
        if not self._restless:
            self._complained = False
        ended = time.monotonic()
        self._not_before = ended + _SHARE * (ended - since)

    def _settle(self, since: float) -> Stats:
        """Return when the files have rested for `quiet` seconds, or won't, and nobody has them open for writing."""
        seen, looks = self._stats(), 0
        while not self._closing:
            now = time.monotonic()  # before the files are looked at: however late that is, they rested until now
            if seen != (seen := self._stats()):
                since = time.monotonic()
            looks, cost = looks + 1, time.monotonic() - now
            rest = max(since + self._quiet, self._not_before) - now
            writers: tuple[Path, ...] = ()
            late = now >= max(self._patient_until, self._not_before)  # a look that took long is no restless file
            if (rest <= 0 or late) and not (writers := self._busy()):
                self._restless = rest > 0
                break
            if late:
                self._complain(f"what changed is not read yet (open for writing: {', '.join(map(str, writers))})")
            step = rest if since + self._quiet <= now < self._not_before else min(rest, _STEP) if rest > 0 else _STEP
            self._pause(step if looks < _FREE else max(step, _SHARE * cost))
        return seen

    def _pause(self, seconds: float) -> None:
        """Return after so long, whatever is heard meanwhile, or when the watching ends."""
        until = time.monotonic() + seconds
        while not self._closing and (left := until - time.monotonic()) > 0:
            self._watches.wait(left)

    def _complain(self, text: str) -> None:
        """Say so, once until the files have rested."""
        if not self._complained:
            self._complained = True
            log.warning("%s", text)

    def _stats(self) -> Stats:
        found: Stats = []
        for path in self._watched():
            found.append(own := identity(path))
            if own is not None:
                inside = [identity(Path(entry)) for entry in entries_of(path)]
                found += inside
                self._say_if_too_large(path, len(inside))
        return found

    def _say_if_too_large(self, path: Path, entries: int) -> None:
        if entries > MOST and path not in self._too_large:
            self._too_large.add(path)
            log.warning(
                "%s holds more than %d files: a change of the others is noticed when content is compared, every %g s",
                path,
                MOST,
                self._recheck,
            )

    def _arm(self) -> None:
        """Listen to the directories as they are now, and were still after listening began."""
        for _ in range(5):
            self._armed = self._watched()
            if self._watches.listen_to(places_of(self._armed)):
                return

    def _compare(self, seen: Stats) -> bool:
        """Call `changed()` if the content is not what was tried. False: it did not rest while it was read."""
        while True:
            reads = self._attempts.reads
            found = self._fingerprint()
            if self._stats() != seen and not self._restless:
                return False
            if self._attempts.compare(found, reads, self._changed):
                return True


class _DirectoryWatches:
    """Listens to directories, and tells when it can't any more. Only for the watcher's thread.

    Attributes:
        failures: How often it could not.
        woken: Whether the last `hear()` was ended by the event that wakes it.
    """

    def __init__(self, wake: threading.Event) -> None:
        self.failures = 0
        self.woken = False
        self._wake = wake
        self._places: Places = {}
        self._invalidated = True
        self._deaf = False
        self._notify: RustNotify | None = None

    @property
    def listening(self) -> bool:
        """Whether it can hear."""
        return self._notify is not None

    def listen_to(self, places: Places) -> bool:
        """True if it listens to just these, or can't. Else it does from now on: they must be looked at once more."""
        if places == self._places and not self._invalidated:
            return True
        self.close()
        self._places = places
        # Others can't be listened to; asking notify to ignore that makes it ignore an exhausted limit, too.
        readable = sorted(place for place in places if os.access(place, os.R_OK | os.X_OK))
        try:
            self._notify = RustNotify(readable, False, False, 0, False, False)
        except FileNotFoundError:
            return False
        except (OSError, WatchfilesRustInternalError) as error:
            self._complain(error)
            return True
        self._deaf = self._invalidated = False
        return False

    def wait(self, seconds: float) -> bool:
        """Wait until something happens in the directories (True), for so many seconds, or until woken (False)."""
        if self._notify is None:
            self._wake.wait(min(seconds, _DEAF))
            heard = False
        else:
            milliseconds = max(1, int(seconds * 1000))
            step = max(1, min(int(_STEP * 1000), milliseconds // 2))
            events = self._notify.watch(1, step, milliseconds, self._wake)
            heard = isinstance(events, set)
            # What happens to a directory itself ends the watch on its inode, which its successor may well get.
            self._invalidated |= isinstance(events, set) and any(path in self._places for _, path in events)
        self.woken = self._wake.is_set()
        if self.woken:  # else one that comes now would be lost, and not all who hear nothing look
            self._wake.clear()
        return heard

    def invalidate(self) -> None:
        """Have the next `listen_to()` begin anew whatever it is given."""
        self._invalidated = True

    def close(self) -> None:
        """Give the watches back, until the next `listen_to()`."""
        self._invalidated = True
        if self._notify is not None:
            self._notify.close()
            self._notify = None

    def _complain(self, error: Exception) -> None:
        self.failures += 1
        if not self._deaf:
            self._deaf = True
            log.warning(
                "can't listen to %s (%s): comparing the files' content every second instead; "
                "fs.inotify.max_user_watches and max_user_instances are the limits that can be raised",
                ", ".join(self._places),
                error,
            )
