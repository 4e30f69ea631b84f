"""One Chromium, one shop with three workers and one admin server for all tests of a file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from confcast.testing import Application
from confcast.wire.files import owner_dirs
from tests.support import admin_page, bookshop
from tests.support.admin_page import AdminServer, Pages
from tests.support.leaks import assert_nothing_left, belongings
from tests.support.waiting import DEADLINE, eventually


@pytest.fixture(autouse=True)
def nothing_is_left() -> None:
    """Looked at once, when what the tests share has ended: an owner that a test kills is followed by another."""


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left_of_all() -> Iterator[None]:
    """No process, thread or descriptor of these tests outlives them."""
    if admin_page.chromium() is None:
        pytest.skip("there is no Chromium, or no playwright that could drive it: scripts/install-chromium")
    with tempfile.TemporaryDirectory(prefix="cc-") as folder:
        before = belongings()
        yield
        assert_nothing_left(before, Path(folder))


@pytest.fixture(scope="module")
def shop(nothing_is_left_of_all: None) -> Iterator[Application]:
    """The shop. Nobody restarts its owner but a test."""
    how: dict[str, Any] = {"workers": 3, "probation": 0, "supervise": "caller", "vote_timeout": 10.0}
    with Application(bookshop.shop, bookshop.loader(), files={"app.toml": bookshop.TEXT}, **how) as app:
        yield app


@pytest.fixture(scope="module")
def server(shop: Application, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminServer]:
    """The admin server of the shop's owner, whichever that is."""
    place = owner_dirs.parse(Path(shop.manager.address).parent)
    assert place is not None
    found = AdminServer(tmp_path_factory.mktemp("admin"), "--pid", str(place.master), "--name", "bookshop")
    found.start()
    yield found
    found.close()


@pytest.fixture(scope="module")
def _browser(nothing_is_left_of_all: None) -> Iterator[Any]:
    from playwright.sync_api import expect

    expect.set_options(timeout=1000 * DEADLINE)
    with admin_page.browser() as running:
        yield running


@pytest.fixture
def pages(_browser: Any, shop: Application, server: AdminServer) -> Iterator[Pages]:
    """Opens pages. Before the test the shop runs what its file says; after it no page has complained of anything."""
    as_it_was(shop)
    server.start()
    found = Pages(_browser, server)
    yield found
    found.close()
    assert found.faults == []


def as_it_was(shop: Application) -> None:
    """Nothing is set, held or provisional, and the file is the first one."""
    eventually(lambda: shop.manager.ensure_owner() or shop.manager.owner_pid, "an owner")
    status = shop.manager.status()
    if status.provisional:
        shop.manager.rollback()
    if keys := [each.key for each in shop.manager.status().overrides]:
        shop.manager.unset(keys)
    shop.path("app.toml").write_text(bookshop.TEXT)
    shop.manager.resume()
    assert shop.values("name")
