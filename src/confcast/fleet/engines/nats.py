"""NATS with JetStream: a head is the newest message of one subject in a key-value bucket.

    nats://user@one.example:4222,two.example:4222/shop?replicas=3    the bucket `shop`; without a path: `confcast`

What is where (KEY and HOST are encoded as `token` says):

    $KV.<bucket>.KEY.head                     value: the head; header Confcast-Entry: its entry, percent-encoded
    $KV.<bucket>.KEY.payload.<digest>
    $KV.<bucket>_reports.KEY.report.HOST      in a bucket of its own, which keeps one message of a host, for a day

Guarantees. Head and entry are one message, so they are written in one step. All is read from the stream's leader,
never from a copy (a direct get may be answered by one, and is not answered at all without a bucket). No consumer is
made: none is left behind, and the server's limit of 1,000 watches of a bucket does not count. Ages come from timestamps
of the leader's clock.

Limits. The audit trail is the subject's history: the newest 64 heads. A payload may have MOST_PAYLOAD bytes, and 200
less than the server's `max_payload`. `put_payload` and `swap` make the buckets if they are missing, as a file with one
replica, or as many as `?replicas=` says; a host makes none. A leader that has lost the other servers answers for some
ten seconds more with what it had; a write to it gets no answer.

Rights of a host: subscribe to `$KV.<bucket>.KEY.head`, `_INBOX.>`, and, so that it sees at once that the bucket was
made anew, `$JS.EVENT.ADVISORY.STREAM.*.KV_<bucket>`; publish to `$JS.API.STREAM.MSG.GET.KV_<bucket>` and
`$KV.<bucket>_reports.KEY.report.*`. The second last one lets it read all keys of the bucket: keys that hosts may not
read of each other belong into buckets of their own.

Hints. A plain subscription is told of a message before the stream has stored it, and of one that is refused
afterwards. So each message is three hints: at once, and after HINT_AGAIN. Whoever deletes or makes a bucket publishes
nothing on its subjects; the server's advisories tell of it.

Rejected: an audit trail in a second stream (nothing writes to two streams in one step), a watch (see
`nats_connection.py`), and the entry as a second part of the value (`nats kv get` would show no head).
"""

from __future__ import annotations

import asyncio
import re
import string
from collections.abc import Container, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec

from confcast.fleet.engines import engine
from confcast.fleet.engines.access import Access
from confcast.fleet.engines.engine import (
    MOST_DROPPED,
    MOST_PAYLOAD,
    EngineError,
    Fault,
    Hints,
    OldPayload,
    Stored,
    TooLarge,
    Unreachable,
)
from confcast.fleet.engines.nats_connection import Connection, NoResponder
from confcast.fleet.engines.nats_connection import connect as _open
from confcast.fleet.engines.url_paths import nats_bucket
from confcast.wire.messages import UNDECODABLE

HINT_AGAIN = (0.05, 0.5)
"""Seconds after a message at which the head is read again: it was told before it was stored."""

KEPT_HEADS = 64
"""Heads that a bucket keeps: the most that a key-value bucket can."""

_REPORTS_KEPT = 86400  # seconds
_WALKS, _LEAST_PART = 16, 32  # reports are read in so many parts at a time, and in fewer if these would be smaller
_MOST_WALKED = 100_000  # messages that are read one after the other
_SPARE = 200  # bytes below max_payload: nearer to it, a client has lost its connection

_ENTRY = "Confcast-Entry"
_EXPECTED = "Nats-Expected-Last-Subject-Sequence"
_ALONE = {"Nats-Rollup": "sub"}  # this message takes the place of all older ones of its subject
_READABLE = "".join(set(string.printable) - set(string.whitespace) - {"%"})

_NO_STREAM = 10059
_NO_MESSAGE = 10037
_OTHER_LAST = (10071, 10164)  # wrong last sequence, without and with its number
_IS_THERE = 10058
_NOT_ENABLED = (10039, 10076)
_FULL = (10023, 10047)


class _Error(msgspec.Struct, frozen=True):
    code: int = 0
    err_code: int = 0
    description: str = "no reason"


class _Refusal(Exception):
    """An error that JetStream has answered with."""

    def __init__(self, error: _Error) -> None:
        super().__init__(error.description)
        self.code, self.number = error.code, error.err_code


_Time = Annotated[datetime, msgspec.Meta(tz=True)]
_Number = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


