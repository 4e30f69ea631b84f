"""What a person does to the head of a key: publish, force, rollback, confirm; and what there is to see of it.

Guarantees. A payload is written before any head names it. Each change is a compare-and-swap on the exact head that was
read, with its entry in the same step, so that of two publishers one wins, and the other gets the winner's entry. If the
answer to a change is lost, what is there says whether it arrived; the same bytes are then tried again, which can't
happen twice. A publisher that is killed anywhere may be run again: a payload without a head does no harm, and what is
stable, or is being rolled out, already is found to be so. What nothing names any more is dropped after a change
(`unnamed.py`); that this fails is told, and fails nothing.

Rejected: to try again after a lost compare-and-swap (the other publisher's head would be replaced unseen).
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, NamedTuple

import msgspec

from confcast.errors import ConfcastError
from confcast.fleet.engines.engine import MOST_PAYLOAD, EngineError, Fault, Store, TooLarge, Unreachable
from confcast.fleet.engines.link import Link, patiently
from confcast.fleet.head import (
    LONGEST_BY,
    LONGEST_WHY,
    BadHead,
    Head,
    Rollout,
    decode,
    digest_of,
    encode,
    fitting,
    id_of,
)
from confcast.fleet.reports import BadReport, Entry, What, decode_entry
from confcast.fleet.reports import encode as encode_entry
from confcast.fleet.rollout.hosts import called, hosts_of, is_there
from confcast.fleet.rollout.machine import begun, next_stage, promoted
from confcast.fleet.rollout.stages import is_last, name_of
from confcast.fleet.rollout.tally import tally
from confcast.fleet.unnamed import drop_unnamed
from confcast.texts import printable, shortened

WITHIN = 5.0
"""Seconds for which an engine that can't be reached is tried by whoever changes a head: it may be restarted."""

LOOK_WITHIN = 2.0
"""The same of whoever only looks."""

TIDY_WITHIN = 2.0
"""The same for what comes after a change."""

NOTHING = "none"
"""What `expect` says for a key without a head."""

_BACK = 200
"""How many entries are looked through."""

Outcome = Literal["unchanged", "first", "rollout", "going on", "forced", "rolled back", "confirmed"]


class Published(NamedTuple):
    """What became of a change.

    Attributes:
        outcome: `first`: there was no head, so it is stable at once. `rollout`: a rollout begins. `going on`: the same
            content is being rolled out already.
        head: The head now.
        id: Its id.
        replaced: The id of the head before; empty if there was none, or nothing was changed.
        detail: What it means, in words.
        warning: What failed after the change, which holds all the same; empty if nothing did.
    """

    outcome: Outcome
    head: Head
    id: str
    replaced: str
    detail: str
    warning: str = ""


class Version(NamedTuple):
    """An entry of the audit trail, with its head's id."""

    id: str
    entry: Entry


class Refused(ConfcastError):
    """What was asked for can't be done; nothing was changed."""


class Conflict(ConfcastError):
    """Another head is there than the one that was expected, or read; nothing was changed.

    Attributes:
        id: The id of the head that is there; empty for none.
        winner: The newest entry; None if there is none.
    """

    def __init__(self, message: str, id_: str, winner: Version | None) -> None:
        self.id = id_
        self.winner = winner
        super().__init__(message)


class Author(NamedTuple):
    """Who changes a head, and why.

    Attributes:
        by: Who.
        why: The reason; empty for none.
        expect: The id of the head that has to be there, or `none`; empty for whichever.
        wall: Gives seconds since 1970.
    """

    by: str
    why: str = ""
    expect: str = ""
    wall: Callable[[], float] = time.time


class _Found(NamedTuple):
    """What is there before a change."""

    raw: bytes | None
    head: Head | None
    id: str
    rev: int  # for the next head


class _Payload(NamedTuple):
    digest: str
    content: bytes


class _Change(NamedTuple):
    what: What
    head: Head
    outcome: Outcome
    detail: str
    payload: _Payload | None = None  # what the head brings in


# ---- the verbs


