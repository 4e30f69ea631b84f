"""A folder of secrets: its names, what is wrong with one file, what is said of it, and Kubernetes' links."""

from __future__ import annotations

import os
import shutil
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from confcast import ConfigError, ConfigLoader, SecretsDir
from confcast.config.sources import disk, secret_file, secrets_dir
from confcast.config.sources.named_texts import NamedTexts
from confcast.config.sources.secret_file import SecretFile
from confcast.errors import Problem
from tests.support.leaks import descriptors
from tests.support.secret_file_faults import FAULTS
from tests.support.source_cases.secret_files import write

pytestmark = pytest.mark.usefixtures("here")

FOLDER = Path("secrets")


class Database(BaseModel):
    url: str = ""
    password: SecretStr = SecretStr("")
    ports: list[int] = []


class Settings(BaseModel):
    database: Database = Database()
    api_key: SecretStr = SecretStr("")
    name: str = ""


def put(**texts: str) -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, text in texts.items():
        write(FOLDER / name, text)


def loader(**options: Any) -> ConfigLoader[Settings]:
    return ConfigLoader(Settings, SecretsDir(FOLDER, **options))


def refused(**options: Any) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        loader(**options).load()
    return list(caught.value.problems)


# ---- names and texts


def test_each_file_is_a_value():
    put(api_key="k\n", database__password="p", DATABASE__PORTS="[1, 2]", database__url="x")
    candidate = loader().load()
    config = candidate.config
    assert (config.api_key.get_secret_value(), config.database.password.get_secret_value()) == ("k", "p")
    assert (config.database.ports, config.database.url) == ([1, 2], "x")
    assert candidate.origin_of("database.password") == "secrets/database__password"


def test_a_file_of_another_name_is_mapped_and_one_of_the_prefix_is_found():
    put(db_password="p", app_name="n", other="s3cret", password="s3cret")
    config = loader(prefix="APP_", names={"db_password": "database.password"}).load().config
    assert (config.database.password.get_secret_value(), config.name, config.api_key.get_secret_value()) == (
        "p",
        "n",
        "",
    )


def test_a_list_with_commas():
    put(database__ports="1, 2\n")
    assert loader(lists="comma").load().config.database.ports == [1, 2]


def test_every_value_is_a_secret_whatever_its_type():
    put(name="a", database='{"url": "u"}', api_key="k")
    (layer,) = loader()._read().layers
    assert layer.fit(Settings).layer.secrets == {("name",), ("database",), ("api_key",)}


def test_no_repr_shows_a_value():
    put(api_key="s3cret")
    (layer,) = loader()._read().layers
    assert isinstance(layer, NamedTexts)
    shown = repr([layer, layer._found, layer._found[0].file, layer.fit(Settings)])
    assert "secrets/api_key" in shown
    assert "s3cret" not in shown


def test_files_of_others_are_ignored_and_logged_without_a_prefix_and_refused_with_one(caplog):
    put(zookeeper="s3cret", nam="s3cret", app_nam="s3cret")
    assert loader().load().config == Settings()
    ignored = "is ignored: the schema has no such key"
    assert caplog.messages == [
        f"secrets/app_nam {ignored}",
        f"secrets/nam {ignored}; did you mean name?",
        f"secrets/zookeeper {ignored}",
    ]
    told = "the schema has no such key; did you mean app_name?"
    assert refused(prefix="app_") == [Problem("", told, "secrets/app_nam")]
    assert {problem.location for problem in refused(unknown="refuse")} == set(map(str, FOLDER.iterdir()))


def test_two_files_of_one_key_are_set_twice():
    put(name="a", NAME="b", db="c")
    first, second = refused(names={"db": "name"})
    assert first == Problem("name", "is set twice: secrets/NAME sets the same", "secrets/db")
    assert second == Problem("name", "is set twice: secrets/NAME has the same name", "secrets/name")


