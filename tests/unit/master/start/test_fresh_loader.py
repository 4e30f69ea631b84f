"""A loader that is found by a process of its own: under the code of now, and with nothing imported here."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from confcast import ConfigError
from confcast.errors import Problem
from confcast.master.embedded import EmbeddedManager
from confcast.master.start import fresh_loader
from confcast.servers.common import launching
from confcast.wire.signal_mask import BLOCKED_AT_THE_START

SETTINGS = "import msgspec\nclass Settings(msgspec.Struct):\n    number: int\n"
SOURCES = "from confcast import ConfigLoader\nfrom fresh_settings import Settings\nprint('imported')\n"
LOADER = "loader = ConfigLoader(Settings, 'a.toml', overrides={'number': 1})\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "fresh_settings.py").write_text(SETTINGS)
    (tmp_path / "fresh_sources.py").write_text(SOURCES + LOADER)
    return tmp_path


def found_problem(path: str) -> Problem:
    with pytest.raises(ConfigError) as refused:
        EmbeddedManager.find_afresh(path)
    (problem,) = refused.value.problems
    return problem


def test_it_is_the_one_of_the_code_on_disk_and_nothing_is_imported_here(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    first = EmbeddedManager.find_afresh("fresh_sources:loader")
    assert (first.schema_path, len(first._to_spec().sources)) == ("fresh_settings:Settings", 1)
    (folder / "fresh_sources.py").write_text(SOURCES + LOADER.replace("'a.toml',", "'a.toml', 'b.toml',"))

    second = EmbeddedManager.find_afresh("fresh_sources:loader")

    assert len(second._to_spec().sources) == 2
    assert not {"fresh_sources", "fresh_settings"} & sys.modules.keys()


def test_an_answer_of_any_size_arrives(folder: Path) -> None:
    (folder / "fresh_sources.py").write_text(SOURCES + LOADER.replace("1}", "1, 'text': 'x' * 1_000_000}"))

    assert len(EmbeddedManager.find_afresh("fresh_sources:loader")._to_spec().overrides) > 1_000_000


def test_code_that_is_broken_now_says_where(folder: Path) -> None:
    (folder / "fresh_settings.py").write_text("1 / 0\n")

    problem = found_problem("fresh_sources:loader")

    assert problem.message == "fresh_sources can't be imported: ZeroDivisionError: division by zero"
    assert problem.location == f"{folder}/fresh_settings.py:1"


def test_a_loader_that_can_not_be_sent_says_why(folder: Path) -> None:
    (folder / "fresh_sources.py").write_text(SOURCES + LOADER.replace("1}", "object()}"))

    assert "the override number is a object, which the config owner can't be sent" in str(
        found_problem("fresh_sources:loader")
    )


def test_a_module_that_ends_its_process_is_said(folder: Path) -> None:
    (folder / "fresh_sources.py").write_text("import os\nos._exit(7)\n")

    assert "the process that imports its module ended with status 7" in str(found_problem("fresh_sources:loader"))


def test_a_module_that_is_never_imported_is_given_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh_loader, "_IMPORT_TIMEOUT", 0.5)
    (folder / "fresh_sources.py").write_text("import threading\nthreading.Event().wait()\n")

    with pytest.raises(ConfigError, match=r"its module was not imported within 0\.5 s"):
        EmbeddedManager.find_afresh("fresh_sources:loader")


def test_a_frozen_program_is_not_started_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(fresh_loader.subprocess, "Popen", lambda *_, **__: pytest.fail("started"))

    assert "is a frozen program, and no Python interpreter. Name an" in found_problem("fresh_sources:loader").message


def test_the_interpreter_that_a_launcher_is_given_finds_it(folder: Path, tmp_path: Path) -> None:
    python = tmp_path / "python-named"
    python.write_text(f'#!/bin/sh\ntouch {tmp_path}/asked\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)

    line = launching.parse("granian", ["--loader", "fresh_sources:loader", "--executable", str(python)])

    assert line.find_afresh().schema_path == line.fresh_loader.schema_path == "fresh_settings:Settings"
    assert (tmp_path / "asked").exists()


def test_it_is_like_this_process_and_its_command_line_shows_no_path(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Path in the search path is none for Python either, and an option of -X is passed on."""
    monkeypatch.setattr(sys, "path", [folder, *sys.path])
    monkeypatch.setitem(sys._xoptions, "fresh", "1")
    asks = "import sys\nassert sys._xoptions['fresh'] == '1'\n"
    asks += f"assert not [each for each in sys.orig_argv if {str(folder)!r} in each]\n"
    (folder / "fresh_sources.py").write_text(asks + SOURCES + LOADER)

    assert EmbeddedManager.find_afresh("fresh_sources:loader").schema_path == "fresh_settings:Settings"


def test_what_is_sent_to_every_process_of_a_service_ends_it_at_no_time(folder: Path, tmp_path: Path) -> None:
    numbers = [int(number) for number in sorted(BLOCKED_AT_THE_START)]
    python = tmp_path / "python-named"
    sent_first = "".join(f"kill -{number} $$\n" for number in numbers)
    python.write_text(f'#!/bin/sh\n{sent_first}exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    sent_later = f"import os, signal\nfor number in {numbers}:\n    os.kill(os.getpid(), number)\n"
    inherits_no_mask = "assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())\n"
    (folder / "fresh_sources.py").write_text(sent_later + inherits_no_mask + SOURCES + LOADER)

    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    found = EmbeddedManager.find_afresh("fresh_sources:loader", executable=str(python))

    assert found.schema_path == "fresh_settings:Settings"
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
