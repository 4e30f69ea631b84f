"""`Watched` and `NeedsRestart`: where a mark is found, and where it would have no effect and is refused."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path
from typing import Annotated, Any, Final, NewType, Optional

import msgspec
import pytest
from pydantic import BaseModel, FilePath
from pydantic.dataclasses import dataclass as pydantic_dataclass

from confcast import ConfigLoader, NeedsRestart, NotCarried, Watched
from confcast.config.schema.kinds import fields_of
from confcast.config.schema.mark_check import check_marks
from confcast.config.schema.marks import is_restart_mark, is_watched, is_watched_mark, mentions, restart_of

MARKED = Annotated[Path, Watched]
Certificate = NewType("Certificate", MARKED)  # type: ignore[valid-newtype]


@pytest.mark.parametrize(
    ("annotation", "marked"),
    [
        (MARKED, True),
        (Annotated[Path, Watched()], True),
        (Annotated[Path | None, Watched], True),
        (MARKED | None, True),
        (Optional[MARKED], True),  # noqa: UP045
        (Final[MARKED], True),
        (Certificate, True),
        (Annotated[list[Path], Watched], True),
        (list[MARKED], False),
        (Path, False),
        (Annotated[Path, "Watched"], False),
        (Any, False),
    ],
)
def test_a_mark_is_found_around_a_type_and_not_inside_it(annotation: Any, marked: bool) -> None:
    assert is_watched(annotation) is marked


def test_a_mark_of_a_restart_is_found_with_what_it_says() -> None:
    mark = NeedsRestart("forked", grow=True)
    assert restart_of(Annotated[int, mark]) is mark
    assert restart_of(Annotated[int, mark] | None) is mark
    bare = restart_of(Annotated[int, NeedsRestart])
    assert bare is not None
    assert (bare.why, bare.grow) == ("", False)
    assert restart_of(int) is None
    assert repr(mark) == "NeedsRestart('forked', grow=True)"


class Tls(BaseModel):
    certificate: MARKED
    port: Annotated[int, NeedsRestart("bound")] = 1


@dataclasses.dataclass
class Plain:
    certificate: MARKED
    port: Annotated[int, NeedsRestart("bound")] = 1


@pydantic_dataclass
class Both:
    certificate: MARKED
    port: Annotated[int, NeedsRestart("bound")] = 1


class Struct(msgspec.Struct):
    certificate: MARKED
    port: Annotated[int, NeedsRestart("bound")] = 1


@pytest.mark.parametrize("cls", [Tls, Plain, Both, Struct])
def test_every_kind_of_class_keeps_the_marks_of_its_fields(cls: type) -> None:
    fields = fields_of(cls)
    assert fields is not None
    certificate, port = fields
    assert is_watched(certificate.annotation)
    mark = restart_of(port.annotation)
    assert mark is not None
    assert mark.why == "bound"
    for around in (cls, list[cls], dict[str, cls] | None):  # type: ignore[valid-type]
        assert mentions(around, is_watched_mark, fields_of)
        assert mentions(around, is_restart_mark, fields_of)
    assert not mentions(dict[str, int], is_watched_mark, fields_of)
    check_marks(cls)


class Node(BaseModel):
    below: list[Node] = []


def test_a_class_that_holds_itself_is_looked_through_once() -> None:
    assert not mentions(Node, is_watched_mark, fields_of)
    check_marks(Node)


class Wrong(BaseModel):
    name: Annotated[str, Watched] = ""
    size: Annotated[str, NeedsRestart(grow=True)] = ""
    flag: Annotated[bool, NeedsRestart(grow=True)] = False
    servers: list[Tls] = []
    by_name: dict[str, Plain] = {}


class Right(BaseModel):
    one: Annotated[FilePath | None, Watched] = None
    many: Annotated[list[Path], Watched] = []
    named: dict[str, MARKED] = {}
    pair: tuple[MARKED, str] = (Path("x"), "")
    workers: Annotated[int | None, NeedsRestart(grow=True)] = None
    wait: Annotated[dt.timedelta, NeedsRestart(grow=True)] = dt.timedelta(1)
    servers: Annotated[list[str], NeedsRestart("bound")] = []
    tls: Tls | None = None


def test_a_mark_without_effect_is_refused_by_the_key_of_its_field(tmp_path: Path) -> None:
    (tmp_path / "app.toml").write_text("name = 'x'\n")
    with pytest.raises(NotCarried) as raised:
        ConfigLoader(Wrong, tmp_path / "app.toml").load()
    found = {problem.key: problem.message for problem in raised.value.problems}
    assert [*found] == ["name", "size", "flag", "servers.port", "by_name.port"]
    assert "is no Path" in found["name"]
    assert "neither a number nor a timedelta" in found["size"]
    assert "neither a number nor a timedelta" in found["flag"]
    assert "mark the list or the table" in found["servers.port"]
    assert "mark the list or the table" in found["by_name.port"]


def test_marks_with_an_effect_are_accepted() -> None:
    check_marks(Right)
