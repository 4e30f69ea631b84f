"""What this process knows of the sources that follow a head, and how it comes to know it.

Guarantees. A load that somebody has asked for reads the head anew, so that it answers for what was there when it was
called. One that a change has led to takes what is known, which is that change or a newer one: to ask once more would be
a third of the way from the engine to the workers. While the engine is away, a load takes what is known within a bound
of time. What is known stays: an outage changes nothing, nor does a fault (no head, a head or a payload that is none),
which is said in the status and in the reports until it is mended. Only a payload that was read whole, and has its
digest, is handed out; that the configuration in it is refused is the load's business. At a start without an answer,
what was good last is used, and said to be stale.

How. The records stand in this module by their source, since a source is data that travels. A source that the owner
follows has one `_Following`, in the owner's loop; any other process (a check, a script) asks once, as no host: it gets
what is stable.

Rejected: to follow in a process that only checks (it would report as a host), and to hand out `next` there (it would
depend on which host one happens to be on).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from confcast.config.sources import polled
from confcast.config.sources.following import Host, Outcome
from confcast.config.sources.one_load import asked_in_load, takes_what_is_known
from confcast.config.sources.polled import Told
from confcast.fleet import kept
from confcast.fleet.engines.engine import PATIENCE, EngineError, Fault, Feed, in_time
from confcast.fleet.follower import Follower
from confcast.fleet.head import BadHead, Head, chosen, decode, digest_of
from confcast.fleet.reports import LONGEST_REASON, Report, State, encode
from confcast.log_fields import about
from confcast.texts import encodable
from confcast.wire import patient_loops

_log = logging.getLogger("confcast.fleet")

_STOP_WITHIN = 1.0
_REASONS = 10  # of one outage, that the log has: an engine that comes and goes could say many


@dataclass(frozen=True)
class Document:
    """A payload that a head chose for this host.

    Attributes:
        raw: The head, as bytes.
        head: The head.
        digest: The payload's.
        payload: The payload.
        told: What it is as a source's content, also if it can't be parsed.
    """

    raw: bytes
    head: Head
    digest: str
    payload: bytes = field(repr=False)
    told: Told = field(repr=False)


@dataclass
class _Record:
    """What is known of one source. `told`, `since` and `why` are replaced together, under the lock.

    Attributes:
        told: What a load gets; None before the first answer.
        document: The document that `told` is of; None if `told` is a fault.
        since: Since when the engine gives no usable answer, in seconds since 1970; 0.0 if it does.
        why: Why it does not, without the engine's address, which `Source.shown` has.
        told_why: The reasons that the log has of this outage: one that comes back is not said again.
        following: The owner's; None where nobody follows.
        host: What the owner has followed as, also between two times of following; None where nobody has.
    """

    told: Told | None = None
    document: Document | None = None
    since: float = 0.0
    why: str = ""
    told_why: set[str] = field(default_factory=set)
    following: _Following | None = None
    host: Host | None = None


_records: dict[Any, _Record] = {}
_lock = threading.Lock()


# ---- for a source, in any thread


def ask(source: Any) -> Told:
    """What a load gets now. May take some seconds while the engine is away."""
    found = asked_in_load.get()
    if found is None:
        return ask_now(source)
    if source not in found:
        found[source] = Future()
        try:
            found[source].set_result(ask_now(source))
        except BaseException as error:
            found[source].set_exception(error)
    return found[source].result()  # type: ignore[no-any-return]


def ask_now(source: Any) -> Told:
    """What a load gets now, whatever the load that this thread is in was told already."""
    record = _record(source)
    following = record.following
    if following is not None and takes_what_is_known.get() and record.told is not None and not record.since:
        return record.told
    if following is not None:
        following.refreshed(source.connect_timeout if record.told is None else PATIENCE)
    else:
        _in_a_thread(lambda: patient_loops.run(_once(source, record)))
    told = record.told
    assert told is not None
    return told


def fingerprint(source: Any) -> bytes:
    """The fingerprint of what is known; nothing is asked."""
    told = _record(source).told
    return polled.NOT_ASKED if told is None else told.fingerprint


def text_called(source: Any, shown: str) -> bytes | None:
    """The payload that is known, for the lines that a message names; None if the source is not called so."""
    told = _record(source).told if source.shown == shown else None
    return told.content if told is not None and told.content else None


def stale() -> list[str]:
    """A sentence for each followed source whose engine gives no usable answer."""
    with _lock:
        known = list(_records.items())
    return [sentence for source, record in known if (sentence := _stale(source, record))]


def stale_kinds() -> Iterator[tuple[str, bool]]:
    """The kind of each followed source, and whether its engine gives no usable answer, as `stale` says."""
    with _lock:
        known = list(_records.items())
    return ((type(source).__name__, bool(_stale(source, record))) for source, record in known)


def stale_of(source: Any) -> str:
    """That sentence for one source; empty if its engine answers."""
    return _stale(source, _record(source))


async def follow(source: Any, host: Host) -> None:
    """Follow the source's head for this host until it is cancelled. In the owner's loop."""
    await _Following(source, host, _record(source)).run()


# ---- the records


def _record(source: Any) -> _Record:
    with _lock:
        return _records.setdefault(source, _Record())


def _stale(source: Any, record: _Record) -> str:
    """That there is no usable answer, or that a gateway has none of its engine; empty if there is one."""
    since, why, following = record.since, record.why, record.following
    if not since and following is not None:
        since, why = following.second_hand()
    if not since:
        return ""
    used = f"; {_called(record.document)} is used" if record.document is not None else ""
    return f"{source.shown}: stale since {_when(since)}: {why}{used}"


def _called(document: Document | None) -> str:
    return "" if document is None else f"rev {document.head.rev} ({document.digest[:8]})"


def _when(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().isoformat(sep=" ", timespec="seconds")


def _put(record: _Record, document: Document, *, unless_followed: bool = False) -> bool:
    """Note a document that was read. Returns whether a load would get something else than before.

    `unless_followed`: Not where an owner follows by now, which may have read a newer one, and would not read it again.
    """
    with _lock:
        before = record.told
        if unless_followed and record.following is not None and before is not None:
            return False
        record.told, record.document, record.since, record.why = document.told, document, 0.0, ""
        record.told_why.clear()
    return before is not None and before.fingerprint != document.told.fingerprint


def _unusable(
    source: Any, record: _Record, why: str, good: Callable[[], Document | None], *, if_unknown: bool = False
) -> bool:
    """Note that there is no usable answer: what is known stays. Returns whether that is news, for the log.

    `good`: Gives what was good last, from an earlier process. `if_unknown`: Only if nothing is known, also once `good`
    has looked: the engine may have answered meanwhile.
    """
    why = why.removeprefix(f"{source.shown.rpartition('#')[0]}: ")  # who shows it names the source, too
    document = record.document if record.told is not None else good()
    with _lock:
        if if_unknown and record.told is not None:
            return False
        news = why not in record.told_why and len(record.told_why) < _REASONS
        record.told_why.add(why)
        record.since, record.why = record.since or time.time(), why
        if record.told is None and document is not None:
            record.told, record.document = document.told, document
        elif record.told is None or record.document is None:
            text = f"{why}; nothing that was good before is kept here"
            record.told = polled.fault(text, source.shown, same="fleet: no answer")
    return news


# ---- reading


async def _document(source: Any, feed: Feed, raw: bytes | None, known: Document | None, host: Host | None) -> Document:
    """The document that a head chooses for a host (None: what is stable).

    Raises:
        Fault, BadHead: There is no head, it is none, or its payload is missing or none.
        EngineError: The connection failed.
    """
    if raw is None:
        raise Fault(f"there is no head: `confcast fleet publish FILE --to … --key {source.key}` makes one")
    head = decode(raw)
    digest = head.stable if host is None else chosen(head, host.id, dict(host.labels))
    if known is not None and known.digest == digest:
        return Document(raw, head, digest, known.payload, known.told)
    async with in_time(f"the payload {digest[:8]}: no answer", PATIENCE):
        payload = await feed.payload(digest)
    if payload is None:
        raise Fault(f"the head (rev {head.rev}) names the payload {digest[:8]}, which is not there")
    if digest_of(payload) != digest:
        raise Fault(f"the payload {digest[:8]} is not what its digest says: somebody has changed it")
    return Document(raw, head, digest, payload, _parsed(source, payload))


def _parsed(source: Any, payload: bytes) -> Told:
    return polled.parsed(payload, source.format, source.shown, allow_empty=False)


async def _once(source: Any, record: _Record) -> None:
    """Read the head, and the payload that it chooses, once: the stable one, for a process that follows nothing."""
    feed: Feed | None = None
    try:
        async with asyncio.timeout(source.connect_timeout + PATIENCE):
            feed = await source._connector(None)()
            await feed.subscribe()
            document = await _document(source, feed, await feed.head(), record.document, record.host)
            _put(record, document, unless_followed=True)
    except (EngineError, BadHead) as error:
        _unusable(source, record, str(error), lambda: None)
    except (OSError, EOFError, TimeoutError) as error:
        text = "no answer in time" if isinstance(error, TimeoutError) else f"can't be reached: {error}"
        _unusable(source, record, text, lambda: None)
    finally:
        if feed is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_STOP_WITHIN):
                    await feed.close()


def _in_a_thread(call: Callable[[], None]) -> None:
    """Run it in a thread of its own, and wait: the caller's thread may have a running loop."""
    done: Future[None] = Future()

    def run() -> None:
        try:
            call()
        except BaseException as error:
            done.set_exception(error)
        else:
            done.set_result(None)

    thread = threading.Thread(target=run, name="confcast-ask", daemon=True)
    thread.start()
    thread.join()
    done.result()


