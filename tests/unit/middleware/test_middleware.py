"""The middlewares: a request sees one version from its start to its end, whatever the application does."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.util import FileWrapper

import pytest

from confcast import NotAttached, Replica
from confcast.middleware import asgi, wsgi
from confcast.worker.pins import Pin
from tests.support.number import Settings


def start_response(status: str, headers: list[tuple[str, str]]) -> None:
    """The callable that a server gives."""


def serve(app: Callable[..., Iterable[bytes]], **environ: Any) -> list[bytes]:
    """Serve one request as PEP 3333 demands."""
    body = app(environ, start_response)
    try:
        return list(body)
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()


def test_a_wsgi_call_is_pinned_until_it_returns(settings: Replica[Settings], fake: Any):
    def app(environ: Any, start: Any) -> list[bytes]:
        fake.push(Settings(2))
        return [b"%d %d" % (settings.current.number, settings.latest.number)]

    assert serve(wsgi.Pin(app, settings)) == [b"1 2"]
    assert settings.current.number == 2


def test_a_wsgi_body_is_pinned_until_it_is_closed(settings: Replica[Settings], fake: Any):
    seen = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            fake.push(Settings(2))
            yield b"%d" % settings.current.number

        def close(self) -> None:
            seen.append(settings.current.number)

    assert serve(wsgi.Pin(lambda environ, start: Body(), settings)) == [b"1"]
    assert seen == [1]
    assert settings.current.number == 2


def test_a_wsgi_body_that_was_never_read_is_closed_and_unpinned(settings: Replica[Settings], fake: Any):
    def app(environ: Any, start: Any) -> Iterator[bytes]:
        yield b""

    body: Any = wsgi.Pin(app, settings)({}, start_response)
    fake.push(Settings(2))
    assert settings.current.number == 1
    body.close()
    assert settings.current.number == 2


@pytest.mark.parametrize("where", ["call", "body", "close"])
def test_what_a_wsgi_application_raises_ends_the_pin(settings: Replica[Settings], fake: Any, where: str):
    class Body:
        def __iter__(self) -> Iterator[bytes]:
            if where == "body":
                raise ValueError(where)
            return iter(())

        def close(self) -> None:
            if where == "close":
                raise ValueError(where)

    def app(environ: Any, start: Any) -> Body:
        if where == "call":
            raise ValueError(where)
        return Body()

    with pytest.raises(ValueError, match=where):
        serve(wsgi.Pin(app, settings))

    fake.push(Settings(2))
    assert settings.current.number == 2


@pytest.mark.parametrize("body", [[b"a", b"b"], (b"a",), []])
def test_a_list_or_tuple_goes_to_the_server_as_it_is(settings: Replica[Settings], fake: Any, body: Any):
    """Servers look at the length of a list; and no code of the application runs after the call."""
    pinned = wsgi.Pin(lambda environ, start: body, settings)

    assert pinned({}, start_response) is body
    fake.push(Settings(2))
    assert settings.current.number == 2


def test_a_file_goes_to_the_servers_sendfile_as_it_is(settings: Replica[Settings], fake: Any, tmp_path: Any):
    (tmp_path / "file").write_bytes(b"text")
    with (tmp_path / "file").open("rb") as file:
        body = FileWrapper(file)
        environ = {"wsgi.file_wrapper": FileWrapper}

        assert wsgi.Pin(lambda environ, start: body, settings)(environ, start_response) is body


@pytest.mark.parametrize("pin", [wsgi.Pin, asgi.Pin])
def test_without_replicas_all_that_are_declared_are_pinned(
    fake: Any, settings: Replica[Settings], pin: Any, monkeypatch: pytest.MonkeyPatch
):
    other = Replica(Settings, name="other")
    for module in (wsgi, asgi):  # other tests' replicas may live as long as this process
        monkeypatch.setattr(module, "declared", lambda: (settings, other))
    seen = []
    with other.override(Settings(5)) as another:

        def look() -> None:
            fake.push(Settings(2))
            another.push(Settings(6))
            seen.append((settings.current.number, other.current.number))

        only_these(pin, look)
    assert seen == [(1, 5)]


def only_these(pin: Any, look: Callable[[], None]) -> None:
    """One request through a middleware without arguments."""

    async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
        look()

    def wsgi_app(environ: Any, start: Any) -> list[bytes]:
        look()
        return []

    if pin is asgi.Pin:
        asyncio.run(request(pin(asgi_app)))
    else:
        serve(pin(wsgi_app))


@pytest.mark.parametrize("pin", [wsgi.Pin, asgi.Pin])
@pytest.mark.parametrize("reason", ["not attached", "interrupted"])
def test_if_one_of_several_can_t_be_pinned_none_is(
    settings: Replica[Settings], fake: Any, pin: Any, reason: str, monkeypatch: pytest.MonkeyPatch
):
    """Not for the thread's next request either, where a signal's handler has raised in the midst of pinning."""
    other = Replica(Settings, name="other")
    raised: type[Exception] = NotAttached
    with other.override(Settings(5)) if reason == "interrupted" else contextlib.nullcontext():
        if reason == "interrupted":
            raised, enter = TimeoutError, Pin.__enter__

            def interrupted(entering: Pin[Any]) -> Any:
                if entering.snapshot is other.snapshot:
                    raise TimeoutError
                return enter(entering)

            monkeypatch.setattr(Pin, "__enter__", interrupted)
        with pytest.raises(raised):
            one_request(pin, settings, other)
    fake.push(Settings(2))
    assert settings.current.number == 2


def one_request(pin: Any, *replicas: Replica[Settings]) -> None:
    """In this context."""
    if pin is wsgi.Pin:
        serve(wsgi.Pin(lambda environ, start: [], *replicas))
        return

    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Do nothing."""

    with contextlib.suppress(StopIteration):
        request(asgi.Pin(app, *replicas)).send(None)


