"""Starts that fail: they say why, in words, and leave nothing behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from confcast import ConfcastError, ConfigError, ConfigLoader, ConfigReloadManager, NotCarried
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
