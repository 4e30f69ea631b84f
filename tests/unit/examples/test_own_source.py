"""The recipe for a source of one's own: it loads, says where it is wrong, is watched, and is sent to an owner."""

from __future__ import annotations

from pathlib import Path

import pytest

from confcast import ConfigError, ConfigLoader, ConfigReloadManager, Environment
from confcast.examples.recipes.own_source import Ini, Memory, Settings
from tests.support.waiting import eventually

TEXT = """\
# of the search service
name = search

[memory]
Total: 512
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "app.ini"
    path.write_text(TEXT)
    return path


def problems(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Settings, Ini(str(path))).load()
    return [str(problem) for problem in caught.value.problems]


def test_its_values_have_their_places_and_later_sources_override_them(file: Path, monkeypatch: pytest.MonkeyPatch):
    loader = ConfigLoader(Settings, Ini(str(file)), Environment("APP_"))
    candidate = loader.load()
    assert candidate.config == Settings(name="search", memory=Memory(total=512))
    assert (candidate.origin_of("name"), candidate.origin_of("memory.total")) == (f"{file}:2", f"{file}:5")
    monkeypatch.setenv("APP_MEMORY__TOTAL", "7")
    assert loader.load().config == Settings(name="search", memory=Memory(total=7))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "[memory]\ntotal = hunter2\nmore = 1",
            [":2: memory.total: Input should be a valid integer", ":3: memory.more"],
        ),
        ("name = x\nhunter2\n", [":2: is no INI file: ParsingError"]),
        ("name = x\nname = hunter2\n", [":2: is no INI file: DuplicateOptionError"]),
        ("# nothing\n", [": is empty"]),
    ],
)
def test_what_is_wrong_is_reported_with_its_line(file: Path, text: str, told: list[str]):
    file.write_text(text)
    found = problems(file)
    assert [line.startswith(f"{file}{start}") for line, start in zip(found, told, strict=True)] == [True] * len(told)


def test_what_is_no_file_is_an_error_and_not_a_configuration_of_defaults(file: Path, tmp_path: Path):
    assert problems(tmp_path / "none.ini") == [f"{tmp_path}/none.ini: can't be read: No such file or directory"]
    assert "can't be read" in problems(tmp_path)[0]
    file.write_bytes(b"name = \xff")
    assert problems(file) == [f"{file}: is not UTF-8"]


def test_a_change_of_the_file_is_a_reload(file: Path, tmp_path: Path):
    loader = ConfigLoader(Settings, Ini(str(file)))
    with ConfigReloadManager(loader, enable_signal_handler=False, name="ini", state_dir=tmp_path / "state") as manager:
        assert manager.current.memory.total == 512
        file.write_text(TEXT.replace("512", "1024"))
        eventually(lambda: manager.current.memory.total == 1024, "the change is served")
