"""The test kit: an application in real worker processes, and the fixtures that pytest finds.

That nothing is left, whatever a test does, is asserted by this folder's own fixture after each of these tests.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from confcast import ConfcastError, ConfigError, ReloadResult
from confcast.testing import Application, WorkerFailed
from confcast.testing.channel import Answer, Call, Channel
from tests.support.leaks import is_running
from tests.support.waiting import DEADLINE, eventually, in_thread

pytest_plugins = ("pytester",)

SETTINGS = """\
from pydantic import BaseModel
from confcast import Replica

class Database(BaseModel, frozen=True):
    size: int = 5

class Settings(BaseModel, frozen=True):
    database: Database = Database()
    name: str = "hi"

settings = Replica(Settings, name="kit")
"""
APPLICATION = """\
import os, sys, time
from kit_settings import settings

def make(database):
    if database.size > 50:
        raise ValueError("the database gives 50")
    return ["pool", database.size]

seen = []
pool = settings.derive(make, lambda c: c.database, name="pool")
settings.subscribe(lambda old, new: seen.append(new), select=lambda c: c.name)
name_at_import = settings.current.name  # a server attaches before it imports the application

@settings.precommit
def speaks(old, new):
    if not new.name:
        raise ValueError("no voice")

def handler(times=1):
    return [*pool.current, settings.current.name * times]

def observed():
    return seen

def fail():
    raise LookupError("no such thing")

def leave():
    os._exit(3)

def hang():
    time.sleep(600)

def odd():
    return pool

async def awaited():
    return pool.current
"""
ON_A_LOOP = """\
import asyncio
from kit_settings import settings

async def make(database):
    return [database.size, id(asyncio.get_running_loop())]

pool = settings.derive(make, lambda c: c.database)

async def handler():
    assert pool.current[1] == id(asyncio.get_running_loop())
    return pool.current[0]
"""
FILE = "[database]\nsize = {}\n"
KIT: dict[str, Any] = {"files": {"app.toml": FILE.format(7)}, "imports": "kit_app", "timeout": DEADLINE}


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The application, where it can be imported; its module of settings is imported in this process, too."""
    for name, text in {"kit_settings": SETTINGS, "kit_app": APPLICATION, "kit_loop": ON_A_LOOP}.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("kit_settings", None)


def test_a_change_reaches_each_worker_with_what_it_derives_and_observes() -> None:
    with Application("kit_settings:settings", workers=3, **KIT) as app:
        assert app.values("database.size") == [7, 7, 7]
        assert app.call("kit_app:handler") == [["pool", 7, "hi"]] * 3

        event = app.change("app.toml", 'name = "moin"\n' + FILE.format(8))

        assert event.result is ReloadResult.SUCCESS
        assert (app.versions(), app.values(lambda c: c.name)) == ([2] * 3, ["moin"] * 3)
        assert app.call("kit_app:handler", times=2) == [["pool", 8, "moinmoin"]] * 3
        assert app.call("kit_app:observed") == [["moin"]] * 3
        assert {type(each).__name__ for each in app.configs()} == {"Settings"}


def test_what_the_application_refuses_is_refused_with_its_place_and_changes_nothing() -> None:
    with Application("kit_settings:settings", **KIT) as app:
        unbuilt = app.change("app.toml", FILE.format(70))
        assert unbuilt.result is ReloadResult.REJECTED
        assert "the database gives 50" in unbuilt.problems[0].message
        assert unbuilt.problems[0].location == "app.toml:1:2"  # as the source names it
        assert "no voice" in app.change("app.toml", 'name = ""').problems[0].message
        assert app.versions() == [1, 1]
        assert app.change("app.toml", FILE.format(7)).result is ReloadResult.UNCHANGED
        assert app.manager.set({"database.size": 9})
        assert app.values("database.size") == [9, 9]


def test_a_file_that_is_deployed_is_copied_and_never_changed(site: Path) -> None:
    deployed = site / "app.toml"
    deployed.write_text(FILE.format(3))
    (site / "kit_loader.py").write_text(
        "from confcast import ConfigLoader, Environment\n"
        'loader = ConfigLoader("kit_settings:Settings", "app.toml", Environment("KIT_"))\n'
    )
    try:
        for sources in (["app.toml"], ["kit_loader:loader"]):
            with Application("kit_settings:settings", *sources, workers=1, timeout=DEADLINE) as app:
                assert app.values("database.size") == [3]
                assert app.change("app.toml", FILE.format(4))
                assert app.values("database.size") == [4]
                assert app.path("app.toml") != deployed
    finally:
        sys.modules.pop("kit_loader", None)
    assert deployed.read_text() == FILE.format(3)


