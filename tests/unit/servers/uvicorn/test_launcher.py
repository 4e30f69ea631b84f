"""uvicorn's launcher serves with the options that uvicorn's own command line parses, and says why it refuses."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import uvicorn
from uvicorn.config import LOGGING_CONFIG

from confcast import ConfigLoader
from confcast.servers import uvicorn as launcher
from confcast.servers.common import launching
from confcast.servers.uvicorn import supervisor

LOADER = ["--loader", "tests.unit.servers.uvicorn.test_launcher:loader"]

loader: ConfigLoader[Any] = ConfigLoader("nowhere:Settings", "app.toml")


def ended(arguments: list[str]) -> object:
    """The exit status of the launcher's command line."""
    with pytest.raises(SystemExit) as exit_:
        launcher.main(arguments)
    return exit_.value.code


def given_on(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> tuple[str, dict[str, Any]]:
    """The application and the options that the launcher serves with."""
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setattr(supervisor, "serve", lambda *call: calls.append(call))
    assert ended([*LOADER, "--name", "other", *arguments]) == 0
    ((app, embedded, config),) = calls
    assert (embedded.name, embedded.worker) == ("other", launching.Worker("nowhere:Settings", "other"))
    return app, {**config, "app_dir": sys.path[0]}


def uvicorns_own(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> tuple[str, dict[str, Any]]:
    """What uvicorn's command line gives to `uvicorn.run`."""
    calls: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(sys.modules["uvicorn.main"], "run", lambda app, **config: calls.append((app, config)))
    uvicorn.main.main(arguments, prog_name="uvicorn", standalone_mode=False)
    ((app, config),) = calls
    del config["reload"]
    if config["log_config"] is LOGGING_CONFIG:
        del config["log_config"]
    return app, config


@pytest.mark.parametrize(
    "arguments",
    [
        ["app:app"],
        ["app:app", "--workers", "4", "--host", "::1", "--port", "0", "--header", "a:b:c", "--header", "d:e"],
        ["--factory", "--app-dir", "somewhere", "--fd", "3", "app:make", "--interface", "wsgi", "--log-level", "debug"],
        ["app:app", "--uds", "socket", "--no-access-log", "--limit-max-requests", "9", "--timeout-keep-alive", "1"],
    ],
)
def test_uvicorns_options_come_out_as_uvicorn_makes_them(arguments: list[str], monkeypatch: pytest.MonkeyPatch):
    assert given_on(arguments, monkeypatch) == uvicorns_own(arguments, monkeypatch)


def test_uvicorns_variables_count(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("UVICORN_APP", "other:app")
    monkeypatch.setenv("UVICORN_WORKERS", "3")

    app, config = given_on([], monkeypatch)

    assert (app, config["workers"]) == ("other:app", 3)
    assert (app, config) == uvicorns_own([], monkeypatch)


def test_a_log_configuration_is_given_on(tmp_path: Any, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "log.json"
    path.write_text("{}")

    assert given_on(["app:app", "--log-config", str(path)], monkeypatch)[1]["log_config"] == str(path)


@pytest.mark.parametrize("variable", [None, "1"])
def test_reload_is_refused_in_words(
    variable: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    if variable:
        monkeypatch.setenv("UVICORN_RELOAD", variable)

    assert ended([*LOADER, "app:app", *([] if variable else ["--reload"])]) == 2
    assert "--reload replaces the workers" in capsys.readouterr().err


def test_several_workers_of_an_application_that_is_an_object_are_refused_in_words(capsys: pytest.CaptureFixture[str]):
    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Never called."""

    with pytest.raises(SystemExit) as exit_:
        launcher.run(app, loader, workers=2, log_config=None)

    assert exit_.value.code == 3
    assert "as an import string" in capsys.readouterr().err


def test_a_loader_that_is_not_there_ends_with_status_78(capsys: pytest.CaptureFixture[str]):
    assert ended(["--loader", "nowhere:loader", "app:app"]) == 78
    assert "--loader nowhere:loader" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["app:app", "--bogus"], ["--workers", "many", "app:app"], []])
def test_what_uvicorn_refuses_ends_with_its_status(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    assert ended([*LOADER, *arguments]) == 2
    assert "Error: " in capsys.readouterr().err


def test_a_value_that_the_manager_refuses_ends_with_status_3(capsys: pytest.CaptureFixture[str]):
    assert ended([*LOADER, "--vote-timeout", "-1", "app:app"]) == 3
    assert "vote_timeout=-1.0: a number of seconds above 0 is expected" in capsys.readouterr().err
