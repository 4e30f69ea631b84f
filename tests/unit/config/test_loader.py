"""Sources and a schema to a candidate: order, origins, fingerprints, and the loader as data."""

from __future__ import annotations

import dataclasses
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel, Field, SecretStr

from confcast.config.loader import ConfigLoader, LoaderSpec
from confcast.config.sources.environment import Environment
from confcast.config.sources.file import File
from confcast.config.sources.layer import Layer, Place
from confcast.errors import ConfigError, NotCarried
from tests.support.fragments import Unlisted


class Memory(BaseModel):
    total_budget_mb: int = Field(3072, ge=512)
    global_index_mb: int = 512


class Server(BaseModel):
    host: str
    port: int = 80


class Settings(BaseModel):
    version: str = "2.0"
    memory: Memory = Memory()
    servers: list[Server] = []
    labels: dict[str, str] = {}
    renamed: int = Field(1, alias="otherName")
    token: SecretStr = SecretStr("")
    anything: Any = None


class Custom(msgspec.Struct):
    """A source of a user's own, with nothing but a read()."""

    value: str

    def read(self) -> Layer:
        places = {("version",): Place("custom:key", "custom:value")}
        return Layer("custom", {"version": self.value}, places=lambda: places)


class Raising(msgspec.Struct):
    def read(self) -> Layer:
        raise LookupError("the service is away")


class Leaving(msgspec.Struct):
    def read(self) -> Layer:
        sys.exit("the service is away")


class Subclass(ConfigLoader[Settings]):
    def __init__(self) -> None:
        super().__init__(Settings, "app.yaml", overrides={"version": "3"})


YAML = """\
version: "2.0"
memory:
  # the budget
  total_budget_mb: 4096
servers:
  - host: a
  - {host: b, port: 81}
labels: {blue: sky}
otherName: 5
"""


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("app.yaml").write_text(YAML)


def problems(loader: ConfigLoader[Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loader.load()
    return list(map(str, caught.value.problems))


# ---- order and origins


def test_later_sources_override_earlier_ones_key_by_key(monkeypatch):
    Path("low.toml").write_text(
        "version = 'low'\nservers = [{host = 'x'}, {host = 'y'}]\n[memory]\ntotal_budget_mb = 600\n"
    )
    Path("high.json").write_text('{"version": "high", "servers": [{"host": "z"}], "memory": {"global_index_mb": 7}}')
    monkeypatch.setenv("APP_MEMORY__GLOBAL_INDEX_MB", "8")
    monkeypatch.setenv("APP_VERSION", "env")
    loader = ConfigLoader(
        Settings, "low.toml", Path("high.json"), Environment("APP_"), overrides={"version": "override"}
    )
    candidate = loader.load()
    assert candidate.config.version == "override"
    assert candidate.config.memory == Memory(total_budget_mb=600, global_index_mb=8)
    assert candidate.config.servers == [Server(host="z")]
    assert {key: candidate.origin_of(key) for key in ("version", "memory.total_budget_mb", "servers.0.host")} == {
        "version": "override",
        "memory.total_budget_mb": "low.toml:4:19",
        "servers.0.host": "high.json:1:42",
    }
    assert candidate.origin_of("memory.global_index_mb") == "environment variable APP_MEMORY__GLOBAL_INDEX_MB"
    assert candidate.origin_of("memory") == "high.json:1:49"
    assert candidate.origin_of("token") == candidate.origin_of("servers.0.port") == "default"


def test_origins_are_lines_and_columns_of_values():
    candidate = ConfigLoader(Settings, "app.yaml").load()
    assert {key: candidate.origin_of(key) for key in ("memory.total_budget_mb", "servers.1.port", "labels.blue")} == {
        "memory.total_budget_mb": "app.yaml:4:20",
        "servers.1.port": "app.yaml:7:21",
        "labels.blue": "app.yaml:8:16",
    }
    assert candidate.origin_of("otherName") == candidate.origin_of("renamed") == "app.yaml:9:12"
    assert candidate.origin_of("memory") == "app.yaml:2:1"


def test_what_a_higher_layer_replaced_is_no_origin():
    Path("high.json").write_text('{"servers": [{"host": "z"}]}')
    Path("app.yaml").write_text("servers: [{host: a, port: 1}]")
    candidate = ConfigLoader(Settings, "app.yaml", "high.json").load()
    assert candidate.config.servers == [Server(host="z")]
    assert candidate.origin_of("servers.0.port") == "default"


def test_a_table_has_its_origin_where_the_table_is_and_not_in_a_value_that_it_replaced(monkeypatch):
    class Switched(BaseModel):
        memory: bool | Memory = False

    monkeypatch.setenv("APP_MEMORY__GLOBAL_INDEX_MB", "8")
    Path("low.toml").write_text("memory = true\n")
    candidate = ConfigLoader(Switched, "low.toml", Environment("APP_")).load()
    assert candidate.config.memory == Memory(global_index_mb=8)
    assert candidate.origin_of("memory") == "environment APP_*"


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("memory.totl_budget_mb", "nothing is called 'totl_budget_mb' there; did you mean 'total_budget_mb'?"),
        ("labels.green", "nothing is called 'green' there"),
        ("servers.7.host", "nothing is called '7' there"),
        ("version.x", "nothing is called 'x' there"),
        ("", "nothing is called '' there"),
    ],
)
def test_the_origin_of_an_unknown_key_is_a_key_error_that_says_so(key, text):
    with pytest.raises(KeyError) as caught:
        ConfigLoader(Settings, "app.yaml").load().origin_of(key)
    assert caught.value.args == (f"Settings has no key {key!r}: {text}",)