def test_what_is_built_on_a_loop_is_built_and_awaited_on_one() -> None:
    with Application("kit_settings:settings", workers=1, **{**KIT, "imports": "kit_loop"}) as app:
        assert app.call("kit_loop:handler") == [7]
        assert app.change("app.toml", FILE.format(8))
        assert app.call("kit_loop:handler") == [8]


def test_a_worker_that_fails_says_which_it_is_and_at_what_and_the_next_call_is_answered() -> None:
    with Application("kit_settings:settings", **KIT) as app:
        first, second = app.workers
        with pytest.raises(WorkerFailed) as caught:
            app.call("kit_app:fail")
        both = (
            f"worker 1 (pid {first.pid}), worker 2 (pid {second.pid}): kit_app:fail failed: LookupError: no such thing"
        )
        assert str(caught.value).startswith(both)
        assert "kit_app.py" in str(caught.value)
        with pytest.raises(WorkerFailed, match="returns a Derived, which can't be carried"):
            app.call("kit_app:odd")
        with pytest.raises(WorkerFailed, match="on_loop=True"):
            app.call("kit_app:awaited")
        assert app.call("kit_app:handler") == [["pool", 7, "hi"]] * 2
        with pytest.raises(ConfigError, match=r"databas.size: the schema has no such key; did you mean database.size"):
            app.values("databas.size")
        with pytest.raises(ConfcastError, match=r"'ap.toml' is no file .* these are: 'app.toml'"):
            app.change("ap.toml", "")


def test_long_arguments_have_more_time_than_an_earlier_answer_has_left() -> None:
    ours, its = map(Channel, socket.socketpair())
    with closing(ours), closing(its):
        its.send(Answer(7))
        ours.receive(Answer, 0.0)  # it was there in the last moment
        sent = in_thread(lambda: ours.send(Call("kit_app:handler", ["x" * 4_000_000], {}), DEADLINE))
        assert len(its.receive(Call, DEADLINE).arguments[0]) == 4_000_000
        sent()
        with pytest.raises(TimeoutError):
            ours.send(Call("kit_app:handler", ["x" * 4_000_000], {}), 0.01)  # nobody reads


def test_a_worker_that_dies_is_named_and_one_that_was_killed_is_asked_no_more() -> None:
    with Application("kit_settings:settings", **KIT) as app:
        app.workers[0].kill()
        assert app.versions() == [1]
        assert app.change("app.toml", FILE.format(8))
        assert app.start_worker().number == 3
        assert app.values("database.size") == [8, 8]
        with pytest.raises(WorkerFailed, match=r"ended with status 3 while it was running kit_app:leave"):
            app.call("kit_app:leave")


@contextlib.contextmanager
def standard_error_to(path: Path) -> Iterator[None]:
    """For the block, what this process and its children write goes there.

    `capfd` drops what they write in the moment in which it is read.
    """
    former = os.dup(2)
    with path.open("ab") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(former, 2)
        os.close(former)


def test_a_worker_that_hangs_is_named_with_its_stacks_and_ended(tmp_path: Path) -> None:
    said = tmp_path / "stderr"
    with standard_error_to(said), Application("kit_settings:settings", workers=1, **KIT) as app:
        app._timeout = 2.0  # time for the worker to begin
        with pytest.raises(WorkerFailed, match=r"not answered in time: it is still running kit_app:hang"):
            app.call("kit_app:hang")
        eventually(lambda: "in hang" in said.read_text(), "the stacks of the worker's threads")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import os; os._exit(4)", r"ended with status 4 while it was starting"),
        (
            "import kit_settings as k; k.settings.derive(lambda c: 1 / 0, lambda c: c)",
            r"can't start: .*division by zero",
        ),
    ],
)
def test_an_application_that_can_not_start_is_an_error_and_leaves_nothing(site: Path, text: str, why: str) -> None:
    (site / "kit_app.py").write_text(text)
    with pytest.raises(WorkerFailed, match=why), Application("kit_settings:settings", workers=1, **KIT):
        pass


def test_a_first_load_that_is_refused_is_an_error_and_leaves_nothing() -> None:
    files = {"app.toml": FILE.format('"x"')}
    with pytest.raises(ConfigError, match=r"app.toml:2:8"), Application("kit_settings:settings", files=files):
        pass


