"""Paths of `Watched` fields that a caller brings about who may not read what the owner may: no file is looked at."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from pydantic import BaseModel, ConfigDict, model_validator

from confcast import ConfigError, ConfigLoader, File, Secret, Watched, Who
from confcast.config import contents
from confcast.config.candidate import Candidate
from confcast.config.overrides import NONE, Call, Overrides

OWN = Who(os.geteuid(), 7, "confcast set")
WORKER = Who(os.geteuid() + 1, 7, "gunicorn: worker")
TOKEN = Who(os.geteuid(), 7, "confcast admin", "admin token ops")
UNTRUSTED = pytest.mark.parametrize("who", [WORKER, TOKEN, None], ids=["worker", "token", "unknown"])
SAID = "the file is not named by the sources now"


class Tls(BaseModel):
    """Off, unless there is such a table."""

    certificate: Annotated[Path, Watched] = Path("default.pem")
    ca: Annotated[Path | None, Watched] = None


class Settings(BaseModel):
    """With paths that are values, and one that a validator makes."""

    model_config = ConfigDict(frozen=True)

    number: int
    tls: Tls | None = None
    listed: list[Annotated[Path, Watched]] = []
    set_of: frozenset[Annotated[Path, Watched]] = frozenset()
    by_name: dict[str, Annotated[Path, Watched]] = {}
    hidden: Annotated[Path | None, Watched, Secret] = None
    keys: Path | None = None  # not watched
    place: str = ""
    made: Annotated[Path | None, Watched] = None

    @model_validator(mode="before")
    @classmethod
    def _make(cls, data: Any) -> Any:
        return {**data, "made": f"{data['place']}/made.pem"} if data.get("place") else data


SOURCES = """\
number = 1
keys = "private"
listed = ["a.pem", "b.pem"]
by_name = {a = "a.pem"}
"""
READ: list[Path] = []


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With files that the owner may read. What it reads is noted."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.pem", "b.pem", "default.pem", "private", "made.pem"):
        Path(name).write_text("sentinel-41f7")
    Path("app.toml").write_text(SOURCES)
    read = contents.read
    READ.clear()

    def noting(file: Path, **options: Any) -> contents.Content:
        READ.append(file)
        return read(file, **options)

    monkeypatch.setattr(contents, "read", noting)
    return tmp_path


def load(
    values: Mapping[str, Any],
    who: Who | None,
    *,
    before: Overrides = NONE,
    loader: ConfigLoader[Settings] | None = None,
) -> Candidate[Settings]:
    loader = loader or ConfigLoader(Settings, "app.toml")
    reading = loader._read().with_overrides(before, before)
    after = loader._set(reading, values, Call(1.0, who)) if values else before
    return loader._build(reading.with_overrides(after, before))


def refused(values: Mapping[str, Any], who: Who | None) -> list[str]:
    READ.clear()
    with pytest.raises(ConfigError) as caught:
        load(values, who)
    assert not {str(each) for each in READ} - {"a.pem", "b.pem"}
    return [str(each) for each in caught.value.problems]


PATHS: list[tuple[str, dict[str, Any]]] = [
    ("tls.certificate", {"tls.certificate": "private"}),
    ("tls.certificate", {"tls": {"certificate": "private"}}),
    ("tls.certificate", {"tls.certificate": "missing"}),
    ("tls.ca", {"tls.ca": "missing"}),
    ("listed.1", {"listed": '["a.pem", "private"]'}),
    ("listed.0", {"listed": ["./private"]}),
    ("set_of.0", {"set_of": ["private"]}),
    ("by_name.b", {"by_name.b": "private"}),
    ("by_name.a", {"by_name": {"a": "private"}}),
    ("made", {"place": "."}),
    ("hidden", {"hidden": "private"}),
]


@UNTRUSTED
@pytest.mark.parametrize(("key", "values"), PATHS, ids=[str(values) for _, values in PATHS])
def test_a_file_that_the_sources_do_not_name_is_not_looked_at(
    key: str, values: dict[str, Any], who: Who | None
) -> None:
    (problem,) = refused(values, who)
    assert f"{key}: {SAID}" in problem
    assert f"name it in a source, or have uid {os.geteuid()} set it" in problem
    assert ("private" in problem) is ("private" in str(values) and key != "hidden")  # a secret is quoted nowhere


@pytest.mark.parametrize(("key", "values"), PATHS, ids=[str(values) for _, values in PATHS])
@pytest.mark.parametrize("who", [OWN, msgspec.structs.replace(OWN, uid=0)], ids=["own", "root"])
def test_who_may_read_it_may_name_it(key: str, values: dict[str, Any], who: Who) -> None:
    Path("missing").write_text("here by now")
    load(values, who)
    assert READ


@UNTRUSTED
@pytest.mark.parametrize(
    "values",
    [
        {"tls.certificate": "a.pem"},
        {"listed": ["b.pem", "a.pem"]},
        {"by_name": {"b": "b.pem"}},
        {"set_of": ["a.pem", "b.pem"]},
        {"tls": {}},  # the default is of the class
        {"tls.certificate": "default.pem"},
        {"keys": "elsewhere"},  # read by nobody
        {"number": 5},
    ],
    ids=str,
)
def test_what_the_sources_name_may_be_named(values: dict[str, Any], who: Who | None) -> None:
    load(values, who)


def test_what_a_trusted_caller_has_named_may_be_named() -> None:
    before = load({"listed": ["private"]}, OWN)
    assert before
    loader = ConfigLoader(Settings, "app.toml")
    set_before = loader._set(loader._read(), {"listed": ["private"]}, Call(1.0, OWN))
    load({"tls.certificate": "private"}, WORKER, before=set_before)


def test_where_the_sources_are_not_valid_by_themselves_what_stands_in_them_counts_at_its_key() -> None:
    Path("app.toml").write_text('listed = ["a.pem"]\n')
    load({"number": 1}, WORKER)
    load({"number": 1, "tls": {}}, WORKER)
    assert SAID in refused({"number": 1, "listed": ["a.pem", "private"]}, WORKER)[0]
    assert SAID in refused({"number": 1, "tls.certificate": "a.pem"}, WORKER)[0]


def test_what_the_sources_name_no_more_is_refused_and_left_out_at_the_next_start() -> None:
    loader = ConfigLoader(Settings, "app.toml")
    set_before = loader._set(loader._read(), {"tls.certificate": "b.pem"}, Call(1.0, WORKER))
    load({}, WORKER, before=set_before, loader=loader)
    Path("app.toml").write_text("number = 1\n")
    with pytest.raises(ConfigError, match=f"tls.certificate: {SAID}.*b.pem"):
        load({}, WORKER, before=set_before, loader=loader)
    assert load({}, WORKER, before=set_before).config.tls is None


@pytest.mark.parametrize("text", ['tls.certificate = "private"', 'place = "."', 'listed = ["missing"]'])
def test_a_text_that_is_given_for_a_dry_run_names_no_other_file(text: str) -> None:
    loader = ConfigLoader(Settings, File("app.toml"))
    given = {"app.toml": f"number = 2\n{text}\n".encode()}
    with pytest.raises(ConfigError, match=SAID):
        loader._build(loader._read_with(given, trusted=False))
    assert not {str(each) for each in READ} - {"a.pem", "b.pem"}
    Path("missing").write_text("")
    assert loader._build(loader._read_with(given, trusted=True))
    moved = {"app.toml": b'number = 2\ntls.certificate = "b.pem"\n'}
    assert loader._build(loader._read_with(moved, trusted=False))


def test_a_text_for_sources_that_are_broken_names_none() -> None:
    Path("app.toml").write_text("number = \n")
    loader = ConfigLoader(Settings, File("app.toml"))
    with pytest.raises(ConfigError, match=SAID):
        loader._build(loader._read_with({"app.toml": SOURCES.encode()}, trusted=False))
    assert loader._build(loader._read_with({"app.toml": b"number = 2\ntls = {}\n"}, trusted=False))
