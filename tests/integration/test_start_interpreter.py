"""The owner's interpreter is the master's: its options, its search path, its environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import confcast
from confcast import ConfcastError, ConfigLoader, ConfigReloadManager
from tests.support import pythons
from tests.support.settings import SCHEMA
from tests.support.slow import slow
from tests.support.waiting import DEADLINE

SETTINGS = """
import json, os, sys
from pathlib import Path
from pydantic import BaseModel, field_validator


class Settings(BaseModel):
    number: int = 1

    @field_validator("number")
    @classmethod
    def low(cls, value):
        assert value < 2, "too high"
        return value


def about():
    return {
        "flags": list(sys.flags),
        "x": sys._xoptions,
        "w": sorted(set(sys.warnoptions)),
        "path": sys.path,
        "environment": dict(os.environ),
        "sitecustomize": "sitecustomize" in sys.modules,
    }


if "confcast.owner" in sys.orig_argv:
    Path("owner.json").write_text(json.dumps(about()))
"""

PROGRAM = """
import json, os, sys
sys.path[:0] = {front}
from confcast import ConfigError, ConfigLoader, ConfigReloadManager
import settings

if __name__ == "__main__":
    mine = settings.about()
    try:
        with ConfigReloadManager(ConfigLoader("settings:Settings", "app.toml"), watch=False) as manager:
            arguments = open(f"/proc/{{manager.owner_pid}}/cmdline").read().split("\\0")
            print(json.dumps(mine | {{"began": manager.version, "arguments": arguments}}))
    except ConfigError as error:
        print(json.dumps(mine | {{"began": str(error)}}))
"""


def run(folder: Path, python: str, *options: str, number: int = 1, front: list[str] | None = None, **more: str) -> dict:
    """A program whose owner says what it is like; what both say."""
    (folder / "app.toml").write_text(f"number = {number}\n", encoding="utf-8")
    (folder / "settings.py").write_text(SETTINGS, encoding="utf-8")
    (folder / "program.py").write_text(PROGRAM.format(front=front or [str(folder)]), encoding="utf-8")
    done = subprocess.run(
        [python, *options, "program.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE,
        env={**os.environ, **more},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {"master": json.loads(done.stdout), "owner": json.loads((folder / "owner.json").read_text())}


@pytest.mark.parametrize(
    "options",
    ["-O -b -X int_max_str_digits=5000 -W error::ImportWarning", "-I -X dev", slow("-E -s -P -B")],
)
def test_the_owner_has_the_master_s_options_path_and_environment(
    options: str, tmp_path: Path, runtime_folder: Path
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text("", encoding="utf-8")

    too_high = 5 if "-O" in options else 1  # the validator's assert counts in the owner as it does in the program
    said = run(tmp_path, sys.executable, *options.split(), number=too_high, PYTHONPATH=str(site))

    master, owner = said["master"], said["owner"]
    assert master["began"] == 1
    assert owner == {name: master[name] for name in owner}
    assert not owner["sitecustomize"] or "-O" in options  # the others don't look at PYTHONPATH
    arguments = master["arguments"]
    assert "confcast.owner" in arguments
    assert len("".join(arguments)) < 1000


def test_the_package_and_what_it_needs_may_lie_in_folders_of_their_own_beside_old_backports(
    tmp_path: Path, runtime_folder: Path
) -> None:
    """As in vendored folders and in a pex; and what an old requirement has left in site-packages is never imported."""
    packages, home = tmp_path / "packages", tmp_path / "home"
    home.mkdir()
    packages.mkdir()
    (home / "confcast").symlink_to(Path(confcast.__file__).parent)
    for each in Path(sysconfig.get_path("purelib")).iterdir():
        (packages / each.name).symlink_to(each)
    for name in ("dataclasses", "typing", "enum", "uuid", "pathlib", "selectors"):
        for folder in (packages, home):
            (folder / f"{name}.py").write_text(f"raise ImportError('an old backport of {name}')\n", encoding="utf-8")
    script = tmp_path / "program"
    script.mkdir()
    path = [entry for entry in sys.path if Path(entry).parent == Path(sys.base_prefix, "lib") or "lib-dynload" in entry]
    standard = [sysconfig.get_path("stdlib"), *path]

    said = run(script, sys._base_executable, "-I", "-S", front=[str(script), *standard, str(home), str(packages)])

    assert said["master"]["began"] == 1
    assert said["owner"]["path"] == said["master"]["path"]


def test_a_long_path_of_any_bytes_reaches_the_owner_and_no_command_line_shows_it(
    config: Path, runtime_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2000):
        monkeypatch.setattr(sys, "path", [*sys.path, f"/srv/caf\udce9/{number}/{'x' * 200}"])

    with ConfigReloadManager(ConfigLoader(SCHEMA, config), watch=False) as manager:
        arguments = Path(f"/proc/{manager.owner_pid}/cmdline").read_bytes().split(b"\0")
        assert b"confcast.owner" in arguments
        assert len(b"".join(arguments)) < 1000
        assert manager.reload()


def script(folder: Path, text: str) -> Path:
    """A program called as an interpreter is."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o700)
    return path


def test_an_owner_is_started_with_the_interpreter_that_is_named(
    config: Path, runtime_folder: Path, tmp_path: Path
) -> None:
    named = script(tmp_path, f'echo started >> "{tmp_path}/log"; exec "{sys.executable}" "$@"')
    with ConfigReloadManager(ConfigLoader(SCHEMA, config), watch=False, executable=named) as manager:
        assert manager.reload()
    assert (tmp_path / "log").read_text() == "started\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f'"{sys.executable}" "$@"', "it is a program around an interpreter, such as a profiler's script. Name"),
        ("echo no such option >&2; exit 2", "exit status 2; `python -m confcast check --loader MODULE:NAME` does in"),
    ],
)
def test_what_is_no_interpreter_is_recognised_by_its_words(
    text: str, told: str, config: Path, runtime_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A profiler's script that runs Python as its child would get the owner's signals; it is refused."""
    named = script(tmp_path, text)
    with pytest.raises(ConfcastError) as caught:
        ConfigReloadManager(ConfigLoader(SCHEMA, config), watch=False, executable=named).start()
    assert told in str(caught.value)
    if "exit 2" in text:
        assert str(caught.value).endswith("the last that it wrote:\nno such option")


def test_an_interpreter_of_another_version_is_refused_in_words(config: Path, runtime_folder: Path) -> None:
    other = next(
        filter(None, (pythons.interpreter(each) for each in pythons.VERSIONS if each not in sys.version)), None
    )
    if other is None:
        pytest.skip("there is one version of Python on this machine")
    with pytest.raises(ConfcastError, match=r"is cpython-\d+, but the program that starts it runs on cpython-\d+"):
        ConfigReloadManager(ConfigLoader(SCHEMA, config), watch=False, executable=other).start()


def test_an_interpreter_that_is_not_there_is_named(config: Path, runtime_folder: Path) -> None:
    with pytest.raises(ConfcastError, match=r"No such file or directory: '/srv/no/python'"):
        ConfigReloadManager(ConfigLoader(SCHEMA, config), watch=False, executable="/srv/no/python").start()


def test_a_deleted_working_directory_is_reported_whatever_the_search_path_has(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ "" in it, as `python -c` has it, means the working directory."""
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(ConfcastError, match="the working directory was deleted"):
        ConfigReloadManager(ConfigLoader(SCHEMA, config), enable_signal_handler=False).start()
