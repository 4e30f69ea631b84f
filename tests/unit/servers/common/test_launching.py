"""All launchers share their command line, the start of the owner, and what a worker does first."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from confcast import Canary, ConfcastError, ConfigError, NotAttached, NotCarried, Replica, probes
from confcast.errors import Problem
from confcast.servers.common import launching
from tests.support.waiting import DEADLINE


class Settings(msgspec.Struct):
    number: int = 0


def test_options_of_confcast_are_taken_from_anywhere_in_the_line():
    line = launching.parse(
        "server",
        ["app:app", "--loader", "a:b", "--workers", "4", "--no-watch", "-v", "--vote-timeout=3", "--silent", "refuse"],
    )

    assert line.path == "a:b"
    assert line.options == {"watch": False, "vote_timeout": 3.0, "silent": "refuse"}
    assert line.rest == ["app:app", "--workers", "4", "-v"]


def test_what_comes_after_two_dashes_is_the_servers():
    line = launching.parse("server", ["--loader", "a:b", "app:app", "--", "--name", "x"])

    assert line.options == {}
    assert line.rest == ["app:app", "--", "--name", "x"]


def test_no_option_is_guessed_from_its_beginning():
    assert launching.parse("server", ["--loader=a:b", "--no-w", "--log", "x"]).rest == ["--no-w", "--log", "x"]


def test_the_level_of_the_owners_log_is_no_option_of_any_servers() -> None:
    """`--log-level` is one of uvicorn's, granian's and hypercorn's."""
    line = launching.parse("server", ["--loader=a:b", "app", "--log-level", "debug", "--owner-log-level", "warning"])
    assert line.options == {"log_level": "warning"}
    assert line.rest == ["app", "--log-level", "debug"]


def test_a_launcher_says_how_versions_are_tried_and_when_they_are_undone() -> None:
    tried = ["--canary=25%", "--canary-for=90", "--canary-by=entity", "--probation=0", "--max-deaths=3"]
    line = launching.parse("server", ["--loader=a:b", *tried, "--max-error-rate=0.05", "app"])
    canary = Canary("25%", seconds=90.0, by="entity")
    assert line.options == {"canary": canary, "probation": 0.0, "max_deaths": 3, "max_error_rate": 0.05}
    assert line.rest == ["app"]


def test_a_launcher_names_probes_by_url_or_program() -> None:
    asked = ["--probe=http://127.0.0.1:8000/healthz", "--probe", "bin/smoke-test --quick"]
    line = launching.parse("server", ["--loader=a:b", *asked, "app"])
    assert line.options == {
        "probes": [probes.Http("http://127.0.0.1:8000/healthz"), probes.Command(["bin/smoke-test", "--quick"])]
    }
    assert line.rest == ["app"]


def test_a_launcher_takes_the_name_of_the_version_s_header(capsys: pytest.CaptureFixture[str]) -> None:
    line = launching.parse("server", ["--loader=a:b", "--version-header", "X-Config-Version", "app"])
    assert (line.options, line.rest) == ({"version_header": "X-Config-Version"}, ["app"])
    assert launching.split(line.options) == ({}, "X-Config-Version")
    with pytest.raises(SystemExit, match="2"):
        launching.parse("server", ["--loader=a:b", "--version-header", "X Config", "app"])
    assert "--version-header: version_header='X Config': a header's name is expected" in capsys.readouterr().err


def test_install_takes_it_where_there_are_answers() -> None:
    launching.check_install({"version_header": "X"}, "its loop", launching.ServerOptions)
    with pytest.raises(TypeError, match=r"install\(\) takes no option 'version_header'"):
        launching.check_install({"version_header": "X"}, "celery's timer")


def test_a_launcher_takes_the_labels_of_its_host() -> None:
    line = launching.parse("server", ["--loader=a:b", "--label", "ring=canary", "--label=zone=eu-1", "app"])
    assert line.options == {"labels": {"ring": "canary", "zone": "eu-1"}}
    assert line.rest == ["app"]


