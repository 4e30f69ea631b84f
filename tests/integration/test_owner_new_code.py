"""An owner that is restarted under new code: it serves workers of the old code, and names the fields to the others."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from confcast import ConfigLoader, ConfigReloadManager
from tests.support.elsewhere import attach_elsewhere, deploy
from tests.support.owners import home_of, kill_the_owner

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


@pytest.mark.parametrize("journal", ["kept", "deleted while in use"])
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