class _Following:
    """One source that this owner follows. For the owner's loop, but for `refreshed`."""

    def __init__(self, source: Any, host: Host, record: _Record) -> None:
        self._source, self._host, self._record, record.host = source, host, record, host
        self._connector: Callable[[], Awaitable[Feed]] = source._connector(host)
        self._feed: Any = None
        self._follower = Follower(self._connect, self._take, self._away, same=self._same)
        self._loop = asyncio.get_running_loop()
        self._outcome: Outcome | None = None  # of what is known now
        self._reported: Report | None = None

    async def run(self) -> None:
        self._record.following, self._record.host = self, self._host
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follower.run())
                tasks.create_task(self._outcomes())
        finally:
            self._record.following = None

    def refreshed(self, seconds: float) -> None:
        """Have the head read once more, and wait for it, these seconds at the most. For any other thread."""
        asked = asyncio.run_coroutine_threadsafe(self._follower.refresh(), self._loop)
        why = ""
        try:
            asked.result(seconds)
        except TimeoutError:
            asked.cancel()
            why = f"no answer within {seconds:g} s"
        except (EngineError, CancelledError) as error:  # `_away` has noted it; or the owner stops following
            why = str(error) or "it is not followed any more"
        if why:
            self._note(why, if_unknown=True)

    def second_hand(self) -> tuple[float, str]:
        """Since when, and why, a gateway has not had its head from the engine; 0.0 if it has it. For any thread."""
        feed = self._feed
        why: str = getattr(feed, "trouble", "")
        return (feed.troubled_since, f"the gateway says: {why}") if why else (0.0, "")

    # ---- what the follower finds

    async def _connect(self) -> Feed:
        feed = self._feed = await self._connector()
        return feed

    async def _take(self, feed: Feed, raw: bytes | None) -> bool:
        try:
            document = await _document(self._source, feed, raw, self._record.document, self._host)
        except (BadHead, Fault) as error:
            self._note(str(error))
            self._report_fault(raw, str(error))
            return False
        retry = max(document.head.retry, getattr(feed, "retry", 0.0))  # a gateway knows how many hosts would come
        self._follower.pause_up_to(retry)
        was_unusable, before = self._record.since, self._record.document
        changed = _put(self._record, document)
        if was_unusable:
            _log.info(
                "%s answers again: %s",
                self._source.shown,
                _called(document),
                extra=about("source_answers_again", source=self._source.shown),
            )
        if before is None or before.told.fingerprint != document.told.fingerprint:
            self._outcome = None
        if changed:
            self._host.changed()
        self._report_again()
        return True

    def _away(self, error: EngineError) -> None:
        self._note(str(error))

    def _same(self) -> None:
        """The engine answers with the document that is known, perhaps again."""
        if not self._record.since:
            return
        assert self._record.document is not None, "it was taken"
        _put(self._record, self._record.document)
        _log.info(
            "%s answers again: %s",
            self._source.shown,
            _called(self._record.document),
            extra=about("source_answers_again", source=self._source.shown),
        )

    def _note(self, why: str, *, if_unknown: bool = False) -> None:
        before = self._record.told
        if _unusable(self._source, self._record, why, self._good, if_unknown=if_unknown):
            _log.warning(
                "%s", _stale(self._source, self._record), extra=about("source_stale", source=self._source.shown)
            )
        told = self._record.told
        if before is not None and told is not None and before.fingerprint != told.fingerprint:
            self._host.changed()

    def _good(self) -> Document | None:
        """What was good on this host before this process; None if nothing is kept."""
        folder = self._host.state_dir
        good = kept.find(folder, self._source._name()) if folder is not None else None
        if good is None:
            return None
        try:
            head = decode(good.head)
        except BadHead:
            return None
        return Document(good.head, head, good.digest, good.payload, _parsed(self._source, good.payload))

    # ---- what came of it

    async def _outcomes(self) -> None:
        while True:
            outcome = await self._host.outcomes.get()
            document = self._record.document
            if document is None or outcome.fingerprint != document.told.fingerprint:
                continue  # of something older: the load of what is known now is still to come
            self._outcome = outcome
            self._report(outcome.state, outcome)
            if outcome.state == "good":
                self._keep(document)

    def _keep(self, document: Document) -> None:
        """Keep what is good; in the loop, some ms. A disk that hangs holds up this host's journal, too.

        Rejected: a thread for it, which costs the owner 50 KiB for good.
        """
        folder = self._host.state_dir
        if folder is None:
            return
        try:
            kept.save(
                folder, self._source._name(), kept.Good(document.raw, document.digest, document.payload, time.time())
            )
        except OSError as error:
            _log.warning(
                "what is good can't be kept in %s: %s",
                folder,
                error.strerror,
                extra=about("good_not_kept", path=folder, error=error.strerror),
            )

    def _report_again(self) -> None:
        """Report what is known of a document under a new head, or after a fault: what was said before is over."""
        if self._outcome is not None:
            self._report(self._outcome.state, self._outcome)
        elif self._reported is None or self._reported.state == "fault":
            self._report("loading")

    def _report_fault(self, raw: bytes | None, reason: str) -> None:
        """Report that a head can't be used; under its own salt, if it has one, else with what is known of before.

        Whoever publishes without a head is told by that that hosts have something.
        """
        digest, salt = "" if self._record.document is None else self._record.document.digest, ""
        with contextlib.suppress(BadHead):
            if raw is not None:
                head = decode(raw)
                digest, salt = chosen(head, self._host.id, dict(self._host.labels)), head.salt
        self._send(Report(self._host.id, digest, salt, "fault", reason=reason[:LONGEST_REASON]))

    def _report(self, state: State, outcome: Outcome | None = None) -> None:
        document, report = self._record.document, Report(self._host.id, state=state)
        if document is not None:
            report = msgspec.structs.replace(report, digest=document.digest, salt=document.head.salt)
        if outcome is not None:
            reason = outcome.reason[:LONGEST_REASON]
            report = msgspec.structs.replace(report, reason=reason, good_in=outcome.good_in, version=outcome.version)
        self._send(report)

    def _send(self, report: Report) -> None:
        reason = encodable(report.reason)  # of a file's name, or of a validator's
        report = msgspec.structs.replace(report, reason=reason, name=self._host.name, labels=dict(self._host.labels))
        if report != self._reported:
            self._reported = report
            self._follower.report(self._host.id, encode(report))
