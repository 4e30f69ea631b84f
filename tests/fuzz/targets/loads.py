"""What an owner's loading thread does with questions, overrides, dry runs and words of workers, whatever they hold.

An input is messages, each behind its length. Declared: nothing: each has an answer or a result, which can be sent; none
quotes the password that the file has.
"""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec

from confcast import ConfigLoader, File
from confcast.errors import Problem, ProtocolError
from confcast.owner.core.effects import Load, Loaded, LoadFailed, Received
from confcast.owner.loop.load_thread import LoadThread
from confcast.owner.loop.open_question import OpenQuestion
from confcast.owner.store.attempts import Attempts
from confcast.wire.messages import (
    Check,
    ConfigRequest,
    Declined,
    DiffRequest,
    ExplainRequest,
    Question,
    Reload,
    SchemaRequest,
    Set,
    ShowRequest,
    Unhealthy,
    Unset,
    Vote,
    decode_to_client,
    decode_to_owner,
    encode,
)
from tests.fuzz.bounds import Cut, Finding, joined
from tests.fuzz.loading import SENTINEL, Outer, own_folder

FORM = "msgpack"
MOST = 12
TOKENS = [
    b"a.number",
    b"a.tree.k",
    b"b[0].text",
    b"password",
    b"mode",
    b"running",
    b"sources",
    b"app.toml",
    b'"',
    b"[]",
    b"*",
]

_FOLDER = own_folder(__name__)
_PATH = _FOLDER / "app.toml"
_PATH.write_text(
    f'x = "y"\npassword = "{SENTINEL}-of-the-file"\nmode = "on"\n[a]\nnumber = 3\ntree = {{k = [1, 2.5]}}\n[[b]]\n'
)
_QUOTED = f"{SENTINEL}-of-the-file".encode()
_LOADER = ConfigLoader(Outer, File(_PATH))


def seeds():
    for key in ("a.number", "b[0].text", "password", "", 'd."k.l"', "nope"):
        asked = (ExplainRequest(1, key), ShowRequest(2, key), SchemaRequest(3, key), ConfigRequest(4, key, "x"))
        yield joined(*map(encode, asked))
    yield joined(encode(DiffRequest(1)), encode(DiffRequest(1, "sources", "running")))
    changes: tuple[Any, ...] = (
        Set(1, {"a.number": "4", "a": {"tree": {"k": None}}, "password": "p"}, ttl=60.0),
        Unset(1, ("a.number", "password")),
        Check(1, {"mode": "off", "b": [{"number": 5}]}),
        Check(1, {}, {"app.toml": b'x = "z"\nmode = "no"\n'}),
        Set(1, {"ratio": 0.25, "d.k": "v", 'd."k.l"': "w"}),
    )
    for each in changes:
        yield joined(encode(each), encode(ExplainRequest(2, "a.number")), encode(Unset(3, ("a",))))
    problems = (Problem("a.number", "no", "worker 7"), Problem("b[0]", "x"))
    yield joined(encode(Vote(1, False, problems)), encode(Declined(1, problems)), encode(Unhealthy(1, "no pool")))
    yield joined(encode(Reload(1, "call", reason=f"{SENTINEL}-of-the-file")))


def one(data: bytes) -> None:
    with contextlib.closing(Attempts(_FOLDER / "in_progress")) as attempts:
        _give(_thread(attempts), Cut(data))


def _give(thread: LoadThread, cut: Cut) -> None:
    layer = b""
    for number in range(2, MOST):
        if not cut:
            break
        body = cut.chunk()
        try:
            message = decode_to_owner(body)
        except ProtocolError:
            continue
        if isinstance(message, Question):
            payload = thread._committed.payload  # type: ignore[union-attr]
            found = [
                each.answer for each in thread.answer(OpenQuestion(1, message, {"running": payload}, layer, payload))
            ]
            assert len(found) == 1
            sent = encode(found[0])
            decode_to_client(sent)
            _quotes_nothing(sent, body)
        elif isinstance(message, Set | Unset | Check):
            for result in thread.load(Load(number, False, layer, message, dry=isinstance(message, Check), values=True)):
                if isinstance(result, Loaded) and not isinstance(message, Check):
                    layer = result.layer or b""
                told = (
                    [result.problems]
                    if isinstance(result, LoadFailed)
                    else [result.changes, getattr(result, "pending", ())]
                )
                _quotes_nothing(msgspec.msgpack.encode(told), body)
            thread.overrides(layer)
        else:
            given: Any = thread.located(Received(1, 7, message))
            sent = encode(given.message)
            if isinstance(message, Reload) and message.reason == f"{SENTINEL}-of-the-file":
                _quotes_nothing(sent, b"")


def _thread(attempts: Attempts) -> LoadThread:
    thread = LoadThread(_LOADER, attempts, lambda given: None)
    results = list(thread.load(Load(1, True)))
    first = results[0]
    assert isinstance(first, Loaded)
    thread.committed(first.digest, first.payload, first.values)
    return thread


def _quotes_nothing(sent: bytes, asked: bytes) -> None:
    if _QUOTED in sent and _QUOTED not in asked:
        raise Finding(f"it quotes the password: {sent!r}")
