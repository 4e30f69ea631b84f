"""What a source reads beyond its own files, several layers of one source, and warnings about what was read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from pydantic import BaseModel

from confcast.config.loader import ConfigLoader
from confcast.config.sources import disk
from confcast.config.sources.file import File
from confcast.config.sources.layer import Layer, Layers, fingerprint_of
from confcast.errors import ConfigError


class Settings(BaseModel):
    name: str = ""
    port: int = 80


class Named(msgspec.Struct, frozen=True):
    """Its file has the name of another, whose content is the value."""

    path: str

    def read(self) -> Layer:
        return self.read_noting(lambda path, fingerprint: None)

    def read_noting(self, note: Callable[[Path, bytes], None]) -> Layer:
        content = disk.read_whole(self.path)
        other = Path(content.decode())
        note(other, disk.fingerprint_now(other))
        return Layer("named", {"name": disk.read_whole(other).decode()}, fingerprint_of(content))

    def content_fingerprint(self) -> bytes:
        return disk.fingerprint_now(self.path)

    def watched(self) -> tuple[Path, ...]:
        return (Path(self.path),)


class Two(msgspec.Struct, frozen=True):
    def read(self) -> Layer:
        low, high = (Layer(name, {"name": name, "port": port}) for name, port in (("low", 1), ("high", 2)))
        return Layers("two", [Layers("inner", [low]), high])


class Warns(msgspec.Struct, frozen=True):
    def read(self) -> Layer:
        return Layer("warns", {}, warnings=["the file is old"])


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    first, second = tmp_path / "first", tmp_path / "second"
    second.write_text("x")
    first.write_text(str(second))
    return first, second


def test_a_file_that_a_read_finds_is_watched_and_counts(files):
    first, second = files
    loader = ConfigLoader(Settings, Named(str(first)))
    before = loader._read()
    assert loader._watched() == (first, second)
    assert loader._fingerprint() == before.fingerprint
    second.write_text("y")
    assert loader._fingerprint() != before.fingerprint
    assert loader._fingerprint() == loader._read().fingerprint


def test_it_is_watched_also_where_the_read_fails_on_it(files):
    first, second = files
    second.unlink()
    loader = ConfigLoader(Settings, Named(str(first)))
    with pytest.raises(ConfigError):
        loader.load()
    assert second in loader._watched()
    missing = loader._fingerprint()
    second.write_text("z")
    assert loader._fingerprint() != missing
    assert loader.load().config.name == "z"


def test_what_is_named_no_more_is_watched_no_more(files, tmp_path):
    first, _ = files
    loader = ConfigLoader(Settings, Named(str(first)))
    loader.load()
    first.write_text(str(third := tmp_path / "third"))
    third.write_text("3")
    assert loader.load().config.name == "3"
    assert loader._watched() == (first, third)


def test_the_writer_of_such_a_file_is_seen(files):
    first, second = files
    loader = ConfigLoader(Settings, Named(str(first)))
    loader.load()
    with second.open("a"):
        assert loader._still_being_written() == (second,)
    assert loader._still_being_written() == ()


def test_several_layers_of_one_source_are_merged_in_their_order_and_have_their_own_names():
    candidate = ConfigLoader(Settings, Two()).load()
    assert (candidate.config.name, candidate.config.port) == ("high", 2)
    assert candidate.origin_of("port") == "high"
    assert ConfigLoader(Settings, Two())._fingerprint() == candidate.fingerprint


def test_a_source_of_no_layers_sets_nothing_and_has_its_name():
    empty = Layers("conf.d/*.toml", [])
    assert [(each.name, each.data) for each in empty.parts] == [("conf.d/*.toml", {})]


def test_what_a_higher_layer_hides_is_told_for_files_that_come_and_go(tmp_path):
    def layers(*names: str) -> ConfigLoader[Settings]:
        return ConfigLoader(Settings, *(File(tmp_path / name) for name in names))

    for name in ("a.toml", "b.toml", "z.toml"):
        (tmp_path / name).write_text("port = 1")
    before = layers("b.toml", "z.toml").load()
    (tmp_path / "b.toml").write_text("port = 2")
    after = layers("a.toml", "b.toml", "z.toml").load()
    assert [each for each in after.hidden_edits_since(before) if "b.toml" in each and "z.toml" in each]


def test_a_warning_of_a_source_is_logged_once(caplog):
    loader = ConfigLoader(Settings, Warns())
    loader.load()
    loader.load()
    assert [each.message for each in caplog.records] == ["the file is old"]
