"""The watcher reports that the sources' content may have changed. That is a hint only: a load then reads the sources.

Guarantees. Every lasting change of the watched files' content, however it is made (written in place, renamed over,
deleted and made again, a symbolic link swapped anywhere on the way to it, a parent directory replaced), is followed by
one call of `changed()`, about `quiet` seconds after the last change; an event that leaves the content as it was is not.
A watched directory stands for the files in it, including files that are made later. Nothing that happens to files or
directories ends the watching. Files that never rest are read half a minute late, in the state between two changes; a
file that a process has open for writing is not read. Both cases are logged, once until the files rest.

How. One daemon thread watches the *directories* that hold the files and every link on the way to them, and those
directories' parents (a watch is on an inode, and ends with it), without regard to an event's name or kind: each one
means "look again". A look waits until the files have rested and nobody has them open for writing, watches anew if the
directories are others now, and only then compares content with what was attempted last: in this order no change can
fall between two looks. Content is also compared, and every watch made anew, after `recheck` seconds without an event,
since some mounts give no events. Where the system has no watches left, content is compared every second instead. A
source that names no file yet (a folder's files, when there are none) can't be watched: the watcher asks it for its
files every second, and compares content when it names some. Directories full of unrelated events cost at most one look
in each quiet period, and at most a few percent of a core. A look that took long for another reason (a loaded machine, a
slow disk) is followed by at most two seconds without one.

One call too many makes a load that finds nothing new; one too few loses a change. Where one of the two can't be avoided
(content that changes again while a slow load of it is under way), `changed()` is called.

Rejected: a watch on the file (ends at the first rename over it), on resolved paths or by file name (misses link swaps),
the modification time as evidence of change (it shows whether files rest, not whether their content differs), and
`watchfiles.watch()` itself (it logs a line for each burst, and its wait can be ended, not interrupted; the class that
it uses, and dir_events.py, too, is documented for direct use).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from confcast.config.sources.disk import identity
from confcast.log_fields import about
from confcast.owner.store.attempts import Attempts
from confcast.owner.watch.dir_events import DirEvents, Wakeup, events_in
from confcast.owner.watch.watched_dirs import MOST, Dirs, dirs_to_watch, entries_of
from confcast.tracebacks import to_be_logged

log = logging.getLogger("confcast.watch")

Stats = list[tuple[int, ...] | None]
"""What stat() says of each file; None for one that can't be reached.

For a directory, also that of all in it. Names are left out: a new name changes the directory's own."""

_STEP = 0.02  # seconds in which events that come together are collected
_POLL_EVERY = 1.0  # seconds between two comparisons of content where there are no watches, and after an error
_REST_WITHIN = 30.0  # seconds to wait at most for files to rest
_SHARE = 20  # a look that took a millisecond is followed by 20 without one
_LONGEST_PAUSE = 2.0  # seconds without a look after one that took long, unless it kept a processor busy
_FREE = 5  # the first looks, which need no such pause: files that rest are read after that few