def test_a_thousand_files_are_read_and_none_is_left_open(caplog):
    put(name="a", **{f"other{number}": "s3cret" for number in range(1000)})
    found = loader()
    found.load()
    before = descriptors()
    assert found.load().config.name == "a"
    assert found._fingerprint() == found.load().fingerprint
    assert descriptors() == before
    assert len(caplog.messages) == 11
    assert caplog.messages[-1].endswith("and 970 more")


# ---- what is said of a file


def test_a_newline_that_was_taken_off_and_rights_of_others_are_logged_once(caplog):
    put(api_key="k\n", name="n\n", database__url="u", other="o\n")
    (FOLDER / "name").chmod(0o640)
    (FOLDER / "database__url").chmod(0o444)
    (FOLDER / "other").chmod(0o444)
    found = loader(unknown="warn")
    found.load()
    found.load()
    opened = "secrets/name, secrets/database__url"
    assert caplog.messages == [
        "one newline at the end was taken off secrets/api_key, secrets/name",
        f"others than the owner may read {opened} (mode 0640, 0444): 0400 keeps a secret to its owner",
        "secrets/other is ignored: the schema has no such key",
    ]


@pytest.mark.parametrize(
    ("folder", "file", "owner", "told"),
    [
        (0o755, 0o644, True, True),
        (0o755, 0o640, True, True),
        (0o711, 0o444, False, True),
        (0o755, 0o640, False, False),  # the group is how this user may read it
        (0o700, 0o644, True, False),  # nobody else gets there
        (0o755, 0o600, True, False),
    ],
)
def test_rights_are_warned_of_where_others_get_at_a_file_who_need_not(folder, file, owner, told, caplog, monkeypatch):
    put(name="a")
    (FOLDER / "name").chmod(file)
    FOLDER.chmod(folder)
    monkeypatch.setattr(secret_file, "_uid", lambda: os.geteuid() + (not owner))
    loader().load()
    assert bool(caplog.messages) is told


def _dangling(path: Path) -> str:
    path.symlink_to("nothing")
    return "does not exist"


def _outside(path: Path) -> str:
    Path("outside").write_text("s3cret")
    path.symlink_to("../outside")
    return "is a link that leads out of the folder: a secret has to lie in it"


def _outside_by_a_folder(path: Path) -> str:
    Path("secrets-of-others").mkdir(exist_ok=True)
    Path("secrets-of-others/name").write_text("s3cret")
    (FOLDER / "..data").symlink_to("../secrets-of-others")
    path.symlink_to("..data/name")
    return "is a link that leads out of the folder: a secret has to lie in it"


ALL = [*FAULTS, _dangling, _outside, _outside_by_a_folder]


@pytest.mark.parametrize("fault", ALL)
def test_a_file_that_can_not_be_read_refuses_its_key_and_its_return_is_a_change(fault, caplog):
    put(api_key="k")
    path = FOLDER / "name"
    told = fault(path)
    assert refused() == [Problem("name", f"the file {told}", "secrets/name")]
    found = loader()
    before = found._fingerprint()
    assert found._fingerprint() == before
    path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    put(name="back")
    assert found._fingerprint() != before
    assert found.load().config.name == "back"
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("fault", ALL)
def test_a_file_of_others_that_can_not_be_read_is_nobody_s_fault(fault):
    put(name="a")
    fault(FOLDER / "other")
    assert loader().load().config.name == "a"


def test_a_file_that_is_being_written_is_not_read(monkeypatch):
    put(name="a")
    monkeypatch.setattr(disk, "WRITER_GRACE", 0.02)
    found = loader()
    with (FOLDER / "other").open("w"):
        assert found._still_being_written() == (FOLDER.absolute(),)
    assert found._still_being_written() == ()
    (FOLDER / "name").chmod(0o600)
    with (FOLDER / "name").open("a"):
        (problem,) = refused()
    assert problem.message == "the file is still open for writing by another process"


# ---- the folder


