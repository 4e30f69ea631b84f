"""A server whose schema is a `BaseSettings` class: the owner reads what the class reads, and a worker reads nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from confcast import ConfigError, ConfigLoader, ReloadEvent, ReloadResult
from confcast.master.embedded import EmbeddedManager
from tests.support.base_settings import Served, served, shown
from tests.support.waiting import eventually, history_of


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("SERVED_NAME=file\nOTHER=1\n")
    Path("served.toml").write_text("[limits]\nlow = 1\n")
    Path("cache.env").write_text("CACHE_SIZE=10\n")
    Path("secrets").mkdir()
    Path("secrets/served_token").write_text("first\n")
    monkeypatch.setenv("SERVED_LIMITS__HIGH", "20")
    return tmp_path


def started_worker() -> subprocess.Popen[str]:
    """A worker in whose environment every variable says something else."""
    other = {"SERVED_NAME": "worker", "SERVED_LIMITS__HIGH": "77", "SERVED_TOKEN": "worker", "CACHE_SIZE": "77"}
    program = [sys.executable, "-m", "tests.support.base_settings"]
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        program, env=os.environ | other | {"PYTHONPATH": path}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def said_by(worker: subprocess.Popen[str]) -> str:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write("\n")
    worker.stdin.flush()
    return worker.stdout.readline().strip()


def test_each_of_its_sources_is_followed_and_no_worker_reads_them(sources: Path, nothing_is_left: None) -> None:
    with EmbeddedManager(ConfigLoader(Served), name="served", probation=0) as manager, started_worker() as worker:
        assert said_by(worker) == "file 1-20 first 10 1 has not read"
        for file, text, wanted in (
            (".env", "SERVED_NAME=other\n", "other 1-20 first 10"),
            ("served.toml", "[limits]\nlow = 2\n", "other 2-20 first 10"),
            ("secrets/served_token", "second\n", "other 2-20 second 10"),
            ("cache.env", "CACHE_SIZE=11\n", "other 2-20 second 11"),
        ):
            Path(file).write_text(text)
            eventually(lambda wanted=wanted: shown(manager.current) == wanted, f"{file} is followed")  # type: ignore[misc]
        assert manager.explain("limits.low").origin == "served.toml:2:7"
        assert manager.explain("limits.high").origin == "environment variable SERVED_LIMITS__HIGH"
        assert manager.explain("cache.size").origin == "cache.env:1:12"

        Path("served.toml").write_text("[limits\n")
        eventually(lambda: history_of(manager)[0].problems, "a broken file is refused")
        assert str(history_of(manager)[0].problems[0]).startswith("served.toml:1:8: is no valid TOML")
        Path(".env").unlink()
        Path("served.toml").write_text("[limits]\nlow = 3\n")
        eventually(lambda: shown(manager.current) == "default 3-20 second 11", "the class's defaults hold")
        Path(".env").write_text("SERVED_NAME=back\n")
        eventually(lambda: manager.current.name == "back", "a file that is back is read")

        assert said_by(worker) == f"back 3-20 second 11 {manager.version} has not read"
        assert worker.stdin is not None
        worker.stdin.close()
        assert worker.wait(20) == 0


def test_a_secret_of_its_directory_is_in_no_output_whatever_its_type(
    sources: Path, nothing_is_left: None, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    Path("secrets/served_plain").write_text("hunter2")
    shown: list[object] = []
    with EmbeddedManager(ConfigLoader(Served), name="served", watch=False, probation=0) as manager:
        assert manager.current.plain == "hunter2"
        shown.append(manager.explain("plain"))
        Path("secrets/served_plain").write_text("hunter2 and more")
        shown += [manager.check(), manager.diff("running", "sources"), manager.reload(), manager.explain("plain")]
        Path("secrets/served_number").write_text("hunter2")
        shown += [manager.check(), manager.reload(), manager.status()]
        with pytest.raises(ConfigError) as caught:
            manager.diff("running", "sources")
        shown.append(str(caught.value))
        Path(".env").write_text("SERVED_LIMITS=[hunter2\n")
        shown += [manager.reload(), manager.get_event_history()]
        Path("served.toml").write_text("number = hunter2\n")
        shown += [manager.reload(), manager.versions()]
    assert [each.result for each in shown if isinstance(each, ReloadEvent)][-1] is ReloadResult.VALIDATION_FAILED
    printed = capfd.readouterr()
    assert "served_number" in printed.err
    for text in (repr(shown), printed.out, printed.err, caplog.text):
        assert "hunter2" not in text


def test_a_value_is_set_and_rolled_back_without_reading(sources: Path, nothing_is_left: None) -> None:
    with EmbeddedManager(ConfigLoader(Served), name="served", watch=False, probation=0) as manager:
        assert manager.set({"limits.low": 5, "cache.size": 6})
        assert shown(manager.current) == "file 5-20 first 6"
        Path(".env").write_text("SERVED_NAME=later\n")
        assert manager.reload().result is ReloadResult.SUCCESS
        assert shown(manager.current) == "later 5-20 first 6"
        assert manager.rollback(version=1)
        assert shown(manager.current) == "file 1-20 first 10"


def test_a_unit_test_overrides_it_by_an_object_which_reads_the_environment_by_its_nature(sources: Path) -> None:
    with served.override(Served(name="test")) as fake:
        assert shown(served.current) == "test 1-20 first 10"
        fake.push(Served(name="pushed", limits={"low": 4}))
        assert shown(served.current) == "pushed 4-20 first 10"
        fake.push(Served.model_construct(name="constructed"))
        assert served.current.name == "constructed"
