"""The content of a file that a `Watched` field names is part of the candidate; what can't be read is a problem."""

from __future__ import annotations

import dataclasses
import os
from collections import deque
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from pydantic import BaseModel, ConfigDict

from confcast import ConfigError, ConfigLoader, Secret, Watched
from confcast.config import contents
from confcast.config.diff import differences
from confcast.config.schema.watched_path import WatchedPath, content_of
from confcast.config.sources import disk
from confcast.config.sources.formats.common import MAX_BYTES

SENTINEL = "hunter2"


class Tls(BaseModel):
    model_config = ConfigDict(frozen=True)

    certificate: Annotated[Path, Watched]
    ca: Annotated[Path | None, Watched] = None
    key: Annotated[Path | None, Watched, Secret] = None


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True)

    tls: Tls
    other: Path = Path("other")


class Struct(msgspec.Struct, frozen=True):
    tls: dict[str, Any]
    inner: Annotated[Path, Watched] = Path("c.pem")


@dataclasses.dataclass(frozen=True, slots=True)
class Data:
    tls: dict[str, Any]
    inner: Annotated[Path, Watched] = Path("c.pem")


class Many(BaseModel):
    tls: dict[str, Any] = {}
    listed: list[Annotated[Path, Watched]] = [Path("c.pem")]
    pair: tuple[Annotated[Path, Watched], Path] = (Path("c.pem"), Path("nowhere"))
    ends: Annotated[deque[Path], Watched] = deque([Path("c.pem")], maxlen=3)
    one_of: frozenset[Annotated[Path, Watched]] = frozenset([Path("c.pem")])
    named: dict[str, Annotated[Path, Watched]] = {"a": Path("c.pem")}
    plain: list[Path] = [Path("nowhere")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.toml").write_text("[tls]\ncertificate = 'c.pem'\n")
    (tmp_path / "c.pem").write_text("one")
    return tmp_path


def digest_of(path: Path | None) -> bytes:
    assert isinstance(path, WatchedPath)
    return content_of(path)


def problems(loader: ConfigLoader[Any]) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        loader.load()
    return [str(problem) for problem in raised.value.problems]


def test_another_content_is_another_candidate_though_no_source_has_changed(folder: Path) -> None:
    loader = ConfigLoader(Settings, "app.toml")
    one, same = loader.load(), loader.load()
    assert one.digest == same.digest
    (folder / "c.pem").write_text("two")
    two = loader.load()
    assert two.digest != one.digest
    (change,) = differences(loader._codec, one.config, two.config)
    assert (change.key, change.note) == ("tls.certificate", "content changed")
    (folder / "c.pem").write_text("one")
    assert loader.load().digest == one.digest


def test_the_value_is_the_path_and_the_content_does_not_travel(folder: Path) -> None:
    (folder / "c.pem").write_text(SENTINEL)
    loader = ConfigLoader(Settings, "app.toml")
    candidate = loader.load()
    assert candidate.config.tls.certificate == Path("c.pem")
    assert type(candidate.config.other) is type(Path())
    assert SENTINEL.encode() not in candidate.payload
    assert loader._codec.decode(candidate.payload).tls.certificate == Path("c.pem")


@pytest.mark.parametrize("schema", [Struct, Data])
def test_it_holds_for_every_kind_of_class_and_a_default_is_never_changed(folder: Path, schema: type[Any]) -> None:
    loader = ConfigLoader(schema, "app.toml")
    one = loader.load()
    (folder / "c.pem").write_text("two")
    assert loader.load().digest != one.digest
    assert type(schema({}).inner) is type(Path())
    assert one.origin_of("inner") == "default"


def test_each_path_in_a_container_counts_and_no_other(folder: Path) -> None:
    config = ConfigLoader(Many, "app.toml").load().config
    marked = [*config.listed, config.pair[0], *config.ends, *config.one_of, *config.named.values()]
    assert {type(path) for path in marked} == {WatchedPath}
    assert config.ends.maxlen == 3
    assert {type(path) for path in (config.pair[1], *config.plain)} == {type(Path())}


def test_a_missing_file_is_a_problem_of_its_key_at_its_place(folder: Path) -> None:
    (folder / "c.pem").unlink()
    assert problems(ConfigLoader(Settings, "app.toml")) == [
        "app.toml:2:15: tls.certificate: the file does not exist (got 'c.pem')"
    ]


def test_it_may_be_missing_where_the_field_may_be_none_and_appears_then(folder: Path) -> None:
    (folder / "app.toml").write_text("[tls]\ncertificate = 'c.pem'\nca = 'ca.pem'\n")
    loader = ConfigLoader(Settings, "app.toml")
    one = loader.load()
    assert one.config.tls.ca == Path("ca.pem")
    (folder / "ca.pem").write_text("ca")
    (change,) = differences(loader._codec, one.config, loader.load().config)
    assert (change.key, change.note) == ("tls.ca", "the file has appeared")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_a_problem_that_names_the_user(folder: Path) -> None:
    (folder / "c.pem").chmod(0)
    (found,) = problems(ConfigLoader(Settings, "app.toml"))
    assert f"can't be read by uid {os.geteuid()}, as which the config owner runs: Permission denied" in found


def test_a_file_that_may_be_missing_has_to_be_readable_where_it_is(folder: Path) -> None:
    (folder / "app.toml").write_text("[tls]\ncertificate = 'c.pem'\nca = 'ca.pem'\n")
    (folder / "ca.pem").mkdir()
    (found,) = problems(ConfigLoader(Settings, "app.toml"))
    assert "tls.ca: the file is a directory, not a file" in found


def test_a_file_that_is_too_large_is_a_problem(folder: Path) -> None:
    with (folder / "c.pem").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    (found,) = problems(ConfigLoader(Settings, "app.toml"))
    assert "the file is larger than 16 MiB" in found


def test_a_fifo_and_a_path_through_a_file_are_problems(folder: Path) -> None:
    (folder / "c.pem").unlink()
    os.mkfifo(folder / "c.pem")
    assert "is not a regular file" in problems(ConfigLoader(Settings, "app.toml"))[0]
    (folder / "app.toml").write_text("[tls]\ncertificate = 'app.toml/c.pem'\n")
    assert "does not exist" in problems(ConfigLoader(Settings, "app.toml"))[0]


def test_a_path_that_is_a_secret_is_not_shown(folder: Path) -> None:
    (folder / "app.toml").write_text(f"[tls]\ncertificate = 'c.pem'\nkey = '{SENTINEL}/'\n")
    (folder / SENTINEL).mkdir()
    (found,) = problems(ConfigLoader(Settings, "app.toml"))
    assert "tls.key" in found
    assert SENTINEL not in found


def test_links_are_followed_anew_at_each_load(folder: Path) -> None:
    """What a kubelet does to a mounted Secret."""
    for name in ("one", "two"):
        (folder / name).mkdir()
        (folder / name / "c.pem").write_text(name)
    (folder / "c.pem").unlink()
    (folder / "..data").symlink_to("one")
    (folder / "c.pem").symlink_to("..data/c.pem")
    loader = ConfigLoader(Settings, "app.toml")
    one = loader.load()
    (folder / "tmp").symlink_to("two")
    (folder / "tmp").rename(folder / "..data")
    assert loader.load().digest != one.digest


def test_files_that_are_swapped_while_they_are_read_are_read_again(folder: Path, monkeypatch: Any) -> None:
    """A certificate and its key are never mixed."""
    (folder / "app.toml").write_text("[tls]\ncertificate = 'c.pem'\nca = 'ca.pem'\n")
    (folder / "ca.pem").write_text("one")
    real, swapped = disk.read_whole, []

    def read(path: Path | str) -> bytes:
        found = real(path)
        if Path(path).name == "c.pem" and not swapped:
            swapped.append(path)
            for name in ("c.pem", "ca.pem"):
                (folder / "new").write_text("other")
                (folder / "new").rename(folder / name)
        return found

    monkeypatch.setattr(contents.disk, "read_whole", read)
    tls = ConfigLoader(Settings, "app.toml").load().config.tls
    assert swapped
    assert digest_of(tls.certificate) == digest_of(tls.ca)


def test_the_fingerprint_tells_of_a_file_once_it_is_followed(folder: Path) -> None:
    loader = ConfigLoader(Settings, "app.toml")
    reading = loader._read()
    loader._propose(reading)
    assert reading.named == (Path("c.pem"),)
    before = loader._fingerprint()
    assert before == reading.fingerprint
    loader._follow(reading.named)
    assert loader._watched() == (folder / "app.toml", folder / "c.pem")
    assert loader._fingerprint() == reading.fingerprint_with(reading.named) != before
    assert loader._read().fingerprint == loader._fingerprint()
    (folder / "c.pem").write_text("two")
    assert loader._fingerprint() != reading.fingerprint_with(reading.named)
    (folder / "c.pem").unlink()
    missing = loader._fingerprint()
    assert loader._read().fingerprint == missing


def test_a_load_that_is_refused_for_a_missing_file_names_it(folder: Path) -> None:
    (folder / "c.pem").unlink()
    loader = ConfigLoader(Settings, "app.toml")
    reading = loader._read()
    with pytest.raises(ConfigError):
        loader._propose(reading)
    assert reading.named == (Path("c.pem"),)


@dataclasses.dataclass(frozen=True)
class Site:
    certificates: tuple[Annotated[Path, Watched], ...] = ()
    by_name: dict[str, Annotated[Path | None, Watched]] = dataclasses.field(default_factory=dict)


class Listener(BaseModel):
    model_config = ConfigDict(frozen=True)

    chain: Annotated[list[Path], Watched] = []
    pair: tuple[str, Annotated[Path, Watched]] | None = None


class Front(BaseModel):
    model_config = ConfigDict(frozen=True)

    authorities: set[Annotated[Path, Watched]] = set()
    frozen: Annotated[frozenset[Path], Watched] = frozenset()
    sites: dict[str, Site] = {}
    listeners: list[Listener] = []
    tables: dict[str, list[Annotated[Path, Watched]]] = {}
    maybe: list[Annotated[Path, Watched]] | None = None


class ListenerStruct(msgspec.Struct, frozen=True):
    chain: Annotated[list[Path], Watched] = []
    pair: tuple[str, Annotated[Path, Watched]] | None = None


class FrontStruct(msgspec.Struct, frozen=True):
    authorities: set[Annotated[Path, Watched]] = set()
    frozen: Annotated[frozenset[Path], Watched] = frozenset()
    sites: dict[str, Site] = {}
    listeners: list[ListenerStruct] = []
    tables: dict[str, list[Annotated[Path, Watched]]] = {}
    maybe: list[Annotated[Path, Watched]] | None = None


FRONT = {
    "authorities": ["1.pem"],
    "frozen": ["2.pem"],
    "sites": {"a": {"certificates": ["3.pem"], "by_name": {"x": "4.pem"}}},
    "listeners": [{"chain": ["5.pem"], "pair": ["name", "6.pem"]}],
    "tables": {"t": ["7.pem"]},
    "maybe": ["8.pem"],
}
AT = {
    1: "authorities",
    2: "frozen",
    3: "sites.a.certificates",
    4: "sites.a.by_name.x",
    5: "listeners",
    6: "listeners",
    7: "tables.t",
    8: "maybe",
}


@pytest.fixture(params=[Front, FrontStruct])
def front(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ConfigLoader[Any]:
    monkeypatch.chdir(tmp_path)
    for number in AT:
        (tmp_path / f"{number}.pem").write_text("one")
    return ConfigLoader(request.param, overrides=FRONT)


@pytest.mark.parametrize("number", AT)
def test_a_path_counts_wherever_it_stands_in_lists_sets_tables_and_classes_of_each_kind(front, number: int) -> None:
    one = front.load()
    named = [each.file for each in contents.named_in(one.config, front.schema)]
    assert sorted(map(str, named)) == [f"{each}.pem" for each in AT]
    front._follow(tuple(named))
    assert front._fingerprint() == front.load().fingerprint
    Path(f"{number}.pem").write_text("two")
    two = front.load()
    assert two.digest != one.digest
    assert front._fingerprint() == two.fingerprint
    changes = differences(front._codec, one.config, two.config)
    assert [(change.key, change.note) for change in changes] == [(AT[number], "content changed")]
    Path(f"{number}.pem").write_text("one")
    assert front.load().digest == one.digest


@pytest.mark.parametrize("number", [number for number in AT if number != 4])
def test_a_missing_path_is_a_problem_of_its_own_key_wherever_it_stands(front, number: int) -> None:
    Path(f"{number}.pem").unlink()
    (found,) = problems(front)
    assert f"the file does not exist (got '{number}.pem')" in found
    assert AT[number].split("[")[0].split(".")[0] in found


def test_it_may_be_missing_in_a_table_whose_values_may_be_none(front) -> None:
    Path("4.pem").unlink()
    one = front.load()
    Path("4.pem").write_text("back")
    (change,) = differences(front._codec, one.config, front.load().config)
    assert (change.key, change.note) == ("sites.a.by_name.x", "the file has appeared")