def _check_time(time: datetime | None) -> None:
    """Raises ValueError, which refuses an answer, for a time that nobody can reckon with."""
    if time is not None and not 1970 <= time.year <= 9000:
        raise ValueError("a time that no clock has")


class _Stored(msgspec.Struct, frozen=True):
    subject: str
    seq: _Number
    time: _Time
    data: bytes = b""
    hdrs: bytes = b""

    def __post_init__(self) -> None:
        _check_time(self.time)


class _Config(msgspec.Struct, frozen=True):
    max_msgs_per_subject: _Number = -1
    max_age: _Number = 0  # nanoseconds


class _State(msgspec.Struct, frozen=True):
    first_seq: _Number = 0
    last_seq: _Number = 0
    subjects: dict[str, int] | None = None


class _Answer(msgspec.Struct, frozen=True):
    """What JetStream answers with: to each question some of these."""

    error: _Error | None = None
    message: _Stored | None = None
    config: _Config = _Config()
    state: _State = _State()
    created: str = ""
    ts: _Time | None = None

    def __post_init__(self) -> None:
        _check_time(self.ts)


class _Message(NamedTuple):
    """A stored message. `value` is None for the marker of a deleted key."""

    subject: str
    sequence: int
    value: bytes | None
    headers: dict[str, str]
    time: datetime


class _Bucket(NamedTuple):
    name: str

    @property
    def stream(self) -> str:
        return f"KV_{self.name}"

    def subject(self, *tokens: str) -> str:
        return ".".join((f"$KV.{self.name}", *tokens))