def test_a_test_that_fails_leaves_nothing() -> None:
    with pytest.raises(KeyboardInterrupt), Application("kit_settings:settings", workers=1, **KIT):
        raise KeyboardInterrupt


def test_workers_end_with_a_test_process_that_is_killed(site: Path) -> None:
    program = """if True:
        from confcast.testing import Application
        with Application("kit_settings:settings", files={"app.toml": "name = 'x'"}, imports="kit_app") as app:
            print(*(each.pid for each in app.workers), app.manager.owner_pid, flush=True)
            app.call("kit_app:hang")
    """
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as tests:
        assert tests.stdout is not None
        pids = list(map(int, tests.stdout.readline().split()))
        assert len(pids) == 3
        os.kill(tests.pid, signal.SIGKILL)
    eventually(lambda: not any(map(is_running, pids)), "the end of the workers and the owner")


@pytest.mark.parametrize(
    ("settings", "options", "error", "why"),
    [
        ("kit_settings", {}, TypeError, "MODULE:NAME"),
        ("kit_settings:Settings", {}, TypeError, "kit_settings:Settings is no Replica"),
        ("kit_settings:settings", {"workers": -1}, ValueError, "workers=-1"),
        ("kit_settings:settings", {"name": "x"}, TypeError, "the name that the replica has"),
    ],
)
def test_arguments_that_can_not_be_are_refused_before_anything_starts(
    settings: str, options: dict[str, object], error: type[Exception], why: str
) -> None:
    with pytest.raises(error, match=why):
        Application(settings, files={}, **options)  # type: ignore[arg-type]


def test_a_file_that_is_not_there_says_what_to_give() -> None:
    with (
        pytest.raises(ConfcastError, match=r"app.toml: there is no such file: .* files=\{'app.toml': …\}"),
        Application("kit_settings:settings", "app.toml"),
    ):
        pass


# ---- under pytest


def test_the_plugin_loads_nothing_until_a_test_names_a_fixture(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import sys
        def test_it():
            loaded = {name for name in sys.modules if name.partition(".")[0] in ("confcast", "msgspec", "pydantic")}
            assert loaded == {"confcast", "confcast.testing", "confcast.testing.plugin"}
    """)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_what_the_fixtures_put_in_place_ends_with_the_test_that_failed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(kit_settings=SETTINGS, kit_app=APPLICATION)
    pytester.makepyfile("""
        import os
        import pytest
        from confcast import ConfigLoader, NotAttached, ReloadResult
        from confcast.guards import touches
        from kit_settings import Database, Settings, settings

        FILES = {"app.toml": "name = 'x'", "ca.pem": "x"}
        pool = settings.derive(lambda database: ["pool", database.size], lambda c: c.database)

        def test_fails(confcast_override, confcast_fake, confcast_runtime_dir):
            fake = confcast_override(settings, Settings(name="x"))
            confcast_fake(pool, "another")
            assert (settings.current.name, pool.current) == ("x", "another")
            fake.push(Settings(name="y"))
            assert settings.current.name == "y"
            assert os.environ["CONFCAST_RUNTIME_DIR"] == str(confcast_runtime_dir)
            assert 0

        def test_nothing_is_left_of_it(confcast_override):
            with pytest.raises(NotAttached):
                settings.current
            confcast_override(settings, Settings(database=Database(size=3)))
            assert pool.current == ["pool", 3]

        @settings.healthcheck
        def has_room():
            if settings.current.database.size > 20:
                raise ValueError("no room")

        def test_health_and_guards(confcast_health, confcast_guards):
            assert confcast_health(settings, Settings()) == []
            (said,) = confcast_health(settings, Settings(database=Database(size=21)))
            assert said.startswith("has_room: ") and "no room" in said
            loader = ConfigLoader(Settings, "app.toml", guards=[touches("database"), touches("name")])
            assert [*confcast_guards(loader, Settings(), Settings(name="x"))] == ["touches:name"]

        def test_workers(confcast_workers):
            with confcast_workers(settings, "app.toml", files=FILES, imports="kit_app") as app:
                assert app.path("ca.pem").read_text() == "x"
                app.call("kit_app:fail")
    """)
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    done.assert_outcomes(passed=2, failed=2)
    done.stdout.fnmatch_lines(["*WorkerFailed: worker 1 (pid *), worker 2 (pid *): kit_app:fail failed: LookupError*"])
