"""A server is its package and one line in each table: what was forgotten for one is named here."""

from __future__ import annotations

import re
import tomllib

import pytest

from confcast.servers.common import internals
from tests.shape.source import ROOT, SRC, servers
from tests.shape.test_internals import OBJECTS
from tests.unit.servers.common.test_internals import GONE
from tests.unit.servers.common.test_launchers import OPTIONS


def forgotten(server: str, *, is_launched: bool) -> list[str]:
    """Where a server is missing.

    Args:
        server: The name of its package.
        is_launched: Whether it has a launcher, which takes its command line; else it has an `install`.
    """
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    signals = (SRC / "confcast" / "guide" / "signals.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    places = {
        "TRIED in servers/common/internals.py": server in internals.TRIED,
        "INSIDE in servers/common/internals.py": server in internals.INSIDE,
        "an extra in pyproject.toml": server in extras,
        "the extra `all` in pyproject.toml": server in re.split(r"[\[\],]", extras["all"][0]),
        "a section of guide/signals.md": f"\n## {server}\n" in signals,
        "README.md": re.search(rf"confcast\.servers(\.| import ){server}\b", readme) is not None,
        f"tests/integration/test_{server}*.py": any((ROOT / "tests" / "integration").glob(f"test_{server}*.py")),
        "OBJECTS in tests/shape/test_internals.py": server in OBJECTS,
        "GONE in tests/unit/servers/common/test_internals.py": server in GONE or not is_launched,
        "OPTIONS in tests/unit/servers/common/test_launchers.py": server in OPTIONS or not is_launched,
    }
    return [place for place, is_there in places.items() if not is_there]


@pytest.mark.parametrize("server", servers())
def test_nothing_is_forgotten_for_a_server(server: str):
    is_launched = (SRC / "confcast" / "servers" / server / "launcher.py").is_file()
    found = forgotten(server, is_launched=is_launched)
    assert not found, "\n".join(found)


def test_of_a_new_server_every_place_is_named():
    assert len(forgotten("no-server", is_launched=True)) == 10


def test_no_table_has_a_server_without_a_package():
    assert {*internals.TRIED, *OBJECTS, *GONE, *OPTIONS} <= set(servers())
