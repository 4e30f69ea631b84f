"""uvicorn's configuration as a worker loads it: whatever the interface, a request is pinned, and nothing after it."""

from __future__ import annotations

import asyncio
import signal
import ssl
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from confcast import Replica, SchemaMismatch
from confcast.servers.uvicorn import worker as uvicorn_worker
from confcast.servers.uvicorn.worker import EmbeddedConfig
from tests.support.certificates import Authority, context_of, handshake
from tests.support.number import Settings


class Worker(SimpleNamespace):
    """A worker's part that attaches these replicas, and records when."""

    def __init__(self, *attached: Replica[Any], error: Exception | None = None) -> None:
        super().__init__(steps=[], attached=list(attached), error=error, version_header=None)

    def attach_first(self) -> None:
        self.steps.append("first")
        if self.error is not None:
            raise self.error

    def attach_declared(self) -> list[Replica[Any]]:
        self.steps.append("declared")
        return self.attached

    def warn_of_no_replica(self) -> None:
        self.steps.append("warn")


def loaded(app: Any, worker: Worker, **options: Any) -> EmbeddedConfig:
    """A configuration that has loaded this application, as uvicorn's server makes it load."""
    config = EmbeddedConfig(app, log_config=None, **options)
    config.worker = worker
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of uvicorn's own WSGI
        config.load()
    return config


def served(config: EmbeddedConfig, count: int) -> list[bytes]:
    """The bodies of this many requests, one after the other."""

    async def serve() -> bytes:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b""}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "http_version": "1.1"}
        await config.loaded_app({**scope, "headers": [], "scheme": "http"}, receive, send)
        return b"".join(message.get("body", b"") for message in sent)

    async def all_of_them() -> list[bytes]:
        return [await serve() for _ in range(count)]

    return asyncio.run(all_of_them())


def wsgi_apps(settings: Replica[Settings], fake: Any) -> dict[str, Callable[..., Iterable[bytes]]]:
    """Applications that read, change the configuration, and read again."""

    def generates(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        yield b"%d" % settings.current.number
        fake.push(Settings(settings.latest.number + 1))
        yield b"%d " % settings.current.number

    def returns(environ: Any, start_response: Any) -> Iterable[bytes]:
        return list(generates(environ, start_response))

    return {"generates": generates, "returns": returns}


@pytest.mark.parametrize("kind", ["generates", "returns"])
@pytest.mark.parametrize("factory", [None, "said", "unsaid"])
def test_a_wsgi_request_sees_one_version_and_the_next_one_in_its_thread_another(
    kind: str, factory: str | None, settings: Replica[Settings], fake: Any
):
    worker, app = Worker(settings), wsgi_apps(settings, fake)[kind]
    config = loaded(app if factory is None else lambda: app, worker, interface="wsgi", factory=factory == "said")

    assert served(config, 3) == [b"11 ", b"22 ", b"33 "]
    assert worker.steps == ["first", "declared", "warn"]


@pytest.mark.parametrize("version", [2, 3])
def test_an_asgi_request_sees_one_version_and_so_does_its_task(version: int, settings: Replica[Settings], fake: Any):
    async def number() -> bytes:
        return b"%d " % settings.current.number

    async def asgi3(scope: Any, receive: Any, send: Any) -> None:
        first = b"%d" % settings.current.number
        fake.push(Settings(settings.latest.number + 1))
        await send({"type": "http.response.body", "body": first + await asyncio.create_task(number())})

    def asgi2(scope: Any) -> Any:
        async def instance(receive: Any, send: Any) -> None:
            await asgi3(scope, receive, send)

        return instance

    assert served(loaded(asgi3 if version == 3 else asgi2, Worker(settings)), 3) == [b"11 ", b"22 ", b"33 "]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SchemaMismatch("color is new here"), "this worker can't attach and exits: color is new here: restart uvicorn"),
        (SyntaxError("no"), "this worker can't attach and exits: the schema can't be imported: SyntaxError: no"),
    ],
)
def test_the_only_process_that_can_not_attach_ends_in_words(
    error: Exception, text: str, caplog: pytest.LogCaptureFixture
):
    with pytest.raises(SystemExit) as ended:
        loaded("nothing:app", Worker(error=error))

    assert ended.value.code == 1
    assert text in caplog.text


@pytest.mark.parametrize("interface", ["asgi3", "wsgi"])
def test_a_replica_that_has_no_owner_keeps_no_request_from_being_served(interface: Any, settings: Replica[Settings]):
    async def asgi3(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.body", "body": b"served"})

    def wsgi(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [b"served"]

    assert served(loaded(wsgi if interface == "wsgi" else asgi3, Worker(), interface=interface), 1) == [b"served"]


def test_a_worker_that_can_not_attach_pauses_before_it_ends_so_that_respawning_does_not_spin(
    monkeypatch: pytest.MonkeyPatch,
):
    steps: list[Any] = []
    monkeypatch.setattr(uvicorn_worker.time, "sleep", steps.append)
    monkeypatch.setattr(uvicorn_worker.signals, "unblock", lambda **_: steps.append("signals"))
    monkeypatch.setattr(uvicorn_worker.os, "_exit", lambda status: sys.exit(status + 100))

    with pytest.raises(SystemExit) as ended:
        loaded("nothing:app", Worker(error=SchemaMismatch("color is new here")), workers=2)

    assert ended.value.code == 101
    assert steps == ["signals", 1.0]


@pytest.mark.parametrize("made_by", ["uvicorn", "a factory", "a factory alone", "a factory that reads other files"])
def test_a_hup_renews_the_context_whoever_has_made_it(made_by: str, tmp_path: Path):
    authority = Authority(tmp_path)
    options: dict[str, Any] = {"ssl_certfile": str(authority.certfile), "ssl_keyfile": str(authority.keyfile)}

    def factory(config: Any, default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        return default() if made_by == "a factory" else context_of(authority)

    if made_by == "a factory that reads other files":
        options = {}
    if made_by != "uvicorn":
        options["ssl_context_factory"] = factory

    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Nobody asks it."""

    config = loaded(app, Worker(), **options)
    assert config.ssl is not None
    for name in ("second", "third"):
        authority.issue(name)
        config.refresh.on_signal(signal.SIGHUP)
        config.refresh.tick()
        assert handshake(config.ssl) == name