class Nats:
    """A connection to NATS: see `Store`."""

    NAME: ClassVar[str] = "NATS"

    def __init__(self, bucket: str, key: str, replicas: int) -> None:
        self._connection: Connection
        self._key = token(key)
        self._bucket = _Bucket(bucket)
        self._reports = _Bucket(f"{bucket}_reports")
        self._replicas = replicas
        self._hints = Hints()
        self._timers: list[asyncio.TimerHandle] = []
        self._seen: dict[str, _Message] = {}
        self._seen_in, self._seen_up_to = "", 0

    async def open(self, access: Access) -> None:
        """Connect."""
        self._connection = await _open(access, self._lose)

    # What a host does.

    async def subscribe(self) -> None:
        """Have the server tell of each message of the head, and of whoever makes the bucket anew."""
        await self._connection.subscribe(self._head_subject, self._tell)
        advisories = f"$JS.EVENT.ADVISORY.STREAM.*.{self._bucket.stream}"
        await self._connection.subscribe(advisories, self._tell, optional=True)
        await self.head()  # answered after the server has taken both subscriptions

    async def hint(self) -> None:
        """Wait until the head may have changed. Raises EngineError once the connection is lost."""
        await self._hints.wait()

    async def head(self) -> bytes | None:
        """The head now, from the stream's leader."""
        found = await self._newest_head()
        return found.value if found else None

    async def verify(self) -> bytes | None:
        """The head, read on the connection that has the subscription: an answer proves both."""
        if self._hints.error is not None:
            raise self._hints.error
        return await self.head()

    async def payload(self, digest: str) -> bytes | None:
        """The payload under this digest."""
        found = await self._message(self._bucket, last_by_subj=self._bucket.subject(self._key, "payload", digest))
        return found.value if found else None

    async def report(self, host: str, record: bytes) -> None:
        """Put a record in the place of the host's last one."""
        if len(record) > self._most:
            raise Fault(f"{self._shown}: the report has {len(record)} bytes, and {self._most} at most are possible")
        subject = self._reports.subject(self._key, "report", token(host))
        try:
            await self._write(subject, record)
        except NoResponder:
            raise Fault(f"{self._shown}: the bucket {self._reports.name!r} is missing: `confcast fleet publish` makes"
                        " it") from None  # fmt: skip
        except _Refusal as refusal:
            raise self._named(refusal) from None

    async def close(self) -> None:
        """Close the connection."""
        for timer in self._timers:
            timer.cancel()
        await self._connection.close()

    # What a publisher does.

    async def put_payload(self, digest: str, content: bytes) -> None:
        """Write a payload, unless it is there and young; also one that was deleted. Raises TooLarge, too.

        When a payload was put is when its message was stored, so an older one is written again.
        """
        if len(content) > self._most:
            raise TooLarge(f"{self._shown}: the payload has {len(content)} bytes, and {self._most} at most are possible"
                           f" (the server's max_payload is {self._connection.most_bytes})")  # fmt: skip
        await self._prepare()
        subject = self._bucket.subject(self._key, "payload", digest)
        if await self._replace(subject, 0, content, {}):
            return
        there = await self._message(self._bucket, last_by_subj=subject)
        if there is not None and (there.value is None or await self._age(there) > engine.UNTOUCHED / 2):
            await self._replace(subject, there.sequence, content, dict(_ALONE))

    async def swap(self, old: bytes | None, new: bytes, entry: bytes) -> bool:
        """Put a head in the place of exactly `old`, with its entry: one message."""
        found = await self._newest_head()
        if (found.value if found else None) != old:
            return False
        await self._prepare()
        headers = {_ENTRY: quote_from_bytes(entry, safe=_READABLE)}
        return await self._replace(self._head_subject, found.sequence if found else 0, new, headers)

    async def entries(self, limit: int) -> list[bytes]:
        """The newest entries, newest first: those of the heads that the bucket still has."""
        found = []
        message = await self._newest_head() if limit == 1 else None
        if message is not None and _ENTRY in message.headers:
            return [unquote_to_bytes(message.headers[_ENTRY])]
        sequence, walked = 1, 0
        while message := await self._message(self._bucket, seq=sequence, next_by_subj=self._head_subject):
            sequence, walked = message.sequence + 1, walked + 1
            self._check_count(walked)
            if _ENTRY in message.headers:
                found.append(unquote_to_bytes(message.headers[_ENTRY]))
        return found[::-1][:limit]

    async def old_payloads(self, named: Container[str]) -> list[OldPayload]:
        """As of `Store`. Each one that is looked at is read in full, so no more of them are than may be dropped."""
        every = self._bucket.subject(self._key, "payload", "*")
        info = await self._info(self._bucket, subjects_filter=every)
        subjects = (info.state.subjects if info else None) or {}
        found = list[OldPayload]()
        for subject in [each for each in sorted(subjects) if each.rpartition(".")[2] not in named][:MOST_DROPPED]:
            message = await self._message(self._bucket, last_by_subj=subject)
            if message is not None and await self._age(message) > engine.UNTOUCHED:
                found.append(OldPayload(subject.rpartition(".")[2], message.sequence))
        return found

    async def drop_payloads(self, head: bytes, payloads: Sequence[OldPayload]) -> None:
        """As of `Store`: messages up to the one that was listed. The bucket keeps the heads few."""
        for each in payloads:
            which = {"filter": self._bucket.subject(self._key, "payload", each.digest), "seq": each.put + 1}
            try:
                await self._api(f"STREAM.PURGE.{self._bucket.stream}", which)
            except _Refusal as refusal:
                raise self._named(refusal) from None

    async def reports(self) -> list[Stored]:
        """The records of the last day. A second call reads those that came since the first."""
        info = await self._info(self._reports)
        if info is None:
            return []
        now = await self._now(info)
        await self._update_seen(info)
        oldest = now - timedelta(seconds=_REPORTS_KEPT)
        self._seen = {subject: each for subject, each in self._seen.items() if each.time > oldest}
        ages = ((max(0.0, (now - each.time).total_seconds()), each.value) for each in self._seen.values())
        return [Stored(value, age) for age, value in ages if value is not None]

    # Messages.

    def _check_count(self, count: int) -> None:
        """Raises Fault for more messages than anybody has written, one by one: they might go on for ever."""
        if count > _MOST_WALKED:
            raise Fault(f"{self._shown}: JetStream answers with more than {_MOST_WALKED} messages")

    @property
    def _shown(self) -> str:
        return self._connection.shown

    @property
    def _most(self) -> int:
        return min(MOST_PAYLOAD, self._connection.most_bytes - _SPARE)

    @property
    def _head_subject(self) -> str:
        return self._bucket.subject(self._key, "head")

    def _tell(self) -> None:
        self._hints.tell()
        for timer in self._timers:
            timer.cancel()
        loop = asyncio.get_running_loop()
        self._timers = [loop.call_later(after, self._hints.tell) for after in HINT_AGAIN]

    def _lose(self, error: EngineError) -> None:
        self._hints.lose(error)

    async def _newest_head(self) -> _Message | None:
        return await self._message(self._bucket, last_by_subj=self._head_subject)

    async def _message(self, bucket: _Bucket, **which: str | int) -> _Message | None:
        """A message, from the stream's leader; None if there is none, or no bucket."""
        try:
            answer = await self._api(f"STREAM.MSG.GET.{bucket.stream}", which)
        except _Refusal as refusal:
            if refusal.number in (_NO_STREAM, _NO_MESSAGE) or refusal.code == 404:
                return None
            raise self._named(refusal) from None
        found = answer.message
        if found is None:
            raise Fault(f"{self._shown}: an answer of JetStream has no message")
        if found.seq < int(which.get("seq", 0)):  # or whoever goes on from it would never come to an end
            raise Fault(f"{self._shown}: JetStream answers with a message from before the one that was asked for")
        headers = _headers(found.hdrs)
        is_deleted = headers.get("KV-Operation") in ("DEL", "PURGE") or "Nats-Marker-Reason" in headers
        return _Message(found.subject, found.seq, None if is_deleted else found.data, headers, found.time)

    async def _info(self, bucket: _Bucket, **which: str) -> _Answer | None:
        """A bucket's stream; None if there is none."""
        try:
            return await self._api(f"STREAM.INFO.{bucket.stream}", which)
        except _Refusal as refusal:
            if refusal.number == _NO_STREAM:
                return None
            raise self._named(refusal) from None

    async def _api(self, name: str, question: dict[str, Any]) -> _Answer:
        """Ask JetStream. Raises _Refusal, and EngineError."""
        try:
            return self._answer((await self._connection.ask(f"$JS.API.{name}", msgspec.json.encode(question))).data)
        except NoResponder:
            raise Fault(f"{self._shown}: JetStream is not enabled on this server, or for this account:"
                        " `jetstream: enabled` in its configuration, or `nats-server -js`") from None  # fmt: skip

    def _answer(self, content: bytes) -> _Answer:
        try:
            answer = msgspec.json.decode(content, type=_Answer)
        except UNDECODABLE as error:
            raise Fault(f"{self._shown}: an answer of JetStream is not as expected: {error}") from error
        if answer.error is not None:
            raise _Refusal(answer.error)
        return answer

    async def _write(self, subject: str, content: bytes, headers: dict[str, str] | None = None) -> None:
        """Publish a message; returns once it is stored. Raises NoResponder, _Refusal, EngineError."""
        self._answer((await self._connection.ask(subject, content, headers)).data)

    async def _replace(self, subject: str, last: int, content: bytes, headers: dict[str, str]) -> bool:
        """Write after exactly this sequence (0: as the first). Returns False if another message came before."""
        headers[_EXPECTED] = str(last)
        try:
            await self._write(subject, content, headers)
        except NoResponder:
            raise Unreachable(f"{self._shown}: the bucket {self._bucket.name!r} was deleted just now") from None
        except _Refusal as refusal:
            if refusal.number in _OTHER_LAST:
                return False
            raise self._named(refusal) from None
        return True

    def _named(self, refusal: _Refusal) -> EngineError:
        """An error of JetStream in words."""
        text = f"{self._shown}: JetStream says: {refusal}"
        if refusal.number in _NOT_ENABLED:
            return Fault(f"{text}: it has to be enabled for this account")
        if refusal.number in _FULL or refusal.code != 503:
            return Fault(text)
        return Unreachable(text)

    # Buckets.

    async def _prepare(self) -> None:
        """Make the buckets that are missing, and refuse one that would lose heads.

        It is called for each write: without a bucket a write has no answer, since hosts have the same subscription.
        """
        head = await self._made(self._bucket, {"max_msgs_per_subject": KEPT_HEADS})
        await self._made(self._reports, {"max_msgs_per_subject": 1, "max_age": _REPORTS_KEPT * 10**9})
        kept, seconds = head.config.max_msgs_per_subject, head.config.max_age / 10**9
        if 0 < kept < KEPT_HEADS:
            raise Fault(f"{self._shown}: the bucket {self._bucket.name!r} keeps {kept} heads, and {KEPT_HEADS} are"
                        f" needed for the audit trail: nats stream edit {self._bucket.stream}"
                        f" --max-msgs-per-subject {KEPT_HEADS}")  # fmt: skip
        if seconds:
            raise Fault(f"{self._shown}: the bucket {self._bucket.name!r} forgets its heads after {seconds:g} s:"
                        f" nats stream edit {self._bucket.stream} --max-age 0s")  # fmt: skip

    async def _made(self, bucket: _Bucket, limits: dict[str, int]) -> _Answer:
        """A bucket's stream, made if it was missing."""
        if info := await self._info(bucket):
            return info
        config = {
            "name": bucket.stream,
            "subjects": [bucket.subject(">")],
            "storage": "file",
            "num_replicas": self._replicas,
            "discard": "new",
            "allow_rollup_hdrs": True,
            "allow_direct": True,
            "deny_delete": True,
            **limits,
        }
        try:
            return await self._api(f"STREAM.CREATE.{bucket.stream}", config)
        except _Refusal as refusal:
            if refusal.number == _IS_THERE and (info := await self._info(bucket)):  # another publisher was first
                return info
            raise self._named(refusal) from None

    # Reports.

    async def _update_seen(self, info: _Answer) -> None:
        """Read the reports that came since the last call; all, if the bucket was made anew."""
        if info.created != self._seen_in or info.state.last_seq < self._seen_up_to:
            self._seen, self._seen_in, self._seen_up_to = {}, info.created, 0
        first, last = max(self._seen_up_to + 1, info.state.first_seq), info.state.last_seq
        walks = [asyncio.create_task(self._walk(part)) for part in _parts(first, last)]
        try:
            found = [message for walk in walks for message in await walk]
        finally:
            for walk in walks:
                walk.cancel()
            if walks:
                await asyncio.wait(walks)
        self._seen |= {message.subject: message for message in found}
        self._seen_up_to = last

    async def _walk(self, part: range) -> list[_Message]:
        """The reports whose numbers are in this part, oldest first; each is known by the one before."""
        every, after = self._reports.subject(self._key, "report", "*"), part.start
        found = list[_Message]()
        while message := await self._message(self._reports, seq=after, next_by_subj=every):
            if message.sequence not in part:
                break
            found.append(message)
            self._check_count(len(found))
            after = message.sequence + 1
        return found

    async def _age(self, message: _Message) -> float:
        """Seconds since a message was stored, by the clock of the stream's leader."""
        info = await self._info(self._reports) or _Answer()
        return (await self._now(info) - message.time).total_seconds()

    async def _now(self, info: _Answer) -> datetime:
        """The time by the clock of the stream's leader. From NATS 2.10 on its answers have it.

        Before, a message has it: the newest one, as somebody else who asks may have put another in its place.
        """
        if info.ts is not None:
            return info.ts
        subject = self._reports.subject(self._key, "clock")
        try:
            await self._write(subject, b"")
        except NoResponder:
            raise Unreachable(f"{self._shown}: the bucket {self._reports.name!r} was deleted just now") from None
        except _Refusal as refusal:
            raise self._named(refusal) from None
        stamped = await self._message(self._reports, last_by_subj=subject)
        if stamped is None:
            raise Unreachable(f"{self._shown}: the bucket {self._reports.name!r} was deleted just now")
        return stamped.time


