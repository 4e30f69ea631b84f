"""Whether a type has secrets is found out once: each wrong value of a file asks, and a file may have thousands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, SecretStr

from confcast import ConfigError, ConfigLoader, Secret
from confcast.config.schema import secret_paths, secrets


class Inner(BaseModel):
    token: SecretStr = SecretStr("")
    others: dict[str, str] = {}


class Outer(BaseModel):
    inner: Inner = Inner()
    numbers: list[int] = []


def test_many_wrong_values_ask_no_oftener_than_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Any] = []
    look = secrets._contains
    monkeypatch.setattr(
        secrets, "_contains", lambda annotation, *more: looks.append(annotation) or look(annotation, *more)
    )
    asked = []
    for count in (10, 400):
        secrets._known.cache_clear()
        secret_paths._known_secrets.cache_clear()
        looks.clear()
        path = tmp_path / f"{count}.yaml"
        path.write_text(
            "numbers:\n"
            + "- x\n" * count
            + "inner:\n  others: {"
            + "".join(f"k{n}: [], " for n in range(count))
            + "}\n"
        )
        with pytest.raises(ConfigError) as refused:
            ConfigLoader(Outer, path).load()
        assert len(refused.value.problems) == 2 * count
        asked.append(len(looks))
    assert asked[0] == asked[1]


def test_a_type_that_has_no_hash_is_looked_at_each_time() -> None:
    marked = Annotated[str, ["no hash"], Secret]
    assert secrets.contains_secret(marked)
    assert not secrets.contains_url(marked)
