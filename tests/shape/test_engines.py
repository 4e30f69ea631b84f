"""An engine is one file and one line: what was forgotten of one is named here."""

from __future__ import annotations

import importlib.util
import tomllib
from collections.abc import Iterator

import confcast.fleet
from confcast.fleet.engines import ENGINES
from tests.shape.source import ROOT
from tests.support.engines import SERVERS


def forgotten(name: str) -> Iterator[str]:
    """Where an engine is missing."""
    about = ENGINES[name]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    if importlib.util.find_spec(f"confcast.fleet.engines.{about.module}") is None:
        yield f"{name}: its module, src/confcast/fleet/engines/{about.module}.py"
    if name not in confcast.fleet.__all__:
        yield f"{name}: a source in fleet/sources.py, and its name in fleet/__init__.py"
    if about.extra and (about.extra not in extras or about.extra not in extras["all"][0]):
        yield f"{name}: the extra {about.extra} in pyproject.toml, alone and in `all`"
    if name not in SERVERS:
        yield f"{name}: its server, in SERVERS of tests/support/engines/__init__.py"
    if not (ROOT / "tests" / "integration" / "fleet" / f"test_{about.module}.py").is_file():
        yield f"{name}: what it alone does, tests/integration/fleet/test_{about.module}.py"


def test_nothing_is_forgotten_of_an_engine():
    found = [each for name in ENGINES for each in forgotten(name)]
    assert not found, "\n".join(found)


def test_servers_are_those_of_engines():
    assert set(SERVERS) == set(ENGINES)
    assert {name: server.NAME for name, server in SERVERS.items()} == {name: name for name in SERVERS}


def test_an_url_names_one_engine():
    schemes = [scheme for about in ENGINES.values() for scheme in about.schemes]
    assert len(schemes) == len(set(schemes))
