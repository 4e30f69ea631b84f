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
    from confcast import Derived, Replica
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
def confcast_runtime_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime directory for this test's own managers: no other server's owner is found by them, nor they by it.

    Not in `tmp_path`: the path of a Unix socket has room for 107 bytes.
    """
    with TemporaryDirectory(prefix="cc-") as folder:
        monkeypatch.setenv("CONFCAST_RUNTIME_DIR", folder)
        yield Path(folder)
