"""A schema with the syntax of Python 3.12 in real processes: the owner and a worker read it alike."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from confcast import ConfigLoader, ConfigReloadManager
from tests.support.elsewhere import attach_elsewhere, deploy

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax of Python 3.12")

DEPLOYED = """
from pydantic import BaseModel

type Limit = int
type Table[K, V] = dict[V, K]

class Box[T](BaseModel):
    item: T

type Boxes[T] = Table[Box[T], str]

class Settings(BaseModel):
    boxes: Boxes[Limit]

    @property
    def number(self):
        return self.boxes["a"].item
"""


def test_aliases_and_generic_classes_reach_workers_and_another_alias_is_recognised(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    same, other = (
        deploy(tmp_path / "same", DEPLOYED),
        deploy(tmp_path / "other", DEPLOYED.replace("Limit = int", "Limit = float")),
    )
    monkeypatch.syspath_prepend(str(same))
    config.write_text("boxes = {a = {item = 5}}\n")
    with ConfigReloadManager(ConfigLoader("deployed:Settings", config), watch=False) as manager:
        assert attach_elsewhere(same, manager.address) == [1, 5]
        config.write_text("boxes = {a = {item = 6}}\n")
        event = manager.reload()
        assert [(change.key, change.old, change.new) for change in event.changes] == [("boxes.a.item", 5, 6)]
        assert attach_elsewhere(same, manager.address) == [2, 6]

        _, fields = attach_elsewhere(other, manager.address)
        assert fields["boxes.item"] == ["float", "int"]
