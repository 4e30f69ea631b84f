"""What holds for every source: one suite, to which `tests/support/source_cases` gives each."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from confcast import ConfigError, ConfigLoader, File
from confcast.config.explain import explain
from confcast.config.schema.masking import MASK
from confcast.config.sources.formats.common import MAX_BYTES
from tests.support.source_cases import CASES
from tests.support.source_cases.case import SourceCase
from tests.support.sourced import Sourced

SENTINEL = "hunter2"
AS_A_FILE = [case for case in CASES if case.file_is_the_source]


class Lots(BaseModel):
    model_config = {"extra": "allow"}


@pytest.fixture
def case(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SourceCase]:
    monkeypatch.chdir(tmp_path)
    made: SourceCase = request.param(tmp_path, monkeypatch)
    yield made
    made.close()


every_source = pytest.mark.parametrize("case", CASES, indirect=True, ids=lambda case: case.name)
every_file = pytest.mark.parametrize("case", AS_A_FILE, indirect=True, ids=lambda case: case.name)


def loader_of(case: SourceCase, schema: Any = Sourced) -> ConfigLoader[Any]:
    return ConfigLoader(schema, case.source())


def refusal(loader: ConfigLoader[Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        loader.load()
    return str(caught.value)


# ---- values and their positions


@every_source
def test_it_gives_what_stands_in_it_with_the_position(case):
    case.put({"name": "a", "port": 8080})
    candidate = loader_of(case).load()
    assert (candidate.config.name, candidate.config.port) == ("a", 8080)
    assert re.fullmatch(case.where("name"), candidate.origin_of("name"))
    assert re.fullmatch(case.where("port"), candidate.origin_of("port"))


@every_source
def test_a_refused_value_is_reported_at_its_position(case):
    case.put({"name": "a", "port": "many"})
    text = refusal(loader_of(case))
    assert re.search(case.where("port"), text), text
    assert re.search(r"\bport\b", text)


@every_source
def test_an_equal_content_has_an_equal_fingerprint_and_another_has_another(case):
    case.put({"name": "a"})
    loader = loader_of(case)
    first = loader.load()
    assert loader._fingerprint() == first.fingerprint
    case.put({"name": "b"})
    case.notice(loader)
    assert loader._fingerprint() != first.fingerprint
    assert loader._fingerprint() == loader.load().fingerprint
    case.put({"name": "a"})
    case.notice(loader)
    assert loader._fingerprint() == loader.load().fingerprint
    assert loader.load().digest == first.digest


@every_source
@pytest.mark.parametrize(
    "value", ["two\nlines", "a\0b", "\tx ", " ", "é€😀", '"quoted"', "'", "a=b # c", "${NAME}", "%(x)s", "$$"]
)
def test_a_text_is_carried_exactly_or_refused(case, value):
    if not case.can_say(value):
        return  # such a variable can't be set
    case.put({"name": value})
    assert loader_of(case).load().config.name == value


@every_source
def test_of_two_sources_the_higher_one_wins_and_explain_says_over_what(case):
    case.put({"name": "mine"})
    Path("other.json").write_text('{"name": "other"}')
    below = ConfigLoader(Sourced, "other.json", case.source()).load()
    assert below.config.name == "mine"
    found = explain(below, "name")
    assert re.fullmatch(case.where("name"), found.origin)
    other, mine = (MASK, MASK) if case.gives_secrets else ("other", "mine")
    assert [(each.origin, each.value) for each in found.shadowed] == [("other.json:1:10", other)]
    above = ConfigLoader(Sourced, case.source(), File("other.json")).load()
    assert above.config.name == "other"
    assert [each.value for each in explain(above, "name").shadowed] == [mine]


@every_source
def test_a_thousand_values_are_read(case):
    case.put({f"k{number:04}": f"v{number}" for number in range(1000)})
    read = ConfigLoader(Lots, case.source())._read()
    texts = {key: value for layer in read.layers for key, value in layer.fit(Lots).layer.data.items()}
    assert len(texts) == 1000 or case.name == "environment"  # which sets only what a schema has


# ---- the other process


@every_source
def test_it_travels_to_the_owner(case):
    case.put({"name": "a"})
    here = loader_of(case)
    there = ConfigLoader._from_spec(here._to_spec())
    assert (here.load().config.name, there.load().config.name) == ("a", "a")
    assert there._watched() == here._watched()


@every_source
def test_what_is_watched_is_absolute(case):
    case.put({"name": "a"})
    loader = loader_of(case)
    loader.load()  # some files are only known once they are read
    assert all(path.is_absolute() for path in loader._watched())
    assert bool(loader._watched()) is case.is_watched


# ---- what goes wrong


@every_source
def test_what_is_missing_is_said_and_its_return_is_a_change(case):
    case.put({"name": "a"})
    loader = loader_of(case)
    first = loader.load()
    case.take_away()
    if case.missing() is None:
        assert loader.load().config.name == ""
    else:
        text = refusal(loader)
        assert re.search(case.missing(), text), text
    away = loader._fingerprint()
    assert away != first.fingerprint
    case.put({"name": "a"})
    case.notice(loader)
    assert loader._fingerprint() == loader.load().fingerprint == first.fingerprint


@every_source
def test_no_secret_is_shown_of_what_is_refused_or_explained(case, caplog):
    secrets = {"token": SENTINEL, "key": f"{SENTINEL}-key", "broker": f"redis://:{SENTINEL}@queue/0"}
    case.put({**secrets, "pin": SENTINEL, "port": "many"})
    source = case.source()
    shown = [refusal(ConfigLoader(Sourced, source)), repr(source), repr(ConfigLoader(Sourced, source))]
    case.put({**secrets, "pin": 424242})
    candidate = ConfigLoader(Sourced, source).load()
    assert candidate.config.key == f"{SENTINEL}-key"
    shown += [repr(explain(candidate, key)) for key in ("token", "key", "pin", "broker")]
    shown += [candidate.origin_of(key) for key in ("token", "key", "pin", "broker")]
    shown += [repr(candidate), repr(ConfigLoader(Sourced, source)._read().layers), caplog.text]
    assert [each for each in shown if SENTINEL in each or "424242" in each] == []


# ---- what a file can be


def as_empty(path: Path) -> None:
    path.write_bytes(b"")


def as_other_bytes(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00\x80name")


def as_a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def as_a_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def as_a_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def as_a_socket(path: Path) -> None:
    path.unlink()
    os.mknod(path, stat.S_IFSOCK | 0o600)


def as_too_large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)


@every_file
@pytest.mark.parametrize(
    ("become", "says"),
    [
        (as_other_bytes, "UTF"),
        (as_a_directory, "is a directory"),
        (as_a_loop, "can't be read"),
        (as_a_fifo, "is not a regular file"),
        (as_a_socket, "is not a regular file"),
        (as_too_large, "is larger than"),
    ],
)
def test_what_no_file_should_be_is_refused_in_words_and_it_recovers(case, become, says):
    case.put({"name": "a"})
    loader = loader_of(case)
    first = loader.load()
    become(case.path)
    text = refusal(loader)
    assert re.search(says, text), text
    assert case.path.name in text
    assert loader._fingerprint() != first.fingerprint
    case.path.rmdir() if case.path.is_dir() else case.path.unlink()
    case.put({"name": "a"})
    assert loader.load().fingerprint == first.fingerprint


@every_file
def test_an_empty_file_is_refused_unless_the_source_says_otherwise(case):
    case.put({"name": "a"})
    as_empty(case.path)
    if case.empty() is None:
        assert loader_of(case).load().config.name == ""
    else:
        assert re.search(case.empty(), refusal(loader_of(case)))


@every_file
def test_an_unreadable_file_is_refused_in_words(case, monkeypatch):
    case.put({"name": "a"})
    opened = os.open

    def open_others(path: Any, *options: Any, **named: Any) -> int:
        if Path(path).name == case.path.name:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(path, *options, **named)

    with monkeypatch.context() as patch:  # chmod would not keep root out
        patch.setattr(os, "open", open_others)
        text = refusal(loader_of(case))
    assert "Permission denied" in text
    assert case.path.name in text


@every_file
def test_a_file_that_is_being_written_is_not_read(case):
    case.put({"name": "a"})
    loader = loader_of(case)
    loader.load()
    with case.path.open("a"):
        assert case.path in loader._still_being_written()
        assert "still open for writing" in refusal(loader)
    assert loader._still_being_written() == ()
