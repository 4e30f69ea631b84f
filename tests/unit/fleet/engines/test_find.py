"""Which engine a URL names, and what is said where none, or its library, is there."""

from __future__ import annotations

import asyncio
import importlib

import pytest

from confcast.fleet import engines
from confcast.fleet.engines.access import Access
from confcast.fleet.engines.engine import Fault


@pytest.mark.parametrize("scheme", ["mysql", "http", "redi"])
def test_a_url_of_no_engine_is_refused_without_its_password(scheme: str):
    with pytest.raises(
        Fault, match=r"no engine has this URL: one that begins with redis://, .*tls:// is exp"
    ) as caught:
        engines.find(Access(url=f"{scheme}://user:s3ntinel@config.example"))
    assert "s3ntinel" not in str(caught.value)


@pytest.mark.parametrize(("url", "extra"), [("postgres://config.example", "postgres"), ("nats://x", "nats")])
def test_a_library_that_is_missing_is_named_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, url: str, extra: str
):
    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'library'", name="library")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(Fault, match=rf"library is not installed: pip install 'confcast\[{extra}\]'"):
        asyncio.run(engines.connect(Access(url=url), "shop"))


def test_a_module_of_our_own_that_is_missing_is_no_fault_of_the_user(monkeypatch: pytest.MonkeyPatch):
    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'confcast.x'", name="confcast.x")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ModuleNotFoundError):
        asyncio.run(engines.connect(Access(url="postgres://config.example"), "shop"))
