"""Messages: what an owner reads of a worker or a client, a client of an owner, and a worker of an owner.

Declared: ProtocolError (`wire/messages.py`), whose text has nothing of the content. What is read can be sent on, and is
then read as the same.
"""

from __future__ import annotations

import msgspec

from confcast.errors import ProtocolError
from confcast.wire.messages import decode_to_client, decode_to_owner, decode_to_worker, encode
from tests.fuzz.bounds import Finding
from tests.unit.wire.test_framing import TO_OWNER, TO_WORKER

SENTINEL = "Hunter2"
_READERS = (decode_to_owner, decode_to_client, decode_to_worker)


def seeds():
    return [encode(message) for message in (*TO_OWNER, *TO_WORKER)]


TOKENS = sorted({type(each).__name__.encode() for each in (*TO_OWNER, *TO_WORKER)} | {SENTINEL.encode(), b"\xc0"})


def one(data: bytes) -> None:
    for read in _READERS:
        try:
            message = read(data)
        except ProtocolError as error:
            if SENTINEL in str(error):
                raise Finding(f"the error quotes the message: {error}") from error
            continue
        try:
            again = encode(message)
        except UnicodeEncodeError:  # ''
            raise Finding("what was read can't be sent on") from None
        assert encode(read(again)) == again
        assert msgspec.msgpack.decode(again)
        repr(message)
