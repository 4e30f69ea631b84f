"""Every launcher's command line without a start: the server is not installed, or help or version is printed."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys

import pytest

OPTIONS = {
    "uvicorn": "--limit-max-requests",
    "granian": "--respawn-failed-workers",
    "hypercorn": "--max-requests-jitter",
}


def ended(server: str, *arguments: str) -> object:
    """The exit status of that server's launcher."""
    with pytest.raises(SystemExit) as exit_:
        importlib.import_module(f"confcast.servers.{server}").main(arguments)
    return exit_.value.code


@pytest.mark.parametrize("server", OPTIONS)
def test_a_server_that_is_not_installed_is_said_in_words(
    server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(sys.modules, server, None)

    assert ended(server) == 3
    assert capsys.readouterr() == ("", f"confcast: {server} is not installed: pip install 'confcast[{server}]'\n")


@pytest.mark.parametrize("server", OPTIONS)
def test_the_help_has_confcast_s_options_and_then_the_servers_own(server: str, capsys: pytest.CaptureFixture[str]):
    assert ended(server, "--help") == 0

    said = capsys.readouterr().out
    assert said.index("--loader MODULE:NAME") < said.index(OPTIONS[server])


@pytest.mark.parametrize("server", ["uvicorn", "granian"])  # hypercorn's own command line names none
def test_the_version_is_the_servers_and_takes_no_loader(server: str, capsys: pytest.CaptureFixture[str]):
    assert ended(server, "--version") == 0
    assert importlib.metadata.version(server) in capsys.readouterr().out
