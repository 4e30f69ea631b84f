"""Which variables an owner that is not instrumented gets late, and which interpreter it is started with."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from confcast.master.start import surroundings
from confcast.master.start.popen import untouched_popen


@pytest.fixture
def agent(tmp_path: Path) -> str:
    """A folder with code that every interpreter runs at its start."""
    folder = tmp_path / "an agent"
    folder.mkdir()
    (folder / "sitecustomize.py").touch()
    return str(folder)


def test_an_environment_without_tools_is_kept_as_it_is(tmp_path: Path) -> None:
    environment = {
        "PYTHONPATH": f"{tmp_path}:::/nowhere:",
        "LD_PRELOAD": "/usr/lib/libjemalloc.so.2 /usr/lib/libnss.so",
        "DD_ENV": "production",
        "OTEL_SERVICE_NAME": "shop",
        "COVERAGE_FILE": "",
    }

    assert surroundings.without_tools(environment) == environment
    assert surroundings.hidden(environment) == {}


def test_a_folder_that_runs_code_at_the_start_is_left_out_of_the_path_and_the_others_stay(
    agent: str, tmp_path: Path
) -> None:
    environment = {"PYTHONPATH": f"{tmp_path}:{agent}:/srv/with space"}

    assert surroundings.without_tools(environment) == {"PYTHONPATH": f"{tmp_path}:/srv/with space"}
    assert surroundings.hidden(environment) == environment


def test_a_zip_file_and_the_user_s_customization_run_code_at_the_start_as_well(tmp_path: Path) -> None:
    packed = tmp_path / "agent.zip"
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("usercustomize.py", "")

    assert surroundings.without_tools({"PYTHONPATH": str(packed)}) == {}


@pytest.mark.parametrize("name", surroundings._READ_BY_PTH)
def test_a_variable_that_a_pth_file_looks_for_is_hidden(name: str) -> None:
    environment = {name: "yes", "HOME": "/srv"}

    assert surroundings.without_tools(environment) == {"HOME": "/srv"}
    assert surroundings.hidden(environment) == {name: "yes"}


def test_only_a_tool_s_preloaded_libraries_are_left_out() -> None:
    datadog = "/opt/datadog-packages/datadog-apm-inject/stable/inject/launcher.preload.so"
    environment = {"LD_PRELOAD": f"/venv/site-packages/scalene/libscalene.so:/usr/lib/libjemalloc.so.2 {datadog}"}

    assert surroundings.without_tools(environment) == {"LD_PRELOAD": "/usr/lib/libjemalloc.so.2"}


def test_the_interpreter_is_the_one_that_runs_whatever_its_name_is_said_to_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert surroundings.own_program() == sys.executable

    script = tmp_path / "python"
    script.touch()
    monkeypatch.setattr(sys, "executable", str(script))
    found = surroundings.own_program()
    assert found is not None
    assert Path(found).parent == Path(sys.prefix, "bin")
    assert Path(found).samefile("/proc/self/exe")

    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert surroundings.own_program() is None


def test_what_others_have_put_in_the_place_of_popen_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("called")

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
    monkeypatch.setattr(subprocess, "_fork_exec", refuse)
    monkeypatch.setattr("_posixsubprocess.fork_exec", refuse)

    popen = untouched_popen()
    assert popen([sys.executable, "-I", "-S", "-c", "raise SystemExit(3)"]).wait(30) == 3
    assert popen is not subprocess.Popen
