"""Follows one head: connect, subscribe, read, and read again at each hint, for as long as it runs.

Guarantees. Each change of the head is handed out while the engine answers, or the newest of several; the same head
twice in a row is not. No write is lost in an outage, or between a read and a hint, since each connection reads after
the engine has confirmed its subscription, and compares for equality. Every 30 seconds the head is read with a check
that hints would still come. A connection that raises anything is closed and made anew, after a pause that doubles from
0.05 s up to a cap, and of which at least half is drawn by chance: hosts that lost the same engine don't come together.
It begins at 0.05 s again after a connection that lasted longer than the cap: an engine that takes each connection and
drops it is not run down. A report goes out with each new connection.

How. One task owns the connection. It waits for a hint, a request (`refresh`, `report`) or the next check, and handles
them one at a time; hints that come meanwhile are one. Rejected: the reconnection of client libraries (a write between
the loss and the new subscription is lost: `engines/engine.py`), and to trust the content of a hint.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from confcast.fleet.engines.engine import PATIENCE, EngineError, Fault, Feed, Unreachable, in_time
from confcast.fleet.reports import BEAT
from confcast.log_fields import about

VERIFY = 30.0
"""Seconds between two reads of the head without a hint."""

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 2.0
"""Seconds between two tries to connect: the first, and the most unless the head says otherwise (`Head.retry`)."""

_LONGEST_ASKED = 300.0  # that a head may ask for

_log = logging.getLogger("confcast.fleet")


class Follower:
    """Follows one head. For one loop; `run` once.

    Args:
        connect: Makes a connection. Raises EngineError.
        take: Called with the connection and each head (None: there is none) that differs from the last one that it has
            taken. Returns whether it has: else it is called again at the next check. What it raises ends the
            connection, as an EngineError of the connection does.
        away: Called with why the connection was lost, or could not be made; once for each try.
        same: Called when the head that was taken last was read once more: there is no outage, and `take` has nothing
            to do.
        verify: Seconds between two checks.
        first_pause: Seconds before the first new try.

    Attributes:
        longest_pause: Seconds between two tries at the most.
        connects: How often a connection was made, or tried.
        failures: How often something failed, by the kind of error.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Feed]],
        take: Callable[[Feed, bytes | None], Awaitable[bool]],
        away: Callable[[EngineError], None],
        *,
        same: Callable[[], None] = lambda: None,
        verify: float = VERIFY,
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        self._connect, self._take, self._away, self._same = connect, take, away, same
        self._verify, self._first_pause = verify, first_pause
        self.longest_pause = LONGEST_PAUSE
        self.connects = 0
        self.failures: dict[str, int] = {}
        self._wake = asyncio.Event()
        self._hinted = False
        self._lost: Exception | None = None
        self._refreshes: list[asyncio.Future[None]] = []
        self._taken: tuple[bytes | None] | None = None  # the head that was taken last
        self._report: tuple[str, bytes] | None = None
        self._unsent = False
        self._report_refused = ""

    async def run(self) -> None:
        """Follow until it is cancelled."""
        pause = self._first_pause
        try:
            while True:
                try:
                    await self._connection()
                except _Lost as lost:
                    if lost.lasted > self.longest_pause:
                        pause = self._first_pause
                    self._fail(lost.error)
                await self._rest(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
                pause = min(pause * 2, self.longest_pause)
        finally:
            self._refuse_refreshes(Unreachable("it is not followed any more"))

    async def refresh(self) -> None:
        """Read the head once more; it has been taken when this returns. Interrupts a pause between two tries.

        Raises:
            EngineError: It could not be read.
        """
        asked = asyncio.get_running_loop().create_future()
        self._refreshes.append(asked)
        self._wake.set()
        await asked

    def report(self, host: str, record: bytes) -> None:
        """Have the engine keep this record of a host in the place of its last one, also after a new connection."""
        self._report, self._unsent = (host, record), True
        self._wake.set()

    def pause_up_to(self, seconds: float) -> None:
        """Let pauses be so long, within bounds: a head may have been written by hand."""
        self.longest_pause = max(LONGEST_PAUSE, min(seconds, _LONGEST_ASKED))

    # ---- one connection

    async def _connection(self) -> None:
        """Make a connection and use it until it is lost. Raises _Lost."""
        feed: Feed | None = None
        pump: asyncio.Task[None] | None = None
        loop = asyncio.get_running_loop()
        had_head_at: float | None = None
        self.connects += 1
        try:
            async with in_time("the engine does not take a connection", PATIENCE):
                feed = await self._connect()
            async with in_time("the engine does not confirm the subscription", PATIENCE):
                await feed.subscribe()
            self._hinted, self._lost, self._unsent = False, None, self._report is not None
            pump = asyncio.create_task(self._pump(feed))
            await self._read(feed, feed.head)
            had_head_at = loop.time()
            if self._unsent:
                await self._send(feed)
            await self._serve(feed)
        except Exception as error:
            lasted = 0.0 if had_head_at is None else loop.time() - had_head_at
            raise _Lost(_as_engine_error(error), lasted) from error
        finally:
            if pump is not None:
                await _ended(pump)
            if feed is not None:
                await _closed(feed)

    async def _serve(self, feed: Feed) -> None:
        loop = asyncio.get_running_loop()
        check_at, beat_at = loop.time() + self._until_check(), loop.time() + BEAT
        while True:
            await self._woken(check_at - loop.time())
            if self._lost is not None:
                raise self._lost
            now = loop.time()
            if check_at <= now:
                await self._read(feed, feed.verify)
                check_at = loop.time() + self._until_check()
            elif self._hinted or self._refreshes:
                await self._read(feed, feed.head)
            if self._unsent or beat_at <= now:
                await self._send(feed)
                beat_at = loop.time() + BEAT - self._verify / 2  # with the check that is nearest to BEAT

    async def _woken(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    async def _read(self, feed: Feed, how: Callable[[], Awaitable[bytes | None]]) -> None:
        """Read the head, and hand it out if it is another one."""
        self._hinted = False  # a hint that comes from here on may be about a later head than the one that is read
        answered = self._refreshes.copy()
        async with in_time("the engine gives no answer", PATIENCE):
            head = await how()
        if self._taken != (head,):
            self._taken = (head,) if await self._take(feed, head) else None
        else:
            self._same()
        for asked in answered:
            self._refreshes.remove(asked)
            if not asked.done():
                asked.set_result(None)

    async def _send(self, feed: Feed) -> None:
        """Send the report. A host without the right to report still follows: that is logged once."""
        if self._report is None:
            return
        self._unsent = False
        try:
            async with in_time("the engine does not take a report", PATIENCE):
                await feed.report(*self._report)
        except Fault as error:
            self._count(error)
            if str(error) != self._report_refused:
                self._report_refused = str(error)
                _log.warning(
                    "this host can't report what came of the configuration: %s",
                    error,
                    extra=about("report_not_sent", error=error),
                )
        else:
            self._report_refused = ""

    async def _pump(self, feed: Feed) -> None:
        """Wait for hints, and note them."""
        try:
            while True:
                await feed.hint()
                self._hinted = True
                self._wake.set()
        except Exception as error:
            self._lost = error
        except asyncio.CancelledError:  # ours at the end of the connection, or one of a library's own
            self._lost = Unreachable("the subscription has ended")
            raise
        finally:
            self._wake.set()

    # ---- between two connections

    def _fail(self, error: EngineError) -> None:
        self._count(error)
        self._away(error)
        self._refuse_refreshes(error)

    def _refuse_refreshes(self, error: EngineError) -> None:
        refreshes, self._refreshes = self._refreshes, []
        for asked in refreshes:
            if not asked.done():
                asked.set_exception(error)
                asked.exception()  # whoever asked may have gone

    async def _rest(self, seconds: float) -> None:
        """Wait, but not while a refresh is asked for."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while not self._refreshes and (left := until - loop.time()) > 0:
            await self._woken(left)

    def _until_check(self) -> float:
        return self._verify * random.uniform(0.9, 1.0)  # noqa: S311 - no secret

    def _count(self, error: Exception) -> None:
        kind = type(error).__name__
        self.failures[kind] = self.failures.get(kind, 0) + 1


class _Lost(Exception):
    """A connection has ended, so many seconds after it had read its first head; 0.0 if it had read none."""

    def __init__(self, error: EngineError, lasted: float) -> None:
        super().__init__(str(error))
        self.error, self.lasted = error, lasted


def _as_engine_error(error: Exception) -> EngineError:
    """What ended a connection. What no engine should raise is a fault of this build, and is logged with its trace."""
    if isinstance(error, EngineError):
        return error
    if isinstance(error, OSError | EOFError | TimeoutError):
        return Unreachable(f"the connection failed: {str(error) or type(error).__name__}")
    _log.error(
        "following failed, and begins anew",
        exc_info=error,
        extra=about("following_begun_anew", error=type(error).__name__),
    )
    return Unreachable(f"the connection failed: {type(error).__name__}")


async def _ended(task: asyncio.Task[None]) -> None:
    """Cancel a task, again while it swallows the cancellation, and wait for its end."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.1)


async def _closed(feed: Feed) -> None:
    try:
        async with asyncio.timeout(1.0):
            await feed.close()
    except Exception as error:  # what it leaves open, the process has to live with
        _log.debug(
            "a connection was not closed in order: %s",
            type(error).__name__,
            extra=about("connection_not_closed", error=type(error).__name__),
        )
