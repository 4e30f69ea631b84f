"""gunicorn's dirty workers, as far as no gunicorn is needed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from confcast import Replica
from confcast.servers.gunicorn_dirty import pin, why_imported


class Settings(msgspec.Struct):
    number: int = 0


@pytest.mark.parametrize(
    ("apps", "workers", "words"),
    [
        ([], 2, ""),
        (["shop:App"], 0, ""),
        (["shop:App:1"], 2, ""),
        (
            ["a:A", "b:B:2", "c:C"],
            1,
            "by gunicorn, for a:A, c:C in dirty_apps; one with a number, as a:A:1, is not imported",
        ),
    ],
)
def test_it_is_said_how_gunicorn_imports_modules_in_its_master(apps: list[str], workers: int, words: str):
    assert why_imported(SimpleNamespace(dirty_apps=apps, dirty_workers=workers)) == words


def test_a_call_sees_one_version_and_all_else_is_the_application_s_own():
    settings = Replica(Settings, name="dirty")

    class App:
        stashes = ("sessions",)

        def __call__(self, action: str, *args: Any, **options: Any) -> Any:
            before = settings.current.number
            fake.push(Settings(2))
            return action, args, options, before, settings.current.number

        def close(self) -> str:
            return "closed"

    dirty = SimpleNamespace(apps={"shop:App": App()})
    with settings.override(Settings(1)) as fake:
        pin(dirty, [settings])
        (app,) = dirty.apps.values()

        assert app("read", 3, of="it") == ("read", (3,), {"of": "it"}, 1, 1)
        assert settings.current.number == 2
    assert (app.close(), app.stashes) == ("closed", ("sessions",))