class Watcher:
    """Calls `changed()` from its own thread when the content of files differs from the content that was attempted last.

    The functions are called in that thread, and may raise: an error is logged, counted in `failures`, and tried again.

    Args:
        watched: The files and directories to watch, as the sources name them; called at each look, and after each load
            in the loading thread.
        fingerprint: A hash of their content, by which alone a change is judged; files that can't be read are a
            content of their own. Called at most about 20 times a second.
        busy: The files that a process still has open for writing; while there are any, nothing is compared.
        changed: Called once for a change of content; must only post a message.
        attempts: Which content was attempted last; it also notifies the watcher of loads that read content.
        nowhere: Whether a source that has files at times names none now.
        quiet: Seconds for which the files must have rested before their content is compared.
        recheck: Seconds after which content is compared though there was no event.
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
        self._wake = Wakeup()
        self._watches = _DirectoryWatches(self._wake)
        self._watched_paths: tuple[Path, ...] | None = None
        self._seen: Stats = []
        self._seen_at = 0.0  # at this time they were the same; 0 before the first look
        self._too_large: set[Path] = set()
        self._not_before = 0.0
        self._rest_until = 0.0
        self._restless = self._complained = False
        self._thread = threading.Thread(target=self._run, name="confcast-watch", daemon=True)
        attempts.when_read(self._on_read)

    @property
    def failures(self) -> int:
        """How often a look raised, or directories could not be watched."""
        return self._errors + self._watches.failures

    def start(self) -> None:
        """Start the thread; once only. At once it notices content that differs from the last attempted content."""
        self._thread.start()

    def look(self) -> None:
        """Compare content soon, though no file has changed. From any thread."""
        self._wake.set()

    def close(self) -> None:
        """Stop watching and wait for the thread to end. May be called again, and from any thread."""
        self._closing = True
        self._wake.set()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=2.0)
            if self._thread.is_alive():  # hangs in a read from a dead mount; the daemon thread ends with the process
                log.warning(
                    "the watching thread did not end within 2 s: a file or its directory does not answer",
                    extra=about("watch_hangs"),
                )

    def _on_read(self, other: bool) -> None:
        """Wake the thread after a load has read content. Called in the loading thread.

        The content may have changed again since, and the thread may have compared it with an older one; and the content
        that the load has read may name other files.
        """
        if other or self._may_be_elsewhere():
            self._wake.set()

    def _is_elsewhere(self) -> bool:
        """Whether the sources name other files than those that are watched. Raises what a user's source raises."""
        return self._watched_paths is not None and set(self._watched()) != set(self._watched_paths)

    def _may_be_elsewhere(self) -> bool:
        """Whether `_is_elsewhere()` is true, or can't be computed; for the loading thread, since it never raises."""
        try:
            return self._is_elsewhere()
        except BaseException as error:  # raised by a user's source; the watcher's thread gets it, too, and logs it
            log.debug(
                "the files to watch could not be asked for: %s",
                type(error).__name__,
                extra=about("nothing_to_watch", error=type(error).__name__),
            )
            return True

    # ---- the thread

    def _run(self) -> None:
        happened, complaint = False, ""
        while not self._closing:
            try:
                self._look(happened)
                happened = self._wait()
                complaint = ""
            except BaseException as error:  # raised by a user's source: sys.exit(), or a panic of a library in Rust
                self._errors += 1
                if complaint != (complaint := f"{type(error).__name__}: {error}"):
                    log.error(
                        "watching failed, and goes on trying every second",
                        exc_info=to_be_logged(error),
                        extra=about("watch_failed", error=type(error).__name__),
                    )
                self._watches.close()  # the watches may be what failed
                self._wake.wait(_POLL_EVERY)
                self._wake.clear()
        self._watches.close()

    def _wait(self) -> bool:
        """Return when it is time to look: after an event (True), after a load, or after `recheck` seconds."""
        until, pause = time.monotonic() + self._recheck, _POLL_EVERY
        while not self._closing:  # the wakeup for closing may have ended a wait within the look
            left = until - time.monotonic()
            nowhere = self._nowhere()
            if not nowhere and self._is_elsewhere():  # a file that appeared after the look is not watched
                break
            if self._watches.wait(min(left, pause) if nowhere else left):
                return True
            if not nowhere or not self._watches.watching or self._watches.woken or time.monotonic() >= until:
                break
            began = _Beginning()
            if self._stats() != self._seen:
                break
            pause = max(_POLL_EVERY, began.pause())
        self._watches.invalidate()
        return False

    def _look(self, happened: bool) -> None:
        now = time.monotonic()
        # An event is given after a step in which nothing happened: the files have rested for that long.
        since = now - _STEP if happened else self._resting_since(now)
        self._rest_until = now + _REST_WITHIN
        while True:
            seen = self._seen = self._settle(since)
            if self._restless:
                self._complain("the files do not rest: they are read as they are between two changes")
            began = _Beginning()
            since = began.at
            self._watch_dirs()
            if self._closing or self._compare(seen):
                break
        if not self._restless:
            self._complained = False
        self._seen_at = time.monotonic()
        self._not_before = self._seen_at + began.pause()

    def _resting_since(self, now: float) -> float:
        """Since when the files rest, where no event has come: an owner at rest waits for no quiet period."""
        return self._seen_at if self._seen_at and self._stats() == self._seen else now

    def _settle(self, since: float) -> Stats:
        """Return when no process writes to the files and they have rested for `quiet` seconds, or if they never do."""
        seen, looks = self._stats(), 0
        while not self._closing:
            began = _Beginning()
            now = began.at  # before stat(): however late stat() answers, the files rested until now
            if seen != (seen := self._stats()):
                since = time.monotonic()
            looks, pause = looks + 1, began.pause()
            rest = max(since + self._quiet, self._not_before) - now
            writers: tuple[Path, ...] = ()
            late = now >= max(self._rest_until, self._not_before)  # a slow look does not count as a change
            if (rest <= 0 or late) and not (writers := self._busy()):
                self._restless = rest > 0
                break
            if late:
                self._complain(f"what changed is not read yet (open for writing: {', '.join(map(str, writers))})")
            step = rest if since + self._quiet <= now < self._not_before else min(rest, _STEP) if rest > 0 else _STEP
            self._pause(step if looks < _FREE else max(step, pause))
        return seen

    def _pause(self, seconds: float) -> None:
        """Wait for so many seconds, whatever happens meanwhile, or until the watching ends."""
        until = time.monotonic() + seconds
        while not self._closing and (left := until - time.monotonic()) > 0:
            self._watches.wait(left)

    def _complain(self, text: str) -> None:
        """Log this text, at most once until the files have rested."""
        if not self._complained:
            self._complained = True
            log.warning("%s", text, extra=about("watch_warning", warning=text))

    def _stats(self) -> Stats:
        found: Stats = []
        for path in self._watched():
            found.append(own := identity(path))
            if own is not None:
                inside = [identity(entry.path) for entry in entries_of(path)]
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
                extra=about("too_many_files", path=path, limit=MOST, seconds=self._recheck),
            )

    def _watch_dirs(self) -> None:
        """Watch the present directories, and check that they are still the same once the watch has begun."""
        for _ in range(5):
            self._watched_paths = self._watched()
            if self._watches.watch(dirs_to_watch(self._watched_paths)):
                return

    def _compare(self, seen: Stats) -> bool:
        """Call `changed()` if the content is not what was attempted last. Returns False if it changed meanwhile."""
        while True:
            reads = self._attempts.reads
            found = self._fingerprint()
            if self._stats() != seen and not self._restless:
                return False
            if self._attempts.compare(found, reads, self._changed):
                return True


