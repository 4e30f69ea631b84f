"""NATS without a server: answers of any kind, tokens of any text."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from confcast.fleet.engines import nats
from confcast.fleet.engines.engine import EngineError, Fault, Unreachable
from confcast.fleet.engines.nats import Nats, _headers, token

DIGEST = "0" * 64
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 20000) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_odd = st.one_of(_json, st.just({}), st.just([]))
_answers = st.fixed_dictionaries(
    {},
    optional={
        "error": st.one_of(
            _odd, st.fixed_dictionaries({}, optional={"code": _odd, "err_code": _odd, "description": _odd})
        ),
        "message": st.fixed_dictionaries({}, optional=dict.fromkeys(("subject", "seq", "time", "data", "hdrs"), _odd)),
        "state": st.fixed_dictionaries({}, optional={"last_seq": _odd, "subjects": _odd}),
        "config": st.fixed_dictionaries({}, optional={"max_age": _odd, "max_msgs_per_subject": _odd}),
        "created": _odd,
        "ts": _odd,
    },
)


class Message(NamedTuple):
    data: bytes


class Answering:
    """A connection to something that answers everything alike."""

    shown, most_bytes = "nats://host", 1048576

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self.asked = 0

    async def ask(self, subject: str, content: bytes = b"", headers: dict[str, str] | None = None) -> Message:
        self.asked += 1
        if self.asked > 50:
            raise Unreachable("it would go on for ever")
        return Message(self._answer)

    async def subscribe(self, *about: Any, **more: Any) -> None:
        pass


def store_of(answer: bytes) -> Nats:
    store = Nats("bucket", "shop", 1)
    store._connection = Answering(answer)  # type: ignore[assignment]
    return store


USES: dict[str, Any] = {
    "subscribe": lambda store: store.subscribe(),
    "head": lambda store: store.head(),
    "payload": lambda store: store.payload(DIGEST),
    "report": lambda store: store.report("host", b"{}"),
    "put_payload": lambda store: store.put_payload(DIGEST, b""),
    "swap": lambda store: store.swap(None, b"one", b"entry"),
    "entries": lambda store: store.entries(10),
    "reports": lambda store: store.reports(),
    "old_payloads": lambda store: store.old_payloads([]),
}


@pytest.mark.parametrize("use", USES)
@given(answer=st.one_of(_answers.map(json.dumps).map(str.encode), _json.map(json.dumps).map(str.encode), st.binary()))
def test_no_answer_raises_anything_but_an_error_in_words(use: str, answer: bytes):
    async def main() -> None:
        with contextlib.suppress(EngineError):
            await USES[use](store_of(answer))

    asyncio.run(main())


class OneAfterTheOther(Answering):
    """A connection to something that has a message behind each one, and no entry in any."""

    async def ask(self, subject: str, content: bytes = b"", headers: dict[str, str] | None = None) -> Message:
        await super().ask(subject)
        stored = {"subject": "a", "seq": self.asked, "time": "2026-01-01T00:00:00Z"}
        return Message(json.dumps({"message": stored}).encode())


def test_messages_without_an_entry_do_not_go_on_for_ever(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(nats, "_MOST_WALKED", 20)
    store = store_of(b"")
    store._connection = OneAfterTheOther(b"")  # type: ignore[assignment]
    with pytest.raises(Fault, match="nats://host: JetStream answers with more than 20 messages"):
        asyncio.run(store.entries(10))


@pytest.mark.parametrize(
    ("code", "number", "kind"),
    [(503, 10008, Unreachable), (503, 10039, Fault), (503, 10023, Fault), (500, 10049, Fault), (400, 10058, Fault)],
)
def test_a_refusal_is_an_outage_or_a_fault(code: int, number: int, kind: type[EngineError]):
    refusal = {"error": {"code": code, "err_code": number, "description": "the reason"}}

    async def main() -> None:
        with pytest.raises(kind, match="nats://host: JetStream says: the reason"):
            await store_of(json.dumps(refusal).encode()).head()

    asyncio.run(main())


@given(one=st.text(), other=st.text())
def test_a_token_is_one_of_a_subject_and_of_one_text(one: str, other: str):
    assert re.fullmatch(r"[A-Za-z0-9_=-]*", token(one))
    assert (token(one) == token(other)) == (one == other)


@given(st.binary(max_size=60))
def test_headers_are_read_from_any_bytes(block: bytes):
    assert all(isinstance(value, str) for value in _headers(b"NATS/1.0\r\n" + block).values())
