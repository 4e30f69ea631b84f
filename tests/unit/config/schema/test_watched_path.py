"""A path with the digest of a content: it is a path for an application, and another value for the codec and a diff."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import pickle
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import BaseModel

from confcast import Watched
from confcast.config.codec import codec_of
from confcast.config.diff import differences
from confcast.config.schema.watched_path import WatchedPath, changed_content, content_of, watched_path

ONE, TWO = b"1" * 16, b"2" * 16


class Settings(BaseModel):
    path: Annotated[Path, Watched]
    paths: list[Annotated[Path, Watched]] = []


@dataclasses.dataclass
class Data:
    path: Path


def test_it_is_the_path_for_an_application(tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_text("content")
    path = watched_path(str(tmp_path / "c.pem"), ONE)
    plain = tmp_path / "c.pem"
    assert isinstance(path, Path)
    assert path == plain
    assert plain == path
    assert {path: 1}[plain] == 1
    assert (str(path), os.fspath(path), repr(path)) == (str(plain), os.fspath(plain), repr(plain))
    assert path.read_text() == "content"
    assert path.parent / "c.pem" == plain
    assert json.loads(Settings.model_construct(path=path).model_dump_json())["path"] == str(plain)


def test_a_copy_has_the_digest_too() -> None:
    path = watched_path("c.pem", ONE)
    for other in (copy.copy(path), copy.deepcopy(path), pickle.loads(pickle.dumps(path))):
        assert type(other) is WatchedPath
        assert content_of(other) == ONE
    assert content_of(dataclasses.asdict(Data(path))["path"]) == ONE


def test_what_is_derived_of_it_has_none() -> None:
    derived = watched_path("a/c.pem", ONE).parent
    assert not isinstance(derived, WatchedPath) or content_of(derived) == b""


def test_it_is_carried_exactly_and_another_content_is_another_value() -> None:
    codec = codec_of(Settings)
    one, same, two, plain = (
        codec.encode(Settings.model_construct(path=path))
        for path in (watched_path("c", ONE), watched_path("c", ONE), watched_path("c", TWO), Path("c"))
    )
    assert one == same
    assert len({one, two, plain}) == 3
    decoded = codec.decode(one).path
    assert isinstance(decoded, WatchedPath)
    assert (str(decoded), content_of(decoded)) == ("c", ONE)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (ONE, TWO, "content changed"),
        (b"", ONE, "the file has appeared"),
        (ONE, b"", "the file is gone"),
    ],
)
def test_a_change_says_what_the_values_do_not_show(old: bytes, new: bytes, words: str) -> None:
    before, after = (Settings.model_construct(path=watched_path("c", each)) for each in (old, new))
    (change,) = differences(codec_of(Settings), before, after)
    assert (change.key, change.old, change.new, change.note) == ("path", "c", "c", words)
    inside = [Settings.model_construct(path=Path("x"), paths=[watched_path("c", each)]) for each in (old, new)]
    (change,) = differences(codec_of(Settings), *inside)
    assert (change.key, change.note) == ("paths", words)


def test_another_path_needs_no_words() -> None:
    assert changed_content(watched_path("c", ONE), watched_path("d", TWO)) == ""
    assert changed_content([watched_path("c", ONE)], [watched_path("d", TWO)]) == ""
    assert changed_content(Path("c"), Path("c")) == ""
    assert changed_content(1, 2) == ""
    before, after = (Settings.model_construct(path=watched_path(name, ONE)) for name in "cd")
    (change,) = differences(codec_of(Settings), before, after)
    assert (change.old, change.new, change.note) == ("c", "d", "")