class _Beginning:
    """When a look began, by the clock and by the processor's time that this thread has had.

    Attributes:
        at: By the clock, in seconds.
    """

    def __init__(self) -> None:
        self.at, self._worked = time.monotonic(), time.thread_time()

    def pause(self) -> float:
        """The seconds that are to pass without a look after this one.

        Processor time counts in full. Time in which the thread only waited does not: where it has waited for a second
        for its turn, a change would be noticed twenty seconds late.
        """
        took, worked = time.monotonic() - self.at, time.thread_time() - self._worked
        return max(_SHARE * worked, min(_SHARE * took, _LONGEST_PAUSE))


class _DirectoryWatches:
    """The watches on directories. For the watcher's thread only.

    Args:
        wake: Ends a wait when it is set.

    Attributes:
        failures: How often directories could not be watched.
        woken: Whether `wake` ended the last `wait()`.
    """

    def __init__(self, wake: Wakeup) -> None:
        self.failures = 0
        self.woken = False
        self._wake = wake
        self._dirs: Dirs = {}
        self._invalidated = True
        self._limited = False
        self._events: DirEvents | None = None

    @property
    def watching(self) -> bool:
        """Whether there are watches now."""
        return self._events is not None

    def watch(self, dirs: Dirs) -> bool:
        """Watch these directories. Returns whether they were watched before, or can't be; if not, look once more."""
        if dirs == self._dirs and not self._invalidated:
            return True
        self.close()
        self._dirs = dirs
        # Other directories can't be watched.
        readable = sorted(place for place in dirs if os.access(place, os.R_OK | os.X_OK))
        try:
            self._events = events_in(readable, self._wake)
        except FileNotFoundError:
            return False
        except (OSError, RuntimeError) as error:  # the latter is watchfiles' own
            self._complain(error)
            return True
        self._limited = self._invalidated = False
        return False

    def wait(self, seconds: float) -> bool:
        """Wait up to so many seconds. Returns True for an event in the directories, False at the end or at `wake`."""
        if self._events is None:
            self._wake.wait(min(seconds, _POLL_EVERY))
            paths = set()
        else:
            paths = self._events.wait(seconds, min(_STEP, seconds / 2))
            # An event of a directory itself ends its watch, and the directory that replaces it may get its inode.
            self._invalidated |= not paths.isdisjoint(self._dirs)
        self.woken = self._wake.is_set()
        if self.woken:  # otherwise a wakeup that comes now would be lost: not every wait is followed by a look
            self._wake.clear()
        return bool(paths)

    def invalidate(self) -> None:
        """Have the next `watch()` begin anew, whatever directories it is given."""
        self._invalidated = True

    def close(self) -> None:
        """Release the watches, until the next `watch()`."""
        self._invalidated = True
        if self._events is not None:
            self._events.close()
            self._events = None

    def _complain(self, error: Exception) -> None:
        self.failures += 1
        if not self._limited:
            self._limited = True
            log.warning(
                "can't listen to %s (%s): comparing the files' content every second instead; "
                "fs.inotify.max_user_watches and max_user_instances are the limits that can be raised",
                ", ".join(self._dirs),
                error,
                extra=about("watch_by_content", error=error),
            )
