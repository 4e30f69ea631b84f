"""The guide's page on several files: its files, as written, under a real owner; what comes, goes and breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from confcast import ConfigLoader, ConfigReloadManager, File, Files, ReloadEvent
from confcast.master.embedded import EmbeddedManager
from tests.support.snippets import GUIDE, files
from tests.support.waiting import eventually, history_of

PAGE = files(GUIDE / "several_files.md")


class Settings(BaseModel, frozen=True):
    greeting: str = "x"
    workers: int = 1
    routes: dict[str, int] = {}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shared").mkdir()
    (tmp_path / "conf.d").mkdir()
    for name, text in PAGE.items():
        (tmp_path / ("shared/" if name == "limits.toml" else "") / name).write_text(text)
    return tmp_path


Act = Callable[[], object]


class Server:
    """A server that follows the page's sources."""

    def __init__(self, manager: ConfigReloadManager[Any]) -> None:
        self.manager = manager

    def becomes(self, act: Act, **values: object) -> None:
        """Do this, and wait until the configuration has these values."""
        act()
        eventually(lambda: {key: getattr(self.manager.current, key) for key in values} == values, f"{values}")

    def refuses(self, act: Act) -> ReloadEvent:
        """Do this, and wait for the refusal of it."""
        events = len(history_of(self.manager))
        act()
        eventually(lambda: len(history_of(self.manager)) > events and history_of(self.manager)[0].problems, "a refusal")
        return history_of(self.manager)[0]


def written(path: Path, text: str) -> Act:
    """Writes a file as editors do: beside it, and renamed over it."""

    def write() -> None:
        new = path.with_name(".new")
        new.write_text(text)
        new.rename(path)

    return write


def both(*acts: Act) -> Act:
    return lambda: [act() for act in acts]


@pytest.fixture
def server(nothing_is_left: None) -> Iterator[Server]:
    namespace: dict[str, Any] = {}
    exec(PAGE["sources.py"], namespace)  # as a reader has it
    found = namespace["loader"].sources
    assert found == (File("app.toml", includes="include"), Files("conf.d/*.toml", allow_empty=True))
    with EmbeddedManager(ConfigLoader(Settings, *found), probation=0) as manager:
        yield Server(manager)


def test_files_of_a_folder_come_and_go(server: Server, folder: Path) -> None:
    conf_d = folder / "conf.d"
    first, second = conf_d / "10-base.toml", conf_d / "20-team.toml"
    assert server.manager.current.model_dump() == {"greeting": "good morning", "workers": 8, "routes": {}}
    server.becomes(written(first, "routes = {a = 1}"), routes={"a": 1})
    server.becomes(written(first, "routes = {a = 2}"), routes={"a": 2})
    server.becomes(written(second, "routes = {b = 1}"), routes={"a": 2, "b": 1})
    server.becomes(lambda: second.write_text("routes = {b = 2}"), routes={"a": 2, "b": 2})
    assert server.manager.explain("routes.b").origin == "conf.d/20-team.toml:1:15"
    server.becomes(second.unlink, routes={"a": 2})
    server.becomes(lambda: first.rename(conf_d / "10-base.toml.off"), routes={})
    server.becomes(lambda: (conf_d / "10-base.toml.off").rename(first), routes={"a": 2})

    event = server.refuses(written(conf_d / "bad.toml", "routes = {c = [}"))
    assert event.problems[0].location == "conf.d/bad.toml:1:16"
    server.becomes((conf_d / "bad.toml").unlink, routes={"a": 2})
    tried = server.manager.check(files={"conf.d/30-new.toml": str(folder / "shared/limits.toml")})
    assert [(change.key, change.new) for change in tried.changes] == []
    limits = server.manager.check(files={"shared/limits.toml": str(folder / "defaults.toml")})
    assert [(change.key, change.new) for change in limits.changes] == [("workers", 2)]


def test_included_files_are_followed_also_one_that_was_missing(server: Server, folder: Path) -> None:
    app, limits, more = folder / "app.toml", folder / "shared" / "limits.toml", folder / "shared" / "more.toml"
    server.becomes(written(limits, "workers = 9"), workers=9)

    event = server.refuses(written(app, 'include = ["shared/limits.toml", "shared/more.toml"]'))
    assert event.problems[0].message == f"includes a file that does not exist: {more}"
    assert event.problems[0].location == "app.toml:1:34"
    server.becomes(written(more, "greeting = 'more'"), greeting="more", workers=9)
    server.becomes(lambda: more.write_text("greeting = 'less'"), greeting="less")
    assert server.manager.explain("greeting").origin == "shared/more.toml:1:12"

    server.refuses(more.unlink)
    server.becomes(
        both(
            written(more.with_name("deep.toml"), "routes = {deep = 1}"),
            written(more, "greeting = 'back'\ninclude = 'deep.toml'"),
        ),
        greeting="back",
        routes={"deep": 1},
    )
    server.becomes(written(app, "workers = 3"), workers=3, greeting="x")