def test_a_folder_that_is_missing_or_empty_is_refused_unless_that_is_allowed():
    (problem,) = refused()
    assert problem.message == f"there is no such folder: {FOLDER.absolute()}"
    missing = loader(optional=True)
    assert missing.load().config == Settings()
    assert missing._fingerprint() == missing.load().fingerprint
    FOLDER.mkdir()
    (FOLDER / ".hidden").touch()
    assert refused(optional=True)[0].message == "is empty: there is no file in it (allow_empty=True accepts that)"
    assert loader(allow_empty=True).load().config == Settings()


def test_a_folder_that_is_none_is_refused():
    FOLDER.touch()
    assert refused()[0].message == "is no folder: each file in a folder is a value"
    FOLDER.unlink()
    FOLDER.symlink_to(FOLDER)
    found = loader()
    with pytest.raises(ConfigError, match="can't be read: Too many levels of symbolic links"):
        found.load()
    assert found._fingerprint() == found._fingerprint()


def test_the_folder_of_systemd_is_asked_for_at_each_load(monkeypatch, caplog):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    source = SecretsDir("$CREDENTIALS_DIRECTORY")
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Settings, source).load()
    told = "there is no environment variable CREDENTIALS_DIRECTORY (systemd sets it for a unit with LoadCredential=)"
    assert caught.value.problems == [Problem("", told, "$CREDENTIALS_DIRECTORY")]
    assert ConfigLoader(Settings, SecretsDir("${CREDENTIALS_DIRECTORY}/x", optional=True)).load().config == Settings()
    put(name="a")
    (FOLDER / "name").chmod(0o440)  # as an access list's mask shows there
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(FOLDER.absolute()))
    found = ConfigLoader(Settings, source)
    assert found.load().config.name == "a"
    assert found.load().origin_of("name") == "$CREDENTIALS_DIRECTORY/name"
    assert found._watched() == (FOLDER.absolute(),)
    FOLDER.rename("before")
    put(name="b")  # systemd makes another folder
    assert found.load().config.name == "b"
    assert caplog.messages == []


def test_what_is_no_path_or_another_word_is_refused_at_once():
    with pytest.raises(ValueError, match="an empty path would be the working directory"):
        SecretsDir("")
    with pytest.raises(TypeError, match="a path has to be a str or a Path"):
        SecretsDir(typing.cast("str", b"x"))
    with pytest.raises(ValueError, match="lists='json5'"):
        SecretsDir("x", lists=typing.cast("Any", "json5"))


# ---- Kubernetes


def swap(**texts: str) -> None:
    """As a kubelet does: all files at once, by one link."""
    FOLDER.mkdir(exist_ok=True)
    before = str((FOLDER / "..data").readlink()) if (FOLDER / "..data").is_symlink() else ""
    new = FOLDER / f"..{len(before)}{before[-3:]}n"
    new.mkdir()
    for name, text in texts.items():
        write(new / name, text)
    (FOLDER / "..data_tmp").symlink_to(new.name)
    (FOLDER / "..data_tmp").rename(FOLDER / "..data")
    for name in texts:
        if not (FOLDER / name).is_symlink():
            (FOLDER / name).symlink_to(f"..data/{name}")
    if before:
        shutil.rmtree(FOLDER / before)


def test_a_mounted_secret_is_read_and_its_hidden_names_are_no_values(caplog):
    swap(name="a", api_key="k")
    config = loader().load().config
    assert (config.name, config.api_key.get_secret_value()) == ("a", "k")
    assert caplog.messages == []


def test_a_swap_between_two_files_is_no_mixture_of_old_and_new(monkeypatch):
    swap(api_key="1", name="1")
    acts: list[Callable[[], None]] = [lambda: swap(api_key="2", name="2")]
    read = secrets_dir.read_secret

    def read_between(*args: Any) -> SecretFile:
        found = read(*args)
        if acts:
            acts.pop()()
        return found

    monkeypatch.setattr(secrets_dir, "read_secret", read_between)
    config = loader().load().config
    assert (config.api_key.get_secret_value(), config.name) == ("2", "2")
