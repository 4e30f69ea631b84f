"""Starts that fail: they say why, in words, and leave nothing behind."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from confcast import ConfcastError, ConfigError, ConfigLoader, ConfigReloadManager, NotCarried
from confcast.master.start import launch
from tests.support.fragments import Unlisted
from tests.support.leaks import assert_nothing_left, belongings
from tests.support.settings import SCHEMA, text, write


@pytest.mark.parametrize(
    ("content", "reason", "told"),
    [
        (None, "file_not_found", "app.toml: "),
        ("number = 1\ntwin = ", "validation_failed", "app.toml:2:8: "),
        (text(-1), "validation_failed", "app.toml:1:10: number: Input should be greater than or equal to 0 (got -1)"),
    ],
    ids=["missing", "half_written", "out_of_range"],
)
def test_a_bad_first_file_is_raised_at_the_start_and_nothing_is_left(
    content: str | None, reason: str, told: str, config: Path, runtime_folder: Path
) -> None:
    config.unlink()
    if content is not None:
        config.write_text(content)
    manager = ConfigReloadManager(ConfigLoader(SCHEMA, config))

    with pytest.raises(ConfigError) as caught:
        manager.start()

    assert caught.value.reason == reason
    assert caught.value.problems
    assert told in str(caught.value)
    assert list(runtime_folder.iterdir()) == []
    assert "CONFCAST_ADDRESS_APP" not in os.environ


def test_after_a_refused_start_the_same_manager_starts_with_a_good_file(config: Path, runtime_folder: Path) -> None:
    config.unlink()
    manager = ConfigReloadManager(ConfigLoader(SCHEMA, config))
    with pytest.raises(ConfigError):
        manager.start()
    write(config, 1)

    with manager.start():
        assert manager.current.number == 1


def test_a_schema_that_can_t_be_carried_is_refused_at_the_start_by_field(config: Path, runtime_folder: Path) -> None:
    with pytest.raises(NotCarried, match="lock"):
        ConfigReloadManager(ConfigLoader("tests.support.settings:Uncarried", config)).start()

    assert list(runtime_folder.iterdir()) == []


def test_a_schema_that_can_t_be_imported_is_refused_at_the_start(config: Path, runtime_folder: Path) -> None:
    with pytest.raises(ConfcastError, match="no_such_module"):
        ConfigReloadManager(ConfigLoader("no_such_module:Settings", config)).start()

    assert list(runtime_folder.iterdir()) == []


def test_no_module_of_the_owner_s_is_looked_for_in_the_working_directory(
    config: Path, runtime_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service may be started where anybody has put a file that is called as one of the standard library's."""
    folder = tmp_path / "anywhere"
    folder.mkdir()
    (folder / "queue.py").write_text("raise SystemExit('not the standard library')\n")
    monkeypatch.chdir(folder)

    with ConfigReloadManager(ConfigLoader(SCHEMA, config)) as manager:
        assert manager.reload()


def test_where_no_thread_can_be_started_nobody_is_left_with_an_owner(
    config: Path, runtime_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    before = belongings()
    manager = ConfigReloadManager(ConfigLoader(SCHEMA, config))
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)

        with pytest.raises(ConfcastError, match="can't be started: can't start new thread"):
            manager.start()

    assert_nothing_left(before, runtime_folder)
    with manager.start():
        assert manager.version == 1


def test_where_no_process_can_be_made_that_is_said(
    config: Path, runtime_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(launch, "execute", refuse)

    with pytest.raises(ConfcastError, match=r"the config owner could not be started: .*Too many open files"):
        ConfigReloadManager(ConfigLoader(SCHEMA, config)).start()


def test_a_working_directory_that_was_deleted_is_said(
    config: Path, runtime_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "released"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()

    with pytest.raises(ConfcastError, match="the working directory was deleted"):
        ConfigReloadManager(ConfigLoader(SCHEMA, config)).start()


def test_a_source_that_can_not_name_its_files_is_reported_as_what_is_wrong_with_the_configuration(
    config: Path, runtime_folder: Path, tmp_path: Path
) -> None:
    loader = ConfigLoader(SCHEMA, config, Unlisted(str(tmp_path)))

    with pytest.raises(ConfigError, match=r"Unlisted.watched\(\) raised LookupError: the service that knows is away"):
        ConfigReloadManager(loader).start()

    assert list(runtime_folder.iterdir()) == []


def test_a_path_that_is_no_utf_8_is_named(
    config: Path, runtime_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "caf\udce9"
    folder.mkdir()
    monkeypatch.chdir(folder)

    with pytest.raises(ConfcastError, match=r"caf\\udce9', which is no UTF-8"):
        ConfigReloadManager(ConfigLoader(SCHEMA, config)).start()
