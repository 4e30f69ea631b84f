"""What the tree may hold: nothing of one machine, nothing unexpected at its top, scripts of a few lines."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.shape.source import ROOT, files

TOP = {"README.md", "benchmarks", "findings", "pyproject.toml", "scripts", "src", "tests"}
INSTALLS = {"install", "install-chromium", "install-into", "install-promtool", "install-redis", "install-shells"}
SCRIPTS = {
    *("bench", "check", "demo", "every-python", "fuzz", "lock", "mutate", "pictures", "simulate", "test", "torture"),
    *INSTALLS,
}
MOST_LINES = 14
TEXTS = {".cfg", ".ini", ".json", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml", ""}


def committed() -> list[Path]:
    """What belongs to the tree: known to git, or about to be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=30, check=False)
    if listed.returncode != 0:
        pytest.skip("this tree is no git checkout, so what belongs to it can't be told")
    names = [os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def texts() -> list[tuple[str, str]]:
    return [
        (str(path.relative_to(ROOT)), path.read_text(encoding="utf-8", errors="replace"))
        for path in committed()
        if path.suffix in TEXTS
    ]


def test_the_top_of_the_tree_has_these_and_dotfiles():
    top = {path.relative_to(ROOT).parts[0] for path in committed()}
    assert {name for name in top if not name.startswith(".")} == TOP


def test_no_file_names_a_path_of_one_machine():
    """Where this tree lies, a home folder, or somebody's folder in /tmp."""
    here = re.escape(str(ROOT)) + r"(?![\w-])"
    personal = re.compile("|".join([here, r"/ho" + r"me/\w", r"/Us" + r"ers/\w", r"/ro" + r"ot/", r"/wo" + r"rk/"]))
    found = [name for name, text in texts() if personal.search(text)]
    assert not found, "\n".join(found)


def test_the_scripts_are_these():
    assert {path.name for path in (ROOT / "scripts").iterdir() if path.is_file()} == SCRIPTS


@pytest.mark.parametrize("path", [*(f"scripts/{name}" for name in sorted(SCRIPTS)), ".ci/run"])
def test_a_script_is_short_strict_explained_and_can_be_run(path: str):
    script = ROOT / path
    lines = script.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= MOST_LINES
    assert lines[0] == "#!/usr/bin/env bash"
    assert lines[1].startswith("# ")
    assert "set -euo pipefail" in lines
    assert os.access(script, os.X_OK)


@pytest.mark.parametrize("name", sorted(SCRIPTS - INSTALLS - {"lock"}))  # lock makes environments of its own
def test_every_script_makes_its_environment(name: str):
    assert "scripts/install" in (ROOT / "scripts" / name).read_text(encoding="utf-8").splitlines()


def test_a_change_lands_after_check_and_test():
    assert (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()[-2:] == ["scripts/check", "scripts/test"]


def test_the_package_needs_three_others_and_ships_its_types():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {re.split(r"[<>=~!]", each)[0] for each in project["dependencies"]} == {"pydantic", "msgspec", "watchfiles"}
    assert {"yaml", "gunicorn"} <= set(project["optional-dependencies"])
    assert (ROOT / "src/confcast/py.typed").is_file()


def test_no_path_is_made_of_a_name_that_is_put_together():
    """A Path interns its parts, up to Python 3.13; 3.12.1 keeps them for good: pids and digests are plain text.

    Programs to copy may: they have few names.
    """
    found = [
        f"{file}:{node.lineno}: {ast.unparse(node)}"
        for file in files()
        if not file.module.startswith("confcast.examples.")
        for node in ast.walk(file.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Path"
        if any(isinstance(each, ast.JoinedStr) for each in node.args)
    ]
    assert not found, "\n".join(["open(f'…') and os.stat(f'…') take plain text:", *found])
