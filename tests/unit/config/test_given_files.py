"""Texts that a dry run is given by somebody else: they lead to nothing that the sources do not name themselves."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import dotenv.variables
import msgspec
import pytest
from pydantic import BaseModel

from confcast import ConfigError, ConfigLoader, Dotenv, File, Who
from confcast.config.callers_files import may_read_all
from confcast.config.sources import polled

SECRET = "sentinel-41f7"  # in a file, and in a variable, that are none of the sources'


class Open(BaseModel, extra="allow"):
    """Takes whatever the files say."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a file that the owner may read, and whoever asks may not."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLAIN_NAME", SECRET)
    Path("private.toml").write_text(f'key = "{SECRET}"\n')
    Path("broken.toml").write_text(f"{SECRET}\n")
    Path("own.toml").write_text("own = 1\n")
    Path("own.yaml").write_text("own: 1\n")
    return tmp_path


TOML: dict[str, Any] = {"includes": "include", "references": "env"}
YAML: dict[str, Any] = {"tags": ("env", "file", "include")}
READS = [
    ("app.toml", TOML, 'include = "private.toml"'),
    ("app.toml", TOML, 'include = "{folder}/private.toml"'),
    ("app.toml", TOML, 'include = "broken.toml"'),
    ("app.toml", TOML, 'include = ["own.toml", "missing.toml"]'),
    ("app.toml", TOML, 'a = "${file:private.toml}"'),
    ("app.toml", TOML, 'a = "x${PLAIN_NAME}"'),
    ("app.toml", TOML, 'a = "${PLAIN_NAME:-none}"'),
    ("app.yaml", YAML, "a: !include private.toml"),
    ("app.yaml", YAML, "a: !file private.toml"),
    ("app.yaml", YAML, "a: !env PLAIN_NAME"),
]


@pytest.mark.parametrize(("name", "options", "text"), READS, ids=[text for *_, text in READS])
def test_it_reads_no_other_file_and_no_other_variable(
    name: str, options: dict[str, Any], text: str, folder: Path
) -> None:
    Path(name).write_text("b: 1\n" if name.endswith("yaml") else "b = 1\n")
    loader = ConfigLoader(Open, File(name, **options))
    given = {name: text.replace("{folder}", str(folder)).encode()}
    with pytest.raises(ConfigError, match="is not named by the sources now") as caught:
        loader._with_contents(given, trusted=False).load()
    shown = loader._with_contents(given, trusted=False)._with_excerpts(caught.value.problems)
    assert SECRET not in repr((shown, str(caught.value)))


def test_what_the_sources_name_now_may_be_named_and_so_may_what_is_given_as_well(monkeypatch: Any) -> None:
    monkeypatch.setenv("HOST", "here")
    Path("db").write_text("kept")
    text = 'include = "own.toml"\nhost = "${HOST}"\ndb = "${file:db}"\n'
    Path("app.toml").write_text(text)
    loader = ConfigLoader(Open, File("app.toml", **TOML))
    given = {"app.toml": text.replace('"own.toml"', '["own.toml", "new.toml"]').encode(), "new.toml": b"new = 2\n"}
    found = loader._with_contents(given, trusted=False).load().config.model_extra
    assert found == {"own": 1, "new": 2, "host": "here", "db": "kept"}


def test_the_owners_own_user_may_name_anything() -> None:
    Path("app.toml").write_text("b = 1\n")
    loader = ConfigLoader(Open, File("app.toml", **TOML))
    given = {"app.toml": b'include = "private.toml"\na = "x${PLAIN_NAME}"\n'}
    assert loader._with_contents(given).load().config.model_extra == {"key": SECRET, "a": f"x{SECRET}"}


@pytest.mark.parametrize("text", ["A=${PLAIN_NAME}", "A=x${PLAIN_NAME:-none}", "A=${NOT_SET}"])
def test_a_dotenv_text_puts_in_no_other_variable(text: str, monkeypatch: Any) -> None:
    monkeypatch.setenv("HOST", "here")
    Path(".env").write_text("B=${HOST}\n")
    loader = ConfigLoader(Flat, Dotenv(interpolate=True))
    with pytest.raises(ConfigError, match="is not named by the sources now") as caught:
        loader._with_contents({".env": text.encode()}, trusted=False).load()
    assert SECRET not in str(caught.value)
    found = loader._with_contents({".env": b"B=x${HOST}\nA=${B}\n"}, trusted=False).load().config
    assert (found.a, found.b) == ("xhere", "xhere")


UNENDING = b"A=" + b"${" * 9000


@pytest.mark.parametrize(("own", "given"), [(b"A=x\n", UNENDING), (UNENDING, b"A=x\n")], ids=["given", "own"])
def test_a_dotenv_text_whose_references_have_no_end_is_looked_at_no_longer_than_by_a_load(
    own: bytes, given: bytes, monkeypatch: Any
) -> None:
    looked_at = []
    monkeypatch.setattr(dotenv.variables, "parse_variables", lambda value: looked_at.append(value) or iter(()))
    Path(".env").write_bytes(own)
    loader = ConfigLoader(Flat, Dotenv(interpolate=True))
    with contextlib.suppress(ConfigError):
        loader._with_contents({".env": given}, trusted=False).load()
    assert UNENDING[2:].decode() not in looked_at


def test_how_long_a_variable_is_that_a_dotenv_text_may_not_name_is_not_told(monkeypatch: Any) -> None:
    monkeypatch.setenv("PLAIN_NAME", "x" * 100_000)
    Path(".env").write_text("A=x\n")
    loader = ConfigLoader(Flat, Dotenv(interpolate=True))
    with pytest.raises(ConfigError) as caught:
        loader._with_contents({".env": b"A=" + b"${PLAIN_NAME}" * 1000}, trusted=False).load()
    assert {each.message.partition(" is not named")[0] for each in caught.value.problems} == {
        "environment variable PLAIN_NAME"
    }


class Flat(BaseModel):
    """Of the two names of a `.env` file."""

    a: str = ""
    b: str = ""


def test_who_may_read_all_that_the_owner_may() -> None:
    """Its own user, and root; not a worker of another user, and not whom `confcast admin` calls for."""
    own = Who(os.geteuid(), 7, "confcast check")
    assert may_read_all(own)
    assert may_read_all(msgspec.structs.replace(own, uid=0))
    assert not may_read_all(msgspec.structs.replace(own, uid=own.uid + 1))
    assert not may_read_all(msgspec.structs.replace(own, actor="admin token ops"))
    assert not may_read_all(None)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("toml", 'include = "private.toml"\na = "${file:private.toml}"\nb = "${PLAIN_NAME}"\n'),
        ("json", '{"include": "private.toml", "a": "${file:private.toml}", "b": "${PLAIN_NAME}"}'),
        ("yaml", "a: !include private.toml"),
        ("yaml", "a: !file private.toml"),
        ("yaml", "a: !env PLAIN_NAME"),
        ("ini", "a = %(PLAIN_NAME)s\nb = ${PLAIN_NAME}\n"),
    ],
)
def test_a_document_from_elsewhere_names_nothing_of_this_host(form: Any, text: str, folder: Path) -> None:
    """What a server or an engine hands out: a reference in it is a text, or refused."""
    told = polled.parsed(text.encode(), form, str(folder / "app"), allow_empty=False)
    found = told.problem if told.layer is None else told.layer().data
    assert SECRET not in repr(found)
    if told.layer is not None:
        assert "private.toml" in repr(found)
