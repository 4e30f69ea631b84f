"""The example's WSGI application, as an application's own unit test: `override()`, no owner and no process."""

from __future__ import annotations

import json
import os
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from confcast import ConfigError
from confcast.examples.leindex.app import Application, app
from confcast.examples.leindex.app import service as module_service
from confcast.examples.leindex.schema import MCPConfig
from confcast.examples.leindex.search import SearchService
from confcast.examples.leindex.settings import settings


def ask(application: Application, method: str, path: str, query: str = "") -> tuple[str, dict[str, Any]]:
    """The status and the body of one request."""
    seen: list[str] = []
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "wsgi.input": BytesIO()}
    body = b"".join(
        application(environ, lambda status, headers, exc_info=None: seen.append(status) or (lambda _: None))
    )
    return seen[0], json.loads(body)


@pytest.fixture
def service(tmp_path: Path) -> SearchService:
    Path(tmp_path, "a.txt").write_text("the owner loads", encoding="utf-8")
    return SearchService(tmp_path)


def configured(service: SearchService, config: MCPConfig) -> None:
    service.size_cache(None, config)
    service.size_index(None, config)


def test_an_answer_says_which_process_gave_it_with_which_version(service: SearchService) -> None:
    configured(service, MCPConfig())
    with settings.override(MCPConfig()):
        status, answer = ask(Application(service), "GET", "/search", "q=owner")
        assert answer["version"] == settings.version
    assert status == "200 OK"
    assert answer["pid"] == os.getpid()
    assert [hit["file"] for hit in answer["hits"]] == ["a.txt"]


def test_the_status_has_the_whole_configuration(service: SearchService) -> None:
    with settings.override(MCPConfig()):
        status, answer = ask(Application(service), "GET", "/")
    assert (status, answer["config"]) == ("200 OK", MCPConfig().model_dump())


def test_the_health_is_bad_until_the_folder_is_indexed(service: SearchService) -> None:
    with settings.override(MCPConfig()):
        assert ask(Application(service), "GET", "/health")[0] == "503 Service Unavailable"
        configured(service, MCPConfig())
        assert ask(Application(service), "GET", "/health")[0] == "200 OK"


def test_a_new_file_is_found_after_a_look(service: SearchService, tmp_path: Path) -> None:
    configured(service, MCPConfig())
    Path(tmp_path, "b.txt").write_text("another", encoding="utf-8")
    with settings.override(MCPConfig()):
        assert ask(Application(service), "POST", "/index")[1]["indexed"] == 2
        assert ask(Application(service), "GET", "/search", "q=another")[1]["hits"][0]["file"] == "b.txt"


def test_a_drill_is_armed_by_a_request(service: SearchService) -> None:
    with settings.override(MCPConfig()):
        assert ask(Application(service), "POST", "/veto", "reason=a+drill")[1]["veto"] == "a drill"
    with pytest.raises(ValueError, match="a drill"):
        service.refuse(MCPConfig(), MCPConfig())


@pytest.mark.parametrize(("method", "path"), [("GET", "/nope"), ("GET", "/reload"), ("POST", "/search")])
def test_what_is_no_route_is_answered_with_the_routes(service: SearchService, method: str, path: str) -> None:
    with settings.override(MCPConfig()):
        status, answer = ask(Application(service), method, path)
    assert status == "404 Not Found"
    assert "/search" in answer["error"]


def test_a_change_resizes_what_the_service_holds_and_a_drill_refuses_it() -> None:
    before, after = (MCPConfig.model_validate({"memory": {"total_budget_mb": total}}) for total in (2048, 4096))
    module_service.size_cache(None, before)  # it is the module's, and another test may have sized it
    with settings.override(before) as fake:
        limit = module_service.cache.limit
        fake.push(after)
        assert module_service.cache.limit > limit
        ask(app, "POST", "/veto", "reason=a+drill")
        with pytest.raises(ConfigError, match="a drill"):
            fake.push(before)
        assert settings.current == after
        assert module_service.cache.limit > limit