async def publish(link: Link, content: bytes, author: Author, rollout: Rollout | None) -> Published:
    """Publish a content; `rollout` is how it goes to the hosts, None to all at once.

    The rollout begins with its first stage; a controller (`rollout/controller.py`) has to carry it on.

    Raises:
        TooLarge: The content is longer than an engine takes.
        Refused: The head would be too long, or it is empty.
        Conflict: Another head is there.
        EngineError: The engine says no, or can't be reached.
    """
    if len(content) > MOST_PAYLOAD:
        raise TooLarge(f"{len(content):,} bytes are more than a payload may have: {MOST_PAYLOAD:,}")
    payload = _Payload(digest_of(content), content)

    async def change(store: Store, found: _Found) -> _Change | Published:
        await store.put_payload(*payload)  # also if a head names it already: somebody may have deleted it
        if (there := _already(found, payload.digest, force=rollout is None)) is not None:
            return there
        return (await _publish(store, found, payload.digest, rollout))._replace(payload=payload)

    return await _changed(link, author, change, replaces_anything=rollout is None)


async def rollback(link: Link, author: Author, to: str = "") -> Published:
    """End the rollout that is going on; or go back, on all hosts at once.

    Args:
        link: The connection to the engine.
        author: Who does it.
        to: The id of the head to whose stable payload to go back; empty for what was stable before.

    Raises:
        Refused: There is nothing to go back to, or its payload is gone.
        Conflict, EngineError: As of `publish`.
    """

    async def change(store: Store, found: _Found) -> _Change | Published:
        if found.head is None:
            raise Refused("there is no head, so there is nothing to go back from")
        if not to and found.head.next is not None:
            head = Head(found.head.stable, salt=found.head.salt, rev=found.rev, retry=found.head.retry)
            return _Change("rollback", head, "rolled back", f"the rollout of {short(found.head.next)} is over: "
                           f"all hosts go back to {short(head.stable)}")  # fmt: skip
        versions = await history(store, _BACK)
        stable = _named(versions, to).entry.head.stable if to else _before(versions, found.head.stable)
        if found.head.next is None and stable == found.head.stable:
            return Published("unchanged", found.head, found.id, "", f"{short(stable)} is stable already")
        payload = _Payload(stable, await _check_payload(store, stable))
        await store.put_payload(*payload)  # so that nobody drops it now
        head = Head(stable, salt=_salt(found.rev), rev=found.rev, retry=found.head.retry)
        return _Change("rollback", head, "rolled back", f"all hosts go back to {short(stable)}", payload)

    return await _changed(link, author, change)


async def confirm(link: Link, author: Author) -> Published:
    """Pass the present stage of the rollout, whatever its hosts have said.

    Raises:
        Refused: Nothing is being rolled out.
        Conflict, EngineError: As of `publish`.
    """

    async def change(store: Store, found: _Found) -> _Change | Published:
        head = found.head
        if head is None or head.next is None or head.rollout is None:
            raise Refused("nothing is being rolled out, so there is no stage to pass")
        seen = tally(head, hosts_of(await store.reports()))
        last = is_last(head.rollout, head.rollout.stage)
        after = promoted(head) if last else next_stage(head, seen)
        follows = "it is stable for all hosts" if last else f"next: {_stage_of(after)}"
        detail = f"{name_of(head.rollout, head.rollout.stage)} is passed by a person: {follows}"
        return _Change("confirm", msgspec.structs.replace(after, rev=found.rev), "confirmed", detail)

    return await _changed(link, author, change)


async def history(store: Store, limit: int) -> list[Version]:
    """The newest entries of the audit trail, newest first; what can't be read is left out."""
    found = list[Version]()
    for content in await store.entries(limit):
        try:
            entry = decode_entry(content)
            found.append(Version(id_of(encode(entry.head)), entry))
        except (BadReport, ConfcastError):  # of a newer build
            continue
    return found


async def payload_of(store: Store, name: str) -> tuple[str, bytes]:
    """A payload, and its digest.

    Args:
        store: The connection.
        name: `stable`, `next`, or the id of a head: what that brought, its `next` if it has one.

    Raises:
        Refused: There is none.
    """
    raw = await store.head()
    head = None if raw is None else decode(raw)
    if name not in ("stable", "next"):
        head = _named(await history(store, _BACK), name).entry.head
    if head is None:
        raise Refused("there is no head: nothing was published under this key, or the engine was emptied")
    digest = head.stable if name == "stable" else head.next if name == "next" else head.next or head.stable
    if digest is None:
        raise Refused("nothing is being rolled out, so there is no `next`")
    return digest, await _check_payload(store, digest)


