"""What a worker does with whatever its owner sends: the decoder, and the worker's machine with a real codec.

An input is messages, each behind its length. Declared: ProtocolError (`wire/messages.py`; the pipe is opened anew).
No Install and no Commit has two answers, no number that was shown goes down, and what is answered an owner can read.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from confcast.config.codec import Codec
from confcast.config.codec.codec import digest
from confcast.errors import Problem, ProtocolError
from confcast.wire.messages import (
    Abort,
    Applied,
    Commit,
    Declined,
    Install,
    OnTrial,
    Prepare,
    Provisional,
    Refused,
    Settled,
    Try,
    decode_to_owner,
    decode_to_worker,
    encode,
)
from confcast.worker.connection.machine import CannotBuild, DoesNotFit, Machine, ReplicaState, Reply
from tests.fuzz.bounds import Cut, joined
from tests.unit.wire.test_framing import TO_WORKER

FORM = "msgpack"
MOST = 40


class Small(BaseModel, frozen=True):
    """Large enough for a patch to be worth it."""

    number: int = 0
    text: str = "x" * 4000


_CODEC = Codec(Small)
_A, _B = (_CODEC.encode(Small(number=number)) for number in (1, 2))
_FOUND = _CODEC.patch(Small(number=1), _A, _B)
assert _FOUND is not None
_DA, _DB = digest(_A), digest(_B)


def seeds():
    first = encode(Install(1, _DA, _A[:60]))
    patched = (encode(Install(1, _DA, _FOUND.patch)), encode(Prepare(1, _DB, _FOUND.patch, _DA)))
    small = _CODEC.encode(Small(number=3, text=""))
    whole = (encode(Install(1, digest(small), small)), encode(Prepare(1, digest(small), small)))
    yield joined(first, *patched, encode(Commit(1, 2)), encode(Settled(2)))
    yield joined(*whole, encode(Commit(1, 2, 5.0)), encode(Provisional(2, 0.0)), encode(Abort(1)))
    yield joined(*whole, encode(Try(1, 3, 0.5, "app/3")), encode(Commit(1, 4)), encode(Refused("x", True)))
    trial = OnTrial(4, digest(small), small, 0.05, "app/4", begun=True)
    yield joined(encode(Install(3, digest(small), small, trial=trial, provisional=3.0)), encode(Commit(1, 5)))
    for each in TO_WORKER:
        yield joined(whole[0], encode(each))


def one(data: bytes) -> None:
    cut, machine = Cut(data), _machine()
    machine.connected()
    for _ in range(MOST):
        if not cut or machine.state is ReplicaState.CLOSED:
            break
        try:
            message = decode_to_worker(cut.chunk())
        except ProtocolError:
            machine.ended()
            machine.connected()
            continue
        _give(machine, message)


def _give(machine: Machine, message: Any) -> None:
    before = machine.held
    answers = []
    for effect in machine.handle(message):
        repr(effect)
        if isinstance(effect, Reply):
            answers.append(effect.message)
            decode_to_owner(encode(effect.message))
    if isinstance(message, Install | Commit):
        assert sum(isinstance(each, Applied | Declined) for each in answers) <= 1
    if before is not None and machine.held is not None:
        assert machine.held.version >= before.version, "the number went down"
        if machine.held.version == before.version:
            assert machine.held.digest == before.digest, "a number has two contents"
    if machine.state is ReplicaState.DETACHED:
        machine.connected()


def _machine() -> Machine:
    return Machine(_built, lambda number, old, new: (), lambda: True, _patched, clock=lambda: 100.0)


def _built(payload: bytes) -> Any:
    try:
        return _CODEC.decode(payload)
    except ProtocolError as error:
        raise CannotBuild(Problem("", str(error))) from None


def _patched(held: Any, change: bytes) -> Any:
    try:
        return _CODEC.patched(held, change)
    except ProtocolError:
        raise DoesNotFit from None