def test_without_sources_there_are_only_defaults():
    candidate = ConfigLoader(Settings).load()
    assert candidate.config == Settings()
    assert candidate.origin_of("memory.total_budget_mb") == "default"


def test_a_candidate_carries_its_configuration_exactly_and_shows_none_of_it():
    loader = ConfigLoader(Settings, "app.yaml", overrides={"token": "hunter2"})
    candidate = loader.load()
    assert loader._codec.decode(candidate.payload) == candidate.config
    assert candidate.digest == loader.load().digest
    assert len(candidate.digest) == len(candidate.fingerprint) == 16
    assert "hunter2" not in repr(candidate) + repr(loader) + repr(loader._read())


def test_overrides_are_copied():
    overrides: dict[str, Any] = {"memory": {"total_budget_mb": 600}}
    loader = ConfigLoader(Settings, overrides=overrides)
    overrides["memory"]["total_budget_mb"] = 1
    assert loader.load().config.memory.total_budget_mb == 600


# ---- problems of sources


def test_the_problems_of_all_sources_come_at_once():
    Path("broken.json").write_text('{"a": ')
    loader = ConfigLoader(Settings, "missing.toml", "broken.json", Raising(), "app.yaml")
    assert problems(loader) == [
        f"missing.toml: there is no such file: {Path.cwd() / 'missing.toml'}",
        "broken.json:1:7: is no valid JSON: Expecting value",
        "Raising.read() raised LookupError: the service is away",
    ]


@pytest.mark.parametrize(
    ("sources", "reason"),
    [
        (["missing.toml"], "file_not_found"),
        (["missing.toml", "missing.json", "app.yaml"], "file_not_found"),
        ([Raising(), "missing.json"], "io_error"),
        ([Raising()], "io_error"),
        ([Leaving()], "io_error"),
        (["empty.toml", "missing.json"], "validation_failed"),
    ],
)
def test_the_reason_is_the_gravest_one(sources, reason):
    Path("empty.toml").touch()
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Settings, *sources)._read()
    assert caught.value.reason == reason


def test_what_is_no_source_is_refused_when_it_is_given():
    with pytest.raises(TypeError, match=r"3 is no source: it has to be a path, or a msgspec\.Struct with a read"):
        ConfigLoader(Settings, 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="is no source"):
        ConfigLoader(Settings, Custom)  # type: ignore[arg-type]


def test_a_source_that_gives_no_layer_is_refused():
    class Odd(msgspec.Struct):
        def read(self) -> Any:
            return {"version": "1"}

    assert problems(ConfigLoader(Settings, Odd())) == [
        'Odd.read() gave a dict, not a Layer: `from confcast import Layer`, and return Layer("Odd", data)'
    ]


def test_a_source_of_the_users_own_is_merged_and_has_positions():
    candidate = ConfigLoader(Settings, "app.yaml", Custom("4")).load()
    assert candidate.config.version == "4"
    assert candidate.origin_of("version") == "custom:value"


def test_a_warning_is_logged_once_and_not_at_every_reload(monkeypatch, caplog):
    monkeypatch.setenv("APP_NOTHING", "x")
    monkeypatch.setenv("APP_SERVICE_HOST", "10.0.0.1")
    loader = ConfigLoader(Settings, Environment("APP_", unknown="warn"))
    with caplog.at_level(logging.WARNING, "confcast.loader"):
        loader.load()
        loader.load()
    assert len(caplog.messages) == 2
    assert caplog.messages[0].startswith("environment variable APP_NOTHING is ignored")
    assert "APP_SERVICE_HOST" in caplog.messages[1]


# ---- what can't be carried


def test_a_value_that_cannot_be_carried_is_a_problem_with_its_position():
    class Odd(msgspec.Struct):
        def read(self) -> Layer:
            return Layer("odd", {"anything": object()}, places=lambda: {("anything",): Place("odd:key", "odd:value")})

    (problem,) = problems(ConfigLoader(Settings, Odd()))
    assert problem.startswith("odd:value: anything: ")


def test_of_a_schema_that_cannot_be_carried_the_error_says_so():
    @dataclasses.dataclass
    class Callback:
        call: type[int] = int

    with pytest.raises(NotCarried):
        ConfigLoader(Callback).load()


def test_a_configuration_that_is_too_large_for_a_frame_is_refused(monkeypatch):
    monkeypatch.setattr("confcast.config.loader.MAX_FRAME", 1024 + 3)
    assert problems(ConfigLoader(Settings)) == ["takes 0 MiB when encoded; 0 MiB are allowed"]


