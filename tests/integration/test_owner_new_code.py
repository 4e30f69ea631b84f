"""An owner that is restarted under new code: it serves workers of the old code, and names the fields to the others."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from confcast import ConfigLoader, ConfigReloadManager
from tests.support.elsewhere import attach_elsewhere, deploy
from tests.support.owners import home_of, kill_the_owner
from tests.support.slow import slow

OLD = """
from pydantic import BaseModel

class Settings(BaseModel):
    number: int
    limit: int = 5
"""

NEW = """
from pydantic import BaseModel

class Settings(BaseModel):
    number: int
    limit: float = 5.0
    color: str = "red"
"""


@pytest.mark.parametrize("journal", [slow("kept"), "deleted while in use"])
def test_the_fields_that_differ_are_named_to_workers_of_the_new_code(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch, journal: str
) -> None:
    before, now = (deploy(tmp_path / name, OLD) for name in ("before", "now"))
    monkeypatch.syspath_prepend(str(now))
    config.write_text("number = 1\n")
    with ConfigReloadManager(ConfigLoader("deployed:Settings", config), watch=False) as manager:
        assert "deployed" not in sys.modules
        if journal != "kept":
            for path in home_of(manager).glob("journal*"):
                path.unlink()
            assert manager.reload()
        shutil.rmtree(now / "__pycache__", ignore_errors=True)
        (now / "deployed.py").write_text(NEW)
        kill_the_owner(manager)
        assert "the schema's code has changed" in str(manager.reload().error_message)

        message, fields = attach_elsewhere(now, manager.address)
        assert fields == {"limit": ["float", "int"], "color": ["str", None]}
        assert "limit: float here, int there; color: str here, absent there" in message
        assert "reload the server fully" in message
        assert attach_elsewhere(before, manager.address) == [1, 1]


BOUNDED = """
from pydantic import BaseModel, Field

class Settings(BaseModel):
    number: int
    limit: int = Field(5, le=9)
"""
OTHER_TYPE = BOUNDED.replace("limit: int = Field(5, le=9)", "limit: dict[str, int] = {}")


@pytest.mark.parametrize(
    ("code", "value", "why", "held"),
    [
        (BOUNDED, 5, "less than or equal to 9", False),
        slow(OTHER_TYPE, {}, "Input should be a valid dictionary", False),
        (OTHER_TYPE, {}, "Input should be a valid dictionary", True),  # of another schema nothing can be held
    ],
)
def test_what_was_set_and_a_deploy_refuses_stops_neither_a_start_nor_a_load(
    code: str,
    value: object,
    why: str,
    held: bool,
    tmp_path: Path,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.syspath_prepend(str(place := deploy(tmp_path / "now", OLD)))
    config.write_text("number = 1\n")
    loader, state = ConfigLoader("deployed:Settings", config), tmp_path / "state"
    with ConfigReloadManager(loader, watch=False, state_dir=state) as manager:
        assert manager.set({"limit": "50", "number": "7"}, reason="a hot night")
        assert not held or manager.rollback(version=2)
    shutil.rmtree(place / "__pycache__", ignore_errors=True)
    (place / "deployed.py").write_text(code)
    with ConfigReloadManager(loader, watch=False, state_dir=state) as manager:
        refused, other = sorted(manager.get_stats()["overrides"], key=lambda each: each["key"])
        assert (refused["key"], refused["applied"], refused["value"]) == ("limit", False, None)
        assert why in refused["why"]
        assert (other["applied"], other["value"], manager.get_stats()["overrides_left_out"]) == (True, 7, 1)
        found = manager.explain("limit")
        assert (found.value, len(found.left_out)) == (value, 1)
        assert why in found.left_out[0]
        config.write_text("number = 2\n")
        assert manager.reload()
        assert manager.get_stats()["overrides_left_out"] == 1
        assert not manager.set({"limit": "50"}), "what is set now is refused"
        assert manager.unset(["limit"])
        assert manager.get_stats()["overrides_left_out"] == 0
    assert capfd.readouterr().err.count("an override is left out: limit, set by uid ") == 1
