"""`register_type` in real processes: the owner encodes, workers decode; who registered otherwise is recognised."""

from __future__ import annotations

from pathlib import Path

import pytest

from confcast import ConfigLoader, ConfigReloadManager
from tests.support.elsewhere import attach_elsewhere, deploy

DEPLOYED = """
from typing import Annotated, Any
from pydantic import BaseModel, BeforeValidator, ConfigDict
from confcast import register_type

class Money:
    def __init__(self, amount):
        self.amount = amount

def money_out(value):
    return [value.amount]

def money_in(parts):
    return Money(*parts)

register_type(Money, encode=money_out, decode=money_in)

class Settings(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    price: Annotated[Money, BeforeValidator(lambda value: Money(value))]

    @property
    def number(self):
        return self.price.amount
"""


def test_a_registered_type_reaches_workers_that_registered_the_same_and_no_others(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    same, other = (
        deploy(tmp_path / "same", DEPLOYED),
        deploy(tmp_path / "other", DEPLOYED.replace("money_in", "otherwise")),
    )
    monkeypatch.syspath_prepend(str(same))
    config.write_text("price = 5\n")
    with ConfigReloadManager(ConfigLoader("deployed:Settings", config), watch=False) as manager:
        assert attach_elsewhere(same, manager.address) == [1, 5]
        config.write_text("price = 6\n")
        event = manager.reload()
        assert [(change.key, change.old) for change in event.changes] == [("price", "Money")]
        assert attach_elsewhere(same, manager.address) == [2, 6]

        message, fields = attach_elsewhere(other, manager.address)
        assert "is not the config owner's (same fields, other classes)" in message
        assert fields == {}
