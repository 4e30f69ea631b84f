"""What may be wrong with what a BaseSettings class reads: each is refused in words, with its field and its place."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Any

import pydantic
import pytest
from pydantic import SecretStr
from pydantic_settings import (
    BaseSettings,
    CliSettingsSource,
    JsonConfigSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
    YamlConfigSettingsSource,
)

from confcast import ConfigError, ConfigLoader, NotCarried
from confcast.config.base_settings import calls
from confcast.config.explain import explain
from confcast.config.sources.formats.common import MAX_BYTES

pytestmark = pytest.mark.usefixtures("here")

SENTINEL = "hunter2"


class App(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="APP_", env_nested_delimiter="__", env_file=".env", secrets_dir="sec", extra="ignore"
    )
    name: str = "app"
    workers: int = 1
    hosts: list[str] = []
    token: SecretStr = SecretStr("")


class Files(App):
    model_config = SettingsConfigDict(yaml_file="a.yaml", toml_file="a.toml", json_file="a.json")

    @classmethod
    def settings_customise_sources(cls, settings_cls: Any, env_settings: Any, **others: Any) -> Any:
        made = (YamlConfigSettingsSource, TomlConfigSettingsSource, JsonConfigSettingsSource)
        return env_settings, *(make(settings_cls) for make in made)


@pytest.fixture(autouse=True)
def secrets(here):
    Path("sec").mkdir()


def refusal(schema: Any = App) -> str:
    loader = ConfigLoader(schema)
    with pytest.raises(ConfigError) as caught:
        loader.load()
    assert loader._fingerprint() == loader._fingerprint()
    return str(caught.value)


# ---- values


def test_a_refused_value_is_reported_at_its_place(monkeypatch):
    Path(".env").write_text("\nAPP_WORKERS=many\n")
    assert refusal() == (
        ".env:2:13: workers: Input should be a valid integer, unable to parse string as an integer (got 'many')"
    )
    monkeypatch.setenv("APP_WORKERS", "lots")
    assert refusal().startswith("environment variable APP_WORKERS: workers: Input should be")


def test_what_is_no_json_is_reported_with_field_source_and_place_but_not_quoted(monkeypatch):
    Path(".env").write_text(f"\nAPP_HOSTS=[{SENTINEL},\n")
    text = refusal()
    assert text == (
        ".env:2:11: hosts: a list or a table has to be written as JSON here; the text is no valid JSON: Expecting value"
        " (line 1, column 2) (read by DotEnvSettingsSource)"
    )
    monkeypatch.setenv("APP_HOSTS", SENTINEL)
    text = refusal()
    assert text.startswith("environment variable APP_HOSTS: hosts: a list")
    assert SENTINEL not in text


def test_a_value_of_a_secrets_directory_is_masked_whatever_type_it_has():
    Path("sec/app_workers").write_text(SENTINEL)
    text = refusal()
    assert text.startswith("sec/app_workers: workers: Input should be a valid integer")
    assert SENTINEL not in text
    Path("sec/app_workers").unlink()
    Path("sec/app_name").write_text(SENTINEL)
    assert SENTINEL not in repr(explain(ConfigLoader(App).load(), "name"))


def test_every_mistake_is_reported_at_once(monkeypatch):
    monkeypatch.setenv("APP_WORKERS", "many")
    Path("sec/app_name").write_text("x")
    Path("a.toml").write_text("token = 3\n")
    text = refusal(Files)
    assert "environment variable APP_WORKERS: workers:" in text
    assert "a.toml:1:9: token:" in text


def test_an_unknown_key_of_an_env_file_is_refused_where_the_class_forbids_it():
    class Closed(App):
        model_config = SettingsConfigDict(extra="forbid")

    Path(".env").write_text("APP_NAME=a\nAPP_NMAE=b\n")
    assert refusal(Closed).startswith(".env:2:1: app_nmae: unknown key")


# ---- files


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.yaml", "name: [1\nworkers: 2", "a.yaml:2:8: is no valid YAML"),
        ("a.yaml", f"- {SENTINEL}", "a.yaml: has to be a table of keys, and is a list"),
        ("a.toml", f"name = 'x'\nworkers = {SENTINEL}", "a.toml:2:11: is no valid TOML"),
        ("a.json", f'{{"name": "{SENTINEL}",}}', "a.json:1:"),
    ],
)
def test_a_broken_document_is_refused_with_its_place_and_noted(name, text, said):
    Path(name).write_text(text)
    found = refusal(Files)
    assert said in found
    assert SENTINEL not in found


def test_a_broken_document_that_is_named_only_in_the_code_is_watched_too(tmp_path):
    class Elsewhere(App):
        @classmethod
        def settings_customise_sources(cls, settings_cls: Any, env_settings: Any, **others: Any) -> Any:
            return env_settings, YamlConfigSettingsSource(settings_cls, yaml_file=Path("deep/b.yaml"))

    Path("deep").mkdir()
    Path("deep/b.yaml").write_text("name: [")
    loader = ConfigLoader(Elsewhere)
    with pytest.raises(ConfigError, match=r"deep/b\.yaml:2:1: is no valid YAML"):
        loader.load()
    assert tmp_path / "deep/b.yaml" in loader._watched()
    before = loader._fingerprint()
    Path("deep/b.yaml").write_text("name: good")
    assert loader._fingerprint() != before
    assert loader.load().config.name == "good"


def test_an_env_file_of_other_bytes_is_refused_with_line_and_column():
    Path(".env").write_bytes(b"APP_NAME=a\nAPP_X=\xff\n")
    assert refusal() == ".env:2:7: is not UTF-8: save it as UTF-8"


def test_an_encoding_that_is_none_is_named_by_its_option():
    class Other(App):
        model_config = SettingsConfigDict(env_file_encoding="utf-88")

    Path(".env").write_text("APP_NAME=a\n")
    assert refusal(Other) == ".env: env_file_encoding='utf-88' is no encoding that Python knows"


def test_a_secret_of_other_bytes_is_refused_with_its_file():
    Path("sec/app_token").write_bytes(b"\xff" + SENTINEL.encode())
    text = refusal()
    assert text == "sec/app_token: token: is not UTF-8: save it as that (read by SecretsSettingsSource)"


def test_a_pipe_is_refused_and_never_waited_for():
    os.mkfifo(".env")
    assert refusal() == ".env: is a pipe (FIFO), which gives its content only once: use a file"


def test_a_loop_of_links_is_said_as_missing(caplog):
    Path(".env").symlink_to(".env")
    assert ConfigLoader(App).load().config.name == "app"
    assert "names the file .env, which does not exist" in caplog.text


def test_what_is_too_large_is_refused():
    with Path(".env").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    assert refusal() == ".env: is larger than 16 MiB"
    Path(".env").unlink()
    with Path("sec/app_token").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    assert refusal() == "sec/app_token: is larger than 16 MiB"


def test_what_can_t_be_read_is_refused(monkeypatch):
    Path("sec/app_token").write_text("t")
    read_text = Path.read_text

    def denied(path: Path, *given: Any, **options: Any) -> str:
        if path.name == "app_token":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return read_text(path, *given, **options)

    monkeypatch.setattr(Path, "read_text", denied)
    assert refusal() == "sec/app_token: token: can't be read: Permission denied (read by SecretsSettingsSource)"


def test_a_file_that_is_being_written_is_refused_until_it_is_closed():
    with Path(".env").open("w") as writer:
        writer.write("APP_NAME=half")
        writer.flush()
        assert refusal() == ".env: is still open for writing by another process"
    assert ConfigLoader(App).load().config.name == "half"


def test_a_file_that_goes_and_comes_back_is_a_change_each_time(tmp_path):
    Path(".env").write_text("APP_NAME=a")
    loader = ConfigLoader(App)
    first = loader.load()
    Path(".env").unlink()
    assert loader._fingerprint() != first.fingerprint
    assert loader.load().config.name == "app"
    assert tmp_path / ".env" in loader._watched()
    Path(".env").write_text("APP_NAME=a")
    assert loader.load().digest == first.digest


def test_secrets_are_files_in_a_directory_that_is_watched_as_a_whole(tmp_path, caplog):
    for number in range(1000):
        Path(f"sec/other_{number}").write_text("x")
    Path("sec/app_name").write_text("two\nlines\0\n")
    os.mkfifo("sec/app_workers")
    Path("outside").write_text("o")
    Path("sec/app_token").symlink_to(tmp_path / "outside")
    loader = ConfigLoader(App)
    assert loader.load().config.name == "two\nlines\0"
    assert tmp_path / "sec" in loader._watched()
    assert "found a FIFO" in caplog.text.replace("fifo", "FIFO")


def test_a_file_in_the_place_of_the_secrets_directory_is_refused():
    Path("sec").rmdir()
    Path("sec").write_text("x")
    assert "secrets_dir must reference a directory, not a file" in refusal()


# ---- classes that can't be read by their sources alone


def test_a_command_line_is_refused_with_what_to_do():
    class Cli(App):
        model_config = SettingsConfigDict(cli_parse_args=True)

    class InCode(App):
        @classmethod
        def settings_customise_sources(cls, settings_cls: Any, env_settings: Any, **others: Any) -> Any:
            return CliSettingsSource(settings_cls, cli_parse_args=[]), env_settings

    for cls, what in ((Cli, "cli_parse_args in its model_config"), (InCode, "CliSettingsSource among its sources")):
        text = refusal(cls)
        assert what in text
        assert "parse it where the server starts, and give what it says as ConfigLoader(…, overrides={…})" in text


def test_a_constructor_of_the_user_s_is_refused_with_what_to_do():
    class Constructed(App):
        def __init__(self, **values: Any) -> None:
            super().__init__(_env_file="other.env", **values)

    assert "Constructed has an __init__ of its own, which is not called" in refusal(Constructed)


class Raising(PydanticBaseSettingsSource):
    error: BaseException = KeyError(1)

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        raise NotImplementedError

    def __call__(self) -> dict[str, Any]:
        raise self.error


@pytest.mark.parametrize("error", [KeyError("vault"), SystemExit(3), OSError(errno.EIO, "vault")])
def test_what_a_source_of_the_user_s_raises_is_named_with_the_source(error):
    class Vault(Raising):
        pass

    Vault.error = error

    class Own(App):
        @classmethod
        def settings_customise_sources(cls, settings_cls: Any, env_settings: Any, **others: Any) -> Any:
            return env_settings, Vault(settings_cls)

    assert f"Vault() raised {type(error).__name__}" in refusal(Own)

    def watched(self: Any) -> Any:
        raise error

    Vault.watched = watched
    assert f"Vault.watched() raised {type(error).__name__}" in refusal(Own)


def test_what_choosing_the_sources_raises_is_named():
    class Own(App):
        @classmethod
        def settings_customise_sources(cls, settings_cls: Any, **sources: Any) -> Any:
            raise RuntimeError("no")

    assert "settings_customise_sources() raised RuntimeError: no" in refusal(Own)


def test_an_error_that_quotes_what_was_read_is_not_quoted():
    class Quoting(Raising):
        def __call__(self) -> dict[str, Any]:
            return pydantic.TypeAdapter(dict[str, int]).validate_python({"a": SENTINEL})

    class Own(App):
        @classmethod
        def settings_customise_sources(cls, settings_cls: Any, env_settings: Any, **others: Any) -> Any:
            return (Quoting(settings_cls),)

    text = refusal(Own)
    assert "Quoting() raised ValidationError" in text
    assert SENTINEL not in text


def test_a_type_that_can_t_be_carried_is_named_before_anything_is_read():
    class Handle:
        pass

    class Uncarried(BaseSettings):
        handle: Handle | None = None

    with pytest.raises(NotCarried, match="handle"):
        ConfigLoader(Uncarried).load()


def test_a_file_that_the_class_names_can_t_be_tried_with_another_content():
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(App)._with_contents({".env": b"APP_NAME=a"})
    first, second = str(caught.value).splitlines()
    assert first == ".env is no file of the sources, which have: none"
    assert second == "the files that App itself names are read by pydantic-settings, and can't be replaced"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "A0=xxxxxxxx\n" + "".join(f"A{n}=${{A{n - 1}}}${{A{n - 1}}}\n" for n in range(1, 22)),
            "stands for too much text",
        ),
        ("NAME=a" + " " * 11_000 + "b", "has too many blanks in a row"),
    ],
    ids=["references", "blanks"],
)
def test_a_file_that_stands_for_more_than_anybody_writes_is_refused_before_it_is_read(text, message):
    Path(".env").write_text(text)
    assert message in refusal()


class Tree(Files):
    tree: Any = None


STANDS_FOR_TOO_MUCH = "a.yaml: has aliases that stand for 50 times as much as it has, or more"
TIMES = "".join(f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]\n" for n in range(1, 6))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"tree:\n  a0: &a0 [x]\n{TIMES}", STANDS_FOR_TOO_MUCH),
        ("tree: &a [*a]\n", "a.yaml: has a value that contains itself, by an alias"),
        ("tree: [&a " + "x" * 100_000 + ", *a" * 300 + "]\n", STANDS_FOR_TOO_MUCH),
        (f"tree:\n  a0: &a0 [x]\n{TIMES.replace('[', '!!pairs [').replace('*', 'k: *')}", STANDS_FOR_TOO_MUCH),
        ("tree: !!pairs [k: &a !!pairs [k: *a]]\n", "a.yaml: has a value that contains itself, by an alias"),
        ("tree: [&a " + "x" * 100_000 + ", {*a : 1}" * 300 + "]\n", STANDS_FOR_TOO_MUCH),
        ("tree: [&a !!set {" + "x" * 100_000 + "}, " + "[*a], " * 300 + "]\n", STANDS_FOR_TOO_MUCH),
        ("tree: [&a !!binary " + "eHh4" * 30_000 + ", [*a]" * 300 + "]\n", STANDS_FOR_TOO_MUCH),
    ],
    ids=["lists", "a circle", "a long text", "pairs", "a circle of pairs", "long keys", "sets", "long bytes"],
)
def test_aliases_that_stand_for_more_than_anybody_writes_are_refused(text, message):
    Path("a.yaml").write_text(text)
    assert refusal(Tree).startswith(message)


def test_aliases_that_people_write_are_read():
    Path("a.yaml").write_text("tree:\n  a: &a {x: [1, 2, 3]}\n  many:\n" + "  - *a\n" * 2000)
    assert ConfigLoader(Tree).load().config.tree["many"] == [{"x": [1, 2, 3]}] * 2000


@pytest.mark.parametrize("value", ["0", "x", "true", '""', "null"])
def test_values_that_python_has_once_are_no_aliases(value):
    Path("a.yaml").write_text(f"tree: [{', '.join([value] * 11_000)}]\n")
    assert len(ConfigLoader(Tree).load().config.tree) == 11_000


def test_a_long_chain_of_aliases_is_counted_in_the_time_of_its_length():
    chain = [["x"]]
    for _ in range(40_000):
        chain.append([chain[-1], chain[-1]])
    began = time.process_time()
    with pytest.raises(calls.TooMuch):
        calls._check_size({"chain": chain})
    assert time.process_time() - began < 1.0