@pytest.mark.parametrize("count", [1, 2])
def test_a_wsgi_body_may_be_closed_twice(settings: Replica[Settings], fake: Any, count: int):
    other = Replica(Settings, name="other")
    with other.override(Settings(5)):
        body: Any = wsgi.Pin(lambda environ, start: iter([b""]), *(settings, other)[:count])({}, start_response)
        body.close()
        fake.push(Settings(2))
        with settings.pin() as config:
            body.close()
            fake.push(Settings(3))
            assert settings.current is config
    assert settings.current.number == 3


@pytest.mark.parametrize(("kind", "most"), [("wsgi", 8), ("body", 15), ("asgi", 8)])
def test_a_request_is_pinned_by_few_calls(settings: Replica[Settings], fake: Any, kind: str, most: int):
    """Counted: timings depend on the machine. Those of the application, and of this test, are among them."""
    calls: list[str] = []

    def note(frame: Any, event: str, argument: object) -> None:
        if event == "call":
            calls.append(frame.f_code.co_qualname if hasattr(frame.f_code, "co_qualname") else frame.f_code.co_name)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Do nothing."""

    pinned: Any = asgi.Pin(app, settings)
    if kind != "asgi":
        pinned = wsgi.Pin(lambda environ, start: [] if kind == "wsgi" else (each for each in [b""]), settings)
    sys.setprofile(note)
    try:
        if kind == "asgi":
            pinned({"type": "http"}, None, None).send(None)
        else:
            serve(pinned)
    except StopIteration:
        pass
    finally:
        sys.setprofile(None)
    assert len(calls) <= most, calls


def test_a_replica_without_a_configuration_is_an_error(settings: Replica[Settings]):
    with pytest.raises(NotAttached, match="unit"):
        serve(wsgi.Pin(lambda environ, start: [], settings))


async def request(app: asgi.App, kind: str = "http") -> None:
    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        """Nobody listens."""

    await app({"type": kind}, receive, send)


@pytest.mark.parametrize(("kind", "number"), [("http", 1), ("websocket", 1), ("lifespan", 2)])
def test_an_asgi_request_is_pinned_and_a_lifespan_is_not(
    settings: Replica[Settings], fake: Any, kind: str, number: int
):
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        fake.push(Settings(2))
        seen.append(settings.current.number)

    asyncio.run(request(asgi.Pin(app, settings), kind))

    assert seen == [number]
    assert settings.current.number == 2


async def talk(app: asgi.App, messages: int) -> None:
    """Send a WebSocket's handshake, this many messages, and its end."""
    kinds = iter(["connect", *["receive"] * messages, "disconnect"])

    async def receive() -> dict[str, str]:
        return {"type": f"websocket.{next(kinds)}"}

    async def send(message: Any) -> None:
        """Nobody listens."""

    await app({"type": "websocket"}, receive, send)


