"""Whatever number a peer puts into a message: the owner's loop goes on, and so does the next reload."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Iterator
from typing import Any, Literal, get_args

import msgspec
import pytest

from confcast.owner.core import effects as fx
from confcast.wire.framing import Deframer, frame
from confcast.wire.messages import PROTOCOL, Hello, Refused, ReloadResult, ToOwner, decode_to_worker, encode
from tests.support.shell import SCHEMA, Shell, load

ABSURD = (-(2**63), -1, 0, 2**31, 2**32 + 1, 2**63 - 1, 2**63, 2**64 - 1)
NUMBERS = {bool: (False, True), int: ABSURD, int | None: ABSURD, int | Literal["running", "sources"]: ABSURD}
GREETING = Hello(PROTOCOL, 0, "replica", "app", SCHEMA)


def with_absurd_numbers(kind: type) -> Iterator[Any]:
    """Messages of this kind, with every pair of absurd numbers in any two fields that take one."""
    usual = {"protocol": PROTOCOL, "role": "replica", "name": "app", "schema": SCHEMA, "function": "app:check"}
    usual |= {"values": {}, "keys": (), "reason": "no pool"}
    usual = {name: value for name, value in usual.items() if name in kind.__struct_fields__}
    numbers = {field.name: NUMBERS[field.type] for field in msgspec.structs.fields(kind) if field.type in NUMBERS}
    usual |= {name: type(values[0])() for name, values in numbers.items()}
    for names in itertools.combinations(numbers, min(2, len(numbers))):
        for given in itertools.product(*(numbers[name] for name in names)):
            yield kind(**usual | dict(zip(names, given, strict=True)))


def messages() -> Iterator[Any]:
    for kind in get_args(ToOwner):
        if kind is Hello:
            for field, number in itertools.product(("protocol", "pid", "version"), ABSURD):
                yield msgspec.structs.replace(GREETING, **{field: number})
        else:
            yield from with_absurd_numbers(kind)


def says(shell: Shell, *said: Any) -> socket.socket:
    """A process says this; one turn of the loop for each of its messages, and one for whatever they led to."""
    mine = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mine.settimeout(5)
    mine.connect(str(shell.runtime_dir.address))
    mine.sendall(b"".join(frame(encode(each)) for each in said))
    for _ in range(3):
        shell.turns(fx.Wake(fx.Timer.STAGE, 0))
    return mine


def test_no_number_in_any_message_ends_the_loop_or_a_later_reload(shell: Shell) -> None:
    shell.turns(*load(b"A"))
    loads = itertools.count(2)
    for message in messages():
        said = (message,) if isinstance(message, Hello) else (GREETING, message)
        with says(shell, *said):
            pass
        assert shell.owner.exit_reason is None
    shell.turns_until(lambda: len(shell.owner._pipes._open) == 0)
    assert shell.owner.core.high_water < 2**33

    me = os.getpid()
    shell.turns(fx.ProcessGone(me))
    content = b"B"
    # Operations are among the messages, and are answered first; most expect a version that does not run.
    while shell.events[-1].version < 2 or shell.events[-1].result is ReloadResult.CONFLICT:
        shell.turns(fx.Trigger("signal"), fx.Loaded(next(loads), content, content, differs=True))
    assert shell.events[-1].result is ReloadResult.SUCCESS
    assert shell.journal.latest() is not None


@pytest.mark.parametrize("version", [-1, -(2**63), 2**42 + 2**32 + 1, 2**63 - 1, 2**64 - 1])
def test_a_version_that_no_owner_gave_out_is_refused_in_words_and_counted(shell: Shell, version: int) -> None:
    shell.turns(*load(b"A"))
    with says(shell, msgspec.structs.replace(GREETING, version=version, digest=b"z" * 16)) as peer:
        (refused,) = map(decode_to_worker, Deframer().feed(peer.recv(65536)))
    assert isinstance(refused, Refused)
    assert refused.final
    assert f"version {version}, and no owner has given that out: the newest is 1" in refused.reason
    assert shell.owner._pipes.refused["hello"] == 1
    assert shell.owner.core.dropped["refused Hello"] == 1
    assert shell.journal.high_water == 1


def test_a_digest_that_no_owner_made_is_refused(shell: Shell) -> None:
    shell.turns(*load(b"A"))
    with says(shell, msgspec.structs.replace(GREETING, version=1, digest=b"z" * 300)) as peer:
        (refused,) = map(decode_to_worker, Deframer().feed(peer.recv(65536)))
    assert isinstance(refused, Refused)
    assert refused.final


def test_a_worker_of_a_lost_journal_is_served(shell: Shell) -> None:
    """Numbers are counted on from the clock then."""
    shell.turns(*load(b"A"))
    with says(shell, msgspec.structs.replace(GREETING, version=1_900_000_000_000, digest=b"z" * 16)):
        assert shell.owner.core.high_water >= 1_900_000_000_000


def test_a_version_under_which_thousands_of_contents_were_named_costs_no_memory(shell: Shell) -> None:
    shell.turns(*load(b"A"))
    for number in range(100):
        with says(shell, msgspec.structs.replace(GREETING, version=1, digest=b"%016d" % number)):
            pass
    assert len(shell.owner.core._numbers._contents) <= 2
