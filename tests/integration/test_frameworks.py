"""The example of each web framework under a real server: a HUP reaches every worker, and no request is of two versions.

A request is held at a gate in its view, and at another one in its body, while versions change. Synchronous code of an
asynchronous framework runs in threads, and has to see its request's version there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from tests.support.embedding import hold
from tests.support.examples import Server, Uvicorn
from tests.support.gate import Gate
from tests.support.load import Load
from tests.support.server import servers_of
from tests.support.waiting import eventually


class Framework:
    """What every one of them does, under one server for all tests of its class."""

    kind: ClassVar[type[Server]] = Server
    application: ClassVar[str]
    arguments: ClassVar[tuple[str, ...]] = ()

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
        with servers_of(cls.kind, tmp_path_factory.mktemp("site")) as make:
            yield make(application=cls.application, arguments=cls.arguments).start()

    def test_a_hup_reaches_every_worker_and_a_request_that_runs_stays_on_its_version(
        self, server: Server, tmp_path: Path
    ):
        before, old = server.pids(), server.number
        in_call, in_body, held = hold(server, tmp_path)

        with Load(lambda: server.ask("read")["number"]) as load:
            server.reload_by_hup()
            in_call.let_go()
            in_body.await_load()
            newest = server.reload_by_hup()
            load.go_on()
        in_body.let_go()

        assert held() == [old, old, old]
        answers = server.everyone()
        assert set(answers) == before
        assert {answer["number"] for answer in answers.values()} == {newest}
        assert server.crashes() == []


@pytest.mark.slow
class TestFlask(Framework):
    application = "flask_site:app"
    arguments = ("-k", "gthread", "--threads", "2")


class TestDjango(Framework):
    application = "django_site:application"
    arguments = ("-k", "gthread", "--threads", "2")


@pytest.mark.slow
class TestDjangoAsgi(Framework):
    application = "django_site:asgi_application"
    arguments = ("-k", "asgi")


@pytest.mark.slow
class TestStarlette(Framework):
    application = "starlette_site:app"
    arguments = ("-k", "asgi")


class TestFastAPI(Framework):
    kind = Uvicorn
    application = "fastapi_site:app"

    def test_a_background_task_is_of_its_request_and_what_outlives_it_is_not(self, server: Server, tmp_path: Path):
        (tmp_path / "task").mkdir()
        in_task = Gate(tmp_path / "task" / "gate")
        in_task.shut()
        old = server.number
        in_call, in_body, held = hold(server, tmp_path)

        server.reload_by_hup()
        in_call.let_go()
        in_body.await_load()
        in_body.let_go()
        assert held() == [old, old, old]
        in_task.await_load()
        newest = server.reload_by_hup()
        in_task.let_go()

        outlived = tmp_path / "outlived"
        eventually(lambda: outlived.exists() and outlived.read_text(), "what the task saw")
        assert ((tmp_path / "background").read_text(), outlived.read_text()) == (str(old), str(newest))