class Talk:
    """A WebSocket's application: it reads at the start, and with each message before and after a version has come."""

    def __init__(self, settings: Replica[Settings], fake: Any) -> None:
        self.settings = settings
        self.fake = fake
        self.seen: list[int] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.look()
        while (await receive())["type"] != "websocket.disconnect":
            self.look()
        self.seen.append(self.settings.current.number)

    def look(self) -> None:
        before = self.settings.current.number
        self.fake.push(Settings(self.settings.latest.number + 1))
        self.seen += [before, self.settings.current.number]


def test_each_websocket_message_begins_with_the_newest_and_keeps_it(settings: Replica[Settings], fake: Any):
    app = Talk(settings, fake)

    asyncio.run(talk(asgi.Pin(app, settings), 2))

    assert app.seen == [1, 1, 2, 2, 3, 3, 4, 4, 5]


@pytest.mark.parametrize("outer", ["message", "connection"])
def test_a_websocket_that_the_application_pins_as_a_whole_keeps_its_version(
    settings: Replica[Settings], fake: Any, outer: Any
):
    app = Talk(settings, fake)

    asyncio.run(talk(asgi.Pin(asgi.Pin(app, settings, websocket="connection"), settings, websocket=outer), 2))

    assert set(app.seen) == {1}
    assert settings.current.number == 5


def test_a_websocket_whose_messages_the_application_pins_is_not_held_by_a_pin_around_it(
    settings: Replica[Settings], fake: Any
):
    app = Talk(settings, fake)

    asyncio.run(talk(asgi.Pin(asgi.Pin(app, settings), settings, websocket="connection"), 1))

    assert set(app.seen) == {1, 2, 3, 4}


def test_a_task_of_a_websocket_begins_anew_with_each_message_unless_it_pins_for_itself(
    settings: Replica[Settings], fake: Any
):
    seen = []

    async def main() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            renewed = asyncio.Event()

            async def beside(pinned: bool) -> None:
                with settings.pin() if pinned else contextlib.nullcontext():
                    await renewed.wait()
                    seen.append((pinned, settings.current.number))

            tasks = [asyncio.ensure_future(beside(pinned)) for pinned in (True, False)]
            await asyncio.sleep(0)
            fake.push(Settings(2))
            await receive()
            renewed.set()
            await asyncio.gather(*tasks)

        await talk(asgi.Pin(app, settings), 0)

    asyncio.run(main())

    assert sorted(seen) == [(False, 2), (True, 1)]


def test_what_a_websocket_pins_can_be_misspelt_only_loudly(settings: Replica[Settings]):
    with pytest.raises(ValueError, match="'message' or 'connection' is expected"):
        asgi.Pin(request, settings, websocket="conection")  # type: ignore[arg-type]


def test_asgi_requests_side_by_side_each_see_their_own_version(settings: Replica[Settings], fake: Any):
    seen = {}

    async def main() -> None:
        let_go = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            first = settings.current.number
            await let_go.wait()
            seen[first] = settings.current.number

        pinned = asgi.Pin(app, settings)
        requests = []
        for number in (1, 2, 3):
            fake.push(Settings(number))
            requests.append(asyncio.ensure_future(request(pinned)))
            await asyncio.sleep(0)
        let_go.set()
        await asyncio.gather(*requests)

    asyncio.run(main())

    assert seen == {1: 1, 2: 2, 3: 3}


def test_a_task_sees_its_requests_version_while_that_lasts_and_the_newest_afterwards(
    settings: Replica[Settings], fake: Any
):
    seen = []

    async def main() -> None:
        go_on = asyncio.Event()
        tasks = []

        async def beside() -> None:
            seen.append(settings.current.number)
            await go_on.wait()
            seen.append(settings.current.number)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            fake.push(Settings(2))
            tasks.append(asyncio.ensure_future(beside()))
            await asyncio.sleep(0)

        await request(asgi.Pin(app, settings))
        go_on.set()
        await tasks[0]

    asyncio.run(main())

    assert seen == [1, 2]


def test_what_an_asgi_application_raises_ends_the_pin(settings: Replica[Settings], fake: Any):
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        asyncio.run(request(asgi.Pin(app, settings)))

    fake.push(Settings(2))
    assert settings.current.number == 2


@pytest.mark.parametrize("pin", [wsgi.Pin, asgi.Pin])
@pytest.mark.parametrize("given", ["settings", Settings(1), Replica], ids=["name", "configuration", "class"])
def test_what_is_no_replica_is_refused_before_the_first_request(
    pin: Callable[..., object], given: object, settings: Replica[Settings]
) -> None:
    with pytest.raises(TypeError, match="a Replica is expected"):
        pin(print, settings, given)
