"""Secrets in files and a `.env`, followed by a real owner: one change is one version, and nobody sees a secret."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from confcast import ConfigLoader, Dotenv, Environment, ReloadResult, SecretsDir, Source
from confcast.master.embedded import EmbeddedManager
from tests.support.source_cases.secret_files import write
from tests.support.sourced import Sourced
from tests.support.waiting import eventually, history_of

pytestmark = pytest.mark.usefixtures("nothing_is_left", "here")

Start = Callable[..., EmbeddedManager[Sourced]]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def start(nothing_is_left: None) -> Iterator[Start]:
    managers: list[EmbeddedManager[Sourced]] = []

    def begin(*sources: Source) -> EmbeddedManager[Sourced]:
        managers.append(EmbeddedManager(ConfigLoader(Sourced, *sources), probation=0))
        return managers[-1].start()

    yield begin
    for manager in managers:
        manager.close()


def swap(folder: Path, number: int, **texts: str) -> None:
    """As a kubelet does: all files at once, by one link, and the links to files that come or go with it."""
    new = folder / f"..{number}"
    new.mkdir(parents=True)
    for name, text in texts.items():
        write(new / name, text)
    (folder / "..data_tmp").symlink_to(new.name)
    (folder / "..data_tmp").rename(folder / "..data")
    for name in texts:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    for path in folder.iterdir():
        if not path.name.startswith(".") and path.name not in texts:
            path.unlink()


def versions(manager: EmbeddedManager[Any]) -> list[int]:
    return [event.version for event in history_of(manager) if event.result is ReloadResult.SUCCESS]


def test_a_mounted_secret_is_followed_swap_by_swap_and_never_shown(start: Start, here: Path, capfd: Any) -> None:
    folder = here / "secrets"
    swap(folder, 1, db_password="hunter2-1\n", name="one")
    manager = start(SecretsDir("secrets", names={"db_password": "token"}))
    assert manager.current.token.get_secret_value() == "hunter2-1"
    swap(folder, 2, db_password="hunter2-2\n", name="two")
    eventually(lambda: manager.current.name == "two", "the swap is a version")
    assert manager.current.token.get_secret_value() == "hunter2-2"
    swap(folder, 3, db_password="hunter2-3", name="two", key="hunter2-key")
    eventually(lambda: manager.current.key == "hunter2-key", "a file that comes is a value")
    told = [repr(manager.explain("token")), repr(manager.explain("key"))]
    assert manager.explain("name").value == "**********", "a plain text, but in a file of its own"
    swap(folder, 4, db_password="hunter2-3", name="two")
    eventually(lambda: manager.current.key == "", "a file that goes is none")
    swap(folder, 5, db_password="hunter2-3", name="two", pin="hunter2-no-number")
    eventually(lambda: not history_of(manager)[0], "a value that is none is refused")
    assert manager.current.token.get_secret_value() == "hunter2-3"
    assert "secrets/pin" in (history_of(manager)[0].error_message or "")
    assert versions(manager) == [4, 3, 2, 1]
    told += [repr(history_of(manager)), repr(manager.status())]
    manager.close()
    assert "hunter2" not in "".join([*told, *capfd.readouterr()])


def test_the_file_that_a_variable_names_is_followed(start: Start, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(here / "db", "one")
    monkeypatch.setenv("APP_TOKEN_FILE", str(here / "db"))
    manager = start(Environment("APP_", files=True))
    write(here / "db", "two")
    eventually(lambda: manager.current.token.get_secret_value() == "two", "the file is watched")
    assert manager.explain("token").origin == f"environment variable APP_TOKEN_FILE ({here / 'db'})"
    (here / "db").unlink()
    eventually(lambda: not history_of(manager)[0], "a file that is missing is refused")
    assert manager.current.token.get_secret_value() == "two"
    write(here / "db", "three")
    eventually(lambda: manager.current.token.get_secret_value() == "three", "a file that is back is read")


def test_a_dotenv_is_followed_and_what_is_wrong_in_it_changes_nothing(
    start: Start, here: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    def put(text: str) -> None:
        (here / "new").write_text(text)
        (here / "new").rename(here / ".env")

    monkeypatch.setenv("APP_PORT", "8080")
    put("APP_NAME=one\n")
    manager = start(Dotenv(".env", "APP_"), Environment("APP_"))
    assert (manager.current.name, manager.current.port) == ("one", 8080)
    put("# edited\nAPP_NAME=two\nAPP_TOKEN=hunter2\n")
    eventually(lambda: manager.current.name == "two", "an edit is a version")
    assert manager.explain("name").origin == ".env:2:10"
    put("APP_NAME=three\nAPP_TOKEN='hunter2\n")
    eventually(lambda: not history_of(manager)[0], "a line that is none is refused")
    assert ".env:2:1: is no line of a .env file" in (history_of(manager)[0].error_message or "")
    assert manager.current.name == "two"
    put("APP_PORT=9090\n")
    eventually(lambda: manager.current.name == "", "a line that is taken away sets nothing")
    assert manager.current.port == 8080
    assert manager.explain("port").shadowed[0].origin == ".env:1:10"
    manager.close()
    assert "hunter2" not in "".join(capfd.readouterr())
