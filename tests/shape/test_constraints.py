"""The versions that `scripts/install` takes: all of them are written down, for each Python, and fit pyproject.toml."""

from __future__ import annotations

import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.shape.source import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PYTHONS = [
    version for each in PYPROJECT["project"]["classifiers"] if (version := each.rpartition(" :: ")[2]).startswith("3.")
]
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def file_of(python: str) -> Path:
    return ROOT / ".constraints" / f"{python}.txt"


def locked(python: str) -> dict[str, str]:
    pairs = [line.split("==") for line in file_of(python).read_text(encoding="utf-8").splitlines()]
    return {canonicalize_name(name): version for name, version in pairs}


def declared() -> list[Requirement]:
    project = PYPROJECT["project"]
    extras = [each for extra in project["optional-dependencies"].values() for each in extra]
    build = PYPROJECT["build-system"]["requires"]
    all_of_them = [*project["dependencies"], *extras, *PYPROJECT["dependency-groups"]["dev"], *build]
    return [each for each in map(Requirement, all_of_them) if each.name != "confcast"]


def needed(requirements: list[Requirement]) -> set[str]:
    """The names of what they need, and of what that needs in turn, with this Python."""
    seen: set[tuple[str, str]] = set()
    waiting = [(each, "") for each in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": extra})
        for each in ("", *requirement.extras) if wanted else ():
            if (requirement.name, each) not in seen:
                seen.add((requirement.name, each))
                waiting += [(further, each) for further in requirements_of(requirement.name)]
    return {canonicalize_name(name) for name, _ in seen}


def requirements_of(name: str) -> list[Requirement]:
    try:
        return [Requirement(text) for text in importlib.metadata.requires(name) or ()]
    except importlib.metadata.PackageNotFoundError:  # it builds the package, in a place of its own
        return []


def test_there_is_a_file_for_each_python_that_is_supported():
    assert {path.name for path in (ROOT / ".constraints").iterdir()} == {file_of(python).name for python in PYTHONS}


@pytest.mark.parametrize("python", PYTHONS)
def test_a_file_has_names_and_versions_and_nothing_else(python: str):
    lines = file_of(python).read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    assert len(locked(python)) == len(lines)
    assert "pip" in locked(python)


@pytest.mark.parametrize("python", PYTHONS)
def test_the_versions_are_such_as_pyproject_allows(python: str):
    versions: dict[str, Any] = locked(python)
    wrong = [
        f"{each} but {versions[name]}"
        for each in declared()
        if versions[name := canonicalize_name(each.name)] not in each.specifier
    ]
    assert wrong == []


@pytest.mark.skipif(HERE not in PYTHONS, reason="nothing was tried with this Python")
@pytest.mark.skipif(Path(sys.prefix).name == ".venv-newest", reason="the newest of everything needs what it needs")
def test_nothing_that_is_installed_is_left_to_chance():
    assert needed(declared()) - locked(HERE).keys() == set()