def test_a_codec_that_loses_something_is_found_out(monkeypatch):
    loader = ConfigLoader(Settings)
    monkeypatch.setattr(ConfigLoader, "_codec", Lossy())
    assert problems(loader) == ["can't be carried to the workers exactly: decoded, it encodes to other bytes"]


class Lossy:
    def __init__(self) -> None:
        self.count = 0

    def encode(self, _: object) -> bytes:
        self.count += 1
        return bytes([self.count])

    def decode(self, _: bytes) -> object:
        return object()


# ---- fingerprints and watching


def test_the_fingerprint_is_that_of_the_reading_and_never_raises():
    loader = ConfigLoader(Settings, "app.yaml", File("extra.toml", optional=True), Custom("4"))
    reading = loader._read()
    assert loader._fingerprint() == reading.fingerprint == loader._build(reading).fingerprint
    seen = {loader._fingerprint()}
    Path("app.yaml").write_text(YAML.replace("4096", "4097"))
    seen.add(loader._fingerprint())
    Path("extra.toml").write_text("broken")
    seen.add(loader._fingerprint())
    Path("app.yaml").unlink()
    seen.add(loader._fingerprint())
    assert len(seen) == 4
    assert len(ConfigLoader(Settings, Raising(), Leaving())._fingerprint()) == 16


def test_the_files_to_watch_and_those_being_written_are_named(tmp_path):
    Path("other.toml").write_text("a = 1")
    loader = ConfigLoader(Settings, "app.yaml", Custom("4"), Environment("APP_"), "other.toml")
    assert loader._watched() == (tmp_path / "app.yaml", tmp_path / "other.toml")
    assert loader._still_being_written() == ()
    if sys.platform == "linux":
        with Path("other.toml").open("a"):
            assert loader._still_being_written() == (tmp_path / "other.toml",)


def test_a_source_that_can_not_name_its_files_is_reported_as_one_that_can_not_be_read() -> None:
    loader = ConfigLoader(Settings, Unlisted("fragments"))
    for ask in (loader._watched, loader._watches_nowhere, loader.load):
        with pytest.raises(ConfigError, match=r"Unlisted.watched\(\) raised LookupError: the service") as told:
            ask()
        assert told.value.reason == "io_error"


# ---- the loader as data


def test_a_loader_comes_back_from_its_spec(monkeypatch):
    loader = ConfigLoader(
        Settings,
        "app.yaml",
        Custom("4"),
        Environment("APP_", unknown="warn"),
        overrides={"memory": {"global_index_mb": 9}},
    )
    data = msgspec.msgpack.encode(loader._to_spec())
    monkeypatch.chdir("/")
    again = ConfigLoader._from_spec(msgspec.msgpack.decode(data, type=LoaderSpec))
    assert again.sources == loader.sources
    assert again.schema is Settings
    assert again.load().payload == loader.load().payload
    assert again.load().origin_of("memory.total_budget_mb") == "app.yaml:4:20"


def test_a_subclass_comes_back_as_a_plain_loader():
    again = Subclass._from_spec(Subclass()._to_spec())
    assert type(again) is ConfigLoader
    assert again.load().config.version == "3"


class Plain:
    def read(self) -> Layer:
        return Layer("plain", {"version": "5"})


@pytest.mark.parametrize(
    ("sources", "overrides", "text"),
    [
        ([Plain()], {}, r"a Plain is no msgspec\.Struct, so it can't be sent to the config owner"),
        ([], {"memory": {"total_budget_mb": object()}}, r"the override memory\.total_budget_mb is a object"),
        ([], {"servers": [Path("x")]}, r"the override servers\.0 is a PosixPath"),
        ([], {"version": 2**64}, "the override version is a whole number of more than 64 bits"),
    ],
)
def test_what_cannot_be_sent_to_the_owner_is_refused_in_words(sources, overrides, text):
    loader = ConfigLoader(Settings, *sources, overrides=overrides)
    with pytest.raises(TypeError, match=text):
        loader._to_spec()


def test_a_schema_by_name_is_imported_at_first_use_only(tmp_path):
    (tmp_path / "own_settings.py").write_text("import msgspec\nclass Own(msgspec.Struct):\n    version: str = ''\n")
    (tmp_path / "v.json").write_text('{"version": "6"}')
    program = """
import sys
from confcast.config.loader import ConfigLoader
loader = ConfigLoader("own_settings:Own", "v.json")
spec, files, fingerprint = loader._to_spec(), loader._watched(), loader._fingerprint()
assert spec.schema == "own_settings:Own" == loader.schema_path
assert loader._read().fingerprint == fingerprint
assert "own_settings" not in sys.modules
print(loader.load().config.version)
"""
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert run.stdout == "6\n"


def test_a_schema_that_can_be_none_is_refused():
    with pytest.raises(TypeError, match="can't be a schema"):
        ConfigLoader(dict)
    with pytest.raises(TypeError, match="can't be a schema"):
        ConfigLoader("builtins:dict").load()
