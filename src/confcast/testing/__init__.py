"""A test kit: your application in real worker processes, and fixtures for pytest.

    def test_a_size_reaches_each_worker(confcast_workers):
        with confcast_workers("shop:settings", "app.toml", workers=3) as app:
            assert app.change("app.toml", "size = 7")
            assert app.values("size") == [7, 7, 7]

pytest finds the fixtures by themselves, and they do nothing unless a test names one: `plugin.py`. `Application`, which
is what `confcast_workers` gives, needs no pytest. Importing this package imports nothing else.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from confcast.testing.application import Application as Application
    from confcast.testing.worker import TestWorker as TestWorker
    from confcast.testing.worker import WorkerFailed as WorkerFailed

_HOME = {"Application": "application", "TestWorker": "worker", "WorkerFailed": "worker"}

__all__ = sorted(_HOME)

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
        return value
