"""Runs the `follow()` of each source that has one: all in one asyncio loop, in one thread, beside the owner's own loop.

Guaranteed: following begins before the first load, which may wait for what it brings. Nothing that a `follow()` raises
or returns ends the following: it is begun anew, after a pause that doubles up to half a minute, and of which at least
half is drawn by chance. While another generation's owner takes over, nothing is followed, so that two owners do not
pass for one host. At the end all is cancelled, again while a task swallows that, and waited for, half a second at the
most: the thread is a daemon. A look-up of a name that hangs holds up neither that nor the process's end
(`wire/patient_loops.py`). An owner without such sources imports nothing for it.

How. One coroutine owns the tasks, and waits for a change of what is wanted. Other threads change that under a lock, and
wake the loop. Rejected: a thread for each source (see `config/sources/following.py`), and to wait for what follows in
the owner's own loop (a `follow()` that blocks would hold up every vote).
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from confcast.config.source_set import without_its_secrets
from confcast.log_fields import about
from confcast.texts import Lines
from confcast.tracebacks import to_be_logged

if TYPE_CHECKING:
    import asyncio

    from confcast.config.sources.following import Host, Outcome

_log = logging.getLogger("confcast.watch")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 30.0
_FOR_A_WHILE = 60.0  # seconds after which a follow() that fails has followed, and the pauses begin anew
_BEGIN_WITHIN = 2.0
_CLOSE_WITHIN = 0.5
_CANCEL_AGAIN = 0.05
_MOST_TOLD = 256
_RETURNED = "returned"


class Following:
    """What follows for one owner. `start`, `pause`, `rests` and `close` are for one thread, `tell` is for any.

    Args:
        sources: The sources with a `follow()`, each under the key by which outcomes are told.
        host: Makes the Host that the source of a key is given, each time that it begins to follow.

    Attributes:
        failures: How often a `follow()` has raised or returned.
    """

    def __init__(self, sources: Mapping[int, Any], host: Callable[[int], Host]) -> None:
        self.failures = 0
        self._sources, self._make_host = dict(sources), host
        self._lock = threading.Lock()
        self._paused = self._closed = False
        self._ending = False  # the tasks are being cancelled; for the thread
        self._last: dict[int, Outcome] = {}
        self._told = deque[tuple[int, "Outcome"]](maxlen=_MOST_TOLD)  # a follow() that blocks the loop takes none
        self._is_told = False  # whether the loop has been woken for it
        self._hosts: dict[int, Host] = {}  # of those that follow now; for the thread
        self._loop: asyncio.AbstractEventLoop | None = None
        self._new_loop: Callable[[], asyncio.AbstractEventLoop]
        self._wanted: asyncio.Event  # what is wanted has changed; for the thread
        self._begun, self._resting = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, and return when each source follows, or is paused; once only. Without sources, do nothing.

        A source whose `follow()` blocks is waited for two seconds.
        """
        if not self._sources:
            return
        from confcast.owner.watch.light_asyncio import import_asyncio

        import_asyncio()  # in this thread: another one would take memory of its own for it
        from confcast.wire.patient_loops import new_event_loop

        self._new_loop = new_event_loop
        self._thread = threading.Thread(target=self._run, name="confcast-follow", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            self._thread = None
            _log.error(
                "nothing is followed, and only loads read the sources: %s",
                error,
                extra=about("nothing_followed", error=error),
            )
        else:
            self._begun.wait(_BEGIN_WITHIN)

    def pause(self, *, on: bool) -> None:
        """Stop following; or, with `on=False`, go on. Returns at once."""
        with self._lock:
            self._paused = on
            self._resting.clear()
        self._wake()

    def rests(self) -> bool:
        """Whether nothing follows any more since the last `pause`."""
        return self._thread is None or not self._thread.is_alive() or self._resting.is_set()

    def close(self) -> None:
        """Stop following for good, and wait for the thread's end, half a second at the most. May be called again."""
        with self._lock:
            self._closed = True
        self._wake()
        if self._thread is not None:
            self._thread.join(_CLOSE_WITHIN)

    def tell(self, key: int, outcome: Outcome) -> None:
        """Put an outcome into the queue of the source of this key; the oldest one leaves a queue that is full."""
        with self._lock:
            self._last[key] = outcome
            self._told.append((key, outcome))
            is_first, self._is_told = not self._is_told, True
        if is_first and not self._call(self._put_all):
            self._is_told = False

    # ---- from other threads into the loop

    def _wake(self) -> None:
        self._call(lambda: self._wanted.set())

    def _call(self, call: Callable[[], None]) -> bool:
        """Have this called in the loop. Returns False if there is none: before, what is wanted is read anyway."""
        with self._lock:
            if self._loop is None or self._loop.is_closed():
                return False
            self._loop.call_soon_threadsafe(call)
            return True

    # ---- the thread

    def _run(self) -> None:
        import asyncio

        loop = self._new_loop()
        loop.set_exception_handler(self._on_stray_failure)
        self._wanted = asyncio.Event()
        with self._lock:
            self._loop = loop
        main = loop.create_task(self._main())
        while not main.done():
            try:
                loop.run_until_complete(main)
            except (SystemExit, KeyboardInterrupt) as error:  # of a follow()'s own task: it ends the run
                self._on_stray_failure(loop, {"exception": error})
            except BaseException as error:
                _log.critical(
                    "following has ended",
                    exc_info=to_be_logged(error),
                    extra=about("nothing_followed", error=type(error).__name__),
                )
                break
        with self._lock:
            loop.close()
        self._begun.set()

    async def _main(self) -> None:
        import asyncio

        while not self._closed:
            if self._paused:
                self._begun.set()
                self._resting.set()
                await self._until_wanted(lambda: self._closed or not self._paused)
                continue
            tasks = [asyncio.create_task(self._keep_following(key), name="confcast-follow") for key in self._sources]
            await asyncio.sleep(0)  # each has begun, up to its first wait
            self._begun.set()
            await self._until_wanted(lambda: self._closed or self._paused)
            self._ending = True
            await _end(tasks)
            await _end([task for task in asyncio.all_tasks() if task is not asyncio.current_task()])
            self._ending = False
            self._hosts.clear()
        await asyncio.get_running_loop().shutdown_asyncgens()

    async def _until_wanted(self, is_wanted: Callable[[], bool]) -> None:
        while not is_wanted():
            await self._wanted.wait()
            self._wanted.clear()

    async def _keep_following(self, key: int) -> None:
        """Follow, and begin anew whenever that ends."""
        import asyncio
        import random

        pause, complaint = _FIRST_PAUSE, ""
        while True:
            began = time.monotonic()
            try:
                host = self._hosts[key] = self._host(key)
                await self._sources[key].follow(host)
                said = shown = _RETURNED
            except GeneratorExit:
                raise
            except BaseException as error:  # of a user's source: sys.exit(), or a panic of a library in Rust
                said, shown = f"{type(error).__name__}: {error}", _traceback_of(error, self._sources[key])
            if self._ending:
                return
            self.failures += 1
            if said != complaint:
                complaint = said
                _complain(self._sources[key], shown)
            pause = _FIRST_PAUSE if time.monotonic() - began > _FOR_A_WHILE else pause
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _host(self, key: int) -> Host:
        """A Host whose first outcome is the last one that was told: what began before has heard of it, this has not."""
        host = self._make_host(key)
        with self._lock:
            last = self._last.get(key)
        if last is not None:
            host.outcomes.put_nowait(last)
        return host

    def _put_all(self) -> None:
        """Put what was told since the last call into the queues of those that follow."""
        with self._lock:
            told, self._is_told = list(self._told), False
            self._told.clear()
        for key, outcome in told:
            if (host := self._hosts.get(key)) is None:
                continue
            if host.outcomes.full():
                host.outcomes.get_nowait()
            host.outcomes.put_nowait(outcome)

    def _on_stray_failure(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log what a task or a callback of a source's own has raised, without the secrets of any source."""
        error = context.get("exception")
        text = f"{type(error).__name__}: {error}" if error is not None else str(context.get("message"))
        for source in self._sources.values():
            text = without_its_secrets(text, source)
        self.failures += 1
        _log.error(
            "a task that a source's follow() has made failed: %s", text, extra=about("follow_failed", error=text)
        )


def _complain(source: Any, text: str) -> None:
    name = type(source).__name__
    if text == _RETURNED:
        _log.error(
            "the follow() of a %s has returned, and is begun anew: it must go on until it is cancelled",
            name,
            extra=about("follow_begun_anew", source=name),
        )
    else:
        _log.error(
            "the follow() of a %s failed, and is begun anew\n%s",
            name,
            Lines(text),
            extra=about("follow_begun_anew", source=name),
        )


def _traceback_of(error: BaseException, source: Any) -> str:
    """The traceback as text: a logged exception would show the source's token, where it quotes one."""
    return without_its_secrets("".join(traceback.format_exception(to_be_logged(error))).rstrip(), source)


async def _end(tasks: list[asyncio.Task[Any]]) -> None:
    """Cancel these tasks, again while one swallows its cancellation, and wait for their end."""
    import asyncio

    waiting = {task for task in tasks if not task.done()}
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=_CANCEL_AGAIN)