# ---- what they have in common


async def _changed(
    link: Link,
    author: Author,
    change: Callable[[Store, _Found], Awaitable[_Change | Published]],
    *,
    replaces_anything: bool = False,
) -> Published:
    async def ask(store: Store) -> tuple[_Found, _Change | Published]:
        found = await _find(store, replaces_anything=replaces_anything)
        if author.expect and author.expect != (found.id or NOTHING):
            text = f"the head is {found.id or 'none'}, and {author.expect} was expected"
            by_number = found.head is not None and author.expect == str(found.head.rev)
            raise await _conflict(store, f"{text}: two heads may have one number" if by_number else text)
        return found, await change(store, found)

    found, made = await patiently(link, WITHIN, ask)
    if isinstance(made, Published):
        return made
    head = msgspec.structs.replace(
        made.head,
        at=author.wall(),
        by=shortened(printable(author.by), LONGEST_BY),
        why=shortened(printable(author.why or made.head.why), LONGEST_WHY),
    )
    if made.what == "confirm":
        head = fitting(head)
    else:
        _check_room(head)
    content = encode(head)
    entry = encode_entry(Entry(made.what, head, found.id, made.detail))
    await _swap(link, found.raw, content, entry)
    warning = await _tidied(link, made.payload)
    return Published(made.outcome, head, id_of(content), found.id, made.detail, warning)


async def _swap(link: Link, old: bytes | None, new: bytes, entry: bytes) -> None:
    """Put a head in the place of another one, also if the answer is lost. Raises Conflict, EngineError."""
    ends = asyncio.get_running_loop().time() + WITHIN
    uncertain = False
    while True:
        try:
            store = await link.store()
            if uncertain and await _arrived(store, new):
                return
            if await store.swap(old, new, entry) or (uncertain and await _arrived(store, new)):
                return
            raise await _conflict(store, "somebody else has published meanwhile")
        except Unreachable as error:
            uncertain = True
            if asyncio.get_running_loop().time() >= ends:
                text = f"{error}: whether it was published is not known; `confcast fleet history` shows it"
                raise Unreachable(text) from error
            await link.pause()


async def _tidied(link: Link, payload: _Payload | None) -> str:
    """See that the head's payload is still there, and drop what nothing names. Returns what failed, in words."""
    what = "whether nobody has dropped its payload meanwhile is not known"
    try:
        async with asyncio.timeout(TIDY_WITHIN):
            store = await link.store()
            if payload is not None:
                await store.put_payload(*payload)
            what = "payloads that nothing names any more stay in the engine"
            await drop_unnamed(store)
    except (EngineError, TimeoutError) as error:
        if not isinstance(error, Fault):
            await link.drop()
        return f"{what}: {str(error) or f'no answer within {TIDY_WITHIN:g} s'}"
    return ""


async def _arrived(store: Store, new: bytes) -> bool:
    """Whether this head was written: it is there, or it was, and is in the audit trail."""
    if await store.head() == new:
        return True
    id_ = id_of(new)
    return any(version.id == id_ for version in await history(store, _BACK))


async def _find(store: Store, *, replaces_anything: bool) -> _Found:
    raw, head, id_ = await store.head(), None, ""
    try:
        head, id_ = (None, "") if raw is None else (decode(raw), id_of(raw))
    except BadHead as error:
        if not replaces_anything:
            how = "`confcast fleet publish --force` puts a head in its place"
            raise BadHead(f"{error}; {how}") from None
    newest = await history(store, 1)
    rev = max([head.rev if head else 0, *(version.entry.head.rev for version in newest)]) + 1
    return _Found(raw, head, id_, rev)


async def _conflict(store: Store, message: str) -> Conflict:
    newest = await history(store, 1)
    with contextlib.suppress(BadHead):
        raw = await store.head()
        return Conflict(message, "" if raw is None else id_of(raw), newest[0] if newest else None)
    return Conflict(message, "", newest[0] if newest else None)


def _already(found: _Found, digest: str, *, force: bool) -> Published | None:
    """What there is to say if nothing needs to be published."""
    head = found.head
    if head is None:
        return None
    if head.next is None and head.stable == digest:
        return Published("unchanged", head, found.id, "", f"{short(digest)} is stable already: nothing was published")
    if head.next == digest and head.rollout is not None and not force:
        return Published("going on", head, found.id, "", f"{short(digest)} is being rolled out already, as it was "
                         "published: its own stages count")  # fmt: skip
    return None


