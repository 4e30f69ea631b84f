"""Which key a `select` function picks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, Field, SecretStr

from confcast.worker.derived.selected_key import key_of


class Database(BaseModel):
    """A part with a second name."""

    pool_size: int = Field(default=1, alias="pool-size")
    tokens: dict[SecretStr, int] = {}


class Settings(BaseModel):
    """The schema."""

    database: Database = Database()
    hosts: dict[str, int] = {}


@pytest.mark.parametrize(
    ("select", "key"),
    [
        (lambda c: c, ""),
        (lambda c: c.database, "database"),
        (lambda c: c.database.pool_size, "database.pool-size"),
        (lambda c: c.hosts["a.b"], 'hosts."a.b"'),
        (lambda c: c.database.tokens["sesame"], "database.tokens.**********"),
        (lambda c: None, ""),
        (lambda c: (c.database, c.hosts), ""),
        (lambda c: sorted(c.hosts), ""),
        (lambda c: c.databse, "databse"),
    ],
)
def test_the_key_as_messages_print_it(select: Callable[[Any], Any], key: str) -> None:
    assert key_of(select, Settings) == key