@pytest.mark.parametrize("wrong", ["ring", "=canary", "ring=", "ring=a=b", "ring=two words", "r\u00efng=x"])
def test_a_launcher_refuses_what_is_no_label(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        launching.parse("server", ["--loader=a:b", "--label", wrong])
    assert "argument --label: " in capsys.readouterr().err


def test_a_label_has_one_value(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        launching.parse("server", ["--loader=a:b", "--label", "ring=a", "--label", "ring=b"])
    assert "--label: each name has one value" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong",
    ["--probe=", "--probe=http:///x", "--canary=some", "--canary-for=90", "--max-deaths=few", "--max-error-rate=5%"],
)
def test_a_launcher_refuses_a_trial_that_can_not_be(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        launching.parse("server", ["--loader=a:b", wrong])
    assert "error: " in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--loader"], ["--loader=a:b", "--vote-timeout", "soon"], ["--silent=loud"]])
def test_a_line_that_can_not_be_meant_ends_with_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        launching.parse("server", arguments)

    assert ended.value.code == 2
    assert "python -m confcast.servers.server: error: " in capsys.readouterr().err


def test_a_line_without_a_loader_says_so(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        launching.parse("server", ["app:app"])

    said = capsys.readouterr().err
    assert "--loader MODULE:NAME says what to load; it is missing" in said
    assert len(said.splitlines()) <= 5, "all options would hide the error: they are in the help"


def test_the_loader_is_looked_for_when_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    line = launching.parse("server", ["--loader", "launched_sources:loader"])
    (tmp_path / "launched_sources.py").write_text(
        "from confcast import ConfigLoader\nloader = ConfigLoader('nowhere:Settings', 'app.toml')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    assert line.loader.schema_path == "nowhere:Settings"


def test_a_loader_that_is_not_there_ends_with_status_78_in_words(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        launching.parse("server", ["--loader", "nowhere.at_all:loader"]).loader  # noqa: B018 - a property

    assert ended.value.code == 78
    assert "--loader nowhere.at_all:loader" in capsys.readouterr().err


def test_a_package_that_is_not_there_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "granian", None)

    with pytest.raises(ConfcastError, match=r"granian is not installed: pip install 'confcast\[granian\]'"):
        launching.require("granian", "granian")


def test_a_package_that_is_broken_is_not_taken_for_a_missing_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "broken_server.py").write_text("import nothing_of_this_name\n")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ModuleNotFoundError, match="nothing_of_this_name"):
        launching.require("broken_server", "broken")


PROBLEM = Problem("number", "a number is expected", "app.toml:1:10")


@pytest.mark.parametrize(
    ("server", "text"),
    [("gunicorn", "gunicorn has a conf file to embed in"), ("celery", "celery is embedded where its app is made")],
)
def test_a_server_without_a_launcher_says_so(server: str, text: str):
    """Without a text and with status 0 the command would look as if it had served and ended."""
    command = [sys.executable, "-m", f"confcast.servers.{server}", "--loader", "sources:loader", "app:app"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert text in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (ConfigError([PROBLEM]), 78, "the configuration is refused, server does not start\napp.toml:1:10: number"),
        (NotCarried([PROBLEM]), 78, "the schema can't be carried"),
        (ConfcastError("no folder"), 3, "the config owner could not start: no folder"),
        (OSError("no memory"), 3, "the config owner could not start: no memory"),
    ],
)
def test_an_owner_that_can_not_start_ends_the_master_in_words(
    error: Exception, status: int, text: str, capsys: pytest.CaptureFixture[str]
):
    def start() -> None:
        raise error

    manager: Any = SimpleNamespace(start=start)
    with pytest.raises(SystemExit) as ended:
        launching.start("server", manager)

    assert ended.value.code == status
    assert text in capsys.readouterr().err


class Declared:
    """A replica that can't attach, if it is made so."""

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.name = name
        self.error = error

    def attach(self, timeout: float) -> Declared:
        if self.error is not None:
            raise self.error
        return self


def test_a_worker_attaches_all_that_has_an_owner(monkeypatch: pytest.MonkeyPatch):
    mine, other = Declared("app"), Declared("other", NotAttached("no address"))
    monkeypatch.setattr(launching, "declared", lambda: (other, mine))

    worker = launching.Worker(f"{__name__}:Settings", "app")
    worker.attach_first()

    assert worker.attach_declared() == [mine]


PROGRAM = """\
import msgspec
from confcast import ConfigLoader, NotAttached, Replica
from confcast.servers.common.launching import Worker

class Settings(msgspec.Struct):
    number: int

settings = Replica(Settings)
try:
    Worker(ConfigLoader(Settings).schema_path, "app").attach_first()
except NotAttached as error:
    print(error)
"""


@pytest.mark.parametrize("arguments", [("program.py",), ("-m", "program")])
def test_a_worker_knows_a_schema_of_the_main_program(arguments: tuple[str, ...], tmp_path: Path):
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=2 * DEADLINE)

    assert (done.returncode, done.stderr) == (0, "")
    assert "CONFCAST_ADDRESS_APP" in done.stdout


def test_a_worker_that_has_no_owner_for_its_own_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(launching, "declared", lambda: (Declared("app", NotAttached("no address")),))

    with pytest.raises(NotAttached, match="no address"):
        launching.Worker("json:x", "app").attach_declared()


def test_a_worker_whose_application_declares_another_name_is_warned(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.WARNING, "confcast.servers"):
        replica = Replica(Settings, name="launched")
        monkeypatch.setattr(launching, "declared", lambda: (replica,))
        launching.Worker("json:x", "launched").warn_of_no_replica()
        assert caplog.messages == []
        launching.Worker("json:x", "app").warn_of_no_replica()

    (message,) = caplog.messages
    assert "no Replica named 'app' is declared in this worker; declared here: 'launched'" in message


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([], ""),
        (["cart"], ""),  # "cart" has an install() of its own
        (["shop", "cart"], "; declared here: 'shop': pass one of these as name= to install()"),
        (["shop", "hall"], "; declared here: 'shop', 'hall': pass one of these as name= to install()"),
    ],
)
def test_a_worker_without_its_replica_says_which_are_declared_and_how_to_take_one(
    names: list[str], told: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(launching, "declared", lambda: tuple(SimpleNamespace(name=name) for name in names))

    launching.warn_of_no_replica(logging.getLogger("no replica"), "app", {"app", "cart"})

    assert caplog.messages == [f"confcast: no Replica named 'app' is declared in this worker{told}"]
