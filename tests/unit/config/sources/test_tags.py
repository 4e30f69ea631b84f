"""YAML's tags `!env`, `!file` and `!include`: what stands for a value, where it comes from, and what refuses it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from confcast import ConfigError, ConfigLoader, File

TAGS: Any = ("env", "file", "include")


class Settings(BaseModel):
    name: str = ""
    port: int = 80
    password: SecretStr = SecretStr("")
    hosts: list[str] = []
    limits: dict[str, int] = {}
    extra: dict[str, Any] = {}


TAG_FORMS = "behind a tag stands one name, as in !env NAME, !env NAME:-default or !file path"


def unset(name: str) -> str:
    return f"environment variable {name} is not set: start the server with it, or write !env {name}:-default"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PORT", "8080")
    monkeypatch.setenv("HOSTS", '["a", "b"]')
    monkeypatch.delenv("NOPE", raising=False)
    (tmp_path / "sub").mkdir()
    return tmp_path


def loader(text: str, tags: Any = TAGS, **options: Any) -> ConfigLoader[Settings]:
    Path("app.yaml").write_text(text)
    return ConfigLoader(Settings, File("app.yaml", tags=tags, **options))


def refused(loader: ConfigLoader[Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loader.load()
    return [str(problem) for problem in caught.value.problems]


def test_a_tag_stands_for_a_whole_value_of_the_type_that_its_key_has(folder):
    Path("db").write_text("s3cret\n")
    Path("sub/limits.json").write_text('{"a": 1,\n "b": 2}')
    app = loader(
        "name: !env NOPE:-other\nport: !env PORT\npassword: !file db\nhosts: !env HOSTS\n"
        "limits: !include sub/limits.json\nextra: {a: ['${PORT}', $$, !env 'PORT']}\n"
    )
    candidate = app.load()
    config = candidate.config
    assert (config.name, config.port, config.hosts, config.limits) == ("other", 8080, ["a", "b"], {"a": 1, "b": 2})
    assert config.password.get_secret_value() == "s3cret"
    assert config.extra == {"a": ["${PORT}", "$$", "8080"]}
    origins = {key: candidate.origin_of(key) for key in ("name", "port", "password", "limits.b", "extra.a.2")}
    assert origins == {
        "name": "app.yaml:1:7, from the default for environment variable NOPE",
        "port": "app.yaml:2:7, from environment variable PORT",
        "password": "app.yaml:3:11, from file db",
        "limits.b": "sub/limits.json:2:7",
        "extra.a.2": "app.yaml:6:28, from environment variable PORT",
    }
    assert app._watched() == (folder / "app.yaml", folder / "db", folder / "sub/limits.json")
    (part,) = app.sources[0].read().parts
    assert part.secrets == {("password",)}


def test_a_change_of_what_is_named_is_a_change(folder, monkeypatch):
    Path("sub/limits.json").write_text('{"a": 1}')
    app = loader("limits: !include sub/limits.json\nport: !env PORT\n")
    first = app.load()
    assert app._fingerprint() == first.fingerprint
    Path("sub/limits.json").write_text('{"a": 2}')
    second = app._fingerprint()
    assert second != first.fingerprint
    monkeypatch.setenv("PORT", "1")
    assert app._fingerprint() not in (first.fingerprint, second)
    assert app.load().fingerprint == app._fingerprint()


def test_what_an_included_file_refers_to_begins_at_that_file_and_its_positions_are_its_own(folder):
    Path("sub/extra.yaml").write_text("port: !env PORT\nmore: !include more.yaml\n")
    Path("sub/more.yaml").write_text("deep:\n- !file value\n")
    Path("sub/value").write_text("v")
    app = loader("extra: !include sub/extra.yaml\n")
    candidate = app.load()
    assert candidate.config.extra == {"port": "8080", "more": {"deep": ["v"]}}
    assert candidate.origin_of("extra.more.deep.0") == "sub/more.yaml:2:3, from file value"
    assert candidate.origin_of("extra.port") == "sub/extra.yaml:1:7, from environment variable PORT"
    assert next(iter(app.sources[0].read().parts)).secrets == {("extra", "more", "deep", 0)}


def test_tags_and_references_go_together(folder):
    Path("sub/p8080.yaml").write_text("a: ${PORT}\n")
    app = loader("limits: !include 'sub/p${PORT}.yaml'\nname: 'x${PORT}'\nport: !env PORT\n", references="env")
    config = app.load().config
    assert (config.limits, config.name, config.port) == ({"a": 8080}, "x8080", 8080)


def test_what_can_t_be_resolved_or_included_is_said_with_its_position(folder):
    circle = "app.yaml → sub/circle.yaml → sub/../app.yaml"
    Path("sub/circle.yaml").write_text("again: !include ../app.yaml\n")
    assert refused(loader("extra: {a: !include gone.yaml, b: !include sub/circle.yaml}\nport: !env NOPE\n")) == [
        f"app.yaml:1:12: includes a file that does not exist: {folder}/gone.yaml",
        f"sub/circle.yaml:1:8: closes a circle of files that include each other: {circle}",
    ]
    Path("sub/wrong.yaml").write_text("a: many\nb: !env NOPE\nc: !env 1 2\n")
    found = refused(loader("limits: !include sub/wrong.yaml\nport: !env NOPE\npassword: !file gone\n"))
    assert found[0].startswith("sub/wrong.yaml:1:4: limits.a: ")
    assert found[1:] == [
        f"app.yaml:2:7: port: {unset('NOPE')}",
        f"app.yaml:3:11: password: the file {folder}/gone does not exist",
        f"sub/wrong.yaml:2:4: limits.b: {unset('NOPE')}",
        f"sub/wrong.yaml:3:4: limits.c: has a reference that can't be read: {TAG_FORMS}",
    ]


@pytest.mark.parametrize(
    ("text", "tags", "place"),
    [
        ("port: !env PORT\n", ("file",), "1:7"),
        ("port: !env PORT\n", (), "1:7"),
        ("!env name: x\n", TAGS, "1:1"),
        ("name: !env [PORT]\n", TAGS, "1:7"),
        ("name: !include {a: b}\n", TAGS, "1:7"),
    ],
)
def test_a_tag_that_is_not_asked_for_or_stands_elsewhere_is_refused_and_the_option_named(text, tags, place):
    (found,) = refused(loader(text, tags))
    assert found.startswith(f"app.yaml:{place}: has the tag !")
    assert "is read only where File(…, tags=(" in found


def test_another_tag_is_refused_as_ever():
    assert "has a tag that is not one of YAML's plain types" in refused(loader("name: !exec ls\n"))[0]


def test_tags_are_yaml_s_and_known():
    with pytest.raises(ValueError, match=r"app\.toml: tags=\('env',\): only YAML has tags, and the format is toml"):
        File("app.toml", tags=("env",))
    with pytest.raises(ValueError, match=r"app\.yaml: tags has \['exec'\]: known are env, file, include"):
        File("app.yaml", tags=("exec",))  # type: ignore[arg-type]
    assert File("app.yaml", tags=["env"]) == File("app.yaml", tags=("env",))


def test_an_included_toml_file_has_no_tags(folder):
    Path("sub/limits.toml").write_text("a = 1\n")
    assert loader("limits: !include sub/limits.toml\n").load().config.limits == {"a": 1}


def test_an_alias_repeats_what_its_anchor_stands_for():
    config = loader("port: &port !env PORT\nlimits: {a: *port}\n").load().config
    assert (config.port, config.limits) == (8080, {"a": 8080})


def test_one_file_in_many_places_is_bounded(folder):
    Path("sub/1.yaml").write_text("a: 1\n")
    text = "extra:\n" + "".join(f"  k{number}: !include sub/1.yaml\n" for number in range(1500))
    assert refused(loader(text)) == ["app.yaml:1002:10: includes a file after 1000 others: no more are allowed"]