async def connect(access: Access, key: str) -> Nats:
    """A connection. Raises EngineError: no server, wrong credentials, or a URL or key that can't be used."""
    bucket, replicas = nats_bucket(access)
    if not 1 <= len(token(key)) <= 400:
        raise Fault(f"{access.shown}: the key is {'too long' if key else 'empty'}: 1 to 400 characters are expected,"
                    " where one that is no letter, digit, - or _ counts for three")  # fmt: skip
    store = Nats(bucket, key, replicas)
    await store.open(access)
    return store


def token(text: str) -> str:
    """A text as one token of a subject: other bytes than letters, digits, - and _ are written =XX."""
    return re.sub(
        rb"[^A-Za-z0-9_-]", lambda found: b"=%02X" % found[0][0], text.encode("utf-8", "surrogatepass")
    ).decode()


def _headers(block: bytes) -> dict[str, str]:
    """The headers of a stored message."""
    pairs = (line.partition(b":") for line in block.split(b"\r\n")[1:])
    return {name.decode("latin-1"): value.strip().decode("latin-1") for name, colon, value in pairs if colon}


def _parts(first: int, last: int) -> list[range]:
    """The numbers from the first to the last, in parts that are walked side by side: each step is a round trip."""
    size = max(_LEAST_PART, -(-(last + 1 - first) // _WALKS))
    return [range(start, min(start + size, last + 1)) for start in range(first, last + 1, size)]
