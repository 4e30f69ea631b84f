"""The fixtures that pytest finds by itself, once confcast is installed.

Guaranteed: no hook, no fixture that is used unasked, and no import but pytest's and the standard library's, so that a
suite that uses none of them pays for reading this file and for nothing else. What a fixture has put in place is undone
at the test's end, however that comes.

Rejected: an `autouse` fixture that ends owners (a suite that never heard of confcast would pay for it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from confcast import ConfigLoader, Derived, Replica
    from confcast.testing.application import Application
    from confcast.worker.override import Fake


@pytest.fixture
def confcast_workers() -> type[Application]:
    """Your application in real worker processes, for the time of a block.

        with confcast_workers("shop:settings", "app.toml", workers=3) as app: ...

    It is `confcast.testing.Application`, whose description says what it takes.
    """
    from confcast.testing.application import Application

    return Application


@pytest.fixture
def confcast_override() -> Iterator[Callable[[Replica[Any], Any], Fake[Any]]]:
    """Set a configuration until the test ends.

        fake = confcast_override(settings, Settings(size=3))

    It is `Replica.override` without a block; `fake.push(new)` changes the configuration again.
    """
    with ExitStack() as stack:
        yield lambda settings, config: stack.enter_context(settings.override(config))


@pytest.fixture
def confcast_fake() -> Iterator[Callable[[Derived[Any], Any], Any]]:
    """Put something in the place of a derived thing until the test ends.

        confcast_fake(engine, create_engine("sqlite://"))

    It is `Derived.override` without a block, and gives back the value.
    """
    with ExitStack() as stack:
        yield lambda derived, value: stack.enter_context(derived.override(value))


@pytest.fixture
def confcast_health() -> Callable[[Replica[Any], Any], list[str]]:
    """What an application's health checks say against a configuration; [] if nothing.

        assert confcast_health(settings, Settings(size=3)) == []

    Each check is called once, as `fake.healthcheck()` does under an override.
    """

    def said_against(settings: Replica[Any], config: Any) -> list[str]:
        with settings.override(config) as fake:
            return [each.message for each in fake.healthcheck()]

    return said_against


@pytest.fixture
def confcast_guards() -> Callable[[ConfigLoader[Any], Any, Any], dict[str, str]]:
    """Which guards of a loader refuse a change from one configuration to another: why, by name; {} if none does.

    assert "empties:flags" in confcast_guards(loader, Settings(flags={"a": True}), Settings())
    """

    def tripped(loader: ConfigLoader[Any], old: Any, new: Any) -> dict[str, str]:
        reasons = {each.name: each.trips(old, new) for each in loader._guards}
        return {name: why for name, why in reasons.items() if why is not None}

    return tripped


@pytest.fixture
def confcast_runtime_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime directory for this test's own managers: no other server's owner is found by them, nor they by it.

    Not in `tmp_path`: the path of a Unix socket has room for 107 bytes.
    """
    with TemporaryDirectory(prefix="cc-") as folder:
        monkeypatch.setenv("CONFCAST_RUNTIME_DIR", folder)
        yield Path(folder)