async def _publish(store: Store, found: _Found, digest: str, rollout: Rollout | None) -> _Change:
    head, salt = found.head, _salt(found.rev)
    if head is None:
        if rollout is not None:
            await _check_no_host_has_another(store, digest)
        first = "there was no head, so it is stable for all hosts at once: a rollout needs something to go back to"
        if found.raw is not None:
            first = "what was there was no head of confcast: it is stable for all hosts at once"
        return _Change("publish", Head(digest, salt=salt, rev=found.rev), "first", first)
    if rollout is None or head.stable == digest:
        forced = Head(digest, salt=salt, rev=found.rev, retry=head.retry)
        back = "a rollout was going on, and ends: all hosts go back to it" if head.stable == digest else ""
        return _Change("force", forced, "forced", back or f"{short(digest)} goes to all hosts at once")
    hosts = hosts_of(await store.reports())
    begins = begun(head.stable, digest, rollout, salt, found.rev, hosts)
    begins = msgspec.structs.replace(begins, retry=head.retry)
    return _Change("publish", begins, "rollout", f"{short(digest)} is rolled out: {_stages(rollout)}")


async def _check_no_host_has_another(store: Store, digest: str) -> None:
    """Raises Refused if a fleet has something else: its head is lost, and all of it would get this at once."""
    hosts = hosts_of(await store.reports())
    others = [each for each in hosts.values() if is_there(each) and each.report.digest not in ("", digest)]
    if others:
        has = f"{called(others[0].report)} has {short(others[0].report.digest)}"
        raise Refused(f"there is no head to go back to, but {len(others)} of the hosts have something else ({has}): it "
                      "was deleted, or the engine emptied. Publish what they have first; or this to all hosts at once, "
                      "by --force and a --reason")  # fmt: skip


def _stages(rollout: Rollout) -> str:
    return ", ".join((*rollout.rings, *rollout.stages))


def _stage_of(head: Head) -> str:
    assert head.rollout is not None
    return name_of(head.rollout, head.rollout.stage)


def _check_room(head: Head) -> None:
    """Raises BadHead if the head, or that of a later stage, would be too long."""
    if head.rollout is not None:
        later = msgspec.structs.replace(head.rollout, stage=len(head.rollout.stages) - 1)
        encode(msgspec.structs.replace(head, rollout=later, rings=later.rings, percent=1 / 3, rev=head.rev + 1000))


async def _check_payload(store: Store, digest: str) -> bytes:
    content = await store.payload(digest)
    if content is None or digest_of(content) != digest:
        why = "is not in the engine any more" if content is None else "is not what its digest says"
        raise Refused(f"the payload {short(digest)} {why}: publish the file that it was made of")
    return content


def _before(versions: Sequence[Version], stable: str) -> str:
    """What was stable before that was published: going back twice goes back two. Raises Refused.

    What somebody has gone back from is passed over, whatever was published since.
    """
    was, left = list[str](), set[str]()  # what was stable, one after the other; and what was gone back from
    for entry in (each.entry for each in reversed(versions)):
        now = entry.head.stable
        if was and was[-1] == now:
            continue
        if entry.what == "rollback" and now in was:
            while was[-1] != now:
                left.add(was.pop())
        elif entry.what == "rollback" and now not in left:  # it is older than the trail, and so is what was before it
            was = [now]
        else:
            was.append(now)
    if len(was) < 2 or was[-1] != stable:
        raise Refused(f"nothing was stable before {short(stable)}, as far as the audit trail goes back")
    return was[-2]


def _named(versions: Sequence[Version], name: str) -> Version:
    """The entry whose head has this id, or this number if only one has it. Raises Refused."""
    found = [each for each in versions if name in (each.id, str(each.entry.head.rev))]
    if len(found) == 1:
        return found[0]
    if found:
        raise Refused(f"{name} is the number of several heads: {', '.join(each.id for each in found)}")
    raise Refused(f"no head is called {name}: `confcast fleet history` lists them")


def _salt(rev: int) -> str:
    return f"{rev}-{secrets.token_hex(4)}"


def short(digest: str) -> str:
    """A digest, as people see it."""
    return digest[:8]
