"""By which program an owner is started: its options, on each version of Python, and the order of its path."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

import confcast
from confcast.master.start import interpreter, interpreter_flags
from tests.support import pythons
from tests.support.slow import slow

OPTIONS = (
    "-O -I -X dev",
    "-OO -B -q -bb -X pycache_prefix=nowhere",
    "-S -b -E -W error::ImportWarning",
    "-s -P -W ignore -W error::UserWarning -X int_max_str_digits=5000 -X utf8=0 -X no_debug_ranges",
)

ASK = """
import json, sys
sys.path.insert(0, {folder!r})
from interpreter_flags import flags, from_sys_flags
state = dict(flags=list(sys.flags), x={{k: v for k, v in sys._xoptions.items()}}, w=sorted(set(sys.warnoptions)))
print(json.dumps([flags(), from_sys_flags(), state]))
"""


def state(python: str, *options: str) -> list[object]:
    """Under these options: those that are found in the two ways, and what the interpreter is like."""
    program = ASK.format(folder=str(Path(interpreter_flags.__file__).parent))
    command = [python, *options, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return list(json.loads(done.stdout))


@pytest.mark.parametrize("version", [pythons.VERSIONS[0], *map(slow, pythons.VERSIONS[1:])])
def test_the_options_that_are_found_make_an_interpreter_that_is_alike(version: str) -> None:
    """Those of the standard library's private function, and ours: a version without it shows here."""
    python = pythons.interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} on this machine")
    for given in OPTIONS:
        found, without_private_names, wanted = state(python, *given.split())
        assert isinstance(found, list)
        assert isinstance(without_private_names, list)
        x_options = [each for each in found if each == "-X" or found[found.index(each) - 1] == "-X"]
        assert state(python, *found)[2] == wanted, given
        assert state(python, *without_private_names, *x_options)[2] == wanted, given


def test_this_version_has_the_private_function() -> None:
    assert isinstance(subprocess._args_from_interpreter_flags(), list)  # type: ignore[attr-defined]


@pytest.mark.parametrize("function", [None, lambda needed: [], lambda: None, lambda: [1]])
def test_without_the_private_function_the_options_are_found_all_the_same(
    function: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreter_flags, "subprocess", types.SimpleNamespace(_args_from_interpreter_flags=function))
    assert interpreter_flags.flags()[: len(interpreter_flags.from_sys_flags())] == interpreter_flags.from_sys_flags()
    monkeypatch.delattr(interpreter_flags.subprocess, "_args_from_interpreter_flags")
    assert interpreter_flags.flags()[: len(interpreter_flags.from_sys_flags())] == interpreter_flags.from_sys_flags()


def test_the_standard_library_is_looked_at_first_while_the_owner_boots() -> None:
    standard = str(Path(os.__file__).parent)

    assert interpreter.bootstrap_order(["/srv/app", standard, "/srv/packages"])[:3] == [
        standard,
        "/srv/app",
        "/srv/packages",
    ]


def test_a_folder_that_gave_the_master_a_module_of_a_standard_name_stays_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    standard = str(Path(os.__file__).parent)
    (tmp_path / "wave.py").write_text("patched = True\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    import wave

    assert wave.patched  # type: ignore[attr-defined]
    order = interpreter.bootstrap_order(["/srv/app", str(tmp_path), standard])
    assert order[:3] == [str(tmp_path), standard, "/srv/app"]


def test_the_package_is_found_though_its_folder_has_left_the_path() -> None:
    home = str(Path(confcast.__file__).parents[1])
    assert interpreter.bootstrap_order(["/srv/app"]) == ["/srv/app", home]


def test_entries_are_independent_of_the_working_directory_and_import_hooks_keep_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lib").mkdir()
    monkeypatch.chdir(tmp_path)
    hook = "__editable___package_finder.__path_hook__"
    monkeypatch.setattr(sys, "path", ["", "lib", "lib/inside.zip/sub", hook, "/srv/caf\udce9", b"bytes", tmp_path])

    here = str(tmp_path)
    assert interpreter.search_path() == [here, f"{here}/lib", f"{here}/lib/inside.zip/sub", hook, "/srv/caf\udce9"]
